"""Animations: their first frame, or all of them if the settings ask for it."""

import io
import os

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_plain
from tests.support.pictures import BLUE, GREEN, LOSSY, RED, SMALL, box_size, plain, saved

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
