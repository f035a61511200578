"""What earlier runs made: which thumbnails are certainly current, and which files below the output folder are ours.

Snakemake's DAG judges what has to be made. Finding nothing to do takes it half a millisecond and more for each picture,
so what it has judged once is kept in a file, with the sizes and dates of the files that it judged by: if none of these
has changed it would judge the same again, and need not be asked.
"""

import functools
import os
import sys
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from thumbmill.catalog.collisions import are_one_file, fold
from thumbmill.catalog.digests import Note, read_notes
from thumbmill.catalog.history_file import (
    UNKNOWN_TIME,
    Entry,
    Saved,
    has_stamp,
    history_path,
    locked,
    own_files,
    read_history,
    with_notes,
    write_history,
)
from thumbmill.catalog.layout import layout_of
from thumbmill.catalog.listing import Catalog
from thumbmill.catalog.picture import Picture, Stamp
from thumbmill.catalog.recipe import Ingredients, digest, produces_same_output, read_facts
from thumbmill.files import remove_file
from thumbmill.progress import Counter

READERS = 8  # threads that read sources, which mostly wait for a disk or a network


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
        self._digests: dict[str, str] = {}  # by wildcard, of the sources that were read
        self._versions: dict[str, str] = {}  # by wildcard, as first asked for

    @functools.cached_property
    def saved(self) -> Saved:
        """What was known before this run."""
        saved = read_history(self.path, self.layout, warn=lambda text: print(text, file=sys.stderr))
        try:
            notes, _ = read_notes(self.path)  # of a run that was killed
        except OSError:  # removed by a run that has just ended
            return saved
        return with_notes(saved, notes)

    def stamps(self, wildcard: str) -> list[Stamp] | None:
        """Return the stamp of each thumbnail of a picture; None if one is missing. Raises StoreError."""
        return self.layout.output.stamps(self.catalog.thumbnails(wildcard))

    def entry(self, wildcard: str) -> Entry | None:
        """Return what was known of a picture before this run, or before it was deleted, if it has come back."""
        picture = self.catalog.pictures.get(wildcard)
        if picture is None:
            return None
        return self.saved.pictures.get(picture.name) or self.saved.deleted.get(picture.name)

    def unchanged(self) -> frozenset[str]:
        """Return the pictures that this run need not ask the DAG about."""
        doubtful = []
        for wildcard, picture in self.catalog.pictures.items():
            entry = self.saved.pictures.get(picture.name)
            looks_new = entry is None or entry.mark != picture.mark or entry.time != picture.time
            if looks_new and self._is_doubtful(wildcard):
                doubtful.append(wildcard)
        if doubtful:
            compared = Counter("comparing pictures that may have been replaced")
            compared.expect(len(doubtful))
            with ThreadPoolExecutor(READERS) as pool:
                for _ in pool.map(self._digest, doubtful):
                    compared.step()
        return frozenset(wildcard for wildcard in self.catalog if self.is_current(wildcard))

    def has_seen(self, wildcard: str) -> bool:
        """Whether an earlier run that came to its end found the picture and its thumbnails just as they are now."""
        entry = self.entry(wildcard)
        return entry is not None and has_stamp(entry, self.catalog[wildcard]) and entry.files == self.stamps(wildcard)

    def is_current(self, wildcard: str) -> bool:
        """Whether nothing has changed since the DAG last found the picture's thumbnails current, or had them made."""
        entry, picture = self.entry(wildcard), self.catalog[wildcard]
        if entry is None or not picture.readable or entry.files != self.stamps(wildcard):
            return False
        if not has_stamp(entry, picture) and not (
            self._is_doubtful(wildcard) and self.version(wildcard) == entry.version
        ):
            return False
        return entry.valid == self.current_recipe or self.recipe(wildcard) == entry.recorded

    def version(self, wildcard: str) -> str:
        """Return what makes a picture another one though Snakemake sees no difference: a parameter of its job.

        Snakemake sees that a picture is newer than its thumbnails or has another size. If it may be another one all the
        same, its content is compared with what the thumbnails were made from. The version is the one in Snakemake's
        records ("" for the first) until the content differs, and then its digest. It stays the same from the first
        question on, though the picture's thumbnails are made meanwhile.
        """
        if wildcard not in self._versions:
            entry = self.entry(wildcard)
            version = entry.version if entry else ""
            if entry and self._is_doubtful(wildcard) and self._digest(wildcard) != entry.digest:
                version = self._digest(wildcard)
            self._versions[wildcard] = version
        return self._versions[wildcard]

    def _is_doubtful(self, wildcard: str) -> bool:
        """Whether only a look at the picture's content shows if it is the one that its thumbnails were made from.

        So it is if its date or mark is another, and Snakemake would see nothing. A mark alone moves with each copy of a
        catalogue, `chmod` and hard link.
        """
        entry, picture = self.entry(wildcard), self.catalog[wildcard]
        if entry is None or has_stamp(entry, picture):
            return False
        if not entry.digest or picture.bytes != entry.bytes or not picture.readable:
            return False
        if not self.catalog.input_of(wildcard) and picture.time != entry.time:
            return False  # its date is a parameter
        files = self.stamps(wildcard)
        return files is not None and picture.time <= min(stamp.time for stamp in files)

    def _digest(self, wildcard: str) -> str:
        """Return the digest of a picture's content as it was when this run first looked."""
        if wildcard not in self._digests:
            self._digests[wildcard] = self.layout.source.digest(self.catalog[wildcard])
        return self._digests[wildcard]

    def identity(self, wildcard: str) -> tuple[str | int, ...] | None:
        """Return what distinguishes a picture from another in its place: that of the catalogue, and its version."""
        identity, version = self.catalog.identity(wildcard), self.version(wildcard)
        return (*identity, version) if identity and version else identity

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
            notes, paths = read_notes(self.path)
            after = self._updated(with_notes(before, notes), result, skipped, notes)
            if after != before:
                write_history(self.path, after)
            for path in paths:
                remove_file(path)

    def _updated(self, before: Saved, result: RunResult, skipped: Iterable[str], notes: Mapping[str, Note]) -> Saved:
        """Return what is known after a run, from what was known `before` it ended and the `notes` of its jobs."""
        pictures, orphans, deleted = dict(before.pictures), dict(before.orphans), dict(before.deleted)
        known = {**before.deleted, **before.pictures}
        made = set(result.made)
        for wildcard in (*result.made, *result.current):
            by_us = wildcard in made or result.current[wildcard]
            note = notes.get(self.catalog[wildcard].name)
            digest = note.digest if note else ""
            if not digest and (wildcard not in made or self.layout.source.is_remote):
                digest = self._known_digest(wildcard, before)
            if entry := self._snapshot(wildcard, before, by_us, digest):
                pictures[self.catalog[wildcard].name] = entry
        for wildcard in skipped:
            picture, entry = self.catalog[wildcard], self.entry(wildcard)
            assert entry
            is_known = entry.valid == self.current_recipe and entry.time == picture.time and entry.mark == picture.mark
            if is_known and picture.name in pictures:
                continue
            after = entry._replace(valid=self.current_recipe, time=picture.time, mark=picture.mark)
            # Another run may have made it meanwhile.
            if after != pictures.get(picture.name) and entry == known.get(picture.name):
                pictures[picture.name] = after
        for name in self.deleted(pictures):
            deleted[name] = pictures.pop(name)
            orphans |= own_files(name, deleted[name], self.layout)
        if orphans:
            for name in pictures:
                for path in self.layout.thumbnails(name):
                    orphans.pop(path, None)
        deleted = {name: entry for name, entry in deleted.items() if self._has_orphans(name, orphans, pictures)}
        used = {recipe for entry in (*pictures.values(), *deleted.values()) for recipe in (entry.recorded, entry.valid)}
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
            deleted=deleted,
        )

    def orphans(self) -> dict[str, Stamp]:
        """Return the thumbnails that thumbmill made and that nothing asks for any more: path -> stamp as made."""
        orphans = dict(self.saved.orphans)
        for name in self.deleted(self.saved.pictures):
            orphans |= own_files(name, self.saved.pictures[name], self.layout)
        if not orphans:
            return orphans
        wanted = {path for wildcard in self.catalog for path in self.catalog.thumbnails(wildcard)}
        orphans = {path: stamp for path, stamp in orphans.items() if path not in wanted}
        # If only the case of a name has changed, a file system may have one file for both.
        alike = {fold(path): path for path in wanted} if orphans and not self.layout.output.is_remote else {}
        return {path: stamp for path, stamp in orphans.items() if not self._is_wanted(path, alike.get(fold(path)))}

    def _is_wanted(self, orphan: str, alike: str | None) -> bool:
        """Whether an orphan is the same file as a thumbnail with a name that is `alike`."""
        output = self.layout.output.location
        return alike is not None and are_one_file(
            output, os.path.relpath(orphan, output), os.path.relpath(alike, output)
        )

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
            pictures = {name: entry for name, entry in before.pictures.items() if name not in deleted}
            orphans = {path: stamp for path, stamp in self.orphans().items() if os.path.lexists(path)}
            gone = before.deleted | {name: before.pictures[name] for name in deleted}
            write_history(
                self.path,
                before._replace(
                    layout=layout_of(self.settings),
                    pictures=pictures,
                    orphans=orphans,
                    folders=[folder for folder in before.folders if os.path.isdir(folder)],
                    deleted={name: entry for name, entry in gone.items() if self._has_orphans(name, orphans, pictures)},
                ),
            )

    def _has_orphans(self, name: str, orphans: Container[str], pictures: Container[str]) -> bool:
        """Whether a picture that was deleted, and is not among the `pictures`, has left thumbnails."""
        return name not in pictures and any(path in orphans for path in self.layout.thumbnails(name))

    def _known_digest(self, wildcard: str, before: Saved) -> str:
        """Return the digest of a picture that was found current, or is an object; "" if it is not known."""
        if wildcard in self._digests or self.layout.source.is_remote:
            return self._digest(wildcard)
        picture = self.catalog[wildcard]
        known = before.pictures.get(picture.name) or before.deleted.get(picture.name)
        return known.digest if known and known.bytes == picture.bytes else ""

    def _snapshot(self, wildcard: str, before: Saved, made_by_us: bool, digest: str) -> Entry | None:
        """Return the entry of a picture whose thumbnails were just made, or found current; None if one is missing.

        They were made from content with this `digest`.
        """
        picture = self.catalog[wildcard]
        files = self.stamps(wildcard)
        if files is None:
            return None
        # A source from the future: the DAG goes by its content, each time.
        time = picture.time if picture.time <= min(stamp.time for stamp in files) else UNKNOWN_TIME
        known = before.pictures.get(picture.name) or before.deleted.get(picture.name)
        ours = made_by_us or bool(known and known.made_by_us and known.files == files)
        recipe, version = self.recipe(wildcard), self.version(wildcard)
        return Entry(picture.bytes, time, recipe, self.current_recipe, ours, files, picture.mark, digest, version)

    def _folders_of(self, wildcards: Iterable[str]) -> set[str]:
        """Return the folders below the output folder that hold the thumbnails of these pictures."""
        parents = {os.path.dirname(path) for wildcard in wildcards for path in self.catalog.thumbnails(wildcard)}
        folders: set[str] = set()
        for folder in parents:
            while folder != self.settings["output"] and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        return folders


def magnitude(pictures: int) -> str:
    """Return 1, 10, 100, ...: the largest that is not above a number of `pictures`."""
    return "1" + "0" * (len(str(pictures)) - 1)
