"""Make the thumbnails of one picture: decode once, write every size in every format.

Nothing here knows Snakemake but `run_job` at the end, so that each function can be called from a test, a benchmark
or another program. Only the standard library and Pillow are imported: the script also runs in the environment of
`envs/thumbnail.yaml` or in a container.
"""

import contextlib
import errno
import io
import math
import os
import signal
import stat
import struct
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import BinaryIO, NamedTuple

try:
    import resource
except ImportError:  # Windows
    resource = None

from PIL import Image, ImageChops, ImageColor, ImageFile, ImageFilter, PngImagePlugin, UnidentifiedImageError

# Formats that are ever decoded. Pillow knows many more; some start external programs (EPS), most are never seen in a
# shop, and each is a way in for a hostile file. HEIC is read, too, where its library is installed.
READABLE = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12, annex B
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # formats whose frames are an animation; a TIFF's are pages


class Format(NamedTuple):
    """A format of thumbnails."""

    extension: str
    name: str  # Pillow's
    keeps_transparency: bool
    animates: bool
    options: Mapping  # what Pillow's encoder is told


# The encoders' options are where the curve of time against bytes bends (python -m bench.quality encoders):
#   JPEG   optimize takes twice the time, and progressive five times, for 4 % of the bytes: neither
#   PNG    level 6, the default, takes 2.5 times as long as 3 for 6 % fewer bytes; 9 takes four times as long again
#   WebP   method 4, the default, takes 2.3 times as long as 2 for 3.5 % fewer bytes
#   AVIF   speed 6, the default, takes 2.8 times as long as 8 for 4 % fewer bytes; 9 makes 10 % more
# AVIF gets one thread: the workers already share the cores, and the bytes must not depend on how many there are.
FORMATS = {
    "jpeg": Format(".jpg", "JPEG", False, False, {}),
    "png": Format(".png", "PNG", True, True, {"compress_level": 3}),
    "webp": Format(".webp", "WEBP", True, True, {"method": 2}),
    "avif": Format(".avif", "AVIF", True, True, {"max_threads": 1, "speed": 8}),
}

# libjpeg can decode a JPEG at 1/2, 1/4 or 1/8 of its size, in a fraction of the time. How many of the pixels so decoded
# must be left for each pixel of a thumbnail, along each side, for that scale to be taken; and for a picture to be
# halved by averaging, which takes a fifth of the precise resampling's time. Measured (python -m bench.quality scales):
# with these, the structural similarity to a full decode by Lanczos is 0.997 in the mean of photographs.
LEAST_LEFT = {2: 1.75, 4: 2.25, 8: 2.25}
LEAST_LEFT_BY_HALVING = 1.75

# With as many left, cubic convolution is as good to the eye as Lanczos (0.997 against 0.998), in two thirds of the
# time.
ENOUGH_FOR_CUBIC = 2.75

# Of a picture of 100,000,000 x 1 the one side cannot be halved and the other is far too long: the weights of its pixels
# would take 32 bytes each. More than so many are averaged first.
MOST_LEFT = 64.0

# Bytes of memory a pixel that a decoder may need: libwebp's, the most of all (python -m tests.trials.hostile).
DECODERS_NEED = 17

FOCUS_NAMES = {
    "center": "50% 50%",
    "top": "50% 0%",
    "bottom": "50% 100%",
    "left": "0% 50%",
    "right": "100% 50%",
    "top-left": "0% 0%",
    "top-right": "100% 0%",
    "bottom-left": "0% 100%",
    "bottom-right": "100% 100%",
}

ORIENTATION = 0x0112  # EXIF 2.32, tag 274: how the stored picture must be turned to stand upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BROKEN_EXIF = (SyntaxError, ValueError, KeyError, TypeError, OSError, struct.error)
ONE_AT_A_TIME = threading.Lock()

# The last bytes of a file, by its format: JPEG's EOI, PNG's IEND chunk, GIF's trailer.
ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"\0\0\0\0IEND\xaeB`\x82", "GIF": b";"}
LONGEST_TAIL = 1024 * 1024  # bytes in which the end of a picture is looked for

LARGEST_PROFILE = 16 * 1024 * 1024  # bytes

DAMAGED = "damaged:"  # how the reasons begin that `damaged: make` overrides

# The settings that make_thumbnails() takes by their own names.
PICTURE_SETTINGS = ("quality", "background", "max_pixels", "linear", "animated", "damaged")

# A file system's clock stands still for up to so many seconds (a kernel's tick, 10 ms at most on Linux): a file that is
# changed twice within them keeps its date.
TICK = 0.02

CHANGED = "changed or removed while it was read (still being copied?): run again"

TEMPORARY_PREFIX = ".thumbmill-"

# What to do where a file cannot be written, by the error's number.
WRITE_ADVICE = {
    errno.ENOSPC: "make room on its disk, and run again",
    errno.EDQUOT: "make room, or have the quota raised, and run again",
    errno.EFBIG: "it is larger than the disk or the limit of the shell (ulimit -f) allows",
    errno.EROFS: "mount it for writing, and run again",
    errno.EACCES: "allow yourself to write there, and run again",
    errno.EPERM: "allow yourself to write there, and run again",
    errno.EISDIR: "a folder stands in its place: move it away, and run again",
    errno.ENOTDIR: "a file stands where its folder should be: move it away, and run again",
    errno.ENOENT: "its folder was removed meanwhile: run again",
    errno.EMFILE: "allow more open files (ulimit -n), or use fewer --cores",
}

# Stands in for a picture whose name Snakemake cannot write (see scripts/catalogue.py): a link to its thumbnail.
ODD_NAMES = ".snakemake/thumbmill/odd-names"


class PictureError(Exception):
    """This picture cannot be made into thumbnails; the message is one line for the person who owns it."""


class MemoryShort(PictureError):
    """The memory that this process may use is not enough for the picture."""


class Thumbnail(NamedTuple):
    """One file to make: its path, its size (as in config.yaml; `width`, `height` and `fit` are needed), its format."""

    path: str
    size: Mapping
    format: str


def make_thumbnails(
    source: str,
    thumbnails: Iterable[Thumbnail],
    *,
    quality: Mapping[str, int],
    background: str = "#ffffff",
    max_pixels: int = 200_000_000,
    linear: bool = False,
    animated: bool = False,
    damaged: str = "refuse",
) -> list[str]:
    """Decode `source` once and write all its `thumbnails`, or none of them.

    `quality` maps a format to its encoder's 1 to 100; `background` is the `#rrggbb` that shows through where a format
    has no transparency and around a picture that is padded; `max_pixels` is the largest width x height accepted, of
    all frames together where an animation stays one (`animated`); `linear` averages light instead of numbers;
    `damaged` is "refuse", or "make" to make what can be decoded of a damaged picture.
    Returns notes for the user, a line each: what is wrong with the picture and did not keep it from being made.

    Raises PictureError if the picture cannot be read or its file changes meanwhile, or a thumbnail cannot be written;
    MemoryShort, a PictureError, if only memory is lacking.
    """
    thumbnails = list(thumbnails)
    notes: list[str] = []
    sizes = [thumbnail.size for thumbnail in thumbnails]
    animated = animated and any(FORMATS[thumbnail.format].animates for thumbnail in thumbnails)

    def attempt() -> Rendered:
        return render_file(file, sizes, background, max_pixels, notes, linear=linear, animated=animated)

    try:
        with open_file(source) as file, unchanged(source, file):
            try:
                rendered = attempt()
            except MemoryError:
                raise
            except Exception as error:  # a decoder raises anything at a malformed file: struct.error, SyntaxError...
                reason = str(error) if isinstance(error, PictureError) else explain(error)
                if reason.startswith(DAMAGED) and may_lack_memory(file, max_pixels):
                    raise MemoryShort(f"not enough memory to decode it, or {reason}") from error
                if damaged != "make" or not reason.startswith(DAMAGED):
                    raise PictureError(reason) from error
                rendered = attempt_in_spite_of(reason, attempt)
                notes.append(f"{reason}; made from what is there")
    except MemoryError as error:
        raise MemoryShort("not enough memory to decode it") from error
    except OSError as error:
        raise PictureError(explain(error)) from error
    encoded = []
    for thumbnail, frames in zip(thumbnails, rendered.frames, strict=True):
        try:
            content = encode(frames, thumbnail.format, quality, background, rendered.durations, rendered.loop)
        except MemoryError as error:
            raise MemoryShort(f"not enough memory to save it as {thumbnail.format}") from error
        except (OSError, ValueError) as error:
            reason = f"cannot be saved as {thumbnail.format} at {frames[0].width}x{frames[0].height}: {error}"
            raise PictureError(one_line(reason)) from error
        encoded.append((thumbnail.path, content))
    for path, content in encoded:
        try:
            write_whole(path, content)
        except OSError as error:
            for thumbnail in thumbnails:
                remove(thumbnail.path)
            raise PictureError(cannot_write(path, error)) from error
    return list(dict.fromkeys(notes))


# Reading


class Rendered(NamedTuple):
    """What is to be saved: for each thumbnail its frames, one unless it is animated, with what they have in common."""

    frames: list[list[Image.Image]]
    durations: list[int]  # milliseconds that each frame is shown
    loop: int  # how often the animation runs; 0: for ever


def render_file(
    file: BinaryIO, sizes: list[Mapping], background: str, max_pixels: int, notes: list[str], *, linear, animated
) -> Rendered:
    """Decode the picture in `file` and render it in all `sizes` (see make_thumbnails)."""
    with open_picture(file, max_pixels) as picture:
        count = getattr(picture, "n_frames", 1) if animated and picture.format in ANIMATED else 1
        if picture.width * picture.height * count > max_pixels:
            raise PictureError(
                f"too large: {count} frames of {picture.width} x {picture.height} are "
                f"{picture.width * picture.height * count:,} pixels, and max_pixels allows {max_pixels:,}"
            )
        areas = None
        frames: list[list[Image.Image]] = [[] for _ in sizes]
        durations = []
        for number in range(count):
            if count > 1:
                picture.seek(number)
            still = picture.copy() if count > 1 else picture
            images, areas = render(
                still,
                sizes,
                background,
                notes,
                linear=linear,
                areas=areas,
                again=lambda: open_picture(file, max_pixels),
            )
            for thumbnail, image in zip(frames, images, strict=True):
                thumbnail.append(image)
            durations.append(int(picture.info.get("duration", 0)))
        # A GIF that does not say so runs once, a WebP for ever.
        loop = int(picture.info.get("loop", 1 if picture.format == "GIF" else 0))
        if not ImageFile.LOAD_TRUNCATED_IMAGES and (warning := wrong_end(file, picture.format)):
            notes.append(warning)
    return Rendered(frames, durations, loop)


def attempt_in_spite_of(reason: str, attempt: Callable[[], Rendered]) -> Rendered:
    """What `attempt` returns when Pillow takes a picture that ends too early for complete; black is what is missing.

    Raises PictureError with the `reason` if even so there is nothing to be had.
    """
    # The one way to tell Pillow, a global. Another thread would take its damaged picture for sound meanwhile, but
    # with the setting that leads here it would make it just the same.
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return attempt()
    except MemoryError:
        raise
    except Exception as error:
        raise PictureError(reason) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextlib.contextmanager
def unchanged(source: str, file: BinaryIO) -> Iterator[None]:
    """Raises PictureError if `source` does not stay the `file` that was opened, and as it is, whatever else happens."""
    before = state(os.fstat(file.fileno()))
    if 0 <= time.time_ns() - before[-1] < TICK * 1e9:
        time.sleep(TICK)
        before = state(os.fstat(file.fileno()))
    try:
        yield
    except Exception as error:
        if state_of(source) != before:
            raise PictureError(CHANGED) from error
        raise
    if state_of(source) != before:
        raise PictureError(CHANGED)


def state_of(path: str) -> tuple[int, ...] | None:
    """The state of the file at `path`; None if there is none."""
    try:
        # Opened, since NFS may tell old dates of a file that is not; without waiting, should it have become a pipe.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return state(os.fstat(number))
    finally:
        os.close(number)


def state(status: os.stat_result) -> tuple[int, ...]:
    """What another state of a file differs in: which file it is, its size and its date."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def open_file(source: str) -> BinaryIO:
    """Open the file `source`. Raises PictureError if it is empty or no file, OSError if it cannot be opened."""
    kind = os.stat(source).st_mode
    if stat.S_ISDIR(kind):
        raise PictureError("a folder that cannot be listed: check its permissions")
    if not stat.S_ISREG(kind):  # to open a pipe would wait for a writer
        raise PictureError("not a file: a pipe, a socket or a device")
    file = open(source, "rb", buffering=0)  # noqa: SIM115 (for the caller to close); Pillow reads in large steps
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise PictureError("the file is empty")
    return file


def open_picture(file: BinaryIO, max_pixels: int) -> Image.Image:
    """Open the picture in `file`, reading its header only.

    Raises PictureError if it has more than `max_pixels` pixels, or is in none of the READABLE formats.
    """
    # Pillow's own limit on pixels is a global, and warns where it should refuse; the check below replaces it. Its
    # limit on a PNG's compressed chunks (1 MB, against zip bombs) is less than some printers' profiles.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = LARGEST_PROFILE
    file.seek(0)
    start = file.read(12)
    file.seek(0)
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        picture = open_heif(file)
    else:
        picture = Image.open(file, formats=READABLE)
    width, height = picture.size
    if width * height > max_pixels:
        picture.close()
        raise PictureError(
            f"too large: {width} x {height} is {width * height:,} pixels, and max_pixels allows {max_pixels:,}"
        )
    return picture


def open_heif(file: BinaryIO) -> Image.Image:
    """Open a HEIC picture. Raises PictureError if the library that decodes it is missing."""
    try:
        import pillow_heif
    except ImportError:
        raise PictureError(
            "a HEIC picture, and the library that reads those is missing: pip install '.[heif]', or pillow-heif"
        ) from None
    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    try:
        return Image.open(file, formats=("HEIF",))
    except UnidentifiedImageError:
        raise PictureError(f"{DAMAGED} not a whole HEIC picture") from None


def may_lack_memory(file: BinaryIO, max_pixels: int) -> bool:
    """Whether a picture that could not be decoded is so large that the reason may be this process's limit of memory.

    libjpeg, libwebp, libavif and libheif, refused memory, say what they say of damaged files.
    """
    if resource is None or (limit := resource.getrlimit(resource.RLIMIT_DATA)[0]) == resource.RLIM_INFINITY:
        return False
    try:
        with open("/proc/self/statm") as status:
            used = int(status.read().split()[5]) * resource.getpagesize()  # proc(5): data and stack, in pages
        file.seek(0)
        size = webp_size(file.read(30))
        if size is None:
            with open_picture(file, max_pixels) as picture:
                size = picture.size
        return size[0] * size[1] * DECODERS_NEED > limit - used
    except Exception:  # as in make_thumbnails(); or this is no Linux
        return False


def webp_size(start: bytes) -> tuple[int, int] | None:
    """The width and height that the first 30 bytes of a WebP file tell (RFC 9649, 2.5 to 2.7); None if they tell none.

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


def wrong_end(file: BinaryIO, format: str | None) -> str | None:
    """What is wrong with the end of a picture that could be decoded, if anything: bytes behind it, or no end marker."""
    marker = ENDS.get(format)
    if marker is None:
        return None
    size = file.seek(0, os.SEEK_END)
    file.seek(-min(size, len(marker)), os.SEEK_END)
    if file.read() == marker:
        return None
    file.seek(-min(size, LONGEST_TAIL), os.SEEK_END)
    tail = file.read()
    end = tail.rfind(marker)
    behind = len(tail) - end - len(marker)
    return "its end marker is missing" if end < 0 else f"{behind:,} bytes behind its end are no part of the picture"


def read_turn(picture: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1 (upright) to 8; a note says so where the EXIF block is broken."""
    block = picture.info.get("exif")
    if isinstance(block, bytes):
        # Pillow only warns of what it cannot read. Filters for warnings belong to the process, hence the lock.
        with ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                Image.Exif().load(block)
            except BROKEN_EXIF as error:
                notes.append(f"broken EXIF block: {one_line(error) or type(error).__name__}")
        if caught:
            notes.append(f"broken EXIF block: {one_line(caught[0].message)}")
    try:
        turn = picture.getexif().get(ORIENTATION)
    except BROKEN_EXIF as error:
        if not notes:
            notes.append(f"broken EXIF block: {one_line(error) or type(error).__name__}")
        return 1
    return turn if turn in TURNS else 1


# Rendering

Box = tuple[float, float, float, float]  # left, top, right, bottom


class Decoded(NamedTuple):
    """A picture in memory."""

    halves: "Halves"
    profile: bytes | None
    turn: int  # EXIF orientation
    original: tuple[int, int]  # (width, height) of the whole picture, as it is stored
    scale: tuple[float, float]  # what of that was decoded, along each side
    divisor: int


def render(
    picture: Image.Image,
    sizes: list[Mapping],
    background: str,
    notes: list[str],
    *,
    linear: bool = False,
    areas: list[Box] | None = None,
    again: Callable[[], Image.Image] | None = None,
) -> tuple[list[Image.Image], list[Box]]:
    """The upright, 8-bit sRGB pictures (mode RGB or RGBA) that `sizes` ask for, from one decode of `picture`.

    `picture` must be freshly opened: a JPEG is decoded at the smallest of its scales that still serves all sizes; if
    what is left after trimming turns out to need a finer one, it is decoded once more, from what `again` returns.
    `areas` are what is to be shown for each size, where they are known; those that were taken are returned as well.
    What was wrong with the picture is appended to `notes`.
    """
    decoded = decode(picture, sizes, areas, linear, notes)
    if areas is None:
        areas = find_areas(decoded, sizes)
        if again and jpeg_scale(cuts_of(areas, sizes)) < decoded.divisor:
            with again() as picture:
                decoded = decode(picture, sizes, areas, linear, [])
    made: dict[tuple, Image.Image] = {}
    images = []
    for size, area, (window, final, canvas) in zip(sizes, areas, cuts_of(areas, sizes), strict=True):
        key = (area, window, final, canvas, size.get("focus"), size.get("sharpen"))
        if key not in made:
            box = place(area, window, size.get("focus", "center"))
            image = show(decoded, box, final, background, notes, linear=linear)
            made[key] = pad(sharpen(image, size.get("sharpen", 0)), canvas, background)
        images.append(made[key])
    return images, areas


def decode(
    picture: Image.Image, sizes: list[Mapping], areas: list[Box] | None, linear: bool, notes: list[str]
) -> Decoded:
    """Decode `picture` as small as the `areas` (the whole picture, if None) allow that `sizes` are to show."""
    shrinks_on_load = picture.format in ("JPEG", "MPO") and not linear  # the decoder averages numbers, not light
    original, drafted, divisor = picture.size, None, 1
    if shrinks_on_load:
        turn = read_turn(picture, notes)
        areas = areas or [(0, 0, *turned(original, turn))] * len(sizes)
        divisor = jpeg_scale(cuts_of(areas, sizes))
        if divisor > 1:
            drafted = picture.draft(None, (picture.width // divisor, picture.height // divisor))
    picture.load()
    if not shrinks_on_load:
        # TIFF turns itself upright while it is loaded, and PNG may keep its EXIF behind the pixels.
        turn = read_turn(picture, notes)
        original = picture.size
    profile = picture.info.get("icc_profile")
    # Decoded at 1/8, a picture of 9 pixels has 2, of which the second is mostly beyond its edge: hence the fraction.
    shown = drafted[1][2:] if drafted else picture.size
    scale = tuple(part / whole for part, whole in zip(shown, original, strict=True))
    image = to_plain_mode(picture)
    if linear:
        image, profile = to_srgb(image, profile, notes), None
    return Decoded(Halves(image, was_reduced=divisor > 1), profile, turn, original, scale, divisor)


def find_areas(decoded: Decoded, sizes: list[Mapping]) -> list[Box]:
    """What of the upright picture each of `sizes` is to fit, in its pixels: all of it, unless trimmed or with a margin.

    With a margin it may reach beyond the picture.
    """
    whole = (0, 0, *turned(decoded.original, decoded.turn))
    areas = []
    bounds: dict[int, Box] = {}  # by tolerance
    for size in sizes:
        area = whole
        if size.get("trim"):
            tolerance = size.get("trim_tolerance", 10)
            if tolerance not in bounds:
                found = find_bounds(decoded.halves.images[0], tolerance)
                across, down = decoded.scale
                stored = (found[0] / across, found[1] / down, found[2] / across, found[3] / down)
                stored = intersection(stored, (0, 0, *decoded.original))
                bounds[tolerance] = turn_box(stored, decoded.original, decoded.turn)
            area = bounds[tolerance]
        left, top, right, bottom = area
        margin = max(right - left, bottom - top) * size.get("margin", 0) / 100
        areas.append((left - margin, top - margin, right + margin, bottom + margin) if margin else area)
    return areas


def find_bounds(image: Image.Image, tolerance: int) -> tuple[int, int, int, int]:
    """The part of `image` within its uniform border; all of it, if it has none or is nothing else.

    The border's colour is that of most corners. What differs from it by more than `tolerance` (of 255) in any channel,
    or in opacity where the corners are transparent, is part of the picture.
    """
    right, bottom = image.width - 1, image.height - 1
    corners = [image.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))]
    corners = [corner if isinstance(corner, tuple) else (corner,) for corner in corners]

    def resembling(corner: tuple) -> int:
        return sum(all(abs(a - b) <= tolerance for a, b in zip(corner, other, strict=True)) for other in corners)

    border = max(corners, key=resembling)
    channels = image.split()
    if image.mode in ("La", "RGBa", "LA", "RGBA") and border[-1] <= tolerance:
        channels, border = channels[-1:], border[-1:]
    found = None
    for channel, level in zip(channels, border, strict=True):
        part = channel.point([255 * (abs(value - level) > tolerance) for value in range(256)]).getbbox()
        found = part if found is None else found if part is None else union(found, part)
    return found or (0, 0, *image.size)


def union(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def intersection(one: Box, other: Box) -> Box:
    """The box that both share; its right edge is not right of its left one, or so, if they share none."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def cuts_of(areas: list[Box], sizes: list[Mapping]) -> list[tuple]:
    """What cut() says of each area and size."""
    return [
        cut((right - left, bottom - top), size) for (left, top, right, bottom), size in zip(areas, sizes, strict=True)
    ]


def jpeg_scale(cuts: Iterable[tuple]) -> int:
    """The largest divisor (1, 2, 4 or 8) at which a JPEG can be decoded to serve all `cuts` (see cut())."""
    available = min(whole / part for window, final, _ in cuts for whole, part in zip(window, final, strict=True))
    return max((divisor for divisor, least in LEAST_LEFT.items() if available / divisor >= least), default=1)


def place(area: Box, window: tuple[float, float], focus: str) -> Box:
    """Where in `area` a `window` of (width, height) lies: its part that `focus` names is in both at the same place.

    As CSS's object-position: at "0% 50%" (or "left") their left edges meet, at "50% 50%" ("center") their middles.
    """
    across, down = (float(part.removesuffix("%")) / 100 for part in FOCUS_NAMES.get(focus, focus).split())
    left = area[0] + (area[2] - area[0] - window[0]) * across
    top = area[1] + (area[3] - area[1] - window[1]) * down
    return left, top, left + window[0], top + window[1]


def show(
    decoded: Decoded, box: Box, final: tuple[int, int], background: str, notes: list[str], *, linear: bool = False
) -> Image.Image:
    """What `box` holds of the upright picture, at `final` (width, height), in sRGB.

    Beyond the picture, where `box` reaches there, is `background`, or nothing if the picture has transparency.
    """
    upright = turned(decoded.original, decoded.turn)
    visible = intersection(box, (0, 0, *upright))
    if visible[0] >= visible[2] or visible[1] >= visible[3]:  # nothing but margin
        colour = ImageColor.getrgb(background)
        transparent = decoded.halves.images[0].mode in ("La", "RGBa", "RGBA")
        return Image.new("RGBA", final, (*colour, 0)) if transparent else Image.new("RGB", final, colour)
    place_in_final, part = (0, 0), final
    if visible != box:
        scale = [final[0] / (box[2] - box[0]), final[1] / (box[3] - box[1])] * 2
        corners = [round((edge - start) * s) for edge, start, s in zip(visible, box[:2] * 2, scale, strict=True)]
        part = (max(1, corners[2] - corners[0]), max(1, corners[3] - corners[1]))
        place_in_final = tuple(min(at, whole - inner) for at, whole, inner in zip(corners, final, part, strict=False))
    across, down = decoded.scale
    left, top, right, bottom = turn_box(visible, upright, {6: 8, 8: 6}.get(decoded.turn, decoded.turn))
    stored = (left * across, top * down, right * across, bottom * down)
    if linear:  # and so in sRGB already
        image = colour_functions().resample_light(decoded.halves.images[0], turned(part, decoded.turn), stored)
    else:
        image = to_srgb(decoded.halves.resample(turned(part, decoded.turn), stored), decoded.profile, notes)
    if decoded.turn in TURNS:
        image = image.transpose(TURNS[decoded.turn])
    return image if part == final else lay_on(image, final, place_in_final, background)


def turned(size: tuple, turn: int) -> tuple:
    """(width, height) after turning by the EXIF orientation `turn`: 5 to 8 exchange the two."""
    return size[::-1] if turn >= 5 else size


def turn_box(box: Box, size: tuple[int, int], turn: int) -> Box:
    """Where `box`, in a picture of `size` (width, height), lies after that is turned by the EXIF orientation `turn`."""
    (left, top, right, bottom), (width, height) = box, size
    if turn in (2, 3):
        left, right = width - right, width - left
    if turn in (3, 4):
        top, bottom = height - bottom, height - top
    if turn == 6:
        left, top, right, bottom = height - bottom, left, height - top, right
    elif turn == 8:
        left, top, right, bottom = top, width - right, bottom, width - left
    elif turn == 7:
        left, top, right, bottom = height - bottom, width - right, height - top, width - left
    elif turn == 5:
        left, top, right, bottom = top, left, bottom, right
    return left, top, right, bottom


def cut(picture: tuple[float, float], size: Mapping) -> tuple[tuple[float, float], tuple[int, int], tuple[int, int]]:
    """How a `picture` of (width, height) pixels is brought to `size`.

    Returns three (width, height): the window of it that is shown, in the picture's own pixels; the pixels that
    the window is scaled to; and the canvas, which is larger than that only for `pad`. Unless `size["enlarge"]`,
    nothing is scaled up: a small picture stays as it is, and `cover` shows the largest window of the wanted shape.
    """
    box = (size["width"], size["height"])
    ratios = [wanted / actual for wanted, actual in zip(box, picture, strict=True)]
    scale = max(ratios) if size["fit"] == "cover" else min(ratios)
    if not size.get("enlarge", False):
        if size["fit"] == "cover" and scale > 1:
            box = tuple(max(1, round(side / scale)) for side in box)
        scale = min(scale, 1)
    if size["fit"] == "cover":
        window = tuple(min(actual, wanted / scale) for actual, wanted in zip(picture, box, strict=True))
        return window, box, box
    final = tuple(max(1, round(side * scale)) for side in picture)
    return tuple(map(float, picture)), final, box if size["fit"] == "pad" else final


def colour_functions() -> ModuleType:
    """thumbnail_colour.py, which most pictures can do without, and each job imports anew."""
    try:
        from scripts import thumbnail_colour
    except ImportError:  # in a job, whose search path holds the script's own folder
        import thumbnail_colour
    return thumbnail_colour


def to_plain_mode(picture: Image.Image) -> Image.Image:
    """`picture` in a mode that can be resampled and holds 8 bits a channel: L, La, RGB, RGBa, CMYK or LAB.

    Transparency, of whatever kind, becomes La or RGBa: colours multiplied by their opacity, so that resampling lets no
    colour of an invisible pixel bleed into its neighbours.
    """
    mode = picture.mode
    if mode.startswith("I") or mode == "F":
        return colour_functions().deep_to_8_bit(picture)
    if picture.has_transparency_data:
        grey = mode in ("1", "L", "LA", "La")
        return picture.convert("LA").convert("La") if grey else picture.convert("RGBA").convert("RGBa")
    if mode in ("L", "RGB", "CMYK", "LAB"):
        return picture
    return picture.convert("L" if mode == "1" else "RGB")


class Halves:
    """A picture, and its halves, quarters and so on: made by averaging 2 x 2 pixels, once for all sizes that use them.

    `was_reduced` says that the decoder has left out detail already.
    """

    def __init__(self, image: Image.Image, was_reduced: bool = False):
        self.images = [image]
        self.was_reduced = was_reduced

    def at(self, level: int) -> Image.Image:
        """The picture, halved `level` times."""
        while len(self.images) <= level:
            self.images.append(self.images[-1].reduce(2))
        return self.images[level]

    def resample(self, size: tuple[int, int], box: Box) -> Image.Image:
        """What `box` (in the picture's pixels) holds, at `size` (width, height).

        Whole pictures by cubic convolution, like Pillow's own `Image.thumbnail`: its structural similarity to Lanczos
        is 0.997, in two thirds of the time. What was reduced to little more than `size` has less to spare: by Lanczos.
        """
        if self.images[0].size == size and box == (0, 0, *size):
            return self.images[0]
        available = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
        level = max(0, math.floor(math.log2(available / LEAST_LEFT_BY_HALVING)))
        left = available / 2**level
        cubic = left >= ENOUGH_FOR_CUBIC or (level == 0 and not self.was_reduced)
        method = Image.Resampling.BICUBIC if cubic else Image.Resampling.LANCZOS
        image, part = self.at(level), tuple(side / 2**level for side in box)
        resampled = image.resize(size, method, part, MOST_LEFT)
        if image.mode not in ("La", "RGBa"):
            return resampled
        # Both methods overshoot at edges. The opacity of an opaque edge stops at 255, where its colours, multiplied by
        # it, do not: it would shine. At half its values the opacity tells where; there the colours are taken from a
        # method that does not overshoot.
        *_, opacity = resampled.split()
        halve = [value // 2 for value in range(256)]
        unlimited = image.getchannel("a").point(halve).resize(size, method, part, MOST_LEFT)
        overshoot = ImageChops.subtract(unlimited, opacity.point(halve))
        shining = overshoot.point([255 * (value > 2) for value in range(256)])
        if not shining.getbbox():
            return resampled
        if left >= 2:
            image, part = self.at(level + 1), tuple(side / 2 for side in part)
        right = image.resize(size, Image.Resampling.HAMMING, part, MOST_LEFT).convert(image.mode.upper())
        right.putalpha(opacity)
        return Image.composite(right.convert(image.mode), resampled, shining)


def to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """`image` in sRGB, as mode RGB or RGBA, from the colours that `profile` (an ICC profile) describes.

    Without a profile RGB and grey are taken to be sRGB already. A profile that is broken or made for another kind of
    picture is ignored, with a note.
    """
    alpha = None
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
        alpha = image.getchannel("A")
        image = image.convert(image.mode.removesuffix("A"))
    if profile:
        try:
            image = colour_functions().from_profile(image, profile)
        except (OSError, ValueError, TypeError) as error:
            notes.append(f"colour profile ignored: {one_line(error)}")
    if image.mode == "LAB":
        image = colour_functions().from_lab(image)
    image = image.convert("RGB")
    if alpha:
        image.putalpha(alpha)
    return image


def sharpen(image: Image.Image, percent: int) -> Image.Image:
    """`image` with the contrast of its finest detail raised by `percent`: an unsharp mask.

    Its radius of 0.6 pixels is enough for the blur of reducing, and too narrow for a halo. Transparent neighbours have
    no part in it, whatever colour they hide.
    """
    if not percent:
        return image
    blur = ImageFilter.GaussianBlur(0.6)
    if image.mode != "RGBA":
        return Image.blend(image.filter(blur), image, 1 + percent / 100)
    sharp = Image.blend(image.convert("RGBa").filter(blur).convert("RGBA"), image, 1 + percent / 100)
    sharp.putalpha(image.getchannel("A"))
    return sharp


def pad(image: Image.Image, size: tuple[int, int], background: str) -> Image.Image:
    """`image` in the middle of a canvas of `size` (width, height), which is at least as large."""
    if image.size == size:
        return image
    middle = tuple((outer - inner) // 2 for outer, inner in zip(size, image.size, strict=True))
    return lay_on(image, size, middle, background)


def lay_on(image: Image.Image, size: tuple[int, int], place: tuple[int, int], background: str) -> Image.Image:
    """`image` on a canvas of `size` (width, height), its top left corner at `place`.

    A transparent picture is surrounded by nothing, any other by the `background`.
    """
    red, green, blue = ImageColor.getrgb(background)
    around = (red, green, blue, 0) if image.mode == "RGBA" else (red, green, blue)
    canvas = Image.new(image.mode, size, around)
    canvas.paste(image, place)
    return canvas


# Writing


def encode(
    frames: list[Image.Image],
    format: str,
    quality: Mapping[str, int],
    background: str,
    durations: Iterable[int] = (),
    loop: int = 0,
) -> bytes:
    """A picture as a file's content, without any metadata; transparency the format lacks shows the `background`.

    Of several `frames`, shown for `durations` in milliseconds, the first is taken if the format does not animate.
    """
    kind = FORMATS[format]
    options = dict(kind.options)
    frames = frames if kind.animates else frames[:1]
    transparent = any(frame.mode == "RGBA" for frame in frames)
    if transparent and not kind.keeps_transparency:
        canvas = Image.new("RGB", frames[0].size, background)
        canvas.paste(frames[0], mask=frames[0].getchannel("A"))
        frames = [canvas]
    elif transparent:
        frames = [frame.convert("RGBA") for frame in frames]
    for number, frame in enumerate(frames):
        if frame.info:
            frames[number] = frame.copy()
            frames[number].info = {}  # else Pillow writes comments, EXIF and profiles of the source into some formats
    if format in quality:
        options["quality"] = quality[format]
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:], "duration": list(durations), "loop": loop}
    content = io.BytesIO()
    frames[0].save(content, kind.name, **options)
    return content.getvalue()


def write_whole(path: str, content: bytes) -> None:
    """Write `content` to `path` so that, whenever this process dies, `path` is whole or absent.

    Raises OSError.
    """
    folder = os.path.dirname(path) or "."
    temporary = os.path.join(folder, f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(8).hex()}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def cannot_write(path: str, error: OSError) -> str:
    """Why the file `path` could not be written, and what to do, as one line."""
    advice = WRITE_ADVICE.get(error.errno)
    return f"cannot write {printable(path)}: {error.strerror}" + (f": {advice}" if advice else "")


def explain(error: Exception) -> str:
    """Why a picture could not be read, as one line."""
    if isinstance(error, UnidentifiedImageError):
        return f"not a picture in a format that is read ({', '.join(READABLE)})"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file (a link that points nowhere?)"
    if isinstance(error, PermissionError):
        return "permission denied: make the file readable"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a link that points to itself"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"{DAMAGED} {one_line(error) or type(error).__name__}"


def one_line(text: object) -> str:
    """`text` on a single line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def kinds(config: Mapping) -> list[tuple[str, Mapping, str]]:
    """What is made of each picture: (name of the size, size, format), in the order of every list in thumbmill."""
    return [
        (name, size, format)
        for name, size in config["sizes"].items()
        for format in size.get("format", config["format"])
    ]


def thumbnail_paths(name: str, config: Mapping) -> list[str]:
    """Where the thumbnails of the picture `name` (its path below the source folder) belong, in the order of kinds()."""
    stem = name if config["keep_extension"] else os.path.splitext(name)[0]
    return [below(config["output"], f"{size}/{stem}{FORMATS[format].extension}") for size, _, format in kinds(config)]


def below(folder: str, name: str) -> str:
    """The path of `name` in `folder`, without the "./" that Snakemake warns of."""
    if folder.startswith("s3://"):
        return f"{folder}/{name}"  # a key may hold an empty part
    return name if folder == "." else os.path.join(folder, name)


def make_as_set(source: str, paths: Iterable[str], config: Mapping) -> list[str]:
    """Make the thumbnails of `source` that the settings ask for, at `paths`, in the order of thumbnail_paths().

    Returns and raises what make_thumbnails() does.
    """
    return make_thumbnails(
        source,
        [Thumbnail(path, size, format) for path, (_, size, format) in zip(paths, kinds(config), strict=True)],
        **{setting: config[setting] for setting in PICTURE_SETTINGS},
    )


@contextlib.contextmanager
def limited(seconds: float, megabytes: int) -> Iterator[None]:
    """While it lasts, this process may take so many `seconds`, and have so much memory of its own.

    After that time SIGALRM ends it, whatever it does: nothing less ends a decoder that never returns. What it asks for
    beyond the memory (a megabyte is 1,000,000 bytes) it does not get, hence MemoryError. After a MemoryShort the limit
    stays another than it was, as a sign that the process should not be used again: a library that was refused memory
    may have lost what it had.

    Without effect in a thread, as both are the limits of a whole process, and on Windows. macOS counts only the time.
    """
    if resource is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    # Memory that only this process has, allocated in whatever way (Linux 4.7; man 2 getrlimit).
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [megabytes * 1_000_000, *(given for given in (before, hard) if given != resource.RLIM_INFINITY)]
    if signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    afterwards = before
    try:
        yield
    except MemoryShort:
        afterwards = min([2 * limits[0], *limits[1:]])  # enough to say so
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (afterwards, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)


def make_limited(source: str, paths: Iterable[str], config: Mapping) -> list[str]:
    """The same as make_as_set(), within the time and memory that the settings allow."""
    megabytes = config["worker_memory"]
    try:
        with limited(config["max_seconds"], megabytes):
            return make_as_set(source, paths, config)
    except MemoryShort as error:
        advice = (
            "raise max_memory" if megabytes >= config["max_memory"] else "its share of the machine's; use fewer --cores"
        )
        raise PictureError(f"{error}: a worker may use {megabytes:,} MB ({advice})") from error


def run_job(snakemake) -> None:
    """Do one Snakemake job of rule `thumbnail`: what there is to say goes to its log, and a failure is one line."""
    warnings.simplefilter("ignore")  # Pillow's about odd metadata: what matters becomes a note or an error.
    config = snakemake.config
    name, _ = snakemake.params.picture
    location = below(config["source"], name)
    paths = list(snakemake.output)
    remove(snakemake.log[0])  # an earlier run's: what it says may not be true any more
    stand_ins = []
    try:
        if paths[0].startswith(ODD_NAMES):
            stand_ins, paths = paths, thumbnail_paths(name, config)
            for path in paths:
                remove(path)  # Snakemake has deleted the link to it only.
                if snakemake.input:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
        if location.startswith("s3://") or config["output"].startswith("s3://"):
            notes = make_from_store(snakemake.input, location, paths, config)
        else:
            notes = make_limited(snakemake.input[0] if snakemake.input else location, paths, config)
        for stand_in, path in zip(stand_ins, paths, strict=False):
            os.symlink(os.path.abspath(path), stand_in)
        if notes:
            write_lines(snakemake.log[0], notes)
    except (PictureError, OSError) as error:
        reason = cannot_write(error.filename or snakemake.log[0], error) if isinstance(error, OSError) else str(error)
        with contextlib.suppress(OSError):  # the disk may be full; the reason is told all the same
            write_lines(snakemake.log[0], [reason])
        sys.exit(printable(f"{location}: {reason}"))


def make_from_store(given: list[str], location: str, paths: Iterable[str], config: Mapping) -> list[str]:
    """The same as make_limited() where source or output folder are in object storage.

    `given` is the job's input, empty if there can be none, `location` the source as the user calls it.
    """
    try:
        from scripts import object_storage
    except ImportError:  # as in colour_functions()
        import object_storage
    remote = object_storage.is_remote(location)
    if not given and (remote or os.access(location, os.R_OK)):
        raise PictureError("its name cannot be that of a thumbnail: a part is too long, or it is not UTF-8")
    try:
        with object_storage.local_copy(location if remote or not given else given[0]) as source:
            return make_limited(source, paths, config)
    except object_storage.StoreError as error:
        raise PictureError(f"cannot be fetched: {error}") from error


def write_lines(path: str, lines: Iterable[str]) -> None:
    """Write the text file `path`, whole. Raises OSError."""
    write_whole(path, "".join(f"{printable(line)}\n" for line in lines).encode())


def printable(text: str) -> str:
    """`text` with what cannot be encoded (file names that are not UTF-8) or printed shown as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def remove(path: str) -> None:
    """Delete the file `path`, if it is there and can be deleted."""
    try:
        os.unlink(path)
    except OSError:
        pass


if "snakemake" in globals():
    run_job(globals()["snakemake"])
