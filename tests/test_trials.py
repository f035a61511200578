"""The trials' own functions, with small numbers; the trials themselves take minutes (tests/trials/)."""

import sys

import pytest

from tests.conftest import REPOSITORY
from tests.trials import __main__ as trials
from tests.trials import memory, newest


@pytest.mark.skipif(sys.platform != "linux", reason="the peaks are Linux's")
def test_memory_looks_at_every_process_of_a_run(tmp_path):
    memory.make_catalogue(tmp_path / "images", 24, different=20)
    pictures = sorted((tmp_path / "images").rglob("*.*"))
    assert len({path.suffix for path in pictures}) == 5
    assert pictures[1].read_bytes() == pictures[21].read_bytes() != pictures[2].read_bytes()
    run = memory.watch(tmp_path / "run", tmp_path / "images")
    assert (run.code, run.summary) == (0, "thumbmill: 24 made, 0 up to date, 0 failed")
    assert memory.controller_peak(run) > 50 * memory.MB
    at_work = [each for each in run.looks if each.workers]
    assert at_work[-1].server.own > memory.MB
    assert len(set().union(*(each.workers for each in at_work))) == 2
    assert all(held.peak >= held.own > 0 for each in at_work for held in each.workers.values())


def test_memory_sees_a_worker_that_grows():
    def looks(leak: int, peak: int) -> list[memory.Look]:
        """A run of 1,000 pictures; a worker holds something else at each look, and loses `leak` bytes a picture."""
        result = []
        for made in range(0, 1001, 5):
            busy = 20 + made % 7 * 10
            worker = memory.Memory((busy + leak * made // 100) * memory.MB, (peak * made // 1000 + 100) * memory.MB)
            fixed = memory.Memory(100 * memory.MB, 120 * memory.MB)
            result.append(memory.Look(made, fixed, fixed, {1: worker}))
        return result

    flat, leaking, peaking = (memory.stages(looks(*each)) for each in ((0, 0), (1, 0), (0, 50)))
    assert [each.made for each in flat] == list(range(100, 1001, 100))
    assert memory.kept_growth(flat) == memory.peak_growth(flat) == 1
    assert memory.kept_growth(leaking) > memory.GROWTH
    assert memory.peak_growth(peaking) > memory.GROWTH
    assert memory.table(flat).splitlines()[-1].split() == ["1,000", "100", "100", "20.0", "100"]


def test_newest_tells_which_versions_are_not_the_tested_ones():
    tested = newest.read_versions("# why\npillow==13.0.0\nrich==15.0.0\n")
    assert newest.differences(tested, tested) == []
    found = {"pillow": "13.0.1", "rich": "15.0.0", "new": "1"}
    assert newest.differences(tested, found) == ["pillow 13.0.0 -> 13.0.1", "new (none) -> 1"]
    assert newest.with_versions("# why\npillow==13.0.0\n", found) == "# why\npillow==13.0.1\nrich==15.0.0\nnew==1\n"
    with pytest.raises(ValueError, match="no exact version: rich>=15"):
        newest.read_versions("rich>=15\n")


def test_one_command_runs_every_trial_and_says_which_failed(capfd):
    assert {*trials.TRIALS} == {path.stem for path in (REPOSITORY / "tests/trials").glob("[!_]*.py")} | {"tests"}
    assert all((REPOSITORY / name).exists() for name in trials.TRIALS["tests"] if name.startswith("tests/"))
    assert trials.run_trials({"good": ["json.tool", "--help"], "bad": ["json.nothing"]}) == ["bad"]
    assert "=== good: python -m json.tool --help" in capfd.readouterr().out
