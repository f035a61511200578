"""Animations: their first frame, or all of them if the settings ask for it."""

import io
import os
import struct
import zlib

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_plain
from tests.support.animations import ApngFrame, GifFrame, apng, gif, netscape
from tests.support.pictures import BLACK, BLUE, GREEN, LOSSY, QUALITY, RED, SMALL, box_size, chunk, exif, plain, saved
from tests.support.profiles import linear_grey
from thumbmill.imaging.encode import encode
from thumbmill.imaging.isobmff import read_properties

FRAMES = [plain(colour, size=(32, 16)) for colour in (RED, BLUE, GREEN)]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
def test_first_frame_of_an_animation(make, format, output):
    """A still picture of it."""
    content = saved(FRAMES[0], format, save_all=True, append_images=FRAMES[1:])
    assert Image.open(io.BytesIO(content)).n_frames == 3
    thumbnail = make(content, box_size(16, 16), output)
    assert getattr(thumbnail, "n_frames", 1) == 1
    assert thumbnail.size == (16, 8)
    assert_plain(thumbnail.convert("RGB"), RED, LOSSY)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("output", ["webp", "png", "avif"])
def test_animation_stays_one_when_asked(make, format, output):
    """All frames, in order, each in the size asked for and shown as long as before."""
    content = saved(FRAMES[0], format, save_all=True, append_images=FRAMES[1:], duration=[100, 200, 300], loop=0)
    animation = make(content, box_size(16, 16), output, animated=True)
    assert (animation.n_frames, animation.size) == (3, (16, 8))
    for number, (colour, duration) in enumerate(((RED, 100), (BLUE, 200), (GREEN, 300))):
        animation.seek(number)
        animation.load()
        assert_plain(animation.convert("RGB"), colour, LOSSY)
        assert animation.info["duration"] == duration


def test_animation_is_still_in_jpeg_and_moves_beside_it(make):
    """Two formats of one picture."""
    content = saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], duration=100)
    make.notes(content, [box_size(16, 16)], ["jpeg", "webp"], animated=True)
    assert_plain(Image.open(make.out / "0.jpg"), RED, LOSSY)
    assert Image.open(make.out / "1.webp").n_frames == 3


def test_animation_with_transparency_keeps_it(make):
    """A red square that moves across a transparent picture."""
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
    """Only its first page is shown."""
    content = saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:])
    assert make(content, box_size(16, 16), "webp", animated=True).n_frames == 1


def test_animation_counts_all_its_pixels(make):
    """Three frames of 512 pixels."""
    content = saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:])
    assert make(content, SMALL, "webp", animated=True, max_pixels=1536).n_frames == 3
    os.unlink(make.out / "0.webp")
    reason = make.refusal(content, formats=["webp"], animated=True, max_pixels=1535)
    assert reason.startswith("too large: 3 frames of 32 x 16")


# How often it runs


def animation(format: str, plays: int) -> bytes:
    """Return an animation that runs `plays` times (0: endlessly)."""
    if format == "AVIF":
        return encode(FRAMES, "avif", QUALITY, "#ffffff", [100] * 3, plays)
    options = {"save_all": True, "append_images": FRAMES[1:], "duration": 100, "loop": plays}
    if format == "GIF":
        if plays == 1:
            del options["loop"]
        elif plays:
            options["loop"] -= 1
    return saved(FRAMES[0], format, **options)


def plays_of(content: bytes) -> int:
    """Return how often a WebP, PNG or AVIF file runs (0: endlessly)."""
    animation = Image.open(io.BytesIO(content))
    return read_properties(io.BytesIO(content)).plays if animation.format == "AVIF" else animation.info["loop"]


@pytest.mark.parametrize("plays", [0, 1, 2, 3, 65_535])
@pytest.mark.parametrize("output", ["webp", "png", "avif"])
@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animation_runs_as_often_as_its_source(make, format, output, plays):
    """GIF and AVIF state repetitions after the first time, WebP and PNG how often it is shown."""
    content = animation(format, plays)
    assert plays_of(make.bytes(content, box_size(16, 16), output, animated=True)) == plays


def test_more_plays_than_webp_can_state(make):
    """A GIF may be repeated 65,535 times."""
    content = animation("GIF", 65_536)
    assert plays_of(make.bytes(content, SMALL, "webp", animated=True)) == 65_535
    assert plays_of(make.bytes(content, SMALL, "avif", animated=True)) == 65_536


def test_avif_without_an_edit_list_runs_endlessly(make):
    """As in browsers."""
    content = animation("AVIF", 2).replace(b"edts", b"free")
    assert plays_of(make.bytes(content, SMALL, "png", animated=True)) == 0


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_every_track_of_an_avif_runs_as_long_as_the_movie(plays, transparent):
    """Transparency is a track of its own. All that is not endless lasts `plays` times as long as the frames."""
    frames = [frame.convert("RGBA") for frame in FRAMES]
    for frame in frames:
        frame.putalpha(100 if transparent else 255)
    content = encode(frames if transparent else FRAMES, "avif", QUALITY, "#ffffff", [100, 200, 300], plays)
    duration = 600 * plays or 2**64 - 1
    for kind, before, count in ((b"mvhd", 24, 1), (b"tkhd", 28, 1 + transparent)):
        starts = [start for start in range(len(content)) if content.startswith(kind, start)]
        assert [content[start + 4 + before :][:8] for start in starts] == [duration.to_bytes(8, "big")] * count
    assert content.count(b"elst\1\0\0" + bytes([plays != 1])) == 1 + transparent


# What no frame covers


def shown(make, content: bytes, size: tuple[int, int], output: str = "png") -> list[Image.Image]:
    """Return the frames of a thumbnail as large as its source, in mode RGBA."""
    animation = make(content, box_size(*size), output, animated=True)
    frames = []
    for number in range(getattr(animation, "n_frames", 1)):
        animation.seek(number)
        frames.append(animation.convert("RGBA"))
    return frames


def colours_of(frame: Image.Image) -> list[str]:
    """Return the colour in the middle of each 8 x 8 square of a frame: r, g, b, or . if it is invisible."""
    names = {(*RED, 255): "r", (*GREEN, 255): "g", (*BLUE, 255): "b"}

    def name(at: tuple[int, int]) -> str:
        pixel = tuple(255 * (value > 127) for value in frame.getpixel(at))
        return names[pixel] if pixel[3] else "."

    return ["".join(name((x, y)) for x in range(4, frame.width, 8)) for y in range(4, frame.height, 8)]


OFFSET = GifFrame((8, 8), (8, 8), 1)  # a red square in a screen of four by three


@pytest.mark.parametrize("output", ["png", "webp", "avif"])
@pytest.mark.parametrize("animated", [False, True])
def test_what_the_first_frame_of_a_gif_leaves_uncovered_is_transparent(make, animated, output):
    """Neither its background colour (blue here) nor number 0 of its palette."""
    thumbnail = make(gif((32, 24), [OFFSET]), box_size(32, 24), output, animated=animated)
    assert colours_of(thumbnail.convert("RGBA")) == ["....", ".r..", "...."]


def test_what_the_first_frame_leaves_uncovered_shows_the_background_in_jpeg(make):
    """As any transparency does."""
    thumbnail = make(gif((32, 24), [OFFSET]), box_size(32, 24), "jpeg", background="#00ff00")
    assert_colour(thumbnail.getpixel((2, 2)), GREEN, LOSSY)


def test_first_frame_of_a_gif_without_any_palette(make):
    """Its numbers are greys."""
    content = gif((32, 24), [GifFrame((0, 0), (8, 8), 100)], palette=())
    thumbnail = make(content, box_size(32, 24))
    assert thumbnail.getpixel((4, 4)) == (100, 100, 100, 255)
    assert thumbnail.getpixel((20, 4))[3] == 0


def test_first_frame_of_a_gif_with_a_palette_and_rows_of_its_own(make):
    """Interlaced, and number 2 of its own palette is transparent."""
    pixels = [number for row in range(16) for number in [row // 8] * 8 + [2] * 8]
    own = [GREEN, BLUE, RED, BLACK]
    content = gif((32, 24), [GifFrame((8, 0), (16, 16), pixels, own, transparent=2, interlaced=True)])
    assert colours_of(make(content, box_size(32, 24)).convert("RGBA")) == [".g..", ".b..", "...."]


@pytest.mark.parametrize("output", ["png", "webp", "avif"])
@pytest.mark.parametrize(
    ("disposal", "then"),
    [
        (0, ["grrr", "rbbr", "rrrr"]),
        (1, ["grrr", "rbbr", "rrrr"]),
        (2, ["grrr", "r..r", "rrrr"]),
        (3, ["grrr", "rrrr", "rrrr"]),
    ],
    ids=["unspecified", "keep", "background", "previous"],
)
def test_disposal_of_a_frame_of_a_gif(make, disposal, then, output):
    """Red everywhere, then two blue squares, of which something becomes before the green one is shown."""
    content = gif(
        (32, 24),
        [
            GifFrame((0, 0), (32, 24), 1, disposal=1),
            GifFrame((8, 8), (16, 8), 3, disposal=disposal),
            GifFrame((0, 0), (8, 8), 2),
        ],
    )
    frames = shown(make, content, (32, 24), output)
    assert [colours_of(frame) for frame in frames] == [["rrrr"] * 3, ["rrrr", "rbbr", "rrrr"], then]


def test_disposal_does_not_pass_to_the_next_frame(make):
    """A frame that says nothing of it stays."""
    content = gif(
        (32, 8),
        [
            GifFrame((0, 0), (8, 8), 1, disposal=2),
            GifFrame((8, 0), (8, 8), 2),
            GifFrame((16, 0), (8, 8), 3),
        ],
    )
    assert [colours_of(frame) for frame in shown(make, content, (32, 8))] == [["r..."], [".g.."], [".gb."]]


def test_what_frames_have_beyond_the_screen_is_not_shown(make):
    """The screen stays as large as it is."""
    content = gif((16, 16), [GifFrame((0, 0), (16, 16), 1), GifFrame((8, 8), (24, 16), 2)])
    assert [colours_of(frame) for frame in shown(make, content, (16, 16))] == [["rr", "rr"], ["rr", "rg"]]


def test_first_frame_beyond_the_screen_widens_it(make):
    """As in browsers."""
    content = gif((8, 8), [GifFrame((0, 0), (16, 8), 1)])
    assert colours_of(make(content, box_size(64, 64)).convert("RGBA")) == ["rr"]


@pytest.mark.parametrize("animated", [False, True])
@pytest.mark.parametrize("size", [(0, 8), (8, 0), (0, 0)])
def test_gif_with_an_empty_frame_is_refused(make, size, animated):
    """There is nothing to show."""
    content = gif((8, 8), [GifFrame((0, 0), size, 1), GifFrame((0, 0), (8, 8), 2)])
    assert make.refusal(content, formats=["webp"], animated=animated) == "damaged: a frame without pixels"


def test_frame_far_larger_than_the_screen_is_refused(make):
    """It would take 4 GB of memory."""
    frames = [GifFrame((0, 0), (8, 8), 1), GifFrame((0, 0), (8, 8), 2)]
    content = gif((8, 8), frames)
    second = content.rindex(struct.pack("<BHHHH", 0x2C, 0, 0, 8, 8))
    content = content[:second] + struct.pack("<BHHHH", 0x2C, 0, 0, 65_535, 65_535) + content[second + 9 :]
    reason = make.refusal(content, formats=["webp"], animated=True)
    assert reason.startswith("damaged: a frame of 65535 x 65535")


@pytest.mark.parametrize("damaged", ["refuse", "make"])
@pytest.mark.parametrize("length", [12, 25])
def test_gif_that_is_cut_in_its_last_frame(make, length, damaged):
    """Where the frame is described, or in its pixels."""
    content = gif((8, 8), [GifFrame((0, 0), (8, 8), 1), GifFrame((0, 0), (8, 8), 2)])
    content = content[: content.rindex(b"!\xf9\x04") + length]
    if damaged == "refuse":
        assert make.refusal(content, formats=["webp"], animated=True).startswith("damaged")
    else:
        make.notes(content, [box_size(8, 8)], ["webp"], animated=True, damaged="make")
        assert colours_of(Image.open(make.out / "0.webp").convert("RGBA")) == ["r"]


@pytest.mark.parametrize(("extension", "plays"), [(netscape(4), 5), (netscape(4, b"ANIMEXTS1.0"), 5), (b"", 1)])
def test_looping_extensions_of_a_gif(make, extension, plays):
    """Both names mean the same."""
    content = gif((8, 8), [GifFrame((0, 0), (8, 8), 1), GifFrame((0, 0), (8, 8), 2)], extensions=extension)
    assert plays_of(make.bytes(content, box_size(8, 8), "webp", animated=True)) == plays


def test_webp_whose_frames_have_no_alpha_but_leave_parts_uncovered(make):
    """Its encoder disposes of the first frame instead, and the file does not say that it has transparency."""
    frames = [plain((*RED, 255), "RGBA", (32, 8)), plain((0, 0, 0, 0), "RGBA", (32, 8))]
    frames[1].paste((*GREEN, 255), (0, 0, 8, 8))
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    assert not content[20] & 0x10
    assert [colours_of(frame) for frame in shown(make, content, (32, 8), "webp")] == [["rrrr"], ["g..."]]


def test_first_frame_of_a_webp_that_covers_a_part_only(make):
    """The rest is transparent, whatever the file says of its background."""
    frames = [plain((*colour, 255), "RGBA", (32, 8)) for colour in (RED, GREEN)]
    content = bytearray(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True))
    content[24] = 63  # a canvas twice as wide
    thumbnail = make(bytes(content), box_size(64, 64))
    assert colours_of(thumbnail.convert("RGBA")) == ["rrrr...."]


def test_opaque_webp_stays_opaque(make):
    """Thumbnails get no alpha channel that they do not need."""
    content = saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], duration=100)
    assert make(content, SMALL).mode == "RGB"


# APNG


SQUARE = ((8, 8), (16, 8))


@pytest.mark.parametrize("output", ["png", "webp", "avif"])
@pytest.mark.parametrize(
    ("disposal", "then"),
    [(0, ["grrr", "rbbr", "rrrr"]), (1, ["grrr", "r..r", "rrrr"]), (2, ["grrr", "rrrr", "rrrr"])],
)
def test_disposal_of_a_frame_of_an_apng(make, disposal, then, output):
    """A picture without an alpha channel gets transparent where a frame is disposed of: PNG, 11.3.6.2."""
    content = apng(
        (32, 24),
        [ApngFrame((0, 0), (32, 24), RED), ApngFrame(*SQUARE, BLUE, disposal), ApngFrame((0, 0), (8, 8), GREEN)],
    )
    frames = shown(make, content, (32, 24), output)
    assert [colours_of(frame) for frame in frames] == [["rrrr"] * 3, ["rrrr", "rbbr", "rrrr"], then]


@pytest.mark.parametrize(("blend", "then"), [(0, ["r..r"]), (1, ["rrrr"])], ids=["source", "over"])
def test_blending_of_a_frame_of_an_apng(make, blend, then):
    """An invisible frame replaces what was there, or leaves it."""
    first = ApngFrame((0, 0), (32, 8), (*RED, 255))
    content = apng((32, 8), [first, ApngFrame((8, 0), (16, 8), (0, 0, 0, 0), 0, blend)], colour_type=6)
    assert colours_of(shown(make, content, (32, 8), "webp")[-1]) == then


@pytest.mark.parametrize("output", ["png", "webp", "avif"])
def test_default_image_of_an_apng_is_no_frame(make, output):
    """It is for those who show one picture only, and so it is the still thumbnail. No frame is laid upon it."""
    content = apng((32, 8), [ApngFrame((0, 0), (8, 8), RED), ApngFrame((8, 0), (8, 8), GREEN)], default=BLUE)
    assert [colours_of(frame) for frame in shown(make, content, (32, 8), output)] == [["r..."], ["rg.."]]
    os.unlink(make.out / f"0.{output}")
    assert colours_of(make(content, box_size(32, 8), output).convert("RGBA")) == ["bbbb"]


def test_animation_of_one_frame_beside_a_default_image(make):
    """The frame is what moves, if nothing else does."""
    content = apng((32, 8), [ApngFrame((0, 0), (32, 8), RED)], default=BLUE)
    assert [colours_of(frame) for frame in shown(make, content, (32, 8))] == [["rrrr"]]


def test_grey_apng_with_a_profile_and_a_transparent_colour(make):
    """Its profile is for grey, so it stays grey until the colours are converted."""
    key = chunk(b"tRNS", struct.pack(">H", 0))
    content = apng((32, 8), [ApngFrame((0, 0), (32, 8), (128,)), ApngFrame((8, 0), (8, 8), (0,))], None, 0, key)
    profile = zlib.compress(linear_grey())
    at = content.index(b"acTL") - 4
    content = content[:at] + chunk(b"iCCP", b"grey\0\0" + profile) + content[at:]
    notes = make.notes(content, [box_size(32, 8)], ["png"], animated=True)
    assert notes == []
    frame = Image.open(make.out / "0.png").convert("RGBA")
    assert_colour(frame.getpixel((4, 4)), (188, 188, 188, 255), 2)


def test_orientation_behind_the_frames_of_an_apng_counts(make):
    """The eXIf chunk may be anywhere (PNG, 11.3.4.2)."""
    content = apng((16, 8), [ApngFrame((0, 0), (16, 8), RED), ApngFrame((0, 0), (8, 8), GREEN)])
    block = chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0"))
    frames = shown(make, content[:-12] + block + content[-12:], (16, 16))
    assert [colours_of(frame) for frame in frames] == [["r", "r"], ["g", "r"]]


@pytest.mark.parametrize(("at", "size"), [((0, 0), (0, 8)), ((1, 0), (8, 8)), ((0, 4), (8, 8))])
def test_apng_with_a_frame_that_is_empty_or_beyond_the_picture(make, at, size):
    """It is refused, where all frames are to be shown."""
    content = apng((8, 8), [ApngFrame((0, 0), (8, 8), RED), ApngFrame(at, size, GREEN)])
    assert make.refusal(content, formats=["webp"], animated=True).startswith("damaged")


@pytest.mark.parametrize("damaged", ["refuse", "make"])
def test_apng_whose_frames_are_missing(make, damaged):
    """Two of three are there."""
    content = apng((8, 8), [ApngFrame((0, 0), (8, 8), colour) for colour in (RED, GREEN, BLUE)])
    content = content[: content.rindex(b"fcTL") - 4] + chunk(b"IEND", b"")
    if damaged == "refuse":
        reason = make.refusal(content, formats=["webp"], animated=True)
        assert reason == "damaged: 1 of 3 frames are missing"
    else:
        make.notes(content, [box_size(8, 8)], ["webp"], animated=True, damaged="make")
        assert Image.open(make.out / "0.webp").n_frames == 2
