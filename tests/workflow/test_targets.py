"""The targets that a user names: retry, plan, orphans, remove_orphans."""

import contextlib
import os
import shutil
import signal

import pytest
import yaml

from tests.support.runs import open_history
from tests.support.shop import Shop, WarmShop
from thumbmill.reports.orphans import find_orphans
from thumbmill.reports.plan import make_plan
from thumbmill.run.failures import read_failures
from thumbmill.run.paths import RunPaths

LONG_AGO = 946_684_800  # 1 January 2000, seconds since the epoch


# Retry


def test_retry_makes_only_what_is_listed_as_failed(made_shop):
    (made_shop.folder / "images/bad.jpg").write_text("no picture")
    assert made_shop.run().code == 1
    made_shop.picture("bad.jpg")
    made_shop.picture("new.jpg")
    run = made_shop.run("retry")
    assert (run.code, run.jobs) == (0, {"bad"})
    assert made_shop.failures() == {}


def test_retry_has_nothing_to_do_if_nothing_is_listed(made_shop):
    made_shop.picture("new.jpg")
    run = made_shop.run("retry")
    assert (run.code, run.jobs) == (0, set())
    assert "thumbmill: no failure is listed in logs/failures.tsv" in run.text


# Plan


def planned(shop: WarmShop) -> tuple[set[str], set[str]]:
    """Return the wildcards that the plan says the next run makes, and those that it makes if the content differs."""
    path = shop.folder / "config.yaml"
    config = yaml.safe_load(path.read_text()) if path.exists() else {}
    with contextlib.chdir(shop.folder):
        plan = make_plan(open_history(**config), read_failures(RunPaths().failures))
    return {*plan.new, *plan.changed, *plan.failed}, {*plan.touched}


def test_the_plan_is_printed_and_makes_nothing(made_shop):
    made_shop.picture("new.png")
    run = made_shop.run("plan")
    assert (run.code, run.jobs) == (0, set())
    assert "thumbmill: 4 pictures in images\n  1 new\n" in run.text
    assert (made_shop.folder / "logs/plan.txt").read_text() in run.text


def test_the_plan_is_what_the_next_run_does(made_shop):
    """With one change of each kind."""
    for name in ("older.png", "{odd}.png", "lost.png", "renamed.png", "touched.png", "changed.bmp"):
        made_shop.picture(name)
    (made_shop.folder / "images/bad.png").write_text("no picture")
    assert made_shop.run().code == 1

    made_shop.picture("new.png")
    for name in ("older.png", "{odd}.png"):
        os.utime(made_shop.picture(name, "blue", (100, 90)), (LONG_AGO, LONG_AGO))
    made_shop.thumbnail("lost.jpg").unlink()
    (made_shop.folder / "images/renamed.png").rename(made_shop.folder / "images/renamed.bmp")
    (made_shop.folder / "images/touched.png").touch()
    made_shop.picture("changed.bmp", "blue")  # as many bytes as before
    certain = {"bad", "new", "older", "%7Bodd%7D", "lost", "renamed"}
    assert planned(made_shop) == (certain, {"touched", "changed"})
    assert made_shop.run("-n").jobs == certain | {"changed"}


@pytest.mark.parametrize(
    ("config", "count"), [({"quality": {"jpeg": 20}}, 3), ({"background": "black"}, 0), ({"source": "photos"}, 3)]
)
def test_the_plan_knows_which_pictures_a_setting_affects(made_shop, config, count):
    if "source" in config:
        (made_shop.folder / "images").rename(made_shop.folder / "photos")
    (made_shop.folder / "config.yaml").write_text(yaml.safe_dump(config))
    certain, compared = planned(made_shop)
    assert (len(certain), compared) == (count, set())
    assert made_shop.run("-n").jobs == certain


# Orphans


def orphans(shop: Shop) -> set[str]:
    """Return the orphans in a shop."""
    with contextlib.chdir(shop.folder):
        return {os.path.relpath(path, "thumbnails") for path in find_orphans(open_history())}


def lose_two(shop: WarmShop) -> None:
    """Delete two of three sources."""
    for name in ("a.jpg", "sub/c.webp"):
        (shop.folder / "images" / name).unlink()


def test_orphans_are_listed_and_left_alone(made_shop):
    before = made_shop.files()
    lose_two(made_shop)
    run = made_shop.run("orphans")
    assert run.code == 0
    assert "thumbmill: orphans: 2 of 3 thumbnails, " in run.text
    assert (made_shop.folder / "logs/orphans.txt").read_text() == (
        "thumbnails/thumb/a.jpg\nthumbnails/thumb/sub/c.jpg\n"
    )
    assert made_shop.files() == before


def test_orphans_are_not_removed_if_they_are_many(made_shop):
    before = made_shop.files()
    lose_two(made_shop)
    run = made_shop.run("remove_orphans")
    assert run.code == 1
    assert run.last_lines[0].startswith("thumbmill: 2 of 3 thumbnails are orphans, more than a fifth: none was removed")
    assert "Traceback" not in run.text and "File " not in run.text
    assert made_shop.files() == before


def test_orphans_are_removed_with_their_empty_folders(made_shop):
    lose_two(made_shop)
    run = made_shop.run("remove_orphans", "--config", "allow_mass_removal=true")
    assert run.code == 0, run.text
    assert made_shop.files() == {"thumb/b.jpg"}
    assert not made_shop.thumbnail("sub").exists()


def test_what_a_killed_run_made_is_known_from_snakemakes_records(made_shop):
    """Its history was not written."""
    (history,) = made_shop.folder.glob(".snakemake/thumbmill/history-*.json")
    history.unlink()
    made_shop.thumbnail("b.jpg").write_text("somebody else's")
    assert made_shop.run().jobs == set()
    for name in ("a.jpg", "b.png"):
        (made_shop.folder / "images" / name).unlink()
    assert orphans(made_shop) == {"thumb/a.jpg"}


@pytest.mark.slow
def test_a_run_that_is_killed(made_shop):
    """Its thumbnails count as thumbmill's own as soon as a run has ended well."""
    more = [f"more/{number}.jpg" for number in range(40)]
    for name in more:
        made_shop.picture(name, size=(900, 900))
    made_shop.run(stop=(0.8, int(signal.SIGKILL)))
    assert made_shop.run().code == 0
    assert len(made_shop.files()) == 43
    shutil.rmtree(made_shop.folder / "images/more")
    assert orphans(made_shop) == {f"thumb/{name}" for name in more}
