"""A source folder for tests of the catalogue, in the current directory, and what a listing finds in it."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.settings import settings
from thumbmill.catalog.listing import Catalog, list_catalog
from thumbmill.errors import CatalogError

NOBODY = 65534


def put(*names: str | bytes, below: str = "images") -> None:
    """Create files of one byte (a listing does not look into them) and the folders that they are in."""
    for name in names:
        path = os.path.join(below, os.fsdecode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")


def listed(**config: Any) -> Catalog:
    """Return the catalogue under the settings `config`."""
    return list_catalog(settings(**config))


def names(**config: Any) -> list[str]:
    """Return the paths of the catalogue's pictures below the source folder."""
    return [picture.name for picture in listed(**config).pictures.values()]


def all_thumbnails(catalog: Catalog) -> list[str]:
    """Return the paths of all thumbnails of a catalogue, in its order."""
    return [path for wildcard in catalog for path in catalog.thumbnails(wildcard)]


def refusal(**config: Any) -> str:
    """Return why the catalogue cannot be used; fail if it can."""
    with pytest.raises(CatalogError) as caught:
        listed(**config)
    return str(caught.value)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, since root may read everything."""
    settings()  # imports and reads what nobody may not
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
