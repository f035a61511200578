"""The plan: what it counts, and what that comes to. tests/workflow/test_targets.py compares it with Snakemake's."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests.support.runs import make, open_history
from tests.support.settings import settings
from thumbmill.catalog.history import RunResult
from thumbmill.catalog.listing import Catalog
from thumbmill.catalog.picture import Picture
from thumbmill.reports.plan import Cost, cost, estimate, make_plan, print_plan
from thumbmill.run.failures import read_failures
from thumbmill.run.paths import RunPaths

LONG_AGO = 946_684_800  # 1 January 2000, seconds since the epoch
PICTURES = ("a.png", "b.png", "sub/c.png", "{x}.png")
PATHS = RunPaths()


@pytest.fixture(autouse=True)
def five_pictures(folder: Path) -> None:
    """Four pictures, one of them with a name that Snakemake cannot write, and a broken one, after a run."""
    for name in PICTURES:
        draw(name)
    Path("images/bad.png").write_text("no picture")
    assert len(make()) == 4


def draw(name: str, colour: str = "red", size: tuple[int, int] = (60, 40)) -> Path:
    """Draw a source."""
    path = Path("images", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def plan(**config: Any) -> dict[str, set[str]]:
    """Return the plan: field -> names of the pictures that belong there."""
    history = open_history(**config)
    fields = make_plan(history, read_failures(PATHS.failures))._asdict()
    found = {field: {history.catalog[each].name for each in wildcards} for field, wildcards in fields.items()}
    assert sum(map(len, found.values())) == len(history.catalog)
    return {field: names for field, names in found.items() if names}


# What the next run would make


def a_new_one() -> dict[str, set[str]]:
    draw("new.png")
    return {"new": {"new.png"}}


def older_ones_in_their_places() -> dict[str, set[str]]:
    for name in ("a.png", "{x}.png"):
        os.utime(draw(name, "blue", (100, 90)), (LONG_AGO, LONG_AGO))
    return {"changed": {"a.png", "{x}.png"}}


def a_lost_thumbnail() -> dict[str, set[str]]:
    os.unlink("thumbnails/thumb/a.jpg")
    return {"changed": {"a.png"}}


def another_extension() -> dict[str, set[str]]:
    os.rename("images/a.png", "images/a.bmp")
    return {"changed": {"a.bmp"}}


def touched_ones() -> dict[str, set[str]]:
    """One that Snakemake cannot compare, since it is no input of its job."""
    os.utime("images/a.png")
    os.utime("images/{x}.png")
    return {"touched": {"a.png"}, "changed": {"{x}.png"}}


def a_large_one_that_is_touched() -> dict[str, set[str]]:
    """Snakemake compares only small files."""
    path = draw("large.png")
    with path.open("ab") as file:
        file.write(bytes(1_000_000))
    make()
    os.utime(path)
    return {"changed": {"large.png"}}


def an_unreadable_one() -> dict[str, set[str]]:
    os.chmod("images/a.png", 0)
    return {"changed": {"a.png"}}


@pytest.mark.parametrize(
    "change",
    [
        dict,
        a_new_one,
        older_ones_in_their_places,
        a_lost_thumbnail,
        another_extension,
        touched_ones,
        a_large_one_that_is_touched,
        an_unreadable_one,
    ],
)
def test_what_changed_is_planned(monkeypatch, change: Callable[[], dict[str, set[str]]]):
    # The superuser may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(os.stat(path).st_mode & 0o400))
    expected = {"failed": {"bad.png"}} | change()
    found = plan()
    found.pop("current", None)
    assert found == expected


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        ({"quality": {"jpeg": 20}}, {*PICTURES}),
        ({"sizes": {"thumb": {"width": 256, "height": 256}, "more": {"width": 9, "height": 9}}}, {*PICTURES}),
        ({"background": "black"}, set()),  # none of them shows it
        ({"max_pixels": 100_000_000}, set()),
    ],
)
def test_pictures_that_a_setting_affects_are_planned(config, changed):
    assert plan(**config).get("changed", set()) == changed


def test_pictures_of_another_source_folder_are_planned():
    """Snakemake compares the paths of inputs; failures are listed by their paths."""
    os.rename("images", "photos")
    assert plan(source="photos") == {"changed": {*PICTURES}, "new": {"bad.png"}}


def test_a_picture_that_was_not_made_because_the_run_was_stopped_is_new():
    draw("new.png")
    Path(PATHS.failures).write_text("source\treason\tkind\nimages/new.png\tnot made\tstopped\n")
    assert plan()["new"] == {"new.png", "bad.png"}


def test_thumbnails_that_thumbmill_does_not_know_are_judged_by_their_dates():
    """They are there, and there is no history."""
    for path in Path(".snakemake/thumbmill").glob("history-*"):
        path.unlink()
    os.utime("thumbnails/thumb/a.jpg", (LONG_AGO, LONG_AGO))
    assert plan() == {"changed": {"a.png"}, "current": {*PICTURES} - {"a.png"}, "failed": {"bad.png"}}


# What that comes to


@pytest.mark.parametrize(
    ("runs", "pictures", "seconds", "run_size"),
    [
        ({"1": [4, 2.0]}, 4, 0.5, 4),
        ({"1": [4, 2.0]}, 41, 0.5, 4),
        ({"1": [4, 2.0], "1000": [2000, 20.0]}, 8, 0.5, 4),
        ({"1": [4, 2.0], "1000": [2000, 20.0]}, 1000, 0.01, 2000),
        ({"1": [4, 2.0], "1000": [2000, 20.0]}, 20_000, 0.01, 2000),
    ],
)
def test_cost_is_that_of_a_run_of_about_as_many(runs, pictures, seconds, run_size):
    history = open_history()
    history.saved = history.saved._replace(runs=runs)
    each = cost(pictures, history)
    assert each == Cost(Path("thumbnails/thumb/a.jpg").stat().st_size, pytest.approx(seconds), run_size)


def test_there_is_no_cost_before_the_first_run():
    history = open_history(output="elsewhere")
    assert cost(4, history) is None
    lines = estimate(4, history.catalog, None)
    assert lines == ["  to be written: 4 thumbnails", "  time and space: unknown before the first run"]


def test_runs_that_made_nothing_leave_no_cost():
    history = open_history()
    history.update(RunResult([], {}, 100.0, None), history.unchanged())
    assert open_history().saved.runs == {"1": [4, 1.0]}


def disk(blocks: int, files: int = 0, free_files: int = 0) -> Callable[[str], SimpleNamespace]:
    """Return what a disk with this many free blocks of 4,096 bytes says; `files` 0 if the file system has no limit."""
    return lambda path: SimpleNamespace(f_frsize=4096, f_bavail=blocks, f_files=files, f_favail=free_files)


@pytest.mark.parametrize(
    ("statvfs", "enough"),
    [
        (disk(10_000), True),
        (disk(3_470), False),
        (disk(3_471), True),
        (disk(10_000, files=9_000, free_files=4_000), True),
        (disk(10_000, files=9_000, free_files=3_999), False),
    ],
)
def test_space_is_compared_with_what_is_free(monkeypatch, statvfs, enough):
    """For each thumbnail its bytes and half a block, a block for Snakemake's record, and an inode for each of both."""
    monkeypatch.setattr(os, "statvfs", statvfs)
    catalog = Catalog([Picture("a.jpg", 1, True)], settings(format=["webp", "jpeg"], output="nowhere/at/all"))
    files, time, space = estimate(1000, catalog, Cost(1_929, 0.05, 400))
    assert files == "  to be written: 2,000 thumbnails, 1.9 MB"
    assert time == "  time: 50 s (as in the run that made 400)"
    assert space.startswith("  space: 14.2 MB needed, ")
    assert space.endswith("NOT ENOUGH") == (not enough)


def test_space_in_object_storage_is_unknown():
    catalog = Catalog([Picture("a.jpg", 1, True)], settings(output="s3://shop/out"))
    assert estimate(1000, catalog, Cost(1_929, 0.05, 400))[2:] == ["  space: unknown, in object storage"]


def test_the_plan_is_printed_and_written(capsys):
    os.utime("images/a.png")
    history = open_history()
    print_plan(SimpleNamespace(catalog=history.catalog, history=history, paths=PATHS), "logs/plan.txt")
    text = capsys.readouterr().out
    assert text.splitlines()[:6] == [
        "thumbmill: 5 pictures in images",
        "  0 new",
        "  0 changed, have changed settings, or lack a thumbnail",
        "  1 newer: made if their content differs, which Snakemake compares",
        "  1 failed last time",
        "  3 up to date",
    ]
    assert "  to be written: 2 thumbnails, " in text
    assert Path("logs/plan.txt").read_text() == text
