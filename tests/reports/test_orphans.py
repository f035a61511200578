"""Orphans: only what thumbmill made, and nothing asks for any more, can ever be removed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.runs import make, open_history
from thumbmill.catalog.history import RunResult
from thumbmill.errors import CatalogError, OrphansError
from thumbmill.reports.orphans import find_orphans, list_orphans, remove_orphans

THUMB = {"width": 20, "height": 20}
NAMES = [f"{folder}/{number}.jpg" for folder in "abcd" for number in range(3)]
STEMS = {os.path.splitext(name)[0] for name in NAMES}


@pytest.fixture(autouse=True)
def twelve_pictures(folder: Path) -> None:
    """Twelve pictures in four folders, whose thumbnails are made."""
    for name in NAMES:
        draw(name)
    assert make() == STEMS


def draw(name: str) -> None:
    """Draw a source."""
    path = Path("images", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 40), "red").save(path)


def thumbnail(name: str) -> Path:
    """Return the path of a thumbnail of size `thumb`."""
    return Path("thumbnails/thumb", name)


def orphans(**config: Any) -> set[str]:
    """Return the orphans below the output folder, by their paths in it."""
    history = open_history(**config)
    return {os.path.relpath(path, history.settings["output"]) for path in find_orphans(history)}


def remove(allowed: bool = False, **config: Any) -> set[str]:
    """Remove the orphans; return what is gone from the output folder, files and folders."""
    output = config.get("output", "thumbnails")
    before = everything(output)
    remove_orphans(open_history(**config), allowed, "logs/removed.txt")
    return before - everything(output)


def everything(output: str = "thumbnails") -> set[str]:
    """Return files and folders below the output folder."""
    return {str(path.relative_to(output)) for path in Path(output).rglob("*")}


def lose(*names: str) -> None:
    """Delete sources."""
    for name in names:
        os.unlink(os.path.join("images", name))


def foreign(path: Path, content: str = "mine") -> Path:
    """Put a file there that thumbmill did not make."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(content)
    return path


# What is removed


@pytest.mark.parametrize("run_between", [False, True])
def test_thumbnails_whose_sources_were_deleted(run_between):
    """The run that finds the sources gone does not forget their thumbnails."""
    lose("a/0.jpg", "a/1.jpg")
    if run_between:
        assert make() == set()
    assert orphans() == {"thumb/a/0.jpg", "thumb/a/1.jpg"}
    assert remove() == {"thumb/a/0.jpg", "thumb/a/1.jpg"}
    assert orphans() == set()
    assert make() == set()


def test_what_was_removed_is_printed_and_written(capsys):
    """With the folder that is empty then."""
    lose("a/0.jpg", "a/1.jpg", "a/2.jpg")
    size = sum(path.stat().st_size for path in thumbnail("a").iterdir())
    list_orphans(open_history(), "logs/orphans.txt")
    assert Path("logs/orphans.txt").read_text() == "".join(f"thumbnails/thumb/a/{n}.jpg\n" for n in range(3))
    assert capsys.readouterr().out.splitlines()[0] == f"thumbmill: orphans: 3 of 12 thumbnails, {size / 1000:.1f} kB"
    assert remove(allowed=True) == {"thumb/a", *(f"thumb/a/{number}.jpg" for number in range(3))}
    paths = [*(f"thumbnails/thumb/a/{number}.jpg" for number in range(3)), "thumbnails/thumb/a"]
    assert Path("logs/removed.txt").read_text().splitlines() == paths
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f"thumbmill: orphans removed: 3 ({size / 1000:.1f} kB); empty folders removed: 1",
        *(f"  {path}" for path in paths),
    ]


@pytest.mark.parametrize("run_between", [False, True])
def test_a_renamed_size(run_between):
    """The old one's thumbnails are orphans, and more than a fifth."""
    sizes = {"small": THUMB}
    if run_between:
        make(sizes=sizes)
    with pytest.raises(OrphansError, match=r"12 of 24" if run_between else r"12 of 12"):
        remove(sizes=sizes)
    gone = remove(allowed=True, sizes=sizes)
    assert gone == {"thumb", *(f"thumb/{name}" for name in NAMES), *(f"thumb/{folder}" for folder in "abcd")}
    assert make(sizes=sizes) == (set() if run_between else STEMS)


@pytest.mark.parametrize(("key", "value", "suffix"), [("format", "png", ".png"), ("keep_extension", True, ".jpg.jpg")])
def test_a_changed_format_and_kept_extensions(key, value, suffix):
    make(**{key: value})
    renamed = {f"thumb/{stem}{suffix}" for stem in STEMS}
    assert remove(allowed=True, **{key: value}) == {f"thumb/{name}" for name in NAMES}
    assert {path for path in everything() if path.endswith(suffix)} == renamed
    make()
    assert orphans() == renamed


def test_settings_changed_there_and_back_leave_no_orphans():
    """What is asked for again is no orphan, neither before nor after it is made."""
    make(sizes={"small": THUMB})
    assert len(orphans(sizes={"small": THUMB})) == 12
    make(sizes={"small": THUMB})
    assert len(orphans(sizes={"small": THUMB})) == 12
    assert orphans() == {f"small/{name}" for name in NAMES}


@pytest.mark.parametrize("name", ["{x}.jpg", "line\nbreak.jpg", os.fsdecode(b"\xff.jpg"), "[a-z]*.jpg"])
def test_unusual_names(name):
    before = everything()
    draw(name)
    make()
    new = everything() - before
    assert len(new) == 1
    lose(name)
    assert remove() == new
    (line,) = Path("logs/removed.txt").read_text().splitlines()
    assert line.isprintable()
    draw(name)
    assert len(make()) == 1, "it is not taken for current"


# What stays


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("run_after", [False, True])
def test_foreign_files_stay(when, run_after):
    path = thumbnail("a/mine.jpg")
    if when == "before":
        foreign(path)
        make()
    lose("a/0.jpg")
    foreign(path)
    foreign(Path("thumbnails/readme.txt"))
    if run_after:
        make()
    assert remove() == {"thumb/a/0.jpg"}


def test_a_foreign_file_that_passes_for_a_thumbnail_stays():
    """It is newer than a picture that appears later: Snakemake finds it current, and has no record of making it."""
    draw("a/new.jpg")
    foreign(thumbnail("a/new.jpg"))
    history = open_history()
    history.update(RunResult([], {"a/new": False}, 1.0, None), history.unchanged())
    assert make() == set()
    lose("a/new.jpg")
    assert remove() == set()
    make()
    assert remove() == set()


@pytest.mark.parametrize("forged", [False, True])
def test_what_somebody_edited_or_replaced_stays(forged):
    """Even with the date of thumbmill's own file; before and after the source is gone, with runs between."""
    edited, replaced = thumbnail("a/0.jpg"), thumbnail("a/1.jpg")
    dates = {path: os.stat(path).st_mtime_ns for path in (edited, replaced)}
    foreign(edited)
    history = open_history()
    history.update(RunResult([], {"a/0": False}, 1.0, None), history.unchanged())
    lose("a/0.jpg", "a/1.jpg")
    make()
    foreign(replaced)
    if forged:
        for path, date in dates.items():
            os.utime(path, ns=(date, date))
    assert remove() == set()


def test_what_somebody_replaced_by_as_many_bytes_stays():
    """As an image editor may write it: only the date differs."""
    edited = thumbnail("a/0.jpg")
    edited.write_bytes(bytes(edited.stat().st_size))
    os.utime(edited, ns=(1, 1))
    lose("a/0.jpg")
    assert remove() == set()


def test_what_is_reached_through_a_link_stays(tmp_path_factory):
    """Links to folders and to files, made after the thumbnails."""
    aside = tmp_path_factory.mktemp("aside")
    shutil.move(thumbnail("a"), aside / "a")
    thumbnail("a").symlink_to(aside / "a")
    shutil.move(thumbnail("b/0.jpg"), aside / "b.jpg")
    thumbnail("b/0.jpg").symlink_to(aside / "b.jpg")
    lose("a/0.jpg", "a/1.jpg", "a/2.jpg", "b/0.jpg")
    assert remove(allowed=True) == set()
    make()
    assert remove(allowed=True) == set()
    assert sorted(os.listdir(aside)) == ["a", "b.jpg"]
    assert len(os.listdir(aside / "a")) == 3


def test_a_link_within_the_output_folder_is_no_way_round():
    """What is reached through it may be asked for under another name."""
    shutil.rmtree(thumbnail("a"))
    thumbnail("a").symlink_to("b")
    lose("a/0.jpg", "a/1.jpg")
    assert remove() == set()


def test_the_output_folder_itself_may_be_a_link(tmp_path_factory):
    aside = tmp_path_factory.mktemp("disk") / "thumbnails"
    shutil.move("thumbnails", aside)
    Path("thumbnails").symlink_to(aside)
    lose("a/0.jpg")
    assert remove() == {"thumb/a/0.jpg"}


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_nothing_is_removed_without_the_source_folder(how):
    """A disk that is not mounted looks like this."""
    shutil.rmtree("images")
    if how == "empty":
        Path("images").mkdir()
    with pytest.raises(CatalogError, match="no pictures in the source folder" if how == "empty" else "does not exist"):
        remove(allowed=True)
    assert len(everything()) == 17


@pytest.mark.parametrize("run_between", [False, True])
def test_nothing_is_removed_if_a_part_of_the_source_folder_is_missing(run_between):
    shutil.move("images/a", "a")
    before = everything()
    if run_between:
        make()
    with pytest.raises(OrphansError, match=r"3 of 12 thumbnails are orphans, more than a fifth: none was removed"):
        remove()
    assert everything() == before
    shutil.move("a", "images/a")
    assert orphans() == set()


def test_the_fifth_is_of_what_is_there():
    """Neither sizes that are not made yet nor thumbnails that are gone already count."""
    lose("a/0.jpg", "a/1.jpg", "a/2.jpg")
    sizes = dict.fromkeys("stuvwxyz", THUMB) | {"thumb": {"width": 256, "height": 256}}
    with pytest.raises(OrphansError, match="3 of 12"):
        remove(sizes=sizes)

    make(sizes={"thumb": {"width": 256, "height": 256}, "old": THUMB, "older": THUMB})
    shutil.rmtree("thumbnails/old")
    shutil.rmtree("thumbnails/older")
    make()
    with pytest.raises(OrphansError, match="3 of 12"):
        remove()


def test_a_folder_that_cannot_be_listed_makes_no_orphans(monkeypatch):
    """Its pictures may all be there."""
    monkeypatch.setattr(os, "scandir", closed(os.scandir, "images/a"))
    assert orphans() == set()
    open_history().update(RunResult([], {}, 1.0, None), ())
    assert len(open_history().saved.pictures) == 12
    assert open_history().saved.orphans == {}
    assert remove(allowed=True) == set()


def closed(scandir: Callable[..., Any], folder: str) -> Callable[..., Any]:
    """Return os.scandir() for a user who cannot list one folder (the superuser can list any)."""

    def function(path="."):
        if str(path) == folder:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    return function


def test_a_rename_that_changes_only_the_case():
    """On a file system that ignores case the old thumbnail is the new one: here two names of one file."""
    config = {"keep_extension": True}
    make(**config)
    Path("images/a/0.jpg").rename("images/a/0.JPG")
    make(**config)
    assert "thumb/a/0.jpg.jpg" in orphans(**config)

    old, new = thumbnail("a/0.jpg.jpg"), thumbnail("a/0.JPG.jpg")
    new.unlink()
    os.link(old, new)
    assert "thumb/a/0.jpg.jpg" not in orphans(**config)


def test_each_output_folder_has_orphans_of_its_own():
    """Two settings files in one working directory, each for its own thumbnails."""
    make(output="others")
    lose("a/0.jpg")
    assert remove() == {"thumb/a/0.jpg"}
    assert Path("others/thumb/a/0.jpg").exists()
    assert remove(output="others") == {"thumb/a/0.jpg"}


def test_an_output_folder_that_is_given_up_is_left_alone():
    before = everything()
    make(output="others")
    assert orphans(output="others") == set()
    assert everything() == before


def test_sources_are_never_orphans():
    """Not even those that thumbmill once made as thumbnails."""
    before = everything()
    assert remove(allowed=True, source="thumbnails/thumb", sizes={"tiny": THUMB}) == set()
    assert everything() == before


def test_folders_of_somebody_else_stay():
    """Those that were there before, those that hold something, and those that came back."""
    thumbnail("mine").mkdir()
    for folder in ("mine", "kept", "again"):
        draw(f"{folder}/x.jpg")
    make()
    foreign(thumbnail("kept/readme.txt"))
    shutil.rmtree(thumbnail("again"))
    for folder in ("mine", "kept", "again"):
        shutil.rmtree(f"images/{folder}")
    make()
    thumbnail("again").mkdir()
    assert remove() == {"thumb/mine/x.jpg", "thumb/kept/x.jpg"}


def test_the_thumbnail_of_a_picture_that_now_fails_is_no_orphan():
    """It was deleted before its job, and a file that somebody puts in its place is theirs."""
    Path("images/a/0.jpg").write_text("no picture")
    assert make() == set()
    assert orphans() == set()
    foreign(thumbnail("a/0.jpg"))
    lose("a/0.jpg")
    assert remove() == set()


def test_what_cannot_be_removed_is_reported_and_tried_again(monkeypatch):
    """The others are removed."""
    lose("a/0.jpg", "a/1.jpg")
    unlink = os.unlink

    def refuse(path):
        if str(path).endswith("0.jpg"):
            raise PermissionError(13, "Permission denied", path)
        unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        with pytest.raises(OrphansError, match=r"thumbnails/thumb/a/0\.jpg cannot be removed: Permission denied"):
            remove()
    assert not thumbnail("a/1.jpg").exists()
    assert remove() == {"thumb/a/0.jpg"}


def test_orphans_in_object_storage_are_not_known():
    with pytest.raises(
        OrphansError, match=r"orphans in object storage \(s3://shop/out\) are neither found nor removed"
    ):
        orphans(output="s3://shop/out")
    with pytest.raises(OrphansError, match="object storage"):
        remove(output="s3://shop/out")
