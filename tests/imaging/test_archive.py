"""The pictures that the extra `.[archive]` decodes: every kind comes out in its colours, within the limits."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_half, assert_plain
from tests.support.pictures import BLUE, GREEN, LOSSY, RED, WHITE, YELLOW, box_size, corners, exif, plain, saved, tiff
from tests.support.profiles import SPACES, gamma, matrix_profile
from thumbmill.catalog.recipe import Facts, read_facts

tifffile = pytest.importorskip("tifffile")
imagecodecs = pytest.importorskip("imagecodecs")
np = pytest.importorskip("numpy")

FULL = box_size(16, 16)
GREY, HALF = (200, 200, 200), 128
COLOUR = (200, 100, 50)


def picture(*samples: float, dtype: str = "u1", **options: Any) -> bytes:
    """Return a TIFF of 16 x 16 pixels, all of these `samples`, as tifffile writes it with `options`."""
    array = np.full((16, 16, len(samples)), samples, dtype)
    content = io.BytesIO()
    tifffile.imwrite(content, array[..., 0] if len(samples) == 1 else array, **options)
    return content.getvalue()


def grey(*samples: float, **options: Any) -> bytes:
    return picture(*samples, **{"photometric": "minisblack", **options})


def rgb(*samples: float, **options: Any) -> bytes:
    return picture(*samples, photometric="rgb", **options)


def packed(*samples: int, bits: int, **tags: int) -> bytes:
    """Return a TIFF whose samples of this many bits are packed without gaps."""
    number = sum(sample << bits * (len(samples) - 1 - place) for place, sample in enumerate(samples))
    row = sum(number << bits * len(samples) * place for place in range(16)).to_bytes(
        16 * bits * len(samples) // 8, "big"
    )
    return tiff(16, 16, row * 16, {258: bits, 262: 2 if len(samples) > 2 else 1, 277: len(samples)})


ALPHA = {"extrasamples": ["unassalpha"]}
ASSOCIATED = {"extrasamples": ["assocalpha"]}

KINDS = {
    "rgb12": (packed(4095, 2048, 0, bits=12), (255, 128, 0)),
    "rgb4": (packed(15, 8, 0, bits=4), (255, 136, 0)),
    "rgb10": (packed(1023, 512, 0, bits=10), (255, 128, 0)),
    "grey12 big-endian": (tiff(16, 16, b"\x80\x08\x00" * 128, {258: 12}, ">"), (128,) * 3),
    "grey16 white is 0, big-endian": (grey(200 * 257, dtype=">u2", photometric="miniswhite"), (55,) * 3),
    "grey half": (grey(0.5, dtype="f2"), (128,) * 3),
    "grey double": (grey(0.5, dtype="f8"), (128,) * 3),
    "grey double 255": (grey(200, dtype="f8"), GREY),
    "grey 20": (packed(200 * 4112, bits=20), GREY),
    "grey 24": (packed(200 * 65_793, bits=24), GREY),
    "grey 64": (grey(200, dtype="u8"), GREY),
    "la16": (grey(32_896, 32_896, dtype="u2", **ALPHA), (128, 128, 128, 128)),
    "la16 associated": (grey(100 * 257, 128 * 257, dtype="u2", **ASSOCIATED), (199, 199, 199, 128)),
    "la float": (grey(0.5, 0.5, dtype="f4", **ALPHA), (128, 128, 128, 128)),
    "la8 with a mask": (grey(200, 7, dtype="u2", extrasamples=["unspecified"]), (1, 1, 1)),
    "rgb float is light": (rgb(1, 0.5, 0, dtype="f4"), (255, 188, 0)),
    "rgb half is light": (rgb(1, 0.5, 0, dtype="f2"), (255, 188, 0)),
    "rgb double is light": (rgb(1, 0.5, 0, dtype="f8"), (255, 188, 0)),
    "rgb float below 0": (rgb(-1, 0.5, float("nan"), dtype="f4"), (0, 188, 0)),
    "rgb float 255": (rgb(*COLOUR, dtype="f4"), COLOUR),
    "rgba float": (rgb(1, 0.5, 0, 0.5, dtype="f4", **ALPHA), (255, 188, 0, 128)),
    "rgba float associated": (rgb(0.5, 0.25, 0, 0.5, dtype="f4", **ASSOCIATED), (255, 188, 0, 128)),
    "rgb signed 8": (rgb(100, 50, -25, dtype="i1"), (100, 50, 0)),
    "rgb signed 16": (rgb(25_700, 12_850, -1, dtype="i2"), (100, 50, 0)),
    "rgb 32": (rgb(*(level * 16_843_009 for level in COLOUR), dtype="u4"), COLOUR),
    "cmyk with alpha": (picture(0, 255, 255, 0, HALF, photometric="separated", **ALPHA), (*RED, HALF)),
    "cmyk associated": (picture(0, 128, 128, 0, HALF, photometric="separated", **ASSOCIATED), (*RED, HALF)),
    "cmyk16 with alpha": (
        picture(0, 65_535, 65_535, 0, 32_896, dtype="u2", photometric="separated", **ALPHA),
        (*RED, HALF),
    ),
    "lab16": (picture(138 * 257, 81 * 256, 70 * 256, dtype="u2", photometric="cielab"), RED),
    "icclab8": (picture(138, 209, 198, photometric="icclab"), RED),
    "icclab16": (picture(138 << 8, 209 << 8, 198 << 8, dtype="u2", photometric="icclab"), RED),
    "icclab8 with alpha": (picture(138, 209, 198, HALF, photometric="icclab", **ALPHA), (*RED, HALF)),
    "big-endian bigtiff": (rgb(*COLOUR, byteorder=">", bigtiff=True), COLOUR),
    "big-endian bigtiff, deflated": (rgb(*COLOUR, byteorder=">", bigtiff=True, compression="zlib"), COLOUR),
    "tiled": (rgb(1, 0.5, 0, dtype="f4", tile=(16, 16), compression="zlib", predictor=True), (255, 188, 0)),
    "webp": (tiff(16, 16, saved(plain(COLOUR), "WEBP", lossless=True), {259: 50_001, 262: 2, 277: 3}), COLOUR),
    "jpeg 2000": (tiff(16, 16, saved(plain(COLOUR), "JPEG2000", no_jp2=True), {259: 34_712, 262: 2, 277: 3}), COLOUR),
    "jpeg xl": (rgb(*COLOUR, compression="jpegxl"), COLOUR),
    "png": (rgb(*COLOUR, compression="png"), COLOUR),
    "lerc": (rgb(*COLOUR, compression="lerc"), COLOUR),
}


@pytest.mark.parametrize(("content", "expected"), KINDS.values(), ids=KINDS)
def test_each_kind_comes_out_in_its_colours(make, content, expected):
    """Resized and not, 8 bits, with its transparency."""
    tolerance = LOSSY if expected[:3] == RED else 1
    for size in (FULL, box_size(8, 8)):
        thumbnail = make(content, size)
        assert thumbnail.mode == ("RGBA" if len(expected) == 4 else "RGB")
        assert_plain(thumbnail, expected, tolerance)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("order", "<>")
def test_samples_in_planes_of_their_own(make, order, compression):
    """PlanarConfiguration 2, which Pillow leaves out for such numbers."""
    content = io.BytesIO()
    planes = np.stack([np.full((16, 16), value, "f4") for value in (1, 0.5, 0)])
    tifffile.imwrite(
        content, planes, photometric="rgb", planarconfig="separate", byteorder=order, compression=compression
    )
    assert_plain(make(content.getvalue(), FULL), (255, 188, 0))


def test_brighter_than_white_is_white(make):
    """A picture of high dynamic range: its highlights do not darken the rest."""
    array = np.full((16, 16, 3), 0.5, "f4")
    array[:, 12:] = 40
    content = io.BytesIO()
    tifffile.imwrite(content, array, photometric="rgb")
    thumbnail = make(content.getvalue(), FULL)
    assert_plain(thumbnail.crop((0, 0, 10, 16)), (188, 188, 188))
    assert_plain(thumbnail.crop((14, 0, 16, 16)), WHITE)


def test_a_profile_says_what_floating_point_numbers_mean(make):
    """One for linear light gives what is supposed without any."""
    content = rgb(1, 0.5, 0, dtype="f4", iccprofile=matrix_profile(*SPACES["srgb"][:2], gamma(1)))
    assert_plain(make(content, FULL), (255, 188, 0), 2)


def test_palette_of_16_bit_indices(make):
    """And one that holds numbers of 8 bits, as some programs write it."""
    for scale in (257, 1):
        palette = np.zeros((3, 256), "u2")
        palette[:, 7] = [level * scale for level in COLOUR]
        palette[:, 8] = 255 * scale
        content = picture(7, photometric="palette", colormap=palette, byteorder=">", bigtiff=True)
        assert_plain(make(content, FULL), COLOUR)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_upright(make, tmp_path, orientation):
    """In the thumbnail, and in the facts of its header, like Pillow's own TIFFs."""
    stored = np.asarray(corners(64, 48)).astype("u2") * 16
    content = io.BytesIO()
    tifffile.imwrite(
        content, stored, photometric="rgb", compression="zlib", byteorder=">", bigtiff=True,
        extratags=[(274, "H", 1, orientation, True)],
    )  # fmt: skip
    expected = Image.open(io.BytesIO(saved(corners(64, 48), "TIFF", tiffinfo={274: orientation})))
    expected.load()
    thumbnail = make(content.getvalue(), box_size(64, 64))
    assert thumbnail.size == expected.size
    for at in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
        place = (int(at[0] * expected.width), int(at[1] * expected.height))
        bright = [level * 16 * 255 // 65_535 for level in expected.getpixel(place)]
        assert_colour(thumbnail.getpixel(place), bright, 2)
    assert read_facts(str(make.source), 10_000) == Facts(expected.size, False)


def test_facts_know_its_transparency(make):
    make(grey(32_896, 32_896, dtype="u2", **ALPHA))
    assert read_facts(str(make.source), 10_000) == Facts((16, 16), True)


# JPEG


def test_jpeg_of_12_bits(make):
    """Turned by its EXIF block, as any JPEG."""
    array = np.asarray(corners(64, 48)).astype("u4") * 4095 // 255
    content = imagecodecs.jpeg_encode(array.astype("u2"), bitspersample=12, level=95)
    thumbnail = make(content, box_size(64, 48))
    for at, colour in {(16, 12): RED, (48, 12): GREEN, (16, 36): BLUE, (48, 36): YELLOW}.items():
        assert_colour(thumbnail.getpixel(at), colour, 3)
    block = saved(plain(RED), "JPEG", exif=exif(6))
    turned = content[:2] + block[block.index(b"\xff\xe1") : block.index(b"\xff\xdb")] + content[2:]
    thumbnail = make(turned, box_size(64, 64))
    assert thumbnail.size == (48, 64)
    assert_colour(thumbnail.getpixel((12, 16)), BLUE, 3)


def test_lossless_jpeg_of_16_bits(make):
    content = imagecodecs.ljpeg_encode(np.full((16, 16), 200 * 257, "u2"))
    assert_plain(make(content, FULL), GREY)


# Limits, and what is wrong


def test_too_many_pixels_are_seen_in_the_header(make):
    """No pixel is decoded: the file has none."""
    reason = make.refusal(tiff(60_000, 60_000, b"", {258: 12, 262: 2, 277: 3}))
    assert reason.startswith("too large: 60000 x 60000")


def test_a_strip_that_is_larger_than_the_picture_is_not_decoded(make):
    """It would pass the limit on pixels unseen."""
    strip = saved(plain(RED, size=(500, 500)), "JPEG2000", no_jp2=True)
    assert make.refusal(tiff(16, 16, strip, {259: 34_712, 262: 2, 277: 3})).startswith("damaged: a part of 500 x 500")


@pytest.mark.parametrize(
    "tags", [{277: 60_000}, {258: 16, 262: 32_803}, {258: 12, 262: 6, 277: 3}, {262: 5, 277: 4, 332: 2}]
)
def test_what_cannot_be_decoded_is_not_called_damaged(make, tags):
    """Too many samples, raw pictures, deep YCbCr, inks that are not CMYK."""
    assert "a kind that cannot be read" in make.refusal(tiff(16, 16, bytes(8192), {258: 12} | tags, ">"))


def test_truncated_is_damaged_and_made_on_request(make):
    content = rgb(1, 0.5, 0, dtype="f4")[:-1000]
    assert make.refusal(content).startswith("damaged: image file is truncated (1000 bytes are missing)")
    thumbnail = make(content, FULL, damaged="make")
    assert_plain(thumbnail.crop((0, 0, 16, 9)), (255, 188, 0))
    assert_plain(thumbnail.crop((0, 11, 16, 16)), (0, 0, 0))
    for file in make.out.iterdir():
        file.unlink()
    cut = zlib.compress(bytes(16 * 16 * 3 * 2))[:-9]
    assert make.refusal(tiff(16, 16, cut, {258: 12, 259: 8, 262: 2, 277: 3})).startswith("damaged")


@pytest.mark.parametrize("length", [200, 300])
def test_half_a_directory_is_damaged(make, length):
    assert make.refusal(rgb(1, 0.5, 0, dtype="f4", description="x" * 500)[:length]).startswith("damaged")


def test_nothing_is_written_to_standard_error(make, capfd):
    """tifffile reports there what it makes do with."""
    make.refusal(tiff(16, 16, b"x", {258: 12, 262: 2, 277: 3, 324: 5, 325: 7, 322: 16, 323: 16}))
    make(struct.pack("<4sI", b"II*\0", 8) + tiff(16, 16, bytes(512), {258: 16, 339: 3})[8:])
    assert capfd.readouterr() == ("", "")


def test_half_transparent_edges_get_no_seam(make):
    """The colours of what is invisible do not bleed into the rest."""
    array = np.zeros((16, 16, 4), "f4")
    array[:, 8:] = (1, 0.5, 0, 1)
    content = io.BytesIO()
    tifffile.imwrite(content, array, photometric="rgb", **ALPHA)
    thumbnail = make(content.getvalue(), box_size(8, 8))
    assert_half(thumbnail.crop((0, 0, 2, 8)), (0, 0, 0, 0))
    assert_half(thumbnail.crop((6, 0, 8, 8)), (255, 188, 0, 255))
