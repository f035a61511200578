"""A picture in the place of another, neither newer nor of another size, through whole runs: Snakemake itself agrees."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.support.shop import WarmShop

LONG_AGO = 10**18  # 2001, in nanoseconds since the epoch


@pytest.fixture(scope="module")
def template(tmp_path_factory, warm_snakemake) -> Path:
    """A folder in which three pictures of the same size and date were made."""
    shop = WarmShop(tmp_path_factory.mktemp("template"), warm_snakemake)
    for name, colour in (("a.bmp", "red"), ("b.bmp", "lime"), ("sub/c.bmp", "blue")):
        draw(shop, name, colour)
    assert shop.run().jobs == {"a", "b", "sub/c"}
    return shop.folder


@pytest.fixture
def shop(template, tmp_path, warm_snakemake) -> WarmShop:
    """A copy of it: all inodes are others, and have changed now."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return WarmShop(tmp_path, warm_snakemake)


def draw(shop: WarmShop, name: str, colour: str) -> None:
    """Draw a picture with an old date."""
    os.utime(shop.picture(name, colour), ns=(LONG_AGO, LONG_AGO))


def swap(shop: WarmShop) -> None:
    """Let a.bmp and b.bmp change places."""
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        (shop.folder / f"images/{old}.bmp").rename(shop.folder / f"images/{new}.bmp")


def colour(shop: WarmShop, name: str) -> str:
    """Return the colour of a thumbnail."""
    with Image.open(shop.thumbnail(f"{name}.jpg")) as image:
        return ("red", "lime", "blue")[max(range(3), key=image.getpixel((0, 0)).__getitem__)]


def nothing_is_left_to_do(shop: WarmShop, *more: tuple[str, ...]) -> bool:
    """Whether a run would make nothing, with skipping, without, and with `more` arguments."""
    for arguments in ((), ("--config", "skip_unchanged=false"), *more):
        run = shop.run("-n", *arguments)
        assert (run.code, run.jobs) == (0, set()), (arguments, run.text)
    return True


def test_a_swap_is_noticed_once(shop):
    """By a plain run, and then by no other."""
    swap(shop)
    assert shop.run("-n", "--config", "skip_unchanged=false").jobs == {"a", "b"}
    run = shop.run()
    assert (run.code, run.jobs) == (0, {"a", "b"}), run.text
    assert (colour(shop, "a"), colour(shop, "b")) == ("lime", "red")
    assert nothing_is_left_to_do(shop, ("--workflow-profile", "none", "--rerun-triggers", "mtime", "params", "input"))
    assert not list(shop.folder.glob(".snakemake/thumbmill/*digests*"))


@pytest.mark.slow
def test_a_swap_is_noticed_without_our_executor_and_back_with_it(shop):
    swap(shop)
    triggers = ("--rerun-triggers", "mtime", "params", "input")
    assert shop.run("--workflow-profile", "none", *triggers).code == 0
    assert (colour(shop, "a"), colour(shop, "b")) == ("lime", "red")
    assert nothing_is_left_to_do(shop)
    swap(shop)
    assert shop.run().jobs == {"a", "b"}
    assert (colour(shop, "a"), colour(shop, "b")) == ("red", "lime")
    assert nothing_is_left_to_do(shop, ("--workflow-profile", "none", *triggers))


def test_a_copy_of_everything_has_nothing_to_do(shop):
    assert nothing_is_left_to_do(shop)
    assert shop.run().last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]
    assert nothing_is_left_to_do(shop)


@pytest.mark.slow
def test_a_replaced_picture_that_fails_is_tried_again(shop):
    """Its old thumbnail is gone."""
    path = shop.folder / "images/a.bmp"
    path.write_bytes(os.urandom(path.stat().st_size))
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    for _ in range(2):
        run = shop.run()
        assert (run.code, run.jobs) == (1, {"a"}), run.text
    assert not shop.thumbnail("a.jpg").exists()
    draw(shop, "a.bmp", "blue")
    assert shop.run().jobs == {"a"} and colour(shop, "a") == "blue"
    assert nothing_is_left_to_do(shop)


@pytest.mark.slow
def test_a_shard_notices_a_swap(shop):
    swap(shop)
    run = shop.run("--set-resources", "shard:pictures=2")
    assert run.code == 0 and "2 made, 1 up to date" in run.text, run.text
    assert (colour(shop, "a"), colour(shop, "b")) == ("lime", "red")
    assert nothing_is_left_to_do(shop)


def test_plan_and_forecast_count_a_replaced_picture(shop):
    swap(shop)
    assert "2 changed" in shop.run("plan").text
    assert "content" in shop.run("-n").text
