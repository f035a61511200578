"""Every kind of picture comes out in its colours: the modes that files have, deep ones, and linear light."""

import struct

import pytest

from tests.imaging.maker import assert_colour, assert_half, assert_plain, difference
from tests.support.pictures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LOSSY,
    RED,
    SMALL,
    WHITE,
    box_size,
    chunk,
    palette_picture,
    plain,
    png,
    saved,
    tiff,
)
from thumbmill.imaging.render import render

# A source, as a file, and the colours of the left and right halves of its thumbnail.


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
    """Resized and not: 8-bit RGB, or RGBA if it has transparency, in the right colours."""
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
    """Sources whose own colours are only nearly those that were drawn."""
    thumbnail = make(content)
    assert thumbnail.mode == ("RGBA" if len(expected) == 4 else "RGB")
    assert_plain(thumbnail, expected, LOSSY)


def test_palette_with_alpha_comes_out_in_its_colours(make):
    """Mode PA: Pillow opens no file of a readable format in it, so render() is called."""
    picture = plain((10, 120, 230, 128), "RGBA").convert("PA")
    (thumbnail,), _ = render(picture, [SMALL], "#ffffff", [])
    assert_plain(thumbnail, (*picture.convert("RGB").getpixel((0, 0)), 128), 2)


@pytest.mark.parametrize("value", [0, 1, 77, 128, 200, 254, 255])
@pytest.mark.parametrize("order", "<>")
def test_16_bit_tones_stay(make, value, order):
    """A grey of 16 bits becomes the same grey of 8, from TIFF in both byte orders and from PNG."""
    pixels = struct.pack(f"{order}H", value * 257) * 256
    assert_plain(make(tiff(16, 16, pixels, {258: 16}, order)), (value,) * 3)
    assert_plain(make(png(16, 16, 16, 0, struct.pack(">H", value * 257) * 16)), (value,) * 3)


@pytest.mark.parametrize(("white", "expected"), [(0, WHITE), (65_535, BLACK)])
def test_16_bit_tiff_in_which_zero_is_white(make, white, expected):
    """PhotometricInterpretation 0, which Pillow ignores at 16 bits."""
    content = saved(plain(white, "I;16"), "TIFF", tiffinfo={262: 0})
    assert_plain(make(content, SMALL), expected, 1)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (0.25, 64), (0.5, 128), (0.75, 191), (-3.0, 0)])
def test_floating_point_tones_stay(make, value, expected):
    """0 to 1 is black to white, and what is below 0 is black."""
    pixels = struct.pack("<16f", *[value] * 15, 1) * 16
    thumbnail = make(tiff(16, 16, pixels, {258: 32, 339: 3}), box_size(16, 16))
    assert_plain(thumbnail.crop((0, 0, 15, 16)), (expected,) * 3)


def test_floating_point_without_a_value_does_not_blacken_the_rest(make):
    """NaN (no data, as in maps and scans) affects its own pixel only."""
    pixels = struct.pack("<16f", float("nan"), *[1] * 15) * 16
    thumbnail = make(tiff(16, 16, pixels, {258: 32, 339: 3}), box_size(16, 16))
    assert_plain(thumbnail.crop((1, 0, 16, 16)), WHITE)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("colour", [BLACK, GREY, WHITE])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_neutral_colours_stay_neutral(make, source, colour, format):
    """Black, grey and white, from every format into every format: no tint, no raised black."""
    thumbnail = make(saved(plain(colour), source), format=format)
    assert thumbnail.mode == "RGB"
    assert_plain(thumbnail, colour, 2)


# Linear light


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_linear_light_keeps_brightness(make, format):
    """Black and white lines: half the light is 188 of 255 (IEC 61966-2-1), while the mean of the numbers is 128."""
    lines = plain(BLACK, size=(400, 300))
    for y in range(0, 300, 2):
        lines.paste(WHITE, (0, y, 400, y + 1))
    content = saved(lines, format, **({"quality": 100} if format == "JPEG" else {}))
    assert_plain(make(content, box_size(40, 40)).crop((5, 5, 35, 25)), (128,) * 3, 4)
    assert_plain(make(content, box_size(40, 40), linear=True).crop((5, 5, 35, 25)), (188,) * 3, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK"])
def test_linear_light_keeps_plain_colours(make, mode):
    """At every level, which shows that the two curves are each other's inverse; opacity too."""
    for level in (0, 1, 2, 5, 13, 64, 128, 200, 254, 255):
        colour = {"L": level, "RGB": (level, 9, 200), "RGBA": (level, 9, 200, 255), "P": level}.get(mode)
        picture = plain((0, 0, 0, 255 - level), "CMYK") if mode == "CMYK" else plain(colour, mode)
        if mode == "P":
            picture.putpalette([value for value in range(256) for _ in range(3)])
        content = saved(picture, "TIFF" if mode == "CMYK" else "PNG")
        assert difference(make(content, linear=True), make(content)) <= 0.4


def test_linear_light_gives_transparent_edges_no_seam(make):
    """As in test_render.test_transparent_edges_get_no_seam."""
    picture = plain((*BLACK, 0), "RGBA", (60, 60))
    picture.paste((200, 60, 60, 255), (17, 17, 43, 43))
    thumbnail = make(saved(picture, "PNG"), box_size(13, 13), linear=True)
    for *colour, alpha in thumbnail.get_flattened_data():
        if alpha > 25:
            assert_colour(colour, (200, 60, 60), 6)
    assert_colour(thumbnail.getpixel((6, 6)), (200, 60, 60, 255))
    assert thumbnail.getpixel((0, 0))[3] == 0
