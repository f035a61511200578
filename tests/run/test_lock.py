"""One run at a time for an output folder, and shards that know whose they are."""

import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from tests.support.locks import release, working
from thumbmill.catalog.history_file import STATE_FOLDER
from thumbmill.catalog.store import open_store
from thumbmill.errors import LockError
from thumbmill.run.cleanup import SHARDS_FOLDER
from thumbmill.run.lock import (
    SHARED_LOCK,
    OutputLock,
    join_run,
    lock_path,
    needs_lock_at_once,
    open_lock,
    shards_lock_path,
    try_lock,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def look(output: str = "out") -> OutputLock:
    """Return the lock of an output folder, as a run that begins sees it."""
    return OutputLock(open_store(output))


def test_a_second_run_is_refused_and_learns_who_works(folder):
    second = look()
    assert not list(folder.iterdir()), "looking has made files"
    with working("out"):
        with pytest.raises(LockError, match=rf"process {os.getpid()} on {socket.gethostname()}, since 2\d\d\d-"):
            second.acquire()
        assert second.refused and not second.is_held
        with pytest.raises(LockError, match="is making thumbnails in out: nothing was changed"):
            look().acquire()
    with working("out") as lock:
        assert lock.is_held


def test_one_that_only_tries_is_not_refused():
    """It has nothing to do, and so need not say why it could not."""
    with working("out"):
        second = look()
        assert not second.try_acquire()
        assert not second.refused
    third = look()
    assert third.try_acquire()
    release(third)


@pytest.mark.parametrize("moment", ["while it works", "before it began"])
def test_what_was_made_since_a_run_looked_is_not_made_twice(moment):
    second = look()
    with working("out"):
        if moment == "while it works":
            second = look()
    with pytest.raises(LockError, match="made thumbnails in out while this run was looking for what to make"):
        second.acquire()
    with working("out"):
        pass


def test_the_lock_is_that_of_the_folder_whatever_its_name(tmp_path):
    os.mkdir("out")
    os.symlink("out", "link")
    with working("out"), working("other"), working("s3://bucket/out"):
        for name in ("./out", "link", str(tmp_path / "out"), "s3://bucket/out"):
            with pytest.raises(LockError):
                look(name).acquire()


def test_no_child_keeps_the_lock():
    """Not even one that inherits whatever can be inherited."""
    with working("out"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with working("out"):
            pass
        with open(SHARED_LOCK) as file:
            assert try_lock(file)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_lock_file_that_is_cut_short(text):
    """By a power cut, or because it is read while it is being written."""
    with working("out") as lock:
        Path(lock_path(lock.name)).write_text(text)
        with pytest.raises(LockError, match=r"^another run is making"):
            look().acquire()
    with working("out"):
        pass


def test_a_file_that_cannot_be_locked():
    lock = look()
    os.makedirs(lock_path(lock.name))
    with pytest.raises(LockError, match=r"cannot be locked \(Is a directory\)"):
        lock.acquire()
    assert lock.refused


def test_one_that_is_not_alone_knows_it():
    with working("out") as lock:
        with working("other"):
            assert not lock.is_alone()
        assert lock.is_alone()
        lock.share()
        with open(SHARED_LOCK) as file:
            assert not try_lock(file), "it does not count as at work any more"


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


# Shards


def begin(output: str = "out") -> tuple[OutputLock, str]:
    """Return the lock of a run that has begun, and the folder of its shard."""
    lock = look(output)
    lock.run += f"-{time.monotonic_ns()}"  # all runs here are of one process
    lock.acquire()
    folder = f"{SHARDS_FOLDER}/{lock.run}/0"
    os.makedirs(folder)
    return lock, folder


def end(files: list[IO[str]]) -> None:
    """Do what the end of a process does with its open files."""
    while files:
        files.pop().close()


def test_a_shard_of_an_earlier_run_makes_nothing():
    first, folder = begin()
    end(join_run(folder))
    release(first)
    other, other_folder = begin("another folder")
    second, _ = begin()
    with pytest.raises(LockError, match=f"belongs to run {first.run}, and {second.run} has taken over"):
        join_run(folder)
    end(join_run(other_folder))
    Path(lock_path(second.name)).write_text("{")
    with pytest.raises(LockError, match="and another has taken over"):
        join_run(folder)
    for lock in (other, second):
        release(lock)


def test_a_run_waits_for_shards_that_still_work(capsys):
    first, folder = begin()
    work = join_run(folder)
    release(first)
    second = []
    thread = threading.Thread(target=lambda: second.append(begin()))
    thread.start()
    while "waiting for shards" not in capsys.readouterr().err:
        assert thread.is_alive()
        time.sleep(0.01)
    assert not second
    end(work)
    thread.join()
    ((lock, _),) = second
    with open_lock(shards_lock_path(lock.name)) as file:
        assert try_lock(file)
    release(lock)


def test_a_second_attempt_waits_for_a_first_that_still_works():
    lock, folder = begin()
    first, second = join_run(folder), []
    thread = threading.Thread(target=lambda: second.extend(join_run(folder)))
    thread.start()
    thread.join(0.3)
    assert not second
    end(first)
    thread.join()
    assert second
    end(second)
    release(lock)


def test_locks_are_below_the_state_folder(folder):
    """And nowhere else: the output folder holds thumbnails only."""
    with working("out"):
        assert {path.name for path in folder.iterdir()} == {STATE_FOLDER.split("/")[0]}
