"""Open a source safely: an allow-list of formats, a limit on pixels, and a check that the file stays the same."""

import contextlib
import io
import os
import stat
import time
from collections.abc import Collection, Iterator
from typing import BinaryIO

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from thumbmill import failures
from thumbmill.errors import PictureError
from thumbmill.failures import Failure
from thumbmill.imaging import isobmff, png
from thumbmill.imaging.animation import webp_with_alpha
from thumbmill.imaging.colorimetry import MAX_PROFILE_BYTES, declared_profile
from thumbmill.imaging.depth import scale_palette

# Formats that are ever decoded. Pillow knows many more; some start external programs (EPS), most are never seen in a
# shop, and each is a way in for a hostile file. HEIC is read, too, where its library is installed.
READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")

# What libheif says of a sound picture that it has no decoder for, before the coding's name.
UNKNOWN_CODING = "Support for this compression format has not been built in"

MAX_FTYP_BYTES = 256  # of a file's start, where an AVIF or HEIC says what it is

# A file system's clock stands still for up to a kernel's tick (10 ms at most on Linux): a file that changes twice
# within it keeps its date.
CLOCK_TICK = 0.02  # seconds

FileState = tuple[int, int, int, int]  # device, inode, size in bytes, date in nanoseconds since the epoch


def open_file(source: str) -> BinaryIO:
    """Open the file `source`, unbuffered: Pillow reads in large steps.

    Raises PictureError if it is empty or no file, OSError if it cannot be opened.
    """
    mode = os.stat(source).st_mode
    if stat.S_ISDIR(mode):
        raise PictureError(failures.unlistable_folder())
    if not stat.S_ISREG(mode):  # opening a pipe would wait for a writer
        raise PictureError(failures.not_a_file())
    file = open(source, "rb", buffering=0)  # noqa: SIM115 (the caller closes it)
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise PictureError(failures.empty_file())
    return file


@contextlib.contextmanager
def fail_if_modified(source: str, file: BinaryIO) -> Iterator[None]:
    """Raise PictureError if `source` does not stay the opened `file`, as it is, until the block ends or fails."""
    before = file_state(os.fstat(file.fileno()))
    if 0 <= time.time_ns() - before[-1] < CLOCK_TICK * 1e9:
        time.sleep(CLOCK_TICK)
        before = file_state(os.fstat(file.fileno()))
    try:
        yield
    except Exception as error:
        if current_state(source) != before:
            raise PictureError(failures.modified()) from error
        raise
    if current_state(source) != before:
        raise PictureError(failures.modified())


def current_state(path: str) -> FileState | None:
    """Return the state of the file at `path`; None if there is none."""
    try:
        # Opened, since NFS may report old dates of a file that is not; without waiting, should it have become a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return file_state(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def file_state(status: os.stat_result) -> FileState:
    """Return what differs between two states of a file: which file it is, its size and its date."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def open_picture(
    file: BinaryIO, max_pixels: int, read: Collection[str] = (), notes: list[str] | None = None
) -> Image.Image:
    """Open the picture in `file`, reading its header only; append what had to be ignored of it to `notes`.

    `read` is the setting of that name: formats that are read besides the READABLE_FORMATS ("+psd").

    Raises PictureError if it has more than `max_pixels` pixels or is none that can be read, or whatever Pillow raises
    at a malformed one.
    """
    # Pillow's own limit on pixels is a global, and warns where it should refuse; the check below replaces it. Its
    # limit on a PNG's compressed chunks (1 MB, against zip bombs) is less than some printers' profiles.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES
    file.seek(0)
    start = file.read(MAX_FTYP_BYTES)
    file.seek(0)
    if coding := isobmff.coding(start):
        picture = open_avif(file) if coding == "AVIF" else open_heif(file)
        add_properties(picture, file, [] if notes is None else notes)
    else:
        try:
            picture = Image.open(webp_with_alpha(file, start), formats=READABLE_FORMATS)
        except (OSError, ValueError) as error:
            picture, file = open_otherwise(file, start, error, read, [] if notes is None else notes)
        if picture.format in ("TIFF", "BMP"):
            from thumbmill.imaging.uncommon import corrected

            picture = corrected(picture, file)
    width, height = picture.size
    if width * height > max_pixels:
        picture.close()
        raise PictureError(failures.too_large(width, height, max_pixels))
    png.scale_key(picture)
    scale_palette(picture)
    if notes is not None:
        png.check_tail(picture, notes)
    profile = declared_profile(picture, file)
    is_broken = profile == b"" or (picture.format == "PNG" and not picture.info.get("icc_profile", b"none"))
    if notes is not None and is_broken:
        notes.append(failures.profile_ignored("it is incomplete"))
    picture.info["icc_profile"] = profile or None
    return picture


def open_avif(file: BinaryIO) -> Image.Image:
    """Open an AVIF picture. Raises PictureError if it is damaged."""
    from PIL import AvifImagePlugin

    try:
        # Image.open() knows it by four brands, and a file may state another as its major one.
        return AvifImagePlugin.AvifImageFile(file)
    except SyntaxError as error:
        raise PictureError(failures.damaged(f"not a whole AVIF picture ({error})")) from None


def open_otherwise(
    file: BinaryIO, start: bytes, error: Exception, read: Collection[str], notes: list[str]
) -> tuple[Image.Image, BinaryIO]:
    """Open a picture that Pillow refuses with `error`; return what it was opened from, too. `start` is how it begins.

    Raises PictureError, and whatever a decoder raises.
    """
    from thumbmill.imaging.uncommon import open_uncommon  # which most runs never need

    if start.startswith(png.SIGNATURE) and isinstance(error, UnidentifiedImageError | ValueError):
        with contextlib.suppress(UnidentifiedImageError):
            return open_broken_png(file, notes)
    return open_uncommon(file, error, read, notes), file


def open_broken_png(file: BinaryIO, notes: list[str]) -> tuple[Image.Image, BinaryIO]:
    """Open a PNG that Pillow refuses because of chunks that it can do without; return a file without them, too.

    Raises PictureError if the checksum of a chunk that it needs is wrong, UnidentifiedImageError if something else is.
    """
    file.seek(0)
    content, broken, malformed = png.without_broken_chunks(file.read())
    mended = io.BytesIO(content)
    picture = Image.open(mended, formats=("PNG",))
    if broken:
        notes.append(failures.chunks_ignored(broken))
    if malformed:
        notes.append(failures.malformed_parts_ignored(malformed))
    return picture, mended


def open_heif(file: BinaryIO) -> Image.Image:
    """Open a HEIC picture. Raises PictureError if the library that decodes it is missing, or it is damaged."""
    try:
        import pillow_heif  # an extra: only for those who have such pictures
    except ImportError:
        raise PictureError(failures.heic_library_missing()) from None
    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    try:
        return pillow_heif.HeifImageFile(file)
    except SyntaxError:
        raise PictureError(failures.damaged("not a whole HEIC picture")) from None


def add_properties(picture: Image.Image, file: BinaryIO, notes: list[str]) -> None:
    """Add to the `info` of an AVIF or HEIC picture what its container says and the decoder passes over.

    That is the `clean_aperture` (left, top, right, bottom, in stored pixels) and the `loop` of an AVIF, and an
    `icc_profile` that means the same as its code points. If the container is malformed, a note is appended instead.
    """
    try:
        properties = isobmff.read_properties(file)
    except ValueError as error:
        notes.append(failures.properties_ignored(error))
        return
    if picture.format == "AVIF":  # libheif crops a HEIC
        picture.info["loop"] = properties.plays
        if properties.clap and (part := isobmff.shown_part(properties.clap, picture.size)):
            picture.info["clean_aperture"] = part
        elif properties.clap:
            notes.append(failures.cropped_to_nothing())
    if properties.nclx and not properties.nclx.is_srgb and not picture.info.get("icc_profile"):
        from thumbmill.imaging.icc import cicp_profile  # which most pictures do not need

        if profile := cicp_profile(properties.nclx.primaries, properties.nclx.transfer):
            picture.info["icc_profile"] = profile


def webp_size(start: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the first 30 bytes of a WebP file (RFC 9649, 2.5 to 2.7); None if they hold none.

    Pillow asks its decoder, which needs all its memory to begin with.
    """
    kind = start[12:16] if start[:4] == b"RIFF" and start[8:12] == b"WEBP" and len(start) == 30 else b""
    if kind == b"VP8X":
        return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(start[26:28], "little") & 0x3FFF, int.from_bytes(start[28:30], "little") & 0x3FFF
    return None


def header_size(file: BinaryIO, max_pixels: int, read: Collection[str] = ()) -> tuple[int, int]:
    """Return (width, height) of the picture in `file`, without the decoder where that needs much memory.

    Raises whatever Pillow raises at a header that it cannot read.
    """
    file.seek(0)
    size = webp_size(file.read(30))
    if size is None:
        with open_picture(file, max_pixels, read) as picture:
            size = picture.size
    return size


def describe_error(error: Exception) -> Failure:
    """Return why a picture could not be read, from whatever a decoder or the system raised."""
    if isinstance(error, PictureError):
        return error.failure
    if isinstance(error, UnidentifiedImageError):  # whose text holds a file object
        return failures.damaged("its header cannot be read")
    if isinstance(error, OSError) and error.strerror:
        return failures.unreadable(error)
    if UNKNOWN_CODING in str(error):
        coding = str(error).partition(UNKNOWN_CODING)[2].strip(": ").partition(" ")[0]
        return failures.undecodable(f"a HEIF picture in {coding or 'another'} coding")
    return failures.damaged(str(error) or type(error).__name__)
