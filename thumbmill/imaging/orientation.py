"""EXIF orientation: how a stored picture has to be transformed to stand upright."""

import contextlib
import struct
import threading
import warnings
from typing import TypeVar

from PIL import Image

from thumbmill import failures
from thumbmill.imaging.geometry import Box

ORIENTATION = 0x0112  # EXIF 2.32, tag 274
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
INVERSE = {6: 8, 8: 6}  # every other orientation is its own inverse
BROKEN_EXIF = (SyntaxError, ValueError, KeyError, TypeError, OSError, struct.error)  # what Pillow raises at one
WARNING_FILTERS = threading.Lock()  # filters for warnings belong to the whole process

Side = TypeVar("Side", int, float)


def read_orientation(picture: Image.Image, notes: list[str]) -> int:
    """Return the EXIF orientation of a picture, 1 (upright) to 8; append a note if the EXIF block is broken.

    Return 1 for those that their decoders turn upright: TIFF while it is loaded, HEIC by its container's properties,
    beside which EXIF means nothing. Pillow states an AVIF's properties as EXIF.
    """
    # Not picture.getexif(), which falls back to XMP: editors turn the pixels, drop the EXIF block and leave that stale.
    if picture.format in ("TIFF", "HEIF") or not (block := exif_block(picture)):
        return 1
    exif = Image.Exif()
    # Pillow only warns of what it cannot read.
    with WARNING_FILTERS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exif.load(block)
            orientation = exif.get(ORIENTATION)
        except BROKEN_EXIF as error:
            notes.append(failures.broken_exif(str(error) or type(error).__name__))
            return 1
    if caught:
        notes.append(failures.broken_exif(caught[0].message))
    return orientation if orientation in TRANSPOSITIONS else 1


def exif_block(picture: Image.Image) -> bytes:
    """Return the EXIF block of a picture; empty if it has none, or one of an older PNG that is no hexadecimal text."""
    block = picture.info.get("exif")
    if block is None and isinstance(text := picture.info.get("Raw profile type exif"), str):
        with contextlib.suppress(ValueError):
            block = bytes.fromhex("".join(text.split("\n")[3:]))
    return block if isinstance(block, bytes) else b""


def forget_xmp(picture: Image.Image) -> None:
    """Remove the XMP packet of an opened picture, in which Pillow looks for an orientation when it loads a TIFF."""
    picture.info.pop("xmp", None)


def oriented_size(size: tuple[Side, Side], orientation: int) -> tuple[Side, Side]:
    """Return (width, height) of a picture of `size` once it stands upright: orientations 5 to 8 exchange the two."""
    return (size[1], size[0]) if orientation >= 5 else size


def oriented_box(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """Return where `box`, in a picture of `size` (width, height), lies once the picture stands upright."""
    (left, top, right, bottom), (width, height) = box, size
    if orientation in (2, 3):
        left, right = width - right, width - left
    if orientation in (3, 4):
        top, bottom = height - bottom, height - top
    if orientation == 6:
        left, top, right, bottom = height - bottom, left, height - top, right
    elif orientation == 8:
        left, top, right, bottom = top, width - right, bottom, width - left
    elif orientation == 7:
        left, top, right, bottom = height - bottom, width - right, height - top, width - left
    elif orientation == 5:
        left, top, right, bottom = top, left, bottom, right
    return left, top, right, bottom


def stored_box(box: Box, upright: tuple[int, int], orientation: int) -> Box:
    """Return where `box`, in an upright picture of size `upright`, lies in the picture as it is stored."""
    return oriented_box(box, upright, INVERSE.get(orientation, orientation))
