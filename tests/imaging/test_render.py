"""Crop and resize: fits, focus, trim, margin, sharpening, and what resampling must not do."""

import io
import random
import subprocess
import sys

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_plain, difference
from tests.support.pictures import (
    BLACK,
    BLUE,
    GREEN,
    LOSSY,
    RED,
    WHITE,
    box_size,
    corners,
    exif,
    plain,
    saved,
    stored_as,
    striped,
)
from tests.support.shop import REPOSITORY


def bands(width: int, height: int) -> Image.Image:
    """Return a picture of red, green and blue thirds, from left to right or, if it is tall, from top to bottom."""
    picture = plain(GREEN, size=(width, height))
    if width > height:
        picture.paste(RED, (0, 0, width // 3, height))
        picture.paste(BLUE, (width - width // 3, 0, width, height))
    else:
        picture.paste(RED, (0, 0, width, height // 3))
        picture.paste(BLUE, (0, height - height // 3, width, height))
    return picture


@pytest.mark.parametrize("shape", [(300, 100), (100, 300)])
def test_contain_shows_the_whole_picture(make, shape):
    """All three thirds, in order."""
    thumbnail = make(saved(bands(*shape), "PNG"), box_size(60, 60))
    expected = bands(*shape).resize(thumbnail.size, Image.Resampling.LANCZOS)
    assert max(thumbnail.size) == 60
    assert difference(thumbnail, expected) < 1


@pytest.mark.parametrize("shape", [(300, 100), (100, 300)])
def test_cover_shows_the_middle(make, shape):
    """The middle third and nothing else."""
    thumbnail = make(saved(bands(*shape), "PNG"), box_size(50, 50, "cover"))
    assert thumbnail.size == (50, 50)
    assert_plain(thumbnail.crop((2, 2, 48, 48)), GREEN, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_focus_decides_what_cover_keeps(make, format, orientation):
    """However the picture is stored: an edge, a corner or a point of the upright one."""
    upright = corners(600, 400)
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    content = saved(stored_as(upright, orientation), format, exif=exif(orientation), **options)
    for focus, size, box in [
        ("top-left", (30, 20), (0, 0, 600, 400)),
        ("left", (20, 40), (0, 0, 200, 400)),
        ("right", (20, 40), (400, 0, 600, 400)),
        ("top", (60, 10), (0, 0, 600, 100)),
        ("bottom", (60, 10), (0, 300, 600, 400)),
        ("top-right", (40, 40), (200, 0, 600, 400)),
        ("25% 50%", (40, 40), (50, 0, 450, 400)),
        ("50% 25%", (60, 10), (0, 75, 600, 175)),
    ]:
        thumbnail = make(content, {**box_size(*size, "cover"), "focus": focus})
        expected = upright.crop(box).resize(size, Image.Resampling.LANCZOS)
        assert thumbnail.size == size
        assert difference(thumbnail, expected) < 3, focus


def test_cover_does_not_enlarge_what_it_cuts(make):
    """A small picture is cropped to the shape of the box, pixel for pixel."""
    picture = Image.frombytes("RGB", (20, 10), random.Random(2).randbytes(600))
    thumbnail = make(saved(picture, "PNG"), box_size(50, 50, "cover"))
    assert difference(thumbnail, picture.crop((5, 0, 15, 10))) == 0


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
@pytest.mark.parametrize("shape", [(300, 100), (100, 300)])
def test_pad_lays_the_background_around(make, shape, format):
    """The whole picture in the middle, the background on both sides of it."""
    thumbnail = make(saved(plain(RED, size=shape), "PNG"), box_size(60, 60, "pad"), format, background="#0000ff")
    assert (thumbnail.mode, thumbnail.size) == ("RGB", (60, 60))
    if shape[0] < shape[1]:
        thumbnail = thumbnail.transpose(Image.Transpose.TRANSPOSE)
    assert_plain(thumbnail.crop((0, 0, 60, 16)), BLUE, 12)
    assert_plain(thumbnail.crop((0, 24, 60, 36)), RED, 12)
    assert_plain(thumbnail.crop((0, 44, 60, 60)), BLUE, 12)


def test_pad_does_not_enlarge(make):
    """A small picture is in the middle, pixel for pixel."""
    picture = Image.frombytes("RGB", (6, 4), random.Random(2).randbytes(72))
    thumbnail = make(saved(picture, "PNG"), box_size(20, 20, "pad"), background="#00ff00")
    assert difference(thumbnail.crop((7, 8, 13, 12)), picture) == 0
    thumbnail.paste(GREEN, (7, 8, 13, 12))
    assert_plain(thumbnail, GREEN)


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_pad_surrounds_a_transparent_picture_with_transparency(make, format):
    """JPEG surrounds the same picture with the background."""
    content = saved(plain((*RED, 200), "RGBA", (60, 20)), "PNG")
    thumbnail = make(content, box_size(60, 60, "pad"), format)
    assert (thumbnail.mode, thumbnail.size) == ("RGBA", (60, 60))
    assert thumbnail.getpixel((30, 5))[3] <= 3 and thumbnail.getpixel((30, 55))[3] <= 3
    assert abs(thumbnail.getpixel((30, 30))[3] - 200) <= 4
    assert_colour(make(content, box_size(60, 60, "pad"), "jpeg", background="#00ff00").getpixel((30, 4)), GREEN, 6)


def test_enlarged_cover_of_a_thin_picture_takes_little_memory(tmp_path):
    """Only what is shown is enlarged: 500 x 500 pixels, not 500 x 2,000,000."""
    source = tmp_path / "thin.png"
    source.write_bytes(saved(plain(RED, size=(1, 4_000)), "PNG"))
    program = (
        "import resource, sys\n"
        "from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "size = {'width': 500, 'height': 500, 'fit': 'cover', 'enlarge': True}\n"
        "make_thumbnails(sys.argv[1], [Thumbnail(sys.argv[2], size, 'png')], quality={})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, source, tmp_path / "out.png"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    assert Image.open(tmp_path / "out.png").size == (500, 500)


# Trim, margin


def product(border=(250, 250, 248), size: tuple[int, int] = (600, 400), at=(100, 80, 300, 240)) -> Image.Image:
    """Return a red box with a nearly white border."""
    picture = plain(border, size=size)
    picture.paste(RED, at)
    return picture


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_trim_removes_the_border(make, format, orientation):
    """Only the product is left, in its shape, however the picture is stored."""
    options = {"quality": 90} if format == "JPEG" else {}
    content = saved(stored_as(product(), orientation), format, exif=exif(orientation), **options)
    thumbnail = make(content, {**box_size(50, 50), "trim": True})
    assert thumbnail.size == (50, 40)
    assert_plain(thumbnail.crop((2, 2, 48, 38)), RED, LOSSY)


def test_trim_of_a_small_product_is_decoded_finely_enough(make):
    """The product is a sixteenth of a large JPEG: its stripes are as sharp as in a full decode."""
    picture = plain(WHITE, size=(3200, 2400))
    stripes = striped(600, 400)
    picture.paste(stripes, (1000, 800))
    thumbnail = make(saved(picture, "JPEG", quality=95, subsampling=0), {**box_size(300, 300), "trim": True})
    assert thumbnail.size == (300, 200)
    assert difference(thumbnail, stripes.resize((300, 200), Image.Resampling.LANCZOS)) < 3


@pytest.mark.parametrize(
    ("picture", "tolerance", "expected"),
    [
        (plain(WHITE, size=(60, 40)), 10, (60, 40)),  # nothing but border
        (product(BLACK), 10, (60, 48)),
        (product((128, 128, 128)), 10, (60, 48)),
        (product((255, 5, 5)), 10, (60, 40)),  # too similar
        (product((255, 5, 5)), 2, (60, 48)),
        (product(at=(0, 80, 300, 400)), 10, (60, 64)),  # it touches two edges: three corners agree
        (product().convert("L"), 10, (60, 48)),
        (product().convert("CMYK"), 10, (60, 48)),
    ],
)
def test_trim_finds_the_border_or_leaves_the_picture(make, picture, tolerance, expected):
    """Judged by the shape of what is left."""
    size = {**box_size(60, 64), "trim": True, "trim_tolerance": tolerance}
    assert make(saved(picture, "TIFF"), size).size == expected


@pytest.mark.parametrize("hidden", [BLACK, WHITE, RED])
def test_trim_removes_transparency(make, hidden):
    """Whatever colour it hides."""
    picture = plain((*hidden, 0), "RGBA", (600, 400))
    picture.paste((*BLUE, 255), (100, 80, 300, 240))
    thumbnail = make(saved(picture, "PNG"), {**box_size(50, 50), "trim": True})
    assert thumbnail.size == (50, 40)
    assert_plain(thumbnail.crop((1, 1, 49, 39)), (*BLUE, 255), 2)


def test_margin_is_added_to_what_was_trimmed(make):
    """10 % of 200 pixels on each side, from the picture's own border: the product takes up 5 of 6 parts."""
    thumbnail = make(saved(product(), "PNG"), {**box_size(60, 60), "trim": True, "margin": 10})
    assert thumbnail.size == (60, 50)
    assert_plain(thumbnail.crop((6, 6, 54, 44)), RED, 2)
    for edge in ((0, 0, 60, 4), (0, 0, 4, 50), (0, 46, 60, 50), (56, 0, 60, 50)):
        assert_plain(thumbnail.crop(edge), (250, 250, 248), 7)


@pytest.mark.parametrize("orientation", [1, 6])
def test_margin_beyond_the_picture_is_background(make, orientation):
    """Half of the longer side on each side."""
    content = saved(stored_as(plain(RED, size=(40, 20)), orientation), "PNG", exif=exif(orientation))
    thumbnail = make(content, {**box_size(40, 40), "margin": 50}, background="#00ff00")
    assert thumbnail.size == (40, 30)
    assert_plain(thumbnail.crop((11, 11, 29, 19)), RED, 2)
    for edge in ((0, 0, 40, 9), (0, 0, 9, 30), (0, 21, 40, 30), (31, 0, 40, 30)):
        assert_plain(thumbnail.crop(edge), GREEN, 2)


@pytest.mark.parametrize(("fit", "shape"), [("contain", (60, 50)), ("cover", (60, 60)), ("pad", (60, 60))])
def test_trim_and_margin_come_before_the_fit(make, fit, shape):
    """Whatever the fit is."""
    thumbnail = make(saved(product(), "PNG"), {**box_size(60, 60, fit), "trim": True, "margin": 10})
    assert thumbnail.size == shape
    assert_colour(thumbnail.getpixel((30, 30)), RED)
    assert_colour(thumbnail.getpixel((30, 1)), WHITE, 8)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(("mode", "expected"), [("RGB", WHITE), ("RGBA", (*WHITE, 0))])
def test_a_window_that_shows_nothing_but_margin_is_background(make, mode, expected, linear):
    """The part that cover shows may lie wholly in a wide margin: a sound picture must not fail because of it."""
    size = {**box_size(2, 200, "cover"), "focus": "top-left", "margin": 100}
    thumbnail = make(saved(Image.new(mode, (40, 30)), "PNG"), size, "png", linear=linear)
    assert {pixel for _, pixel in thumbnail.getcolors()} == {expected}


# Resampling


@pytest.mark.parametrize("hidden", [BLACK, WHITE, GREEN], ids=["black", "white", "green"])
def test_transparent_edges_get_no_seam(make, hidden):
    """The colour of invisible pixels does not bleed into visible ones at the edge."""
    picture = plain((*hidden, 0), "RGBA", (60, 60))
    picture.paste((*RED, 255), (17, 17, 43, 43))
    thumbnail = make(saved(picture, "PNG"), box_size(13, 13))
    edges = 0
    for x in range(13):
        for y in range(13):
            *colour, alpha = thumbnail.getpixel((x, y))
            if alpha > 25:
                assert_colour(colour, RED, 12)
                edges += alpha < 230
    assert edges > 8
    assert thumbnail.getpixel((0, 0))[3] == 0
    assert_colour(thumbnail.getpixel((6, 6)), (*RED, 255))
    on_white = plain(WHITE, size=(13, 13))
    on_white.paste(thumbnail, mask=thumbnail.getchannel("A"))
    assert on_white.getchannel("R").getextrema()[0] > 240
    in_jpeg = make(saved(picture, "PNG"), box_size(13, 13), "jpeg")
    assert difference(in_jpeg, Image.open(io.BytesIO(saved(on_white, "JPEG", quality=95)))) < 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("side", "box"), [(60, 13), (300, 120), (1000, 120)])
def test_opaque_edges_do_not_shine(make, side, box, mode):
    """Resampling overshoots at edges; yet a colour below 255 is nowhere brighter than before."""
    colour = (200, 60, 60) if mode == "RGBA" else (200,)
    picture = plain((*(0 for _ in colour), 0), mode, (side, side))
    picture.paste((*colour, 255), (side // 4, side // 4, side * 3 // 4, side * 3 // 4))
    thumbnail = make(saved(picture, "PNG"), box_size(box, box)).convert(mode)
    for *found, alpha in thumbnail.get_flattened_data():
        assert_colour([value * alpha / 255 for value in found], [value * alpha / 255 for value in colour], 3)


def test_sharpening_raises_the_contrast_of_edges_only(make):
    """An edge is steeper; plain areas stay as they are, and greys neutral."""
    picture = plain((100, 100, 100), size=(400, 400))
    picture.paste((150, 150, 150), (200, 0, 400, 400))
    soft, sharp = (make(saved(picture, "PNG"), {**box_size(99, 99), "sharpen": percent}) for percent in (0, 100))
    assert sharp.getchannel("R").getextrema()[1] > soft.getchannel("R").getextrema()[1] + 3
    assert_plain(sharp.crop((0, 0, 45, 99)), (100, 100, 100))
    assert_plain(sharp.crop((54, 0, 99, 99)), (150, 150, 150))
    for _, (red, green, blue) in sharp.getcolors():
        assert red == green == blue


def test_sharpening_leaves_no_seam_at_transparent_edges(make):
    """The colours stay what they are, up to the last visible pixel."""
    picture = plain((*BLACK, 0), "RGBA", (60, 60))
    picture.paste((200, 60, 60, 255), (17, 17, 43, 43))
    thumbnail = make(saved(picture, "PNG"), {**box_size(13, 13), "sharpen": 60})
    for *colour, alpha in thumbnail.get_flattened_data():
        seen = [channel * alpha / 255 for channel in colour]  # a faint pixel's own colour is kept coarsely
        assert_colour(seen, [channel * alpha / 255 for channel in (200, 60, 60)], 4)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("shape", [(1009, 757), (1601, 1201), (1999, 1499), (1600, 1200)])
@pytest.mark.parametrize("side", [60, 100, 200])
def test_jpeg_decoded_small_is_the_picture_decoded_whole(make, shape, side, orientation):
    """The mean difference to the full decode is up to 1.5 of 255 if the geometry is right, 3 to 12 if it is not.

    libjpeg rounds the size of a picture decoded at 1/8 up, so its last column may stand for only a part of one.
    """
    content = saved(striped(*shape), "JPEG", quality=95, subsampling=0, exif=exif(orientation))
    thumbnail = make(content, box_size(side, side))
    whole = Image.open(io.BytesIO(content)).convert("RGB")
    undone = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    if undone is not None:
        thumbnail = thumbnail.transpose(undone)
    methods = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC)  # which differ if stripes are that fine
    assert min(difference(thumbnail, whole.resize(thumbnail.size, method)) for method in methods) < 2.5
