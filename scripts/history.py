"""What earlier runs made: which thumbnails are certainly current, and which files below the output folder are ours.

Snakemake's DAG judges what is to be made. It takes half a millisecond and more a picture to find nothing to do, so
what it has judged once is kept in a file, with the sizes and dates of the files that it judged by: where none of these
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
from typing import NamedTuple

from scripts.catalogue import Catalogue, Picture
from scripts.object_storage import is_remote, list_files
from scripts.recipe import digest, read_facts, same_result
from scripts.thumbnail import below, thumbnail_paths, write_whole

FOLDER = ".snakemake/thumbmill"
VERSION = 1  # of the file's format; another one is not read
PLACES = ("source", "output", "sizes", "format", "keep_extension")  # the settings that decide where files lie
UNKNOWN = -1  # as a time: never that of a file, so that the DAG is asked


class Entry(NamedTuple):
    """What is known of one picture. Sizes in bytes, times in nanoseconds since the epoch.

    `recorded` is the recipe in Snakemake's own records of the thumbnails, `valid` the one that they were last found to
    serve; `ours` tells whether thumbmill made all the files as they are. `files` are [time, size] of each thumbnail,
    in the order of thumbnail_paths().
    """

    bytes: int
    time: int
    recorded: str
    valid: str
    ours: bool
    files: list[list[int]]


class Known(NamedTuple):
    """The content of the file."""

    places: dict  # the PLACES as they were
    recipes: dict[str, dict]  # recipe -> its ingredients, for each that an entry names
    pictures: dict[str, list]  # a picture's path below the source folder -> its Entry, as a list
    strays: dict[str, list[int]]  # path -> [time, size] of thumbnails that thumbmill made and no picture has any more
    folders: list[str]  # those below the output folder that thumbmill made
    runs: dict[str, list[float]]  # the last run that made 1, 10, 100, ... pictures or more: [pictures made, seconds]


class History:
    """What earlier runs made of the pictures of a catalogue. Read from its file when first asked."""

    def __init__(self, catalogue: Catalogue, ingredients: Mapping, shard_folder: str = ""):
        """`shard_folder` is that of the shard (scripts/shards.py) whose pictures `catalogue` holds, if it is one."""
        self.shard_folder = shard_folder
        self.catalogue = catalogue
        self.settings = catalogue.settings
        self.ingredients = ingredients
        self.today = digest(ingredients)
        self.path = (
            os.path.join(shard_folder, "history.json") if shard_folder else history_path(self.settings["output"])
        )
        self.left_out: frozenset[str] = frozenset()  # what this run does not ask the DAG about
        self.folders_before: set[str] | None = None  # below the output folder, before this run made any

    @functools.cached_property
    def known(self) -> Known:
        """What was known before this run."""
        return read_history(self.path, self.settings, tell=lambda text: print(text, file=sys.stderr))

    @functools.cached_property
    def objects(self) -> dict[str, list[int]]:
        """What is in the output folder, where that is in object storage: path -> [time, size], from one listing."""
        return list_files(self.settings["output"])

    def stat(self, wildcard: str) -> list[list[int]] | None:
        """[time, size] of each thumbnail of a picture, as stat_files() has it. Raises StoreError."""
        if not is_remote(self.settings["output"]):
            return stat_files(self.catalogue.outputs(wildcard))
        paths = thumbnail_paths(self.catalogue.pictures[wildcard].name, self.settings)
        files = [self.objects.get(path) for path in paths]
        return None if None in files else files

    def leave_out(self) -> frozenset[str]:
        """The pictures, each by what Snakemake calls it, that this run need not ask the DAG about."""
        self.left_out = frozenset(wildcard for wildcard in self.catalogue.pictures if self.is_current(wildcard))
        return self.left_out

    def has_seen(self, wildcard: str) -> bool:
        """Whether an earlier run that came to its end found the picture and its thumbnails just as they are now."""
        picture = self.catalogue.pictures[wildcard]
        entry = self.known.pictures.get(picture.name)
        return bool(entry) and entry[:2] == [picture.bytes, picture.time] and entry[5] == self.stat(wildcard)

    def is_current(self, wildcard: str) -> bool:
        """Whether nothing has changed since the DAG last found the picture's thumbnails current, or had them made."""
        picture = self.catalogue.pictures[wildcard]
        entry = self.known.pictures.get(picture.name)
        if entry is None or not picture.readable or entry[0] != picture.bytes or entry[1] != picture.time:
            return False
        *_, recorded, valid, _, files = entry
        if self.stat(wildcard) != files:
            return False
        return valid == self.today or self.recipe_of(wildcard) == recorded

    def recipe(self, wildcards) -> str:
        """The recipe of the job that `wildcards.picture` names: a parameter of the job, by which Snakemake judges.

        It is today's. But where the thumbnails that are there serve today's too, it is the one that Snakemake has
        recorded for them, so that a setting redoes the pictures that it affects and no others.
        """
        return self.recipe_of(wildcards.picture)

    def recipe_of(self, wildcard: str) -> str:
        """The same for a plain value."""
        picture = self.catalogue.pictures.get(wildcard)
        entry = picture and self.known.pictures.get(picture.name)
        if not entry:
            return self.today
        entry = Entry(*entry)
        if entry.valid == self.today and (entry.bytes, entry.time) == (picture.bytes, picture.time):
            return entry.recorded
        return entry.recorded if self.serves(entry.recorded, picture) else self.today

    def serves(self, recipe: str, picture: Picture) -> bool:
        """Whether thumbnails of `picture` made by an earlier `recipe` are what today's asks for."""
        for_all = self.serves_all(recipe)
        return self.serves_one(recipe, picture) if for_all is None else for_all

    @functools.cache  # noqa: B019 - as long-lived as the process
    def serves_all(self, recipe: str) -> bool | None:
        """The same for every picture, or None if that depends on the picture."""
        return same_result(self.known.recipes[recipe], self.ingredients)

    @functools.cache  # noqa: B019 - Snakemake asks for the parameters of a job several times
    def serves_one(self, recipe: str, picture: Picture) -> bool:
        """The same for one picture, whose header tells."""
        facts = read_facts(below(self.settings["source"], picture.name), self.settings["max_pixels"])
        return facts is not None and same_result(self.known.recipes[recipe], self.ingredients, facts)

    def update(
        self,
        made: Iterable[str],
        current: Mapping[str, bool],
        seconds: float,
    ) -> None:
        """Write down how a run of so many `seconds` ended.

        `made` are the pictures whose jobs ended well, `current` those that the DAG found current by all that counts,
        with whether Snakemake has recorded that it made their thumbnails as they are.

        Raises OSError.
        """
        if made:
            vars(self).pop("objects", None)  # this run has added some
            os.sync()  # what is written down as current is on the disk, whenever the power goes
        with locked(self.path):
            before = read_history(self.path, self.settings)  # another run may have ended meanwhile
            after = self.updated(before, set(made), current, seconds)
            if after != before:
                write_history(self.path, after)

    def updated(self, before: Known, made: set[str], current: Mapping[str, bool], seconds: float) -> Known:
        """What is known after a run, from what was known `before` it ended."""
        pictures, strays = dict(before.pictures), dict(before.strays)
        for wildcard in (*made, *current):
            if entry := self.look(wildcard, before, wildcard in made or current[wildcard]):
                pictures[self.catalogue.pictures[wildcard].name] = list(entry)
        for wildcard in self.left_out:
            name = self.catalogue.pictures[wildcard].name
            unchanged = pictures.get(name) == self.known.pictures[name]  # no other run has made it meanwhile
            if unchanged and pictures[name][3] != self.today:
                pictures[name] = list(Entry(*pictures[name])._replace(valid=self.today))
        for name in self.gone(pictures):
            strays |= own_files(name, Entry(*pictures.pop(name)), self.settings)
        if strays:
            for name in pictures:
                for path in thumbnail_paths(name, self.settings):
                    strays.pop(path, None)
        used = {recipe for entry in pictures.values() for recipe in entry[2:4]}
        recipes = {**before.recipes, **self.known.recipes, self.today: self.ingredients}
        return Known(
            places=places(self.settings),
            recipes={recipe: recipes[recipe] for recipe in sorted(used)},
            pictures=pictures,
            strays=strays,
            folders=sorted({*self.old_folders(before.folders), *self.new_folders(made)}),
            runs=before.runs | ({magnitude(len(made)): [len(made), round(seconds, 3)]} if made else {}),
        )

    def strays(self) -> dict[str, list[int]]:
        """The thumbnails that thumbmill made and nothing asks for any more: path -> [time, size], as it made them."""
        strays = dict(self.known.strays)
        for name in self.gone(self.known.pictures):
            strays |= own_files(name, Entry(*self.known.pictures[name]), self.settings)
        for picture in self.catalogue.pictures.values() if strays else ():
            for path in thumbnail_paths(picture.name, self.settings):
                strays.pop(path, None)
        return strays

    def gone(self, names: Iterable[str]) -> set[str]:
        """Those of the pictures of these `names` that are no longer in the source folder.

        What lay in a folder that can no longer be listed may still be there.
        """
        there = {picture.name for picture in self.catalogue.pictures.values()}
        closed = tuple(name for name in there if name.endswith("/"))
        return {name for name in names if name not in there and not name.startswith(closed)}

    def forget_removed(self) -> None:
        """Write down which strays and folders are no longer there. Raises OSError."""
        with locked(self.path):
            before = read_history(self.path, self.settings)
            gone = self.gone(before.pictures)
            write_history(
                self.path,
                before._replace(
                    places=places(self.settings),
                    pictures={name: entry for name, entry in before.pictures.items() if name not in gone},
                    strays={path: file for path, file in self.strays().items() if os.path.lexists(path)},
                    folders=[folder for folder in before.folders if os.path.isdir(folder)],
                ),
            )

    def look(self, wildcard: str, before: Known, made_by_us: bool) -> Entry | None:
        """The entry of a picture whose thumbnails were just made, or found current; None if one is missing."""
        picture = self.catalogue.pictures[wildcard]
        files = self.stat(wildcard)
        if files is None:
            return None
        # A source from the future: the DAG goes by its content, each time.
        time = picture.time if picture.time <= min(time for time, _ in files) else UNKNOWN
        known = before.pictures.get(picture.name)
        ours = made_by_us or bool(known and known[4] and known[5] == files)
        return Entry(picture.bytes, time, self.recipe_of(wildcard), self.today, ours, files)

    def old_folders(self, folders: Iterable[str]) -> set[str]:
        """Those of the `folders` that were there before this run: should one come back, it is somebody else's."""
        return set(folders) if self.folders_before is None else self.folders_before & set(folders)

    def new_folders(self, made: Iterable[str]) -> set[str]:
        """The folders below the output folder that this run made for the thumbnails of the pictures it `made`."""
        if self.folders_before is None:
            return set()
        parents = set()
        for wildcard in made:
            for path in thumbnail_paths(self.catalogue.pictures[wildcard].name, self.settings):
                parents.add(os.path.dirname(path))
        folders = set()
        for folder in parents:
            while folder != self.settings["output"] and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        return folders - self.folders_before


def history_path(output: str) -> str:
    """The file for an `output` folder: each has its own, so that several catalogues share a working directory."""
    return os.path.join(FOLDER, f"history-{hashlib.sha256(os.fsencode(output)).hexdigest()[:16]}.json")


def magnitude(pictures: int) -> str:
    """1, 10, 100, ...: the largest that is not above a number of `pictures`."""
    return "1" + "0" * (len(str(pictures)) - 1)


def places(settings: Mapping) -> dict:
    """The settings that decide where files lie."""
    return {key: settings[key] for key in PLACES}


def read_history(path: str, settings: Mapping, tell: Callable[[str], None] = lambda text: None) -> Known:
    """The history in the file `path`, brought to the places of today's `settings`; empty if there is none.

    If there is one that cannot be read, it is empty too, and `tell` is told.
    """
    empty = Known(places(settings), {}, {}, {}, [], {})
    try:
        with open(path, encoding="ascii") as file:
            version, *content = json.load(file)
        if version != VERSION:
            return empty
        known = Known(*content)
    except FileNotFoundError:
        return empty
    except (OSError, ValueError, TypeError) as error:
        tell(f"thumbmill: {path} cannot be read ({error}): Snakemake judges every picture anew")
        return empty
    # As text, since the order of the sizes counts.
    same_places = json.dumps(known.places) == json.dumps(places(settings))
    return known if same_places else moved(known, settings)


def moved(known: Known, settings: Mapping) -> Known:
    """`known` for other `settings`: thumbnails that these do not ask for become strays, new ones are unknown."""
    pictures, strays = {}, dict(known.strays)
    for name, fields in known.pictures.items():
        entry = Entry(*fields)
        files = dict(zip(thumbnail_paths(name, known.places), entry.files, strict=True))
        kept = [files.pop(path, [UNKNOWN, 0]) for path in thumbnail_paths(name, settings)]
        if entry.ours:
            strays |= {path: file for path, file in files.items() if file[0] != UNKNOWN}
        # Snakemake asks of a job whether its inputs are the same paths as before.
        time = entry.time if known.places["source"] == settings["source"] else UNKNOWN
        pictures[name] = list(entry._replace(time=time, files=kept))
    return known._replace(pictures=pictures, strays=strays)


def write_history(path: str, known: Known) -> None:
    """Write the history, whole. Raises OSError."""
    write_whole(path, json.dumps([VERSION, *known], separators=(",", ":")).encode())


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Nobody else updates the file `path` meanwhile. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stat_files(paths: Iterable[str]) -> list[list[int]] | None:
    """[time, size] of each file, in nanoseconds and bytes; None if one is missing."""
    try:
        return [[status.st_mtime_ns, status.st_size] for status in map(os.stat, paths)]
    except OSError:
        return None


def own_files(name: str, entry: Entry, settings: Mapping) -> dict[str, list[int]]:
    """The thumbnails of the picture `name` that thumbmill made: path -> [time, size]."""
    if not entry.ours:
        return {}
    files = zip(thumbnail_paths(name, settings), entry.files, strict=True)
    return {path: file for path, file in files if file[0] != UNKNOWN}
