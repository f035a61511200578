"""A catalogue made by shards: Snakemake runs of their own, which together make what one run makes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.runs import open_history
from tests.support.shop import Run, Shop
from thumbmill.run.cleanup import SHARDS_FOLDER

SHARDS = ("--set-resources", "shard:pictures=2")


def submitted(run: Run) -> int:
    """Return how many shards a run submitted."""
    return len(re.findall(r"^(?:local)?rule shard:$", run.text, re.MULTILINE))


def current(shop: Shop) -> set[str]:
    """Return the pictures that the next run could skip."""
    with contextlib.chdir(shop.folder):
        return set(open_history().unchanged())


@pytest.mark.slow
def test_a_catalogue_in_shards_from_the_first_run_to_the_daily_case(warm_shop):
    shop = warm_shop
    for name in ("a.jpg", "b.png", "sub/c.webp", "{odd}\n.jpg"):
        shop.picture(name)
    (shop.folder / "images/bad.jpg").write_text("no picture")
    run = shop.run(*SHARDS)
    assert (run.code, submitted(run)) == (1, 3), run.text
    assert run.last_lines[0] == "thumbmill: 4 made, 0 up to date, 1 failed"
    assert run.last_lines[1].startswith("  images/bad.jpg: unsupported image format")
    assert shop.failure_kinds() == {"images/bad.jpg": "unsupported"}
    assert shop.files() == {f"thumb/{name}.jpg" for name in ("a", "b", "sub/c", "%7Bodd%7D%0A")}
    assert len(current(shop)) == 4
    assert not list((shop.folder / SHARDS_FOLDER).glob("*/")), "the run's folder is left"
    assert not list((shop.folder / "logs/shards").iterdir())

    shop.picture("bad.jpg")
    shop.picture("a.jpg", "yellow", (61, 40))
    run = shop.run(*SHARDS)
    assert (run.code, submitted(run)) == (0, 1), "only what has to be made is submitted"
    assert run.last_lines == ["thumbmill: 2 made, 3 up to date, 0 failed"]
    assert shop.failures() == {}

    run = shop.run(*SHARDS)
    assert (run.code, submitted(run)) == (0, 0)
    assert "Nothing to be done" in run.text
    assert run.last_lines == ["thumbmill: 0 made, 5 up to date, 0 failed"]


def test_a_dry_run_counts_and_writes_nothing(warm_shop):
    warm_shop.picture("a.jpg")
    run = warm_shop.run(*SHARDS, "-n")
    assert run.code == 0
    assert run.last_lines[0] == "thumbmill: 1 would be made, 0 up to date (dry run)"
    assert not (warm_shop.folder / SHARDS_FOLDER).exists()


def test_one_named_thumbnail_needs_no_shard(warm_shop):
    warm_shop.picture("a.jpg")
    run = warm_shop.run("thumbnails/thumb/a.jpg", *SHARDS)
    assert (run.code, run.jobs, submitted(run)) == (0, {"a"}, 0)


@pytest.mark.slow
def test_retry_makes_a_shard_of_the_failures(made_shop):
    (made_shop.folder / "images/bad.jpg").write_text("no picture")
    made_shop.run()
    made_shop.picture("new.jpg")
    run = made_shop.run("retry", *SHARDS)
    assert (run.code, submitted(run)) == (1, 1)
    assert run.last_lines[0] == "thumbmill: 0 made, 0 up to date, 1 failed"
    assert not made_shop.thumbnail("new.jpg").exists()


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("--forceall",), ("--forcerun", "thumbnail")])
def test_what_is_forced_is_made_in_shards_too(made_shop, flags):
    before = {name: os.stat(made_shop.folder / "thumbnails" / name).st_mtime_ns for name in made_shop.files()}
    run = made_shop.run(*SHARDS, *flags)
    assert (run.code, submitted(run)) == (0, 2)
    assert run.last_lines == ["thumbmill: 3 made, 0 up to date, 0 failed"]
    after = {name: os.stat(made_shop.folder / "thumbnails" / name).st_mtime_ns for name in made_shop.files()}
    assert before.keys() == after.keys() and all(after[name] > before[name] for name in after)


@pytest.mark.slow
def test_the_settings_of_the_run_are_those_of_its_shards(small_shop):
    """Even if they come from the command line, and remove a size."""
    config = ("--config", "sizes={thumb: null, tiny: {width: 5, height: 5}}", "output=out", "keep_extension=true")
    assert small_shop.run(*SHARDS, *config).code == 0
    assert small_shop.files("out") == {"tiny/a.jpg.jpg", "tiny/b.png.jpg", "tiny/sub/c.webp.jpg"}


# Killed shards and killed submitters


def first_process(shop: Shop, words: str, patience: float = 300) -> int:
    """Return the id of the first Python process to appear in the shop's folder whose command line holds `words`."""
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


def disturbed_run(shop: Shop, disturb: Callable[[], None], *arguments: str) -> Run:
    """Run Snakemake while `disturb` does something."""
    done: list[Run] = []
    thread = threading.Thread(target=lambda: done.append(shop.run(*arguments)))
    thread.start()
    disturb()
    thread.join()
    return done[0]


def kill_a_shard(shop: Shop) -> Callable[[], None]:
    """Return what kills the first shard as soon as it has begun."""
    return lambda: os.kill(first_process(shop, f"shard_folder={SHARDS_FOLDER}"), signal.SIGKILL)


@pytest.mark.slow
def test_a_shard_that_is_killed_is_made_by_a_retry(small_shop):
    run = disturbed_run(small_shop, kill_a_shard(small_shop), *SHARDS, "--retries", "1")
    assert (run.code, submitted(run)) == (0, 3)
    assert run.last_lines == ["thumbmill: 3 made, 0 up to date, 0 failed"]


@pytest.mark.slow
def test_pictures_of_a_shard_that_died_are_listed(small_shop):
    run = disturbed_run(small_shop, kill_a_shard(small_shop), "--set-resources", "shard:pictures=9")
    assert run.code == 1
    assert len(small_shop.failures()) + len(small_shop.files()) == 3
    assert set(small_shop.failure_kinds().values()) <= {"shard-died"}
    assert small_shop.run(*SHARDS).code == 0
    assert small_shop.failures() == {}


@pytest.mark.slow
def test_after_the_submitter_is_killed_a_rerun_carries_on(small_shop):
    process = subprocess.Popen(
        small_shop.command(*SHARDS), cwd=small_shop.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first_process(small_shop, f"shard_folder={SHARDS_FOLDER}")
    process.kill()
    process.wait()
    run = small_shop.run(*SHARDS, "--rerun-incomplete")
    assert run.code == 0, run.text
    assert not list((small_shop.folder / SHARDS_FOLDER).glob("*/")), "the killed run's folder is left"
    assert len(small_shop.files()) == 3
    assert current(small_shop) == {"a", "b", "sub/c"}
