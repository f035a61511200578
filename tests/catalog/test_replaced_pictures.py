"""Pictures that others have taken the place of, though neither newer nor of another size; and those that only moved."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.catalog.support import listed
from tests.catalog.test_skip_unchanged import history_file
from tests.support.runs import make, open_history
from thumbmill.catalog import store
from thumbmill.catalog.digests import Note, content_digest, read_notes, write_note
from thumbmill.catalog.history import RunResult
from thumbmill.catalog.picture import Stamp

LONG_AGO = 10**18  # 2001, in nanoseconds since the epoch
ALL = {"a", "b", "sub/c"}


@pytest.fixture(autouse=True)
def made(folder: Path) -> None:
    """Three pictures of the same size and date, all different, and their thumbnails."""
    for name, colour in (("a.bmp", "red"), ("b.bmp", "lime"), ("sub/c.bmp", "blue")):
        draw(f"images/{name}", colour)
    assert make() == ALL


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were compared by content."""
    paths: list[str] = []
    monkeypatch.setattr(store, "content_digest", lambda path: paths.append(path) or content_digest(path))
    return paths


def draw(path: str, colour: str, time: int = LONG_AGO) -> None:
    """Draw a picture; all have the same size in bytes."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), colour).save(path)
    os.utime(path, ns=(time, time))


def thumbnail(name: str = "a") -> tuple[int, ...]:
    """Return the colour of a thumbnail, each channel 0 or 255."""
    with Image.open(f"thumbnails/thumb/{name}.jpg") as image:
        return tuple(round(channel / 255) * 255 for channel in image.getpixel((0, 0)))


def replace_by_an_older_one():
    draw("images/a.bmp", "yellow", LONG_AGO - 10**12)


def replace_by_one_of_the_same_date():
    draw("new.bmp", "yellow")
    os.replace("new.bmp", "images/a.bmp")


def replace_by_one_newer_but_older_than_the_thumbnail():
    draw("images/a.bmp", "yellow", LONG_AGO + 10**12)


def overwrite_in_place():
    """As `cp -p` does: the inode stays."""
    draw("new.bmp", "yellow")
    Path("images/a.bmp").write_bytes(Path("new.bmp").read_bytes())
    os.utime("images/a.bmp", ns=(LONG_AGO, LONG_AGO))


def replace_by_a_hard_link():
    draw("new.bmp", "yellow")
    os.unlink("images/a.bmp")
    os.link("new.bmp", "images/a.bmp")


def replace_by_a_link():
    draw("new.bmp", "yellow")
    os.unlink("images/a.bmp")
    os.symlink("../new.bmp", "images/a.bmp")
    os.utime("images/a.bmp", ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)


@pytest.mark.parametrize(
    "replace",
    [
        replace_by_an_older_one,
        replace_by_one_of_the_same_date,
        replace_by_one_newer_but_older_than_the_thumbnail,
        overwrite_in_place,
        replace_by_a_hard_link,
        replace_by_a_link,
    ],
)
def test_a_picture_of_the_same_size_is_noticed(replace, read):
    """Once, and by a parameter of its job, so that Snakemake notices too."""
    before = open_history().identity("a")
    replace()
    history = open_history()
    assert history.identity("a") == ("a.bmp", os.path.getsize("images/a.bmp"), content_digest("images/a.bmp")) != before
    assert make() == {"a"}
    assert thumbnail() == (255, 255, 0)
    assert {*read} == {"images/a.bmp"}
    read.clear()
    assert make() == set() and read == []
    assert open_history().identity("a") == history.identity("a")


def test_two_pictures_that_change_places_are_noticed_and_so_is_the_change_back():
    for expected in (((0, 255, 0), (255, 0, 0)), ((255, 0, 0), (0, 255, 0))):
        for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
            os.rename(f"images/{old}.bmp", f"images/{new}.bmp")
        assert make() == {"a", "b"}
        assert (thumbnail("a"), thumbnail("b")) == expected
        assert make() == set()


def test_links_that_change_places(read):
    """Links are as old as each other, and so are the files that they lead to."""
    for name, colour in (("x", "red"), ("y", "blue")):
        draw(f"files/{name}.bmp", colour)
        os.symlink(f"../files/{name}.bmp", f"images/{name}.bmp")
        os.utime(f"images/{name}.bmp", ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)
    assert make() == {"x", "y"}
    for folder in ("images", "files"):
        for old, new in (("x", "z"), ("y", "x"), ("z", "y")):
            os.rename(f"{folder}/{old}.bmp", f"{folder}/{new}.bmp")
        assert make() == {"x", "y"}
    assert {*read} == {"images/x.bmp", "images/y.bmp"}


def test_the_target_of_a_link_is_noticed():
    draw("files/x.bmp", "red")
    os.symlink("../files/x.bmp", "images/x.bmp")
    assert make() == {"x"}
    draw("new.bmp", "blue")
    os.replace("new.bmp", "files/x.bmp")
    assert make() == {"x"} and thumbnail("x") == (0, 0, 255)


# What only looks changed


def copy_all():
    """With the dates, as `cp -a`, `rsync -a` and a backup do."""
    shutil.copytree("images", "copy")
    shutil.rmtree("images")
    os.rename("copy", "images")


def change_permissions():
    for path in Path("images").rglob("*.bmp"):
        path.chmod(0o640)


def make_hard_links():
    """As a backup by `cp -al` does."""
    subprocess.run(["cp", "-al", "images", "backup"], check=True)


def move_there_and_back():
    for path in Path("images").rglob("*.bmp"):
        path.rename("moved")
        Path("moved").rename(path)


def restore_with_coarser_dates():
    """From an archive that keeps whole seconds."""
    for path in Path("images").rglob("*.bmp"):
        os.utime(path, ns=(LONG_AGO - 10**9, LONG_AGO - 10**9))


@pytest.mark.parametrize(
    "move", [copy_all, change_permissions, make_hard_links, move_there_and_back, restore_with_coarser_dates]
)
def test_what_only_moved_is_read_once_and_made_again_never(move: Callable[[], None], read):
    move()
    assert make() == set()
    assert sorted(read) == ["images/a.bmp", "images/b.bmp", "images/sub/c.bmp"]
    read.clear()
    assert make() == set()
    assert read == []


def test_one_replaced_picture_is_found_in_a_copy():
    copy_all()
    replace_by_an_older_one()
    assert make() == {"a"}


def test_nothing_is_read_in_an_unchanged_catalogue(read):
    draw("images/new.bmp", "red")
    Path("images/a.bmp").write_bytes(b"another size")
    assert open_history().unchanged() == {"b", "sub/c"}
    assert read == []


def test_what_snakemake_sees_is_not_read(read):
    """A newer picture, and one whose thumbnail is missing."""
    draw("images/a.bmp", "yellow", 2 * os.stat("thumbnails/thumb/a.jpg").st_mtime_ns)
    os.unlink("thumbnails/thumb/b.jpg")
    change_permissions()
    history = open_history()
    assert history.unchanged() == {"sub/c"}
    assert [history.identity(each)[2:] for each in ("a", "b")] == [(), ()]
    assert read == ["images/sub/c.bmp"]


# The history


def test_a_history_of_the_first_version_remakes_nothing(read):
    """It says nothing of marks and contents: these become known as pictures are found unchanged, or made."""
    version, layout, recipes, pictures, orphans, folders, runs, deleted = json.loads(history_file().read_text())
    assert version == 2 and deleted == {}
    old = {name: entry[:6] for name, entry in pictures.items()}
    history_file().write_text(json.dumps([1, layout, recipes, old, orphans, folders, runs]))
    assert make() == set()
    marks = {name: picture.mark for name, picture in zip(sorted(old), sorted(listed().pictures.values()), strict=True)}
    assert {name: entry.mark for name, entry in open_history().saved.pictures.items()} == marks
    copy_all()
    assert open_history().identity("a") == ("a.bmp", os.path.getsize("images/a.bmp"))
    assert read == []


def test_a_deleted_picture_is_remembered_as_long_as_its_thumbnail():
    """So that one of the same size that comes later is known from it, and one that comes back is not made again."""
    os.rename("images/a.bmp", "away.bmp")
    assert make() == set()
    assert open_history().saved.pictures.keys() == {"b.bmp", "sub/c.bmp"}
    os.rename("away.bmp", "images/a.bmp")
    assert make() == set()
    assert open_history().saved.deleted == {}
    os.unlink("images/a.bmp")
    make()
    draw("images/a.bmp", "yellow")
    assert make() == {"a"} and thumbnail() == (255, 255, 0)
    os.unlink("images/a.bmp")
    os.unlink("thumbnails/thumb/a.jpg")
    make()
    open_history().forget_removed()
    assert open_history().saved.deleted == {}


def test_what_a_killed_run_has_made_is_not_made_again():
    """It leaves notes of its jobs, though it has not come to its end."""
    draw("images/a.bmp", "yellow")
    draw("images/b.bmp", "black")
    history = open_history()
    tokens = {each: history.identity(each) for each in ("a", "b")}
    write_note(history.path, "a.bmp", Note(content_digest("images/a.bmp"), tokens["a"][-1]))
    history = open_history()
    assert history.identity("a") == tokens["a"] and history.saved.pictures["a.bmp"].version == tokens["a"][-1]
    # A run of a part takes all notes over.
    history.update(RunResult(["sub/c"], {}, 1.0, None), [])
    assert read_notes(history.path) == ({}, [])
    assert open_history().identity("a") == tokens["a"] and open_history().identity("b") == tokens["b"]


def test_notes_that_cannot_be_read_are_left_out():
    """The last line of a process may be incomplete."""
    path = open_history().path
    write_note(path, "a\n.bmp", Note("1", ""))
    write_note(path, "a\n.bmp", Note("2", "v"))
    (file,) = read_notes(path)[1]
    with open(file, "a") as notes:
        notes.write('["b.bmp", "3')
    assert read_notes(path)[0] == {"a\n.bmp": Note("2", "v")}


# Object storage


def test_an_object_is_known_by_its_etag(monkeypatch):
    """Its date is its store's, and thumbnails have that of this machine, which may be fast."""
    tag = '"one"'
    objects = lambda location: [("a.jpg", Stamp(LONG_AGO, 100), tag.strip('"'))]  # noqa: E731
    monkeypatch.setattr(store, "list_objects", objects)
    config = {"source": "s3://shop/in", "output": "out"}
    draw("out/thumb/a.jpg", "red", LONG_AGO + 1)
    history = open_history(**config)
    history.update(RunResult(["a"], {}, 1.0, None), [])
    assert open_history(**config).unchanged() == {"a"}
    tag = "two"
    history = open_history(**config)
    assert history.unchanged() == set()
    assert history.identity("a") == ("a.jpg", 100, "two")
    history.update(RunResult(["a"], {}, 1.0, None), [])
    assert open_history(**config).unchanged() == {"a"}
    assert open_history(**config).identity("a") == ("a.jpg", 100, "two")
