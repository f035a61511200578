"""What earlier runs made: which pictures a run can skip, and how far a change of the settings reaches."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.catalog.support import put
from tests.support.runs import make, open_history
from tests.support.settings import settings
from thumbmill.catalog.history import RunResult, magnitude
from thumbmill.catalog.history_file import read_history
from thumbmill.catalog.layout import Layout

ALL = {"a", "b", "sub/c"}
THUMB = {"width": 20, "height": 20}
LARGE = {"width": 40, "height": 40}
MINUTE = 60 * 10**9  # nanoseconds


@pytest.fixture(autouse=True)
def pictures(folder: Path) -> None:
    """Three sources of a minute ago: a.jpg, b.png, sub/c.webp."""
    for name, colour in (("a.jpg", "red"), ("b.png", "green"), ("sub/c.webp", "blue")):
        draw(name, colour)


def draw(name: str, colour: str = "red", size: tuple[int, int] = (60, 40), mode: str = "RGB") -> Path:
    """Draw a source, dated a minute ago."""
    path = Path("images", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return dated(path, -MINUTE)


def dated(path: Path, nanoseconds: int) -> Path:
    """Date a file this long after now; before, if negative."""
    moment = time.time_ns() + nanoseconds
    os.utime(path, ns=(moment, moment), follow_symlinks=False)
    return path


def unchanged(**config: Any) -> set[str]:
    """Return the pictures that a run with these settings could skip."""
    return set(open_history(**config).unchanged())


def judge(current: Iterable[str], **config: Any) -> None:
    """Do what a run does whose DAG finds these pictures current, as Snakemake's records say."""
    known = open_history(**config)
    skipped = known.unchanged() - {*current}
    known.update(RunResult([], dict.fromkeys(current, True), 1.0, None), skipped)


def history_file() -> Path:
    """Return the only history file."""
    (path,) = Path(".snakemake/thumbmill").glob("history-*.json")
    return path


# What can be skipped


def test_nothing_can_be_skipped_before_the_first_run_and_everything_after_it():
    assert unchanged() == set()
    assert make() == ALL
    assert unchanged() == ALL
    assert make() == set()


def test_another_picture_with_the_same_date_is_asked_about():
    """As `cp -p` and `rsync -t` leave it: only the size in bytes differs."""
    make()
    source = Path("images/a.jpg")
    date = source.stat().st_mtime_ns
    draw("a.jpg", "blue", size=(90, 70))
    os.utime(source, ns=(date, date))
    assert unchanged() == ALL - {"a"}


def test_only_what_changed_and_what_is_new_is_asked_about():
    make()
    draw("a.jpg", "yellow", (61, 40))
    draw("new.jpg")
    assert unchanged() == ALL - {"a"}
    assert make() == {"a", "new"}
    assert unchanged() == ALL | {"new"}


def delete_the_thumbnail():
    os.unlink("thumbnails/thumb/a.jpg")


def date_the_thumbnail_back():
    os.utime("thumbnails/thumb/a.jpg", (1, 1))


def edit_the_thumbnail():
    Image.new("RGB", (9, 9)).save("thumbnails/thumb/a.jpg")


def empty_the_thumbnail():
    os.truncate("thumbnails/thumb/a.jpg", 0)


def replace_by_an_older_one():
    os.utime(draw("a.jpg", "yellow", (200, 150)), (1, 1))


def make_unreadable():
    os.chmod("images/a.jpg", 0)


def touch():
    os.utime("images/a.jpg")


def point_elsewhere():
    os.unlink("images/a.jpg")
    os.symlink("sub/c.webp", "images/a.jpg")


CHANGES = [
    delete_the_thumbnail,
    date_the_thumbnail_back,
    edit_the_thumbnail,
    empty_the_thumbnail,
    replace_by_an_older_one,
    make_unreadable,
    touch,
    point_elsewhere,
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_is_for_the_dag_to_judge(change, monkeypatch):
    # The superuser may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(os.stat(path).st_mode & 0o400))
    make()
    change()
    assert unchanged() == ALL - {"a"}


@pytest.mark.parametrize(
    "name", ["{a}.jpg", "<b>.png", "line\nbreak.jpg", b"caf\xe9.jpg", "trailing .jpg", "x" * 30 + ".jpg"]
)
def test_names_that_are_percent_encoded_are_skipped_and_judged_like_others(name):
    draw(os.fsdecode(name))
    (wildcard,) = make() - ALL
    assert unchanged() == ALL | {wildcard}
    dated(Path("images", os.fsdecode(name)), 0)
    assert unchanged() == ALL
    os.unlink(open_history().catalog.thumbnails(wildcard)[0])
    assert make() == {wildcard}


def test_a_source_from_the_future_is_never_skipped():
    """Snakemake compares its content, each time."""
    dated(Path("images/a.jpg"), 10**6 * 10**9)
    make()
    assert unchanged() == ALL - {"a"}


def test_a_touched_picture_that_the_dag_finds_current_is_asked_about_again():
    """Its source is newer than its thumbnail: Snakemake compares their content, each time."""
    make()
    dated(Path("images/a.jpg"), MINUTE)
    judge({"a"})
    assert unchanged() == ALL - {"a"}


def test_what_the_dag_finds_current_is_skipped_from_then_on():
    """A picture that was replaced by one that is older than its thumbnail, and now has been judged."""
    make()
    replace_by_an_older_one()
    judge({"a"})
    assert unchanged() == ALL


def test_what_another_run_makes_meanwhile_is_its_own():
    """A run with other settings can make what this one skips."""
    make()
    this = open_history()
    skipped = this.unchanged()
    assert skipped == ALL
    assert make(quality={"jpeg": 20}) == ALL
    this.update(RunResult([], {}, 1.0, None), skipped)
    assert unchanged() == set()
    assert make() == ALL


def test_a_picture_without_all_its_thumbnails_is_not_recorded():
    known = open_history()
    known.update(RunResult([*ALL], {}, 1.0, None), [])
    assert known.path == str(history_file())
    assert unchanged() == set()


# Settings


def test_a_size_that_is_dropped_makes_nothing_and_one_that_is_added_everything():
    make(sizes={"thumb": THUMB, "large": LARGE})
    assert make(sizes={"thumb": THUMB}) == set()
    assert make(sizes={"thumb": THUMB, "large": {"width": 41, "height": 41}}) == ALL
    assert make(sizes={"thumb": THUMB, "large": {"width": 41, "height": 41}}) == set()


def test_a_background_makes_only_what_shows_it():
    draw("glass.png", (0, 0, 0, 0), mode="RGBA")
    make()
    assert make(background="#000000") == {"glass"}
    assert unchanged(background="#000000") == ALL | {"glass"}
    assert make(background="#ffffff") == {"glass"}
    assert make(background="#ffffff", quality={"jpeg": 79}) == ALL | {"glass"}


@pytest.mark.parametrize(
    "config", [{"max_pixels": 10_000}, {"quality": {"webp": 3, "avif": 4}}, {"max_seconds": 7, "max_memory": 700}]
)
def test_settings_that_decide_no_pixel_make_nothing(config):
    make()
    assert make(**config) == set()


def test_recipe_of_a_job_is_the_recorded_one_while_its_thumbnails_are_right():
    """So that Snakemake's own comparison agrees with what is skipped."""
    draw("glass.png", (0, 0, 0, 0), mode="RGBA")
    make()
    first = open_history().current_recipe
    known = open_history(background="#000000")
    assert known.current_recipe != first
    assert {wildcard: known.recipe(wildcard) == first for wildcard in known.catalog} == {
        "a": True, "b": True, "sub/c": True, "glass": False
    }  # fmt: skip
    assert known.recipe("not in the catalogue") == known.current_recipe
    make(background="#000000")
    later = open_history(background="#000000")
    assert [later.recipe(wildcard) for wildcard in ("a", "glass")] == [first, later.current_recipe]
    draw("a.jpg", "white", (60, 41))
    assert open_history(background="#000000").recipe("a") == first


def test_recipe_of_a_picture_that_cannot_be_read_is_the_current_one():
    """What the setting does to it is not known."""
    make()
    Path("images/a.jpg").write_bytes(b"no picture")
    known = open_history(background="#000000")
    assert known.recipe("a") == known.current_recipe


def test_another_source_folder_is_for_the_dag_to_judge():
    """Snakemake compares the paths of a job's inputs with those of before."""
    make()
    os.rename("images", "photos")
    assert unchanged(source="photos") == set()


def test_another_output_folder_has_a_history_of_its_own():
    make()
    assert make(output="elsewhere") == ALL
    assert unchanged() == unchanged(output="elsewhere") == ALL
    assert len(list(Path(".snakemake/thumbmill").glob("history-*.json"))) == 2


def test_renamed_size_makes_its_thumbnails_and_orphans_the_old_ones():
    make(sizes={"thumb": THUMB})
    known = open_history(sizes={"other": THUMB})
    assert known.unchanged() == frozenset()
    assert {*known.orphans()} == {f"thumbnails/thumb/{wildcard}.jpg" for wildcard in ALL}


# The file


@pytest.mark.parametrize("content", ["", "{", "[1]", "[1, 2, 3]", "[99, {}, {}, {}, {}, [], {}]", "[]", "null", "7"])
def test_a_broken_history_is_no_history(content):
    """One line says so, unless it is only of another version; the next run writes a whole one."""
    make()
    history_file().write_text(content)
    lines: list[str] = []
    saved = read_history(str(history_file()), Layout(settings()), lines.append)
    assert saved.pictures == {} and saved.orphans == {}
    assert len(lines) == (0 if content.startswith("[99") else 1)
    assert all("\n" not in line and "cannot be read" in line for line in lines)
    assert unchanged() == set()
    judge(ALL)
    assert unchanged() == ALL


def test_there_is_no_history_before_the_first_run():
    """Which needs no warning."""
    lines: list[str] = []
    read_history(".snakemake/thumbmill/none.json", Layout(settings()), lines.append)
    assert lines == []


def test_what_is_remembered_does_not_grow():
    """Recipes that no thumbnail was made by are forgotten, and so are pictures that were deleted."""
    for quality in (70, 60, 50):
        make(quality={"jpeg": quality})
    os.unlink("images/a.jpg")
    make(quality={"jpeg": 50})
    known = read_history(str(history_file()), Layout(settings()))
    assert len(known.recipes) == 1
    assert known.pictures.keys() == {"b.png", "sub/c.webp"}
    assert known.runs.keys() == {"1"}


def test_the_file_is_not_written_if_nothing_changed():
    make()
    before = history_file().stat()
    make()
    assert history_file().stat().st_ino == before.st_ino


def test_thumbnails_are_on_the_disk_before_they_are_recorded(monkeypatch):
    """Else a power cut could leave a record of what is not there; a run that made nothing need not wait."""
    make()
    done = []
    monkeypatch.setattr(os, "sync", lambda: done.append("sync"))
    monkeypatch.setattr("thumbmill.catalog.history.write_history", lambda *_: done.append("history"))
    os.utime("images/a.jpg")
    open_history().update(RunResult(["a"], {}, 1.0, None), ())
    open_history().update(RunResult([], {"a": True}, 1.0, None), ())
    assert done == ["sync", "history", "history"]


def test_pictures_of_a_folder_that_can_no_longer_be_listed_are_not_forgotten():
    """They may still be there."""
    put("closed/d.jpg")
    known = open_history()
    names = {picture.name for picture in known.catalog.pictures.values()} | {"closed/e.jpg", "gone.jpg"}
    assert known.deleted(names) == {"closed/e.jpg", "gone.jpg"}
    listed_as_closed = known.catalog["closed/d"]._replace(name="closed/", readable=False)
    known.catalog.pictures["closed/"] = listed_as_closed
    assert known.deleted(names) == {"gone.jpg"}


def test_history_is_json_with_a_version():
    """A later version can distinguish it from its own."""
    make()
    version, layout, recipes, pictures, *_ = json.loads(history_file().read_text())
    assert (version, layout["source"], len(recipes), {*pictures}) == (2, "images", 1, {"a.jpg", "b.png", "sub/c.webp"})


@pytest.mark.parametrize(("pictures", "expected"), [(1, "1"), (9, "1"), (10, "10"), (999, "100"), (100_000, "100000")])
def test_runs_are_kept_by_magnitude(pictures, expected):
    assert magnitude(pictures) == expected
