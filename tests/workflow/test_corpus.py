"""Real and malformed pictures through the whole workflow: set THUMBMILL_CORPUS to a folder of them."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.support.shop import Shop
from thumbmill.catalog.layout import encode_wildcard
from thumbmill.catalog.picture import is_picture_name
from thumbmill.text import printable

CORPUS = os.environ.get("THUMBMILL_CORPUS", "")


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS, reason="THUMBMILL_CORPUS names no folder of pictures")
def test_every_file_is_a_whole_thumbnail_or_a_line_in_the_failures(tmp_path):
    shop = Shop(tmp_path)
    (tmp_path / "images").symlink_to(Path(CORPUS).resolve())
    names = {
        name
        for name in (path.relative_to(CORPUS).as_posix() for path in Path(CORPUS).rglob("*") if path.is_file())
        if is_picture_name(name) and "/." not in f"/{name}"
    }

    run = shop.run("--config", "keep_extension=true")

    made = {name for name in names if shop.thumbnail(f"{encode_wildcard(name)}.jpg").exists()}
    failed = {source.removeprefix("images/") for source in shop.failures()}
    assert shop.files("thumbnails/thumb") == {f"{encode_wildcard(name)}.jpg" for name in made}
    assert failed == {printable(name) for name in names - made}
    for name in made:
        with Image.open(shop.thumbnail(f"{encode_wildcard(name)}.jpg")) as thumbnail:
            thumbnail.load()
    assert run.code == (1 if failed else 0)
    print(f"{len(names)} files: {len(made)} thumbnails, {len(failed)} failures")
