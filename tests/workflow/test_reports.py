"""The targets manifest and gallery: when they are written, and when they are written again."""

import json
from typing import Any

import pytest

from tests.support.shop import Shop


def manifest(shop: Shop) -> dict[str, dict[str, Any]]:
    """Return the JSON file: source -> entry."""
    return {entry["source"]: entry for entry in json.loads((shop.folder / "manifest/manifest.json").read_text())}


def dates(shop: Shop) -> list[int]:
    """Return when the files of the reports were written."""
    files = ("manifest/manifest.json", "manifest/manifest.csv", "gallery/index.html", "gallery/data.js")
    return [(shop.folder / file).stat().st_mtime_ns for file in files]


def gallery(shop: Shop) -> dict[str, list[Any]]:
    """Return what the gallery knows: name -> picture."""
    text = (shop.folder / "gallery/data.js").read_text()
    data = json.loads(text.removeprefix("const GALLERY = ").removesuffix(";\n"))
    return {picture[0]: picture for *_, pictures in data["folders"] for picture in pictures}


@pytest.mark.slow
def test_reports_are_written_again_when_they_must_be_and_not_otherwise(made_shop):
    """They describe what is there though some pictures fail, and come after the run's own thumbnails."""
    shop = made_shop
    assert not (shop.folder / "manifest").exists() and not (shop.folder / "gallery").exists()
    assert not list((shop.folder / ".snakemake/thumbmill").glob("inventory*")), "though nobody asked for it"

    (shop.folder / "images/bad.jpg").write_text("no picture")
    assert shop.run("manifest", "gallery").code == 1
    assert set(manifest(shop)) == {"images/a.jpg", "images/b.png", "images/sub/c.webp"}
    assert gallery(shop)["bad.jpg"][8].startswith("unsupported"), "the reason, though the run has not ended"
    first = dates(shop)

    assert shop.run("manifest", "gallery").code == 1
    assert dates(shop) == first, "it fails as before"

    shop.picture("a.jpg", "yellow", size=(90, 90))
    shop.picture("bad.jpg")
    run = shop.run("manifest", "gallery")
    assert (run.code, run.jobs) == (0, {"a", "bad"})
    assert manifest(shop)["images/a.jpg"]["width"] == 90, "it comes after the thumbnail"
    assert [name for name, picture in gallery(shop).items() if picture[7]] == ["a.jpg", "bad.jpg"]
    second = dates(shop)
    assert all(after > before for before, after in zip(first, second, strict=True))

    assert "write_manifest" not in shop.run("manifest", "gallery").text
    (shop.folder / "images/b.png").unlink()
    shop.picture("a.jpg", "green", size=(70, 90))
    assert shop.run().jobs == {"a"}
    assert dates(shop) == second, "a run that does not ask for them does not write them"
    shop.run("manifest")
    assert manifest(shop)["images/a.jpg"]["width"] == 70, "a run that asks sees what others did"
    assert set(manifest(shop)) == {"images/a.jpg", "images/bad.jpg", "images/sub/c.webp"}


def test_a_report_is_written_although_some_pictures_fail(made_shop):
    (made_shop.folder / "images/bad.jpg").write_text("no picture")
    assert made_shop.run("manifest").code == 1
    assert set(manifest(made_shop)) == {"images/a.jpg", "images/b.png", "images/sub/c.webp"}
