"""The plan: what it counts is what the next run does, and what that comes to."""

import contextlib
import os
from types import SimpleNamespace

import pytest
import yaml

from scripts.plan import Cost, cost, duration, in_words, make_plan, outlook, tell_plan
from scripts.report import FAILURES, read_failures
from tests.conftest import WarmShop
from tests.test_leaving_out import configure, history

LONG_AGO = 946_684_800  # 1 January 2000, seconds since the epoch
PICTURES = ("a.png", "b.png", "sub/c.png", "{x}.png")


@pytest.fixture
def shop(tmp_path, warm_snakemake):
    """A shop with four pictures, one of them with an odd name, and a broken one, after a run."""
    shop = WarmShop(tmp_path, warm_snakemake)
    for name in PICTURES:
        shop.picture(name)
    (shop.folder / "images/bad.png").write_text("no picture")
    assert shop.run().code == 1
    return shop


def plan(shop, **config) -> dict[str, set[str]]:
    """The plan: field -> pictures that belong there, by their names."""
    with contextlib.chdir(shop.folder):
        known = history(shop, **config)
        made = make_plan(known.catalogue, known, read_failures(FAILURES))
        return {
            field: {known.catalogue.pictures[wildcard].name for wildcard in wildcards}
            for field, wildcards in made._asdict().items()
            if wildcards
        }


def jobs(shop) -> set[str]:
    """The pictures that the next run makes, by their names without extension."""
    run = shop.run("-n")
    return {job if len(job) < 32 else "{x}" for job in run.jobs}


def nothing(shop):
    return {}


def a_new_one(shop):
    shop.picture("new.png")
    return {"new": {"new.png"}}


def an_older_one_in_its_place(shop):
    os.utime(shop.picture("a.png", "blue", (100, 90)), (LONG_AGO, LONG_AGO))
    return {"changed": {"a.png"}}


def an_odd_one_in_its_place(shop):
    os.utime(shop.picture("{x}.png", "blue", (100, 90)), (LONG_AGO, LONG_AGO))
    return {"changed": {"{x}.png"}}


def a_lost_thumbnail(shop):
    shop.thumbnail("a.jpg").unlink()
    return {"changed": {"a.png"}}


def another_extension(shop):
    (shop.folder / "images/a.png").rename(shop.folder / "images/a.bmp")
    return {"changed": {"a.bmp"}}


def another_source_folder(shop):
    (shop.folder / "images").rename(shop.folder / "photos")
    configure(shop, source="photos")
    # Stand-ins keep their names, so that those pictures are not made again; the plan cannot tell.
    (shop.folder / "photos/{x}.png").unlink()
    # Failures are listed by their paths.
    return {"changed": {"a.png", "b.png", "sub/c.png"}, "new": {"bad.png"}, "failed": set()}


def another_quality(shop):
    configure(shop, quality={"jpeg": 20})
    return {"changed": set(PICTURES)}


def another_size(shop):
    configure(shop, sizes={"thumb": {"width": 256, "height": 256}, "more": {"width": 9, "height": 9}})
    return {"changed": set(PICTURES)}


def a_background_that_none_shows(shop):
    configure(shop, background="black")
    return {}


CHANGES = [
    nothing,
    a_new_one,
    an_older_one_in_its_place,
    an_odd_one_in_its_place,
    a_lost_thumbnail,
    another_extension,
    another_source_folder,
    another_quality,
    another_size,
    a_background_that_none_shows,
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_plan_is_what_the_next_run_does(shop, change):
    expected = {"failed": {"bad.png"}} | change(shop)
    path = shop.folder / "config.yaml"
    config = yaml.safe_load(path.read_text()) if path.exists() else {}
    found = plan(shop, **config)
    current = found.pop("current", set())
    assert found == {field: names for field, names in expected.items() if names}
    to_make = set().union(*found.values())
    assert jobs(shop) == {os.path.splitext(name)[0] for name in to_make}
    assert not current & to_make


def test_a_touched_picture_is_for_snakemake_to_compare(shop):
    """The plan does not read pictures: it says so."""
    shop.picture("d.bmp", "red")
    shop.run()
    os.utime(shop.folder / "images/a.png")
    shop.picture("d.bmp", "blue")  # as many bytes as before
    assert plan(shop)["touched"] == {"a.png", "d.bmp"}
    assert jobs(shop) == {"d", "bad"}


def test_a_picture_that_can_no_longer_be_read(shop, monkeypatch):
    # The superuser may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(os.stat(path).st_mode & 0o400))
    (shop.folder / "images/a.png").chmod(0)
    assert plan(shop)["changed"] == {"a.png"}


def test_before_the_first_run_a_sample_is_tried(tmp_path, warm_snakemake):
    shop = WarmShop(tmp_path, warm_snakemake)
    for number in range(30):
        shop.picture(f"{number}.png", size=(300, 200))
    with contextlib.chdir(shop.folder):
        known = history(shop)
        wildcards = list(known.catalogue.pictures)
        each = cost(wildcards, known.catalogue, known)
    assert each.measured == "on one core, tried on 12 of them"
    shop.run()
    sizes = [shop.thumbnail(f"{number}.jpg").stat().st_size for number in range(30)]
    assert each.bytes == sum(sizes) / 30  # they are all alike
    assert each.seconds > 0


def test_pictures_that_cannot_be_read_have_no_cost(tmp_path, warm_snakemake):
    shop = WarmShop(tmp_path, warm_snakemake)
    shop.picture("a.png")
    (shop.folder / "images/a.png").write_text("no picture")
    with contextlib.chdir(shop.folder):
        known = history(shop)
        assert cost(["a"], known.catalogue, known) == Cost(0, 0, "unknown: none of those that were tried can be read")


@pytest.mark.parametrize(
    ("runs", "pictures", "expected"),
    [
        ({"1": [4, 2.0]}, 4, 0.5),
        ({"1": [4, 2.0]}, 40, 0.5),
        ({"1": [4, 2.0]}, 41, None),  # two seconds were Snakemake's start: that says nothing of many
        ({"1": [4, 2.0], "1000": [2000, 20.0]}, 8, 0.5),
        ({"1": [4, 2.0], "1000": [2000, 20.0]}, 1000, 0.01),
        ({"1": [4, 2.0], "1000": [2000, 20.0]}, 20_000, 0.01),
        ({}, 4, None),
    ],
)
def test_the_time_is_that_of_a_run_of_the_kind(shop, runs, pictures, expected):
    with contextlib.chdir(shop.folder):
        known = history(shop)
        known.known = known.known._replace(runs=runs)
        each = cost(["a"] * pictures, known.catalogue, known)
        if expected is None:
            assert each.measured == f"on one core, tried on {min(12, pictures)} of them"
        else:
            assert each.seconds == pytest.approx(expected)
        assert each.bytes == shop.thumbnail("a.jpg").stat().st_size


def disk(blocks, files=0, free_files=0):
    """A disk with so many free blocks of 4,096 bytes; `files` 0 where the file system has no limit."""
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
def test_room(monkeypatch, statvfs, enough):
    """For each thumbnail its bytes and half a block, a block for Snakemake's record, and an inode for each of both."""
    monkeypatch.setattr(os, "statvfs", statvfs)
    files, time, room = outlook(1000, 2, Cost(1_929, 0.05, "as measured"), {"output": "nowhere/at/all"})
    assert files == "  to be written: 2,000 thumbnails, 1.9 MB"
    assert time == "  time: 50 s (as measured)"
    assert room.startswith("  room: 14.2 MB needed, ")
    assert room.endswith("NOT ENOUGH") == (not enough)


def test_it_is_told_and_written(shop, capsys):
    with contextlib.chdir(shop.folder):
        known = history(shop)
        tell_plan(known.catalogue, known, "logs/plan.txt")
    text = capsys.readouterr().out
    assert text.splitlines()[:5] == [
        "thumbmill: 5 pictures in images",
        "  0 new",
        "  0 changed, or their settings did, or they lack a thumbnail",
        "  1 failed last time",
        "  4 up to date",
    ]
    assert "  to be written: 1 thumbnails, " in text
    assert (shop.folder / "logs/plan.txt").read_text() == text


def test_by_snakemake(shop):
    run = shop.run("plan")
    assert run.code == 0 and not run.jobs
    assert "thumbmill: 5 pictures in images" in run.text and "  1 failed last time" in run.text


@pytest.mark.parametrize(
    ("bytes", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (123_456, "123 kB"),
        (2e13, "20.0 TB"),
    ],
)
def test_bytes_in_words(bytes, expected):
    assert in_words(bytes) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "1 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3_600, "1 h 0 min"), (200_000, "55 h 33 min")],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected
