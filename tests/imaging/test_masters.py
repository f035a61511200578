"""The formats that the setting `read` switches on: JPEG 2000, Photoshop documents, JPEG XL."""

import io
import struct
import sys

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_plain
from tests.support.pictures import BLUE, GREEN, RED, WHITE, YELLOW, box_size, corners, exif, plain, saved
from tests.support.profiles import SPACES, matrix_profile
from thumbmill.catalog.recipe import Facts, read_facts
from thumbmill.imaging.signatures import jpegxl_size

FULL = box_size(64, 64)
COLOUR = (200, 100, 50)
CORNERS = {(16, 12): RED, (48, 12): GREEN, (16, 36): BLUE, (48, 36): YELLOW}


def assert_corners(thumbnail: Image.Image, tolerance: int = 2) -> None:
    """Fail unless `thumbnail` looks like corners()."""
    assert thumbnail.size == (64, 48)
    for at, colour in CORNERS.items():
        assert_colour(thumbnail.getpixel(at)[:3], colour, tolerance)


@pytest.mark.parametrize(
    ("format", "value", "name"),
    [("JPEG2000", "+jpeg2000", "a JPEG 2000 picture"), ("PSD", "+psd", "a Photoshop document")],
)
def test_a_format_is_read_only_if_the_setting_names_it(make, format, value, name):
    content = psd([RED], (3, 8)) if format == "PSD" else saved(plain(RED), format)
    others = [other for other in ("+jpeg2000", "+psd", "+jpegxl") if other != value]
    assert make.refusal(content, read=others) == f"{name}: to have it made, set `read: [{value}]`"
    assert_plain(make(content, read=[value]), RED, 2)


# JPEG 2000


@pytest.mark.parametrize("options", [{}, {"no_jp2": True}, {"irreversible": True}])
def test_jpeg_2000(make, options):
    """In its container, and as a bare codestream."""
    assert_corners(make(saved(corners(), "JPEG2000", **options), FULL, read=["+jpeg2000"]), 8)


@pytest.mark.parametrize(("mode", "colour"), [("L", 100), ("LA", (100, 128)), ("RGBA", (*COLOUR, 128))])
def test_jpeg_2000_of_other_modes(make, mode, colour):
    thumbnail = make(saved(plain(colour, mode), "JPEG2000"), read=["+jpeg2000"])
    expected = plain(colour, mode).convert("RGBA" if mode.endswith("A") else "RGB").getpixel((0, 0))
    assert_plain(thumbnail, expected, 2)
    assert read_facts(str(make.source), 10_000, ["+jpeg2000"]) == Facts((16, 16), mode.endswith("A"))
    assert read_facts(str(make.source), 10_000) is None


def test_jpeg_2000_of_16_bits_in_grey(make):
    thumbnail = make(saved(plain(65_535, "I;16"), "JPEG2000"), read=["+jpeg2000"])
    assert_plain(thumbnail, WHITE)


def with_colours(content: bytes, box: bytes) -> bytes:
    """Return a JPEG 2000 picture with another colour specification box."""
    at = content.index(b"colr") - 4
    (length,) = struct.unpack_from(">I", content, at)
    (header,) = struct.unpack_from(">I", content, content.index(b"jp2h") - 4)
    box = struct.pack(">I", len(box) + 8) + b"colr" + box
    changed = content[:at] + box + content[at + length :]
    size = struct.pack(">I", header + len(box) - length)
    return changed.replace(struct.pack(">I", header) + b"jp2h", size + b"jp2h")


def test_profile_of_a_jpeg_2000_picture_counts(make):
    primaries, white, curve, given, expected = SPACES["display-p3"]
    profile = matrix_profile(primaries, white, curve())
    content = with_colours(saved(plain(given), "JPEG2000"), b"\2\0\0" + profile)
    assert_plain(make(content, read=["+jpeg2000"]), expected, 2)


def test_jpeg_2000_in_unusual_colours_is_refused(make):
    """CIELab (14): its numbers would be taken for sRGB."""
    content = with_colours(saved(plain(RED), "JPEG2000"), b"\1\0\0" + struct.pack(">I", 14))
    assert "in the colour space 14, a kind that cannot be read" in make.refusal(content, read=["+jpeg2000"])


def test_deep_jpeg_2000_needs_the_archive_library(make, monkeypatch):
    """In colours of more than 8 bits Pillow makes white black."""
    codecs = pytest.importorskip("imagecodecs")
    pytest.importorskip("tifffile")
    np = pytest.importorskip("numpy")
    array = np.full((16, 16, 3), 65_535, "u2")
    array[:8] = [level * 257 for level in COLOUR]
    content = codecs.jpeg2k_encode(array, level=0)
    thumbnail = make(content, box_size(16, 16), read=["+jpeg2000"])
    assert_plain(thumbnail.crop((0, 0, 16, 8)), COLOUR)
    assert_plain(thumbnail.crop((0, 8, 16, 16)), WHITE)
    for file in make.out.iterdir():
        file.unlink()
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    reason = make.refusal(content, read=["+jpeg2000"])
    assert reason.startswith("a JPEG 2000 picture with 16 bits per sample, which needs libraries")


def test_limits_hold_for_jpeg_2000(make):
    content = saved(plain(RED, size=(40, 30)), "JPEG2000")
    assert make.refusal(content, read=["+jpeg2000"], max_pixels=1199).startswith("too large: 40 x 30")
    assert make.refusal(content[:-200], read=["+jpeg2000"]).startswith("damaged")


# Photoshop


def psd(
    pixels: list,
    kind: tuple[int, int],
    *,
    layers: int = 0,
    resources: bytes = b"",
    packing: int = 0,
    palette: bytes = b"",
) -> bytes:
    """Return a Photoshop document of 8 x 4 pixels of one colour; `kind` is its colour mode and bits per channel."""
    mode, bits = kind
    (colour,) = pixels
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(colour), 4, 8, bits, mode)
    info = struct.pack(">h", layers) + bytes(24 * abs(layers))
    sections = [palette, resources, struct.pack(">I", len(info)) + info if layers else b""]
    start = header + b"".join(struct.pack(">I", len(section)) + section for section in sections)
    if packing == 1:  # PackBits: before each row of a channel how many bytes follow, before all how long each row is
        rows = b"".join((bytes([7]) + bytes([level]) * 8) * 4 for level in colour)
        return start + struct.pack(f">{1 + 4 * len(colour)}H", packing, *[9] * 4 * len(colour)) + rows
    return start + struct.pack(">H", packing) + b"".join(bytes([level]) * (4 * 8 * bits // 8) for level in colour)


PALETTE = b"".join(bytes([0, level]) + bytes(254) for level in COLOUR)


@pytest.mark.parametrize("selections", [0, 1, 2, 5])
@pytest.mark.parametrize(
    ("colour", "kind", "expected"),
    [(COLOUR, (3, 8), COLOUR), ((200,), (1, 8), (200,) * 3), ((255, 0, 0, 255), (4, 8), RED), ((1,), (2, 8), COLOUR)],
)
def test_packed_merged_picture_beside_saved_selections(make, selections, colour, kind, expected):
    """Pillow takes the lengths of their rows for pixels."""
    content = psd([(*colour, *[0] * selections)], kind, packing=1, palette=PALETTE if kind == (2, 8) else b"")
    assert_plain(make(content, read=["+psd"]), expected, 8 if expected == RED else 2)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (psd([COLOUR], (3, 8)), COLOUR),
        (psd([(200,)], (1, 8)), (200, 200, 200)),
        (psd([(1,)], (2, 8), palette=PALETTE), COLOUR),
        (psd([(255, 0, 0, 255)], (4, 8)), RED),
        (psd([(255, 0, 0, 255, 77)], (4, 8)), RED),
        (psd([(138, 209, 198)], (9, 8)), RED),
        (psd([(0,)], (0, 1)), WHITE),
        (psd([(*COLOUR, 0)], (3, 8)), COLOUR),
        (psd([(*COLOUR, 0)], (3, 8), layers=1), COLOUR),
        (psd([(227, 177, 152, 128)], (3, 8), layers=-1), (*COLOUR, 128)),
    ],
    ids=["rgb", "grey", "palette", "cmyk", "cmyk-selection", "lab", "bitmap", "selection", "selection-layer", "alpha"],
)
def test_merged_picture_of_a_photoshop_document(make, content, expected):
    """A fourth channel is a saved selection, unless the number of layers is negative: then the colours hold white."""
    assert_plain(make(content, read=["+psd"]), expected, 8 if expected == RED else 2)


UNMERGED = b"8BIM" + struct.pack(">H2xI", 1057, 6) + b"\0\0\0\1\0\0"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (psd([COLOUR], (3, 16)), "a Photoshop document of 16-bit RGB"),
        (psd([COLOUR], (3, 32)), "a Photoshop document of 32-bit RGB"),
        (psd([(200,)], (8, 8)), "a Photoshop document of 8-bit duotone"),
        (psd([COLOUR], (3, 8), packing=2), "compressed as ZIP"),
        (psd([COLOUR], (3, 8), resources=UNMERGED), "saved without its merged picture"),
    ],
)
def test_photoshop_document_that_would_come_out_wrong_is_refused(make, content, words):
    reason = make.refusal(content, read=["+psd"])
    assert words in reason and "a kind that cannot be read" in reason


def test_limits_hold_for_photoshop_documents(make):
    content = psd([COLOUR], (3, 8))
    assert make.refusal(content, read=["+psd"], max_pixels=31).startswith("too large: 8 x 4")
    assert make.refusal(content[:-20], read=["+psd"]).startswith("damaged")
    assert make.refusal(content[:20], read=["+psd"]).startswith("damaged")


# JPEG XL


@pytest.fixture
def jpegxl():
    """Pillow's plugin for JPEG XL."""
    return pytest.importorskip("pillow_jxl")


def test_jpeg_xl_without_its_library_says_what_is_missing(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    reason = make.refusal(b"\xff\x0a" + bytes(40), read=["+jpegxl"])
    assert reason.startswith("a JPEG XL picture, which needs a library") and "'.[jpegxl]'" in reason


@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl(make, jpegxl, container):
    content = saved(corners(), "JXL", lossless=True, use_container=container)
    assert_corners(make(content, FULL, read=["+jpegxl"]))
    assert jpegxl_size(io.BytesIO(content)) == (64, 48)


@pytest.mark.parametrize(("mode", "colour"), [("L", 100), ("LA", (100, 128)), ("RGBA", (*COLOUR, 128))])
def test_jpeg_xl_of_other_modes(make, jpegxl, mode, colour):
    thumbnail = make(saved(plain(colour, mode), "JXL", lossless=True), read=["+jpegxl"])
    expected = plain(colour, mode).convert("RGBA" if mode.endswith("A") else "RGB").getpixel((0, 0))
    assert_plain(thumbnail, expected, 2)
    assert read_facts(str(make.source), 10_000, ["+jpegxl"]) == Facts((16, 16), True), "it may be transparent"


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (256, 256), (640, 480), (300, 200), (1920, 1080), (7, 1000), (9000, 3)]
)
def test_size_of_a_jpeg_xl_picture_is_read_without_its_decoder(jpegxl, size):
    """From each of the ways to write it."""
    assert jpegxl_size(io.BytesIO(saved(plain(RED, size=size), "JXL"))) == size
    assert jpegxl_size(io.BytesIO(b"\xff\x0a")) is None


def test_limits_hold_for_jpeg_xl(make, jpegxl):
    """Its library would decode a picture to open it."""
    content = saved(plain(RED, size=(40, 30)), "JXL")
    assert make.refusal(content, read=["+jpegxl"], max_pixels=1199).startswith("too large: 40 x 30")
    assert make.refusal(content[:-10], read=["+jpegxl"]).startswith("damaged")


def test_jpeg_xl_made_of_a_jpeg_stands_upright(make, jpegxl, tmp_path):
    """Its EXIF block is the JPEG's; in any other it does not count (ISO/IEC 18181-2)."""
    source = tmp_path / "upright.jpg"
    source.write_bytes(saved(corners(), "JPEG", exif=exif(6), quality=95))
    with Image.open(source) as picture:
        content = saved(picture, "JXL")
    thumbnail = make(content, FULL, read=["+jpegxl"])
    assert thumbnail.size == (48, 64)
    assert_colour(thumbnail.getpixel((12, 16)), BLUE, 3)
    assert_corners(make(saved(corners(), "JXL", lossless=True, exif=exif(6).tobytes()), FULL, read=["+jpegxl"]))


def test_profile_of_a_jpeg_xl_picture_counts(make, jpegxl, tmp_path):
    """The library's encoder takes none, but keeps that of a JPEG."""
    primaries, white, curve, given, expected = SPACES["display-p3"]
    source = tmp_path / "p3.jpg"
    source.write_bytes(saved(plain(given), "JPEG", quality=95, icc_profile=matrix_profile(primaries, white, curve())))
    with Image.open(source) as picture:
        content = saved(picture, "JXL")
    assert_plain(make(content, read=["+jpegxl"]), expected, 2)
