"""The reference test: thumbmill's thumbnails beside a full decode with Lanczos. `python -m bench.quality` says more."""

import random
from statistics import mean

import pytest
from PIL import Image

from bench.pictures import draw_picture

pytest.importorskip("skimage", reason="pip install '.[quality]'")

from bench.quality import (
    colour_patches,
    compare_likeness,
    draw_sheet,
    fine_text,
    libvipses,
    likeness,
    make_charts,
    reference,
    thumbmills,
    transparent_edges,
    zone_plate,
)


def test_likeness_tells_pictures_apart():
    """The same is 1 and 0; a shift of all levels by 3 is a small difference of colour, and noise one of structure."""
    picture = draw_picture(1, (300, 200))
    assert likeness(picture, picture) == (1, 0, 0)
    similar, middle, most = likeness(picture, picture.point([min(255, value + 3) for value in range(256)] * 3))
    assert similar > 0.99 and 0.3 < middle < 3 and most < 4
    noisy = Image.blend(picture, Image.frombytes("RGB", (300, 200), random.Random(1).randbytes(180_000)), 0.1)
    assert likeness(picture, noisy)[0] < 0.95


@pytest.mark.slow
def test_photographs_are_as_good_as_a_full_decode(tmp_path):
    """Each scale of the decoder, just before the next one: 0.995 or more, as photographs go with their grain."""
    paths = []
    for number in range(4):
        paths.append(str(tmp_path / f"{number}.jpg"))
        draw_picture(number, (2725, 2225)).save(paths[-1], quality=90)
    for box in (720, 300, 150, 100):
        similar, middle, most = zip(*compare_likeness(paths, box, with_vips=False)["thumbmill"], strict=True)
        assert min(similar) > 0.995, box
        assert mean(middle) < 1 and mean(most) < 3, box


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chart", "least"), [(colour_patches, 0.99), (fine_text, 0.98), (transparent_edges, 0.99), (zone_plate, 0.9)]
)
@pytest.mark.parametrize("box", [300, 120])
def test_charts_are_nearly_as_good_as_a_full_decode(tmp_path, chart, least, box):
    """In the hardest of cases, that no photograph comes near."""
    path = str(tmp_path / "chart.png")
    chart().save(path)
    ours = thumbmills(path, box)
    assert likeness(reference(path, ours.size), ours)[0] > least


@pytest.mark.slow
def test_libvips_makes_much_the_same(tmp_path):
    """So that what it is compared to is the same picture, in the same size and colours; and the sheet shows both."""
    pytest.importorskip("pyvips", reason="pip install '.[quality]'")
    charts = make_charts(tmp_path / "charts")
    for path in charts.values():
        ours = thumbmills(path, 200)
        theirs = libvipses(path, ours.size)
        assert theirs.size == ours.size
        assert likeness(ours, theirs)[0] > 0.9
    draw_sheet(charts, str(tmp_path / "sheet.png"))
    assert Image.open(tmp_path / "sheet.png").size[1] > len(charts) * 200
