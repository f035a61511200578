"""Names that Snakemake cannot write, through whole runs: percent-encoded, made once, and again when they change."""

import os

import pytest

from tests.support.shop import WarmShop

# Sources, and what Snakemake calls them.
WILDCARDS = {
    "plain.jpg": "plain",
    "{a}.jpg": "%7Ba%7D",
    "<b>.png": "%3Cb%3E",
    "line\nbreak.jpg": "line%0Abreak",
    "trailing .jpg": "trailing%20",
    "x" * 30 + ".jpg": "x" * 29 + "%78",
    "<d>/100%.png": "%3Cd%3E/100%",
    os.fsdecode(b"caf\xe9.jpg"): "caf%E9",
}


@pytest.fixture
def shop(warm_shop: WarmShop) -> WarmShop:
    """An empty shop whose runs start faster."""
    return warm_shop


@pytest.mark.parametrize("skip_unchanged", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_name_is_made_once_and_again_when_it_changes(shop, skip_unchanged):
    (shop.folder / "config.yaml").write_text(f"skip_unchanged: {str(skip_unchanged).lower()}\n")
    for name in WILDCARDS:
        shop.picture(name)

    first = shop.run()
    assert (first.code, first.jobs) == (0, set(WILDCARDS.values())), first.text
    assert shop.files("thumbnails/thumb") == {f"{wildcard}.jpg" for wildcard in WILDCARDS.values()}
    assert "Traceback" not in first.text

    source = shop.folder / "images/{a}.jpg"
    os.utime(source, ns=(1, source.stat().st_mtime_ns - 10**9))  # another file with an older date may be moved there
    for name in ("line\nbreak.jpg", "trailing .jpg"):
        shop.picture(name, "blue", (61, 40))
    second = shop.run()
    assert second.jobs == {"%7Ba%7D", "line%0Abreak", "trailing%20"}
    assert second.last_lines == [f"thumbmill: 3 made, {len(WILDCARDS) - 3} up to date, 0 failed"]


def test_a_name_that_is_too_long_fails_alone(shop):
    """With a kind of its own; the picture beside it is made."""
    shop.picture("a.jpg")
    name = "{" * 90 + ".png"  # three bytes for each brace when encoded
    shop.picture(name)
    run = shop.run()
    assert run.code == 1
    assert run.last_lines[0] == "thumbmill: 1 made, 0 up to date, 1 failed"
    assert shop.failure_kinds() == {f"images/{name}": "name-too-long"}
    assert shop.files() == {"thumb/a.jpg"}
