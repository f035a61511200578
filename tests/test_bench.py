"""The benchmark: everyone is measured, and nobody wins by doing less."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from bench import compare as bench_compare
from bench import contenders, report, rerun, tools
from bench.check import expected_sizes, find_fault
from bench.compare import CASES, choose, collect, main, run_rounds
from bench.contenders import Contender, Task, output_folder
from bench.corrupted import is_singled_out
from bench.loops import make_outdated
from bench.pictures import (
    MOST_DISTINCT,
    cut_photos,
    draw_picture,
    draw_pictures,
    forget_all,
    link,
    list_pictures,
    make_corpus,
)
from bench.rerun import change_pictures, choose_pairs, run_reruns
from bench.table import remarks, summarize
from bench.table import table as markdown
from bench.tools import find_tool, tell_version

LOOPS = ["sequential", "threads", "processes"]
OWN_LOOPS = [f"own-{name}" for name in LOOPS]


@pytest.fixture
def compare(tmp_path, capsys):
    """Run the command in this process; returns its exit code, its output, and what it wrote as JSON."""

    def run(case, *arguments):
        options = ["--work", tmp_path / "work", "--results", tmp_path / "results", "--cores", "2", "--rounds", "1"]
        code = main([str(argument) for argument in (case, *options, *arguments)])
        name = f"{case}-cold.json" if "--cold" in arguments else f"{case}.json"
        return code, capsys.readouterr().out, json.loads((tmp_path / "results" / name).read_text())

    return run


@pytest.fixture
def pictures(tmp_path):
    """A folder of twelve sound pictures, of several kinds."""
    folder = tmp_path / "own"
    draw_pictures(str(folder), 9, [(".jpg", size) for size in ((400, 300), (300, 400), (100, 80))], 2)
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
    code, output, figures = compare("folder", "--pictures", pictures, "--only", ",".join(LOOPS))
    assert code == 0
    table = rows(output)
    assert list(table) == LOOPS
    assert table["processes"][4] == "1.00"
    assert "12 pictures" in output
    for name in LOOPS:
        assert float(table[name][4]) > 0
        assert figures["tables"][""][name]["figures"]["memory"] > 1e6


@pytest.mark.slow
def test_everyone_is_compared(compare, pictures):
    everyone = [*LOOPS, *OWN_LOOPS, "thumbmill", "thumbmill-shards", "stock"]
    code, output, figures = compare("folder", "--pictures", pictures, "--only", ",".join(everyone))
    assert code == 0, output
    table = rows(output)
    assert list(table) == everyone
    for name in everyone:
        wall, user, _, _, ratio, memory, controller = table[name]
        assert float(wall) > 0 and float(user) > 0 and float(ratio) > 0 and int(memory) > 0 and int(controller) > 0
    assert figures["reference"] == "processes"
    assert figures["tables"][""]["thumbmill"]["runs"][0]["code"] == 0


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
        ("run_loop('sequential', lambda a, b, c: process_file(a, [(b[0][0], 200)], c), task)", "pixels instead"),
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
    assert "figures" not in figures["tables"][""]["odd"]
    assert table["processes"][4] == "1.00"


def test_broken_pictures_are_named_and_left_out(compare, pictures):
    (pictures / "broken.jpg").write_bytes((pictures / "000/000000.jpg").read_bytes()[:3000])
    (pictures / "text.png").write_text("no picture")
    _, output, figures = compare("folder", "--pictures", pictures, "--only", "sequential")
    assert sorted(name for name, _ in figures["pictures"]["left_out"]) == ["broken.jpg", "text.png"]
    assert "12 pictures" in output and "left out: broken.jpg: OSError" in output
    assert rows(output)["sequential"][4] == "–", "there is no process loop to compare with"


def test_stock_snakemake_is_left_out_where_it_takes_too_long(tmp_path, plain_pictures, monkeypatch):
    monkeypatch.setitem(contenders.CONTENDERS, "stock", contenders.CONTENDERS["stock"]._replace(at_most=4))
    corpus = make_corpus("folder", 0, str(plain_pictures), str(tmp_path / "work"), 2)
    task = Task(corpus.folder, str(tmp_path), (100,), 80, 2, str(tmp_path))
    default = choose(CASES["folder"], [], [], task, corpus)
    assert default["stock"] == "more than 4 pictures take it too long; --with stock runs it all the same"
    assert "own-processes" not in default and isinstance(default["thumbmill"], Contender)
    more = choose(CASES["folder"], [], ["stock", "own-processes"], task, corpus)
    assert isinstance(more["stock"], Contender) and isinstance(more["own-processes"], Contender)
    assert list(choose(CASES["folder"], ["stock"], [], task, corpus)) == ["stock"]


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


def test_many_pictures_are_links_to_a_few_under_names_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setitem(MOST_DISTINCT, "mixed", 20)
    corpus = make_corpus("mixed", 45, None, str(tmp_path), 2)
    assert len(corpus.names) == 45 == len({Path(name).stem for name in corpus.names})
    assert {Path(name).suffix for name in corpus.names} == {".jpg", ".png", ".webp"}
    assert len({(tmp_path / corpus.folder / name).stat().st_ino for name in corpus.names}) == 20
    assert "20 different ones, each in 3 places" in corpus.note


def test_a_check_finds_a_thumbnail_cut_short(tmp_path):
    draw_pictures(str(tmp_path / "source"), 1, [(".jpg", (400, 300))], 1)
    sizes = expected_sizes(str(tmp_path / "source"), ["000/000000.jpg"], 100)
    assert sizes == {"000/000000.jpg": {(100, 75)}}
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
    draw_pictures(str(folder), 8, [(".jpg", (200, 150)), (".jpg", (150, 200))], 2)
    return folder


def state(folder):
    """Contents and dates of all files below `folder`."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.skipif(find_tool("make", "") is None, reason="GNU make is not installed")
def test_everyone_is_compared_in_a_rerun(compare, plain_pictures):
    mine = state(plain_pictures)
    code, output, figures = compare("rerun-folder", "--pictures", plain_pictures, "--rounds", "2")
    assert code == 0, output
    assert list(figures["tables"]) == TITLES
    for results in figures["tables"].values():
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
    assert list(figures["tables"])[2] == "1 % changed (10)", "the .jpg; the others have no partner"
    for results in figures["tables"].values():
        assert "figures" in results["loop-mtime"] and "figures" in results["thumbmill"]
    if find_tool("make", ""):
        assert "`make` skipped: 4 of the names cannot be written in a Makefile" in output
    assert state(pictures) == mine
    assert not list((tmp_path / "work").glob("runs-*"))


def rerun_command(source):
    """The command of a rerun contender that runs the Python `source`, with make_outdated and the task at hand."""
    setup = f"import os, sys; sys.path.insert(0, {str(contenders.REPOSITORY)!r})"
    find = "from bench.contenders import *; from bench.loops import *"

    def command(task):
        known = f"task = Task(*{tuple(task)!r}); output = output_folder(task)"
        redo = "redo = lambda: make_outdated(task.source, output, task.boxes[0], task.quality, 1)"
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
        ("task = task._replace(boxes=(50,)); redo()", "one picture changed", "pixels instead of"),
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


def run_tiny_rerun(tmp_path, pictures, chosen, rounds, limit=100.0, slow=60.0):
    """run_reruns on a folder of pictures."""
    corpus = make_corpus("folder", 0, str(pictures), str(tmp_path / "work"), 2)
    task = Task(corpus.folder, str(tmp_path), (100,), 80, 2)
    return run_reruns(chosen, rounds, task, corpus, limit, slow)


@pytest.fixture
def made_by_the_loop(monkeypatch):
    """Let the loop make everything in the beginning, which is sooner done than by thumbmill."""
    monkeypatch.setitem(contenders.RERUNS, "thumbmill", contenders.RERUNS["loop-mtime"])


@pytest.mark.usefixtures("made_by_the_loop")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.slow
def test_who_takes_too_long_is_given_up_and_the_others_go_on(tmp_path, plain_pictures):
    slow = Contender("the slow one", rerun_command("import time; redo() and time.sleep(60)"))
    chosen = {"stock": slow, "loop-mtime": contenders.RERUNS["loop-mtime"], "make": "not installed"}
    nothing, one, percent = run_tiny_rerun(tmp_path, plain_pictures, chosen, 2, limit=15)
    assert list(nothing.runs["stock"]) == [0] and not one.runs["stock"] and not percent.runs["stock"]
    assert one.over == {"stock": 15} and percent.skipped == {"stock": "was given up: one picture changed"}
    for change in (nothing, one, percent):
        assert list(change.runs["loop-mtime"]) == [0, 1] and not change.failed
    results = collect(chosen, one.runs, one.failed, "loop-mtime", None, one.over)
    assert [markdown(results, "loop-mtime").count(f"| {cell} | ") for cell in ("over 15", "skipped")] == [1, 1]


@pytest.mark.usefixtures("made_by_the_loop")
def test_who_is_slow_runs_in_the_first_round_only(tmp_path, plain_pictures):
    chosen = {"loop-mtime": contenders.RERUNS["loop-mtime"]}
    for change in run_tiny_rerun(tmp_path, plain_pictures, chosen, 2, slow=0):
        assert list(change.runs["loop-mtime"]) == [0] and not change.skipped
    corpus = make_corpus("folder", 0, str(plain_pictures), str(tmp_path / "work"), 2)
    task = Task(corpus.folder, str(tmp_path / "runs"), (100,), 80, 2)
    chosen = {name: contenders.CONTENDERS[name] for name in ("threads", "processes")}
    runs, failed, over = run_rounds(chosen, 2, task, corpus, 100, slow=0)
    assert {name: list(each) for name, each in runs.items()} == {"threads": [0], "processes": [0, 1]}
    assert not failed and not over


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
        ([], "name a case: all, small-100"),
        (["small"], "there is no case small: choose from all, small-100"),
        (["rerun-folder"], "needs --pictures"),
        (["rerun-10000", "--pictures", "images"], "makes its own pictures"),
        (["rerun-1000", "--only", "processes"], "no contender of rerun-1000 is called processes"),
        (["small-1000", "--only", "loop-mtime"], "no contender of small-1000 is called loop-mtime"),
        (["all", "--with", "nobody"], "is called nobody"),
        (["rerun-1000", "--cold"], "--cold: reruns look at no picture but the changed ones"),
    ],
)
def test_what_a_case_cannot_do_is_refused(arguments, reason, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert reason in capsys.readouterr().err


def test_make_is_left_out_by_name_where_it_cannot_work(monkeypatch):
    assert contenders.why_not_make(["/home/me/0_ä+b-c.jpg"]) is None
    for odd in ("a b.jpg", "a:b.jpg", "a$b.jpg", "a%b.jpg", "a#b.jpg", "it's.jpg"):
        assert odd in contenders.why_not_make(["/home/me/c.jpg", f"/home/me/{odd}"]).replace('"', "'")


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


# The tools that a user could pick instead.

TOOLS = str(Path(tempfile.gettempdir(), "thumbmill-bench/tools"))  # where python -m bench --install puts them


def run_alone(name, source, folder, boxes=(160,)):
    """What the contender `name` made of the pictures in `source`: the Task, its exit code, what it printed.

    Skips the test where one of its tools is missing.
    """
    contender = contenders.CONTENDERS[name]
    missing = tools.why_not_there(contender.needs, TOOLS)
    if missing:
        pytest.skip(missing)
    task = Task(str(source), str(folder / name), boxes, 80, 2, TOOLS)
    (folder / name).mkdir()
    command = contender.command(task)
    done = subprocess.run(command, cwd=task.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return task, done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", [name for name in contenders.PEERS if name != "stock-shell"])
def test_each_tool_makes_the_same(name, tmp_path):
    source = tmp_path / "own"
    # With the hint that makes them quick, both mogrifys enlarge a JPEG that is smaller than its thumbnail.
    smallest = (400, 200) if name in ("mogrify", "gm") else (100, 80)
    draw_pictures(str(source), 5, [(".jpg", size) for size in ((400, 300), (300, 400), smallest)], 1)
    turned = Image.Exif()
    turned[0x0112], turned[0x010F] = 6, "somebody's camera"
    draw_picture(6, (400, 200)).save(source / "turned.jpg", exif=turned)
    draw_picture(7, (300, 200)).save(source / "000" / "other.png")
    names = list_pictures(str(source))
    contender = contenders.CONTENDERS[name]
    boxes = (160,) if contender.most_sizes == 1 else (160, 80)
    task, code, printed = run_alone(name, source, tmp_path, boxes)
    assert code == 0, printed
    for box in boxes:
        output = output_folder(task, box)
        sizes = expected_sizes(str(source), names, box)
        assert find_fault(output, names, sizes, contender.naming) is None
        sizes["turned.jpg"] = {(box // 2, box)}
        assert find_fault(output, names, sizes, contender.naming) is None, "upright"
        with Image.open(Path(output, contender.naming("turned.jpg"))) as thumbnail:
            draw_picture(0, (60, 60)).save(tmp_path / "plain.jpg", quality=80)
            with Image.open(tmp_path / "plain.jpg") as plain:
                assert thumbnail.quantization == plain.quantization
                assert [layer[1:3] for layer in thumbnail.layer] == [layer[1:3] for layer in plain.layer]
            assert not thumbnail.getexif() and "progressive" not in thumbnail.info and "exif" not in thumbnail.info
    assert re.match(r"\d", tell_version(contender.needs[-1], TOOLS))


@pytest.mark.slow
def test_stock_snakemake_with_a_shell_command_makes_the_same(tmp_path, plain_pictures):
    task, code, printed = run_alone("stock-shell", plain_pictures, tmp_path, (160, 80))
    assert code == 0, printed
    names = list_pictures(str(plain_pictures))
    for box in (160, 80):
        assert find_fault(output_folder(task, box), names, expected_sizes(task.source, names, box)) is None


def test_tools_that_cannot_do_it_are_skipped_by_name(tmp_path, pictures, monkeypatch):
    corpus = make_corpus("folder", 0, str(pictures), str(tmp_path / "work"), 2)
    monkeypatch.setattr(tools, "find_tool", lambda name, folder: name if name != "gm" else None)
    task = Task(corpus.folder, str(tmp_path), (200, 100), 80, 2, str(tmp_path))
    chosen = choose(CASES["folder"], [], [], task, corpus)
    assert chosen["gm"] == "GraphicsMagick: not installed (python -m bench --install does it)"
    assert chosen["vips"] == "1 thumbnails would have another one's name: it drops the extension"
    assert chosen["sigal"] == "it makes no more than 1 size in a run"
    assert "cannot be written in a Makefile" in chosen["make"]
    assert isinstance(chosen["sharp"], Contender)


def test_nothing_is_installed_but_what_is_missing(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(tools, "find_tool", lambda name, folder: None if name in ("gm", "sharp", "sigal") else name)
    monkeypatch.setattr(tools, "attempt", lambda command: commands.append(command) or True)
    monkeypatch.setattr(tools.os, "geteuid", lambda: 0)
    monkeypatch.setattr(tools.shutil, "which", lambda name: name)
    tools.install(str(tmp_path / "tools"))
    assert commands[0][-1] == "graphicsmagick" and "make" not in commands[0]
    assert [command[-1] for command in commands[1:]] == ["sharp@0.35.5", str(tmp_path / "tools/sigal"), "sigal==2.6.1"]
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    commands.clear()
    tools.install(str(tmp_path / "tools"))
    assert not any("apt-get" in command for command in commands)


# The other cases.


def test_a_corrupted_picture_tells_who_stops(compare):
    code, output, figures = compare("corrupted", "--count", 6, "--only", "sequential,processes")
    assert code == 0
    found = figures["tables"][""]
    assert found["sequential"]["made"] == 3 and found["processes"]["made"] == 5 == found["processes"]["of"]
    for name in ("sequential", "processes"):
        assert found[name]["code"] == 1 and not found[name]["damaged_made"] and not found[name]["named"]
    assert "| `sequential` plain loop, sequential | 1 | 3 of 5 | nothing | no |" in output


def test_only_who_names_the_damaged_picture_more_often_singles_it_out():
    assert is_singled_out("a/2.jpg", "a/1.jpg", "error: 2.jpg")
    assert not is_singled_out("a/2.jpg", "a/1.jpg", "made 1.jpg\nmade 2.jpg")
    assert is_singled_out("a/2.jpg", "a/1.jpg", "made 1.jpg\nmaking 2.jpg\n2.jpg is broken")


def test_three_sizes_are_all_checked(compare, monkeypatch):
    with_contender(monkeypatch, "run_loop('sequential', process_file, task._replace(boxes=task.boxes[:2]))")
    code, output, _ = compare("sizes", "--count", 3, "--only", "processes,odd")
    assert code == 1 and "`odd` failed: in round 1: 0 of 3 thumbnails made" in output
    assert float(rows(output)["processes"][0]) > 0 and "3 pictures to 720, 256, 128 pixels" in output


def test_with_a_cold_cache_the_pictures_are_dropped_before_each_run(compare, monkeypatch):
    dropped = []
    monkeypatch.setattr(bench_compare, "forget_all", lambda corpus: dropped.append(len(corpus.names)))
    _, output, figures = compare("small-100", "--count", 3, "--only", "sequential,processes", "--cold")
    assert dropped == [3, 3] and figures["cold"]
    assert "file cache cold" in output and "dropped from this system's file cache" in output


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot drop files from its cache")
def test_pictures_can_be_dropped_from_the_file_cache(tmp_path, plain_pictures, monkeypatch):
    corpus = make_corpus("folder", 0, str(plain_pictures), str(tmp_path / "work"), 2)
    mine = state(plain_pictures)
    advised, advise = [], os.posix_fadvise
    monkeypatch.setattr(os, "posix_fadvise", lambda *args: advised.append(args[1:]) or advise(*args))
    forget_all(corpus)
    assert advised == [(0, 0, os.POSIX_FADV_DONTNEED)] * 8, "every picture, whole"
    assert state(plain_pictures) == mine


def test_who_takes_longer_than_the_limit_is_given_up_and_the_others_go_on(compare, monkeypatch):
    with_contender(monkeypatch, "time.sleep(60)")
    code, output, figures = compare("small-100", "--count", 3, "--only", "processes,odd", "--limit", "2")
    assert code == 0 and rows(output)["odd"][0] == "over 2"
    assert figures["tables"][""]["odd"] == {"title": "the odd one", "over": 2}


def test_a_case_without_any_of_those_asked_for_says_so(tmp_path, capsys):
    options = ["--count", "3", "--rounds", "1", "--work", str(tmp_path), "--results", str(tmp_path / "results")]
    assert main(["small-100", "rerun-1000", "--only", "sequential", *options]) == 2
    assert "bench: rerun-1000: none of sequential takes part in it" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "results").iterdir()] == ["small-100.json"]


def test_all_cases_go_on_where_they_were_interrupted(tmp_path, monkeypatch, capsys):
    ran = []

    def run_case(name, options, work):
        ran.append(name)
        if name == "photos" and len(ran) == 2:
            raise KeyboardInterrupt
        return {"tables": {}}

    monkeypatch.setattr(bench_compare, "run_case", run_case)
    monkeypatch.setattr(bench_compare, "ALL", ["small-100", "photos"])
    monkeypatch.setattr(bench_compare.table, "describe", lambda document: "")
    options = ["all", "--work", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        main(options)
    assert main(options) == 0 and ran == ["small-100", "photos", "photos"]
    assert "small-100 has results" in capsys.readouterr().err
    main([*options, "--again"])
    assert ran[3:] == ["small-100", "photos"]


# Tables and plots.


def test_the_readme_and_the_plots_are_made_of_the_results():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `bench`)")
    assert report.main(["--check"]) == 0, "run: python -m bench.report"


@pytest.fixture
def results(tmp_path, compare):
    """A folder with results of several cases, measured on a few pictures by the loops."""
    few = ("--count", 4, "--only", ",".join(LOOPS))
    for case in ("small-100", "small-1000", "corrupted"):
        compare(case, *few)
    compare("small-1000", *few, "--cold")
    return tmp_path / "results"


def test_a_report_is_made_of_results_and_found_stale_when_they_change(results, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `bench`)")
    readme = tmp_path / "README.md"
    regions = "".join(
        f"<!-- comparison: begin {name} -->\nold\n<!-- comparison: end {name} -->\n" for name in report.REGIONS
    )
    readme.write_text(f"mine\n{regions}mine, too\n")
    monkeypatch.setattr(report, "RESULTS", results)
    monkeypatch.setattr(report, "README", readme)
    monkeypatch.setattr(report, "REPOSITORY", tmp_path)
    run = [str(results)]
    assert report.main([*run, "--check"]) == 1
    assert report.main(run) == 0 == report.main([*run, "--check"])
    text = readme.read_text()
    assert text.startswith("mine\n<!--") and text.endswith("-->\nmine, too\n") and "\nold\n" not in text
    assert "![Seconds against the number of pictures" in text and "(results/scale.svg)" in text
    assert "| 3 of 3 |" in text and "warm cache | cold cache" in text and text.count("(Not measured yet.)") == 1
    assert "### small-1000: 4 pictures to 128 pixels, file cache cold" in (results / "tables.md").read_text()
    for name in ("scale.svg", "speed.svg", "ratio.svg"):
        assert ElementTree.fromstring((results / name).read_text()).tag.endswith("svg")
    file = results / "small-1000.json"
    document = json.loads(file.read_text())
    document["tables"][""]["processes"]["figures"]["wall"] = [7.77, 7.77, 7.77]
    file.write_text(json.dumps(document))
    capsys.readouterr()
    assert report.main([*run, "--check"]) == 1
    assert "README.md" in capsys.readouterr().err
    report.main(run)
    assert "| 7.77 |" in readme.read_text() or "| 7.77 (" in readme.read_text()
    for file in results.glob("*.json"):
        file.unlink()
    report.main(run)
    assert not list(results.iterdir()) and readme.read_text().count("(Not measured yet.)") == len(report.REGIONS)


def test_a_report_on_nothing_or_on_a_readme_without_regions_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        report.main([str(tmp_path)])
    assert "no results in" in capsys.readouterr().err
    for text in (
        "",
        "<!-- comparison: begin odd -->\n<!-- comparison: end odd -->",
        "<!-- comparison: begin first -->",
    ):
        with pytest.raises(ValueError, match="each with its begin and end"):
            report.fill_regions(text, {})


def test_more_pictures_are_projected_along_the_line_through_the_largest_numbers():
    assert report.project({100: 5}, 1000) == 50
    assert report.project({1000: 3, 10_000: 21, 100: 2}, 100_000) == pytest.approx(201)
    assert report.project({1000: 3, 10_000: 21}, 10_000) == 21
