"""Two runs at once, and what a killed run leaves: nothing is broken, and nothing is to be done by hand."""

import contextlib
import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from scripts.history import FOLDER
from scripts.running import ALL, Running, RunningError, lock_path, needs_lock_at_once, remove_strays, try_lock
from scripts.shards import Told, tell
from tests.conftest import WarmShop
from tests.test_leaving_out import history
from tests.trials.kills import KINDS, run_trial, table

STRAY = ".thumbmill-4711-0123456789abcdef"


@contextlib.contextmanager
def working(output="thumbnails", folder="."):
    """A run that works on `output` in the working directory `folder`."""
    with contextlib.chdir(folder):
        running = Running(output)
        running.take()
    try:
        yield running
    finally:
        for file in running.held:
            file.close()


@pytest.fixture
def made_shop(tmp_path, warm_snakemake):
    """A shop with two pictures, made, and a third that is no picture; then one of them is deleted."""
    shop = WarmShop(tmp_path, warm_snakemake)
    for name in ("a.png", "sub/b.png"):
        shop.picture(name)
    (shop.folder / "images/bad.jpg").write_text("no picture")
    assert shop.run().code == 1
    (shop.folder / "images/bad.jpg").unlink()
    assert shop.run().code == 0
    return shop


def state(shop) -> dict[str, tuple]:
    """All files of the shop that are the user's or thumbmill's own, with dates, sizes and inodes."""
    found = {}
    for folder in ("thumbnails", "logs", "manifest", FOLDER):
        for name in shop.files(folder):
            path = shop.folder / folder / name
            status = path.lstat()
            # Locks, and by what Snakemake judges whether a manifest is to be written: noted while the DAG is built.
            if path.suffix != ".lock" and not name.startswith(("manifest-", "gallery-")):
                found[str(path)] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The lock


def test_a_second_run_is_refused_and_told_who_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    second = Running("out")
    assert not list(tmp_path.iterdir()), "to look has made files"
    with working("out"):
        with pytest.raises(RunningError, match=rf"process {os.getpid()} on {socket.gethostname()}, since 2\d\d\d-"):
            second.take()
        assert second.refused and not second.held
        with pytest.raises(RunningError, match="is making thumbnails in out"):
            Running("out").take()
    with working("out"):
        pass


@pytest.mark.parametrize("moment", ["while it works", "before it began"])
def test_what_has_been_made_since_a_run_looked_is_not_made_twice(tmp_path, monkeypatch, moment):
    monkeypatch.chdir(tmp_path)
    second = Running("out")
    with working("out"):
        if moment == "while it works":
            second = Running("out")
    with pytest.raises(RunningError, match="has made thumbnails in out while this run looked"):
        second.take()
    with working("out"):
        pass


def test_the_lock_is_that_of_the_folder_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("out")
    os.symlink("out", "link")
    with working("out"), working("other"), working("s3://bucket/out"):
        for name in ("./out", "link", str(tmp_path / "out"), "s3://bucket/out"):
            with pytest.raises(RunningError):
                Running(name).take()


def test_no_child_keeps_the_lock(tmp_path, monkeypatch):
    """Also one that inherits all that can be inherited."""
    monkeypatch.chdir(tmp_path)
    with working("out") as running:
        assert len(running.held) == 2
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with working("out"):
            pass
        with open(ALL) as file:
            assert try_lock(file)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_lock_file_cut_short(tmp_path, monkeypatch, text):
    """By a power cut, or read while it is written."""
    monkeypatch.chdir(tmp_path)
    with working("out") as running:
        Path(lock_path(running.name)).write_text(text)
        with pytest.raises(RunningError, match=r"^another run is making"):
            Running("out").take()
    with working("out"):
        pass


def test_a_folder_that_cannot_be_locked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    running = Running("out")
    os.makedirs(lock_path(running.name))
    with pytest.raises(RunningError, match=r"cannot be locked \(Is a directory\)"):
        running.take()


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ("--cores all", False),
        ("--delete-all-output -c1", True),
        ("--delete-al", True),
        ("--delete-all-output -np", False),
        ("--delete-all-output --dry-run", False),
        ("--delete-temp-output", False),
        ("--no-hooks", True),
        ("--nolock", False),
        ("--no-hooks --target-jobs thumbnail:picture=a", False),
    ],
)
def test_what_changes_files_without_a_hook(arguments, needed):
    assert needs_lock_at_once(arguments.split()) is needed


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("thumbnails/thumb/a.jpg",),
        ("retry",),
        ("manifest",),
        ("gallery",),
        ("remove_orphans",),
        ("--touch", "--forceall"),
        ("--delete-all-output",),
        ("--no-hooks",),
        ("--set-resources", "shard:pictures=1"),
        ("--executor", "local"),
    ],
    ids=" ".join,
)
def test_what_writes_is_refused_beside_a_run(made_shop, arguments):
    made_shop.thumbnail("a.jpg").unlink()
    (made_shop.folder / "logs/failures.tsv").write_text("source\treason\nimages/a.png\tnot made\n")
    before = state(made_shop)
    with working(folder=made_shop.folder):
        run = made_shop.run(*arguments)
    assert run.code == 1
    assert run.text.rstrip().splitlines()[-1].startswith("thumbmill: another run (process ")
    assert "Traceback" not in run.text
    assert state(made_shop) == before
    assert made_shop.run().code == 0
    assert made_shop.files() == {"thumb/a.jpg", "thumb/sub/b.jpg"}


@pytest.mark.parametrize("arguments", [("-n",), ("plan",), ("orphans",), ("--summary",)], ids=" ".join)
def test_what_only_looks_may_do_so_beside_a_run(made_shop, arguments):
    made_shop.thumbnail("a.jpg").unlink()
    with working(folder=made_shop.folder):
        assert made_shop.run(*arguments).code == 0


def test_a_run_with_nothing_to_do_ends_well_beside_another_and_writes_nothing(made_shop):
    stray = made_shop.thumbnail(STRAY)
    stray.touch()  # as the other has just made it
    (made_shop.folder / "logs/failures.tsv").write_text("source\treason\nimages/a.png\tas the other has just written\n")
    before = state(made_shop)
    with working(folder=made_shop.folder):
        run = made_shop.run()
    assert (run.code, run.last_lines) == (0, ["thumbmill: 0 made, 2 up to date, 0 failed"])
    assert state(made_shop) == before


def test_two_runs_of_two_output_folders(made_shop):
    with working("elsewhere", made_shop.folder):
        made_shop.picture("c.png")
        assert made_shop.run().code == 0
    assert "thumb/c.jpg" in made_shop.files()


def test_two_runs_started_together(shop):
    """One makes all; the other is refused, or finds nothing to do."""
    names = [f"{number:02}" for number in range(40)]
    for name in names:
        shop.picture(f"{name}.png", size=(300, 300))
    runs = [
        subprocess.Popen(shop.command(), cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    texts = [run.communicate()[0] for run in runs]
    assert 0 in [run.returncode for run in runs]
    for run, text in zip(runs, texts, strict=True):
        assert run.returncode == 0 or "thumbmill: another run" in text
    assert sum(len(re.findall(r"^ +wildcards: picture=", text, re.MULTILINE)) for text in texts) == 40
    assert shop.files() == {f"thumb/{name}.jpg" for name in names}
    assert shop.failures() == {}


# ---------------------------------------------------------------------------------------------------------------------
# What a killed run leaves

PLACES = ("thumbnails", "thumbnails/thumb/sub", "logs", "logs/thumbnail/sub", "manifest", "gallery", FOLDER)


@pytest.mark.parametrize("to_do", [True, False])
def test_the_next_run_removes_temporary_files(made_shop, to_do):
    for place in PLACES:
        (made_shop.folder / place).mkdir(parents=True, exist_ok=True)
        (made_shop.folder / place / STRAY).write_text("half")
    assert made_shop.run("-n").code == 0
    assert sum(path.endswith(STRAY) for path in state(made_shop)) == len(PLACES) - 1  # state() leaves out the gallery
    if to_do:
        made_shop.picture("c.png")
    assert made_shop.run().code == 0
    assert [*made_shop.folder.rglob(".thumbmill-*")] == []


def test_only_plain_files_of_exactly_that_name_are_removed(tmp_path):
    top, beyond = tmp_path / "out", tmp_path / "beyond"
    (top / "sub").mkdir(parents=True)
    beyond.mkdir()
    others = [".thumbmill-", ".thumbmill-1-abc", f"x{STRAY}", f"{STRAY}.jpg", ".thumbmill-x-0123456789abcdef"]
    for path in (top / STRAY, top / "sub" / STRAY, beyond / STRAY, *(top / name for name in others)):
        path.write_text("half")
    (top / "link").symlink_to(beyond)
    (top / ".thumbmill-1-0123456789abcdef").symlink_to(beyond / STRAY)
    (top / ".thumbmill-2-0123456789abcdef").mkdir()
    assert remove_strays(str(top)) >= {str(top / "sub")}
    left = {os.path.relpath(os.path.join(path, file), top) for path, _, files in os.walk(top) for file in files}
    assert left == {*others, ".thumbmill-1-0123456789abcdef"}
    assert (top / ".thumbmill-2-0123456789abcdef").is_dir()
    assert (beyond / STRAY).exists()
    assert remove_strays(str(tmp_path / "absent")) == set()


def test_what_runs_share_is_swept_by_one_that_is_alone(tmp_path, monkeypatch):
    """Another may be writing there."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("logs")
    stray = Path("logs", STRAY)
    stray.touch()
    with working("out") as running:
        with working("other"):
            running.sweep()
            assert stray.exists()
        running.sweep()
        assert not stray.exists()
        with open(ALL) as file:
            assert not try_lock(file), "it does not count as at work any more"


@pytest.mark.parametrize("left", [0, 10])
def test_records_that_are_cut_short(made_shop, left):
    """Snakemake's own and thumbmill's, after a power cut: what is there is judged by its date."""
    records = [path for path in (made_shop.folder / ".snakemake/metadata").rglob("*") if path.is_file()]
    history = [*made_shop.folder.glob(f"{FOLDER}/history-*.json")]
    assert len(records) >= 2 and len(history) == 1
    for path in (*records, *history):
        os.truncate(path, left)
    made_shop.picture("a.png", "blue", (80, 50))
    run = made_shop.run()
    assert run.code == 0
    assert "Traceback" not in run.text
    assert run.jobs >= {"a"}
    assert json.loads(history[0].read_text())
    assert made_shop.run().jobs == set()


def test_a_thumbnail_that_a_power_cut_has_left_empty_is_made_again(made_shop):
    """Its name was on the disk, its content was not, and the history not yet written."""
    for path in made_shop.folder.glob(f"{FOLDER}/history-*.json"):
        path.unlink()
    os.truncate(made_shop.thumbnail("a.jpg"), 0)
    before = state(made_shop)
    assert made_shop.run("-n").code == 0
    with working(folder=made_shop.folder):
        assert made_shop.run().code == 0
    assert state(made_shop) == before
    run = made_shop.run()
    assert (run.code, run.jobs) == (0, {"a"})
    assert made_shop.thumbnail("a.jpg").stat().st_size > 0


def test_what_is_written_down_as_made_is_on_the_disk(made_shop, monkeypatch):
    """The history, and what a shard tells, are written after a sync; a run that made nothing has none."""
    monkeypatch.chdir(made_shop.folder)
    done = []
    monkeypatch.setattr(os, "sync", lambda: done.append("sync"))
    monkeypatch.setattr("scripts.history.write_history", lambda *_: done.append("history"))
    monkeypatch.setattr("scripts.shards.write_whole", lambda *_: done.append("told"))
    made_shop.picture("a.png", "blue", (80, 50))
    known = history(made_shop)
    known.update(["a"], {}, 1.0)
    tell("0", Told(["a"], {}, {}))
    assert done == ["sync", "history", "sync", "told"]
    known.update([], {"a": True}, 1.0)
    tell("0", Told([], {"a": True}, {}))
    assert done[4:] == ["history", "told"]


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    rounds = run_trial(work, kills=len(KINDS), pictures=40, seed=7)
    assert [each.kind for each in rounds] == [*KINDS]
    assert "".join(each.text for each in rounds) == "", table(rounds)
