"""Fixtures that all tests share."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shop import Shop, WarmShop
from tests.support.warm_snakemake import WarmSnakemake

# A shell starts what it runs in the background with SIGINT ignored, and the runs that are interrupted inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def warm_snakemake() -> Iterator[WarmSnakemake]:
    """The process behind every WarmShop."""
    process = WarmSnakemake()
    yield process
    process.close()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty shop."""
    (tmp_path / "images").mkdir()
    return Shop(tmp_path)


@pytest.fixture
def warm_shop(tmp_path: Path, warm_snakemake: WarmSnakemake) -> WarmShop:
    """An empty shop whose runs start faster, for modules with many of them: these call it `shop`."""
    (tmp_path / "images").mkdir()
    return WarmShop(tmp_path, warm_snakemake)


@pytest.fixture
def small_shop(shop: Shop) -> Shop:
    """A shop with three pictures: a.jpg, b.png, sub/c.webp."""
    shop.picture("a.jpg", "red")
    shop.picture("b.png", "green")
    shop.picture("sub/c.webp", "blue")
    return shop


@pytest.fixture(scope="session")
def made_template(tmp_path_factory: pytest.TempPathFactory, warm_snakemake: WarmSnakemake) -> Path:
    """A folder in which a run has made three pictures: a.jpg, b.png, sub/c.webp."""
    shop = WarmShop(tmp_path_factory.mktemp("made"), warm_snakemake)
    for name, colour in (("a.jpg", "red"), ("b.png", "green"), ("sub/c.webp", "blue")):
        shop.picture(name, colour)
    assert shop.run().code == 0
    return shop.folder


@pytest.fixture
def made_shop(made_template: Path, tmp_path: Path, warm_snakemake: WarmSnakemake) -> WarmShop:
    """A shop with three pictures, as the first run has left it. Takes no run of its own."""
    shutil.copytree(made_template, tmp_path, dirs_exist_ok=True)  # with the dates
    return WarmShop(tmp_path, warm_snakemake)
