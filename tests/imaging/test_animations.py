"""Animations: their first frame, or all of them if the settings ask for it."""

import io
import os

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_plain
from tests.support.pictures import BLUE, GREEN, LOSSY, QUALITY, RED, SMALL, box_size, plain, saved
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
