"""Orphans: only what thumbmill made, and nothing asks for any more, can ever be removed."""

import contextlib
import os
import shutil
import signal
import time

import pytest

from scripts.orphans import OrphansError, find_orphans, remove_orphans
from tests.conftest import WarmShop
from tests.test_leaving_out import configure, history

THUMB = {"width": 20, "height": 20}
NAMES = [f"{folder}/{number}.jpg" for folder in "abcd" for number in range(3)]


@pytest.fixture
def shop(tmp_path, warm_snakemake):
    """A shop with twelve pictures in four folders, whose thumbnails are made."""
    shop = WarmShop(tmp_path, warm_snakemake)
    for name in NAMES:
        shop.picture(name)
    assert shop.run().code == 0
    return shop


def orphans(shop, **config) -> set[str]:
    """The orphans below the output folder, by their paths in it."""
    with contextlib.chdir(shop.folder):
        known = history(shop, **config)
        return {os.path.relpath(path, known.settings["output"]) for path in find_orphans(known)}


def remove(shop, allowed=False, **config) -> set[str]:
    """Remove the orphans; returns what is gone from the output folder, files and folders."""
    output = config.get("output", "thumbnails")
    before = everything(shop, output)
    with contextlib.chdir(shop.folder):
        remove_orphans(history(shop, **config), allowed, "logs/removed.txt")
    return before - everything(shop, output)


def everything(shop, output) -> set[str]:
    """Files and folders below the output folder."""
    top = shop.folder / output
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def lose(shop, *names):
    """Delete pictures."""
    for name in names:
        (shop.folder / "images" / name).unlink()


def foreign(path, content="mine"):
    """Put a file there that thumbmill did not make."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(content)
    return path


@pytest.mark.slow
def test_by_snakemake(shop):
    """Listed, nothing changed; refused; removed; and then there is none."""
    before = everything(shop, "thumbnails")
    lose(shop, "a/0.jpg", "a/1.jpg")
    run = shop.run("orphans")
    assert run.code == 0
    assert "thumbmill: orphans: 2 of 12 thumbnails, " in run.text
    assert (shop.folder / "logs/orphans.txt").read_text() == "thumbnails/thumb/a/0.jpg\nthumbnails/thumb/a/1.jpg\n"
    assert shop.run("-n", "remove_orphans").code == 0
    assert everything(shop, "thumbnails") == before

    lose(shop, "a/2.jpg")
    run = shop.run("remove_orphans")
    assert run.code == 1
    assert run.last_lines[0].startswith(
        "thumbmill: 3 of 12 thumbnails are orphans, more than a fifth: none was removed"
    )
    assert "File " not in run.text
    assert everything(shop, "thumbnails") == before

    run = shop.run("remove_orphans", "--config", "remove_more_than_a_fifth=true")
    assert run.code == 0
    assert before - everything(shop, "thumbnails") == {"thumb/a", *(f"thumb/a/{number}.jpg" for number in range(3))}
    removed = (shop.folder / "logs/removed.txt").read_text().splitlines()
    assert removed == [*(f"thumbnails/thumb/a/{number}.jpg" for number in range(3)), "thumbnails/thumb/a"]
    assert orphans(shop) == set()
    assert shop.run().jobs == set()


def test_after_a_run_too(shop):
    """The run that finds the pictures gone does not forget their thumbnails."""
    lose(shop, "a/0.jpg", "a/1.jpg")
    assert shop.run().jobs == set()
    assert remove(shop) == {"thumb/a/0.jpg", "thumb/a/1.jpg"}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("run_after", [False, True])
def test_foreign_files_stay(shop, when, run_after):
    path = shop.folder / "thumbnails/thumb/a/mine.jpg"
    if when == "before":
        foreign(path)
        shop.run()
    lose(shop, "a/0.jpg")
    foreign(path)
    foreign(shop.folder / "thumbnails/readme.txt")
    if run_after:
        shop.run()
    assert remove(shop) == {"thumb/a/0.jpg"}


def test_a_foreign_file_that_serves_as_a_thumbnail_stays(shop):
    """Somebody else's thumbnail of a picture, newer than that: Snakemake finds it up to date."""
    path = shop.folder / "thumbnails/thumb/a/new.jpg"
    shop.picture("a/new.jpg")
    time.sleep(0.01)
    foreign(path)
    assert shop.run().jobs == set()
    lose(shop, "a/new.jpg")
    assert remove(shop) == set()
    shop.run()
    assert remove(shop) == set()


@pytest.mark.parametrize("forged", [False, True])
def test_what_somebody_edited_or_replaced_stays(shop, forged):
    """With the date of thumbmill's own file, too; before and after the source is gone, with runs between."""
    edited, replaced = shop.thumbnail("a/0.jpg"), shop.thumbnail("a/1.jpg")
    dates = {path: os.stat(path).st_mtime_ns for path in (edited, replaced)}
    foreign(edited)
    shop.run()
    lose(shop, "a/0.jpg", "a/1.jpg")
    shop.run()
    foreign(replaced)
    if forged:
        for path, date in dates.items():
            os.utime(path, ns=(date, date))
    assert remove(shop) == set()


def test_what_is_reached_through_a_link_stays(shop, tmp_path_factory):
    """Links to folders and to files, made after the thumbnails."""
    aside = tmp_path_factory.mktemp("aside")
    folder = shop.folder / "thumbnails/thumb/a"
    shutil.move(folder, aside / "a")
    folder.symlink_to(aside / "a")
    thumbnail = shop.thumbnail("b/0.jpg")
    shutil.move(thumbnail, aside / "b.jpg")
    thumbnail.symlink_to(aside / "b.jpg")
    lose(shop, "a/0.jpg", "a/1.jpg", "a/2.jpg", "b/0.jpg")
    assert remove(shop, allowed=True) == set()
    shop.run()
    assert remove(shop, allowed=True) == set()
    assert sorted(os.listdir(aside)) == ["a", "b.jpg"]
    assert len(os.listdir(aside / "a")) == 3


def test_a_link_within_the_output_folder_is_no_way_round(shop):
    """What is reached through it may be asked for under another name."""
    folder = shop.folder / "thumbnails/thumb/a"
    shutil.rmtree(folder)
    folder.symlink_to("b")
    lose(shop, "a/0.jpg", "a/1.jpg")
    assert remove(shop) == set()


def test_the_output_folder_may_be_a_link(shop, tmp_path_factory):
    aside = tmp_path_factory.mktemp("disk") / "thumbnails"
    shutil.move(shop.folder / "thumbnails", aside)
    (shop.folder / "thumbnails").symlink_to(aside)
    lose(shop, "a/0.jpg")
    assert remove(shop) == {"thumb/a/0.jpg"}


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_without_the_source_folder_nothing_is_removed(shop, how):
    shutil.rmtree(shop.folder / "images")
    if how == "empty":
        (shop.folder / "images").mkdir()
    before = everything(shop, "thumbnails")
    run = shop.run("remove_orphans", "--config", "remove_more_than_a_fifth=true")
    assert run.code == 1
    assert ("no picture in the source folder" if how == "empty" else "does not exist") in run.text
    assert everything(shop, "thumbnails") == before


@pytest.mark.parametrize("run_between", [False, True])
def test_with_a_part_of_the_source_folder_nothing_is_removed(shop, run_between):
    (shop.folder / "images/a").rename(shop.folder / "a")
    before = everything(shop, "thumbnails")
    if run_between:
        shop.run()
    with pytest.raises(OrphansError, match=r"3 of 12 thumbnails are orphans, more than a fifth"):
        remove(shop)
    assert everything(shop, "thumbnails") == before
    (shop.folder / "a").rename(shop.folder / "images/a")
    assert orphans(shop) == set()
    assert shop.run().jobs == set()


def test_the_fifth_is_of_what_is_there(shop):
    """Neither sizes that are not made yet nor thumbnails that are gone already count."""
    lose(shop, "a/0.jpg", "a/1.jpg", "a/2.jpg")
    sizes = dict.fromkeys("stuvwxyz", THUMB) | {"thumb": {"width": 256, "height": 256}}
    with pytest.raises(OrphansError, match="3 of 12"):
        remove(shop, sizes=sizes)

    assert shop.run("--config", "sizes={old: {width: 9, height: 9}, older: {width: 8, height: 8}}").code == 0
    shutil.rmtree(shop.folder / "thumbnails/old")
    shutil.rmtree(shop.folder / "thumbnails/older")
    shop.run()
    with pytest.raises(OrphansError, match="3 of 12"):
        remove(shop)


def test_a_folder_that_cannot_be_listed_makes_no_orphans(shop, monkeypatch):
    """Its pictures may all be there."""
    monkeypatch.setattr(os, "scandir", closed(os.scandir, "images/a"))
    assert orphans(shop) == set()
    with contextlib.chdir(shop.folder):
        known = history(shop)
        known.update([], {}, 1)
        assert len(history(shop).known.pictures) == 12
        assert history(shop).known.strays == {}
    assert remove(shop, allowed=True) == set()


def closed(scandir, folder):
    """os.scandir, but that one folder cannot be listed (the superuser can list any)."""

    def function(path="."):
        if str(path) == folder:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    return function


@pytest.mark.parametrize("made", [False, True])
def test_a_renamed_size(shop, made):
    """The old one's thumbnails are orphans, and more than a fifth."""
    sizes = {"small": THUMB}
    configure(shop, sizes=sizes)
    if made:
        assert shop.run().code == 0
    with pytest.raises(OrphansError, match=r"12 of 24" if made else r"12 of 12"):
        remove(shop, sizes=sizes)
    gone = remove(shop, allowed=True, sizes=sizes)
    assert gone == {"thumb", *(f"thumb/{name}" for name in NAMES), *(f"thumb/{folder}" for folder in "abcd")}
    assert shop.run().jobs == (set() if made else {os.path.splitext(name)[0] for name in NAMES})


@pytest.mark.parametrize(("key", "value", "suffix"), [("format", "png", ".png"), ("keep_extension", True, ".jpg.jpg")])
def test_a_changed_format_and_kept_extensions(shop, key, value, suffix):
    configure(shop, **{key: value})
    shop.run()
    assert remove(shop, allowed=True, **{key: value}) == {f"thumb/{name}" for name in NAMES}
    assert shop.files() == {f"thumb/{os.path.splitext(name)[0]}{suffix}" for name in NAMES}
    configure(shop)
    shop.run()
    assert orphans(shop) == {f"thumb/{os.path.splitext(name)[0]}{suffix}" for name in NAMES}


def test_settings_changed_there_and_back_leave_no_orphans(shop):
    """What is asked for again is no orphan, before it is made again and after."""
    configure(shop, sizes={"small": THUMB})
    shop.run()
    assert len(orphans(shop)) == 12
    shop.run()
    assert len(orphans(shop, sizes={"small": THUMB})) == 12
    configure(shop)
    assert orphans(shop) == {f"small/{name}" for name in NAMES}


def test_a_case_only_rename(shop):
    """On a file system that tells capitals, the old thumbnail is an orphan; on one that does not, it is the new one."""
    path = shop.folder / "images/a/0.JPG"
    configure(shop, keep_extension=True)
    shop.run()
    (shop.folder / "images/a/0.jpg").rename(path)
    shop.run()
    config = {"keep_extension": True}
    assert "thumb/a/0.jpg.jpg" in orphans(shop, **config)

    old, new = shop.thumbnail("a/0.jpg.jpg"), shop.thumbnail("a/0.JPG.jpg")
    status = os.stat(old)
    new.unlink()
    os.link(old, new)  # as if these were two names of one file
    assert os.stat(old).st_mtime_ns == status.st_mtime_ns
    assert "thumb/a/0.jpg.jpg" not in orphans(shop, **config)


def test_another_output_folder_has_orphans_of_its_own(shop):
    """Two settings files in one working directory, each for its own thumbnails."""
    shop.run("--config", "output=others")
    lose(shop, "a/0.jpg")
    assert remove(shop) == {"thumb/a/0.jpg"}
    assert (shop.folder / "others/thumb/a/0.jpg").exists()
    assert remove(shop, output="others") == {"thumb/a/0.jpg"}


def test_an_output_folder_given_up_is_left_alone(shop):
    before = everything(shop, "thumbnails")
    shop.run("--config", "output=others")
    assert orphans(shop, output="others") == set()
    assert everything(shop, "thumbnails") == before


def test_sources_are_never_orphans(shop):
    """Not even those that thumbmill once made as thumbnails."""
    config = {"source": "thumbnails/thumb", "sizes": {"tiny": {"width": 9, "height": 9}}}
    before = everything(shop, "thumbnails")
    assert remove(shop, allowed=True, **config) == set()
    assert everything(shop, "thumbnails") == before


def test_folders_of_somebody_else_stay(shop):
    """Those that were there before, those that hold something, and those that came back."""
    mine = shop.folder / "thumbnails/thumb/mine"
    mine.mkdir()
    for folder in ("mine", "kept", "again"):
        shop.picture(f"{folder}/x.jpg")
    shop.run()
    foreign(shop.folder / "thumbnails/thumb/kept/readme.txt")
    shutil.rmtree(shop.folder / "thumbnails/thumb/again")
    for folder in ("mine", "kept", "again"):
        shutil.rmtree(shop.folder / "images" / folder)
    shop.run()
    (shop.folder / "thumbnails/thumb/again").mkdir()
    assert remove(shop) == {"thumb/mine/x.jpg", "thumb/kept/x.jpg"}


def test_odd_names(shop):
    """What Snakemake cannot write is removed as well, and so are names that look like patterns."""
    odd = ["{x}.jpg", "line\nbreak.jpg"]
    for name in odd:
        shop.picture(name)
    not_utf8 = os.fsdecode(b"\xff.jpg")
    shop.picture(not_utf8)
    shop.run()
    lose(shop, *odd)
    assert remove(shop) == {f"thumb/{name}" for name in odd}
    assert (
        shop.folder / "logs/removed.txt"
    ).read_text() == "thumbnails/thumb/line\\nbreak.jpg\nthumbnails/thumb/{x}.jpg\n"
    lose(shop, not_utf8)
    assert remove(shop) == {f"thumb/{not_utf8}"}
    shop.picture("{x}.jpg")
    assert len(shop.run().jobs) == 1
    assert shop.thumbnail("{x}.jpg").exists()


def test_after_a_kill_what_was_made_is_known_by_snakemakes_records(shop):
    """The history was not written."""
    (kept,) = shop.folder.glob(".snakemake/thumbmill/history-*.json")
    kept.unlink()
    foreign(shop.thumbnail("b/0.jpg"))
    assert shop.run().jobs == set()
    lose(shop, "a/0.jpg", "b/0.jpg")
    assert remove(shop) == {"thumb/a/0.jpg"}


@pytest.mark.slow
def test_a_run_that_is_killed(shop):
    """Its thumbnails count as thumbmill's own as soon as a run has ended well."""
    more = [f"more/{number}.jpg" for number in range(40)]
    for name in more:
        shop.picture(name, size=(900, 900))
    shop.run(stop=(0.8, int(signal.SIGKILL)))
    assert shop.run().code == 0
    assert len(shop.files()) == 52
    lose(shop, *more)
    # The folder goes too, unless it was the killed run that made it: that is known of files only.
    assert remove(shop, allowed=True) - {"thumb/more"} == {f"thumb/{name}" for name in more}


def test_from_another_directory(shop, tmp_path_factory):
    lose(shop, "a/0.jpg")
    folder, shop.folder = shop.folder, tmp_path_factory.mktemp("elsewhere")
    run = shop.run("remove_orphans", "--directory", str(folder))
    assert run.code == 0
    shop.folder = folder
    assert not shop.thumbnail("a/0.jpg").exists()
    assert (shop.folder / "logs/removed.txt").read_text() == "thumbnails/thumb/a/0.jpg\n"


def test_the_thumbnail_of_a_picture_that_now_fails_is_no_orphan(shop):
    """Snakemake has deleted it, and a file that somebody put in its place is theirs."""
    (shop.folder / "images/a/0.jpg").write_text("no picture")
    assert shop.run().code == 1
    assert orphans(shop) == set()
    foreign(shop.thumbnail("a/0.jpg"))
    lose(shop, "a/0.jpg")
    assert remove(shop) == set()


def test_what_cannot_be_removed_is_told_and_tried_again(shop, monkeypatch):
    """The others are removed."""
    lose(shop, "a/0.jpg", "a/1.jpg")
    unlink = os.unlink

    def refuse(path):
        if str(path).endswith("0.jpg"):
            raise PermissionError(13, "Permission denied", path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(OrphansError, match=r"thumbnails/thumb/a/0\.jpg cannot be removed: Permission denied"):
        remove(shop)
    assert not shop.thumbnail("a/1.jpg").exists()
    monkeypatch.undo()
    assert remove(shop) == {"thumb/a/0.jpg"}
