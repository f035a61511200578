"""thumbmill's thumbnails beside a full decode with Lanczos. `python -m bench.quality` measures more."""

import random
from statistics import mean

import pytest
from PIL import Image

from bench.pictures import draw_picture

pytest.importorskip("skimage", reason="pip install '.[quality]'")

from bench.quality.charts import colour_patches, fine_text, make_charts, transparent_edges, zone_plate
from bench.quality.likeness import compare_likeness, likeness
from bench.quality.makers import libvips_pixels, reference_pixels, thumbmill_pixels
from bench.quality.photographs import choose_photographs
from bench.quality.sheet import draw_sheet
from bench.quality.times import time_in_turn


def test_likeness_distinguishes_pictures():
    """Equal ones have 1 and 0; a shift of all levels by 3 is a small difference of colour, noise one of structure."""
    picture = draw_picture(1, (300, 200))
    assert likeness(picture, picture) == (1, 0, 0)
    similar, middle, most = likeness(picture, picture.point([min(255, value + 3) for value in range(256)] * 3))
    assert similar > 0.99 and 0.3 < middle < 3 and most < 4
    noisy = Image.blend(picture, Image.frombytes("RGB", (300, 200), random.Random(1).randbytes(180_000)), 0.1)
    assert likeness(picture, noisy)[0] < 0.95


def test_times_are_medians_of_processor_time(monkeypatch):
    clock = iter([0, 0.001, 1, 1.010, 2, 2.005, 3, 3.020, 4, 4.003, 5, 5.030])
    monkeypatch.setattr("bench.quality.times.time.process_time", lambda: next(clock))
    found = time_in_turn({"a": lambda: None, "b": lambda: None}, 3)
    assert found == {"a": pytest.approx(3), "b": pytest.approx(20)}


def test_photographs_are_chosen_from_all_over_a_folder(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.jpg").touch()
    (tmp_path / "a.png").touch()
    chosen = choose_photographs([str(tmp_path)], 3)
    assert [path.removeprefix(f"{tmp_path}/") for path in chosen[str(tmp_path)]] == ["0.jpg", "3.jpg", "6.jpg"]
    with pytest.raises(FileNotFoundError, match="no JPEG in"):
        choose_photographs([str(tmp_path / "missing")], 3)


@pytest.mark.slow
def test_photographs_are_as_good_as_a_full_decode(tmp_path):
    """Each scale of the decoder, just before the next one: 0.995 or more, for photographs with grain."""
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
    """In the hardest cases, which no photograph comes near."""
    path = str(tmp_path / "chart.png")
    chart().save(path)
    ours = thumbmill_pixels(path, box)
    assert likeness(reference_pixels(path, ours.size), ours)[0] > least


@pytest.mark.slow
def test_libvips_makes_much_the_same(tmp_path):
    """So the comparison is to the same picture, in the same size and colours; and the sheet shows both."""
    pytest.importorskip("pyvips", reason="pip install '.[quality]'")
    charts = make_charts(tmp_path / "charts")
    for path in charts.values():
        ours = thumbmill_pixels(path, 200)
        theirs = libvips_pixels(path, ours.size)
        assert theirs.size == ours.size
        assert likeness(ours, theirs)[0] > 0.9
    draw_sheet(charts, str(tmp_path / "sheet.png"))
    assert Image.open(tmp_path / "sheet.png").size[1] > len(charts) * 200
