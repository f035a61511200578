"""The benchmark: everyone is measured, and nobody wins by doing less."""

import json
import os
import re
import sys

import pytest
from PIL import Image

from bench import contenders
from bench.check import expected_sizes, find_fault
from bench.compare import main
from bench.contenders import Contender
from bench.loops import make_outdated
from bench.pictures import cut_photos, draw_picture, draw_pictures, list_pictures, repeat_pictures
from bench.table import remarks, summarize

LOOPS = ["sequential", "threads", "processes"]
OWN_LOOPS = [f"own-{name}" for name in LOOPS]


@pytest.fixture
def compare(tmp_path, capsys):
    """Run the command in this process; returns its exit code, its output, and what it wrote as JSON."""

    def run(case, *arguments):
        figures = tmp_path / "figures.json"
        options = ["--work", tmp_path / "work", "--json", figures, "--cores", "2", "--rounds", "1"]
        code = main([str(argument) for argument in (case, *options, *arguments)])
        return code, capsys.readouterr().out, json.loads(figures.read_text())

    return run


@pytest.fixture
def pictures(tmp_path):
    """A folder of twelve sound pictures, of several kinds."""
    folder = tmp_path / "own"
    draw_pictures(str(folder), 9, [(400, 300), (300, 400), (100, 80)], 2)
    draw_picture(20, (300, 200)).save(folder / "same name.png")
    draw_picture(21, (300, 200)).convert("RGBA").save(folder / "same name.webp")
    turned = Image.Exif()
    turned[0x0112] = 6
    draw_picture(22, (400, 200)).save(folder / "{lying}.jpg", exif=turned)
    return folder


def rows(output):
    """The table in `output`: contender -> the cells after its name."""
    lines = re.findall(r"^\| `([\w-]+)` (.*) \|$", output, re.MULTILINE)
    return {name: cells.split(" | ")[1:] for name, cells in lines}


def test_the_loops_make_the_same_and_are_compared(compare, pictures):
    code, output, figures = compare("folder", "--pictures", pictures, "--own-function", "--only", ",".join(LOOPS))
    assert code == 0
    table = rows(output)
    assert list(table) == LOOPS
    assert table["processes"][4] == "1.00"
    assert "12 pictures" in output
    for name in LOOPS:
        assert float(table[name][4]) > 0
        assert figures["contenders"][name]["figures"]["memory"] > 1e6


@pytest.mark.slow
def test_everyone_is_compared(compare, pictures):
    everyone = [*LOOPS, *OWN_LOOPS, "stock", "thumbmill"]
    code, output, figures = compare("folder", "--pictures", pictures, "--only", ",".join(everyone))
    assert code == 0, output
    table = rows(output)
    assert list(table) == everyone
    for name in everyone:
        wall, user, _, _, ratio, memory, controller = table[name]
        assert float(wall) > 0 and float(user) > 0 and float(ratio) > 0 and int(memory) > 0 and int(controller) > 0
    assert figures["reference"] == "own-processes"
    assert figures["contenders"]["thumbmill"]["runs"][0]["code"] == 0


def with_contender(monkeypatch, source):
    """Add a contender `odd` that runs the Python `source`, with the processes loop's task at hand as `task`."""
    setup = f"import sys, json; sys.path.insert(0, {str(contenders.REPOSITORY)!r}); from bench.contenders import *\n"
    odd = Contender(
        "the odd one",
        lambda task: [sys.executable, "-c", f"{setup}task = Task(*{tuple(task)!r})\n{source}"],
    )
    monkeypatch.setitem(contenders.CONTENDERS, "odd", odd)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "run_loop('sequential', process_file, task); os.remove(output_folder(task) + '/same name.png.jpg')",
            "11 of 12 thumbnails made, and 0 other files",
        ),
        ("run_loop('sequential', process_file, task._replace(box=200))", "pixels instead of"),
        ("sys.exit('tired')", "exit code 1; its last line: tired"),
        ("pass", "0 of 12 thumbnails made"),
    ],
)
def test_who_does_less_has_failed(compare, pictures, monkeypatch, source, reason):
    with_contender(monkeypatch, source)
    code, output, figures = compare("folder", "--pictures", pictures, "--only", "processes,odd")
    assert code == 1
    table = rows(output)
    assert table["odd"][0] == "failed" and not any(table["odd"][1:])
    assert re.search(f"^`odd` failed: in round 1: .*{reason}", output, re.MULTILINE)
    assert "figures" not in figures["contenders"]["odd"]
    assert table["processes"][4] == "1.00"


def test_broken_pictures_are_named_and_left_out(compare, pictures):
    (pictures / "broken.jpg").write_bytes((pictures / "000/000000.jpg").read_bytes()[:3000])
    (pictures / "text.png").write_text("no picture")
    _, output, figures = compare("folder", "--pictures", pictures, "--only", "sequential")
    assert sorted(name for name, _ in figures["pictures"]["left_out"]) == ["broken.jpg", "text.png"]
    assert "12 pictures" in output and "left out: broken.jpg: OSError" in output
    assert rows(output)["sequential"][4] == "–", "there is no process loop to compare with"


def test_stock_snakemake_is_left_out_where_it_takes_too_long(compare, monkeypatch):
    monkeypatch.setitem(contenders.CONTENDERS, "stock", contenders.CONTENDERS["stock"]._replace(at_most=4))
    for name in ("thumbmill", "thumbmill-threads"):
        monkeypatch.delitem(contenders.CONTENDERS, name)
    _, output, _ = compare("small-10000", "--count", 5)
    assert rows(output)["stock"][0] == "skipped"
    assert "`stock` skipped: more than 4 pictures take it too long" in output


def test_a_made_corpus_is_made_once(compare, tmp_path):
    compare("small-1000", "--count", 3, "--only", "sequential")
    made = sorted((tmp_path / "work").rglob("*.jpg"))
    dates = [path.stat().st_mtime_ns for path in made]
    assert len(made) == 3 and len({path.read_bytes() for path in made}) == 3
    compare("small-1000", "--count", 3, "--only", "sequential")
    assert [path.stat().st_mtime_ns for path in made] == dates
    assert not list((tmp_path / "work").glob("runs-*"))


def test_photographs_are_cut_all_different(tmp_path):
    for number in range(2):
        draw_picture(number, (2600, 1800)).save(tmp_path / f"{number}.jpg")
    draw_picture(2, (1000, 800)).save(tmp_path / "small.jpg")
    sources = [str(tmp_path / name) for name in list_pictures(str(tmp_path))]
    assert cut_photos(str(tmp_path / "cut"), sources, 5, 2) == 2
    cut = list((tmp_path / "cut").rglob("*.jpg"))
    assert len(cut) == 5 and len({path.read_bytes() for path in cut}) == 5
    for path in cut:
        with Image.open(path) as picture:
            assert 3.99e6 < picture.width * picture.height < 12.01e6


def test_repeated_pictures_are_files_of_their_own(tmp_path):
    draw_pictures(str(tmp_path / "set-00"), 3, [(80, 60)], 1)
    repeat_pictures(str(tmp_path), 3, 8)
    assert len(list_pictures(str(tmp_path))) == 8


def test_a_check_finds_a_thumbnail_cut_short(tmp_path):
    draw_pictures(str(tmp_path / "source"), 1, [(400, 300)], 1)
    sizes = expected_sizes(str(tmp_path / "source"), ["000/000000.jpg"], 100)
    assert sizes == {"000/000000.jpg.jpg": {(100, 75)}}
    thumbnail = tmp_path / "made/000/000000.jpg.jpg"
    thumbnail.parent.mkdir(parents=True)
    draw_picture(0, (100, 75)).save(thumbnail)
    assert find_fault(str(tmp_path / "made"), ["000/000000.jpg"], sizes) is None
    thumbnail.write_bytes(thumbnail.read_bytes()[:-500])
    assert "cannot be decoded" in find_fault(str(tmp_path / "made"), ["000/000000.jpg"], sizes)


def test_ratios_are_taken_within_each_round():
    def runs(*walls):
        return {number: {"wall": wall, "user": 1, "sys": 1, "memory": 1, "controller": 1} for number, wall in walls}

    figures = summarize(runs((0, 2), (1, 8), (2, 3)), runs((0, 1), (1, 2), (2, 3)), 10)
    assert figures["ratio"] == [2, 1, 4]
    assert figures["wall"] == [3, 2, 8]
    assert "ratio" not in summarize(runs((0, 2)), {}, 10)
    assert "NOISY: `slow` took 2.00 to 8.00 s" in remarks({"slow": {"figures": figures}}, 0)[0]
    assert "NOISY: other programs used 0.50 cores" in remarks({}, 0.5)[0]


@pytest.fixture
def plain_pictures(tmp_path):
    """A folder of eight drawn pictures, with names that GNU make can write."""
    folder = tmp_path / "plain"
    draw_pictures(str(folder), 8, [(200, 150), (150, 200)], 2)
    return folder


def state(folder):
    """Contents and dates of all files below `folder`."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_the_loop_makes_what_is_missing_or_older(tmp_path, plain_pictures):
    source, output = str(plain_pictures), str(tmp_path / "made")
    assert make_outdated(source, output, 50, 80, 2) == 8
    assert make_outdated(source, output, 50, 80, 2) == 0
    (tmp_path / "made/000/000001.jpg.jpg").unlink()
    os.utime(tmp_path / "made/000/000002.jpg.jpg", (0, 0))
    before = state(tmp_path / "made")
    assert make_outdated(source, output, 50, 80, 2) == 2
    after = state(tmp_path / "made")
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed == {"000001.jpg.jpg", "000002.jpg.jpg"}
