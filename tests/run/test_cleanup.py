"""What killed runs, power cuts and idle jobs leave behind."""

import os
from pathlib import Path

import pytest

from tests.support.locks import working
from thumbmill.catalog.history_file import STATE_FOLDER
from thumbmill.catalog.store import open_store
from thumbmill.run.cleanup import SHARDS_FOLDER, remove_empty_thumbnails, remove_idle_logs, remove_leftovers
from thumbmill.run.lock import SHARED_LOCK, OutputLock, try_lock
from thumbmill.run.paths import STORAGE_COPIES, RunPaths

LEFTOVER = ".thumbmill-4711-0123456789abcdef"
PATHS = RunPaths()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leave(*folders: str) -> list[Path]:
    """Leave a temporary file in each of these folders."""
    files = [Path(folder, LEFTOVER) for folder in folders]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    return files


def test_temporary_files_are_removed_wherever_a_run_writes():
    files = leave("out", "out/thumb/sub", "logs", "logs/thumbnail/sub", "manifest", "gallery", STATE_FOLDER)
    others = leave("images", "manifest/sub", ".snakemake/metadata")
    with working("out") as lock:
        assert remove_leftovers(lock, open_store("out"), PATHS) == {"out/thumb", "out/thumb/sub"}
    assert [file for file in files if file.exists()] == []
    assert [file for file in others if not file.exists()] == [], "nobody writes thumbmill's files there"


def test_a_store_has_no_folders_but_copies_here():
    (copy,) = leave(f"{STORAGE_COPIES}/s3listed/shop")
    with working("s3://shop/out") as lock:
        assert remove_leftovers(lock, open_store("s3://shop/out"), PATHS) == set()
    assert not copy.exists()


def test_what_runs_share_is_cleaned_by_one_that_is_alone():
    """Another may be writing there."""
    (file,) = leave("logs")
    with working("out") as lock:
        with working("other"):
            remove_leftovers(lock, open_store("out"), PATHS)
            assert file.exists()
        remove_leftovers(lock, open_store("out"), PATHS)
        assert not file.exists()
        with open(SHARED_LOCK) as shared:
            assert not try_lock(shared), "it does not count as at work any more"


def test_shards_of_earlier_runs_for_the_same_output_are_removed():
    with working("out") as lock, working("other") as other:
        kept = [f"{SHARDS_FOLDER}/{each.run}/0" for each in (lock, other)]
        earlier = f"{SHARDS_FOLDER}/{lock.name}-20200101T000000-1/0"
        for path in (*kept, earlier):
            os.makedirs(path)
        remove_leftovers(lock, open_store("out"), PATHS)
        assert [path for path in (*kept, earlier) if os.path.exists(path)] == kept


def test_empty_thumbnails_are_removed_unless_another_run_works():
    """It may be about to write them."""
    for name, content in (("empty", b""), ("whole", b"x")):
        Path(name).write_bytes(content)
    paths = ["empty", "whole", "absent", "nul\0"]
    with working("out"):
        remove_empty_thumbnails(paths, OutputLock(open_store("out")))
        assert Path("empty").exists()
    with working("other") as lock:
        remove_empty_thumbnails(paths, lock)
    assert not Path("empty").exists()
    assert Path("whole").exists()


def test_no_lock_is_taken_for_nothing():
    lock = OutputLock(open_store("out"))
    remove_empty_thumbnails(["absent"], lock)
    assert not lock.is_held


def test_idle_logs_are_removed_and_nothing_else():
    for name, content in {
        "empty.log": "",
        "sub/empty.log": "",
        "speaks.log": "damaged",
        "deep/er/gone.log": "damaged",
        "notes.txt": "",
    }.items():
        path = Path("logs", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    remove_idle_logs("logs", {"empty", "sub/empty", "speaks"})
    assert sorted(str(path.relative_to("logs")) for path in Path("logs").rglob("*")) == ["notes.txt", "speaks.log"]
