"""What earlier runs made: which thumbnails are certainly current, and which files below the output folder are ours.

Snakemake's DAG judges what has to be made. Finding nothing to do takes it half a millisecond and more for each picture,
so what it has judged once is kept in a file, with the sizes and dates of the files that it judged by: if none of these
has changed it would judge the same again, and need not be asked.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from thumbmill.catalog.layout import Layout, layout_of
from thumbmill.catalog.listing import Catalog
from thumbmill.catalog.picture import Picture, Stamp
from thumbmill.catalog.recipe import Ingredients, digest, produces_same_output, read_facts
from thumbmill.files import write_atomically

STATE_FOLDER = ".snakemake/thumbmill"
VERSION = 1  # of the file's format; another one is not read
UNKNOWN_TIME = -1  # never that of a file, so that the DAG is asked
MISSING = Stamp(UNKNOWN_TIME, 0)


class Entry(NamedTuple):
    """What is known of one picture. Sizes in bytes, times in nanoseconds since the epoch.

    `recorded` is the recipe in Snakemake's own records of the thumbnails, `valid` the one that they were last found to
    satisfy; `made_by_us` means that thumbmill made all the files as they are. `files` are the stamps of the thumbnails,
    in the order of Layout.thumbnails().
    """

    bytes: int
    time: int
    recorded: str
    valid: str
    made_by_us: bool
    files: list[Stamp]

    @classmethod
    def from_json(cls, fields: list[Any]) -> "Entry":
        """Return the entry that the history file holds as a list."""
        bytes, time, recorded, valid, made_by_us, files = fields
        return cls(bytes, time, recorded, valid, made_by_us, [Stamp(*stamp) for stamp in files])


class Saved(NamedTuple):
    """The content of the history file."""

    layout: dict[str, Any]  # the settings that decided where files lie
    recipes: dict[str, dict[str, Any]]  # recipe -> its ingredients, for each that an entry names
    pictures: dict[str, Entry]  # by a picture's path below the source folder
    orphans: dict[str, Stamp]  # by path: thumbnails that thumbmill made and that no picture asks for any more
    folders: list[str]  # the folders below the output folder that thumbmill made
    runs: dict[str, list[float]]  # the last run that made 1, 10, 100, ... pictures or more: [pictures made, seconds]

    @classmethod
    def from_json(cls, content: list[Any]) -> "Saved":
        """Return the history that the file holds as a list."""
        layout, recipes, pictures, orphans, folders, runs = content
        return cls(
            layout,
            recipes,
            {name: Entry.from_json(fields) for name, fields in pictures.items()},
            {path: Stamp(*stamp) for path, stamp in orphans.items()},
            folders,
            runs,
        )

    @classmethod
    def empty(cls, settings: Mapping[str, Any]) -> "Saved":
        """Return the history of a catalogue of which nothing is known."""
        return cls(layout_of(settings), {}, {}, {}, [], {})


class RunResult(NamedTuple):
    """What a run made of the pictures that it looked at, each by its wildcard."""

    made: list[str]
    current: dict[str, bool]  # and whether Snakemake has recorded that it made their thumbnails as they are
    seconds: float
    new_folders_since: set[str] | None  # the folders below the output folder before the run; None if not known


class History:
    """What earlier runs made of the pictures of a catalogue. Read from its file when first asked."""

    def __init__(self, catalog: Catalog, ingredients: Ingredients, path: str = ""):
        """`path` is the history file, if it is not that of the output folder."""
        self.catalog = catalog
        self.settings = catalog.settings
        self.layout = catalog.layout
        self.ingredients = ingredients
        self.current_recipe = digest(ingredients)
        self.path = path or history_path(self.settings["output"])

    @functools.cached_property
    def saved(self) -> Saved:
        """What was known before this run."""
        return read_history(self.path, self.layout, warn=lambda text: print(text, file=sys.stderr))

    def stamps(self, wildcard: str) -> list[Stamp] | None:
        """Return the stamp of each thumbnail of a picture; None if one is missing. Raises StoreError."""
        return self.layout.output.stamps(self.catalog.thumbnails(wildcard))

    def entry(self, wildcard: str) -> Entry | None:
        """Return what was known of a picture before this run."""
        picture = self.catalog.pictures.get(wildcard)
        return self.saved.pictures.get(picture.name) if picture else None

    def unchanged(self) -> frozenset[str]:
        """Return the pictures that this run need not ask the DAG about."""
        return frozenset(wildcard for wildcard in self.catalog if self.is_current(wildcard))

    def has_seen(self, wildcard: str) -> bool:
        """Whether an earlier run that came to its end found the picture and its thumbnails just as they are now."""
        picture, entry = self.catalog[wildcard], self.entry(wildcard)
        if entry is None:
            return False
        return (entry.bytes, entry.time) == (picture.bytes, picture.time) and entry.files == self.stamps(wildcard)

    def is_current(self, wildcard: str) -> bool:
        """Whether nothing has changed since the DAG last found the picture's thumbnails current, or had them made."""
        entry = self.entry(wildcard)
        if entry is None or not self.catalog[wildcard].readable or not self.has_seen(wildcard):
            return False
        return entry.valid == self.current_recipe or self.recipe(wildcard) == entry.recorded

    def recipe(self, wildcard: str) -> str:
        """Return the recipe of a picture's job: a parameter of the job, by which Snakemake judges.

        It is the current one. But if the existing thumbnails satisfy the current one too, it is the one that Snakemake
        has recorded for them, so that a setting redoes the pictures that it affects and no others.
        """
        entry = self.entry(wildcard)
        if not entry:
            return self.current_recipe
        picture = self.catalog[wildcard]
        if entry.valid == self.current_recipe and (entry.bytes, entry.time) == (picture.bytes, picture.time):
            return entry.recorded
        return entry.recorded if self.still_valid(entry.recorded, picture) else self.current_recipe

    def still_valid(self, recipe: str, picture: Picture) -> bool:
        """Whether thumbnails of `picture` made by an earlier `recipe` are what the current one asks for."""
        for_all = self._valid_for_all(recipe)
        return self._valid_for_one(recipe, picture) if for_all is None else for_all

    @functools.cache  # noqa: B019 - as long-lived as the process
    def _valid_for_all(self, recipe: str) -> bool | None:
        """Whether still_valid() holds for every picture, or None if that depends on the picture."""
        return produces_same_output(self.saved.recipes[recipe], self.ingredients)

    @functools.cache  # noqa: B019 - Snakemake asks for the parameters of a job several times
    def _valid_for_one(self, recipe: str, picture: Picture) -> bool:
        """Whether still_valid() holds for one picture, by its header."""
        facts = read_facts(self.layout.source.path(picture.name), self.settings["max_pixels"], self.settings["read"])
        return facts is not None and bool(produces_same_output(self.saved.recipes[recipe], self.ingredients, facts))

    def update(self, result: RunResult, skipped: Iterable[str]) -> None:
        """Write down how a run ended; `skipped` are the pictures that it did not ask the DAG about.

        Raises OSError.
        """
        if result.made:
            self.layout.output.forget_stamps()
            os.sync()  # so that what is recorded as current is on the disk, whenever the power goes
        with locked(self.path):
            before = read_history(self.path, self.layout)  # another run may have ended meanwhile
            after = self._updated(before, result, skipped)
            if after != before:
                write_history(self.path, after)

    def _updated(self, before: Saved, result: RunResult, skipped: Iterable[str]) -> Saved:
        """Return what is known after a run, from what was known `before` it ended."""
        pictures, orphans = dict(before.pictures), dict(before.orphans)
        made = set(result.made)
        for wildcard in (*result.made, *result.current):
            by_us = wildcard in made or result.current[wildcard]
            if entry := self._snapshot(wildcard, before, by_us):
                pictures[self.catalog[wildcard].name] = entry
        for wildcard in skipped:
            name = self.catalog[wildcard].name
            unchanged = pictures.get(name) == self.saved.pictures[name]  # no other run has made it meanwhile
            if unchanged and pictures[name].valid != self.current_recipe:
                pictures[name] = pictures[name]._replace(valid=self.current_recipe)
        for name in self.deleted(pictures):
            orphans |= own_files(name, pictures.pop(name), self.layout)
        if orphans:
            for name in pictures:
                for path in self.layout.thumbnails(name):
                    orphans.pop(path, None)
        used = {recipe for entry in pictures.values() for recipe in (entry.recorded, entry.valid)}
        recipes = {**before.recipes, **self.saved.recipes, self.current_recipe: dict(self.ingredients)}
        old_folders, new_folders = set(before.folders), set()
        if result.new_folders_since is not None:
            # Should one that was removed come back, it is somebody else's.
            old_folders &= result.new_folders_since
            new_folders = self._folders_of(result.made) - result.new_folders_since
        return Saved(
            layout=layout_of(self.settings),
            recipes={recipe: recipes[recipe] for recipe in sorted(used)},
            pictures=pictures,
            orphans=orphans,
            folders=sorted(old_folders | new_folders),
            runs=before.runs | ({magnitude(len(made)): [len(made), round(result.seconds, 3)]} if made else {}),
        )

    def orphans(self) -> dict[str, Stamp]:
        """Return the thumbnails that thumbmill made and that nothing asks for any more: path -> stamp as made."""
        orphans = dict(self.saved.orphans)
        for name in self.deleted(self.saved.pictures):
            orphans |= own_files(name, self.saved.pictures[name], self.layout)
        for wildcard in self.catalog if orphans else ():
            for path in self.catalog.thumbnails(wildcard):
                orphans.pop(path, None)
        return orphans

    def deleted(self, names: Iterable[str]) -> set[str]:
        """Return those of the pictures of these `names` that are no longer in the source folder.

        What was in a folder that can no longer be listed may still be there.
        """
        there = {picture.name for picture in self.catalog.pictures.values()}
        unlistable = tuple(name for name in there if name.endswith("/"))
        return {name for name in names if name not in there and not name.startswith(unlistable)}

    def forget_removed(self) -> None:
        """Write down which orphans and folders are no longer there. Raises OSError."""
        with locked(self.path):
            before = read_history(self.path, self.layout)
            deleted = self.deleted(before.pictures)
            write_history(
                self.path,
                before._replace(
                    layout=layout_of(self.settings),
                    pictures={name: entry for name, entry in before.pictures.items() if name not in deleted},
                    orphans={path: stamp for path, stamp in self.orphans().items() if os.path.lexists(path)},
                    folders=[folder for folder in before.folders if os.path.isdir(folder)],
                ),
            )

    def _snapshot(self, wildcard: str, before: Saved, made_by_us: bool) -> Entry | None:
        """Return the entry of a picture whose thumbnails were just made, or found current; None if one is missing."""
        picture = self.catalog[wildcard]
        files = self.stamps(wildcard)
        if files is None:
            return None
        # A source from the future: the DAG goes by its content, each time.
        time = picture.time if picture.time <= min(stamp.time for stamp in files) else UNKNOWN_TIME
        known = before.pictures.get(picture.name)
        ours = made_by_us or bool(known and known.made_by_us and known.files == files)
        return Entry(picture.bytes, time, self.recipe(wildcard), self.current_recipe, ours, files)

    def _folders_of(self, wildcards: Iterable[str]) -> set[str]:
        """Return the folders below the output folder that hold the thumbnails of these pictures."""
        parents = {os.path.dirname(path) for wildcard in wildcards for path in self.catalog.thumbnails(wildcard)}
        folders: set[str] = set()
        for folder in parents:
            while folder != self.settings["output"] and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        return folders


def history_path(output: str) -> str:
    """Return the history file for an `output`: each has its own, so that catalogues can share a working directory."""
    return os.path.join(STATE_FOLDER, f"history-{hashlib.sha256(os.fsencode(output)).hexdigest()[:16]}.json")


def magnitude(pictures: int) -> str:
    """Return 1, 10, 100, ...: the largest that is not above a number of `pictures`."""
    return "1" + "0" * (len(str(pictures)) - 1)


def read_history(path: str, layout: Layout, warn: Callable[[str], None] = lambda text: None) -> Saved:
    """Return the history in the file `path`, migrated to the current `layout`; empty if there is none.

    If there is one that cannot be read, it is empty too, and `warn` is called with the reason.
    """
    empty = Saved.empty(layout.settings)
    try:
        with open(path, encoding="ascii") as file:
            version, *content = json.load(file)
        if version != VERSION:
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
    pictures, orphans = {}, dict(saved.orphans)
    old_layout = Layout(saved.layout)
    for name, entry in saved.pictures.items():
        files = dict(zip(old_layout.thumbnails(name), entry.files, strict=True))
        kept = [files.pop(path, MISSING) for path in layout.thumbnails(name)]
        if entry.made_by_us:
            orphans |= {path: stamp for path, stamp in files.items() if stamp.time != UNKNOWN_TIME}
        # Snakemake compares the paths of a job's inputs with those of before.
        same_source = saved.layout["source"] == layout.settings["source"]
        pictures[name] = entry._replace(time=entry.time if same_source else UNKNOWN_TIME, files=kept)
    return saved._replace(pictures=pictures, orphans=orphans)


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
