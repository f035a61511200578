"""Make the thumbnails of one picture: decode once, write every size in every format.

Nothing here knows Snakemake but `run_job` at the end, so that each function can be called from a test, a benchmark
or another program. Only the standard library and Pillow are imported: the script also runs in the environment of
`envs/thumbnail.yaml` or in a container.
"""

import array
import errno
import io
import itertools
import math
import os
import struct
import sys
import warnings
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from PIL import Image, ImageCms, ImageColor, ImageOps, PngImagePlugin, UnidentifiedImageError

# Formats that are ever decoded. Pillow knows many more; some start external programs (EPS), most are never seen in a
# shop, and each is a way in for a hostile file.
READABLE = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")

# Setting -> (file extension, Pillow's name, whether the format keeps transparency, what Pillow's encoder is told).
# AVIF gets one thread: the workers already share the cores, and the bytes must not depend on how many there are.
FORMATS = {
    "jpeg": (".jpg", "JPEG", False, {}),
    "png": (".png", "PNG", True, {}),
    "webp": (".webp", "WEBP", True, {}),
    "avif": (".avif", "AVIF", True, {"max_threads": 1}),
}

# libjpeg can decode a JPEG at 1/2, 1/4 or 1/8 of its size, in a fraction of the time. How many of the pixels so decoded
# must be left for each pixel of a thumbnail, along each side, for that scale to be taken. Measured (python -m
# bench.quality scales): with these, the mean structural similarity to the full decode is 0.997 or more.
LEAST_LEFT = {2: 1.85, 4: 2.25, 8: 2.25}

# As many pixels at least are left after halving a picture by averaging, which takes a tenth of the precise resampling's
# time: the factor of Pillow's own `Image.thumbnail`, whose manual calls 2 "fair", and 3 hard to tell from the best.
LEAST_LEFT_BY_HALVING = 2.0

ORIENTATION = 0x0112  # EXIF 2.32, tag 274: how the stored picture must be turned to stand upright
PHOTOMETRIC = 262  # TIFF 6.0: 0 means that 0 is white
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

LARGEST_PROFILE = 16 * 1024 * 1024  # bytes

TEMPORARY_PREFIX = ".thumbmill-"

# Stands in for a picture whose name Snakemake cannot write (see scripts/catalogue.py): a link to its thumbnail.
ODD_NAMES = ".snakemake/thumbmill/odd-names"


class PictureError(Exception):
    """This picture cannot be made into thumbnails; the message is one line for the person who owns it."""


class Thumbnail(NamedTuple):
    """One file to make: its path, the size it shows (`width`, `height`, `fit`, `enlarge`) and its format."""

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
) -> list[str]:
    """Decode `source` once and write all its `thumbnails`, or none of them.

    `quality` maps a format to its encoder's 1 to 100; `background` is the `#rrggbb` that shows through where a format
    has no transparency and around a picture that is padded; `max_pixels` is the largest width x height accepted.
    Returns notes for the user, a line each: things that were wrong with the picture and could be put right.

    Raises PictureError if the picture cannot be read or a thumbnail cannot be written.
    """
    thumbnails = list(thumbnails)
    notes: list[str] = []
    try:
        with open_picture(source, max_pixels) as picture:
            rendered = render(picture, [thumbnail.size for thumbnail in thumbnails], background, notes)
    except PictureError:
        raise
    except Exception as error:  # A decoder raises anything at a malformed file: struct.error, KeyError, SyntaxError...
        raise PictureError(explain(error)) from error
    encoded = []
    for thumbnail, image in zip(thumbnails, rendered, strict=True):
        try:
            encoded.append((thumbnail.path, encode(image, thumbnail.format, quality, background)))
        except (OSError, ValueError, MemoryError) as error:
            reason = f"cannot be saved as {thumbnail.format} at {image.width}x{image.height}: {error}"
            raise PictureError(one_line(reason)) from error
    for path, content in encoded:
        try:
            write_whole(path, content)
        except OSError as error:
            for thumbnail in thumbnails:
                remove(thumbnail.path)
            raise PictureError(f"cannot write {printable(path)}: {error.strerror}") from error
    return list(dict.fromkeys(notes))


def open_picture(source: str, max_pixels: int) -> Image.Image:
    """Open `source`, reading its header only.

    Raises PictureError if it has more than `max_pixels` pixels, or is in none of the READABLE formats.
    """
    # Pillow's own limit on pixels is a global, and warns where it should refuse; the check below replaces it. Its
    # limit on a PNG's compressed chunks (1 MB, against zip bombs) is less than some printers' profiles.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = LARGEST_PROFILE
    if os.path.isdir(source):
        raise PictureError("a folder that cannot be listed: check its permissions")
    if os.path.getsize(source) == 0:
        raise PictureError("the file is empty")
    picture = Image.open(source, formats=READABLE)
    width, height = picture.size
    if width * height > max_pixels:
        picture.close()
        raise PictureError(
            f"too large: {width} x {height} is {width * height:,} pixels, and max_pixels allows {max_pixels:,}"
        )
    return picture


def render(picture: Image.Image, sizes: list[Mapping], background: str, notes: list[str]) -> list[Image.Image]:
    """The upright, 8-bit sRGB pictures (mode RGB or RGBA) that `sizes` ask for, from one decode of `picture`.

    `picture` must be freshly opened: a JPEG is decoded at the smallest of its scales that still serves all sizes.
    What was put right is appended to `notes`.
    """
    shrinks_on_load = picture.format in ("JPEG", "MPO")
    original = picture.size
    drafted = None
    if shrinks_on_load:
        turn = read_turn(picture, notes)
        cuts = [cut(turned(original, turn), size) for size in sizes]
        divisor = jpeg_scale(cuts)
        if divisor > 1:
            drafted = picture.draft(None, (picture.width // divisor, picture.height // divisor))
    picture.load()
    if not shrinks_on_load:
        # TIFF turns itself upright while it is loaded, and PNG may keep its EXIF behind the pixels.
        turn = read_turn(picture, notes)
        original = picture.size
        cuts = [cut(turned(original, turn), size) for size in sizes]
    profile = picture.info.get("icc_profile")
    # Decoded at 1/8, a picture of 9 pixels has 2, of which the second is mostly beyond its edge: hence the fraction.
    shown = drafted[1][2:] if drafted else picture.size
    scale = [part / whole for part, whole in zip(shown, original, strict=True)]
    decoded = Halves(to_plain_mode(picture), was_reduced=drafted is not None)
    made: dict[tuple, Image.Image] = {}
    for window, final, canvas in cuts:
        if (window, final, canvas) not in made:
            middle = [side / 2 for side in original]
            half = [side / 2 for side in turned(window, turn)]
            box = [(m - h) * s for m, h, s in zip(middle, half, scale, strict=True)]
            box += [(m + h) * s for m, h, s in zip(middle, half, scale, strict=True)]
            image = decoded.resample(turned(final, turn), tuple(box))
            if turn in TURNS:
                image = image.transpose(TURNS[turn])
            made[window, final, canvas] = pad(to_srgb(image, profile, notes), canvas, background)
    return [made[each] for each in cuts]


def jpeg_scale(cuts: Iterable[tuple]) -> int:
    """The largest divisor (1, 2, 4 or 8) at which a JPEG can be decoded to serve all `cuts` (see cut())."""
    available = min(whole / part for window, final, _ in cuts for whole, part in zip(window, final, strict=True))
    return max((divisor for divisor, least in LEAST_LEFT.items() if available / divisor >= least), default=1)


def turned(size: tuple, turn: int) -> tuple:
    """(width, height) after turning by the EXIF orientation `turn`: 5 to 8 exchange the two."""
    return size[::-1] if turn >= 5 else size


def read_turn(picture: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 with a note where the EXIF block is broken."""
    try:
        turn = picture.getexif().get(ORIENTATION)
    except (SyntaxError, ValueError, KeyError, TypeError, OSError, struct.error) as error:
        notes.append(f"broken EXIF block ignored: {one_line(error)}")
        return 1
    return turn if turn in TURNS else 1


def cut(picture: tuple[int, int], size: Mapping) -> tuple[tuple[float, float], tuple[int, int], tuple[int, int]]:
    """How a `picture` of (width, height) pixels is brought to `size`.

    Returns three (width, height): the window in its middle that is shown, in the picture's own pixels; the pixels that
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


def to_plain_mode(picture: Image.Image) -> Image.Image:
    """`picture` in a mode that can be resampled and holds 8 bits a channel: L, La, RGB, RGBa, CMYK or LAB.

    Transparency, of whatever kind, becomes La or RGBa: colours multiplied by their opacity, so that resampling lets no
    colour of an invisible pixel bleed into its neighbours.
    """
    mode = picture.mode
    if mode.startswith("I") or mode == "F":
        return deep_to_8_bit(picture)
    if picture.has_transparency_data:
        grey = mode in ("1", "L", "LA", "La")
        return picture.convert("LA").convert("La") if grey else picture.convert("RGBA").convert("RGBa")
    if mode in ("L", "RGB", "CMYK", "LAB"):
        return picture
    return picture.convert("L" if mode == "1" else "RGB")


def deep_to_8_bit(picture: Image.Image) -> Image.Image:
    """A picture of mode I;16 (of either byte order), I or F as mode L, or La if one of its greys is transparent.

    White is the largest value of the narrowest usual range that holds the picture: 1 for floating point, else 255,
    65,535 (16 bits) or 4,294,967,295 (32 bits). The modes I;16 say their range themselves. Values below 0 are black.
    """
    white = 65_535
    transparent = picture.info.get("transparency") if picture.mode == "I;16" else None
    if picture.mode in ("I", "F"):
        _, largest = picture.getextrema()
        if not math.isfinite(largest):
            largest = max((value for value in array.array("f", picture.tobytes()) if math.isfinite(value)), default=0)
        ranges = (1, 255, 65_535) if picture.mode == "F" else (255, 65_535)
        white = next((limit for limit in ranges if largest <= limit), 4_294_967_295)
    values = picture if picture.mode in ("I;16", "I", "F") else picture.convert("I")
    grey = values.point(lambda value: value * (255 / white) + 0).convert("L")
    if picture.format == "TIFF" and picture.tag_v2.get(PHOTOMETRIC) == 0 and picture.mode.startswith("I;16"):
        grey = ImageOps.invert(grey)  # which Pillow does for 1 and 8 bits only
    if transparent is None:
        return grey
    shorts = array.array("H", picture.tobytes())
    if sys.byteorder == "big":
        shorts.byteswap()
    grey.info.pop("transparency", None)
    grey.putalpha(Image.frombytes("L", grey.size, bytes(0 if value == transparent else 255 for value in shorts)))
    return grey.convert("La")


class Halves:
    """A picture, and its halves, quarters and so on: made by averaging 2 x 2 pixels, once for all sizes that use them.

    `was_reduced` says that the decoder has left out detail already.
    """

    def __init__(self, image: Image.Image, was_reduced: bool = False):
        self.images = [image]
        self.was_reduced = was_reduced

    def resample(self, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
        """What `box` (left, top, right, bottom, in the picture's pixels) holds, at `size` (width, height).

        Whole pictures by cubic convolution, like Pillow's own `Image.thumbnail`: its structural similarity to Lanczos
        is 0.997, in two thirds of the time. What was reduced before has less to spare, and is resampled by Lanczos.
        """
        available = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
        level = max(0, math.floor(math.log2(available / LEAST_LEFT_BY_HALVING)))
        while len(self.images) <= level:
            self.images.append(self.images[-1].reduce(2))
        image = self.images[level]
        box = tuple(side / 2**level for side in box)
        if image.size == size and box == (0, 0, *size):
            return image
        reduced = self.was_reduced or level > 0
        return image.resize(size, Image.Resampling.LANCZOS if reduced else Image.Resampling.BICUBIC, box)


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
            image = from_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            notes.append(f"colour profile ignored: {one_line(error)}")
    if image.mode == "LAB":
        image = ImageCms.applyTransform(image, lab_to_srgb())
    image = image.convert("RGB")
    if alpha:
        image.putalpha(alpha)
    return image


def from_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """`image` converted to sRGB, or as it was where the profile would change nothing.

    Raises ImageCms.PyCMSError, OSError or ValueError if the profile is broken or made for another kind of picture.
    """
    kind = profile[16:20].strip()  # ICC.1:2022, 7.2: the colour space of the data
    if image.mode == "LAB":
        return image  # It describes itself.
    if kind == b"GRAY" and image.mode == "RGB":
        raise ValueError("it is for grey pictures, and this one has colours")
    if kind == b"Lab":
        raise ValueError("it is for L*a*b* pictures, and this is none")
    if kind == b"RGB" and image.mode == "L":
        image = image.convert("RGB")
    transform = profile_to_srgb(profile, image.mode)
    return image if transform is None else ImageCms.applyTransform(image, transform)


@lru_cache(maxsize=64)
def profile_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transformation from `profile` to sRGB for pictures of `mode` (L, RGB, CMYK); None if it changes nothing.

    Relative colorimetric with black point compensation: white stays white and black stays black, as in browsers.
    """
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        # Without NOOPTIMIZE the curve of a grey profile is rounded, and dark greys are wrong by ten levels.
        ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE * (mode == "L"),
    )
    if mode == "RGB":
        # Most profiles in the wild are some sRGB. Rounding apart (1 of 255) such a one maps each colour to itself.
        levels = range(0, 256, 51)
        probe = Image.new("RGB", (216, 1))
        probe.putdata(list(itertools.product(levels, levels, levels)))
        changed = ImageCms.applyTransform(probe, transform).tobytes()
        if all(abs(before - after) <= 1 for before, after in zip(probe.tobytes(), changed, strict=True)):
            return None
    return transform


@lru_cache(maxsize=1)
def lab_to_srgb() -> ImageCms.ImageCmsTransform:
    """The transformation from CIE L*a*b* (D50), as TIFF holds it, to sRGB."""
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def pad(image: Image.Image, size: tuple[int, int], background: str) -> Image.Image:
    """`image` in the middle of a canvas of `size` (width, height), which is at least as large.

    A transparent picture is surrounded by nothing, any other by the `background`.
    """
    if image.size == size:
        return image
    red, green, blue = ImageColor.getrgb(background)
    around = (red, green, blue, 0) if image.mode == "RGBA" else (red, green, blue)
    canvas = Image.new(image.mode, size, around)
    canvas.paste(image, tuple((outer - inner) // 2 for outer, inner in zip(size, image.size, strict=True)))
    return canvas


def encode(image: Image.Image, format: str, quality: Mapping[str, int], background: str) -> bytes:
    """`image` as a file's content, without any metadata; transparency the format lacks shows the `background`."""
    _, name, keeps_transparency, options = FORMATS[format]
    if image.mode == "RGBA" and not keeps_transparency:
        canvas = Image.new("RGB", image.size, background)
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    if image.info:
        image = image.copy()
        image.info = {}  # else Pillow writes comments, EXIF and profiles of the source into some formats
    if format in quality:
        options = options | {"quality": quality[format]}
    content = io.BytesIO()
    image.save(content, name, **options)
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
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"damaged: {one_line(error) or type(error).__name__}"


def one_line(text: object) -> str:
    """`text` on a single line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def thumbnail_paths(name: str, config: Mapping) -> list[str]:
    """Where the thumbnails of the picture `name` (its path below the source folder) belong.

    Size by size, and within a size format by format: the order of every list of thumbnails in thumbmill.
    """
    stem = name if config["keep_extension"] else os.path.splitext(name)[0]
    kinds = itertools.product(config["sizes"], config["format"])
    return [below(config["output"], f"{size}/{stem}{FORMATS[format][0]}") for size, format in kinds]


def below(folder: str, name: str) -> str:
    """The path of `name` in `folder`, without the "./" that Snakemake warns of."""
    return name if folder == "." else os.path.join(folder, name)


def run_job(snakemake) -> None:
    """Do one Snakemake job of rule `thumbnail`: what there is to say goes to its log, and a failure is one line."""
    warnings.simplefilter("ignore")  # Pillow's about odd metadata: what matters becomes a note or an error.
    config = snakemake.config
    name, _ = snakemake.params.picture
    location = below(config["source"], name)
    paths = list(snakemake.output)
    stand_ins = []
    if paths[0].startswith(ODD_NAMES):
        stand_ins, paths = paths, thumbnail_paths(name, config)
        for path in paths:
            remove(path)  # Snakemake has deleted the link to it only.
            if snakemake.input:
                os.makedirs(os.path.dirname(path), exist_ok=True)
    kinds = itertools.product(config["sizes"].values(), config["format"])
    try:
        notes = make_thumbnails(
            snakemake.input[0] if snakemake.input else location,
            [Thumbnail(path, size, format) for path, (size, format) in zip(paths, kinds, strict=True)],
            quality=config["quality"],
            background=config["background"],
            max_pixels=config["max_pixels"],
        )
    except PictureError as error:
        write_log(snakemake.log[0], [str(error)])
        sys.exit(printable(f"{location}: {error}"))
    for stand_in, path in zip(stand_ins, paths, strict=False):
        os.symlink(os.path.abspath(path), stand_in)
    if notes:
        write_log(snakemake.log[0], notes)


def write_log(path: str, lines: list[str]) -> None:
    """Write `lines` to the log file `path`. Raises OSError."""
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
