"""What there is: the width and height of each picture and thumbnail, and what else a page needs to know of them.

Reading it from 100,000 pictures takes a minute. So what was read is cached in a file, with the stamp of the file that
it was read from, and only what has changed is read again.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image

from thumbmill import failures
from thumbmill.catalog.history_file import STATE_FOLDER, history_path
from thumbmill.catalog.layout import Layout
from thumbmill.catalog.listing import Catalog
from thumbmill.catalog.picture import Stamp
from thumbmill.catalog.recipe import read_facts
from thumbmill.errors import ReportError
from thumbmill.failures import DEADLY_KINDS, Failure
from thumbmill.files import write_atomically
from thumbmill.run.failures import FailureList, read_failures, read_job_log
from thumbmill.run.paths import RunPaths
from thumbmill.run.session import Session

CACHE_VERSION = 2
BLURHASH_COMPONENTS = (4, 3)  # across and down; as its authors advise
BLURHASH_PIXELS = 32  # to which a thumbnail is scaled before


def check_has_files(layout: Layout) -> None:
    """Raise ReportError if source or output are in object storage."""
    if layout.source.is_remote or layout.output.is_remote:
        raise ReportError("manifest and gallery need files: they cannot describe what is in object storage")


class Thumb(NamedTuple):
    """One thumbnail: size's name, format, path, width and height in pixels, bytes; BlurHash ("" if not asked for)."""

    size: str
    format: str
    path: str
    width: int
    height: int
    bytes: int
    placeholder: str


class Item(NamedTuple):
    """One picture: path below the source folder, bytes, width and height in pixels when upright (0 if unreadable).

    `thumbs` are those that are there; `reason` is why one is missing ("" if none is); `time` is that of the newest
    thumbnail, in nanoseconds since the epoch.
    """

    name: str
    bytes: int
    width: int
    height: int
    thumbs: list[Thumb]
    reason: str
    time: int


class Cached(NamedTuple):
    """What was read from a file: the stamp that it had, its width and height in pixels, a thumbnail's BlurHash."""

    time: int
    bytes: int
    width: int
    height: int
    placeholder: str = ""

    def is_of(self, stamp: Stamp) -> bool:
        """Whether the file still has the same stamp."""
        return (self.time, self.bytes) == stamp


class Inventory:
    """Takes the inventory of a catalogue, with the cache of what earlier inventories have read."""

    def __init__(self, catalog: Catalog, paths: RunPaths):
        self.catalog = catalog
        self.paths = paths
        self.placeholder = catalog.settings["placeholder"]
        self._cache_file = cache_path("inventory", catalog.settings)
        content = read_cache(self._cache_file)
        files = content.get("files", {}) if content.get("placeholder") == self.placeholder else {}
        self._before = {path: Cached(*fields) for path, fields in files.items()}
        self._after: dict[str, Cached] = {}

    def take(self) -> list[Item]:
        """Return what there is of each picture of the catalogue, sorted by path.

        Raises OSError if the cache cannot be written.
        """
        listed = read_failures(self.paths.failures)
        items = sorted(self._item(wildcard, listed) for wildcard in self.catalog)
        if self._after != self._before:
            write_cache(self._cache_file, {"placeholder": self.placeholder, "files": self._after})
        return items

    def _item(self, wildcard: str, listed: FailureList) -> Item:
        """Return what there is of one picture."""
        picture = self.catalog[wildcard]
        thumbs, newest, missing = [], 0, False
        paths = self.catalog.thumbnails(wildcard)
        for kind, path in zip(self.catalog.layout.renditions, paths, strict=True):
            try:
                status = os.stat(path)
            except OSError:
                missing = True
                continue
            stamp = Stamp(status.st_mtime_ns, status.st_size)
            known = self._cached(path, stamp, functools.partial(read_thumbnail, path, self.placeholder))
            thumbs.append(
                Thumb(kind.name, kind.format, path, known.width, known.height, known.bytes, known.placeholder)
            )
            newest = max(newest, stamp.time)
        failure = self._failure(wildcard, listed) if missing else None
        width, height = self._source_size(wildcard, failure)
        return Item(picture.name, picture.bytes, width, height, thumbs, failure.text if failure else "", newest)

    def _failure(self, wildcard: str, listed: FailureList) -> Failure:
        """Return why a thumbnail of a picture is missing."""
        log = self.paths.job_log(wildcard)
        return read_job_log(log) or listed.get(self.catalog.display_name(wildcard)) or failures.unknown()

    def _source_size(self, wildcard: str, failure: Failure | None) -> tuple[int, int]:
        """Return (width, height) of a picture; (0, 0) if it cannot be read, or should not be."""
        picture = self.catalog[wildcard]
        if not picture.readable or (failure and failure.kind in DEADLY_KINDS):
            return 0, 0
        source = self.catalog.source_path(wildcard)

        def read() -> tuple[int, int, str]:
            settings = self.catalog.settings
            facts = read_facts(source, settings["max_pixels"], settings["read"])
            return (*facts.size, "") if facts else (0, 0, "")

        # Another picture of the same size and date has another mark; an object always has another date.
        time = picture.mark if isinstance(picture.mark, int) and picture.mark else picture.time
        known = self._cached(source, Stamp(time, picture.bytes), read)
        return known.width, known.height

    def _cached(self, path: str, stamp: Stamp, read: Callable[[], tuple[int, int, str]]) -> Cached:
        """Return what is known of the file at `path`; `read` it if its stamp is another than before."""
        known = self._before.get(path)
        if known is None or not known.is_of(stamp):
            width, height, placeholder = read()
            known = Cached(stamp.time, stamp.bytes, width, height, placeholder)
        self._after[path] = known
        return known


def read_thumbnail(path: str, placeholder: str) -> tuple[int, int, str]:
    """Return width and height of a thumbnail in pixels, and its BlurHash if `placeholder` asks for that."""
    with Image.open(path) as image:
        return (*image.size, blurhash(image) if placeholder == "blurhash" else "")


def blurhash(image: Image.Image) -> str:
    """Return the BlurHash (https://blurha.sh) of a picture; transparent parts count as white."""
    import blurhash  # an extra: only for those who ask for it

    size = (BLURHASH_PIXELS, BLURHASH_PIXELS)  # a BlurHash says nothing of the shape
    small = image.convert("RGBA").resize(size, Image.Resampling.BOX)
    white = Image.new("RGBA", size, "white")
    return blurhash.encode(Image.alpha_composite(white, small).convert("RGB"), *BLURHASH_COMPONENTS)


def url_path(path: str) -> str:
    """Return the path of a file as it is written in a URL, whatever bytes its name holds."""
    return quote(os.fsencode(path), safe="/")


# Whether a report is still true


def state_digest(session: Session) -> str:
    """Return a digest of what an inventory would hold: of all sources, settings and thumbnails, by size and date."""
    catalog = session.catalog
    text = json.dumps([session.history.current_recipe, catalog.settings], sort_keys=True)
    content = hashlib.sha256(text.encode())
    for wildcard in sorted(catalog, key=catalog.__getitem__):
        line: list[Any] = [*catalog[wildcard]]
        for path in catalog.thumbnails(wildcard):
            try:
                status = os.stat(path)
                line += [status.st_mtime_ns, status.st_size]
            except OSError:
                line.append(None)
        content.update(repr(line).encode("ascii", "backslashreplace"))
    return content.hexdigest()[:16]


def state_parameter(session: Session, target: str) -> Callable[[Any], str]:
    """Return the parameter by which Snakemake judges whether the files of a `target` have to be written again.

    It records the parameter as it was when it built the DAG, and thumbnails are made after that. So record_state()
    writes down what it stood for in the end: as long as that is what is there, the parameter stays the same.
    """

    @functools.cache
    def parameter() -> str:
        current = state_digest(session)
        path = cache_path(target, session.settings)
        recorded = read_cache(path)
        if recorded.get("state") == current:
            return recorded["parameter"]
        if session.workflow.is_main_process:
            # The process that runs the job works out a parameter of its own, too late, and needs this one.
            write_cache(path, {"parameter": current, "state": None})
        return current

    return lambda wildcards: parameter()


def record_state(session: Session, target: str) -> None:
    """Write down what the parameter stands for, now that the files of the `target` are written. Raises OSError."""
    path = cache_path(target, session.settings)
    write_cache(path, {**read_cache(path), "state": state_digest(session)})


def cache_path(what: str, settings: Mapping[str, Any]) -> str:
    """Return the file that caches something from run to run; each output folder has its own."""
    return os.path.join(STATE_FOLDER, os.path.basename(history_path(settings["output"])).replace("history", what))


def read_cache(path: str) -> dict[str, Any]:
    """Return the content of a cache; nothing if it is not there, or not as it should be: then all is read again."""
    try:
        with open(path, encoding="ascii") as file:
            version, content = json.load(file)
        return content if version == CACHE_VERSION else {}
    except (OSError, ValueError, TypeError):
        return {}


def write_cache(path: str, content: Mapping[str, Any]) -> None:
    """Write a cache. Raises OSError."""
    os.makedirs(STATE_FOLDER, exist_ok=True)
    write_atomically(path, json.dumps([CACHE_VERSION, content], separators=(",", ":")).encode())
