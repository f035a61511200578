"""What there is of each picture: what is read, what is remembered, and whether a report is still true."""

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.runs import make
from tests.support.session import open_session
from thumbmill import failures
from thumbmill.catalog.layout import Layout
from thumbmill.errors import ReportError
from thumbmill.reports import inventory
from thumbmill.reports.inventory import Inventory, Item, blurhash, check_has_files, record_state, state_parameter
from thumbmill.run.failures import write_failures


@pytest.fixture(autouse=True)
def two_pictures(folder: Path) -> None:
    """One that is made, a.png, and one that is broken, bad.png."""
    Image.new("RGB", (600, 300), "red").save("images/a.png")
    Path("images/bad.png").write_text("no picture")
    make()


def items(**config: Any) -> dict[str, Item]:
    """Return the inventory: name -> item."""
    session = open_session(**config)
    return {item.name: item for item in Inventory(session.catalog, session.paths).take()}


def parameter(target: str = "manifest", **config: Any) -> str:
    """Return the parameter by which Snakemake judges a report, as the next run works it out."""
    return state_parameter(open_session(**config), target)(None)


# What is read


def test_sizes_are_those_of_the_files():
    item = items()["a.png"]
    (thumb,) = item.thumbs
    assert (item.width, item.height, item.bytes) == (600, 300, os.stat("images/a.png").st_size)
    assert (thumb.size, thumb.format, thumb.path) == ("thumb", "jpeg", "thumbnails/thumb/a.jpg")
    assert (thumb.width, thumb.height, thumb.bytes) == (256, 128, os.stat(thumb.path).st_size)
    assert item.time == os.stat(thumb.path).st_mtime_ns
    assert item.reason == ""


def test_a_missing_thumbnail_has_its_reason_from_the_log_or_the_list():
    assert items()["bad.png"].reason.startswith("unsupported image format")
    os.unlink("logs/thumbnail/bad.log")
    write_failures("logs/failures.tsv", {"images/bad.png": failures.damaged("from the list")})
    assert items()["bad.png"].reason == "damaged: from the list"
    os.unlink("logs/failures.tsv")
    assert items()["bad.png"].reason == failures.unknown().text


@pytest.mark.parametrize(
    ("failure", "opened"),
    [
        (failures.damaged("truncated"), True),
        (failures.timed_out(), False),
        (failures.crashed("signal 11 (SIGSEGV)"), False),
        (failures.killed("signal 9 (SIGKILL)"), False),
        (failures.unknown(), False),
    ],
)
def test_a_picture_that_ended_its_worker_is_not_opened(monkeypatch, failure, opened):
    """It would end this process too."""
    Path("logs/thumbnail/bad.log").write_text(failure.log_line())
    read = []
    monkeypatch.setattr(inventory, "read_facts", lambda source, *settings: read.append(source))
    assert items()["bad.png"].width == 0
    assert ("images/bad.png" in read) == opened


def test_files_that_are_the_same_are_not_read_again(monkeypatch):
    """Nobody can see that a thumbnail of the same size and date is another one."""
    items()
    status = os.stat("thumbnails/thumb/a.jpg")
    Path("thumbnails/thumb/a.jpg").write_bytes(b"x" * status.st_size)
    os.utime("thumbnails/thumb/a.jpg", ns=(status.st_atime_ns, status.st_mtime_ns))
    with monkeypatch.context() as patch:
        patch.setattr(inventory, "read_facts", None)
        item = items()["a.png"]
    assert (item.width, item.thumbs[0].width) == (600, 256)


def test_a_source_that_took_the_place_of_another_is_read_again():
    """Also one of the same size and date."""
    items()
    status = os.stat("images/a.png")
    Path("images/a.png").write_bytes(b"x" * status.st_size)
    os.utime("images/a.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert items()["a.png"].width == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "[1, {}]"])
def test_a_broken_cache_is_no_cache(content):
    before = items()
    (cache,) = Path(".snakemake/thumbmill").glob("inventory-*")
    cache.write_text(content)
    assert items() == before


def test_cache_forgets_what_is_gone():
    items()
    (cache,) = Path(".snakemake/thumbmill").glob("inventory-*")
    assert "images/a.png" in cache.read_text()
    os.unlink("images/a.png")
    items()
    assert "images/a.png" not in cache.read_text() and "images/bad.png" in cache.read_text()


def test_blurhash_is_one_of_a_picture_on_white():
    pytest.importorskip("blurhash", reason="the extra `blurhash` is not installed")
    assert items()["a.png"].thumbs[0].placeholder == ""
    assert len(items(placeholder="blurhash")["a.png"].thumbs[0].placeholder) == 28, "though the file is the same"
    red = Image.new("RGB", (50, 50), "red")
    assert blurhash(red) == blurhash(Image.new("RGBA", (9, 30), (255, 0, 0, 255)))
    assert blurhash(Image.new("RGBA", (50, 50), (0, 0, 0, 0))) == blurhash(Image.new("RGB", (50, 50), "white"))


@pytest.mark.parametrize("config", [{"source": "s3://shop/in"}, {"output": "s3://shop/out"}])
def test_object_storage_is_rejected(config):
    settings = open_session().settings
    check_has_files(Layout(settings))
    with pytest.raises(ReportError, match="manifest and gallery need files"):
        check_has_files(Layout(settings | config))


# Whether a report is still true


def test_a_report_is_written_again_if_anything_changed_since_it_was_written():
    """Even if that was the run that wrote it, which makes thumbnails between the parameter and the report."""
    first = parameter()
    record_state(open_session(), "manifest")
    assert parameter() == first

    Image.new("RGB", (90, 90), "blue").save("images/a.png")
    second = parameter()
    assert second != first
    make()
    record_state(open_session(), "manifest")
    assert parameter() == second, "the thumbnail that the run made is in the report"

    os.utime("thumbnails/thumb/a.jpg", (1, 1))
    assert parameter() != second


@pytest.mark.parametrize(
    "change",
    [
        lambda: os.unlink("thumbnails/thumb/a.jpg"),
        lambda: os.unlink("images/bad.png"),
        lambda: os.rename("images/a.png", "images/b.png"),
        lambda: os.utime("images/a.png"),
    ],
)
def test_whatever_a_report_shows_is_part_of_its_state(change):
    before = parameter()
    record_state(open_session(), "manifest")
    change()
    assert parameter() != before


def test_settings_are_part_of_its_state_and_reports_have_states_of_their_own():
    before = parameter()
    record_state(open_session(), "manifest")
    assert parameter(placeholder="blurhash" if blurhash_is_installed() else "none", linear=True) != before
    assert parameter() == before
    Image.new("RGB", (90, 90), "blue").save("images/a.png")
    gallery = parameter("gallery")
    record_state(open_session(), "gallery")
    assert parameter("gallery") == gallery
    assert parameter("manifest") != before


def blurhash_is_installed() -> bool:
    """Whether the extra is there."""
    try:
        import blurhash  # noqa: F401
    except ImportError:
        return False
    return True


def test_the_process_of_the_job_finds_the_parameter_of_the_main_process():
    """It works it out too late, when the thumbnails are made."""
    main = parameter()
    job = open_session()
    job.workflow.is_main_process = False
    os.utime("thumbnails/thumb/a.jpg", (1, 1))
    state_parameter(job, "manifest")(None)
    record_state(job, "manifest")
    assert parameter() == main
