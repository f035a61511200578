"""Colours that a file declares otherwise than by a profile where Pillow looks for it."""

import struct
import zlib

import pytest
from PIL import Image

from tests.imaging.maker import assert_plain, difference
from tests.support.pictures import GREY, LOSSY, SMALL, bitmap, box_size, chunk, plain, png, saved
from tests.support.profiles import linear_grey, wide_gamut
from thumbmill.imaging import icc

COLOUR = (200, 100, 50)
# COLOUR in sRGB if it is one of these, by colour-science 0.4: see test_icc.py.
AS_SRGB, AS_P3, AS_P3_GAMMA, AS_ADOBE = COLOUR, (215, 93, 31), (216, 93, 24), (227, 100, 42)
AS_LINEAR, AS_BT2020, AS_GAMMA_22 = (229, 168, 122), (241, 76, 29), (201, 100, 46)

SRGB_NUMBERS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_NUMBERS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)

CICP_P3 = chunk(b"cICP", bytes([12, 13, 0, 1]))
ICCP_ADOBE = chunk(b"iCCP", b"x\0\0" + zlib.compress(wide_gamut()))
SRGB = chunk(b"sRGB", b"\0")


def gama(number: int) -> bytes:
    """Return a gAMA chunk: 100,000 is linear light."""
    return chunk(b"gAMA", struct.pack(">I", number))


def chrm(*numbers: int) -> bytes:
    """Return a cHRM chunk: x and y of white, red, green, blue, times 100,000."""
    return chunk(b"cHRM", struct.pack(">8I", *numbers))


def rgb_png(before: bytes) -> bytes:
    """Return a PNG of COLOUR with the chunks `before` its pixels."""
    return png(16, 16, 8, 2, bytes(COLOUR) * 16, before)


# PNG


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (b"", AS_SRGB),
        (CICP_P3, AS_P3),
        (chunk(b"cICP", bytes([9, 14, 0, 1])), AS_BT2020),
        (chunk(b"cICP", bytes([1, 8, 0, 1])), AS_LINEAR),
        (chunk(b"cICP", bytes([1, 13, 0, 1])), AS_SRGB),
        (gama(45455), AS_SRGB),
        (gama(45000), AS_SRGB),
        (gama(100_000), AS_LINEAR),
        (gama(45455) + chrm(*SRGB_NUMBERS), AS_SRGB),
        (gama(45455) + chrm(31269, 32899, 63999, 33001, 30000, 60000, 15000, 5999), AS_SRGB),
        (gama(100_000) + chrm(*SRGB_NUMBERS), AS_LINEAR),
        (gama(45455) + chrm(*P3_NUMBERS), AS_P3_GAMMA),
        (chrm(*P3_NUMBERS), AS_P3),
        # What counts more
        (CICP_P3 + ICCP_ADOBE + SRGB + gama(100_000), AS_P3),
        (chunk(b"cICP", bytes([1, 13, 0, 1])) + ICCP_ADOBE, AS_SRGB),
        (ICCP_ADOBE + SRGB + gama(100_000) + chrm(*P3_NUMBERS), AS_ADOBE),
        (ICCP_ADOBE + CICP_P3, AS_P3),
        (SRGB + gama(100_000) + chrm(*P3_NUMBERS), AS_SRGB),
        (gama(100_000) + chrm(*P3_NUMBERS) + SRGB, AS_SRGB),
        # What says nothing
        (chunk(b"cICP", bytes([2, 2, 0, 1])) + ICCP_ADOBE, AS_ADOBE),
        (chunk(b"cICP", bytes([12, 2, 0, 1])) + ICCP_ADOBE, AS_ADOBE),
        (chunk(b"cICP", bytes([77, 13, 0, 1])) + ICCP_ADOBE, AS_ADOBE),
        (chunk(b"cICP", bytes([12, 13, 1, 1])) + ICCP_ADOBE, AS_ADOBE),
        (chunk(b"cICP", bytes([12, 13, 0, 0])) + ICCP_ADOBE, AS_ADOBE),
        (chunk(b"cICP", bytes([12, 13])) + ICCP_ADOBE, AS_ADOBE),
        (chunk(b"tEXt", b"a\0cICP\x0c\x0d\0\1"), AS_SRGB),
        (gama(0), AS_SRGB),
        (gama(1), AS_SRGB),
        (gama(2**32 - 1), AS_SRGB),
        (chrm(0, 0, 0, 0, 0, 0, 0, 0), AS_SRGB),
        (chrm(31270, 32900, *[2**32 - 1] * 6), AS_SRGB),
        (chrm(31270, 32900, 30000, 30000, 40000, 40000, 50000, 50000), AS_SRGB),
    ],
)
def test_png_chunks_say_what_its_colours_are(make, chunks, expected, linear):
    assert make.notes(rgb_png(chunks), linear=linear) == []
    assert_plain(Image.open(make.out / "0.png"), expected)


def test_profile_that_cannot_be_decompressed_is_noted(make):
    """And what counts next does: linear light."""
    content = rgb_png(chunk(b"iCCP", b"x\0\0nonsense") + gama(100_000))
    assert make.notes(content) == ["colour profile ignored: it is incomplete"]
    assert_plain(Image.open(make.out / "0.png"), AS_LINEAR)


@pytest.mark.parametrize("level", [0, 1, 55, 128, 255])
def test_srgb_approximated_by_gamma_changes_nothing(make, level):
    """Not even by rounding."""
    content = png(16, 16, 8, 2, bytes([level, 9, 70]) * 16, gama(45455) + chrm(*SRGB_NUMBERS))
    assert list({*make(content, box_size(16, 16)).get_flattened_data()}) == [(level, 9, 70)]


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "before"),
    [
        (1, 0, b"\xff\xff", b""),
        (2, 0, b"\x55" * 4, b""),
        (8, 0, bytes([55]) * 16, b""),
        (8, 0, bytes([55]) * 16, chunk(b"tRNS", b"\0\7")),
        (16, 0, bytes([55]) * 32, b""),
        (16, 0, bytes([55]) * 32, chunk(b"tRNS", b"\0\7")),
        (8, 2, bytes([55]) * 48, b""),
        (8, 2, bytes([55]) * 48, chunk(b"tRNS", b"\0\7\0\7\0\7")),
        (16, 2, bytes([55]) * 96, b""),
        (16, 2, bytes([55]) * 96, chunk(b"tRNS", b"\0\7\0\7\0\7")),
        (8, 3, bytes(16), chunk(b"PLTE", bytes([55] * 3))),
        (8, 3, bytes(16), chunk(b"PLTE", bytes([55] * 6)) + chunk(b"tRNS", b"\xff\x80")),
        (8, 4, bytes([55, 255]) * 16, b""),
        (16, 4, bytes([55, 55, 255, 255]) * 16, b""),
        (8, 6, bytes([55, 55, 55, 255]) * 16, b""),
        (16, 6, bytes([55, 55, 55, 55, 55, 55, 255, 255]) * 16, b""),
    ],
)
@pytest.mark.parametrize("declared", [gama(100_000), chunk(b"cICP", bytes([1, 8, 0, 1]))], ids=["gAMA", "cICP"])
def test_declared_colours_count_for_every_mode(make, declared, depth, colour_type, row, before, linear):
    """Linear light: 55 of 255 is 128 in sRGB, whatever else the picture carries; 85 is 156, and white is white."""
    thumbnail = make(png(16, 16, depth, colour_type, row, declared + before), linear=linear)
    assert_plain(thumbnail.convert("RGB"), ({1: 255, 2: 156}.get(depth, 128),) * 3)
    assert thumbnail.convert("RGBA").getchannel("A").getextrema() == (255, 255)


@pytest.mark.parametrize("format", ["png", "webp"])
def test_declared_colours_count_for_animations(make, format):
    frames = [plain(COLOUR), plain(GREY)]
    content = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100)
    thumbnail = make(content[:33] + CICP_P3 + content[33:], format=format, animated=True)
    assert thumbnail.n_frames == 2
    assert_plain(thumbnail.convert("RGB"), AS_P3, 1 if format == "png" else LOSSY)
    thumbnail.seek(1)
    assert_plain(thumbnail.convert("RGB"), GREY, 1 if format == "png" else LOSSY)


@pytest.mark.parametrize("transfer", [16, 18])
def test_highlights_of_hdr_keep_their_detail(make, transfer):
    """Steps of PQ from 203 to 10,000 cd/m2, and of HLG from 75 to 100 %, in rising order and below white."""
    levels = [148, 156, 165, 180, 255] if transfer == 16 else [191, 200, 215, 230, 255]
    declared = chunk(b"cICP", bytes([9, transfer, 0, 1]))
    greys = [make(png(16, 16, 8, 2, bytes([level]) * 48, declared)).getpixel((4, 4))[0] for level in levels]
    assert greys == sorted(set(greys))
    assert 230 <= greys[0] <= 245 and greys[-1] == 255


# JPEG


def with_late_profile(content: bytes, profile: bytes, parts: int = 1, order: int = 1) -> bytes:
    """Return a JPEG with a profile, in `parts`, right before its first scan."""
    size = -(-len(profile) // parts)
    segments = [
        b"ICC_PROFILE\0" + bytes([number + 1, parts]) + profile[number * size : (number + 1) * size]
        for number in range(parts)
    ][::order]
    at = content.index(b"\xff\xda")
    late = b"".join(b"\xff\xe2" + struct.pack(">H", len(each) + 2) + each for each in segments)
    return content[:at] + late + content[at:]


@pytest.mark.parametrize("size", [SMALL, box_size(200, 200)], ids=["drafted", "whole"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"trim": True}], ids=["baseline", "progressive", "trim"]
)
@pytest.mark.parametrize(("parts", "order"), [(1, 1), (3, 1), (3, -1)], ids=["one", "three", "backwards"])
def test_profile_behind_the_frame_header_of_a_jpeg(make, size, options, parts, order):
    picture = plain(COLOUR, size=(200, 200))
    content = saved(picture, "JPEG", quality=95, progressive=options.get("progressive", False))
    size = size | {"trim": options.get("trim", False)}
    assert_plain(make(with_late_profile(content, wide_gamut(), parts, order), size), AS_ADOBE, 3)
    assert_plain(make(with_late_profile(content, wide_gamut(), parts, order), size, linear=True), AS_ADOBE, 3)


def test_late_grey_profile_and_a_profile_of_which_a_part_is_missing(make):
    grey = saved(plain(55, "L"), "JPEG", quality=100)
    assert_plain(make(with_late_profile(grey, linear_grey())), (128,) * 3, 2)
    rgb = saved(plain(COLOUR), "JPEG", quality=100)
    whole = with_late_profile(rgb, wide_gamut(), 3)
    assert_plain(make(whole.replace(b"ICC_PROFILE\0\2", b"ICC_PROFILX\0\2")), COLOUR, 3)


def test_a_late_profile_is_noted_only_if_a_part_is_missing(make):
    """Also if Pillow has found a part of it before the frame header."""
    content = with_late_profile(saved(plain(COLOUR), "JPEG"), wide_gamut(), 3)
    first = content.index(b"\xff\xe2")
    second = first + 2 + int.from_bytes(content[first + 2 : first + 4], "big")
    part, without = content[first:second], content[:first] + content[second:]
    assert make.notes(without) == ["colour profile ignored: it is incomplete"]
    assert make.notes(without[:2] + part + without[2:]) == []


def test_profile_before_the_frame_header_counts_more(make):
    first = saved(plain(COLOUR), "JPEG", quality=100, icc_profile=icc.cicp_profile(12, 13))
    assert_plain(make(with_late_profile(first, wide_gamut())), AS_P3, 3)


# BMP


P3_ENDPOINTS = ((0.68, 0.32, 0.0), (0.265, 0.69, 0.045), (0.15, 0.06, 0.79))
SRGB_ENDPOINTS = ((0.64, 0.33, 0.03), (0.3, 0.6, 0.1), (0.15, 0.06, 0.79))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"version": 5, "space": "MBED", "profile": wide_gamut()}, AS_ADOBE),
        ({"version": 5, "space": "sRGB", "profile": wide_gamut()}, AS_SRGB),
        ({"version": 5, "space": "Win ", "endpoints": P3_ENDPOINTS, "gammas": (1, 1, 1)}, AS_SRGB),
        ({"version": 5, "space": "LINK", "profile": b"c:\\profile.icc"}, AS_SRGB),
        ({"version": 5, "space": "MBED"}, AS_SRGB),
        ({"version": 4, "space": "MBED"}, AS_SRGB),
        ({"version": 4, "endpoints": SRGB_ENDPOINTS, "gammas": (1, 1, 1)}, AS_LINEAR),
        ({"version": 5, "endpoints": SRGB_ENDPOINTS, "gammas": (1, 1, 1)}, AS_LINEAR),
        ({"version": 4, "endpoints": P3_ENDPOINTS, "gammas": (2.2, 2.2, 2.2)}, AS_P3_GAMMA),
        ({"version": 4, "endpoints": P3_ENDPOINTS, "gammas": (1 / 2.2, 1 / 2.2, 1 / 2.2)}, AS_P3_GAMMA),
        ({"version": 4, "endpoints": P3_ENDPOINTS}, AS_P3),
        ({"version": 4, "endpoints": SRGB_ENDPOINTS, "gammas": (2.2, 2.2, 2.2)}, AS_SRGB),
        ({"version": 4, "endpoints": SRGB_ENDPOINTS, "gammas": (1, 2.2, 2.2)}, (AS_LINEAR[0], *AS_GAMMA_22[1:])),
        ({"version": 4, "endpoints": [(x, y, 0) for x, y, _ in P3_ENDPOINTS]}, AS_P3),
        ({"version": 4, "endpoints": [(x / 2, y / 2, z / 2) for x, y, z in P3_ENDPOINTS]}, AS_P3),
        ({"version": 4}, AS_SRGB),
        ({"version": 4, "gammas": (0, 0, 0)}, AS_SRGB),
        ({"version": 3}, AS_SRGB),
    ],
    ids=lambda value: value.get("space", "calibrated") if isinstance(value, dict) else None,
)
def test_bmp_header_says_what_its_colours_are(make, options, expected):
    assert make.notes(bitmap(16, 16, COLOUR, **options)) == []
    assert_plain(Image.open(make.out / "0.png"), expected)


def test_profile_of_a_bmp_that_is_none_is_noted(make):
    content = bitmap(16, 16, COLOUR, version=5, space="MBED", profile=b"nonsense" * 40)
    (note,) = make.notes(content)
    assert "profile" in note
    assert_plain(Image.open(make.out / "0.png"), COLOUR)


def test_other_bitmaps_are_what_they_were(make):
    """The headers that Pillow writes are too short to say anything."""
    for picture in (plain(COLOUR), plain(55, "L"), plain(COLOUR).quantize(4)):
        assert difference(make(saved(picture, "BMP")), make(saved(picture, "PNG"))) == 0
