"""The manifest: what it says of each picture."""

import csv
import json
import os
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.runs import make
from tests.support.session import open_session
from thumbmill.reports.manifest import make_manifest, srcset

UNUSUAL = [
    "a b.jpg",
    "50% #1?.jpg",
    "<script>'\"&.jpg",
    "{x}.jpg",
    "two\nlines.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "ü,.jpg",
]


@pytest.fixture(autouse=True)
def in_a_folder(folder: Path) -> None:
    """Each test has a working directory of its own."""


def draw(name: str, size: tuple[int, int] = (60, 40)) -> None:
    """Draw a source."""
    path = Path("images", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(path)


def manifest(**config: Any) -> dict[str, dict[str, Any]]:
    """Make thumbnails and the manifest; return the JSON file: source -> entry."""
    make(**config)
    os.makedirs("manifest", exist_ok=True)
    make_manifest(open_session(**config), ["manifest/manifest.json", "manifest/manifest.csv"])
    return {entry["source"]: entry for entry in json.loads(Path("manifest/manifest.json").read_text())}


def test_it_describes_sources_and_thumbnails(capsys):
    """As JSON and as CSV."""
    draw("sub/wide.png", (600, 300))
    Path("images/bad.jpg").write_text("no picture")
    turned = Image.new("RGB", (80, 20), "blue")
    exif = turned.getexif()
    exif[0x0112] = 6  # a quarter turn
    turned.save("images/turned.jpg", exif=exif)
    sizes = {"thumb": {"width": 256, "height": 256}, "large": {"width": 500, "height": 500}}
    entries = manifest(sizes=sizes, format=["webp", "jpeg"])
    line = "thumbmill: 2 pictures, 8 thumbnails in manifest/manifest.json and manifest/manifest.csv\n"
    assert capsys.readouterr().out == line

    assert list(entries) == ["images/sub/wide.png", "images/turned.jpg"]
    assert (entries["images/turned.jpg"]["width"], entries["images/turned.jpg"]["height"]) == (20, 80), "upright"
    wide = entries["images/sub/wide.png"]
    assert (wide["width"], wide["height"]) == (600, 300)
    assert wide["srcset"] == {
        "webp": "thumb/sub/wide.webp 256w, large/sub/wide.webp 500w",
        "jpeg": "thumb/sub/wide.jpg 256w, large/sub/wide.jpg 500w",
    }
    for thumbnail in wide["thumbnails"]:
        assert os.stat(thumbnail["path"]).st_size == thumbnail["bytes"]
        with Image.open(thumbnail["path"]) as image:
            assert image.size == (thumbnail["width"], thumbnail["height"])
            assert image.format.lower() == thumbnail["format"]

    with open("manifest/manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {(row["path"], int(row["width"]), int(row["bytes"])) for row in rows} == {
        (thumbnail["path"], thumbnail["width"], thumbnail["bytes"])
        for entry in entries.values()
        for thumbnail in entry["thumbnails"]
    }
    assert {row["blurhash"] for row in rows} == {""}


def test_urls_lead_to_files_whatever_their_names():
    for name in UNUSUAL:
        draw(name)
    urls = [thumbnail["url"] for entry in manifest().values() for thumbnail in entry["thumbnails"]]
    assert len(urls) == len(UNUSUAL)
    for url in urls:
        assert not set(url) & set(" \n?#<>\"'{},")
        assert os.path.exists(os.path.join(b"thumbnails", urllib.parse.unquote_to_bytes(url)))


def test_srcset_names_each_width_once():
    thumbnails = [
        {"format": "jpeg", "url": "b", "width": 200},
        {"format": "jpeg", "url": "a", "width": 100},
        {"format": "jpeg", "url": "c", "width": 200},
        {"format": "webp", "url": "d", "width": 50},
    ]
    assert srcset(thumbnails, "jpeg") == "a 100w, b 200w"


def test_placeholder_is_in_both_files():
    pytest.importorskip("blurhash", reason="the extra `blurhash` is not installed")
    draw("a.jpg")
    entry = manifest(placeholder="blurhash")["images/a.jpg"]
    assert len(entry["blurhash"]) == 28
    with open("manifest/manifest.csv", newline="") as file:
        assert [row["blurhash"] for row in csv.DictReader(file)] == [entry["blurhash"]]
