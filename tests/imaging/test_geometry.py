"""How a size fits a picture, and at which scale a JPEG is decoded."""

import io

import pytest
from PIL import Image

from tests.support.pictures import RED, box_size, plain, saved
from thumbmill.imaging.geometry import fit_geometry, intersection, jpeg_scale, position_window, union
from thumbmill.imaging.render import render


@pytest.mark.parametrize(
    ("picture", "size", "expected"),
    [
        ((400, 300), box_size(100, 100), (100, 75)),
        ((300, 400), box_size(100, 100), (75, 100)),
        ((400, 300), box_size(100, 100, "cover"), (100, 100)),
        ((400, 300), box_size(100, 100, "pad"), (100, 100)),
        ((400, 300), box_size(400, 300), (400, 300)),
        ((400, 300), box_size(200, 500), (200, 150)),
        ((400, 300), box_size(200, 50, "cover"), (200, 50)),
        # nothing is enlarged unless asked
        ((40, 30), box_size(100, 100), (40, 30)),
        ((40, 30), box_size(100, 100, "cover"), (30, 30)),
        ((40, 30), box_size(100, 100, "pad"), (100, 100)),
        ((40, 30), box_size(20, 100), (20, 15)),
        ((40, 30), box_size(20, 100, "cover"), (6, 30)),
        ((40, 30), box_size(20, 100, "pad"), (20, 100)),
        ((40, 30), box_size(100, 100, enlarge=True), (100, 75)),
        ((40, 30), box_size(100, 100, "cover", enlarge=True), (100, 100)),
        ((40, 30), box_size(100, 100, "pad", enlarge=True), (100, 100)),
        # odd shapes
        ((1, 1), box_size(100, 50), (1, 1)),
        ((1, 1), box_size(100, 50, "cover"), (1, 1)),
        ((1, 1), box_size(100, 50, "pad"), (100, 50)),
        ((1, 1), box_size(100, 50, enlarge=True), (50, 50)),
        ((1, 1), box_size(100, 50, "cover", enlarge=True), (100, 50)),
        ((1, 1000), box_size(100, 100), (1, 100)),
        ((1, 1000), box_size(100, 100, "cover"), (1, 1)),
        ((1, 1000), box_size(100, 100, "pad"), (100, 100)),
        ((1, 1000), box_size(100, 100, "cover", enlarge=True), (100, 100)),
        ((1000, 1), box_size(100, 100), (100, 1)),
        ((1000, 1), box_size(1, 1), (1, 1)),
        ((1000, 1), box_size(1, 1, "cover"), (1, 1)),
        ((900, 20), box_size(90, 90), (90, 2)),
        ((900, 20), box_size(90, 90, "cover"), (20, 20)),
        ((900, 20), box_size(45, 10, "cover"), (45, 10)),
        ((333, 777), box_size(97, 61, "cover"), (97, 61)),
        ((3, 5), box_size(2, 2, "cover"), (2, 2)),
    ],
)
def test_size_of_each_fit(make, picture, size, expected):
    """Both of the file that is written and by the function that computes it beforehand."""
    assert make(saved(plain(RED, size=picture), "PNG"), size).size == expected
    assert fit_geometry(picture, size)[2] == expected


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
def test_size_is_right_for_all_small_shapes(fit):
    """Every picture and box up to 9 x 9: within the box, never enlarged, touching the box if it can."""
    sides = range(1, 10)
    for shape in ((w, h, bw, bh) for w in sides for h in sides for bw in sides for bh in sides):
        width, height, box_width, box_height = shape
        window, final, canvas = fit_geometry((width, height), box_size(box_width, box_height, fit))
        assert 0 < window[0] <= width and 0 < window[1] <= height, shape
        assert 1 <= final[0] <= width and 1 <= final[1] <= height, shape
        assert canvas[0] <= box_width and canvas[1] <= box_height, shape
        if fit == "cover":
            assert canvas == final, shape
            if width >= box_width and height >= box_height:
                assert final == (box_width, box_height), shape
            continue
        assert window == (width, height), shape
        assert canvas == ((box_width, box_height) if fit == "pad" else final), shape
        assert final == (width, height) or final[0] == box_width or final[1] == box_height, shape
        assert final[0] <= box_width and final[1] <= box_height, shape


@pytest.mark.parametrize(
    ("picture", "boxes", "divisor"),
    [
        ((2725, 2225), [720], 2),
        ((2725, 2225), [790], 1),
        ((2725, 2225), [720, 256, 128], 2),  # the largest size decides
        ((3000, 2000), [256], 4),
        ((3000, 2000), [340], 2),
        ((640, 480), [128], 2),
        ((400, 533), [256], 1),
        ((5000, 4000), [250], 8),
        ((100, 100), [256], 1),
    ],
)
def test_jpeg_is_decoded_at_the_smallest_scale_that_serves(picture, boxes, divisor):
    """By the function, and by the size at which Pillow then reads the picture."""
    assert jpeg_scale([fit_geometry(picture, box_size(box, box)) for box in boxes]) == divisor
    opened = Image.open(io.BytesIO(saved(plain(RED, size=picture), "JPEG")))
    render(opened, [box_size(box, box) for box in boxes], "#ffffff", [])
    assert opened.size == tuple(-(-side // divisor) for side in picture)


@pytest.mark.parametrize(
    ("focus", "expected"),
    [
        ("center", (35, 40, 65, 60)),
        ("top-left", (10, 20, 40, 40)),
        ("bottom", (35, 60, 65, 80)),
        ("right", (60, 40, 90, 60)),
        ("0% 50%", (10, 40, 40, 60)),
        ("50% 25%", (35, 30, 65, 50)),
    ],
)
def test_focus_places_the_window_in_its_region(focus, expected):
    """As CSS's object-position does."""
    assert position_window((10, 20, 90, 80), (30, 20), focus) == expected


def test_boxes_have_a_union_and_an_intersection():
    assert union((0, 0, 4, 4), (2, 1, 8, 3)) == (0, 0, 8, 4)
    assert intersection((0, 0, 4, 4), (2, 1, 8, 3)) == (2, 1, 4, 3)
    left, _, right, _ = intersection((0, 0, 4, 4), (6, 0, 8, 4))
    assert left > right
