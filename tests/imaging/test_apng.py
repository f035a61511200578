"""Animated PNGs: what their transparent colour and their disposed frames leave uncovered, and how frames mix."""

import struct
import zlib
from typing import NamedTuple

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour
from tests.support.pictures import box_size, chunk, exif, plain, saved

WHOLE = box_size(16, 16)
NOTHING = (0, 0, 0, 0)
RED, BLUE = (255, 0, 0, 255), (0, 0, 255, 255)
DARK, LIGHT = (85, 85, 85, 255), (170, 170, 170, 255)
KEEP, CLEAR, BACK = 0, 1, 2  # disposal
SOURCE, OVER = 0, 1  # blend


class Drawn(NamedTuple):
    """A frame: its rows (16 x 16 pixels, or the box), what happens to it, and where it is."""

    row: bytes
    disposal: int = KEEP
    blend: int = SOURCE
    left: int = 0
    width: int = 16


def apng(depth: int, colour_type: int, before: bytes, frames: list[Drawn], outside: bytes = b"") -> bytes:
    """Return an animation of 16 x 16 pixels; `outside` is the row of a default image that is no frame."""
    header = struct.pack(">IIBBBBB", 16, 16, depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">II", len(frames), 0)), before]
    if outside:
        parts.append(chunk(b"IDAT", zlib.compress((b"\0" + outside) * 16)))
    sequence = 0
    for number, frame in enumerate(frames):
        place = (frame.width, 16, frame.left, 0, 1, 10, frame.disposal, frame.blend)
        parts.append(chunk(b"fcTL", struct.pack(">5I2H2B", sequence, *place)))
        sequence += 1
        pixels = zlib.compress((b"\0" + frame.row) * 16)
        if number == 0 and not outside:
            parts.append(chunk(b"IDAT", pixels))
            continue
        for piece in (pixels[:5], pixels[5:]):  # in two chunks
            parts.append(chunk(b"fdAT", struct.pack(">I", sequence) + piece))
            sequence += 1
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def shown(thumbnail: Image.Image, number: int) -> list[tuple[int, ...]]:
    """Return the colours of a frame's left and right half; black without opacity if they are invisible."""
    thumbnail.seek(number)
    frame = thumbnail.convert("RGBA")
    return [frame.getpixel((x, 8)) if frame.getpixel((x, 8))[3] else NOTHING for x in (3, 12)]


# Depth, colour type, chunks; pixels of the transparent colour, of one colour and of another; these two colours.
KINDS = {
    "grey-2": (2, 0, chunk(b"tRNS", b"\0\3"), b"\xff", b"\x55", b"\xaa", DARK, LIGHT),
    "grey-8": (8, 0, chunk(b"tRNS", b"\0\3"), b"\3" * 4, b"\x55" * 4, b"\xaa" * 4, DARK, LIGHT),
    "grey-16": (16, 0, chunk(b"tRNS", b"\x55\x56"), b"\x55\x56" * 4, b"\x55" * 8, b"\xaa" * 8, DARK, LIGHT),
    "rgb-8": (8, 2, chunk(b"tRNS", b"\0\3\0\3\0\3"), b"\3" * 12, b"\xff\0\0" * 4, b"\0\0\xff" * 4, RED, BLUE),
    "rgb-16": (
        16, 2, chunk(b"tRNS", b"\xff\xfe\0\0\0\0"),
        b"\xff\xfe\0\0\0\0" * 4, b"\xff\xff\0\0\0\0" * 4, b"\0\0\0\0\xff\xff" * 4, RED, BLUE,
    ),
    "palette-4": (
        4, 3, chunk(b"PLTE", bytes([*RED[:3], *BLUE[:3], 9, 9, 9])) + chunk(b"tRNS", b"\xff\xff\0"),
        b"\x22" * 2, b"\0" * 2, b"\x11" * 2, RED, BLUE,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("depth", "kind", "before", "key", "one", "other", "first", "second"), KINDS.values(), ids=KINDS
)
@pytest.mark.parametrize("format", ["png", "webp"])
def test_frames_are_laid_over_one_another(make, format, depth, kind, before, key, one, other, first, second):
    """The transparent colour shows what is below, or nothing, and a disposed frame leaves what it should."""
    frames = [
        Drawn(one * 2 + key * 2),
        Drawn(key * 2 + other * 2, blend=OVER, disposal=CLEAR),  # added to the first; then all is cleared
        Drawn(other * 2, left=0, width=8, disposal=BACK),
        Drawn(one * 2, left=8, width=8),  # beside what the one before has taken back
        Drawn(key * 4),  # in place of all
    ]
    thumbnail = make(
        apng(depth, kind, before, frames), WHOLE, format=format, animated=True, quality={"webp": 100, "png": 100}
    )
    assert thumbnail.n_frames == len(frames)
    expected = [(first, NOTHING), (first, second), (second, NOTHING), (NOTHING, first), (NOTHING, NOTHING)]
    for number, halves in enumerate(expected):
        for found, colour in zip(shown(thumbnail, number), halves, strict=True):
            assert_colour(found, colour, 2 if format == "png" else 30)


@pytest.mark.parametrize(
    ("depth", "kind", "half", "expected"),
    [
        (8, 6, b"\xff\0\0\x80", (255, 0, 0, 128)),
        (16, 6, b"\xff\xff\0\0\0\0\x80\x80", (255, 0, 0, 128)),
        (8, 4, b"\x55\x80", (85, 85, 85, 128)),
        (16, 4, b"\x55\x55\x80\x80", (85, 85, 85, 128)),
    ],
    ids=["rgba-8", "rgba-16", "grey-8", "grey-16"],
)
def test_half_transparent_colours_mix_with_nothing_and_with_each_other(make, depth, kind, half, expected):
    """Over nothing they are what they were, and over themselves they cover three quarters."""
    nothing = bytes(len(half))
    frames = [Drawn(half * 8 + nothing * 8), Drawn(half * 16, blend=OVER)]
    thumbnail = make(apng(depth, kind, b"", frames), WHOLE, animated=True)
    left, right = shown(thumbnail, 1)
    assert_colour(right, expected, 1)
    assert_colour(left, (*expected[:3], 192), 1)


def test_half_transparent_colours_of_a_palette_mix(make):
    """Half of blue over red, where a palette's numbers cannot be mixed."""
    before = chunk(b"PLTE", bytes([*RED[:3], *BLUE[:3]])) + chunk(b"tRNS", b"\xff\x80")
    frames = [Drawn(b"\0" * 16), Drawn(b"\1" * 16, blend=OVER)]
    thumbnail = make(apng(8, 3, before, frames), WHOLE, animated=True)
    assert_colour(shown(thumbnail, 1)[0], (127, 0, 128, 255), 2)


def test_opaque_pictures_are_cleared_to_nothing(make):
    """Not to black, which is what their mode can hold."""
    frames = [Drawn(b"\xff\0\0" * 16, disposal=CLEAR), Drawn(b"\0\0\xff" * 8, width=8)]
    thumbnail = make(apng(8, 2, b"", frames), WHOLE, animated=True)
    assert shown(thumbnail, 0) == [RED, RED]
    assert shown(thumbnail, 1) == [BLUE, NOTHING]


@pytest.mark.parametrize(
    ("frames", "mode"),
    [
        ([Drawn(b"\xff" * 16), Drawn(b"\x55" * 8, width=8, disposal=BACK), Drawn(b"\x66" * 8, width=8)], "RGB"),
        (
            [Drawn(b"\xff" * 16), Drawn(b"\x55" * 8, width=8, disposal=CLEAR), Drawn(b"\x66" * 8, left=8, width=8)],
            "RGBA",
        ),
        ([Drawn(b"\xff" * 16, disposal=BACK), Drawn(b"\x55" * 8, width=8)], "RGBA"),
        ([Drawn(b"\xff" * 8, width=8), Drawn(b"\x55" * 16)], "RGBA"),
    ],
    ids=["covered", "cleared", "taken-back", "uncovered"],
)
def test_thumbnail_has_an_alpha_channel_if_a_frame_needs_it(make, frames, mode):
    thumbnail = make(apng(8, 0, b"", frames), WHOLE, animated=True)
    assert thumbnail.n_frames == len(frames)
    assert thumbnail.mode == mode


def test_colours_durations_and_loops_stay(make):
    """Linear light (55 of 255 is 128 in sRGB), 100 ms a frame, endlessly."""
    before = chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"tRNS", b"\0\3")
    thumbnail = make(apng(8, 0, before, [Drawn(b"\x37" * 16), Drawn(b"\xff" * 16)]), WHOLE, animated=True)
    assert_colour(shown(thumbnail, 0)[0], (128, 128, 128, 255))
    assert thumbnail.info["duration"] == 100 and thumbnail.info["loop"] == 0


@pytest.mark.parametrize("place", [33, -12], ids=["before", "behind"])
def test_orientation_counts_for_every_frame(make, place):
    """Upside down: left and right change places, too."""
    content = apng(8, 0, b"", [Drawn(b"\x55" * 8 + b"\xaa" * 8), Drawn(b"\xaa" * 8 + b"\x55" * 8)])
    content = content[:place] + chunk(b"eXIf", exif(3).tobytes()[6:]) + content[place:]
    thumbnail = make(content, WHOLE, animated=True)
    assert shown(thumbnail, 0) == [LIGHT, DARK]
    assert shown(thumbnail, 1) == [DARK, LIGHT]


def test_first_frame_is_the_picture_where_animations_are_off(make):
    """Its transparent colour too."""
    frames = [Drawn(b"\xff\xff\0\0\0\0" * 8 + b"\xff\xfe\0\0\0\0" * 8), Drawn(b"\0" * 96)]
    content = apng(16, 2, chunk(b"tRNS", b"\xff\xfe\0\0\0\0"), frames)
    thumbnail = make(content, WHOLE)
    assert getattr(thumbnail, "n_frames", 1) == 1
    assert shown(thumbnail, 0) == [RED, NOTHING]


def test_animation_without_a_frame_is_damaged(make):
    """It claims to have two."""
    content = saved(plain((255, 0, 0)), "PNG")
    content = content[:33] + chunk(b"acTL", struct.pack(">II", 2, 0)) + content[33:]
    assert make.refusal(content, animated=True).startswith("damaged: ")
    assert make.notes(content) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-60],
        lambda content: content.replace(b"acTL" + struct.pack(">I", 2), b"acTL" + struct.pack(">I", 9)),
        lambda content: content.replace(struct.pack(">5I", 1, 16, 16, 0, 0), struct.pack(">5I", 1, 16, 16, 1, 0)),
        lambda content: content.replace(struct.pack(">5I", 1, 16, 16, 0, 0), struct.pack(">5I", 1, 2**31, 2**31, 0, 0)),
        lambda content: content.replace(struct.pack(">5I", 1, 16, 16, 0, 0), struct.pack(">5I", 1, 0, 16, 0, 0)),
    ],
    ids=["cut", "too-few", "beyond", "huge", "empty"],
)
def test_spoilt_animation_is_damaged(make, spoil):
    content = apng(8, 0, b"", [Drawn(b"\x55" * 16), Drawn(b"\xff" * 16)])
    spoilt = spoil(content)
    assert spoilt != content
    start = spoilt.index(b"acTL") - 4
    spoilt = spoilt[:start] + chunk(b"acTL", spoilt[start + 8 : start + 16]) + spoilt[start + 20 :]
    assert make.refusal(spoilt, animated=True).startswith("damaged: ")
