"""Leaving out what is certainly current changes nothing but the time; a setting redoes what it affects."""

import contextlib
import json
import os
import time

import pytest
import yaml
from PIL import Image

from scripts.catalogue import list_catalogue
from scripts.history import History, magnitude, read_history
from scripts.recipe import ingredients
from scripts.settings import load_validator, read_settings
from tests.conftest import REPOSITORY


@pytest.fixture
def shop(warm_shop):
    return warm_shop


def history(shop, **config) -> History:
    """What is known of the shop, for settings of its own."""
    settings = read_settings(config, load_validator(str(REPOSITORY)))
    return History(list_catalogue(settings), ingredients(settings, str(REPOSITORY)))


def left_out(shop, **config) -> set[str]:
    """The pictures that a run would leave out, by what Snakemake calls them."""
    with contextlib.chdir(shop.folder):
        known = history(shop, **config)
        return {wildcard for wildcard in known.catalogue.pictures if known.is_current(wildcard)}


def settle(shop) -> None:
    """Date everything a minute back, as if the last run were some time ago."""
    for folder in ("images", "thumbnails"):
        for path in shop.files(folder):
            status = os.lstat(shop.folder / folder / path)
            moment = status.st_mtime_ns - 60 * 10**9
            os.utime(shop.folder / folder / path, ns=(moment, moment), follow_symlinks=False)


EVERYTHING = {"a", "b", "sub/c"}


@pytest.fixture
def done(small_shop):
    """A shop whose thumbnails are made, and known to be current."""
    assert small_shop.run().code == 0
    assert left_out(small_shop) == EVERYTHING
    return small_shop


def test_nothing_changed(done):
    run = done.run()
    assert run.code == 0 and not run.jobs
    assert "Nothing to be done" in run.text
    assert run.last_lines[0] == "thumbmill: 0 made, 3 up to date, 0 failed"


def test_only_what_changed_is_asked_about(done):
    done.picture("a.jpg", "yellow", (61, 40))
    done.picture("new.jpg")
    assert left_out(done) == EVERYTHING - {"a"}
    run = done.run()
    assert run.jobs == {"a", "new"}
    assert run.last_lines[0] == "thumbmill: 2 made, 2 up to date, 0 failed"
    assert left_out(done) == EVERYTHING | {"new"}


def lose(shop):
    shop.thumbnail("a.jpg").unlink()


def date_back(shop):
    os.utime(shop.thumbnail("a.jpg"), (1, 1))


def replace_with_an_older_one(shop):
    shop.picture("a.jpg", "yellow", (200, 150))
    os.utime(shop.folder / "images/a.jpg", (1, 1))


def make_unreadable(shop):
    (shop.folder / "images/a.jpg").chmod(0)


def touch(shop):
    later = time.time() + 1
    os.utime(shop.folder / "images/a.jpg", (later, later))


def point_elsewhere(shop):
    path = shop.folder / "images/a.jpg"
    path.unlink()
    path.symlink_to("sub/c.webp")


def edit_by_hand(shop):
    Image.new("RGB", (9, 9)).save(shop.thumbnail("a.jpg"))


CHANGES = [lose, date_back, replace_with_an_older_one, make_unreadable, touch, point_elsewhere, edit_by_hand]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_is_for_the_dag_to_judge(done, change, monkeypatch):
    # The superuser may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(os.stat(path).st_mode & 0o400))
    change(done)
    assert left_out(done) == EVERYTHING - {"a"}


def test_a_source_from_the_future_is_never_left_out(done):
    far = time.time() + 10**6
    os.utime(done.folder / "images/a.jpg", (far, far))
    done.run()
    assert left_out(done) == EVERYTHING - {"a"}


def test_a_touched_picture_stays_for_the_dag(done):
    touch(done)
    run = done.run()
    assert not run.jobs
    assert run.last_lines[0] == "thumbmill: 0 made, 3 up to date, 0 failed"
    assert left_out(done) == EVERYTHING - {"a"}


def test_it_can_be_switched_off(done):
    assert "left out" not in done.run("--config", "leave_out=false").text
    summary = done.run("--config", "leave_out=false", "-n", "--quiet", "host")
    assert "3 up to date" in summary.text


def test_a_run_by_other_rules_leaves_no_trace(done):
    """By date alone Snakemake finds a replaced picture current; that must not be taken for its full judgement."""
    replace_with_an_older_one(done)
    assert not done.run("--rerun-triggers", "mtime").jobs
    assert left_out(done) == EVERYTHING - {"a"}
    assert done.run().jobs == {"a"}


def test_a_run_without_records_leaves_no_trace(done):
    """Snakemake then keeps its records of the run before, by which it makes all again."""
    configure(done, quality={"jpeg": 20})
    assert done.run("--drop-metadata").jobs == EVERYTHING
    assert done.run("-n", "--config", "leave_out=false").jobs == EVERYTHING
    assert done.run().jobs == EVERYTHING
    assert done.run().jobs == set()


def test_what_another_run_makes_meanwhile_is_its_own(done):
    """Snakemake locks only what is in the DAG: a run with other settings can make what this one leaves out."""
    with contextlib.chdir(done.folder):
        this = history(done)
        assert this.leave_out() == EVERYTHING
        configure(done, quality={"jpeg": 20})
        assert done.run().jobs == EVERYTHING
        this.update([], {}, 1)
    configure(done)
    assert left_out(done) == set()
    assert done.run().jobs == EVERYTHING


@pytest.mark.parametrize(
    "flags",
    [
        ("--forceall", "-n"),
        ("--forcerun", "thumbnail", "-n"),
        ("--forcerun", "thumbnail"),
        ("--rerun-triggers", "mtime", "-n"),
    ],
)
def test_flags_that_redo_see_the_whole_catalogue(done, flags):
    run = done.run(*flags)
    assert run.code == 0
    assert run.jobs == (set() if "--rerun-triggers" in flags else EVERYTHING)
    assert "3 up to date" in run.text or run.jobs


@pytest.mark.parametrize("flag", ["--summary", "--detailed-summary"])
def test_the_summary_has_the_whole_catalogue(done, flag):
    text = done.run(flag).text
    assert all(f"thumbnails/thumb/{picture}.jpg" in text for picture in EVERYTHING)


@pytest.mark.parametrize("flag", ["--list-params-changes", "--list-input-changes", "--list-code-changes"])
def test_lists_have_the_whole_catalogue(done, flag):
    """Asked by other settings, so that there is something to list."""
    script = done.folder / "changed.yaml"
    script.write_text(yaml.safe_dump({"quality": {"jpeg": 11}}))
    text = done.run(flag, "--configfile", "changed.yaml").text
    assert ("thumbnails/thumb/sub/c.jpg" in text) == (flag == "--list-params-changes")


def test_delete_all_output_deletes_all(done):
    assert done.run("--delete-all-output").code == 0
    assert done.files() == set()
    assert done.run().jobs == EVERYTHING


def test_touch_takes_all_for_current(done):
    """Whatever the settings now say."""
    settle(done)
    before = {name: os.stat(done.folder / "thumbnails" / name).st_mtime for name in done.files()}
    configure(done, quality={"jpeg": 11})
    assert done.run("--touch").code == 0
    after = {name: os.stat(done.folder / "thumbnails" / name).st_mtime for name in done.files()}
    assert before.keys() == after.keys() and all(after[name] > before[name] for name in after)
    assert not done.run().jobs
    assert left_out(done, quality={"jpeg": 11}) == EVERYTHING


def test_report_has_the_whole_catalogue(done):
    assert done.run("--report", "report.html").code == 0
    assert '"n_jobs": 3' in (done.folder / "report.html").read_text()


def test_named_targets_are_always_judged(done):
    """Nothing of them is left out, and nothing else is looked at."""
    touch(done)
    done.picture("a.jpg", "yellow", (61, 40))
    assert done.run("thumbnails/thumb/sub/c.jpg").jobs == set()
    assert done.run("thumbnails/thumb/a.jpg").jobs == {"a"}
    assert left_out(done) == EVERYTHING


def configure(shop, **config):
    (shop.folder / "config.yaml").write_text(yaml.safe_dump(config))


THUMB = {"width": 20, "height": 20}
LARGE = {"width": 40, "height": 40}


def test_a_size_that_is_dropped_redoes_nothing_and_one_that_is_added_all(small_shop):
    configure(small_shop, sizes={"thumb": THUMB, "large": LARGE})
    assert small_shop.run().jobs == EVERYTHING
    configure(small_shop, sizes={"thumb": THUMB})
    assert small_shop.run().jobs == set()
    assert small_shop.run("--config", "leave_out=false").jobs == set()
    configure(small_shop, sizes={"thumb": THUMB, "large": {"width": 41, "height": 41}})
    assert small_shop.run().jobs == EVERYTHING
    assert small_shop.run().jobs == set()


@pytest.mark.parametrize("leave_out", [True, False])
def test_a_background_redoes_only_what_shows_it(small_shop, leave_out):
    path = small_shop.folder / "images/glass.png"
    Image.new("RGBA", (60, 40), (0, 0, 0, 0)).save(path)
    assert small_shop.run().jobs == EVERYTHING | {"glass"}
    configure(small_shop, background="#000000", leave_out=leave_out)
    assert small_shop.run().jobs == {"glass"}
    with Image.open(small_shop.thumbnail("glass.jpg")) as picture:
        assert picture.getpixel((5, 5)) == (0, 0, 0)
    assert small_shop.run().jobs == set()
    configure(small_shop, background="#ffffff", leave_out=leave_out)
    assert small_shop.run().jobs == {"glass"}
    configure(small_shop, background="#ffffff", leave_out=leave_out, quality={"jpeg": 79})
    assert small_shop.run().jobs == EVERYTHING | {"glass"}


def test_settings_that_decide_no_pixel_redo_nothing(done):
    configure(done, max_pixels=10_000, quality={"webp": 3, "avif": 4})
    assert done.run().jobs == set()


def test_another_source_folder_is_judged_anew(done):
    (done.folder / "images").rename(done.folder / "photos")
    configure(done, source="photos")
    assert left_out(done, source="photos") == set()
    assert done.run().jobs == EVERYTHING


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


def test_odd_names_are_left_out_too(shop):
    shop.picture("{x}.jpg")
    shop.picture("line\nbreak.jpg")
    shop.run()
    assert len(left_out(shop)) == 2
    assert shop.run().jobs == set()
    next((shop.folder / ".snakemake/thumbmill/odd-names/thumb").iterdir()).unlink()
    assert len(left_out(shop)) == 1


def test_odd_names_follow_the_output_folder(shop):
    shop.picture("{x}.jpg")
    shop.run()
    assert shop.run("--config", "output=elsewhere").code == 0
    assert shop.files("elsewhere") == {"thumb/{x}.jpg"}


@pytest.mark.parametrize("content", ["", "{", "[1]", "[1, 2, 3]", "[99, {}, {}, {}, {}, [], {}]", "[]", "null", "7"])
def test_a_broken_history_is_no_history(done, content):
    (path,) = (done.folder / ".snakemake/thumbmill").glob("history-*.json")
    path.write_text(content)
    run = done.run()
    assert run.code == 0 and not run.jobs
    assert "Traceback" not in run.text
    assert left_out(done) == EVERYTHING


def test_what_is_remembered_does_not_grow(done):
    """Recipes that no thumbnail goes back to are forgotten, and so are pictures that are gone."""
    for quality in (70, 60, 50):
        done.run("--config", f"quality={{jpeg: {quality}}}")
    (path,) = (done.folder / ".snakemake/thumbmill").glob("history-*.json")
    (done.folder / "images/a.jpg").unlink()
    done.run("--config", "quality={jpeg: 50}")
    known = read_history(str(path), json.loads(path.read_text())[1])
    assert len(known.recipes) == 1
    assert known.pictures.keys() == {"b.png", "sub/c.webp"}
    assert known.runs.keys() == {"1"}


@pytest.mark.parametrize(("pictures", "expected"), [(1, "1"), (9, "1"), (10, "10"), (999, "100"), (100_000, "100000")])
def test_runs_are_kept_by_magnitude(pictures, expected):
    assert magnitude(pictures) == expected
