"""A catalogue made by shards: Snakemake runs of their own, whose outcome is that of one run."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts.running import Running, RunningError, begin_work, open_lock, shards_path, try_lock
from scripts.shards import RUNS, Told, read_told, tell
from tests.test_leaving_out import left_out

SHARDS = ("--set-resources", "shard:pictures=2")


@pytest.fixture
def wide_shop(shop):
    """A shop with five pictures, one of them with a name that Snakemake cannot write, and one that is none."""
    for name in ("a.jpg", "b.png", "sub/c.webp", "{odd}\n.jpg"):
        shop.picture(name)
    (shop.folder / "images/bad.jpg").write_text("no picture")
    return shop


def shards_of(run) -> int:
    """How many shards a run submitted."""
    return len(re.findall(r"^(?:local)?rule shard:$", run.text, re.MULTILINE))


def test_shards_make_what_one_run_makes(wide_shop):
    run = wide_shop.run(*SHARDS)
    assert run.code == 1
    assert shards_of(run) == 3
    assert run.last_lines[0] == "thumbmill: 4 made, 0 up to date, 1 failed"
    assert run.last_lines[1].startswith("  images/bad.jpg: not a picture")
    assert list(wide_shop.failures()) == ["images/bad.jpg"]
    assert wide_shop.files() == {f"thumb/{name}.jpg" for name in ("a", "b", "sub/c", "{odd}\n")}
    assert len(left_out(wide_shop)) == 4
    assert not list((wide_shop.folder / RUNS).glob("*/")), "a folder of the run is left"
    assert not list((wide_shop.folder / "logs/shards").iterdir())


def test_only_what_is_to_be_made_is_submitted(wide_shop):
    wide_shop.run()
    run = wide_shop.run(*SHARDS)
    assert (run.code, shards_of(run)) == (1, 1)
    wide_shop.picture("bad.jpg")
    wide_shop.picture("a.jpg", "yellow", (61, 40))
    run = wide_shop.run(*SHARDS)
    assert (run.code, shards_of(run)) == (0, 1)
    assert run.last_lines == ["thumbmill: 2 made, 3 up to date, 0 failed"]
    assert wide_shop.failures() == {}
    run = wide_shop.run(*SHARDS)
    assert (run.code, shards_of(run)) == (0, 0)
    assert "Nothing to be done" in run.text
    assert run.last_lines == ["thumbmill: 0 made, 5 up to date, 0 failed"]


def test_a_dry_run_counts_and_writes_nothing(wide_shop):
    run = wide_shop.run(*SHARDS, "-n")
    assert run.code == 0
    assert run.last_lines[0] == "thumbmill: 5 would be made, 0 up to date (dry run)"
    assert not (wide_shop.folder / RUNS).exists()


def test_retry_makes_a_shard_of_the_failures(wide_shop):
    wide_shop.run()
    wide_shop.picture("new.jpg")
    run = wide_shop.run("retry", *SHARDS)
    assert (run.code, shards_of(run)) == (1, 1)
    assert run.last_lines[0] == "thumbmill: 0 made, 0 up to date, 1 failed"
    assert not wide_shop.thumbnail("new.jpg").exists()


@pytest.mark.parametrize("flags", [("--forceall",), ("--forcerun", "thumbnail")])
def test_what_is_forced_is_made_in_shards_too(small_shop, flags):
    small_shop.run()
    before = {name: os.stat(small_shop.folder / "thumbnails" / name).st_mtime_ns for name in small_shop.files()}
    run = small_shop.run(*SHARDS, *flags)
    assert (run.code, shards_of(run)) == (0, 2)
    assert run.last_lines == ["thumbmill: 3 made, 0 up to date, 0 failed"]
    after = {name: os.stat(small_shop.folder / "thumbnails" / name).st_mtime_ns for name in small_shop.files()}
    assert before.keys() == after.keys() and all(after[name] > before[name] for name in after)


def test_the_settings_of_the_run_are_those_of_its_shards(small_shop):
    """Also where they came from the command line, and took a size away."""
    config = ("--config", "sizes={thumb: null, tiny: {width: 5, height: 5}}", "output=out", "keep_extension=true")
    assert small_shop.run(*SHARDS, *config).code == 0
    assert small_shop.files("out") == {"tiny/a.jpg.jpg", "tiny/b.png.jpg", "tiny/sub/c.webp.jpg"}


def test_one_named_thumbnail_needs_no_shard(small_shop):
    run = small_shop.run("thumbnails/thumb/a.jpg", *SHARDS)
    assert run.code == 0 and run.jobs == {"a"} and shards_of(run) == 0


def first_process(shop, words: str, patience: float = 300) -> int:
    """The number of the first Python process to appear in the shop's folder whose command line holds `words`."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                program, *arguments = path.read_text(errors="replace").split("\0")
                here = os.path.samefile(path.parent / "cwd", shop.folder)
                if here and program == sys.executable and words in " ".join(arguments):
                    return int(path.parent.name)
        time.sleep(0.02)
    raise AssertionError(f"no process has {words!r} in its command line")


def test_a_shard_that_is_killed_is_made_again_by_a_retry(small_shop):
    done = {}
    thread = threading.Thread(target=lambda: done.update(run=small_shop.run(*SHARDS, "--retries", "1")))
    thread.start()
    inner = first_process(small_shop, f"shard_folder={RUNS}")
    os.kill(inner, signal.SIGKILL)
    thread.join()
    assert done["run"].code == 0
    assert shards_of(done["run"]) == 3
    assert done["run"].last_lines == ["thumbmill: 3 made, 0 up to date, 0 failed"]


def test_pictures_of_a_shard_that_died_are_listed(small_shop):
    done = {}
    thread = threading.Thread(target=lambda: done.update(run=small_shop.run("--set-resources", "shard:pictures=9")))
    thread.start()
    os.kill(first_process(small_shop, f"shard_folder={RUNS}"), signal.SIGKILL)
    thread.join()
    assert done["run"].code == 1
    assert len(small_shop.failures()) + len(small_shop.files()) == 3
    run = small_shop.run(*SHARDS)
    assert run.code == 0 and small_shop.failures() == {}


def test_after_the_submitter_is_killed_a_rerun_carries_on(small_shop):
    process = subprocess.Popen(
        small_shop.command(*SHARDS), cwd=small_shop.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first_process(small_shop, f"shard_folder={RUNS}")
    process.kill()
    process.wait()
    run = small_shop.run(*SHARDS, "--rerun-incomplete")
    assert run.code == 0, run.text
    assert not list((small_shop.folder / RUNS).glob("*/")), "the folder of the killed run is left"
    assert len(small_shop.files()) == 3
    assert left_out(small_shop) == {"a", "b", "sub/c"}


def begun(output: str = "out") -> tuple[Running, str]:
    """A run that has taken its lock, and the folder of its shard."""
    running = Running(output)
    running.run += f"-{time.monotonic_ns()}"  # all runs here are of one process
    running.take()
    folder = f"{RUNS}/{running.run}/0"
    os.makedirs(folder)
    return running, folder


def end(files: list) -> None:
    """What the end of a process does with its open files."""
    while files:
        files.pop().close()


def test_a_shard_of_an_earlier_run_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, folder = begun()
    end(begin_work(folder))
    end(first.held)
    other, other_folder = begun("another folder")
    second, _ = begun()
    with pytest.raises(RunningError, match=f"belongs to run {first.run}, and {second.run} has taken over"):
        begin_work(folder)
    end(begin_work(other_folder))
    for running in (other, second):
        end(running.held)


def test_a_run_waits_for_shards_that_still_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, folder = begun()
    working = begin_work(folder)
    end(first.held)
    second = []
    thread = threading.Thread(target=lambda: second.append(begun()))
    thread.start()
    while "waiting for shards" not in capsys.readouterr().err:
        assert thread.is_alive()
        time.sleep(0.01)
    assert not second
    end(working)
    thread.join()
    ((running, _),) = second
    with open_lock(shards_path(running.name)) as file:
        assert try_lock(file)
    end(running.held)


def test_a_second_attempt_waits_for_a_first_that_still_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    running, folder = begun()
    first, second = begin_work(folder), []
    thread = threading.Thread(target=lambda: second.extend(begin_work(folder)))
    thread.start()
    thread.join(0.3)
    assert not second
    end(first)
    thread.join()
    assert second
    end(running.held)


def test_what_shards_tell_is_added_up(tmp_path):
    first, second = Told(["a"], {"b": True}, {}), Told([], {}, {"c": "damaged"})
    tell(str(tmp_path / "0"), first)
    tell(str(tmp_path / "1"), second)
    (tmp_path / "2.json").write_text("{")
    paths = [str(tmp_path / f"{number}.json") for number in range(4)]
    assert read_told(paths) == Told(["a"], {"b": True}, {"c": "damaged"})
    assert json.loads((tmp_path / "0.json").read_text())
