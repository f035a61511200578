"""What is there: of each picture the width and height, of each thumbnail too, and what else is to be told of them.

To read it from 100,000 pictures takes a minute. So what was read is kept in a file, with size and date of the file that
it was read from, and only what has changed is read again.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from PIL import Image

from scripts.catalogue import Catalogue
from scripts.history import FOLDER, History, history_path
from scripts.object_storage import is_remote
from scripts.recipe import read_facts
from scripts.report import DEADLY, FAILURES, UNKNOWN, name_of, read_failures, read_reason
from scripts.thumbnail import below, kinds, thumbnail_paths, write_whole

VERSION = 1  # of the file that is kept
CELLS = (4, 3)  # of a BlurHash, across and down; as its authors advise
BLUR_PIXELS = 32  # to which a thumbnail is scaled before


class InventoryError(Exception):
    """There can be no inventory; the message says why."""


def check_has_files(settings: Mapping) -> None:
    """Raises InventoryError if source or output are in object storage."""
    if is_remote(settings["source"]) or is_remote(settings["output"]):
        raise InventoryError("manifest and gallery need files: they cannot be made of what is in object storage")


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

    `thumbs` are those that are there; `reason` is why one is missing ("" if none is); `seconds` is how long the job
    took, None if that is not known; `time` is that of the newest thumbnail, in nanoseconds since the epoch.
    """

    name: str
    bytes: int
    width: int
    height: int
    thumbs: list[Thumb]
    reason: str
    seconds: float | None
    time: int


def take_inventory(catalogue: Catalogue, seconds_taken: Callable[[str], float | None] | None = None) -> list[Item]:
    """What there is of each picture of the catalogue, sorted by path.

    `seconds_taken` tells how long the job took that made a thumbnail (by what Snakemake calls it); without it that is
    not asked. Raises OSError if the file that keeps what was read cannot be written.
    """
    path = kept_path("inventory", catalogue.settings)
    kept = read_kept(path)
    before = kept.get("files", {}) if kept.get("placeholder") == catalogue.settings["placeholder"] else {}
    after: dict[str, list] = {}
    failures = read_failures(FAILURES)
    items = []
    for wildcard in catalogue.pictures:
        items.append(look_at(wildcard, catalogue, before, after, failures, seconds_taken))
    if after != before:
        write_kept(path, {"placeholder": catalogue.settings["placeholder"], "files": after})
    return sorted(items)


def look_at(wildcard: str, catalogue: Catalogue, before: Mapping, after: dict, failures, seconds_taken) -> Item:
    """What there is of one picture. What was known `before` is not read again; `after` gets it for the next time."""
    settings, picture = catalogue.settings, catalogue.pictures[wildcard]
    source = below(settings["source"], picture.name)
    thumbs, newest, seconds, missing = [], 0, None, False
    paths = thumbnail_paths(picture.name, settings)
    for (size, _, format), path, output in zip(kinds(settings), paths, catalogue.outputs(wildcard), strict=True):
        try:
            status = os.stat(path)
        except OSError:
            missing = True
            continue
        stamp = [status.st_mtime_ns, status.st_size]
        known = before.get(path)
        if not known or known[:2] != stamp:
            known = [*stamp, *read_thumbnail(path, settings["placeholder"]), None]
        if known[5] is None and seconds_taken:
            known[5] = seconds_taken(output)
        after[path] = known
        thumbs.append(Thumb(size, format, path, *known[2:4], status.st_size, known[4]))
        newest = max(newest, status.st_mtime_ns)
        seconds = known[5] if seconds is None else seconds
    reason = ""
    if missing:
        folder = "odd-names" if wildcard in catalogue.odd else "thumbnail"
        reason = read_reason(f"logs/{folder}/{wildcard}.log") or failures.get(name_of(catalogue, wildcard), UNKNOWN)
    deadly = reason.startswith(DEADLY)
    stamp = [picture.time, picture.bytes]
    known = before.get(source)
    if not known or known[:2] != stamp:
        facts = read_facts(source, settings["max_pixels"]) if picture.readable and not deadly else None
        known = [*stamp, *(facts.size if facts else (0, 0))]
    if not deadly:
        after[source] = known
    width, height = known[2:4]
    return Item(picture.name, picture.bytes, width, height, thumbs, reason, seconds, newest)


def read_thumbnail(path: str, placeholder: str) -> tuple[int, int, str]:
    """Width and height of a thumbnail in pixels, and its BlurHash if `placeholder` asks for that."""
    with Image.open(path) as image:
        return (*image.size, blurhash(image) if placeholder == "blurhash" else "")


def blurhash(image: Image.Image) -> str:
    """The BlurHash (https://blurha.sh) of a picture; transparent parts count as white."""
    import blurhash  # an extra of this package: only for those who ask for it

    size = (BLUR_PIXELS, BLUR_PIXELS)  # it says nothing of the shape
    small = image.convert("RGBA").resize(size, Image.Resampling.BOX)
    white = Image.new("RGBA", size, "white")
    return blurhash.encode(Image.alpha_composite(white, small).convert("RGB"), *CELLS)


def url(path: str) -> str:
    """The path of a file as it stands in a URL, whatever bytes its name holds."""
    return quote(os.fsencode(path), safe="/")


# ---------------------------------------------------------------------------------------------------------------------
# Whether what was written of it is still true


def state(catalogue: Catalogue, history: History) -> str:
    """A digest of what an inventory would tell: of all sources, settings and thumbnails, as sizes and dates have it."""
    hash = hashlib.sha256(json.dumps([history.today, catalogue.settings], sort_keys=True).encode())
    for wildcard, picture in sorted(catalogue.pictures.items(), key=lambda item: item[1]):
        line = [*picture]
        for path in catalogue.outputs(wildcard):
            try:
                status = os.stat(path)
                line += [status.st_mtime_ns, status.st_size]
            except OSError:
                line.append(None)
        hash.update(repr(line).encode("ascii", "backslashreplace"))
    return hash.hexdigest()[:16]


def state_parameter(workflow, target: str, catalogue: Catalogue, history: History) -> Callable:
    """The parameter by which Snakemake judges whether the files of a `target` are to be written again.

    It records the parameter as it was when it built the DAG, and thumbnails are made after that. So note_state() writes
    down what it stood for in the end: as long as that is what is there, the parameter stays the same.
    """

    @functools.cache
    def parameter() -> str:
        now = state(catalogue, history)
        path = kept_path(target, catalogue.settings)
        noted = read_kept(path)
        if noted.get("state") == now:
            return noted["parameter"]
        if workflow.is_main_process:
            # The process that runs the job works out a parameter of its own, too late, and needs this one.
            write_kept(path, {"parameter": now, "state": None})
        return now

    return lambda wildcards: parameter()


def note_state(target: str, catalogue: Catalogue, history: History) -> None:
    """Write down what the parameter stands for, now that the files of the `target` are written. Raises OSError."""
    path = kept_path(target, catalogue.settings)
    write_kept(path, {**read_kept(path), "state": state(catalogue, history)})


def kept_path(what: str, settings: Mapping) -> str:
    """The file in which something is kept from run to run; each output folder has its own."""
    return os.path.join(FOLDER, os.path.basename(history_path(settings["output"])).replace("history", what))


def read_kept(path: str) -> dict:
    """What is kept in a file; nothing if it is not there, or not as it should be: then all is read again."""
    try:
        with open(path, encoding="ascii") as file:
            version, content = json.load(file)
        return content if version == VERSION else {}
    except (OSError, ValueError, TypeError):
        return {}


def write_kept(path: str, content: Mapping) -> None:
    """Keep something in a file. Raises OSError."""
    os.makedirs(FOLDER, exist_ok=True)
    write_whole(path, json.dumps([VERSION, content], separators=(",", ":")).encode())
