"""The picture functions of scripts/thumbnail.py, by the pixels that come out of them."""

import io
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy
import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFile, ImageStat
from PIL.PngImagePlugin import PngImageFile, PngInfo

from scripts.thumbnail import FORMATS, Halves, PictureError, Thumbnail, cut, jpeg_scale, make_thumbnails, render

REPOSITORY = Path(__file__).parent.parent
QUALITY = {"jpeg": 95, "webp": 95, "avif": 95}
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)
LOSSY = 8  # how far (of 255) a channel may be from what was drawn, after a lossy format on either side


# Helpers: pictures


def box_size(width: int, height: int, fit: str = "contain", enlarge: bool = False) -> dict:
    """A size as the settings hold it."""
    return {"width": width, "height": height, "fit": fit, "enlarge": enlarge}


SMALL = box_size(8, 8)


def saved(picture: Image.Image, format: str, **options) -> bytes:
    """`picture` as a file's content."""
    content = io.BytesIO()
    picture.save(content, format, **options)
    return content.getvalue()


def plain(colour, mode: str = "RGB", size: tuple[int, int] = (16, 16)) -> Image.Image:
    """A picture of one colour."""
    return Image.new(mode, size, colour)


def palette_picture() -> Image.Image:
    """Mode P: the left half is red (1), the right half green (2)."""
    picture = Image.new("P", (16, 16), 1)
    picture.putpalette([*BLACK, *RED, *GREEN])
    picture.paste(2, (8, 0, 16, 16))
    return picture


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green / blue, yellow: no turn or flip of it looks the same."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    picture.paste(YELLOW, (width // 2, height // 2, width, height))
    return picture


def stored_as(picture: Image.Image, orientation: int) -> Image.Image:
    """The pixels that an EXIF `orientation` turns into the upright `picture`. The standard's own words in brackets."""
    turn = {
        1: None,  # row 0 is the top, column 0 the left
        2: Image.Transpose.FLIP_LEFT_RIGHT,  # top, right
        3: Image.Transpose.ROTATE_180,  # bottom, right
        4: Image.Transpose.FLIP_TOP_BOTTOM,  # bottom, left
        5: Image.Transpose.TRANSPOSE,  # left, top
        6: Image.Transpose.ROTATE_90,  # right, top: column 0 of the upright picture was filmed as the last row
        7: Image.Transpose.TRANSVERSE,  # right, bottom
        8: Image.Transpose.ROTATE_270,  # left, bottom
    }[orientation]
    return picture if turn is None else picture.transpose(turn)


def exif(orientation: int) -> Image.Exif:
    """An EXIF block that holds an orientation only."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, colour_type, row: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG file whose rows are all `row`; `before` and `after` are chunks around its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND", b"")


def tiff(width: int, height: int, pixels: bytes, tags: dict[int, int], order: str = "<") -> bytes:
    """An uncompressed TIFF file of one strip; `tags` are laid over those of an 8-bit grey picture."""
    values = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: height, 279: len(pixels)} | tags
    values[273] = 8 + 2 + 12 * (len(values) + 1) + 4
    directory = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in sorted(values.items()))
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IH", 8, len(values)) + directory + bytes(4) + pixels


# Helpers: colour profiles (ICC.1:2001-04, the version that every reader knows)


def fixed(*values: float) -> bytes:
    """s15Fixed16Number, section 5.3.3."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", connection: bytes = b"XYZ ") -> bytes:
    """An ICC profile of a colour `space`, with the tags that every profile needs added."""
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": description, b"cprt": b"text" + bytes(4) + b"-\0", b"wtpt": xyz(0.9642, 1, 0.8249), **tags}
    table, content, start = b"", b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(content), b"", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content


def xyz(*values: float) -> bytes:
    """A tag of type XYZType."""
    return b"XYZ " + bytes(4) + fixed(*values)


def gamma(exponent: float) -> bytes:
    """A tag of type curveType that holds an exponent."""
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256))


# Adobe RGB (1998), adapted to D50: rows are X, Y, Z.
ADOBE = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))
# sRGB from XYZ at D50 (the inverse of the matrix in the ICC's sRGB profile).
SRGB = ((3.13386, -1.61687, -0.49062), (-0.97877, 1.91614, 0.03345), (0.07195, -0.22899, 1.40539))


def wide_gamut() -> bytes:
    """An RGB profile: Adobe RGB (1998), with an exponent of 2.2."""
    columns = {
        name: xyz(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), zip(*ADOBE, strict=True), strict=True)
    }
    return profile(b"RGB ", columns | {name: gamma(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")})


def matrix_profile(primaries, white: tuple[float, float], curve: bytes) -> bytes:
    """An RGB profile from the chromaticities (x, y) of its primaries and its white, adapted to D50 (Bradford)."""
    bradford = numpy.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    columns = numpy.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    light = numpy.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    to_xyz = columns * numpy.linalg.solve(columns, light)
    cones = (bradford @ [0.9642, 1, 0.8249]) / (bradford @ light)
    to_xyz = numpy.linalg.inv(bradford) @ numpy.diag(cones) @ bradford @ to_xyz
    tags = {name: xyz(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz.T, strict=True)}
    return profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def srgb_tone_curve() -> bytes:
    """A tag of type curveType that holds sRGB's curve at 1,024 points."""
    points = [number / 1023 for number in range(1024)]
    lights = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in points]
    return b"curv" + bytes(4) + struct.pack(">I1024H", 1024, *(round(light * 65_535) for light in lights))


D65, D50 = (0.3127, 0.329), (0.3457, 0.3585)
# Working spaces: primaries, white, curve; a colour of each, and what it is in sRGB (computed with colour-science 0.4).
SPACES = {
    "srgb": (((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), D65, srgb_tone_curve, (200, 100, 50), (200, 100, 50)),
    "display-p3": (((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), D65, srgb_tone_curve, (200, 100, 50), (215, 93, 31)),
    "adobe-rgb": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, lambda: gamma(2.2), (200, 100, 50), (227, 100, 42)),
    "prophoto": (
        ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
        D50,
        lambda: gamma(1.8),
        (120, 110, 100),
        (150, 127, 118),
    ),
}


def linear_grey() -> bytes:
    """A grey profile of which twice the number is twice the light."""
    return profile(b"GRAY", {b"kTRC": gamma(1)})


def ink_profile() -> bytes:
    """A CMYK profile in which each ink is grey: full cyan, magenta or yellow takes 30, 30 or 10 of 100 L* away."""
    table = b""
    for number in range(16):
        cyan, magenta, yellow, black = (number >> bit & 1 for bit in (3, 2, 1, 0))
        table += bytes([round(255 * (1 - black) * (1 - 0.3 * cyan - 0.3 * magenta - 0.1 * yellow)), 128, 128])
    curve, unchanged = bytes(range(256)), fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    to_lab = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unchanged + curve * 4 + table + curve * 3
    return profile(b"CMYK", {b"A2B0": to_lab}, kind=b"prtr", connection=b"Lab ")


def srgb_curve(light: float) -> int:
    """The sRGB number (0 to 255) for an amount of light (0 to 1): IEC 61966-2-1."""
    light = min(1, max(0, light))
    return round(255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


def adobe_to_srgb(colour: tuple[int, int, int]) -> tuple[int, ...]:
    """What wide_gamut() says that `colour` is in sRGB, by the formulas."""
    light = [(value / 255) ** 2.2 for value in colour]
    in_xyz = [sum(a * b for a, b in zip(row, light, strict=True)) for row in ADOBE]
    return tuple(srgb_curve(sum(a * b for a, b in zip(row, in_xyz, strict=True))) for row in SRGB)


# Helpers: thumbnails


class Maker:
    """Makes thumbnails of pictures given as a file's content, in a folder of its own."""

    def __init__(self, folder: Path):
        self.source = folder / "source"
        self.out = folder / "out"
        self.out.mkdir()

    def files(self) -> list[str]:
        """What lies in the folder of thumbnails."""
        return sorted(os.listdir(self.out))

    def notes(self, content: bytes, sizes=(SMALL,), formats=("png",), **options) -> list[str]:
        """Make thumbnails, called 0.png and so on, and return the notes. The source must come through unchanged."""
        self.source.write_bytes(content)
        before = os.stat(self.source)
        wanted = [(size, format) for size in sizes for format in formats]
        thumbnails = [
            Thumbnail(str(self.out / f"{number}{FORMATS[format].extension}"), size, format)
            for number, (size, format) in enumerate(wanted)
        ]
        try:
            return make_thumbnails(str(self.source), thumbnails, **{"quality": QUALITY, **options})
        finally:
            after = os.stat(self.source)
            assert self.source.read_bytes() == content
            assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)

    def bytes(self, content: bytes, size=SMALL, format: str = "png", **options) -> bytes:
        """The content of a single thumbnail."""
        self.notes(content, [size], [format], **options)
        return (self.out / f"0{FORMATS[format].extension}").read_bytes()

    def __call__(self, content: bytes, size=SMALL, format: str = "png", **options) -> Image.Image:
        """A single thumbnail, decoded."""
        picture = Image.open(io.BytesIO(self.bytes(content, size, format, **options)))
        picture.load()
        return picture

    def refusal(self, content: bytes, **options) -> str:
        """Why `content` is refused: one line, and nothing must have been written."""
        with pytest.raises(PictureError) as caught:
            self.notes(content, **{"sizes": [SMALL, box_size(4, 4)], "formats": ["png", "jpeg"], **options})
        assert self.files() == []
        return checked_reason(caught.value)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Makes thumbnails in a folder of its own."""
    return Maker(tmp_path)


def checked_reason(error: PictureError) -> str:
    """The message of `error`, which must be one line that can be printed."""
    reason = str(error)
    assert reason.strip() and reason.isprintable() and len(reason) < 500
    return reason


def assert_colour(found, expected, tolerance: int = 1) -> None:
    """Every channel of `found` is `expected`, give or take `tolerance`."""
    assert len(found) == len(expected), f"{found} is not {expected}"
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= tolerance, f"{found} is not {expected}"


def assert_plain(picture: Image.Image, expected, tolerance: int = 1) -> None:
    """Every pixel of `picture` is `expected`, give or take `tolerance`."""
    extrema = picture.getextrema()
    assert_colour([low for low, _ in extrema], expected, tolerance)
    assert_colour([high for _, high in extrema], expected, tolerance)


def assert_half(picture: Image.Image, expected) -> None:
    """Every pixel of `picture` is `expected`, or invisible where that is invisible, whatever its colour."""
    if len(expected) == 4 and expected[3] == 0:
        assert picture.getchannel("A").getextrema()[1] <= 2
    else:
        assert_plain(picture, expected, 2)


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' channels, 0 to 255."""
    assert (one.mode, one.size) == (other.mode, other.size)
    means = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return sum(means) / len(means)


# Modes: the source, as a file, and the colours of the left and right halves of its thumbnail

HALVES = {
    "1-png": (saved(plain(1, "1"), "PNG"), WHITE, WHITE),
    "1-tiff": (saved(plain(0, "1"), "TIFF", compression="group4"), BLACK, BLACK),
    "1-bmp": (saved(plain(1, "1"), "BMP"), WHITE, WHITE),
    "1-keyed": (png(16, 16, 1, 0, b"\x00\xff", chunk(b"tRNS", b"\0\0")), (0, 0, 0, 0), (255, 255, 255, 255)),
    "L": (saved(plain(100, "L"), "PNG"), (100,) * 3, (100,) * 3),
    "L-jpeg": (saved(plain(100, "L"), "JPEG"), (100,) * 3, (100,) * 3),
    "L-min-is-white": (tiff(16, 16, bytes([0] * 8 + [255] * 8) * 16, {262: 0}), WHITE, BLACK),
    "L-keyed": (
        png(16, 16, 8, 0, bytes([7] * 8 + [200] * 8), chunk(b"tRNS", b"\0\7")),
        (0, 0, 0, 0),
        (200, 200, 200, 255),
    ),
    "LA": (saved(plain((100, 255), "LA"), "PNG"), (100, 100, 100, 255), (100, 100, 100, 255)),
    "LA-half": (saved(plain((100, 128), "LA"), "PNG"), (100, 100, 100, 128), (100, 100, 100, 128)),
    "LA-tiff": (saved(plain((100, 128), "LA"), "TIFF"), (100, 100, 100, 128), (100, 100, 100, 128)),
    "P-png": (saved(palette_picture(), "PNG"), RED, GREEN),
    "P-gif": (saved(palette_picture(), "GIF"), RED, GREEN),
    "P-bmp": (saved(palette_picture(), "BMP"), RED, GREEN),
    "P-tiff": (saved(palette_picture(), "TIFF"), RED, GREEN),
    "P-index": (saved(palette_picture(), "PNG", transparency=1), (0, 0, 0, 0), (*GREEN, 255)),
    "P-gif-index": (saved(palette_picture(), "GIF", transparency=1), (0, 0, 0, 0), (*GREEN, 255)),
    "P-bytes": (saved(palette_picture(), "PNG", transparency=b"\xff\x80\xff"), (*RED, 128), (*GREEN, 255)),
    "RGB": (saved(plain((10, 120, 230)), "PNG"), (10, 120, 230), (10, 120, 230)),
    "RGB-bmp": (saved(plain((10, 120, 230)), "BMP"), (10, 120, 230), (10, 120, 230)),
    "RGB-tiff-lzw": (saved(plain((9, 120, 230)), "TIFF", compression="tiff_lzw"), (9, 120, 230), (9, 120, 230)),
    "RGB-keyed": (
        png(16, 16, 8, 2, bytes([*RED] * 8 + [*BLUE] * 8), chunk(b"tRNS", struct.pack(">3H", *RED))),
        (0, 0, 0, 0),
        (*BLUE, 255),
    ),
    "RGBA": (saved(plain((10, 120, 230, 128), "RGBA"), "PNG"), (10, 120, 230, 128), (10, 120, 230, 128)),
    "RGBA-webp": (saved(plain((10, 120, 230, 128), "RGBA"), "WEBP", lossless=True), *[(10, 120, 230, 128)] * 2),
    "RGBA-tiff": (saved(plain((10, 120, 230, 128), "RGBA"), "TIFF"), (10, 120, 230, 128), (10, 120, 230, 128)),
    "RGBa-tiff": (
        tiff(16, 16, bytes([64, 0, 128, 128] * 256), {258: 8, 262: 2, 277: 4, 338: 1}),
        (128, 0, 255, 128),
        (128, 0, 255, 128),
    ),
    "RGBX-tiff": (saved(plain((10, 120, 230, 9), "RGBX"), "TIFF"), (10, 120, 230), (10, 120, 230)),
    "LAB-grey": (saved(plain((137, 128, 128), "LAB"), "TIFF"), (128, 128, 128), (128, 128, 128)),
    "LAB-white": (saved(plain((255, 128, 128), "LAB"), "TIFF"), WHITE, WHITE),
    "LAB-black": (saved(plain((0, 128, 128), "LAB"), "TIFF"), BLACK, BLACK),
    "I;16-png": (png(16, 16, 16, 0, struct.pack(">16H", *[0] * 8, *[65535] * 8)), BLACK, WHITE),
    "I;16-keyed": (
        png(16, 16, 16, 0, struct.pack(">16H", *[0] * 8, *[65535] * 8), chunk(b"tRNS", b"\0\0")),
        (0, 0, 0, 0),
        (255, 255, 255, 255),
    ),
    "I;16-tiff": (tiff(16, 16, struct.pack("<16H", *[0] * 8, *[65535] * 8) * 16, {258: 16}), BLACK, WHITE),
    "I;16B-tiff": (tiff(16, 16, struct.pack(">16H", *[0] * 8, *[65535] * 8) * 16, {258: 16}, ">"), BLACK, WHITE),
    "I-tiff": (saved(plain(65535, "I"), "TIFF"), WHITE, WHITE),
    "I-tiff-8-bit": (saved(plain(255, "I"), "TIFF"), WHITE, WHITE),
    "I-tiff-negative": (
        tiff(16, 16, struct.pack("<16i", *[-9] * 8, *[65535] * 8) * 16, {258: 32, 339: 2}),
        BLACK,
        WHITE,
    ),
    "F-tiff-unit": (saved(plain(1.0, "F"), "TIFF"), WHITE, WHITE),
    "F-tiff-8-bit": (saved(plain(255.0, "F"), "TIFF"), WHITE, WHITE),
    "F-tiff-16-bit": (saved(plain(65535.0, "F"), "TIFF"), WHITE, WHITE),
    "F-tiff-halves": (tiff(16, 16, struct.pack("<16f", *[0] * 8, *[1] * 8) * 16, {258: 32, 339: 3}), BLACK, WHITE),
    "RGB-16-png": (png(16, 16, 16, 2, struct.pack(">3H", 0, 32896, 65535) * 16), (0, 128, 255), (0, 128, 255)),
    "LA-16-png": (png(16, 16, 16, 4, struct.pack(">2H", 32896, 65535) * 16), *[(128, 128, 128, 255)] * 2),
    "RGBA-16-png": (png(16, 16, 16, 6, struct.pack(">4H", 65535, 0, 0, 32896) * 16), *[(*RED, 128)] * 2),
}


@pytest.mark.parametrize(("content", "left", "right"), HALVES.values(), ids=HALVES)
def test_mode_comes_out_in_its_colours(make, content, left, right):
    """Each kind of picture, resized and not: 8-bit RGB, or RGBA where it has transparency, in the right colours."""
    for size in (box_size(8, 8), box_size(16, 16)):
        thumbnail = make(content, size)
        assert thumbnail.mode == ("RGBA" if len(left) == 4 else "RGB")
        assert thumbnail.size == (size["width"], size["height"])
        assert_half(thumbnail.crop((0, 0, size["width"] // 4, size["height"])), left)
        assert_half(thumbnail.crop((size["width"] * 3 // 4, 0, size["width"], size["height"])), right)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (saved(plain((255, 0, 0)), "JPEG", quality=95), RED),
        (saved(plain((255, 0, 0)).convert("YCbCr"), "TIFF"), RED),
        (saved(plain((255, 0, 0)), "TIFF", compression="jpeg"), RED),
        (saved(plain((0, 255, 255, 0), "CMYK"), "JPEG", quality=95), RED),
        (saved(plain((0, 0, 0, 255), "CMYK"), "JPEG", quality=95), BLACK),
        (saved(plain((0, 0, 0, 0), "CMYK"), "JPEG", quality=95), WHITE),
        (saved(plain((255, 0, 0, 0), "CMYK"), "TIFF"), (0, 255, 255)),
        (saved(plain((10, 120, 230)), "WEBP", quality=95), (10, 120, 230)),
        (saved(plain((10, 120, 230)), "AVIF", quality=95), (10, 120, 230)),
        (saved(plain((10, 120, 230, 128), "RGBA"), "AVIF", quality=95), (10, 120, 230, 128)),
        (saved(plain((138, 209, 198), "LAB"), "TIFF"), RED),
    ],
    ids=["jpeg", "ycbcr-tiff", "jpeg-in-tiff", "cmyk-red", "cmyk-black", "cmyk-white", "cmyk-tiff", "webp", "avif",
         "avif-alpha", "lab-red"],
)  # fmt: skip
def test_lossy_or_converted_picture_comes_out_in_its_colours(make, content, expected):
    """The same for sources whose colours are only nearly those that were drawn."""
    thumbnail = make(content)
    assert thumbnail.mode == ("RGBA" if len(expected) == 4 else "RGB")
    assert_plain(thumbnail, expected, LOSSY)


def test_palette_with_alpha_comes_out_in_its_colours(make):
    """Mode PA, which Pillow makes of no file that is read, by the function that takes modes."""
    picture = plain((10, 120, 230, 128), "RGBA").convert("PA")
    (thumbnail,), _ = render(picture, [SMALL], "#ffffff", [])
    assert_plain(thumbnail, (*picture.convert("RGB").getpixel((0, 0)), 128), 2)


@pytest.mark.parametrize("value", [0, 1, 77, 128, 200, 254, 255])
@pytest.mark.parametrize("order", "<>")
def test_16_bit_tones_stay(make, value, order):
    """A grey of 16 bits becomes the same grey of 8, in both byte orders of TIFF and in PNG; nothing is cut off."""
    pixels = struct.pack(f"{order}H", value * 257) * 256
    assert_plain(make(tiff(16, 16, pixels, {258: 16}, order)), (value,) * 3)
    assert_plain(make(png(16, 16, 16, 0, struct.pack(">H", value * 257) * 16)), (value,) * 3)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (0.25, 64), (0.5, 128), (0.75, 191), (-3.0, 0)])
def test_floating_point_tones_stay(make, value, expected):
    """Floating point from 0 to 1 is black to white, and below it is black."""
    pixels = struct.pack("<16f", *[value] * 15, 1) * 16
    thumbnail = make(tiff(16, 16, pixels, {258: 32, 339: 3}), box_size(16, 16))
    assert_plain(thumbnail.crop((0, 0, 15, 16)), (expected,) * 3)


def test_floating_point_without_a_value_does_not_blacken_the_rest(make):
    """NaN (no data, as in maps and scans) costs its own pixel only."""
    pixels = struct.pack("<16f", float("nan"), *[1] * 15) * 16
    thumbnail = make(tiff(16, 16, pixels, {258: 32, 339: 3}), box_size(16, 16))
    assert_plain(thumbnail.crop((1, 0, 16, 16)), WHITE)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("colour", [BLACK, GREY, WHITE])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_neutral_colours_stay_neutral(make, source, colour, format):
    """Black, grey and white from every format into every format: no tint, no raised black."""
    thumbnail = make(saved(plain(colour), source), format=format)
    assert thumbnail.mode == "RGB"
    assert_plain(thumbnail, colour, 2)


# EXIF orientation


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("MPO", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
    ids=["jpeg", "mpo", "png", "webp", "avif", "tiff", "tiff-lzw"],
)
def test_all_orientations_come_out_upright(make, format, options, orientation, fit):
    """However the four corners are stored, the same upright picture comes out, in its upright size."""
    content = saved(stored_as(corners(), orientation), format, exif=exif(orientation), **options)
    thumbnail = make(content, box_size(36, 24, fit))
    assert thumbnail.size == ((32, 24) if fit == "contain" else (36, 24))
    width, height = thumbnail.size
    left = 2 if fit == "pad" else 0  # 64 x 48 in 36 x 24 is 32 wide
    for (x, y), colour in {
        (left + 6, 5): RED,
        (width - 1 - left - 6, 5): GREEN,
        (left + 6, height - 6): BLUE,
        (width - 1 - left - 6, height - 6): YELLOW,
    }.items():
        assert_colour(thumbnail.getpixel((x, y)), colour, LOSSY)
    if fit == "pad":
        assert_colour(thumbnail.getpixel((0, 12)), WHITE)
        assert_colour(thumbnail.getpixel((35, 12)), WHITE)


@pytest.mark.parametrize("orientation", [6, 8])
def test_turned_jpeg_that_shrinks_on_load_is_upright_and_in_shape(make, orientation):
    """A tall picture that is stored lying, large enough for libjpeg to decode it smaller."""
    upright = corners(600, 1000)
    content = saved(stored_as(upright, orientation), "JPEG", quality=95, subsampling=0, exif=exif(orientation))
    thumbnail = make(content, box_size(50, 50))
    assert thumbnail.size == (30, 50)
    assert difference(thumbnail, upright.resize((30, 50), Image.Resampling.LANCZOS)) < 3


def test_orientation_behind_the_pixels_of_a_png_counts(make):
    """The eXIf chunk may follow the pixels (PNG 3rd edition, 11.3.4.2)."""
    block = chunk(b"eXIf", exif(3).tobytes().removeprefix(b"Exif\0\0"))
    row = bytes([*RED] * 8 + [*BLUE] * 8)
    thumbnail = make(png(16, 16, 8, 2, row, after=block), box_size(16, 16))
    assert_colour(thumbnail.getpixel((0, 0)), BLUE)
    assert_colour(thumbnail.getpixel((15, 0)), RED)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_does_not_exist_is_ignored(make, orientation):
    """Some cameras write 0."""
    thumbnail = make(saved(corners(), "PNG", exif=exif(orientation)), box_size(64, 64))
    assert difference(thumbnail, corners()) == 0


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_costs_a_note_at_most(make, format):
    """200 damaged EXIF blocks: a thumbnail is made of each picture, in one of its two shapes."""
    chance = random.Random(5)
    for number in range(200 if format == "JPEG" else 40):
        block = exif(6)
        block[0x010F] = "maker"
        damaged = bytearray(block.tobytes())
        for _ in range(chance.randrange(1, 12)):
            damaged[chance.randrange(6, len(damaged))] = chance.randrange(256)
        if number % 5 == 0:
            del damaged[chance.randrange(6, len(damaged)) :]
        content = saved(plain(RED, size=(16, 8)), format, exif=bytes(damaged))
        notes = make.notes(content)
        assert all("\n" not in note for note in notes)
        assert Image.open(make.out / "0.png").size in ((8, 4), (4, 8))


# Colour profiles


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("colour", [(200, 50, 50), (50, 200, 50), (60, 60, 190), GREY, BLACK, WHITE])
def test_wide_gamut_becomes_srgb(make, format, colour):
    """The colours of Adobe RGB are those that the formulas give; black, grey and white stay neutral."""
    notes = make.notes(saved(plain(colour), format, icc_profile=wide_gamut()))
    thumbnail = Image.open(make.out / "0.png")
    assert notes == []
    assert_plain(thumbnail, adobe_to_srgb(colour), 2 if format in ("PNG", "TIFF") else LOSSY)
    if colour == (200, 50, 50):
        assert thumbnail.getpixel((0, 0))[0] > 225  # and so it is not what was there without the profile
    assert "icc_profile" not in thumbnail.info


@pytest.mark.parametrize("source", ["palette", "alpha", "grey"])
def test_wide_gamut_counts_for_every_mode(make, source):
    """An RGB profile holds for a palette, beside an alpha channel and for grey."""
    colour = (200, 50, 50) if source != "grey" else GREY
    picture = {
        "palette": plain(colour).quantize(4),
        "alpha": plain((*colour, 255), "RGBA"),
        "grey": plain(128, "L"),
    }[source]
    thumbnail = make(saved(picture, "PNG", icc_profile=wide_gamut())).convert("RGB")
    assert_plain(thumbnail, adobe_to_srgb(colour), 2)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("space", SPACES)
def test_working_spaces_become_srgb(make, space, format):
    """A colour is what colour-science says; black, white and neutral greys are just that, to one level, in PNG."""
    primaries, white, curve, colour, expected = SPACES[space]
    icc = matrix_profile(primaries, white, curve())
    options = {"quality": 100, "subsampling": 0} if format == "JPEG" else {"lossless": True} if format == "WEBP" else {}
    assert_plain(make(saved(plain(colour), format, icc_profile=icc, **options)), expected, 3)
    for level in (0, 1, 8, 64, 128, 200, 254, 255):
        thumbnail = make(saved(plain((level,) * 3), format, icc_profile=icc, **options))
        channels = thumbnail.getpixel((4, 4))
        assert max(channels) - min(channels) <= 1
        if level in (0, 255):
            assert_plain(thumbnail, (level,) * 3)


def test_wide_gamut_keeps_alpha(make):
    """Opacity is no colour."""
    thumbnail = make(saved(plain((200, 50, 50, 128), "RGBA"), "PNG", icc_profile=wide_gamut()))
    assert_plain(thumbnail, (*adobe_to_srgb((200, 50, 50)), 128), 3)


def test_srgb_profile_changes_nothing(make):
    """Not by one: the profile is recognised by what it does."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    chance = random.Random(1)
    picture = Image.frombytes("RGB", (16, 16), chance.randbytes(16 * 16 * 3))
    assert difference(make(saved(picture, "PNG", icc_profile=profile), box_size(16, 16)), picture) == 0


@pytest.mark.parametrize("value", [0, 5, 12, 55, 128, 255])
@pytest.mark.parametrize("mode", ["L-png", "L-jpeg", "LA", "L-keyed", "I;16", "1"])
def test_grey_profile_counts(make, mode, value):
    """Light that is counted linearly gets sRGB's numbers, whatever the grey picture carries besides."""
    picture = plain(value, "L")
    content = {
        "L-png": lambda: saved(picture, "PNG", icc_profile=linear_grey()),
        "L-jpeg": lambda: saved(picture, "JPEG", icc_profile=linear_grey(), quality=100),
        "LA": lambda: saved(plain((value, 255), "LA"), "PNG", icc_profile=linear_grey()),
        "L-keyed": lambda: saved(picture, "PNG", icc_profile=linear_grey(), transparency=77),
        "I;16": lambda: saved(plain(value * 257, "I;16"), "PNG", icc_profile=linear_grey()),
        "1": lambda: saved(plain(value > 127, "1"), "PNG", icc_profile=linear_grey()),
    }[mode]()
    if mode == "1":
        value = 255 if value > 127 else 0
    assert make.notes(content) == []
    assert_plain(Image.open(make.out / "0.png").convert("RGB"), (srgb_curve(value / 255),) * 3, 2)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_profile_counts(make, format):
    """Full cyan is L* 70 by this profile, which is (171, 171, 171) in sRGB; without it, it is (0, 255, 255)."""
    picture = plain((255, 0, 0, 0), "CMYK")
    assert_plain(make(saved(picture, format, icc_profile=ink_profile())), (171, 171, 171), 3)
    assert_plain(make(saved(picture, format)), (0, 255, 255), 3)


@pytest.mark.parametrize(
    ("mode", "icc"),
    [
        ("RGB", b"this is no profile" * 20),
        ("RGB", wide_gamut()[:200]),
        ("RGB", linear_grey()),
        ("RGBA", linear_grey()),
        ("RGB", ink_profile()),
        ("L", ink_profile()),
        ("CMYK", wide_gamut()),
        ("CMYK", linear_grey()),
        ("RGB", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()),
    ],
    ids=["nonsense", "cut", "grey-rgb", "grey-rgba", "cmyk-rgb", "cmyk-grey", "rgb-cmyk", "grey-cmyk", "lab-rgb"],
)
def test_profile_that_does_not_fit_is_noted_once_and_ignored(make, mode, icc):
    """The colours are those of the picture without a profile, and one note says so, however many sizes there are."""
    colour = {"L": 100, "RGBA": (200, 50, 50, 255), "CMYK": (0, 255, 255, 0)}.get(mode, (200, 50, 50))
    format = "TIFF" if mode == "CMYK" else "PNG"
    expected = make(saved(plain(colour, mode), format))
    (note,) = make.notes(saved(plain(colour, mode), format, icc_profile=icc), [SMALL, box_size(4, 4), box_size(6, 6)])
    assert "profile" in note and "\n" not in note
    assert difference(Image.open(make.out / "0.png"), expected) == 0


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_profile_is_no_reason_to_refuse(make, format):
    """Profiles of scanners and printers reach some megabytes."""
    icc = wide_gamut() + random.Random(1).randbytes(1_400_000)
    assert_plain(make(saved(plain(GREY), format, icc_profile=icc)), GREY, 3)


# Transparency


@pytest.mark.parametrize("hidden", [BLACK, WHITE, GREEN], ids=["black", "white", "green"])
def test_transparent_edges_get_no_seam(make, hidden):
    """The colour of invisible pixels does not bleed into the edge of the visible ones."""
    picture = plain((*hidden, 0), "RGBA", (60, 60))
    picture.paste((*RED, 255), (17, 17, 43, 43))
    thumbnail = make(saved(picture, "PNG"), box_size(13, 13))
    edges = 0
    for x in range(13):
        for y in range(13):
            *colour, alpha = thumbnail.getpixel((x, y))
            if alpha > 25:
                assert_colour(colour, RED, 12)
                edges += alpha < 230
    assert edges > 8
    assert thumbnail.getpixel((0, 0))[3] == 0
    assert_colour(thumbnail.getpixel((6, 6)), (*RED, 255))
    on_white = plain(WHITE, size=(13, 13))
    on_white.paste(thumbnail, mask=thumbnail.getchannel("A"))
    assert on_white.getchannel("R").getextrema()[0] > 240
    in_jpeg = make(saved(picture, "PNG"), box_size(13, 13), "jpeg")
    assert difference(in_jpeg, Image.open(io.BytesIO(saved(on_white, "JPEG", quality=95)))) < 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("side", "box"), [(60, 13), (300, 120), (1000, 120)])
def test_opaque_edges_do_not_shine(make, side, box, mode):
    """Where resampling overshoots: a colour below 255 is nowhere brighter than it was."""
    colour = (200, 60, 60) if mode == "RGBA" else (200,)
    picture = plain((*(0 for _ in colour), 0), mode, (side, side))
    picture.paste((*colour, 255), (side // 4, side // 4, side * 3 // 4, side * 3 // 4))
    thumbnail = make(saved(picture, "PNG"), box_size(box, box)).convert(mode)
    for *found, alpha in thumbnail.get_flattened_data():
        assert_colour([value * alpha / 255 for value in found], [value * alpha / 255 for value in colour], 3)


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_transparency_is_kept(make, format):
    """Left invisible, middle half, right opaque."""
    picture = plain((*BLUE, 0), "RGBA", (48, 24))
    picture.paste((*BLUE, 128), (16, 0, 32, 24))
    picture.paste((*BLUE, 255), (32, 0, 48, 24))
    thumbnail = make(saved(picture, "PNG"), box_size(24, 24), format)
    assert (thumbnail.mode, thumbnail.size) == ("RGBA", (24, 12))
    assert thumbnail.getpixel((3, 6))[3] <= 3
    assert_colour(thumbnail.getpixel((12, 6)), (*BLUE, 128), LOSSY)
    assert_colour(thumbnail.getpixel((21, 6)), (*BLUE, 255), LOSSY)


@pytest.mark.parametrize(
    ("background", "expected"), [("#ffffff", WHITE), ("#00ff00", GREEN), ("#102030", (16, 32, 48))]
)
def test_transparency_shows_the_background_in_jpeg(make, background, expected):
    """Where JPEG has no transparency; half of it is half the background."""
    picture = plain((*BLACK, 0), "RGBA", (48, 24))
    picture.paste((*BLACK, 128), (24, 0, 48, 24))
    thumbnail = make(saved(picture, "PNG"), box_size(48, 24), "jpeg", background=background)
    assert (thumbnail.format, thumbnail.mode) == ("JPEG", "RGB")
    assert_colour(thumbnail.getpixel((6, 12)), expected, 4)
    assert_colour(thumbnail.getpixel((40, 12)), [value * 127 / 255 for value in expected], 4)


# Animations


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
def test_first_frame_of_an_animation(make, format, output):
    """One still picture: the first."""
    frames = [plain(colour, size=(32, 16)) for colour in (RED, BLUE, GREEN)]
    content = saved(frames[0], format, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(content)).n_frames == 3
    thumbnail = make(content, box_size(16, 16), output)
    assert getattr(thumbnail, "n_frames", 1) == 1
    assert thumbnail.size == (16, 8)
    assert_plain(thumbnail.convert("RGB"), RED, LOSSY)


FRAMES = [plain(colour, size=(32, 16)) for colour in (RED, BLUE, GREEN)]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("output", ["webp", "png", "avif"])
def test_animation_stays_one_when_asked(make, format, output):
    """All frames, in order, each in the size asked for and as long as it was."""
    content = saved(FRAMES[0], format, save_all=True, append_images=FRAMES[1:], duration=[100, 200, 300], loop=0)
    animation = make(content, box_size(16, 16), output, animated=True)
    assert (animation.n_frames, animation.size) == (3, (16, 8))
    for number, (colour, duration) in enumerate(((RED, 100), (BLUE, 200), (GREEN, 300))):
        animation.seek(number)
        animation.load()
        assert_plain(animation.convert("RGB"), colour, LOSSY)
        assert animation.info["duration"] == duration


def test_animation_is_still_in_jpeg_and_moves_beside_it(make):
    """Several formats of one picture."""
    content = saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], duration=100)
    make.notes(content, [box_size(16, 16)], ["jpeg", "webp"], animated=True)
    assert_plain(Image.open(make.out / "0.jpg"), RED, LOSSY)
    assert Image.open(make.out / "1.webp").n_frames == 3


def test_animation_with_transparency_keeps_it(make):
    """A red square that moves over nothing."""
    frames = []
    for number in range(3):
        frame = plain((0, 0, 0, 0), "RGBA", (60, 20))
        frame.paste((*RED, 200), (20 * number, 0, 20 * number + 20, 20))
        frames.append(frame)
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, duration=50)
    animation = make(content, box_size(30, 10), "webp", animated=True)
    for number in range(3):
        animation.seek(number)
        frame = animation.convert("RGBA")
        assert_colour(frame.getpixel((10 * number + 5, 5)), (*RED, 200), LOSSY)
        assert frame.getpixel((10 * ((number + 1) % 3) + 5, 5))[3] < 8


def test_pages_of_a_tiff_are_no_animation(make):
    """Its first page is the picture."""
    content = saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:])
    assert make(content, box_size(16, 16), "webp", animated=True).n_frames == 1


def test_animation_counts_all_its_pixels(make):
    """Three frames of 512."""
    content = saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:])
    assert make(content, SMALL, "webp", animated=True, max_pixels=1536).n_frames == 3
    os.unlink(make.out / "0.webp")
    reason = make.refusal(content, formats=["webp"], animated=True, max_pixels=1535)
    assert reason.startswith("too large: 3 frames of 32 x 16")


# Metadata

MARK = "SECRET-MARK"


def with_metadata(format: str, picture: Image.Image) -> bytes:
    """`picture` with all the metadata that `format` can hold, each kind with MARK in it."""
    block = exif(1)
    block[0x010E] = f"description {MARK}"
    block.get_ifd(0x8825)[29] = f"{MARK}"  # GPSDateStamp
    block.get_ifd(0x8825)[1] = "N"
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{MARK}</x:xmpmeta>".encode()
    icc = wide_gamut() + MARK.encode()
    options = {"exif": block, "icc_profile": icc}
    if format == "PNG":
        info = PngInfo()
        info.add_text("Comment", MARK)
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options |= {"pnginfo": info, "dpi": (300, 300)}
    elif format == "GIF":
        return saved(picture, format, comment=MARK.encode())
    elif format == "TIFF":
        options["tiffinfo"] = {270: MARK, 315: MARK, 700: xmp}
    else:
        options |= {"xmp": xmp}
    if format == "JPEG":
        options |= {"comment": MARK, "dpi": (300, 300)}
    return saved(picture, format, **options)


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF"])
def test_metadata_is_dropped(make, source, output):
    """No EXIF, GPS, XMP, ICC, comment or text, resized or not, opaque or not."""
    modes = ["RGB"] if source in ("JPEG", "GIF") else ["RGB", "RGBA"]
    for mode in modes:
        content = with_metadata(source, plain((90, 90, 90, 200)[: len(mode)], mode))
        assert MARK.encode() in content
        for size in (SMALL, box_size(16, 16)):
            written = make.bytes(content, size, output)
            assert MARK.encode() not in written
            thumbnail = Image.open(io.BytesIO(written))
            thumbnail.load()
            assert not {"exif", "icc_profile", "xmp", "comment", "Comment", "XML:com.adobe.xmp"} & set(thumbnail.info)
            assert not [tag for tag in thumbnail.getexif() if tag != 0x0112]
            assert not getattr(thumbnail, "text", {})


# Fits


@pytest.mark.parametrize(
    ("picture", "size", "expected"),
    [
        ((400, 300), box_size(100, 100), (100, 75)),
        ((300, 400), box_size(100, 100), (75, 100)),
        ((400, 300), box_size(100, 100, "cover"), (100, 100)),
        ((400, 300), box_size(100, 100, "pad"), (100, 100)),
        ((400, 300), box_size(400, 300), (400, 300)),
        ((400, 300), box_size(200, 500), (200, 150)),
        ((400, 300), box_size(200, 50, "cover"), (200, 50)),
        # nothing is enlarged unless asked
        ((40, 30), box_size(100, 100), (40, 30)),
        ((40, 30), box_size(100, 100, "cover"), (30, 30)),
        ((40, 30), box_size(100, 100, "pad"), (100, 100)),
        ((40, 30), box_size(20, 100), (20, 15)),
        ((40, 30), box_size(20, 100, "cover"), (6, 30)),
        ((40, 30), box_size(20, 100, "pad"), (20, 100)),
        ((40, 30), box_size(100, 100, enlarge=True), (100, 75)),
        ((40, 30), box_size(100, 100, "cover", enlarge=True), (100, 100)),
        ((40, 30), box_size(100, 100, "pad", enlarge=True), (100, 100)),
        # odd shapes
        ((1, 1), box_size(100, 50), (1, 1)),
        ((1, 1), box_size(100, 50, "cover"), (1, 1)),
        ((1, 1), box_size(100, 50, "pad"), (100, 50)),
        ((1, 1), box_size(100, 50, enlarge=True), (50, 50)),
        ((1, 1), box_size(100, 50, "cover", enlarge=True), (100, 50)),
        ((1, 1000), box_size(100, 100), (1, 100)),
        ((1, 1000), box_size(100, 100, "cover"), (1, 1)),
        ((1, 1000), box_size(100, 100, "pad"), (100, 100)),
        ((1, 1000), box_size(100, 100, "cover", enlarge=True), (100, 100)),
        ((1000, 1), box_size(100, 100), (100, 1)),
        ((1000, 1), box_size(1, 1), (1, 1)),
        ((1000, 1), box_size(1, 1, "cover"), (1, 1)),
        ((900, 20), box_size(90, 90), (90, 2)),
        ((900, 20), box_size(90, 90, "cover"), (20, 20)),
        ((900, 20), box_size(45, 10, "cover"), (45, 10)),
        ((333, 777), box_size(97, 61, "cover"), (97, 61)),
        ((3, 5), box_size(2, 2, "cover"), (2, 2)),
    ],
)
def test_size_of_each_fit(make, picture, size, expected):
    """By the file that is written and by the function that says it beforehand."""
    assert make(saved(plain(RED, size=picture), "PNG"), size).size == expected
    assert cut(picture, size)[2] == expected


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
def test_size_is_right_for_all_small_shapes(fit):
    """Every picture and box up to 9 x 9: within the box, never enlarged, touching the box wherever it can."""
    sides = range(1, 10)
    for shape in ((w, h, bw, bh) for w in sides for h in sides for bw in sides for bh in sides):
        width, height, box_width, box_height = shape
        window, final, canvas = cut((width, height), box_size(box_width, box_height, fit))
        assert 0 < window[0] <= width and 0 < window[1] <= height, shape
        assert 1 <= final[0] <= width and 1 <= final[1] <= height, shape
        assert canvas[0] <= box_width and canvas[1] <= box_height, shape
        if fit == "cover":
            assert canvas == final, shape
            if width >= box_width and height >= box_height:
                assert final == (box_width, box_height), shape
            continue
        assert window == (width, height), shape
        assert canvas == ((box_width, box_height) if fit == "pad" else final), shape
        assert final == (width, height) or final[0] == box_width or final[1] == box_height, shape
        assert final[0] <= box_width and final[1] <= box_height, shape


def bands(width: int, height: int) -> Image.Image:
    """Red, green and blue thirds from left to right (or, if it is tall, from top to bottom)."""
    picture = plain(GREEN, size=(width, height))
    if width > height:
        picture.paste(RED, (0, 0, width // 3, height))
        picture.paste(BLUE, (width - width // 3, 0, width, height))
    else:
        picture.paste(RED, (0, 0, width, height // 3))
        picture.paste(BLUE, (0, height - height // 3, width, height))
    return picture


@pytest.mark.parametrize("shape", [(300, 100), (100, 300)])
def test_contain_shows_the_whole_picture(make, shape):
    """All three thirds, in order."""
    thumbnail = make(saved(bands(*shape), "PNG"), box_size(60, 60))
    expected = bands(*shape).resize(thumbnail.size, Image.Resampling.LANCZOS)
    assert max(thumbnail.size) == 60
    assert difference(thumbnail, expected) < 1


@pytest.mark.parametrize("shape", [(300, 100), (100, 300)])
def test_cover_shows_the_middle(make, shape):
    """The middle third and nothing beside it."""
    thumbnail = make(saved(bands(*shape), "PNG"), box_size(50, 50, "cover"))
    assert thumbnail.size == (50, 50)
    assert_plain(thumbnail.crop((2, 2, 48, 48)), GREEN, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_focus_decides_what_cover_keeps(make, format, orientation):
    """However the picture is stored: an edge, a corner or a point of the upright one."""
    upright = corners(600, 400)
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    content = saved(stored_as(upright, orientation), format, exif=exif(orientation), **options)
    for focus, size, box in [
        ("top-left", (30, 20), (0, 0, 600, 400)),
        ("left", (20, 40), (0, 0, 200, 400)),
        ("right", (20, 40), (400, 0, 600, 400)),
        ("top", (60, 10), (0, 0, 600, 100)),
        ("bottom", (60, 10), (0, 300, 600, 400)),
        ("top-right", (40, 40), (200, 0, 600, 400)),
        ("25% 50%", (40, 40), (50, 0, 450, 400)),
        ("50% 25%", (60, 10), (0, 75, 600, 175)),
    ]:
        thumbnail = make(content, {**box_size(*size, "cover"), "focus": focus})
        expected = upright.crop(box).resize(size, Image.Resampling.LANCZOS)
        assert thumbnail.size == size
        assert difference(thumbnail, expected) < 3, focus


# Trim, margin, sharpening


def product(border=(250, 250, 248), size: tuple[int, int] = (600, 400), at=(100, 80, 300, 240)) -> Image.Image:
    """A red box on a nearly white border."""
    picture = plain(border, size=size)
    picture.paste(RED, at)
    return picture


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_trim_cuts_the_border_off(make, format, orientation):
    """What is left is the product, in its shape, however the picture is stored."""
    options = {"quality": 90} if format == "JPEG" else {}
    content = saved(stored_as(product(), orientation), format, exif=exif(orientation), **options)
    thumbnail = make(content, {**box_size(50, 50), "trim": True})
    assert thumbnail.size == (50, 40)
    assert_plain(thumbnail.crop((2, 2, 48, 38)), RED, LOSSY)


def test_trim_of_a_small_product_is_decoded_finely_enough(make):
    """The product is a sixteenth of a large JPEG: its stripes are as sharp as in a full decode."""
    picture = plain(WHITE, size=(3200, 2400))
    stripes = striped(600, 400)
    picture.paste(stripes, (1000, 800))
    thumbnail = make(saved(picture, "JPEG", quality=95, subsampling=0), {**box_size(300, 300), "trim": True})
    assert thumbnail.size == (300, 200)
    assert difference(thumbnail, stripes.resize((300, 200), Image.Resampling.LANCZOS)) < 3


@pytest.mark.parametrize(
    ("picture", "tolerance", "expected"),
    [
        (plain(WHITE, size=(60, 40)), 10, (60, 40)),  # nothing but border
        (product(BLACK), 10, (60, 48)),
        (product((128, 128, 128)), 10, (60, 48)),
        (product((255, 5, 5)), 10, (60, 40)),  # too much alike
        (product((255, 5, 5)), 2, (60, 48)),
        (product(at=(0, 80, 300, 400)), 10, (60, 64)),  # it touches two edges: three corners agree
        (product().convert("L"), 10, (60, 48)),
        (product().convert("CMYK"), 10, (60, 48)),
    ],
)
def test_trim_finds_the_border_or_leaves_the_picture(make, picture, tolerance, expected):
    """By the shape of what is left."""
    size = {**box_size(60, 64), "trim": True, "trim_tolerance": tolerance}
    assert make(saved(picture, "TIFF"), size).size == expected


@pytest.mark.parametrize("hidden", [BLACK, WHITE, RED])
def test_trim_cuts_transparency_off(make, hidden):
    """Whatever colour it hides."""
    picture = plain((*hidden, 0), "RGBA", (600, 400))
    picture.paste((*BLUE, 255), (100, 80, 300, 240))
    thumbnail = make(saved(picture, "PNG"), {**box_size(50, 50), "trim": True})
    assert thumbnail.size == (50, 40)
    assert_plain(thumbnail.crop((1, 1, 49, 39)), (*BLUE, 255), 2)


def test_margin_is_added_to_what_was_trimmed(make):
    """10 % of 200 pixels on each side, of the border as far as it reaches: the product takes 5 of 6 parts."""
    thumbnail = make(saved(product(), "PNG"), {**box_size(60, 60), "trim": True, "margin": 10})
    assert thumbnail.size == (60, 50)
    assert_plain(thumbnail.crop((6, 6, 54, 44)), RED, 2)
    for edge in ((0, 0, 60, 4), (0, 0, 4, 50), (0, 46, 60, 50), (56, 0, 60, 50)):
        assert_plain(thumbnail.crop(edge), (250, 250, 248), 7)


@pytest.mark.parametrize("orientation", [1, 6])
def test_margin_beyond_the_picture_is_background(make, orientation):
    """Half of the longer side on each side."""
    content = saved(stored_as(plain(RED, size=(40, 20)), orientation), "PNG", exif=exif(orientation))
    thumbnail = make(content, {**box_size(40, 40), "margin": 50}, background="#00ff00")
    assert thumbnail.size == (40, 30)
    assert_plain(thumbnail.crop((11, 11, 29, 19)), RED, 2)
    for edge in ((0, 0, 40, 9), (0, 0, 9, 30), (0, 21, 40, 30), (31, 0, 40, 30)):
        assert_plain(thumbnail.crop(edge), GREEN, 2)


@pytest.mark.parametrize(("fit", "shape"), [("contain", (60, 50)), ("cover", (60, 60)), ("pad", (60, 60))])
def test_trim_and_margin_come_before_the_fit(make, fit, shape):
    """Of each kind."""
    thumbnail = make(saved(product(), "PNG"), {**box_size(60, 60, fit), "trim": True, "margin": 10})
    assert thumbnail.size == shape
    assert_colour(thumbnail.getpixel((30, 30)), RED)
    assert_colour(thumbnail.getpixel((30, 1)), WHITE, 8)


def test_sharpening_raises_the_contrast_of_edges_only(make):
    """An edge is steeper; plain areas, and a grey's neutrality, stay."""
    picture = plain((100, 100, 100), size=(400, 400))
    picture.paste((150, 150, 150), (200, 0, 400, 400))
    soft, sharp = (make(saved(picture, "PNG"), {**box_size(99, 99), "sharpen": percent}) for percent in (0, 100))
    assert sharp.getchannel("R").getextrema()[1] > soft.getchannel("R").getextrema()[1] + 3
    assert_plain(sharp.crop((0, 0, 45, 99)), (100, 100, 100))
    assert_plain(sharp.crop((54, 0, 99, 99)), (150, 150, 150))
    for _, (red, green, blue) in sharp.getcolors():
        assert red == green == blue


def test_sharpening_leaves_no_seam_at_transparent_edges(make):
    """The colours stay what they are, up to the last visible pixel."""
    picture = plain((*BLACK, 0), "RGBA", (60, 60))
    picture.paste((200, 60, 60, 255), (17, 17, 43, 43))
    thumbnail = make(saved(picture, "PNG"), {**box_size(13, 13), "sharpen": 60})
    for *colour, alpha in thumbnail.get_flattened_data():
        seen = [channel * alpha / 255 for channel in colour]  # a faint pixel's own colour is kept coarsely
        assert_colour(seen, [channel * alpha / 255 for channel in (200, 60, 60)], 4)


def test_cover_does_not_enlarge_what_it_cuts(make):
    """A small picture is cut to the shape of the box, in its own pixels."""
    picture = Image.frombytes("RGB", (20, 10), random.Random(2).randbytes(600))
    thumbnail = make(saved(picture, "PNG"), box_size(50, 50, "cover"))
    assert difference(thumbnail, picture.crop((5, 0, 15, 10))) == 0


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
@pytest.mark.parametrize("shape", [(300, 100), (100, 300)])
def test_pad_lays_the_background_around(make, shape, format):
    """The whole picture in the middle, the background on both sides of it."""
    thumbnail = make(saved(plain(RED, size=shape), "PNG"), box_size(60, 60, "pad"), format, background="#0000ff")
    assert (thumbnail.mode, thumbnail.size) == ("RGB", (60, 60))
    if shape[0] < shape[1]:
        thumbnail = thumbnail.transpose(Image.Transpose.TRANSPOSE)
    assert_plain(thumbnail.crop((0, 0, 60, 16)), BLUE, 12)
    assert_plain(thumbnail.crop((0, 24, 60, 36)), RED, 12)
    assert_plain(thumbnail.crop((0, 44, 60, 60)), BLUE, 12)


def test_pad_does_not_enlarge(make):
    """A small picture stands in the middle, in its own pixels."""
    picture = Image.frombytes("RGB", (6, 4), random.Random(2).randbytes(72))
    thumbnail = make(saved(picture, "PNG"), box_size(20, 20, "pad"), background="#00ff00")
    assert difference(thumbnail.crop((7, 8, 13, 12)), picture) == 0
    thumbnail.paste(GREEN, (7, 8, 13, 12))
    assert_plain(thumbnail, GREEN)


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_pad_surrounds_a_transparent_picture_with_nothing(make, format):
    """And JPEG, of the same picture, with the background."""
    content = saved(plain((*RED, 200), "RGBA", (60, 20)), "PNG")
    thumbnail = make(content, box_size(60, 60, "pad"), format)
    assert (thumbnail.mode, thumbnail.size) == ("RGBA", (60, 60))
    assert thumbnail.getpixel((30, 5))[3] <= 3 and thumbnail.getpixel((30, 55))[3] <= 3
    assert abs(thumbnail.getpixel((30, 30))[3] - 200) <= 4
    assert_colour(make(content, box_size(60, 60, "pad"), "jpeg", background="#00ff00").getpixel((30, 4)), GREEN, 6)


def test_enlarged_cover_of_a_thin_picture_takes_little_memory(tmp_path):
    """Only what is shown is scaled up: 500 x 500 pixels, not 500 x 2,000,000."""
    source = tmp_path / "thin.png"
    source.write_bytes(saved(plain(RED, size=(1, 4_000)), "PNG"))
    program = (
        "import resource, sys\n"
        "from scripts.thumbnail import Thumbnail, make_thumbnails\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "size = {'width': 500, 'height': 500, 'fit': 'cover', 'enlarge': True}\n"
        "make_thumbnails(sys.argv[1], [Thumbnail(sys.argv[2], size, 'png')], quality={})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, source, tmp_path / "out.png"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    assert Image.open(tmp_path / "out.png").size == (500, 500)


# Several thumbnails of one picture


def test_all_sizes_and_formats_from_one_decode(make, monkeypatch):
    """A reader of PNG that counts: one file opened, its pixels decoded once, for twelve thumbnails."""
    counts = {"opened": 0, "decoded": 0}

    class CountingPng(PngImageFile):
        def _open(self):
            counts["opened"] += 1
            super()._open()

        def load(self):
            counts["decoded"] += bool(self.tile)
            return super().load()

    monkeypatch.setitem(Image.OPEN, "PNG", (CountingPng, Image.OPEN["PNG"][1]))
    sizes = [box_size(20, 20), box_size(10, 10, "cover"), box_size(12, 12, "pad")]
    make.notes(saved(corners(), "PNG"), sizes, ["jpeg", "png", "webp", "avif"])
    assert counts == {"opened": 1, "decoded": 1}
    assert len(make.files()) == 12
    shapes = [
        Image.open(make.out / name).size for name in sorted(make.files(), key=lambda name: int(name.split(".")[0]))
    ]
    assert shapes == [(20, 15)] * 4 + [(10, 10)] * 4 + [(12, 12)] * 4


@pytest.mark.parametrize("source", ["JPEG", "PNG"])
def test_thumbnail_is_nearly_the_same_alone_and_among_others(make, source):
    """A large size beside it does not change what a small one shows."""
    content = saved(corners(800, 600), source, quality=95)
    make.notes(content, [box_size(400, 400), box_size(40, 40)])
    beside = Image.open(make.out / "1.png").copy()
    assert difference(beside, make(content, box_size(40, 40))) < 1.5


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_quality_is_the_encoders(make, format):
    """Less quality, fewer bytes."""
    content = saved(Image.effect_noise((64, 64), 60).convert("RGB"), "PNG")
    low, high = (len(make.bytes(content, box_size(64, 64), format, quality={format: q})) for q in (20, 90))
    assert low < high * 0.7


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
def test_thumbnail_is_in_the_format_asked_for(make, format):
    """Whatever its path is called."""
    target = make.out / "thumbnail.bin"
    make.source.write_bytes(saved(corners(), "PNG"))
    make_thumbnails(str(make.source), [Thumbnail(str(target), SMALL, format)], quality=QUALITY)
    assert Image.open(target).format == format.upper()


def test_same_input_gives_same_bytes(make, tmp_path):
    """Called twice, and in a process of its own that hashes text differently, for each format."""
    make.source.write_bytes(saved(Image.effect_noise((300, 200), 60).convert("RGBA"), "PNG", icc_profile=wide_gamut()))
    program = (
        "import sys\n"
        "from scripts.thumbnail import FORMATS, Thumbnail, make_thumbnails\n"
        "size = {'width': 90, 'height': 70, 'fit': 'cover', 'enlarge': False}\n"
        "thumbnails = [Thumbnail(f'{sys.argv[2]}/{format}', size, format) for format in FORMATS]\n"
        "make_thumbnails(sys.argv[1], thumbnails, quality={'jpeg': 80, 'webp': 80, 'avif': 65})\n"
    )
    found = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", program, make.source, folder], cwd=REPOSITORY, env=environment, check=True
        )
        found.append({name: (folder / name).read_bytes() for name in FORMATS})
    for _ in range(2):
        size = box_size(90, 70, "cover")
        thumbnails = [Thumbnail(str(make.out / format), size, format) for format in FORMATS]
        make_thumbnails(str(make.source), thumbnails, quality={"jpeg": 80, "webp": 80, "avif": 65})
        found.append({name: (make.out / name).read_bytes() for name in FORMATS})
    assert all(files == found[0] for files in found)


def striped(width: int, height: int) -> Image.Image:
    """Stripes that show when a picture is stretched by a pixel: dark and light, upright, 40 pixels each."""
    picture = plain((40, 40, 200), size=(width, height))
    draw = ImageDraw.Draw(picture)
    for x in range(0, width, 80):
        draw.rectangle((x, 0, x + 39, height), fill=(230, 200 * x // width, 30))
    return picture


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("shape", [(1009, 757), (1601, 1201), (1999, 1499), (1600, 1200)])
@pytest.mark.parametrize("side", [60, 100, 200])
def test_jpeg_decoded_small_is_the_picture_decoded_whole(make, shape, side, orientation):
    """Mean difference to the full decode: up to 1.5 of 255 where the geometry is right, 3 to 12 where it is not.

    libjpeg rounds the size of a picture decoded at 1/8 up, so that its last column stands for a part of one only.
    """
    content = saved(striped(*shape), "JPEG", quality=95, subsampling=0, exif=exif(orientation))
    thumbnail = make(content, box_size(side, side))
    whole = Image.open(io.BytesIO(content)).convert("RGB")
    undone = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    if undone is not None:
        thumbnail = thumbnail.transpose(undone)
    methods = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC)  # which differ where stripes are that fine
    assert min(difference(thumbnail, whole.resize(thumbnail.size, method)) for method in methods) < 2.5


@pytest.mark.parametrize(
    ("picture", "boxes", "divisor"),
    [
        ((2725, 2225), [720], 2),
        ((2725, 2225), [790], 1),
        ((2725, 2225), [720, 256, 128], 2),  # the largest size decides
        ((3000, 2000), [256], 4),
        ((3000, 2000), [340], 2),
        ((640, 480), [128], 2),
        ((400, 533), [256], 1),
        ((5000, 4000), [250], 8),
        ((100, 100), [256], 1),
    ],
)
def test_jpeg_is_decoded_at_the_smallest_scale_that_serves(picture, boxes, divisor):
    """By the function, and by what Pillow then hands over: the picture is read no larger than that."""
    assert jpeg_scale([cut(picture, box_size(box, box)) for box in boxes]) == divisor
    opened = Image.open(io.BytesIO(saved(plain(RED, size=picture), "JPEG")))
    render(opened, [box_size(box, box) for box in boxes], "#ffffff", [])
    assert opened.size == tuple(-(-side // divisor) for side in picture)


def test_halves_are_made_once_for_all_sizes():
    """Ten sizes, three halvings; the size that needs none is made of the picture itself."""
    picture = Halves(striped(800, 600))
    for width in (400, 300, 200, 150, 120, 100, 90, 80, 60, 50):
        made = picture.resample((width, width * 3 // 4), (0, 0, 800, 600))
        assert difference(made, striped(800, 600).resize(made.size, Image.Resampling.LANCZOS)) < 3
    assert [image.size for image in picture.images] == [(800, 600), (400, 300), (200, 150), (100, 75)]


# Refusals


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG file up to the frame header."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    scan = b"\xff\xda" + struct.pack(">H", 12) + bytes([3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0])
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + scan


HUGE = {
    "png": png(60000, 60000, 8, 2, b"")[:33] + chunk(b"IEND", b""),
    "png-with-pixels": png(60000, 60000, 8, 2, b"")[:33] + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
    "jpeg": jpeg_header(60000, 60000),
    "bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
    "tiff": tiff(60000, 60000, b"", {}),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 60000, 60000, 0x80, 0, 0) + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;",
    "gif-frame": b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b",\0\0\0\0\x60\xea\x60\xea\0\2\2\x44\1\0;",
}  # fmt: skip


@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE)
def test_too_large_is_seen_in_the_header(make, content):
    """No pixel is decoded: the file has none, and it is its size that it is refused for."""
    reason = make.refusal(content)
    assert reason.startswith("too large: 60000 x 60000")
    assert "max_pixels" in reason


def test_largest_accepted_picture_is_max_pixels(make):
    """One pixel more is too much."""
    content = saved(plain(RED, size=(20, 10)), "PNG")
    assert make(content, max_pixels=200).size == (8, 4)
    os.unlink(make.out / "0.png")
    assert "20 x 10" in make.refusal(content, max_pixels=199)


@pytest.mark.parametrize("format", ["EPS", "PPM", "PDF", "ICO", "TGA", "JPEG2000", "PCX", "SGI", "DDS", "ICNS"])
def test_formats_outside_the_list_are_refused(make, format):
    """Pillow could read most of these."""
    size = (32, 32)
    assert "not a picture in a format that is read" in make.refusal(saved(plain(RED, size=size), format))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_wrong_extension_is_no_reason_to_refuse(tmp_path, format):
    """A PNG called .jpg is made: its content says what it is."""
    source, target = tmp_path / "picture.jpg", tmp_path / "out.png"
    source.write_bytes(saved(plain(RED), format))
    assert make_thumbnails(str(source), [Thumbnail(str(target), SMALL, "png")], quality={}) == []
    assert_plain(Image.open(target).convert("RGB"), RED, LOSSY)


VARIANTS = {
    "jpeg": ("JPEG", {}),
    "jpeg-progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "webp-lossless": ("WEBP", {"lossless": True}),
    "avif": ("AVIF", {}),
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff-jpeg": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
}
NOISE = Image.frombytes("RGB", (80, 60), random.Random(3).randbytes(80 * 60 * 3))


@pytest.mark.parametrize(("format", "options"), VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9, 0.97])
def test_truncated_file_is_refused(make, format, options, part):
    """Whatever is left of it."""
    content = saved(NOISE, format, **options)
    make.refusal(content[: int(len(content) * part)])


@pytest.mark.parametrize(("format", "options"), VARIANTS.values(), ids=VARIANTS)
def test_corrupted_file_is_made_whole_or_refused(make, format, options):
    """Thirty times twenty wrong bytes: all thumbnails or none, and no error but PictureError."""
    content, chance = saved(NOISE, format, **options), random.Random(4)
    for _ in range(30):
        damaged = bytearray(content)
        for _ in range(20):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            make.notes(bytes(damaged), [SMALL, box_size(4, 4)], ["png", "jpeg"], max_pixels=100_000)
        except PictureError as error:
            checked_reason(error)
            assert make.files() == []
        else:
            assert make.files() == ["0.png", "1.jpg", "2.png", "3.jpg"]
            for name in make.files():
                Image.open(make.out / name).load()
                os.unlink(make.out / name)


# Damaged, and readable with a warning


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("fit", ["contain", "cover"])
def test_truncated_file_is_made_when_asked(make, format, fit):
    """The upper part is there, and a note says what was wrong."""
    content = saved(plain(RED, size=(400, 400)), format)
    content = saved(Image.effect_noise((400, 400), 20).convert("RGB"), format) if format == "GIF" else content
    part = content[: len(content) * 2 // 3]
    refused = make.refusal(part)
    assert refused.startswith("damaged: ")
    (note,) = make.notes(part, [box_size(40, 40, fit)], damaged="make")
    assert note == f"{refused}; made from what is there"
    thumbnail = Image.open(make.out / "0.png").convert("RGB")
    assert thumbnail.size == (40, 40)
    if format in ("JPEG", "PNG"):
        assert_plain(thumbnail.crop((0, 0, 40, 18)), RED, LOSSY)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_what_is_no_picture_is_refused_in_any_case(make):
    """And so is a picture of which there is nothing, and one that is too large."""
    assert "not a picture" in make.refusal(b"This is not a picture.\n" * 20, damaged="make")
    assert "empty" in make.refusal(b"", damaged="make")
    assert "too large" in make.refusal(saved(plain(RED), "PNG"), damaged="make", max_pixels=100)
    assert make.refusal(png(60, 60, 8, 2, b"")[:33], damaged="make")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])
def test_trailing_bytes_cost_a_note(make, format):
    """And not one pixel."""
    content = saved(corners(), format)
    assert make.notes(content) == []
    expected = Image.open(make.out / "0.png").copy()
    notes = make.notes(content + b"x" * 1234)
    assert notes == ["1,234 bytes behind its end are no part of the picture"]
    assert difference(Image.open(make.out / "0.png"), expected) == 0


def test_missing_end_marker_costs_a_note(make):
    """A PNG whose pixels are all there, without its last chunk."""
    content = saved(corners(), "PNG")[:-12]
    assert make.notes(content) == ["its end marker is missing"]


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_broken_exif_block_costs_a_note(make, format):
    """Cut in its middle: the picture is made, as it is stored."""
    block = exif(6)
    block[0x010F] = "maker" * 20
    notes = make.notes(saved(plain(RED, size=(16, 8)), format, exif=block.tobytes()[:-90]))
    assert len(notes) == 1 and notes[0].startswith("broken EXIF block: ")
    assert_plain(Image.open(make.out / "0.png"), RED, LOSSY)


def test_whole_exif_block_costs_none(make):
    """With GPS and text in it."""
    assert make.notes(with_metadata("JPEG", plain(RED))) == []


# HEIC


def test_heic_without_its_library_says_what_is_missing(make, monkeypatch):
    """And how to get it."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    reason = make.refusal(b"\0\0\0\x18ftypheic" + bytes(100))
    assert reason.startswith("a HEIC picture") and "pip install" in reason


def test_heic_is_read_where_its_library_is(make):
    """In its colours, and turned once: EXIF has no say in it (ISO/IEC 23008-12); a damaged one is refused."""
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    content = saved(corners(), "HEIF", quality=95, exif=exif(6))
    thumbnail = make(content, box_size(32, 32))
    assert thumbnail.size == (32, 24)
    for at, colour in {(6, 5): RED, (26, 5): GREEN, (6, 19): BLUE, (26, 19): YELLOW}.items():
        assert_colour(thumbnail.getpixel(at), colour, 16)
    os.unlink(make.out / "0.png")
    assert make.refusal(content[: len(content) // 2]).startswith("damaged")


# Linear light


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_linear_light_keeps_brightness(make, format):
    """Black and white lines: half the light is 188 of 255 (IEC 61966-2-1), where the mean of the numbers is 128."""
    lines = plain(BLACK, size=(400, 300))
    for y in range(0, 300, 2):
        lines.paste(WHITE, (0, y, 400, y + 1))
    content = saved(lines, format, **({"quality": 100} if format == "JPEG" else {}))
    assert_plain(make(content, box_size(40, 40)).crop((5, 5, 35, 25)), (128,) * 3, 4)
    assert_plain(make(content, box_size(40, 40), linear=True).crop((5, 5, 35, 25)), (188,) * 3, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK"])
def test_linear_light_keeps_plain_colours(make, mode):
    """Every level, so that the two curves are each other's inverse; and opacity."""
    for level in (0, 1, 2, 5, 13, 64, 128, 200, 254, 255):
        colour = {"L": level, "RGB": (level, 9, 200), "RGBA": (level, 9, 200, 255), "P": level}.get(mode)
        picture = plain((0, 0, 0, 255 - level), "CMYK") if mode == "CMYK" else plain(colour, mode)
        if mode == "P":
            picture.putpalette([value for value in range(256) for _ in range(3)])
        content = saved(picture, "TIFF" if mode == "CMYK" else "PNG")
        assert difference(make(content, linear=True), make(content)) <= 0.4


def test_linear_light_gives_transparent_edges_no_seam(make):
    """As in test_transparent_edges_get_no_seam."""
    picture = plain((*BLACK, 0), "RGBA", (60, 60))
    picture.paste((200, 60, 60, 255), (17, 17, 43, 43))
    thumbnail = make(saved(picture, "PNG"), box_size(13, 13), linear=True)
    for *colour, alpha in thumbnail.get_flattened_data():
        if alpha > 25:
            assert_colour(colour, (200, 60, 60), 6)
    assert_colour(thumbnail.getpixel((6, 6)), (200, 60, 60, 255))
    assert thumbnail.getpixel((0, 0))[3] == 0


def test_corrupted_pixels_of_a_png_are_refused(make):
    """PNG has checksums: a picture that is not what was saved must not pass for it."""
    content = bytearray(saved(NOISE, "PNG"))
    content[len(content) // 2] ^= 0xFF
    assert make.refusal(bytes(content)).startswith("damaged")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"This is not a picture.\n" * 20, "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"\xff\xd8\xff", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture"),
        (bytes(1000), "not a picture"),
    ],
    ids=["empty", "text", "svg", "jpeg-start", "png-start", "zeros"],
)
def test_no_picture_at_all(make, content, word):
    """One line says what it is not."""
    assert word in make.refusal(content)


@pytest.mark.parametrize("kind", ["missing", "dangling", "loop", "folder", "in-a-file"])
def test_source_that_is_no_file(make, kind):
    """Each has a line of its own that does not call the picture damaged."""
    path = make.source
    if kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "in-a-file":
        path.write_bytes(b"x")
        path = path / "picture.jpg"
    with pytest.raises(PictureError) as caught:
        make_thumbnails(str(path), [Thumbnail(str(make.out / "0.png"), SMALL, "png")], quality=QUALITY)
    assert "damaged" not in checked_reason(caught.value)
    assert make.files() == []


def test_size_that_the_encoder_refuses(make):
    """WebP holds 16383 pixels: the reason names format and size, and the other thumbnail is not written either."""
    reason = make.refusal(
        saved(plain(RED, size=(20_000, 2)), "PNG"), sizes=[box_size(20_000, 2)], formats=["png", "webp"]
    )
    assert "webp" in reason and "20000x2" in reason


# Writing


def test_existing_thumbnail_is_replaced(make):
    """And nothing else lies beside it."""
    (make.out / "0.png").write_bytes(b"old")
    assert_plain(make(saved(plain(RED), "PNG")), RED)
    assert make.files() == ["0.png"]


def test_existing_thumbnail_is_replaced_not_written_into(make, tmp_path):
    """A second name of the old thumbnail (a hard link, a backup) keeps its content."""
    (make.out / "0.png").write_bytes(b"old")
    os.link(make.out / "0.png", tmp_path / "backup")
    make(saved(plain(RED), "PNG"))
    assert (tmp_path / "backup").read_bytes() == b"old"


def test_thumbnail_can_be_read_by_others(make):
    """Its permissions are those that the umask leaves to any new file."""
    old = os.umask(0o022)
    try:
        make(saved(plain(RED), "PNG"))
    finally:
        os.umask(old)
    assert os.stat(make.out / "0.png").st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kind", ["missing-folder", "folder", "full-folder", "in-a-file", "long-name", "new\nline"])
@pytest.mark.parametrize("position", [0, 1])
def test_thumbnail_that_cannot_be_written(make, kind, position):
    """The reason names the path, and neither a temporary file nor the other thumbnail is left."""
    bad = {"in-a-file": make.out / "file" / "t.png", "long-name": make.out / ("x" * 255 + ".png")}.get(
        kind, make.out / kind / "t.png"
    )
    if kind == "folder":
        bad.mkdir(parents=True)
    elif kind == "full-folder":
        bad.mkdir(parents=True)
        (bad / "inside").touch()
    elif kind == "in-a-file":
        bad.parent.write_bytes(b"mine")
    paths = [make.out / "good.png", make.out / "better.png"]
    paths.insert(position, bad)
    before = sorted(make.out.rglob("*"))
    make.source.write_bytes(saved(plain(RED), "PNG"))
    with pytest.raises(PictureError) as caught:
        make_thumbnails(str(make.source), [Thumbnail(str(path), SMALL, "png") for path in paths], quality=QUALITY)
    reason = checked_reason(caught.value)
    assert "cannot write" in reason
    assert str(bad).replace("\n", " ") in reason.replace("\\n", " ")
    assert sorted(make.out.rglob("*")) == before


@pytest.mark.parametrize(("white", "expected"), [(0, WHITE), (65_535, BLACK)])
def test_16_bit_tiff_in_which_zero_is_white(make, white, expected):
    """PhotometricInterpretation 0, which Pillow heeds for 1 and 8 bits only."""
    content = saved(plain(white, "I;16"), "TIFF", tiffinfo={262: 0})
    assert_plain(make(content, SMALL), expected, 1)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(("mode", "expected"), [("RGB", WHITE), ("RGBA", (*WHITE, 0))])
def test_a_window_that_shows_nothing_but_margin_is_background(make, mode, expected, linear):
    """A corner of what cover shows may lie wholly in a wide margin: a sound picture must not fail for it."""
    size = {**box_size(2, 200, "cover"), "focus": "top-left", "margin": 100}
    thumbnail = make(saved(Image.new(mode, (40, 30)), "PNG"), size, "png", linear=linear)
    assert {pixel for _, pixel in thumbnail.getcolors()} == {expected}
