"""Reruns, when little has changed."""

import re

import pytest

from bench import contenders, rerun
from bench.compare import collect, main
from bench.corpus import link, make_corpus
from bench.pictures import draw_picture
from bench.rerun import change_pictures, choose_pairs, run_reruns
from bench.table import table
from bench.task import Contender, Task
from bench.tools import find_tool
from tests.bench.support import program, state

TITLES = ["nothing changed", "one picture changed", "1 % changed (1)"]
ODD = {
    "right": ("make()", None, None),
    "eager": ("make(); os.utime(f'{output}/000/000003.jpg.jpg')", "nothing changed", "and 1 others .*000003"),
    "idle": ("pass", "one picture changed", "0 of 1 changed thumbnails made again, and 0 others"),
    "generous": ("make(50)", "one picture changed", "pixels instead of"),
    "tired": ("make() and sys.exit('tired')", "one picture changed", "exit code 1; its last line: tired"),
}


@pytest.fixture
def made_by_the_loop(monkeypatch):
    """Let the loop make everything in the beginning, which is quicker than thumbmill for a few pictures."""
    monkeypatch.setitem(contenders.RERUNS, "thumbmill", contenders.RERUNS["loop-mtime"])


def run_tiny_rerun(tmp_path, pictures, chosen, rounds, limit=100.0, slow=60.0):
    """Call run_reruns on a folder of pictures."""
    corpus = make_corpus("folder", 0, str(pictures), str(tmp_path / "work"), 2)
    task = Task(corpus.folder, str(tmp_path), (100,), 80, 2)
    return run_reruns(chosen, rounds, task, corpus, limit, slow)


@pytest.mark.usefixtures("made_by_the_loop")
def test_who_does_not_make_exactly_what_changed_has_failed(tmp_path, plain_pictures):
    mine = state(plain_pictures)
    chosen = {name: Contender(name, program(source)) for name, (source, _, _) in ODD.items()}
    changes = {change.title: change for change in run_tiny_rerun(tmp_path, plain_pictures, chosen, 1)}
    assert list(changes) == TITLES
    for name, (_, title, reason) in ODD.items():
        failed = {
            each: change.outcome.failed[name] for each, change in changes.items() if name in change.outcome.failed
        }
        if reason is None:
            assert not failed and all(list(change.outcome.runs[name]) == [0] for change in changes.values())
        else:
            assert list(failed) == [title] and re.search(reason, failed[title])
            assert changes[TITLES[2]].skipped[name] == f"failed: {title}"
    assert state(plain_pictures) == mine


@pytest.mark.usefixtures("made_by_the_loop")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.slow
def test_a_contender_is_stopped_at_the_limit_and_the_others_go_on(tmp_path, plain_pictures):
    slow = Contender("the slow one", program("make() and time.sleep(60)"))
    chosen = {"stock": slow, "loop-mtime": contenders.RERUNS["loop-mtime"], "make": "not installed"}
    nothing, one, percent = run_tiny_rerun(tmp_path, plain_pictures, chosen, 2, limit=15)
    stock = [list(change.outcome.runs["stock"]) for change in (nothing, one, percent)]
    assert stock == [[0], [], []]
    assert one.outcome.over == {"stock": 15} and percent.skipped == {"stock": "was stopped: one picture changed"}
    for change in (nothing, one, percent):
        assert list(change.outcome.runs["loop-mtime"]) == [0, 1] and not change.outcome.failed
    results = collect(chosen, one.outcome, "loop-mtime", None)
    assert [table(results, "loop-mtime").count(f"| {cell} | ") for cell in ("over 15", "skipped")] == [1, 1]


@pytest.mark.usefixtures("made_by_the_loop")
def test_a_slow_contender_runs_in_the_first_round_only(tmp_path, plain_pictures):
    chosen = {"loop-mtime": contenders.RERUNS["loop-mtime"]}
    for change in run_tiny_rerun(tmp_path, plain_pictures, chosen, 2, slow=0):
        assert list(change.outcome.runs["loop-mtime"]) == [0] and not change.skipped


@pytest.mark.slow
@pytest.mark.skipif(find_tool("make", "") is None, reason="GNU make is not installed")
def test_everyone_is_compared_in_a_rerun(compare, plain_pictures):
    mine = state(plain_pictures)
    code, output, document = compare("rerun-folder", "--pictures", plain_pictures, "--rounds", "2")
    assert code == 0, output
    assert list(document["tables"]) == TITLES
    for results in document["tables"].values():
        assert list(results) == list(contenders.RERUNS)
        for name, result in results.items():
            assert [run["round"] for run in result["runs"]] == [1, 2], name
            assert len(result["figures"]["ratio"]) == 3 and result["figures"]["memory"] > 0, name
        assert results["loop-mtime"]["figures"]["ratio"] == [1, 1, 1]
    assert all(f"#### {title}\n" in output for title in TITLES)
    assert "GNU make" in output and "images/s" not in output
    assert state(plain_pictures) == mine


@pytest.mark.slow
def test_a_rerun_works_on_any_names_except_with_make(compare, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(rerun, "choose_pairs", lambda corpus, count: choose_pairs(corpus, len(corpus.names)))
    (pictures / "twin of same name.webp").write_bytes((pictures / "same name.webp").read_bytes())
    mine = state(pictures)
    code, output, document = compare("rerun-folder", "--pictures", pictures, "--only", "loop-mtime,make,thumbmill")
    assert code == 0, output
    assert list(document["tables"])[2] == "1 % changed (10)", "the .jpg; the others have no partner"
    for results in document["tables"].values():
        assert "figures" in results["loop-mtime"] and "figures" in results["thumbmill"]
    if find_tool("make", ""):
        assert "`make` skipped: 4 of the names cannot be written in a Makefile" in output
    assert state(pictures) == mine
    assert not list((tmp_path / "work").glob("runs-*"))


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


def test_there_is_no_rerun_if_the_first_run_fails(tmp_path, plain_pictures, monkeypatch, capsys):
    monkeypatch.setitem(contenders.RERUNS, "thumbmill", Contender("", program("sys.exit('tired')")))
    options = ["--pictures", str(plain_pictures), "--work", str(tmp_path / "work"), "--only", "loop-mtime"]
    assert main(["rerun-folder", *options]) == 2
    message = "not everything could be made in the beginning: exit code 1; its last line: tired"
    assert message in capsys.readouterr().err
