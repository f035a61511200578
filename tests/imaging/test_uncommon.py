"""Pictures that Pillow misreads or does not open, and that need no extra: TIFF, BMP with bit fields, JPEG with DNL."""

import struct
import sys
import zlib

import pytest

from tests.imaging.maker import assert_colour, assert_plain
from tests.support.pictures import BLACK, BLUE, GREEN, RED, WHITE, YELLOW, box_size, corners, plain, saved, tiff
from thumbmill.errors import PictureError
from thumbmill.failures import Kind
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails

FULL = box_size(16, 16)
CORNERS = {(16, 12): RED, (48, 12): GREEN, (16, 36): BLUE, (48, 36): YELLOW}


# TIFF


def without_tag(content: bytes, tag: int) -> bytes:
    """Return a TIFF of tiff() without one of its tags."""
    (count,) = struct.unpack_from("<H", content, 8)
    entries = [content[10 + 12 * place : 22 + 12 * place] for place in range(count)]
    kept = b"".join(entry for entry in entries if entry[:2] != struct.pack("<H", tag))
    return content[:8] + struct.pack("<H", count - 1) + kept + bytes(4 + 12) + content[14 + 12 * count :]


@pytest.mark.parametrize("damaged", ["refuse", "make"])
def test_subsampled_ycbcr_without_compression_is_not_green(make, damaged):
    """TIFF 6.0, section 21: four luminances and two chrominances for each 2 x 2 pixels, unless the file says else."""
    red = bytes([76, 76, 76, 76, 85, 255]) * 64
    assert_plain(make(tiff(16, 16, red, {262: 6, 277: 3}), FULL, damaged=damaged), (254, 0, 0), 1)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("format", "tags", "value", "expected"),
    [
        ("h", {258: 16, 339: 2}, 20_000, 78),
        ("h", {258: 16, 339: 2}, 200, 200),
        ("i", {258: 32, 339: 2}, 40_000, 156),
        ("f", {258: 32, 339: 3}, 0.5, 128),
    ],
)
def test_deep_numbers_in_both_byte_orders_packed_or_not(make, order, packed, format, tags, value, expected):
    """Pillow takes packed big-endian numbers apart in the wrong order."""
    pixels = struct.pack(f"{order}{format}", value) * 256
    content = tiff(16, 16, zlib.compress(pixels) if packed else pixels, tags | ({259: 8} if packed else {}), order)
    assert_plain(make(content, FULL), (expected,) * 3, 1)


def in_planes(planes: list[bytes], tags: dict[int, int], order: str) -> bytes:
    """Return an uncompressed TIFF file, 16 pixels wide and high, whose `planes` are each a strip of its own."""
    places = 8 + 4 * len(planes) * 2  # where the planes begin, behind the places and the lengths of all
    length = len(planes[0])
    # A single place and length are in the directory itself.
    where = {273: 8, 279: 8 + 4 * len(planes)} if len(planes) > 1 else {273: places, 279: length}
    values = {256: 16, 257: 16, 259: 1, 277: len(planes), 284: 2} | where | tags
    counts = {273: len(planes), 279: len(planes)}
    directory = b"".join(
        struct.pack(order + "HHII", tag, 4, counts.get(tag, 1), value) for tag, value in sorted(values.items())
    )
    lists = [places + length * number for number in range(len(planes))] + [length] * len(planes)
    start = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, places + length * len(planes))
    end = struct.pack(order + "H", len(values)) + directory + bytes(4)
    return start + struct.pack(f"{order}{len(lists)}I", *lists) + b"".join(planes) + end


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("photometric", "numbers", "expected"), [(2, (51_400, 25_700, 257), (200, 100, 1)), (5, (0,) * 4, WHITE)]
)
def test_16_bit_colours_in_separate_planes(make, order, photometric, numbers, expected):
    """Pillow takes the planes for 8-bit ones, so that each colour is read from half of a plane.

    The second half of each plane is black, or has all inks: so would be all of the picture if planes were mixed up.
    """
    other = 65_535 if photometric == 5 else 0
    planes = [struct.pack(f"{order}256H", *[number] * 128, *[other] * 128) for number in numbers]
    thumbnail = make(in_planes(planes, {258: 16, 262: photometric}, order), FULL)
    assert_colour(thumbnail.getpixel((8, 3)), expected, 1)
    assert max(thumbnail.getpixel((8, 12))) < 60


@pytest.mark.parametrize(
    ("plane", "tags", "expected"),
    [
        (struct.pack(">H", 51_400) * 256, {258: 16, 262: 1}, 200),
        (bytes([55]) * 256, {258: 8, 262: 0}, 200),
        (bytes([0xCC]) * 128, {258: 4, 262: 1}, 204),
        (bytes(32), {258: 1, 262: 0}, 255),
    ],
)
def test_a_single_separate_plane_is_a_usual_picture(make, plane, tags, expected):
    assert_plain(make(in_planes([plane], tags, ">"), FULL), (expected,) * 3, 1)


@pytest.mark.parametrize("extra", [1, 2])
def test_opacity_in_a_plane_of_its_own(make, extra):
    """TIFF 6.0, section 18: 1 is for colours that are multiplied by it."""
    planes = [bytes([value]) * 256 for value in ((100, 50, 0, 128) if extra == 1 else (200, 100, 0, 128))]
    thumbnail = make(in_planes(planes, {258: 8, 262: 2, 338: extra}, "<"), FULL)
    assert_plain(thumbnail, (200, 100, 0, 128), 2)


@pytest.mark.parametrize("packed", [False, True])
def test_unsigned_numbers_of_32_bits_are_not_negative(make, packed):
    """0xC8C8C8C8 is the grey 200, where Pillow has a number below 0."""
    pixels = struct.pack("<I", 0xC8C8C8C8) * 256
    content = tiff(16, 16, zlib.compress(pixels) if packed else pixels, {258: 32} | ({259: 8} if packed else {}))
    assert_plain(make(content, FULL), (200,) * 3)


@pytest.mark.parametrize(("value", "expected"), [(100, 100), (0, 0), (-5, 0), (-128, 0)])
def test_signed_numbers_of_8_bits_are_black_below_0(make, value, expected):
    content = tiff(16, 16, struct.pack("b", value) * 256, {339: 2})
    assert_plain(make(content, FULL), (expected,) * 3)


@pytest.mark.parametrize(("bits", "byte"), [(1, 0xFF), (4, 0xFF), (8, 0xFF)])
def test_grey_without_a_photometric_interpretation_has_a_black_0(make, bits, byte):
    """As libtiff supposes, except in faxes."""
    content = without_tag(tiff(16, 16, bytes([byte]) * (256 * bits // 8), {258: bits}), 262)
    assert_plain(make(content, FULL), WHITE)


def test_floating_point_in_which_0_is_white(make):
    pixels = struct.pack("<16f", *[0] * 8, *[1] * 8) * 16
    thumbnail = make(tiff(16, 16, pixels, {258: 32, 339: 3, 262: 0}), FULL)
    assert_plain(thumbnail.crop((0, 0, 6, 16)), WHITE)
    assert_plain(thumbnail.crop((10, 0, 16, 16)), BLACK)


# BMP


def bmp(masks: tuple[int, ...], pixels: list[int], bits: int, header: int = 40, upright: bool = False) -> bytes:
    """Return a BMP of 16 x 16 pixels with these bit masks, whose left half has one number and the right the other."""
    compression = 3 if header > 40 or len(masks) == 3 else 6
    start = struct.pack("<IiiHHIIiiII", header, 16, -16 if upright else 16, 1, bits, compression, 0, 0, 0, 0, 0)
    start = (start + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    letter = "H" if bits == 16 else "I"
    row = struct.pack(f"<16{letter}", *[pixels[0]] * 8, *[pixels[1]] * 8)
    return b"BM" + struct.pack("<III", 0, 0, 14 + len(start)) + start + row * 16


@pytest.mark.parametrize(
    ("masks", "pixels", "bits", "left", "right"),
    [
        ((0xF00, 0xF0, 0xF), [0xF80, 0x00F], 16, (255, 136, 0), BLUE),
        ((0xF00, 0xF0, 0xF, 0xF000), [0xFF80, 0x800F], 16, (255, 136, 0, 255), (*BLUE, 136)),
        ((0x7C00, 0x3E0, 0x1F, 0x8000), [0xFC00, 0x001F], 16, (*RED, 255), (*BLUE, 0)),
        ((0x3FF00000, 0xFFC00, 0x3FF), [1023 << 20 | 512 << 10, 1023], 32, (255, 128, 0), BLUE),
        ((0x3FF, 0xFFC00, 0x3FF00000), [1023 | 512 << 10, 1023 << 20], 32, (255, 128, 0), BLUE),
        ((0xFFE00000, 0x1FFC00, 0x3FF), [0xFFE00000, 0x3FF], 32, RED, BLUE),
        ((0xE0, 0x1C, 0x3), [0xE0, 0x3], 16, RED, BLUE),
        ((0xFFFF0000, 0xFF00, 0xFF), [0xFFFF0000, 0xFF], 32, RED, BLUE),
    ],
    ids=["4-4-4", "4-4-4-4", "1-5-5-5", "10-10-10", "10-10-10 reversed", "11-11-10", "3-3-2", "16-8-8"],
)
def test_bit_fields_of_any_width(make, masks, pixels, bits, left, right):
    """In a header of either length."""
    for header in (40, 56, 124):
        thumbnail = make(bmp(masks, pixels, bits, header), FULL)
        assert_colour(thumbnail.getpixel((2, 8)), left)
        found = thumbnail.getpixel((13, 8))
        assert_colour(found if len(right) == 3 or right[3] else (*BLUE, found[3]), right)


def test_an_opacity_that_is_0_everywhere_is_no_opacity(make):
    """As browsers have it: a picture that cannot be seen is none that anybody wants."""
    assert_plain(make(bmp((0x7C00, 0x3E0, 0x1F, 0x8000), [0x7C00, 0x7C00], 16, 124), FULL), RED)
    for masks in ((0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)):
        assert_plain(make(bmp(masks, [masks[0], masks[0]], 32, 124), FULL), RED)
        assert make(bmp(masks, [masks[0], masks[0] | masks[3]], 32, 124), FULL).mode == "RGBA"


def test_bit_fields_from_top_to_bottom_or_upside_down(make):
    """A negative height means that the first row is the top one."""
    masks = (0xF00, 0xF0, 0xF)
    content = bmp(masks, [0xF00, 0xF00], 16)
    half = content[: -16 * 16] + struct.pack("<128H", *[0x00F] * 128)
    assert_colour(make(half, FULL).getpixel((8, 2)), BLUE)
    upright = bmp(masks, [0xF00, 0xF00], 16, upright=True)
    half = upright[: -16 * 16] + struct.pack("<128H", *[0x00F] * 128)
    assert_colour(make(half, FULL).getpixel((8, 2)), RED)


def test_truncated_bit_fields_are_damaged(make):
    content = bmp((0xF00, 0xF0, 0xF), [0xF00, 0xF00], 16)[:-100]
    assert make.refusal(content).startswith("damaged: image file is truncated")
    assert make(content, FULL, damaged="make").size == (16, 16)


@pytest.mark.parametrize(
    ("bits", "compression", "words"),
    [(64, 0, "a BMP with 64 bits per pixel"), (24, 4, "compressed as JPEG"), (24, 5, "compressed as PNG")],
)
def test_other_kinds_of_bmp_are_not_called_damaged(make, bits, compression, words):
    start = struct.pack("<IiiHHIIiiII", 40, 16, 16, 1, bits, compression, 0, 0, 0, 0, 0)
    reason = make.refusal(b"BM" + struct.pack("<III", 0, 0, 54) + start + bytes(2048))
    assert words in reason and "cannot be read" in reason


# JPEG


def with_dnl(content: bytes) -> bytes:
    """Return a JPEG with its height in a DNL segment at its end."""
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + b"\0\0" + content[at + 2 : -2] + b"\xff\xdc\0\4" + content[at : at + 2] + b"\xff\xd9"


def test_height_behind_the_pixels_is_used(make):
    """ITU-T T.81, B.2.5: a frame of height 0 has a DNL segment behind its first scan."""
    content = saved(corners(), "JPEG", quality=95)
    thumbnail = make(with_dnl(content), box_size(64, 48))
    assert thumbnail.size == (64, 48)
    for at, colour in CORNERS.items():
        assert_colour(thumbnail.getpixel(at), colour, 2)
    assert make.notes(with_dnl(content)) == []
    at = content.index(b"\xff\xc0") + 5
    for file in make.out.iterdir():
        file.unlink()
    assert "without a height" in make.refusal(content[:at] + b"\0\0" + content[at + 2 :])


# Without the extra


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (tiff(16, 16, bytes(256 * 9 // 2), {258: 12, 262: 2, 277: 3}), "a TIFF of 12-bit RGB"),
        (tiff(16, 16, bytes(256 * 12), {258: 32, 262: 2, 277: 3, 339: 3}), "a TIFF of 32-bit floating-point RGB"),
        (tiff(16, 16, bytes(256 * 5), {262: 5, 277: 5, 338: 1}), "a TIFF of 8-bit CMYK with transparency"),
        (tiff(16, 16, bytes(256 * 2), {258: 12}, ">"), "a TIFF of 12-bit grey"),
        (
            tiff(16, 16, saved(plain(RED), "WEBP", lossless=True), {259: 50_001, 262: 2, 277: 3}),
            "a TIFF of 8-bit RGB, compressed as WebP",
        ),
    ],
    ids=["12-bit", "float", "cmyk-alpha", "big-endian", "webp"],
)
@pytest.mark.parametrize("damaged", ["refuse", "make"])
def test_without_its_library_a_tiff_says_what_it_is_and_what_to_install(make, monkeypatch, content, what, damaged):
    for library in ("tifffile", "imagecodecs"):
        monkeypatch.setitem(sys.modules, library, None)
        reason = make.refusal(content, damaged=damaged)
        assert reason.startswith(f"{what}, which needs libraries that are not installed") and "'.[archive]'" in reason
        monkeypatch.undo()


def test_without_its_library_a_jpeg_of_12_bits_says_what_it_is_and_what_to_install(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    content = saved(plain(RED), "JPEG")
    at = content.index(b"\xff\xc0") + 4
    reason = make.refusal(content[:at] + b"\x0c" + content[at + 1 :])
    assert reason.startswith("a JPEG with 12 bits per sample, which needs libraries that are not installed")


@pytest.mark.parametrize("tags", [{262: 32_803}, {259: 34_661}, {259: 65_000}, {262: 34_892, 277: 3}])
def test_what_no_library_reads_does_not_ask_for_one(make, tags):
    """Raw pictures, and compressions that nothing knows."""
    reason = make.refusal(tiff(16, 16, bytes(1024), {258: 16} | tags))
    assert reason.startswith("a TIFF of 16-bit") and "a kind that cannot be read" in reason


def test_the_kind_is_library_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    (tmp_path / "a.tif").write_bytes(tiff(16, 16, bytes(256 * 9 // 2), {258: 12, 262: 2, 277: 3}))
    with pytest.raises(PictureError) as caught:
        make_thumbnails(str(tmp_path / "a.tif"), [Thumbnail(str(tmp_path / "a.png"), FULL, "png")], quality={})
    assert caught.value.failure.kind == Kind.LIBRARY_MISSING


@pytest.mark.parametrize(
    ("marker", "body"),
    [(b"\xe0", b"JFIF\0"), (b"\xee", b"Adobe"), (b"\xe2", b"ICC_PROFILE\0"), (b"\xe2", b"ICC_PROFILE\0\1")],
)
def test_jpeg_with_a_segment_that_is_too_short(make, marker, body):
    """Browsers take no notice of such a segment."""
    content = saved(corners(), "JPEG", quality=95, subsampling=0)
    segment = b"\xff\xff" + marker + struct.pack(">H", len(body) + 2) + body
    notes = make.notes(content[:2] + segment + content[2:], [box_size(64, 48)])
    assert notes == [f"malformed parts of its header ignored: {body.split(bytes(1))[0].decode()}"]
    assert (make.out / "0.png").read_bytes() == make.bytes(content, box_size(64, 48))


def test_jpeg_with_a_segment_that_is_too_short_and_without_pixels(make):
    content = saved(corners(), "JPEG")
    content = content[:2] + b"\xff\xe0\0\7JFIF\0" + content[2 : content.index(b"\xff\xda")] + b"\xff\xd9"
    assert make.refusal(content) == "damaged: a JPEG whose header cannot be read"


def rle_bmp(pixels: bytes, depth: int = 8) -> bytes:
    """Return a BMP of 16 x 16 pixels, compressed as RLE8 or (at a `depth` of 4) RLE4; 1 is red, 2 green, 0 black."""
    palette = (bytes(4) + b"\0\0\xff\0" + b"\0\xff\0\0").ljust(4 * 2**depth, b"\0")
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, 16, 16, 1, depth, {8: 1, 4: 2}[depth], len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<III", start + len(pixels), 0, start) + header + palette + pixels


@pytest.mark.parametrize(
    ("pixels", "depth"),
    [
        (b"\0\0" * 8 + b"\x10\1\0\0" * 4 + b"\0\1", 8),
        (b"\0\2\0\x08" + b"\x10\1\0\0" * 4 + b"\0\1", 8),
        (b"\0\2\x08\x08" + b"\x08\1\0\0" + b"\x10\1\0\0" * 3 + b"\0\1", 8),
        (b"\0\0" * 8 + b"\0\x10" + b"\1" * 16 + b"\0\0" + b"\x10\1\0\0" * 3 + b"\0\1", 8),
        (b"\0\0" * 8 + b"\x10\x11\0\0" * 4 + b"\0\1", 4),
        (b"\0\0" * 8 + (b"\0\5\x11\x11\x10\0\x0b\x11\0\0") * 4 + b"\0\1", 4),
    ],
    ids=["empty rows", "skipped rows", "skipped pixels", "single pixels", "RLE4", "RLE4 single pixels"],
)
def test_rle_that_leaves_pixels_out(make, pixels, depth):
    """The lower half and the upper quarter are left out; rows are stored from bottom to top."""
    thumbnail = make(rle_bmp(pixels, depth), FULL)
    assert_colour(thumbnail.getpixel((12, 5)), RED)
    assert_colour(thumbnail.getpixel((12, 1)), BLACK)
    assert_colour(thumbnail.getpixel((12, 12)), BLACK)


def test_truncated_rle_is_damaged(make):
    content = rle_bmp(b"\x10\1\0\0" * 12)
    assert make.refusal(content) == "damaged: image file is truncated"
    thumbnail = make(content, FULL, damaged="make")
    assert_colour(thumbnail.getpixel((8, 12)), RED)
    assert_colour(thumbnail.getpixel((8, 1)), BLACK)
    assert_plain(make(rle_bmp(b"\x10\1\0\0" * 15 + b"\x10\1"), FULL), RED)  # only its end marker is missing
