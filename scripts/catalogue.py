"""List the catalogue: every picture below the source folder, and what Snakemake is to call it."""

import functools
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from scripts.object_storage import StoreError, is_remote, list_objects, percent, query, quote
from scripts.status import Counter
from scripts.thumbnail import FORMATS, ODD_NAMES, below, kinds, printable, thumbnail_paths

# By these, in any case, a file counts as a picture: the usual extensions of scripts.thumbnail.READABLE.
EXTENSIONS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp"}
EXTENSIONS |= {".heic", ".heif", ".hif"}  # which need a library of their own: a picture without it says so

# Snakemake reads {x} in a path as a wildcard and <x> as a path variable, wherever they stand, and cannot be told not
# to; its patterns stop at line breaks, and its lock files hold UTF-8, a path a line.
UNSPEAKABLE = re.compile(r"[{}<>\x00-\x1f\x7f\ud800-\udfff]")

# Snakemake refuses a wildcard that ends in the same text 20 times or more (io.PeriodicityDetector), as in "aaa...a".
REPEATED = re.compile(r"(.+?)\1{19}$")

LONGEST_NAME = 255  # bytes in one part of a path (NAME_MAX of every common file system)


class CatalogueError(ValueError):
    """The source folder cannot be used as a catalogue; the message says why, and what to do."""


class Picture(NamedTuple):
    """One source: its path below the source folder, its size in bytes, whether it can be opened for reading, its date.

    The date is in nanoseconds since the epoch; of a link, the later of its own and its target's, as Snakemake has it.
    A picture that cannot be read is in the catalogue too, and so is a folder that cannot be listed (its name ends in
    a slash): their jobs fail, alone, and say so.
    """

    name: str
    bytes: int
    readable: bool
    time: int = 0


class Catalogue:
    """The pictures of a catalogue, by what Snakemake calls them.

    A picture's wildcard is its path below the source folder without extension (with it, if `keep_extension`). Where
    Snakemake cannot write that, a digest stands in, the source is reached through a link under ODD_NAMES, and so is
    the thumbnail, which itself gets its proper name.
    """

    def __init__(self, pictures: list[Picture], settings: Mapping):
        self.settings = settings
        self.pictures: dict[str, Picture] = {}
        self.odd: set[str] = set()
        # Snakemake asks for each source as it builds the DAG, then for each identity as it judges what is to be made.
        self.sources_asked = Counter("building the DAG")
        self.identities_asked = Counter("finding out what is to be made")
        for picture in pictures:
            wildcard = stem(picture.name, settings["keep_extension"])
            if is_remote(settings["output"]):
                wildcard = spoken(wildcard)
            if can_be_spoken(wildcard, settings):
                pass
            elif is_remote(settings["output"]):
                # No link can stand in there: its job fails, alone, and says so.
                wildcard = hashlib.sha256(os.fsencode(picture.name)).hexdigest()[:32]
                picture = picture._replace(readable=False)
            else:
                # Of the output folder too: its thumbnails stand in for no other folder's.
                wildcard = hashlib.sha256(os.fsencode(below(settings["output"], wildcard))).hexdigest()[:32]
                self.odd.add(wildcard)
            self.pictures[wildcard] = picture
        self.remove_dead_links()

    def remove_dead_links(self) -> None:
        """Remove the links under ODD_NAMES that lead to no thumbnail, or to that of a working directory copied here.

        Snakemake would stumble over the former, and take the latter for up to date.
        """
        for wildcard in self.odd:
            paths = thumbnail_paths(self.pictures[wildcard].name, self.settings)
            for link, path in zip(self.outputs(wildcard), paths, strict=True):
                target = os.path.abspath(path)
                if os.path.islink(link) and not (os.path.exists(link) and os.readlink(link) == target):
                    os.unlink(link)

    def expect(self, pictures: int) -> None:
        """Snakemake will be asked about so many pictures, so that it can be said how far it is."""
        self.sources_asked.total = self.identities_asked.total = pictures

    def source(self, wildcards) -> list[str]:
        """The input of the job that `wildcards.picture` names: its source, or nothing if that cannot be read."""
        self.sources_asked.step()
        picture = self.pictures.get(wildcards.picture)
        if picture is None:
            # Not of this catalogue: Snakemake says that the input is missing, and for which thumbnail.
            path = below(self.settings["source"], wildcards.picture)
            return [query(path) if is_remote(path) else path]
        if not picture.readable:
            return []
        path = below(self.settings["source"], picture.name)
        if is_remote(path):
            return [query(path)]
        if is_remote(self.settings["output"]) and not can_be_spoken(path, self.settings):
            return [link_source(path, hashlib.sha256(os.fsencode(path)).hexdigest()[:32])]
        return [link_source(path, wildcards.picture) if wildcards.picture in self.odd else path]

    def identity(self, wildcards) -> tuple[str, int] | None:
        """What tells one picture from another in its place: its path below the source folder and its size in bytes.

        A parameter of each job, so that Snakemake's `params` trigger sees a replacement whose date is older.
        """
        self.identities_asked.step()
        picture = self.pictures.get(wildcards.picture)
        return picture and (picture.name, picture.bytes)

    def outputs(self, wildcard: str) -> list[str]:
        """The thumbnails of a picture, in Snakemake's words and in the order of thumbnail_paths()."""
        patterns = self.odd_patterns if wildcard in self.odd else self.patterns
        return [pattern.replace("{picture}", wildcard) for pattern in patterns]

    def thumbnails(self, pictures: Iterable[str] | None = None) -> list[str]:
        """The thumbnails of `pictures`, or of the whole catalogue, in Snakemake's words."""
        return [
            path for wildcard in (self.pictures if pictures is None else pictures) for path in self.outputs(wildcard)
        ]

    @functools.cached_property
    def patterns(self) -> list[str]:
        """The outputs of the rule: one for each size and format, in the order of thumbnail_paths()."""
        return patterns_of(self.settings["output"], self.settings)

    @functools.cached_property
    def odd_patterns(self) -> list[str]:
        """The same for pictures whose names Snakemake cannot write."""
        return patterns_of(ODD_NAMES, self.settings)


def patterns_of(folder: str, settings: Mapping) -> list[str]:
    """The paths of a picture's thumbnails below `folder`, with a wildcard for the picture."""
    paths = thumbnail_paths("{picture}", {**settings, "output": folder, "keep_extension": True})
    return [query(path).replace(quote("{picture}"), "{picture}") if is_remote(path) else path for path in paths]


def stem(name: str, keep_extension: bool) -> str:
    """A picture's path without its extension, unless that is kept."""
    return name if keep_extension else os.path.splitext(name)[0]


def spoken(wildcard: str) -> str:
    """`wildcard` for the name of an object: with %XX for what Snakemake cannot write."""
    wildcard = quote(wildcard)
    if wildcard.endswith((" ", "/")) or REPEATED.search(wildcard):
        try:
            wildcard = wildcard[:-1] + percent(wildcard[-1])
        except UnicodeEncodeError:  # it is not UTF-8, as an object's name must be
            pass
    return wildcard


def can_be_spoken(wildcard: str, settings: Mapping) -> bool:
    """Whether Snakemake can use this path as a wildcard, and files can be named after it."""
    if UNSPEAKABLE.search(wildcard) or wildcard.endswith((" ", "/")):
        return False
    if wildcard.count(wildcard[-1]) >= 20 and REPEATED.search(wildcard):
        return False
    if len(wildcard) < 60:
        return True  # of at most four bytes each: no name in it is near the limit
    longest_extension = max(len(FORMATS[format].extension) for _, _, format in kinds(settings))
    longest_part = max(len(part.encode()) for part in wildcard.split("/"))
    return longest_part + max(longest_extension, len(".log")) <= LONGEST_NAME


def link_source(path: str, wildcard: str) -> str:
    """A link to `path` under a name that Snakemake can write. Raises OSError."""
    link = os.path.join(ODD_NAMES, "sources", wildcard)
    target = os.path.abspath(path)
    if not os.path.islink(link) or os.readlink(link) != target:
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if os.path.islink(link):
            os.unlink(link)
        os.symlink(target, link)
    return link


def list_catalogue(settings: Mapping) -> Catalogue:
    """Search the source folder for pictures, by extension, in a stable order.

    Raises CatalogueError if the folder is missing, cannot be listed, holds no picture, or two pictures would share a
    thumbnail.
    """
    source, output = settings["source"], settings["output"]
    left_out = [output, *(f"{output}/{size}" for size in settings["sizes"])]
    if is_remote(source):
        try:
            pictures = sorted(counted(find_objects(source, left_out), source))
        except StoreError as error:
            raise CatalogueError(str(error)) from error
    elif os.path.isdir(source):
        pictures = sorted(counted(find_pictures(source, left_out), source))
    else:
        raise CatalogueError(
            f"the source folder {source!r} does not exist (seen from {os.getcwd()!r}): "
            "create it, mount it, or set `source` in config.yaml"
        )
    if not pictures:
        raise CatalogueError(
            f"no picture in the source folder {source!r}: none of its files ends in {' '.join(sorted(EXTENSIONS))}"
        )
    check_encoding(pictures, sys.getfilesystemencoding())
    check_collisions(pictures, settings)
    return Catalogue(pictures, settings)


def check_encoding(pictures: Iterable[Picture], encoding: str) -> None:
    """Refuse names that this run would call something else than another run does, whose locale is an ordinary one.

    Python takes the `encoding` of names from the locale. In UTF-8 names of any kind keep their bytes; in any other
    encoding those that are not ASCII would be other pictures to Snakemake's records, and what was made unknown.

    Raises CatalogueError.
    """
    if encoding.lower() == "utf-8":
        return
    for picture in pictures:
        if not picture.name.isascii():
            name = os.fsencode(picture.name).decode(errors="surrogateescape")
            raise CatalogueError(
                f"the locale says that file names are in {encoding}, so that {printable(name)} would be taken for "
                "another picture than in UTF-8: run the same command with PYTHONUTF8=1 in the environment"
            )


def counted(pictures: Iterable[Picture], source: str) -> Iterator[Picture]:
    """The same `pictures`; meanwhile it is said how many have been found."""
    found = Counter(f"listing {printable(source)}")
    for picture in pictures:
        found.step()
        yield picture


def find_pictures(source: str, left_out: Iterable[str]) -> Iterator[Picture]:
    """Every picture below the folder `source`, in no particular order; links are followed, wherever they lead.

    Not found: hidden files and folders, the folders `left_out`, and a folder reached once more through a link inside
    itself (which would go on for ever).

    Raises CatalogueError if the folder itself cannot be listed.
    """
    left_out_ids = {folder_id(os.stat(folder)) for folder in left_out if os.path.isdir(folder)}
    open_folders = [("", (folder_id(os.stat(source)),))]
    while open_folders:
        folder, ancestors = open_folders.pop()
        try:
            entries = list(os.scandir(os.path.join(source, folder)))
        except OSError as error:
            if not folder:
                raise CatalogueError(f"the source folder {source!r} cannot be listed: {error.strerror}") from error
            yield Picture(f"{folder}/", 0, readable=False)
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = os.path.join(folder, entry.name)
            is_picture = os.path.splitext(entry.name)[1].lower() in EXTENSIONS
            try:
                is_folder = entry.is_dir()
                if not is_folder and not is_picture:
                    continue
                status = entry.stat()
            except OSError:  # a link in a circle, or to a place that may not be looked into
                if is_picture:
                    yield Picture(name, 0, readable=False)
                continue
            if is_folder:
                found = folder_id(status)
                if found not in ancestors and found not in left_out_ids:
                    open_folders.append((name, (*ancestors, found)))
            elif entry.is_file():
                time = status.st_mtime_ns
                if entry.is_symlink():
                    time = max(time, entry.stat(follow_symlinks=False).st_mtime_ns)
                yield Picture(name, status.st_size, os.access(entry.path, os.R_OK), time)


def find_objects(source: str, left_out: Iterable[str]) -> Iterator[Picture]:
    """Every picture below `source` in object storage, in no particular order.

    Not found: what is hidden (a part of its name starts with a dot), and the folders `left_out`. Raises StoreError.
    """
    inside = tuple(f"{folder}/".removeprefix(f"{source}/") for folder in left_out if folder.startswith(f"{source}/"))
    for name, size, time in list_objects(source):
        if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith((".", *inside)) and "/." not in name:
            yield Picture(name, size, True, time)


def folder_id(status: os.stat_result) -> tuple[int, int]:
    """What tells a folder from all others, however it is reached."""
    return status.st_dev, status.st_ino


def check_collisions(pictures: list[Picture], settings: Mapping) -> None:
    """Refuse pictures that would share a thumbnail, or one that would stand where another needs a folder.

    Raises CatalogueError naming up to five pairs.
    """
    owners: dict[str, str] = {}
    pairs = []
    for picture in pictures:
        wildcard = stem(picture.name, settings["keep_extension"])
        if wildcard in owners:
            pairs.append((owners[wildcard], picture.name))
        owners.setdefault(wildcard, picture.name)
    advice = "set `keep_extension: true` (a.jpg.jpg, a.png.jpg), or rename one"
    if not pairs:
        suffixes = sorted({FORMATS[format].extension for _, _, format in kinds(settings)})
        files = {wildcard + suffix: name for wildcard, name in owners.items() for suffix in suffixes}
        folders = {os.path.dirname(name): name for name in owners.values()}
        for folder, name in list(folders.items()):
            while folder := os.path.dirname(folder):
                folders.setdefault(folder, name)
        pairs = [(files[path], folders[path]) for path in sorted(files.keys() & folders.keys())]
        advice = "rename the folder, or the picture"
    if pairs:
        source = settings["source"]
        shown = [
            f"  {printable(below(source, first))}  and  {printable(below(source, second))}"
            for first, second in pairs[:5]
        ]
        more = f"\n  ... and {len(pairs) - 5:,} more" if len(pairs) > 5 else ""
        raise CatalogueError(
            "these pictures would share one thumbnail:\n"
            + "\n".join(shown)
            + more
            + f"\n{advice[0].upper()}{advice[1:]}."
        )
