"""What a run and its shards pass to each other, in files."""

import json
import os
from pathlib import Path

import pytest

from tests.support.pictures import plain
from tests.support.runs import make, open_history
from thumbmill import failures
from thumbmill.catalog.history_file import read_history
from thumbmill.errors import ShardError
from thumbmill.run.cleanup import SHARDS_FOLDER
from thumbmill.run.shards import (
    ALL_ENDED,
    ShardResult,
    Shards,
    check_all_made,
    read_results,
    read_shard,
    serves_shards_only,
    shard_command,
    write_result,
)

NAMES = ("a.png", "b.png", "sub/c.png", "sub/d.png", "{e}.png")
RUN = "0123-20260101T000000-1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with five sources."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        plain("red", size=(6, 4)).save(path)
    return tmp_path


def divide(largest: int, arguments: str = "") -> Shards:
    """Return the shards of a run that makes everything."""
    history = open_history()
    shards = Shards(history.catalog, history)
    assert shards.divide(RUN, history.catalog, largest, arguments) == [ALL_ENDED.format(run=RUN)]
    return shards


@pytest.mark.parametrize(("largest", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (4, [3, 2]), (5, [5])])
def test_pictures_are_divided_evenly_among_as_few_shards_as_possible(largest, sizes):
    shards = divide(largest)
    shards.write()
    shares = [read_shard(os.path.splitext(result)[0])[1] for result in shards.results()]
    assert [len(pictures) for pictures in shares] == sizes
    assert [picture.name for pictures in shares for picture in pictures] == sorted(NAMES), "neighbours stay together"


def test_a_shard_knows_settings_pictures_and_what_earlier_runs_made_of_them():
    """And no more than that: each of many shards would read the history of everything."""
    make()
    shards = divide(2, "--forceall")
    shards.write()
    folder = os.path.splitext(shards.results()[0])[0]
    history = open_history()
    settings, pictures = read_shard(folder)
    assert settings == history.settings
    assert pictures == [history.catalog["a"], history.catalog["b"]]
    saved = read_history(f"{folder}/history.json", history.layout)
    assert saved.pictures == {name: history.saved.pictures[name] for name in ("a.png", "b.png")}
    assert (saved.folders, saved.orphans) == ([], {})
    assert Path(folder, "arguments").read_text() == "--forceall"


def test_a_shard_sees_its_pictures_as_they_are_when_it_begins():
    shards = divide(5)
    shards.write()
    Path("images/a.png").write_bytes(b"another")
    os.unlink("images/b.png")
    _, (first, second, *_) = read_shard(os.path.splitext(shards.results()[0])[0])
    assert (first.bytes, first.readable) == (7, True)
    assert not second.readable


def test_results_are_added_up():
    """One file is missing, and one is cut short."""
    first = ShardResult(["a"], {"b": True}, {})
    second = ShardResult([], {}, {"c": failures.damaged("truncated")})
    write_result("0", first)
    write_result("1", second)
    Path("2.json").write_text("{")
    paths = [f"{number}.json" for number in range(4)]
    assert read_results(paths) == ShardResult(first.made, first.current, second.missing)
    check_all_made(paths[:1])
    with pytest.raises(ShardError, match="1 pictures have no thumbnail"):
        check_all_made(paths)


def test_what_a_shard_made_is_on_the_disk_when_it_reports_it(monkeypatch):
    """The submitting run may be on another machine; a shard that made nothing need not wait for the disk."""
    done = []
    monkeypatch.setattr(os, "sync", lambda: done.append("sync"))
    monkeypatch.setattr("thumbmill.run.shards.write_atomically", lambda *_: done.append("result"))
    write_result("0", ShardResult(["a"], {}, {}))
    write_result("0", ShardResult([], {"a": True}, {}))
    assert done == ["sync", "result", "result"]


def test_what_a_killed_shard_has_made_counts():
    """If it is newer than the run."""
    shards = divide(5)
    make()
    old = Path("thumbnails/thumb/b.jpg")
    os.utime(old, (10, 10))
    made = shards.made_unreported(ShardResult(["a"], {}, {}), start=old.stat().st_mtime + 1)
    assert sorted(made) == ["%7Be%7D", "sub/c", "sub/d"]


def test_what_a_run_needed_for_its_shards_is_removed():
    """Except the logs of those that did not report."""
    shards = divide(3)
    shards.write()
    os.makedirs("logs/shards")
    for number in range(2):
        Path(f"logs/shards/{RUN}-{number}.log").touch()
    write_result(os.path.splitext(shards.results()[0])[0], ShardResult.empty())
    shards.remove()
    assert not os.path.exists(f"{SHARDS_FOLDER}/{RUN}")
    assert os.listdir("logs/shards") == [f"{RUN}-1.log"]


def test_process_of_a_single_job_finds_the_results_of_its_run():
    """It has divided nothing itself."""
    shards = divide(2)
    shards.write()
    history = open_history()
    other = Shards(history.catalog, history)
    assert sorted(other.results_of(RUN)) == shards.results()


def test_shards_are_run_without_the_users_profile_and_without_snakemakes_locks(tmp_path):
    words = shard_command("/code/Snake file", "/code").split(" -m snakemake ")[1]
    assert words == "--snakefile '/code/Snake file' --workflow-profile /code/profiles/default --profile none --nolock"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--target-jobs", "shard:run=a,number=1"], True),
        (["--target-jobs", "shards_ended:run=a"], True),
        (["--target-jobs", "thumbnail:picture=shard:1"], False),
        (["shard"], False),
        ([], False),
    ],
)
def test_processes_that_need_not_list_the_catalogue(arguments, expected):
    assert serves_shards_only(arguments) is expected


def test_result_is_plain_json():
    write_result("0", ShardResult(["a"], {}, {}))
    assert json.loads(Path("0.json").read_text()) == [["a"], {}, {}]
