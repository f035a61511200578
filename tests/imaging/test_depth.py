"""Stored numbers of fewer or more than 8 bits, scaled to what they can hold."""

import struct
import zlib

import pytest
from PIL import Image

from tests.imaging.maker import assert_half, assert_plain
from tests.support.pictures import BLACK, GREEN, RED, SMALL, WHITE, box_size, palette_picture, saved, tiff
from thumbmill.imaging.depth import equals


def packed_12_bit(values: list[int]) -> bytes:
    """Return a row of numbers of 12 bits as TIFF stores it: without gaps, and filled up to a whole byte."""
    bits = "".join(f"{value:012b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("compression", [1, 8], ids=["raw", "deflate"])
@pytest.mark.parametrize("width", [16, 17])
@pytest.mark.parametrize(("value", "expected"), [(0, 0), (16, 1), (2048, 128), (4095, 255), (3000, 187)])
def test_white_of_12_bits_is_4095(make, value, expected, width, compression, linear):
    """However dark the picture is, and whether or not a row ends with a whole byte."""
    pixels = packed_12_bit([value] * width) * 16
    if compression == 8:
        pixels = zlib.compress(pixels)
    thumbnail = make(tiff(width, 16, pixels, {258: 12, 259: compression, 278: 16}), box_size(width, 16), linear=linear)
    assert_plain(thumbnail, (expected,) * 3)


@pytest.mark.parametrize(("value", "expected"), [(4095, 16), (65_535, 255)])
def test_white_of_16_bits_is_65535(make, value, expected):
    """A dark picture of 16 bits stays dark, though 12 would hold it."""
    assert_plain(make(tiff(16, 16, struct.pack("<H", value) * 256, {258: 16})), (expected,) * 3)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 255), (0.25, 191), (1.0, 0)])
def test_floating_point_in_which_zero_is_white(make, value, expected):
    """PhotometricInterpretation 0, which Pillow ignores."""
    pixels = struct.pack("<16f", *[value] * 15, 1) * 16
    thumbnail = make(tiff(16, 16, pixels, {258: 32, 339: 3, 262: 0}), box_size(16, 16))
    assert_plain(thumbnail.crop((0, 0, 15, 16)), (expected,) * 3)


def with_8_bit_palette(content: bytes, colours: int) -> bytes:
    """Return a TIFF with a palette whose numbers have 8 bits instead of 16."""
    full, dark = struct.pack("<H", 255 << 8), struct.pack("<H", 255)
    found = bytearray(content)
    at = next(
        struct.unpack_from("<I", content, place + 8)[0]
        for place in range(struct.unpack_from("<I", content, 4)[0] + 2, len(content) - 12, 12)
        if struct.unpack_from("<HHI", content, place) == (320, 3, 3 * colours)
    )
    palette = content[at : at + 6 * colours]
    assert full in palette
    found[at : at + 6 * colours] = b"".join(
        dark if palette[i : i + 2] == full else b"\0\0" for i in range(0, len(palette), 2)
    )
    return bytes(found)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_palette_of_8_bit_numbers(make, compression):
    """As libtiff takes it; the same picture with numbers of 16 bits looks the same."""
    content = saved(palette_picture(), "TIFF", compression=compression)
    for file in (content, with_8_bit_palette(content, 256)):
        thumbnail = make(file, box_size(16, 16))
        assert_half(thumbnail.crop((0, 0, 8, 16)), RED)
        assert_half(thumbnail.crop((8, 0, 16, 16)), GREEN)


def test_palette_with_one_number_of_16_bits_has_16(make):
    """Dark colours beside it stay dark."""
    content = saved(palette_picture(), "TIFF", compression=None)
    dark = content.replace(struct.pack("<H", 255 << 8), struct.pack("<H", 255), 1)
    assert_half(make(dark, box_size(16, 16)).crop((0, 0, 8, 16)), BLACK)
    assert_half(make(dark, box_size(16, 16)).crop((8, 0, 16, 16)), GREEN)


def test_black_palette_stays_black(make):
    picture = palette_picture()
    picture.putpalette(bytes(768))
    assert_plain(make(saved(picture, "TIFF"), SMALL), BLACK)


def test_equals_is_where_every_plane_has_its_level():
    one, other = Image.new("L", (3, 1)), Image.new("L", (3, 1))
    one.putdata([7, 7, 8])
    other.putdata([1, 2, 1])
    assert list(equals([one, other], [7, 1]).get_flattened_data()) == [255, 0, 0]
    assert list(equals([one], [9]).get_flattened_data()) == [0, 0, 0]
    assert list(equals([one], [8]).get_flattened_data()) == [0, 0, WHITE[0]]
