"""Open the pictures that Pillow does not open, and say what the other files are. Asked only after Pillow has failed."""

import io
from collections.abc import Collection
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.TiffImagePlugin import TiffImageFile

from thumbmill import failures
from thumbmill.errors import PictureError
from thumbmill.imaging import bitmap_rle, signatures, tiff
from thumbmill.imaging.archive import ArchiveJpeg, ArchiveTiff
from thumbmill.imaging.bitfields import BITFIELDS, RLE, BitfieldsBmp, OpacityBmp
from thumbmill.imaging.masters import open_master

# Bytes that the segments of a JPEG hold at least which Pillow takes apart, by how they begin: JFIF 1.02, Adobe's
# Technical Note 5116, and ICC.1:2022, B.4.
SHORTEST = {b"JFIF\0": 14, b"Adobe": 12, b"ICC_PROFILE\0": 14}


def open_uncommon(file: BinaryIO, error: Exception, read: Collection[str], notes: list[str]) -> Image.Image:
    """Open the picture in `file`, which Pillow did not open because of `error`; `read` is the setting of that name.

    What had to be ignored of it is appended to `notes`.

    Raises PictureError with the true reason if it is no picture, or one that nothing here can read; or the `error`
    itself, if that says more.
    """
    if isinstance(error, OSError) and error.strerror:
        raise error  # the system's: the file cannot be read at all
    start = signatures.read_start(file)
    if master := signatures.switched_format(start):
        if f"+{master}" in read:
            return open_master(file, master)
        name = signatures.SWITCHED_NAMES[master]
        named = signatures.named_otherwise(getattr(file, "name", None), signatures.MASTER_EXTENSIONS[master])
        raise PictureError(failures.not_switched_on(name + named, f"+{master}"))
    format = signatures.format_of(start)
    if format == "TIFF":
        return open_tiff(file)
    if format == "JPEG":
        return open_jpeg(file, notes)
    if format == "BMP" and not isinstance(error, UnidentifiedImageError):
        return BitfieldsBmp(file)
    if format is None:
        raise PictureError(failures.unsupported(*signatures.describe(file)))
    if not isinstance(error, UnidentifiedImageError):
        raise error
    raise PictureError(failures.damaged(f"{'an' if format == 'AVIF' else 'a'} {format} whose header cannot be read"))


def corrected(picture: Image.Image, file: BinaryIO) -> Image.Image:
    """Return the `picture` that Pillow opened from `file`, or one that is decoded rightly. Raises PictureError."""
    if isinstance(picture, TiffImageFile):
        return tiff.corrected(picture, file) or open_tiff(file)
    if picture.format == "BMP" and picture.mode == "RGB" and picture.info.get("compression") == BITFIELDS:
        fields = BitfieldsBmp(file)  # at 16 bits Pillow leaves out the opacity
        return picture if fields.mode == "RGB" else fields
    if isinstance(picture, BmpImageFile) and picture.info.get("compression") in RLE:
        bitmap_rle.correct(picture)
    elif isinstance(picture, BmpImageFile) and picture.mode == "RGBA":
        file.seek(0)
        return OpacityBmp(file)
    return picture


def open_tiff(file: BinaryIO) -> Image.Image:
    """Open a TIFF that Pillow cannot decode. Raises PictureError."""
    description = tiff.describe(file)
    if description is None:
        raise PictureError(failures.damaged("a TIFF whose directory cannot be read"))
    what, is_known = description
    if not is_known:
        raise PictureError(failures.undecodable(what))
    return ArchiveTiff(file, what)


def open_jpeg(file: BinaryIO, notes: list[str]) -> Image.Image:
    """Open a JPEG that Pillow cannot identify; append what is ignored of it to `notes`.

    Raises PictureError, or whatever Pillow raises at a malformed file.
    """
    frame = signatures.read_jpeg(file)
    if frame is None:
        raise PictureError(failures.damaged("a JPEG that ends before its picture begins"))
    if frame.marker in (0xF7, *signatures.JPEG_KINDS) or frame.components not in (1, 3, 4):
        raise PictureError(failures.undecodable(str(frame)))
    if frame.precision != 8:
        return ArchiveJpeg(file, frame)
    if not frame.height:
        return open_jpeg_with_dnl(file, frame)
    file.seek(0)
    content, names = without_malformed_segments(file.read(), frame.offset)
    if names:
        picture = Image.open(io.BytesIO(content), formats=("JPEG",))
        if picture.tile:  # else Pillow has found no pixels
            notes.append(failures.malformed_parts_ignored(names))
            return picture
    raise PictureError(failures.damaged("a JPEG whose header cannot be read"))


def without_malformed_segments(content: bytes, end: int) -> tuple[bytes, list[str]]:
    """Return a JPEG without the segments before `end` that are too short for what they begin as, and their names."""
    at, kept, names = 2, [content[:2]], []
    while at + 4 <= end and content[at] == 0xFF:
        after = at + 1 if content[at + 1] == 0xFF else at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        body = content[at + 4 : after]
        name = next(
            (name for name, shortest in SHORTEST.items() if body.startswith(name) and len(body) < shortest), b""
        )
        if name:
            names.append(name.rstrip(b"\0").decode())
        else:
            kept.append(content[at:after])
        at = after
    return b"".join(kept) + content[at:], names


def open_jpeg_with_dnl(file: BinaryIO, frame: signatures.Jpeg) -> Image.Image:
    """Open a JPEG whose height is in a DNL segment behind its pixels (ITU-T T.81, B.2.5): put it where others have it.

    Raises PictureError if there is no such segment.
    """
    file.seek(0)
    content = bytearray(file.read())
    at = content.rfind(b"\xff\xdc\0\4")
    if at < 0 or not any(content[at + 4 : at + 6]):
        raise PictureError(failures.damaged("a JPEG without a height"))
    content[frame.offset + 1 : frame.offset + 3] = content[at + 4 : at + 6]
    return Image.open(io.BytesIO(content), formats=("JPEG",))
