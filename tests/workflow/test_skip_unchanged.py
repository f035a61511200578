"""Skipping what is certainly current changes nothing but the time that a run takes."""

import os
import shutil
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.support.shop import WarmShop

ALL = {"a", "b", "sub/c"}
THUMB = {"width": 20, "height": 20}
LARGE = {"width": 40, "height": 40}


@pytest.fixture(scope="module")
def template(tmp_path_factory, warm_snakemake) -> Path:
    """A folder in which three pictures were made: a.jpg, b.png, sub/c.webp."""
    shop = WarmShop(tmp_path_factory.mktemp("template"), warm_snakemake)
    for name, colour in (("a.jpg", "red"), ("b.png", "green"), ("sub/c.webp", "blue")):
        shop.picture(name, colour)
    assert shop.run().jobs == ALL
    return shop.folder


@pytest.fixture
def done(template, tmp_path, warm_snakemake) -> WarmShop:
    """A shop whose thumbnails are made, and known to be current."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)  # with the dates
    return WarmShop(tmp_path, warm_snakemake)


def configure(shop: WarmShop, **config) -> None:
    """Write the settings."""
    (shop.folder / "config.yaml").write_text(yaml.safe_dump(config))


def replace_by_an_older_one(shop: WarmShop) -> None:
    """Put a larger file in the place of a.jpg, with an older date."""
    shop.picture("a.jpg", "yellow", (200, 150))
    os.utime(shop.folder / "images/a.jpg", (1, 1))


def test_a_run_after_which_nothing_changed_makes_nothing(done):
    """With skipping or without."""
    for arguments in ((), ("--config", "skip_unchanged=false")):
        run = done.run(*arguments)
        assert (run.code, run.jobs) == (0, set())
        assert "Nothing to be done" in run.text
        assert run.last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]


def test_only_what_changed_is_made(done):
    done.picture("a.jpg", "yellow", (61, 40))
    done.picture("new.jpg")
    run = done.run()
    assert run.jobs == {"a", "new"}
    assert run.last_lines == ["thumbmill: 2 made, 2 up to date, 0 failed"]


def test_switching_on_a_format_makes_just_its_pictures(done):
    """Found by its extension, or named otherwise. Switched off again, nothing has to be made."""
    done.picture("master.jp2", "blue")
    done.picture("named.jp2", "yellow").rename(done.folder / "images/named.jpg")
    run = done.run()
    assert (run.code, run.jobs) == (1, {"named"})
    assert done.failures() == {
        "images/named.jpg": "a JPEG 2000 picture named .jpg: to have it made, set `read: [+jpeg2000]`"
    }
    run = done.run("--config", "read=+jpeg2000")
    assert (run.code, run.jobs) == (0, {"master", "named"})
    assert not done.run("--config", "read=[+jpeg2000]").jobs
    run = done.run()
    assert (run.code, run.jobs) == (0, set())
    assert run.last_lines[0] == "thumbmill: 0 made, 4 up to date, 0 failed"


def test_a_touched_picture_is_judged_by_its_content(done):
    later = time.time() + 1
    os.utime(done.folder / "images/a.jpg", (later, later))
    run = done.run()
    assert not run.jobs
    assert run.last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]


def test_a_run_by_dates_alone_leaves_no_trace(done):
    """It finds a replaced picture current, which is not the full judgement."""
    replace_by_an_older_one(done)
    assert not done.run("--rerun-triggers", "mtime").jobs
    assert done.run().jobs == {"a"}


@pytest.mark.slow
def test_a_run_without_records_leaves_no_trace(done):
    """Snakemake then keeps its records of the run before, by which it makes all again."""
    configure(done, quality={"jpeg": 20})
    assert done.run("--drop-metadata").jobs == ALL
    assert done.run("-n", "--config", "skip_unchanged=false").jobs == ALL
    assert done.run().jobs == ALL
    assert done.run().jobs == set()


@pytest.mark.parametrize(
    "flags",
    [
        ("--forceall", "-n"),
        ("--forcerun", "thumbnail", "-n"),
        pytest.param(("--forcerun", "thumbnail"), marks=pytest.mark.slow),
        ("--rerun-triggers", "mtime", "-n"),
    ],
)
def test_flags_that_force_jobs_see_the_whole_catalogue(done, flags):
    run = done.run(*flags)
    assert run.code == 0
    assert run.jobs == (set() if "--rerun-triggers" in flags else ALL)
    assert "3 up to date" in run.text or run.jobs


@pytest.mark.parametrize("flag", ["--summary", pytest.param("--detailed-summary", marks=pytest.mark.slow)])
def test_snakemakes_summary_has_the_whole_catalogue(done, flag):
    text = done.run(flag).text
    assert all(f"thumbnails/thumb/{picture}.jpg" in text for picture in ALL)


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--list-params-changes", "--list-input-changes", "--list-code-changes"])
def test_snakemakes_lists_have_the_whole_catalogue(done, flag):
    """Under other settings, so that there is something to list."""
    (done.folder / "changed.yaml").write_text(yaml.safe_dump({"quality": {"jpeg": 11}}))
    text = done.run(flag, "--configfile", "changed.yaml").text
    assert ("thumbnails/thumb/sub/c.jpg" in text) == (flag == "--list-params-changes")


@pytest.mark.slow
def test_snakemakes_report_has_the_whole_catalogue(done):
    assert done.run("--report", "report.html").code == 0
    assert '"n_jobs": 3' in (done.folder / "report.html").read_text()


def test_delete_all_output_deletes_all(done):
    assert done.run("--delete-all-output").code == 0
    assert done.files() == set()
    assert done.run("-n").jobs == ALL


def test_touch_takes_all_thumbnails_for_current(done):
    """Whatever the settings are now."""
    paths = [done.folder / "thumbnails" / name for name in done.files()]
    for path in paths:
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    before = [path.stat().st_mtime for path in paths]
    configure(done, quality={"jpeg": 11})
    assert done.run("--touch").code == 0
    assert all(path.stat().st_mtime > date for path, date in zip(paths, before, strict=True))
    assert not done.run().jobs


def test_named_targets_are_always_judged(done):
    """They, and nothing else."""
    done.picture("a.jpg", "yellow", (61, 40))
    done.picture("b.png", "yellow", (61, 40))
    assert done.run("thumbnails/thumb/a.jpg", "thumbnails/thumb/sub/c.jpg").jobs == {"a"}
    assert done.run("-n").jobs == {"b"}


@pytest.mark.parametrize("skip_unchanged", [True, False])
def test_a_setting_makes_only_what_it_affects(done, skip_unchanged):
    """As the history says which recipe a job has, Snakemake comes to the same judgement by itself."""
    Image.new("RGBA", (60, 40), (0, 0, 0, 0)).save(done.folder / "images/glass.png")
    assert done.run().jobs == {"glass"}
    configure(done, background="#000000", max_pixels=10_000, quality={"webp": 3}, skip_unchanged=skip_unchanged)
    run = done.run()
    assert run.jobs == {"glass"}
    assert run.last_lines == ["thumbmill: 1 made, 3 up to date, 0 failed"]
    with Image.open(done.thumbnail("glass.jpg")) as picture:
        assert picture.getpixel((5, 5)) == (0, 0, 0)


@pytest.mark.slow
def test_a_size_that_is_dropped_makes_nothing_and_one_that_is_added_everything(done):
    configure(done, sizes={"thumb": THUMB, "large": LARGE})
    assert done.run().jobs == ALL
    configure(done, sizes={"thumb": THUMB})
    assert done.run("--config", "skip_unchanged=false").jobs == set()
    assert done.run().jobs == set()
    configure(done, sizes={"thumb": THUMB, "large": {"width": 41, "height": 41}})
    assert done.run().jobs == ALL
    assert done.run().jobs == set()


def test_another_source_folder_makes_everything_again(done):
    """Snakemake compares the paths of a job's inputs."""
    (done.folder / "images").rename(done.folder / "photos")
    configure(done, source="photos")
    assert done.run("-n").jobs == ALL


def test_a_broken_history_is_no_history(done):
    """Snakemake's own records still say that everything is current."""
    (path,) = (done.folder / ".snakemake/thumbmill").glob("history-*.json")
    path.write_text("{")
    run = done.run()
    assert (run.code, run.jobs) == (0, set())
    assert "Traceback" not in run.text
    assert f"{path.relative_to(done.folder)} cannot be read" in run.text
    assert path.read_text().startswith("[2,")


@pytest.mark.slow
def test_failures_are_tried_again_and_retry_tries_only_them(done):
    (done.folder / "images/bad.jpg").write_text("no picture")
    assert done.run().code == 1
    done.picture("a.jpg", "yellow", (61, 40))
    run = done.run("retry")
    assert (run.code, run.jobs) == (1, {"bad"})
    assert list(done.failures()) == ["images/bad.jpg"]
    done.picture("bad.jpg")
    run = done.run("retry")
    assert (run.code, run.jobs) == (0, {"bad"})
    assert done.failures() == {}
    assert "no failure is listed" in done.run("retry").text
    assert done.run().jobs == {"a"}
