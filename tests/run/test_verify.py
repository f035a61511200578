"""Thumbnails whose source changed after it was read and before its job ended."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.pictures import plain
from tests.support.runs import make, open_history
from thumbmill.catalog.history import History
from thumbmill.run import verify
from thumbmill.run.snakemake_internals import Outcome
from thumbmill.run.verify import remove_outdated

SOURCE, THUMBNAIL = Path("images/a.png"), Path("thumbnails/thumb/a.jpg")
MADE, UNRECORDED = Outcome(["a"], [], {}, {}), Outcome([], ["a"], {}, {})
CURRENT = Outcome([], [], {"a": [str(THUMBNAIL)]}, {})
BEGAN, ENDED = 1_000_000_000.0, 1_000_000_010.0  # the job's times in Snakemake's records


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """A source of long ago and its thumbnail, made by a run that was killed before it wrote anything down."""
    monkeypatch.chdir(tmp_path)
    SOURCE.parent.mkdir()
    plain("red").save(SOURCE)
    os.utime(SOURCE, (BEGAN - 100,) * 2)
    known = open_history()
    make()
    for path in Path(".snakemake/thumbmill").glob("history-*"):
        path.unlink()
    return known


def outdated(history: History, outcome: Outcome, times: tuple[float, float] | None, monkeypatch) -> set[str]:
    """Return the pictures whose thumbnails are removed, for a job with these times in Snakemake's records."""
    monkeypatch.setattr(verify, "job_times", lambda workflow, path: times)
    found = remove_outdated(SimpleNamespace(), history, outcome)
    assert THUMBNAIL.exists() == ("a" not in found)
    return found


@pytest.mark.parametrize("outcome", [MADE, UNRECORDED])
def test_source_that_is_as_it_was_listed_is_current(history, monkeypatch, outcome):
    """Whatever Snakemake's records say."""
    assert outdated(history, outcome, None, monkeypatch) == set()


@pytest.mark.parametrize("outcome", [MADE, UNRECORDED])
def test_source_that_changed_since_its_job_began_is_outdated(history, monkeypatch, outcome):
    os.utime(SOURCE, (BEGAN + 1,) * 2)
    assert outdated(history, outcome, (BEGAN, ENDED), monkeypatch) == {"a"}


def test_source_that_was_replaced_by_an_older_one_is_outdated(history, monkeypatch):
    """Its date is old, but it was put there now."""
    other = SOURCE.with_name("other")
    plain("blue").save(other, "PNG")
    os.utime(other, (5, 5))
    other.replace(SOURCE)
    assert outdated(history, MADE, (time.time() - 60, time.time()), monkeypatch) == {"a"}


def test_source_that_changed_before_its_job_began_is_current(history, monkeypatch):
    """After it was listed, and then its job has read what is there now."""
    os.utime(SOURCE, (BEGAN - 50,) * 2)
    assert outdated(history, MADE, (time.time() + 1_000, ENDED), monkeypatch) == set()


def test_source_that_is_gone_is_not_judged(history, monkeypatch):
    """Its thumbnail is an orphan."""
    SOURCE.unlink()
    assert outdated(history, MADE, (BEGAN, ENDED), monkeypatch) == set()


@pytest.mark.parametrize(("date", "expected"), [(BEGAN + 1, {"a"}), (ENDED + 1, set()), (BEGAN - 1, set())])
def test_thumbnail_of_a_killed_run_is_judged_by_the_next(history, monkeypatch, date, expected):
    """What changed after that job had ended is newer than the thumbnail, which Snakemake sees itself."""
    os.utime(SOURCE, (date, date))
    assert outdated(open_history(), CURRENT, (BEGAN, ENDED), monkeypatch) == expected


def test_thumbnail_that_snakemake_did_not_make_is_left_alone(history, monkeypatch):
    os.utime(SOURCE, (BEGAN + 1,) * 2)
    assert outdated(open_history(), CURRENT, None, monkeypatch) == set()


def test_what_the_history_has_seen_is_not_judged_again(monkeypatch):
    make()
    known = open_history()
    assert known.has_seen("a")
    assert outdated(known, CURRENT, (0, time.time()), monkeypatch) == set()


@pytest.mark.parametrize("config", [{"source": "s3://shop/in"}, {"output": "s3://shop/out"}])
def test_object_storage_is_not_judged(config, monkeypatch):
    layout = SimpleNamespace(
        source=SimpleNamespace(is_remote="source" in config), output=SimpleNamespace(is_remote="output" in config)
    )
    known = SimpleNamespace(catalog=SimpleNamespace(layout=layout))
    assert outdated(known, MADE, (BEGAN, ENDED), monkeypatch) == set()
