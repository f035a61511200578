"""Whether a run can write where it must, and thumbnails that a wrong clock has dated."""

import logging
import os
import time
from pathlib import Path

import pytest

from tests.support.settings import settings
from thumbmill.catalog.listing import Catalog, list_catalog
from thumbmill.errors import FolderError
from thumbmill.run.preflight import check_output, check_working_folder, check_writable, reset_future_dates


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two files that have the names of pictures, a.jpg and sub/c.jpg."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    os.makedirs("images/sub")
    for name in ("a.jpg", "sub/c.jpg"):
        Path("images", name).touch()
    return tmp_path


def catalog(**config) -> Catalog:
    """Return the catalogue of the working directory."""
    return list_catalog(settings(**config))


def refuse_files(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    """Let no file be created in the folder `closed` (the superuser could), with a name or without (O_TMPFILE)."""
    open_file = os.open

    def function(path, *arguments, **options):
        if os.path.abspath(closed) in (os.path.abspath(path), os.path.dirname(os.path.abspath(path))):
            raise PermissionError(13, "Permission denied", path)
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(os, "open", function)


def test_a_folder_that_can_be_written_keeps_no_trace(tmp_path):
    check_writable("not/there/yet")
    check_writable("images")
    assert {path.name for path in tmp_path.rglob("*")} == {"images", "sub", "a.jpg", "c.jpg"}


def test_a_file_in_the_place_of_a_folder():
    with pytest.raises(FolderError, match="Not a directory; a file is where its folder should be"):
        check_writable("images/a.jpg/below")


@pytest.mark.parametrize("closed", [".snakemake", ".snakemake/metadata", "logs", "logs/thumbnail"])
def test_every_folder_that_snakemake_and_the_logs_need_is_tried(monkeypatch, closed):
    os.makedirs(closed)
    check_working_folder()
    refuse_files(monkeypatch, closed)
    with pytest.raises(FolderError, match=rf"^cannot write {closed}/?: Permission denied; check write permission"):
        check_working_folder()


def test_snakemakes_own_log_may_fail_in_silence():
    """Each of its lines would take a page."""
    check_working_folder()
    assert logging.raiseExceptions is False


def make_folder(path: Path) -> None:
    path.mkdir()


def make_file(path: Path) -> None:
    path.touch()


def make_broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("thumbnails/thumb/a.jpg", make_folder, "a folder"),
        ("thumbnails/thumb/a.jpg", make_broken_link, "a broken link"),
        ("thumbnails/thumb/a.jpg", os.mkfifo, "a pipe, a socket or a device"),
        ("thumbnails", make_file, "a file"),
        ("thumbnails", make_broken_link, "a broken link"),
        ("thumbnails/thumb", make_file, "a file"),
        ("thumbnails/thumb/sub", make_file, "a file"),
    ],
)
def test_what_is_in_the_place_of_a_thumbnail_or_its_folder_is_named(name, make, kind):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    with pytest.raises(FolderError) as caught:
        check_output(catalog(), ["a", "sub/c"], will_write=False)
    assert str(caught.value).splitlines() == [
        "these paths block thumbnail output; move them and run again",
        f"  {name}: {kind}",
    ]
    assert os.path.lexists(path)


def test_only_some_obstacles_are_named_and_all_are_counted():
    for number in range(8):
        Path(f"images/{number}.jpg").touch()
        os.makedirs(f"thumbnails/thumb/{number}.jpg")
    with pytest.raises(FolderError) as caught:
        check_output(catalog(), [str(number) for number in range(8)], will_write=False)
    lines = str(caught.value).splitlines()
    assert len(lines) == 7
    assert lines[-1] == "  ... and 3 more"


def test_thumbnails_and_links_to_folders_block_nothing(tmp_path):
    (tmp_path / "elsewhere/thumb").mkdir(parents=True)
    (tmp_path / "thumbnails").symlink_to("elsewhere")
    (tmp_path / "elsewhere/thumb/a.jpg").touch()
    check_output(catalog(), ["a", "sub/c"], will_write=True)


def test_output_that_cannot_be_written_matters_only_to_a_run_that_writes(monkeypatch):
    os.makedirs("thumbnails/thumb")
    refuse_files(monkeypatch, "thumbnails/thumb")
    pictures = catalog()
    check_output(pictures, ["a"], will_write=False)
    with pytest.raises(FolderError, match="cannot write thumbnails/thumb: Permission denied"):
        check_output(pictures, ["a"], will_write=True)


def test_object_storage_has_no_folders_to_check():
    pictures = catalog(output="s3://shop/out")
    check_output(pictures, ["a"], will_write=True)
    assert reset_future_dates(pictures, ["a"]) == 0


def test_thumbnails_dated_in_the_future_are_dated_before_their_sources():
    """So that Snakemake compares; what is dated in the next minute may be the disk's clock."""
    os.makedirs("thumbnails/thumb/sub")
    ahead = time.time() + 1_000
    for name, date in (("a", ahead), ("sub/c", time.time() + 20)):
        Path(f"thumbnails/thumb/{name}.jpg").touch()
        os.utime(f"thumbnails/thumb/{name}.jpg", (date, date))
    pictures = catalog()
    assert reset_future_dates(pictures, ["a", "sub/c"]) == 1
    assert os.stat("thumbnails/thumb/a.jpg").st_mtime < os.stat("images/a.jpg").st_mtime
    assert reset_future_dates(pictures, ["a", "sub/c"]) == 0
