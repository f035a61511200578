"""Real and malformed pictures through the whole workflow, where they are: set THUMBMILL_CORPUS to their folder."""

import os
from pathlib import Path

import pytest
from PIL import Image

from scripts.catalogue import EXTENSIONS
from tests.conftest import Shop

CORPUS = os.environ.get("THUMBMILL_CORPUS", "")


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS, reason="THUMBMILL_CORPUS names no folder of pictures")
def test_every_file_is_a_whole_thumbnail_or_a_line_in_the_failures(tmp_path):
    shop = Shop(tmp_path)
    (tmp_path / "images").symlink_to(Path(CORPUS).resolve())
    names = {
        name
        for name in (path.relative_to(CORPUS).as_posix() for path in Path(CORPUS).rglob("*") if path.is_file())
        if os.path.splitext(name)[1].lower() in EXTENSIONS and "/." not in f"/{name}"
    }

    run = shop.run("--config", "keep_extension=true")

    failed = {source.removeprefix("images/") for source in shop.failures()}
    made = {name.removesuffix(".jpg") for name in shop.files("thumbnails/thumb")}
    assert made | failed == names
    assert not made & failed
    for name in made:
        with Image.open(shop.thumbnail(f"{name}.jpg")) as thumbnail:
            thumbnail.load()
    assert run.code == (1 if failed else 0)
    print(f"{len(names)} files: {len(made)} thumbnails, {len(failed)} failures")
