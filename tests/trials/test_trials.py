"""The functions of the trials, with small numbers; the trials themselves take minutes."""

import json
import sys
from pathlib import Path

import pytest

from trials import REPOSITORY, kills, memory, newest, sync
from trials import __main__ as trials


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps peaks")
def test_memory_samples_every_process_of_a_run(tmp_path):
    memory.make_catalogue(tmp_path / "images", 24, different=20)
    run = memory.watch(tmp_path / "run", tmp_path / "images")
    assert (run.code, run.summary) == (0, "thumbmill: 24 made, 0 up to date, 0 failed")
    assert memory.controller_peak(run) > 50 * memory.MB
    at_work = [each for each in run.samples if each.workers]
    assert at_work[-1].server.own > memory.MB
    assert len(set().union(*(each.workers for each in at_work))) == 2
    assert all(held.peak >= held.own > 0 for each in at_work for held in each.workers.values())


def test_the_catalogue_of_the_memory_trial_repeats_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "SIZES", [(60, 40)])
    memory.make_catalogue(tmp_path, 24, different=20)
    pictures = sorted(tmp_path.rglob("*.*"))
    assert len({path.suffix for path in pictures}) == 5
    assert pictures[1].read_bytes() == pictures[21].read_bytes() != pictures[2].read_bytes()


def test_memory_notices_a_worker_that_grows():
    def samples(leak: int, peak: int) -> list[memory.Sample]:
        """Return samples of a run of 1,000 pictures, whose worker leaks and whose peak grows (in MB)."""
        result = []
        for made in range(0, 1001, 5):
            busy = 20 + made % 7 * 10
            worker = memory.Memory((busy + leak * made // 100) * memory.MB, (peak * made // 1000 + 100) * memory.MB)
            fixed = memory.Memory(100 * memory.MB, 120 * memory.MB)
            result.append(memory.Sample(made, fixed, fixed, {1: worker}))
        return result

    flat, leaking, peaking = (memory.stages(samples(*each)) for each in ((0, 0), (1, 0), (0, 50)))
    assert [each.made for each in flat] == list(range(100, 1001, 100))
    assert memory.kept_growth(flat) == memory.peak_growth(flat) == 1
    assert memory.kept_growth(leaking) > memory.MAX_GROWTH
    assert memory.peak_growth(peaking) > memory.MAX_GROWTH
    assert memory.table(flat).splitlines()[-1].split() == ["1,000", "100", "100", "20.0", "100"]


def test_newest_lists_the_versions_that_are_not_the_tested_ones():
    tested = newest.read_versions("# why\npillow==13.0.0\nrich==15.0.0\n")
    assert newest.differences(tested, tested) == []
    found = {"pillow": "13.0.1", "rich": "15.0.0", "new": "1"}
    assert newest.differences(tested, found) == ["pillow 13.0.0 -> 13.0.1", "new (none) -> 1"]
    assert newest.with_versions("# why\npillow==13.0.0\n", found) == "# why\npillow==13.0.1\nrich==15.0.0\nnew==1\n"
    with pytest.raises(ValueError, match="no exact version: rich>=15"):
        newest.read_versions("rich>=15\n")


def test_newest_installs_the_project_with_its_extras_and_every_plugin(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project.optional-dependencies]\nheif = ["a"]\ntest-s3 = ["b"]\n')
    for name in ("plugin-b", "plugin-a"):
        (tmp_path / "plugins" / name).mkdir(parents=True)
        (tmp_path / "plugins" / name / "pyproject.toml").touch()
    (tmp_path / "plugins/notes").mkdir()
    extras = newest.read_extras(tmp_path)
    assert newest.requirements(extras, tmp_path) == [".[heif,test-s3]", "./plugins/plugin-a", "./plugins/plugin-b"]
    assert "test" in newest.read_extras(), "which the trial itself installs"


def test_newest_leaves_out_what_is_installed_from_this_repository():
    package = {"metadata": {"name": "Ruamel.Yaml", "version": "1.2"}, "download_info": {"url": "https://.../a.whl"}}
    ours = {
        "metadata": {"name": "thumbmill", "version": "0.1"},
        "download_info": {"url": "file:///here", "dir_info": {}},
    }
    report = json.loads(json.dumps({"install": [ours, package]}))
    assert newest.versions_in_report(report) == {"ruamel-yaml": "1.2"}


def test_the_tests_that_trials_run_exist():
    assert {Path(path).name for path in trials.find_tests()} == {*trials.TESTS}
    assert all(Path(REPOSITORY, path).is_dir() for path in newest.TESTS)


def test_one_command_runs_every_trial_and_lists_which_failed(capfd):
    programs = {
        path.stem for path in (REPOSITORY / "trials").glob("[!_]*.py") if "\nif __name__ ==" in path.read_text()
    }
    assert programs == {*trials.PROGRAMS}
    assert trials.run_trials({"good": ["json.tool", "--help"], "bad": ["json.nothing"]}) == ["bad"]
    assert "=== good: python -m json.tool --help" in capfd.readouterr().out
    with pytest.raises(SystemExit):
        trials.main(["nothing"])
    assert "there is no trial 'nothing'" in capfd.readouterr().err


def test_sync_writes_the_files_in_each_way(tmp_path):
    for way in sync.WAYS:
        folder = tmp_path / way
        folder.mkdir()
        assert sync.write_files(folder, 3, 10, way) > 0
        assert sorted(path.name for path in folder.iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]
        assert all(path.stat().st_size == 10 for path in folder.iterdir())


def test_kills_counts_what_is_not_whole_and_what_was_made_again(tmp_path):
    (tmp_path / "work").mkdir()
    trial = kills.Trial(tmp_path / "work", 4, 1)
    trial.change(trial.names)
    old = dict(trial.right)
    for name in trial.names:
        trial.path(name).parent.mkdir(parents=True, exist_ok=True)
        trial.path(name).write_bytes(old[name])
    trial.change(trial.names[1:])
    trial.path(trial.names[1]).write_bytes(trial.right[trial.names[1]])
    trial.path(trial.names[3]).unlink()
    assert trial.count_wrong() == 0, "old, new, old, absent"
    assert trial.count_wrong(finished=True) == 2
    trial.path(trial.names[2]).write_bytes(old[trial.names[2]][:-9])
    assert trial.count_wrong() == 1
    whole = trial.link_whole()
    assert [*whole] == trial.names[:2]
    trial.path(trial.names[0]).unlink()
    trial.path(trial.names[0]).write_bytes(old[trial.names[0]])
    assert trial.count_remade(whole) == 1
    (tmp_path / "work/.thumbmill-1-2").touch()
    assert len(trial.temporary()) == 1


def test_kills_adds_up_its_rounds():
    rounds = [
        kills.Round("a worker", 0.0, 1, 0, 0, 0, 0, 0, 4, ""),
        kills.Round("a worker", 0.0, 2, 1, 0, 0, 0, 0, 9, "text"),
        kills.Round("all processes", 0.5, 3, 0, 0, 0, 0, 0, 0, ""),
    ]
    assert kills.table(rounds).splitlines()[2:] == [
        "| all processes | 1 | 3 | 0 | 0 | 0 | 0 | 0 | 0 | 0.50 |",
        "| a worker | 2 | 3 | 1 | 0 | 0 | 0 | 0 | 9 |  |",
    ]
