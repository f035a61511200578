"""The last lines that a run prints."""

import os
from types import SimpleNamespace

import pytest

from tests.support.settings import settings
from thumbmill import failures
from thumbmill.catalog.history import History
from thumbmill.catalog.listing import Catalog
from thumbmill.catalog.picture import Picture
from thumbmill.catalog.recipe import ingredients
from thumbmill.failures import Failure, Kind
from thumbmill.run.paths import RunPaths
from thumbmill.run.summary import Summary, describe_effort, describe_space, forecast

DAMAGED = failures.damaged("truncated")
DISK_FULL = failures.not_written("thumbnails/thumb/x.jpg", OSError(28, "No space left on device"))


def lines(**values) -> list[str]:
    """Return the lines of a summary; by default of a run without jobs."""
    return Summary(**{"made": 0, "current": 0, "missing": {}, **values}).text(RunPaths()).splitlines()


@pytest.fixture
def history(tmp_path, monkeypatch) -> History:
    """Forty sources of 1.5 MB each, whose thumbnails have 2,000 bytes each."""
    monkeypatch.chdir(tmp_path)
    complete = settings()
    catalog = Catalog([Picture(f"{number}.jpg", 1_500_000, True) for number in range(40)], complete)
    os.makedirs("thumbnails/thumb")
    for wildcard in catalog:
        with open(f"thumbnails/thumb/{wildcard}.jpg", "wb") as file:
            file.write(bytes(2_000))
    return History(catalog, ingredients(complete))


def test_first_line_counts():
    assert lines(made=1_234, current=5) == ["thumbmill: 1,234 made, 5 up to date, 0 failed"]


def test_twenty_failures_are_shown_and_the_rest_is_counted():
    missing = {f"{number:02}.jpg": DAMAGED for number in range(23)} | {"x.jpg": failures.stopped()}
    text = lines(made=1_234, current=5, missing=missing)
    assert text[0] == "thumbmill: 1,234 made, 5 up to date, 23 failed, 1 not made because the run was stopped"
    assert text[1] == "  00.jpg: damaged: truncated"
    assert text[20] == "  19.jpg: damaged: truncated"
    assert text[21:] == ["  ... and 3 more", "  all of them, with their reasons: logs/failures.tsv"]


def test_every_part_has_its_place():
    text = lines(made=3, missing={"x.jpg": DAMAGED}, warned=2, effort="9 s", space="free some space")
    assert text == [
        "thumbmill: 3 made, 0 up to date, 1 failed",
        "  9 s",
        "  x.jpg: damaged: truncated",
        "  free some space",
        "  all of them, with their reasons: logs/failures.tsv",
        "  2 pictures made despite a problem: logs/warnings.tsv",
    ]
    assert lines(warned=1)[-1] == "  1 picture made despite a problem: logs/warnings.tsv"


def test_no_list_is_named_that_could_not_be_written():
    assert lines(missing={"x.jpg": DAMAGED}, lists_written=False)[1:] == ["  x.jpg: damaged: truncated"]


@pytest.mark.parametrize(
    ("made", "seconds", "expected"),
    [
        (40, 80.2, "1 min 20 s, 0.5 pictures/s, 60.0 MB in, 80.0 kB out"),
        (1, 0.01, "1 s, 100 pictures/s, 1.5 MB in, 2.0 kB out"),
        (1, 0, "1 s, 1,000 pictures/s, 1.5 MB in, 2.0 kB out"),
        (0, 5, ""),
    ],
)
def test_effort_is_that_of_what_was_made(history, made, seconds, expected):
    assert describe_effort(history.catalog, history, [str(number) for number in range(made)], seconds) == expected


def test_space_is_described_only_if_a_disk_is_full(history):
    assert describe_space(history.catalog, history, ["1"], {"x.jpg": DAMAGED}) == ""


def test_space_is_estimated_from_what_was_made(history, monkeypatch):
    """For each missing thumbnail 2,000 bytes and half a block, and a block for Snakemake's record of it."""
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_frsize=4096, f_bavail=7))
    missing = {f"{number}.jpg": DISK_FULL for number in range(100)}
    text = describe_space(history.catalog, history, ["1", "2"], missing)
    assert text == "free some space: the rest needs about 814 kB, and thumbnails has 28.7 kB free"
    assert "`snakemake --cores 1 plan`" in describe_space(history.catalog, history, [], missing)


def test_forecast_of_a_dry_run():
    reasons = {f"images/{number:02}.jpg": "has no thumbnail" for number in range(22)}
    text = forecast(reasons, 7).splitlines()
    assert text[0] == "thumbmill: 22 would be made, 7 up to date (dry run)"
    assert text[1] == "  images/00.jpg: has no thumbnail"
    assert text[21:] == ["  ... and 2 more, in the list of jobs that `snakemake -n` prints"]


def test_failure_of_a_full_disk_is_known_by_its_kind():
    assert DISK_FULL.kind == Kind.DISK_FULL
    assert Failure(Kind.DISK_FULL, "any text").log_line() == "error[disk-full]: any text"
