"""PNG files where Pillow is not exact: wrong checksums, and transparent colours of every depth."""

import struct
import zlib

import pytest
from PIL import Image

from tests.imaging.maker import assert_half, assert_plain, difference
from tests.support.pictures import GREY, RED, box_size, chunk, corners, exif, plain, png, saved
from tests.support.profiles import wide_gamut
from thumbmill.imaging.png import chunks, without_broken_chunks

WHOLE = box_size(16, 16)


def broken(piece: bytes) -> bytes:
    """Return a chunk with a wrong checksum."""
    return piece[:-1] + bytes([piece[-1] ^ 1])


def with_chunk(content: bytes, piece: bytes) -> bytes:
    """Return a PNG file with a chunk added behind its header."""
    return content[:33] + piece + content[33:]


# Transparent colours


def shorts(*values: int) -> bytes:
    """Return `values` as PNG stores numbers of 16 bits."""
    return struct.pack(f">{len(values)}H", *values)


# What a row holds (16 pixels, two halves), depth, colour type, the key; left and right half of the thumbnail.
KEYS = {
    "grey-1-black": (b"\x00\xff", 1, 0, shorts(0), (0, 0, 0, 0), (255, 255, 255, 255)),
    "grey-1-white": (b"\x00\xff", 1, 0, shorts(1), (0, 0, 0, 255), (0, 0, 0, 0)),
    "grey-2-white": (b"\x55\x55\xff\xff", 2, 0, shorts(3), (85, 85, 85, 255), (0, 0, 0, 0)),
    "grey-2-grey": (b"\x55\x55\xff\xff", 2, 0, shorts(1), (0, 0, 0, 0), (255, 255, 255, 255)),
    "grey-2-none": (b"\x55\x55\xff\xff", 2, 0, shorts(2), (85, 85, 85, 255), (255, 255, 255, 255)),
    "grey-2-high-bits": (b"\x55\x55\xff\xff", 2, 0, shorts(0xFF01), (0, 0, 0, 0), (255, 255, 255, 255)),
    "grey-4-white": (b"\x88" * 4 + b"\xff" * 4, 4, 0, shorts(15), (136, 136, 136, 255), (0, 0, 0, 0)),
    "grey-4-grey": (b"\x88" * 4 + b"\xff" * 4, 4, 0, shorts(8), (0, 0, 0, 0), (255, 255, 255, 255)),
    "grey-8": (bytes([7] * 8 + [200] * 8), 8, 0, shorts(200), (7, 7, 7, 255), (0, 0, 0, 0)),
    "grey-8-high-bits": (bytes([7] * 8 + [200] * 8), 8, 0, shorts(0x01C8), (7, 7, 7, 255), (0, 0, 0, 0)),
    "grey-16": (shorts(*[0x8000] * 8, *[0x8001] * 8), 16, 0, shorts(0x8001), (128, 128, 128, 255), (0, 0, 0, 0)),
    "grey-16-low": (shorts(*[0x1234] * 8, *[0x3412] * 8), 16, 0, shorts(0x1234), (0, 0, 0, 0), (52, 52, 52, 255)),
    "rgb-8": (bytes([*RED] * 8 + [1, 2, 3] * 8), 8, 2, shorts(1, 2, 3), (255, 0, 0, 255), (0, 0, 0, 0)),
    "rgb-8-high-bits": (bytes([*RED] * 8 + [1, 2, 3] * 8), 8, 2, shorts(257, 258, 3), (255, 0, 0, 255), (0, 0, 0, 0)),
    "rgb-16": (
        shorts(*[0x8000] * 24, *[0] * 24), 16, 2, shorts(0x8000, 0x8000, 0x8000), (0, 0, 0, 0), (0, 0, 0, 255),
    ),
    "rgb-16-high-byte": (
        shorts(*[0x8000] * 24, *[0x8001] * 24), 16, 2, shorts(0x8001, 0x8001, 0x8001), (*GREY, 255), (0, 0, 0, 0),
    ),
    "rgb-16-one-channel": (
        shorts(*[0x1234, 0x1234, 0x1235] * 8, *[0x1234] * 24),
        16, 2, shorts(0x1234, 0x1234, 0x1234), (18, 18, 18, 255), (0, 0, 0, 0),
    ),
    "rgb-16-swapped": (
        shorts(*[0x1234] * 24, *[0x3412] * 24), 16, 2, shorts(0x1234, 0x1234, 0x1234), (0, 0, 0, 0), (52, 52, 52, 255),
    ),
    "rgb-16-black": (shorts(*[0x0012] * 24, *[0] * 24), 16, 2, shorts(0x0012, 0, 0), (0, 0, 0, 255), (0, 0, 0, 255)),
}  # fmt: skip


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(("row", "depth", "colour_type", "key", "left", "right"), KEYS.values(), ids=KEYS)
def test_transparent_colour_has_the_depth_of_its_picture(make, row, depth, colour_type, key, left, right, linear):
    """What shares the key's low bits or its high byte only stays opaque, and black is never transparent by mistake."""
    content = png(16, 16, depth, colour_type, row, chunk(b"tRNS", key))
    for size in (WHOLE, box_size(8, 8)):
        thumbnail = make(content, size, linear=linear)
        third = size["width"] // 3
        assert thumbnail.mode == "RGBA"
        assert_half(thumbnail.crop((0, 0, third, size["height"])), left)
        assert_half(thumbnail.crop((size["width"] - third, 0, size["width"], size["height"])), right)


@pytest.mark.parametrize("interlaced", [False, True])
def test_16_bit_key_of_interlaced_pictures(make, interlaced):
    """A picture of one pixel, which both ways store alike: the key must be found in each."""
    content = bytearray(png(1, 1, 16, 2, shorts(0x8001, 2, 3), chunk(b"tRNS", shorts(0x8001, 2, 3))))
    content[28] = interlaced
    content[29:33] = chunk(b"IHDR", bytes(content[16:29]))[-4:]
    assert make(bytes(content)).getpixel((0, 0))[3] == 0


def test_16_bit_key_beside_a_profile_and_an_orientation(make):
    """What the picture says besides counts as before."""
    row = shorts(*[200 * 257, 50 * 257, 50 * 257] * 8, *[0x8000] * 24)
    icc = saved(plain(RED), "PNG", icc_profile=wide_gamut())
    profile = next(icc[each.start : each.end] for each in chunks(icc) if each.kind == b"iCCP")
    turned = saved(plain(RED), "PNG", exif=exif(3))
    orientation = next(turned[each.start : each.end] for each in chunks(turned) if each.kind == b"eXIf")
    key = chunk(b"tRNS", shorts(0x8000, 0x8000, 0x8000))
    thumbnail = make(png(16, 16, 16, 2, row, profile + key, orientation), WHOLE)
    assert_half(thumbnail.crop((0, 0, 6, 16)), (0, 0, 0, 0))
    red, _, _, alpha = thumbnail.getpixel((12, 8))
    assert red > 225 and alpha == 255


def test_cut_16_bit_picture_with_a_key_is_damaged(make):
    """As without a key: refused, or made from what there is."""
    noise = Image.effect_noise((64, 64), 90).tobytes()
    content = png(64, 1, 16, 2, noise[:384], chunk(b"tRNS", shorts(1, 2, 3)))
    assert make.refusal(content[:-200]).startswith("damaged: ")
    (note,) = make.notes(content[:-200], damaged="make")
    assert note.endswith("made from what could be decoded")


# Checksums


@pytest.mark.parametrize(
    "piece",
    [
        chunk(b"tEXt", b"Comment\0x"),
        chunk(b"zTXt", b"Comment\0\0nonsense"),
        chunk(b"pHYs", bytes(9)),
        chunk(b"gAMA", struct.pack(">I", 100_000)),
        chunk(b"cICP", bytes([9, 16, 0, 1])),
        chunk(b"tRNS", shorts(*GREY)),
        chunk(b"eXIf", exif(6).tobytes()[6:]),
        chunk(b"iCCP", b"x\0\0nonsense"),
        chunk(b"vpAg", b"private"),
    ],
    ids=lambda piece: piece[4:8].decode(),
)
@pytest.mark.parametrize("damaged", ["refuse", "make"])
def test_ancillary_chunk_with_a_wrong_checksum_is_left_out(make, piece, damaged):
    """As in browsers, with a note that names it; nothing that it says counts."""
    content = saved(corners(), "PNG")
    expected = make(content, box_size(64, 64))
    if damaged == "refuse":
        note = f"chunks with a wrong checksum ignored: {piece[4:8].decode()}"
        assert make.notes(with_chunk(content, broken(piece)), [box_size(64, 64)], damaged=damaged) == [note]
    else:
        make.notes(with_chunk(content, broken(piece)), [box_size(64, 64)], damaged=damaged)
    assert difference(Image.open(make.out / "0.png"), expected) == 0


@pytest.mark.parametrize(
    "piece",
    [
        chunk(b"tEXt", b"Comment\0x"),
        chunk(b"tIME", bytes(7)),
        chunk(b"eXIf", exif(6).tobytes()[6:]),
        chunk(b"zTXt", b"Comment\0\0nonsense"),
        chunk(b"vpAg", bytes(3_000_000)),
        chunk(b"tEXt", b""),
    ],
    ids=lambda piece: piece[4:8].decode(),
)
def test_chunk_behind_the_pixels_with_a_wrong_checksum_is_left_out(make, piece):
    """As before them; what follows it counts, here an orientation."""
    content = saved(corners(), "PNG")
    expected = make(content, box_size(64, 64))
    note = f"chunks with a wrong checksum ignored: {piece[4:8].decode()}"
    tail = content[-12:]
    assert make.notes(content[:-12] + broken(piece) + tail, [box_size(64, 64)]) == [note]
    assert difference(Image.open(make.out / "0.png"), expected) == 0
    turned = content[:-12] + broken(piece) + chunk(b"eXIf", exif(3).tobytes()[6:]) + tail
    assert make.notes(turned, [box_size(64, 64)]) == [note]
    assert difference(Image.open(make.out / "0.png"), expected.transpose(Image.Transpose.ROTATE_180)) == 0
    assert make.notes(content[:-12] + piece + tail, [box_size(64, 64)]) == []


def test_cut_chunk_behind_the_pixels_is_damage(make):
    """Even if it says that it is larger than memory."""
    content = saved(plain(RED), "PNG")[:-12] + struct.pack(">I4s", 2**31 - 1, b"tEXt") + bytes(100)
    assert make.refusal(content).startswith("damaged: ")


def test_sound_chunks_beside_a_broken_one_count(make):
    content = png(16, 16, 8, 0, bytes([7] * 8 + [200] * 8), chunk(b"tRNS", b"\0\7") + broken(chunk(b"tEXt", b"a\0b")))
    thumbnail = make(content, WHOLE)
    assert_half(thumbnail.crop((0, 0, 6, 16)), (0, 0, 0, 0))
    assert_half(thumbnail.crop((10, 0, 16, 16)), (200, 200, 200, 255))


def test_broken_transparent_colour_of_an_animation_does_not_count(make):
    """In no frame."""
    frames = [plain(RED), plain(GREY)]
    content = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100)
    make.notes(with_chunk(content, broken(chunk(b"tRNS", shorts(*GREY)))), animated=True)
    thumbnail = Image.open(make.out / "0.png")
    thumbnail.seek(1)
    assert_plain(thumbnail.convert("RGBA"), (*GREY, 255))


@pytest.mark.parametrize(
    "piece",
    [
        chunk(b"tRNS", b"\0"),
        chunk(b"gAMA", b"\0\0"),
        chunk(b"cHRM", bytes(7)),
        chunk(b"sRGB", b""),
        chunk(b"pHYs", bytes(8)),
        chunk(b"acTL", b""),
        chunk(b"iCCP", b""),
        chunk(b"iCCP", b"x\0\1" + zlib.compress(bytes(200))),
        chunk(b"zTXt", b"Comment\0\1"),
    ],
    ids=lambda piece: piece[4:8].decode(),
)
def test_malformed_ancillary_chunk_is_left_out(make, piece):
    """As in browsers: its checksum is right, but it ends too early, or is compressed by an unknown method."""
    content = saved(corners(), "PNG")
    expected = make(content, box_size(64, 64))
    notes = make.notes(with_chunk(content, piece), [box_size(64, 64)])
    assert notes == [f"malformed parts of its header ignored: {piece[4:8].decode()}"]
    assert difference(Image.open(make.out / "0.png"), expected) == 0


def test_profile_that_cannot_be_decompressed_is_noted(make):
    piece = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(range(256)) * 4)[:2])
    assert make.notes(with_chunk(saved(plain(RED), "PNG"), piece)) == ["colour profile ignored: it is incomplete"]


def test_several_broken_chunks_are_named_in_one_note(make):
    content = saved(plain(RED), "PNG")
    for piece in (chunk(b"tEXt", b"a\0b"), chunk(b"tEXt", b"c\0d"), chunk(b"gAMA", bytes(4))):
        content = with_chunk(content, broken(piece))
    assert make.notes(content) == ["chunks with a wrong checksum ignored: gAMA, tEXt"]
    assert_plain(Image.open(make.out / "0.png"), RED)


@pytest.mark.parametrize("kind", ["IHDR", "PLTE"])
def test_critical_chunk_with_a_wrong_checksum_is_damage(make, kind):
    picture = plain(RED).quantize(4)
    content = saved(picture, "PNG")
    piece = next(content[each.start : each.end] for each in chunks(content) if each.kind == kind.encode())
    content = content.replace(piece, broken(piece))
    assert make.refusal(content) == f"damaged: wrong checksum of its {kind} chunk"
    assert make.refusal(content, damaged="make") == f"damaged: wrong checksum of its {kind} chunk"


def test_broken_chunk_of_one_picture_does_not_excuse_the_next(make):
    """No switch of Pillow's is left on."""
    assert make.notes(with_chunk(saved(plain(RED), "PNG"), broken(chunk(b"tEXt", b"a\0b"))))
    for file in make.out.iterdir():
        file.unlink()
    noise = Image.effect_noise((64, 64), 90)
    assert make.refusal(saved(noise, "PNG")[:-2000]).startswith("damaged: ")


@pytest.mark.parametrize("kind", ["acTL", "fcTL"])
def test_animation_with_a_broken_chunk_of_its_own_is_a_still_picture(make, kind):
    frames = [plain(RED), plain(GREY)]
    content = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100)
    piece = next(content[each.start : each.end] for each in chunks(content) if each.kind == kind.encode())
    notes = make.notes(content.replace(piece, broken(piece)), animated=True)
    assert notes == [f"chunks with a wrong checksum ignored: {kind}"]
    thumbnail = Image.open(make.out / "0.png")
    assert getattr(thumbnail, "n_frames", 1) == 1
    assert_plain(thumbnail, RED)


def test_content_without_its_broken_chunks_is_what_it_was_before():
    content = saved(corners(), "PNG")
    assert without_broken_chunks(with_chunk(content, broken(chunk(b"tEXt", b"a\0b")))) == (content, ["tEXt"], [])
    assert without_broken_chunks(with_chunk(content, chunk(b"gAMA", b"\0"))) == (content, [], ["gAMA"])
    assert without_broken_chunks(content) == (content, [], [])
    assert without_broken_chunks(content[:40]) == (content[:40], [], [])
