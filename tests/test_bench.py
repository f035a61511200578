"""The benchmark: everyone is measured, and nobody wins by doing less."""

import json
import os
import re
import sys

import pytest
from PIL import Image

from bench import contenders, rerun
from bench.check import expected_sizes, find_fault
from bench.compare import choose_reruns, collect, main
from bench.contenders import Contender, Task
from bench.loops import make_outdated
from bench.pictures import cut_photos, draw_picture, draw_pictures, link, list_pictures, make_corpus, repeat_pictures
from bench.rerun import change_pictures, choose_pairs, run_reruns
from bench.table import remarks, summarize
from bench.table import table as markdown

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
    everyone = [*LOOPS, *OWN_LOOPS, "stock", "thumbmill", "thumbmill-shards"]
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


# Reruns, when little has changed.

TITLES = ["nothing changed", "one picture changed", "1 % changed (1)"]


@pytest.fixture
def plain_pictures(tmp_path):
    """A folder of eight drawn pictures, with names that GNU make can write."""
    folder = tmp_path / "plain"
    draw_pictures(str(folder), 8, [(200, 150), (150, 200)], 2)
    return folder


def state(folder):
    """Contents and dates of all files below `folder`."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.skipif(contenders.gnu_make() is None, reason="GNU make is not installed")
def test_everyone_is_compared_in_a_rerun(compare, plain_pictures):
    mine = state(plain_pictures)
    code, output, figures = compare("rerun-folder", "--pictures", plain_pictures, "--rounds", "2")
    assert code == 0, output
    assert list(figures["reruns"]) == TITLES
    for results in figures["reruns"].values():
        assert list(results) == list(contenders.RERUNS)
        for name, result in results.items():
            assert [run["round"] for run in result["runs"]] == [1, 2], name
            assert len(result["figures"]["ratio"]) == 3 and result["figures"]["memory"] > 0, name
        assert results["loop-mtime"]["figures"]["ratio"] == [1, 1, 1]
    assert all(f"#### {title}\n" in output for title in TITLES)
    assert "GNU make" in output and "images/s" not in output
    assert state(plain_pictures) == mine


@pytest.mark.slow
def test_a_rerun_works_on_any_names_but_for_make(compare, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(rerun, "choose_pairs", lambda corpus, count: choose_pairs(corpus, len(corpus.names)))
    (pictures / "twin of same name.webp").write_bytes((pictures / "same name.webp").read_bytes())
    mine = state(pictures)
    code, output, figures = compare("rerun-folder", "--pictures", pictures, "--only", "loop-mtime,make,thumbmill")
    assert code == 0, output
    assert list(figures["reruns"])[2] == "1 % changed (10)", "the .jpg; the others have no partner"
    for results in figures["reruns"].values():
        assert "figures" in results["loop-mtime"] and "figures" in results["thumbmill"]
    if contenders.gnu_make():
        assert "`make` skipped: 4 of the names cannot be written in a Makefile" in output
    assert state(pictures) == mine
    assert not list((tmp_path / "work").glob("runs-*"))


def rerun_command(source):
    """The command of a rerun contender that runs the Python `source`, with make_outdated and the task at hand."""
    setup = f"import os, sys; sys.path.insert(0, {str(contenders.REPOSITORY)!r})"
    find = "from bench.contenders import *; from bench.loops import *"

    def command(task):
        known = f"task = Task(*{tuple(task)!r}); output = output_folder(task)"
        redo = "redo = lambda: make_outdated(task.source, output, task.box, task.quality, 1)"
        return [sys.executable, "-c", "\n".join((setup, find, known, redo, source))]

    return command


@pytest.mark.parametrize(
    ("source", "title", "reason"),
    [
        ("redo(); os.utime(f'{output}/000/000003.jpg.jpg')", "nothing changed", "0 of 0 .* and 1 others .*000003"),
        ("pass", "one picture changed", "0 of 1 changed thumbnails made again, and 0 others"),
        ("[os.utime(f'{output}/{name}') for name in list_files(output)]", "nothing changed", "and 8 others"),
        (
            "[os.utime(f'{output}/{name}.jpg') for name in list_files(task.source)"
            " if should_process(f'{task.source}/{name}', f'{output}/{name}.jpg')]",
            "one picture changed",
            "was made again, but shows the old picture",
        ),
        ("task = task._replace(box=50); redo()", "one picture changed", "pixels instead of"),
        ("redo() and open(f'{output}/new', 'x')", "one picture changed", "0 thumbnails are gone, and 1 other files"),
        ("redo() and os.remove(f'{output}/000/000003.jpg.jpg')", "one picture changed", "1 thumbnails are gone"),
        ("redo() and sys.exit('tired')", "one picture changed", "exit code 1; its last line: tired"),
    ],
)
@pytest.mark.usefixtures("made_by_the_loop")
def test_who_does_not_what_is_needed_in_a_rerun_has_failed(tmp_path, plain_pictures, source, title, reason):
    odd = Contender("the odd one", rerun_command(source))
    changes = {change.title: change for change in run_tiny_rerun(tmp_path, plain_pictures, {"odd": odd}, 1)}
    assert re.search(reason, changes[title].failed["odd"])
    assert sum(bool(change.failed) for change in changes.values()) == 1
    assert changes["1 % changed (1)"].skipped["odd"] == f"failed: {title}"


def run_tiny_rerun(tmp_path, pictures, chosen, rounds, limit=100.0):
    """run_reruns on a folder of pictures."""
    corpus = make_corpus("folder", 0, str(pictures), str(tmp_path / "work"), 2)
    task = Task(corpus.folder, str(tmp_path), 100, 80, 2)
    return run_reruns(chosen, rounds, task, corpus, limit)


@pytest.fixture
def made_by_the_loop(monkeypatch):
    """Let the loop make everything in the beginning, which is sooner done than by thumbmill."""
    monkeypatch.setitem(contenders.RERUNS, "thumbmill", contenders.RERUNS["loop-mtime"])


@pytest.mark.usefixtures("made_by_the_loop")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_takes_too_long_is_given_up_and_the_others_go_on(tmp_path, plain_pictures):
    slow = Contender("the slow one", rerun_command("import time; redo() and time.sleep(60)"))
    chosen = {"stock": slow, "loop-mtime": contenders.RERUNS["loop-mtime"], "make": "not installed"}
    nothing, one, percent = run_tiny_rerun(tmp_path, plain_pictures, chosen, 2, limit=3)
    assert list(nothing.runs["stock"]) == [0] and not one.runs["stock"] and not percent.runs["stock"]
    assert one.over == {"stock": 3} and percent.skipped == {"stock": "was given up: one picture changed"}
    for change in (nothing, one, percent):
        assert list(change.runs["loop-mtime"]) == [0, 1] and not change.failed
    results = collect(chosen, one.runs, one.failed, "loop-mtime", None, one.over)
    assert [markdown(results, "loop-mtime").count(f"| {cell} | ") for cell in ("over 3", "skipped")] == [1, 1]


@pytest.mark.usefixtures("made_by_the_loop")
def test_who_is_slow_runs_in_the_first_round_only(tmp_path, plain_pictures, monkeypatch):
    monkeypatch.setattr(rerun, "SLOW", 0)
    chosen = {"loop-mtime": contenders.RERUNS["loop-mtime"]}
    for change in run_tiny_rerun(tmp_path, plain_pictures, chosen, 2):
        assert list(change.runs["loop-mtime"]) == [0] and not change.skipped


def test_pictures_change_in_the_copies_only(tmp_path, plain_pictures):
    corpus = make_corpus("folder", 0, str(plain_pictures), str(tmp_path / "work"), 2)
    mine = state(plain_pictures)
    pairs = choose_pairs(corpus, 3)
    assert len(pairs) == 3 and pairs == choose_pairs(corpus, 3)
    copies = tmp_path / "copies"
    for name in corpus.names:
        link(f"{corpus.folder}/{name}", str(copies / name))
    for shows in (pairs.get, str):  # its partner, then itself again
        before = state(copies)
        made = tmp_path / "made"
        made.write_bytes(b"-")
        change_pictures(corpus, str(copies), pairs)
        after = state(copies)
        assert {path for path in after if after[path] != before[path]} == {copies / name for name in pairs}
        for name in pairs:
            assert after[copies / name][0] == mine[plain_pictures / shows(name)][0]
            assert after[copies / name][1] > made.stat().st_mtime_ns
        made.write_bytes(b"-")
        assert made.stat().st_mtime_ns > max(after[copies / name][1] for name in pairs)
    assert state(plain_pictures) == mine


def test_without_different_pictures_nothing_can_change(tmp_path, capsys):
    (tmp_path / "same").mkdir()
    for name in ("a.png", "b.png", "c.jpg"):
        draw_picture(1, (80, 60)).save(tmp_path / "same" / name)
    options = ["--pictures", str(tmp_path / "same"), "--work", str(tmp_path / "work")]
    assert main(["rerun-folder", *options]) == 2
    assert "no picture can change" in capsys.readouterr().err


def test_where_the_beginning_fails_there_is_no_rerun(tmp_path, plain_pictures, monkeypatch, capsys):
    monkeypatch.setitem(contenders.RERUNS, "thumbmill", Contender("", rerun_command("sys.exit('tired')")))
    options = ["--pictures", str(plain_pictures), "--work", str(tmp_path / "work"), "--only", "loop-mtime"]
    assert main(["rerun-folder", *options]) == 2
    message = "not everything could be made in the beginning: exit code 1; its last line: tired"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["rerun-folder"], "needs --pictures"),
        (["rerun-10000", "--pictures", "images"], "makes its own pictures"),
        (["rerun-1000", "--only", "processes"], "no contender of rerun-1000 is called processes"),
        (["small-1000", "--only", "make"], "no contender of small-1000 is called make"),
        (["rerun-1000", "--own-function"], "no loops over thumbmill's own function"),
    ],
)
def test_what_a_case_cannot_do_is_refused(arguments, reason, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert reason in capsys.readouterr().err


@pytest.mark.skipif(contenders.gnu_make() is None, reason="GNU make is not installed")
def test_make_is_left_out_by_name_where_it_cannot_work(monkeypatch):
    assert contenders.why_not_make(["/home/me/0_ä+b-c.jpg"]) is None
    for odd in ("a b.jpg", "a:b.jpg", "a$b.jpg", "a%b.jpg", "a#b.jpg", "it's.jpg"):
        assert odd in contenders.why_not_make(["/home/me/c.jpg", f"/home/me/{odd}"]).replace('"', "'")
    monkeypatch.setattr(contenders, "gnu_make", lambda: None)
    assert contenders.why_not_make(["a.jpg"]) == "GNU make is not installed"
    assert choose_reruns([], ["a.jpg"])["make"] == "GNU make is not installed"


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
