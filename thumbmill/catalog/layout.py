"""From a picture's name to the paths of its thumbnails, and to what Snakemake calls it.

A picture's wildcard is its path below the source folder, without its extension unless `keep_extension`. What Snakemake
cannot write in a path is percent-encoded: the thumbnail of `{a}.jpg` is `%7Ba%7D.jpg`.
"""

import functools
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from thumbmill.catalog.file_names import UNUSUAL, forbidden_in
from thumbmill.catalog.store import open_store, percent_encode
from thumbmill.imaging.encode import FORMATS
from thumbmill.imaging.geometry import Size

# Snakemake reads {x} in a path as a wildcard and <x> as a path variable, wherever they occur, and has no escape for
# them; its patterns stop at line breaks, and its records hold one path on each line, in UTF-8.
FORBIDDEN = re.compile(r"[{}<>\x00-\x1f\x7f\ud800-\udfff]")

# What a wildcard cannot hold: that, and the empty parts that keys of object storage may have, which a path would lose.
FORBIDDEN_IN_WILDCARD = re.compile(rf"{FORBIDDEN.pattern}|(?<=/)/|^/")

# Snakemake rejects a wildcard that ends in the same text 20 times or more (io.PeriodicityDetector), as in "aaa...a".
REPEATED = re.compile(r"(.+?)\1{19}$")

MAX_NAME_BYTES = 255  # in one part of a path (NAME_MAX of every common file system)
LOG_EXTENSION = ".log"

# The settings that decide where files lie.
LAYOUT_KEYS = ("source", "output", "sizes", "format", "keep_extension")


class Rendition(NamedTuple):
    """One thumbnail that every picture gets."""

    name: str  # of the size
    size: Size
    format: str


def renditions(settings: Mapping[str, Any]) -> list[Rendition]:
    """Return what is made of each picture, in the order of every list of thumbnails in thumbmill."""
    return [
        Rendition(name, size, format)
        for name, size in settings["sizes"].items()
        for format in size.get("format", settings["format"])
    ]


def layout_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that decide where files lie."""
    return {key: settings[key] for key in LAYOUT_KEYS}


class Layout:
    """Where the pictures of a catalogue and their thumbnails belong, by its settings."""

    def __init__(self, settings: Mapping[str, Any]):
        self.settings = settings
        self.source = open_store(settings["source"])
        self.output = open_store(settings["output"])
        self.renditions = renditions(settings)
        self._longest_extension = max(len(FORMATS[rendition.format].extension) for rendition in self.renditions)

    def stem(self, name: str) -> str:
        """Return the path of a thumbnail below its size's folder, without its format's extension."""
        stem = name if self.settings["keep_extension"] else os.path.splitext(name)[0]
        return encode_wildcard(stem)

    def wildcard(self, name: str) -> str:
        """Return what Snakemake calls the picture `name`.

        A name that no file can have here gets a digest, since its job has to fail alone, with a log.
        """
        stem = self.stem(name)
        if self._is_too_long(stem) or self._forbidden_in(stem)[0]:
            return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
        # The storage plugin decodes the query once.
        return stem.replace("%", "%25") if self.output.is_remote else stem

    def is_too_long(self, name: str) -> bool:
        """Whether no file can be named after the picture `name`."""
        return self._is_too_long(self.stem(name))

    def forbidden_in(self, name: str) -> tuple[str, str]:
        """Return what in a picture's name a file system does not allow, and the folder in which; ("", "") if nothing.

        The folders are the output and the working directory ("."), which has the logs, and copies of objects.
        """
        return self._forbidden_in(self.stem(name))

    def _forbidden_in(self, stem: str) -> tuple[str, str]:
        if UNUSUAL.search(stem):  # as hardly any name is
            for folder in (".",) if self.output.is_remote else (self.output.location, "."):
                if found := forbidden_in(f"{stem}{LOG_EXTENSION}", folder):
                    return found, folder
        return "", ""

    def _is_too_long(self, stem: str) -> bool:
        if len(stem) < 60:
            return False  # of at most four bytes each: no part of it is near the limit
        longest = max(len(os.fsencode(part)) for part in stem.split("/"))
        return longest + max(self._longest_extension, len(LOG_EXTENSION)) > MAX_NAME_BYTES

    def thumbnails(self, name: str) -> list[str]:
        """Return the paths of the thumbnails of the picture `name`, as the user knows them."""
        stem = self.stem(name)
        return [f"{folder}/{stem}{extension}" for folder, extension in self._folders]

    @functools.cached_property
    def patterns(self) -> list[str]:
        """The outputs of the rule: one pattern with the wildcard {picture} for each rendition."""
        return [f"{self.output.snakemake_path(folder)}/{{picture}}{extension}" for folder, extension in self._folders]

    @functools.cached_property
    def _folders(self) -> list[tuple[str, str]]:
        """(folder, extension) of each rendition's thumbnails."""
        return [(self.output.path(kind.name), FORMATS[kind.format].extension) for kind in self.renditions]

    def outputs(self, wildcard: str) -> list[str]:
        """Return the thumbnails of the picture that Snakemake calls `wildcard`, as it calls them."""
        return [pattern.replace("{picture}", wildcard) for pattern in self.patterns]

    def as_input(self, path: str) -> list[str]:
        """Return the input of the job whose source is at `path`: nothing if Snakemake cannot write that."""
        query = self.source.snakemake_path(path)
        return [] if FORBIDDEN.search(query) else [query]


def encode_wildcard(stem: str) -> str:
    """Return `stem` with %XX for what Snakemake cannot write in a path."""
    stem = FORBIDDEN_IN_WILDCARD.sub(lambda match: percent_encode(match[0]), stem)
    if stem.endswith((" ", "/")) or (stem and stem.count(stem[-1]) >= 20 and REPEATED.search(stem)):
        stem = stem[:-1] + percent_encode(stem[-1])
    return stem


def extensions(kinds: Iterable[Rendition]) -> list[str]:
    """Return the extensions of these renditions, each once, sorted."""
    return sorted({FORMATS[kind.format].extension for kind in kinds})
