"""The manifest: what it tells, and when it is written again."""

import csv
import json
import os
import urllib.parse

import pytest
from PIL import Image

from scripts.inventory import blurhash
from scripts.manifest import srcset

ODD = ["a b.jpg", "50% #1?.jpg", "<script>'\"&.jpg", "{x}.jpg", "two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg"), "ü,.jpg"]


@pytest.fixture
def shop(warm_shop):
    return warm_shop


def manifest(shop) -> dict[str, dict]:
    """The JSON file: source to what is told of it."""
    return {entry["source"]: entry for entry in json.loads((shop.folder / "manifest/manifest.json").read_text())}


def written(shop) -> tuple[int, int]:
    """When the two files were written."""
    return tuple((shop.folder / f"manifest/manifest.{kind}").stat().st_mtime_ns for kind in ("json", "csv"))


def test_what_it_tells(shop):
    shop.picture("sub/wide.png", size=(600, 300))
    turned = Image.new("RGB", (80, 20), "blue")
    exif = turned.getexif()
    exif[0x0112] = 6  # a quarter turn
    turned.save(shop.folder / "images/turned.jpg", exif=exif)
    (shop.folder / "two.yaml").write_text("sizes: {large: {width: 500, height: 500}}\nformat: [webp, jpeg]\n")
    assert shop.run("manifest", "--configfile", "two.yaml").code == 0
    told = manifest(shop)
    assert list(told) == ["images/sub/wide.png", "images/turned.jpg"]
    assert (told["images/turned.jpg"]["width"], told["images/turned.jpg"]["height"]) == (20, 80), "upright"
    wide = told["images/sub/wide.png"]
    assert (wide["width"], wide["height"]) == (600, 300)
    assert wide["srcset"] == {
        "webp": "thumb/sub/wide.webp 256w, large/sub/wide.webp 500w",
        "jpeg": "thumb/sub/wide.jpg 256w, large/sub/wide.jpg 500w",
    }
    for thumbnail in wide["thumbnails"]:
        path = shop.folder / thumbnail["path"]
        assert path.stat().st_size == thumbnail["bytes"]
        with Image.open(path) as image:
            assert image.size == (thumbnail["width"], thumbnail["height"])
            assert image.format.lower() == thumbnail["format"]
    with open(shop.folder / "manifest/manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {(row["path"], int(row["width"]), int(row["bytes"])) for row in rows} == {
        (thumbnail["path"], thumbnail["width"], thumbnail["bytes"])
        for entry in told.values()
        for thumbnail in entry["thumbnails"]
    }


def test_urls_lead_to_files_whatever_their_names(shop):
    for name in ODD:
        shop.picture(name)
    assert shop.run("manifest").code == 0
    urls = [thumbnail["url"] for entry in manifest(shop).values() for thumbnail in entry["thumbnails"]]
    assert len(urls) == len(ODD)
    for url in urls:
        assert not set(url) & set(" \n?#<>\"'{},")
        assert os.path.exists(os.path.join(os.fsencode(shop.folder), b"thumbnails", urllib.parse.unquote_to_bytes(url)))


def test_srcset_names_each_width_once():
    thumbnails = [
        {"format": "jpeg", "url": "b", "width": 200},
        {"format": "jpeg", "url": "a", "width": 100},
        {"format": "jpeg", "url": "c", "width": 200},
        {"format": "webp", "url": "d", "width": 50},
    ]
    assert srcset(thumbnails, "jpeg") == "a 100w, b 200w"


def test_it_is_written_again_when_it_must_be_and_not_otherwise(small_shop):
    assert small_shop.run("manifest").code == 0
    first = written(small_shop)
    again = small_shop.run("manifest")
    assert written(small_shop) == first, "nothing has changed"
    assert "write_manifest" not in again.text
    small_shop.picture("a.jpg", "yellow", size=(90, 90))
    changed = small_shop.run("manifest")
    assert changed.jobs == {"a"}
    assert manifest(small_shop)["images/a.jpg"]["width"] == 90, "it comes after the thumbnail"
    second = written(small_shop)
    assert second > first
    small_shop.run("manifest")
    assert written(small_shop) == second
    (small_shop.folder / "images/b.png").unlink()
    small_shop.run("manifest")
    assert set(manifest(small_shop)) == {"images/a.jpg", "images/sub/c.webp"}
    third = written(small_shop)
    small_shop.picture("a.jpg", "green", size=(70, 90))
    assert small_shop.run().jobs == {"a"}
    assert written(small_shop) == third, "a run that does not ask for it does not write it"
    small_shop.run("manifest")
    assert manifest(small_shop)["images/a.jpg"]["width"] == 70, "a run that does ask sees what others did"


def test_a_failure_does_not_keep_it_from_being_written(small_shop):
    bad = small_shop.folder / "images/bad.jpg"
    bad.write_text("no picture")
    assert small_shop.run("manifest").code == 1
    assert set(manifest(small_shop)) == {"images/a.jpg", "images/b.png", "images/sub/c.webp"}
    first = written(small_shop)
    assert small_shop.run("manifest").code == 1
    assert written(small_shop) == first, "it fails as before"
    small_shop.picture("bad.jpg")
    assert small_shop.run("manifest").code == 0
    assert "images/bad.jpg" in manifest(small_shop)


def test_nothing_of_it_in_a_run_that_did_not_ask(small_shop):
    small_shop.run()
    assert not (small_shop.folder / "manifest").exists()
    assert not (small_shop.folder / "gallery").exists()
    assert not list((small_shop.folder / ".snakemake/thumbmill").glob("inventory*"))


def test_what_was_read_once_is_not_read_again(small_shop, monkeypatch):
    small_shop.run("manifest")
    source = small_shop.folder / "images/a.jpg"
    status = source.stat()
    source.write_bytes(b"x" * status.st_size)  # nobody can tell
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    (small_shop.folder / "manifest/manifest.json").unlink()
    small_shop.run("manifest")
    assert manifest(small_shop)["images/a.jpg"]["width"] == 60


def test_blurhash(small_shop):
    pytest.importorskip("blurhash", reason="the extra `blurhash` is not installed")
    assert small_shop.run("manifest").code == 0
    first = written(small_shop)
    assert "blurhash" not in manifest(small_shop)["images/a.jpg"]
    run = small_shop.run("manifest", "--config", "placeholder=blurhash")
    assert run.code == 0
    assert run.jobs == set(), "no thumbnail depends on it"
    assert written(small_shop) > first
    assert len(manifest(small_shop)["images/a.jpg"]["blurhash"]) == 28
    red = Image.new("RGB", (50, 50), "red")
    assert blurhash(red) == blurhash(Image.new("RGBA", (9, 30), (255, 0, 0, 255)))
    assert blurhash(Image.new("RGBA", (50, 50), (0, 0, 0, 0))) == blurhash(Image.new("RGB", (50, 50), "white"))
