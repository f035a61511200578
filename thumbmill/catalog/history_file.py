"""The file in which the history is kept between runs: what it holds of each picture, read and written as a whole."""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from thumbmill.catalog.digests import Note
from thumbmill.catalog.layout import Layout, layout_of
from thumbmill.catalog.picture import Picture, Stamp
from thumbmill.files import write_atomically

STATE_FOLDER = ".snakemake/thumbmill"
VERSION = 2  # of the file's format
READABLE_VERSIONS = (1, 2)  # an entry of the first had no mark, digest and version; others are not read
UNKNOWN_TIME = -1  # never that of a file, so that the DAG is asked
MISSING = Stamp(UNKNOWN_TIME, 0)


class Entry(NamedTuple):
    """What is known of one picture. Sizes in bytes, times in nanoseconds since the epoch.

    `recorded` is the recipe in Snakemake's own records of the thumbnails, `valid` the one that they were last found to
    satisfy; `made_by_us` means that thumbmill made all the files as they are. `files` are the stamps of the thumbnails,
    in the order of Layout.thumbnails(). `mark` is Picture.mark, and `digest` that of the content that they were made
    from ("" if not known). `version` is in Snakemake's records: what History.version() was.
    """

    bytes: int
    time: int
    recorded: str
    valid: str
    made_by_us: bool
    files: list[Stamp]
    mark: int | str = 0
    digest: str = ""
    version: str = ""

    @classmethod
    def from_json(cls, fields: list[Any]) -> "Entry":
        """Return the entry that the history file holds as a list."""
        bytes, time, recorded, valid, made_by_us, files, *more = fields
        return cls(bytes, time, recorded, valid, made_by_us, [Stamp(*stamp) for stamp in files], *more)


class Saved(NamedTuple):
    """The content of the history file."""

    layout: dict[str, Any]  # the settings that decided where files lie
    recipes: dict[str, dict[str, Any]]  # recipe -> its ingredients, for each that an entry names
    pictures: dict[str, Entry]  # by a picture's path below the source folder
    orphans: dict[str, Stamp]  # by path: thumbnails that thumbmill made and that no picture asks for any more
    folders: list[str]  # the folders below the output folder that thumbmill made
    runs: dict[str, list[float]]  # the last run that made 1, 10, 100, ... pictures or more: [pictures made, seconds]
    deleted: dict[str, Entry]  # pictures that are no longer there, as long as their thumbnails are orphans

    @classmethod
    def from_json(cls, content: list[Any]) -> "Saved":
        """Return the history that the file holds as a list."""
        layout, recipes, pictures, orphans, folders, runs, *deleted = content  # the first version has none
        return cls(
            layout,
            recipes,
            {name: Entry.from_json(fields) for name, fields in pictures.items()},
            {path: Stamp(*stamp) for path, stamp in orphans.items()},
            folders,
            runs,
            {name: Entry.from_json(fields) for name, fields in (deleted[0] if deleted else {}).items()},
        )

    @classmethod
    def empty(cls, settings: Mapping[str, Any]) -> "Saved":
        """Return the history of a catalogue of which nothing is known."""
        return cls(layout_of(settings), {}, {}, {}, [], {}, {})


def has_stamp(entry: Entry, picture: Picture) -> bool:
    """Whether a picture has the size, the date and the mark (if that is known) of an entry."""
    return (entry.bytes, entry.time) == (picture.bytes, picture.time) and entry.mark in (picture.mark, 0)


def history_path(output: str) -> str:
    """Return the history file for an `output`: each has its own, so that catalogues can share a working directory."""
    return os.path.join(STATE_FOLDER, f"history-{hashlib.sha256(os.fsencode(output)).hexdigest()[:16]}.json")


def read_history(path: str, layout: Layout, warn: Callable[[str], None] = lambda text: None) -> Saved:
    """Return the history in the file `path`, migrated to the current `layout`; empty if there is none.

    If there is one that cannot be read, it is empty too, and `warn` is called with the reason.
    """
    empty = Saved.empty(layout.settings)
    try:
        with open(path, encoding="ascii") as file:
            version, *content = json.load(file)
        if version not in READABLE_VERSIONS:
            return empty
        saved = Saved.from_json(content)
    except FileNotFoundError:
        return empty
    except (OSError, ValueError, TypeError, AttributeError) as error:
        warn(f"thumbmill: {path} cannot be read ({error}): Snakemake judges every picture again")
        return empty
    # As text, since the order of the sizes counts.
    same_layout = json.dumps(saved.layout) == json.dumps(layout_of(layout.settings))
    return saved if same_layout else migrate(saved, layout)


def migrate(saved: Saved, layout: Layout) -> Saved:
    """Return `saved` for another `layout`: thumbnails that it does not ask for become orphans, new ones are unknown."""
    old_layout = Layout(saved.layout)
    orphans = dict(saved.orphans)

    def migrated(name: str, entry: Entry) -> Entry:
        files = dict(zip(old_layout.thumbnails(name), entry.files, strict=True))
        entry = entry._replace(files=[files.pop(path, MISSING) for path in layout.thumbnails(name)])
        if entry.made_by_us:
            orphans.update({path: stamp for path, stamp in files.items() if stamp.time != UNKNOWN_TIME})
        if saved.layout["source"] == layout.settings["source"]:
            return entry
        # Snakemake compares the paths of a job's inputs with those of before: no need to compare their content.
        return entry._replace(time=UNKNOWN_TIME, digest="")

    pictures = {name: migrated(name, entry) for name, entry in saved.pictures.items()}
    deleted = {name: migrated(name, entry) for name, entry in saved.deleted.items()}
    return saved._replace(pictures=pictures, orphans=orphans, deleted=deleted)


def with_notes(saved: Saved, notes: Mapping[str, Note]) -> Saved:
    """Return `saved` with what jobs have noted since of the content that thumbnails were made from."""
    pictures = {
        name: saved.pictures[name]._replace(digest=note.digest, version=note.version)
        for name, note in notes.items()
        if name in saved.pictures
    }
    return saved._replace(pictures={**saved.pictures, **pictures}) if pictures else saved


def write_history(path: str, saved: Saved) -> None:
    """Write the history atomically. Raises OSError."""
    write_atomically(path, json.dumps([VERSION, *saved], separators=(",", ":")).encode())


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Keep others from updating the file `path` meanwhile. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def own_files(name: str, entry: Entry, layout: Layout) -> dict[str, Stamp]:
    """Return the thumbnails of the picture `name` that thumbmill made: path -> stamp."""
    if not entry.made_by_us:
        return {}
    files = zip(layout.thumbnails(name), entry.files, strict=True)
    return {path: stamp for path, stamp in files if stamp.time != UNKNOWN_TIME}
