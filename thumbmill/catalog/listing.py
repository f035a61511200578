"""All pictures of a source, by what Snakemake calls them, and the checks that they can share an output folder."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from thumbmill.catalog.collisions import check_collisions
from thumbmill.catalog.exclusion import Exclusion
from thumbmill.catalog.layout import Layout
from thumbmill.catalog.picture import Picture, extensions_to_read
from thumbmill.catalog.store import Store
from thumbmill.errors import CatalogError
from thumbmill.progress import Counter
from thumbmill.text import printable


class Catalog:
    """The pictures of a catalogue, by wildcard, in a stable order."""

    def __init__(self, pictures: Iterable[Picture], settings: Mapping[str, Any]):
        self.settings = settings
        self.layout = Layout(settings)
        self.pictures = {self.layout.wildcard(picture.name): picture for picture in pictures}

    def __iter__(self) -> Iterator[str]:
        return iter(self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, wildcard: str) -> Picture:
        return self.pictures[wildcard]

    def source_path(self, wildcard: str) -> str:
        """Return the path of a picture's source."""
        return self.layout.source.path(self.pictures[wildcard].name)

    def display_name(self, wildcard: str) -> str:
        """Return what the user calls a picture: the path of its source, printable."""
        return printable(self.source_path(wildcard))

    def thumbnails(self, wildcard: str) -> list[str]:
        """Return the paths of a picture's thumbnails, as the user knows them."""
        return self.layout.thumbnails(self.pictures[wildcard].name)

    def outputs(self, wildcards: Iterable[str]) -> list[str]:
        """Return the thumbnails of these pictures, as Snakemake calls them."""
        return [path for wildcard in wildcards for path in self.layout.outputs(wildcard)]

    def input_of(self, wildcard: str) -> list[str]:
        """Return the input of a picture's job: its source, or nothing if that cannot be read or named.

        The job finds the source by its name, and fails alone if it cannot be made.
        """
        picture = self.pictures.get(wildcard)
        if picture is None:
            # Not in this catalogue: Snakemake reports the missing input, and for which thumbnail.
            return self.layout.as_input(self.layout.source.path(wildcard))
        if not picture.readable or self.layout.is_too_long(picture.name) or self.layout.forbidden_in(picture.name)[0]:
            return []
        return self.layout.as_input(self.source_path(wildcard))

    def identity(self, wildcard: str) -> tuple[str, int] | tuple[str, int, int] | None:
        """Return what distinguishes a picture from another in its place: name, size in bytes, and maybe its date.

        A parameter of each job, so that Snakemake's `params` trigger sees a replacement whose date is older. The date
        is part of it where the source is no input, so that Snakemake cannot compare dates.
        """
        picture = self.pictures.get(wildcard)
        if picture is None:
            return None
        if picture.readable and not self.input_of(wildcard):
            return picture.name, picture.bytes, picture.time
        return picture.name, picture.bytes


def list_catalog(settings: Mapping[str, Any]) -> Catalog:
    """Search the source for pictures, by extension.

    Raises CatalogError if the source is missing, cannot be listed, holds no picture, or two pictures would share a
    thumbnail.
    """
    layout = Layout(settings)
    excluded = [settings["output"], *(f"{settings['output']}/{size}" for size in settings["sizes"])]
    exclusion, extensions = Exclusion(settings["exclude"]), extensions_to_read(settings["read"])
    pictures = sorted(counted(layout.source.list_pictures(excluded, exclusion, extensions), layout.source))
    if not pictures:
        raise CatalogError(
            f"no pictures in the source folder {settings['source']!r}: "
            f"none of its files, apart from hidden and excluded ones, ends in {' '.join(sorted(extensions))}"
        )
    check_encoding(pictures, sys.getfilesystemencoding())
    check_collisions(pictures, layout)
    return Catalog(pictures, settings)


def counted(pictures: Iterable[Picture], source: Store) -> Iterator[Picture]:
    """Yield `pictures`, and report how many have been found."""
    found = Counter(f"listing {printable(source.location)}")
    for picture in pictures:
        found.step()
        yield picture


def check_encoding(pictures: Iterable[Picture], encoding: str) -> None:
    """Reject names that another run, with an ordinary locale, would call something else.

    Python takes the `encoding` of names from the locale. In UTF-8 names of any kind keep their bytes; in any other
    encoding those that are not ASCII would be other pictures to Snakemake's records, and what was made unknown.

    Raises CatalogError.
    """
    if encoding.lower() == "utf-8":
        return
    for picture in pictures:
        if not picture.name.isascii():
            name = os.fsencode(picture.name).decode(errors="surrogateescape")
            raise CatalogError(
                f"the locale says that file names are in {encoding}, so {printable(name)} would count as another "
                "picture than in UTF-8: run the same command with PYTHONUTF8=1 in the environment"
            )
