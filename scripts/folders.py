"""Whether a run can write where it must: found out before any work, and said in a line."""

import contextlib
import errno
import glob
import logging
import os
import tempfile
import time
from collections.abc import Iterable

from scripts.catalogue import Catalogue
from scripts.object_storage import is_remote
from scripts.thumbnail import TEMPORARY_PREFIX, below, cannot_write, printable, thumbnail_paths

FUTURE = 60  # seconds by which the clocks of a disk and of this machine may differ

BLOCK = 4096  # bytes that must find room: a block of most file systems


class FolderError(Exception):
    """A folder cannot be used; the message says which, why, and what to do."""


def check_working_folder() -> None:
    """Raises FolderError if Snakemake's files and the logs cannot be written in the working directory.

    Snakemake itself would end with a traceback. From here on it says nothing of each line that it cannot write to its
    own log either, since that is a page (`logging.raiseExceptions`, as Python's manual advises for production).
    """
    logging.raiseExceptions = False
    for folder in (".snakemake", *glob.glob(".snakemake/*/"), "logs", *glob.glob("logs/*/")):
        check_writable(folder)


def check_output(catalogue: Catalogue, pictures: Iterable[str], will_write: bool) -> None:
    """Raises FolderError if the thumbnails of `pictures`, by what Snakemake calls them, cannot stand where they belong.

    Snakemake would take a folder in a thumbnail's place for a thumbnail, and end with a traceback where a file stands
    in a folder's place. Whether the output folder can be written is asked only if this run `will_write`.
    """
    settings = catalogue.settings
    if is_remote(settings["output"]):
        return
    folders = {below(settings["output"], size): None for size in settings["sizes"]}
    obstacles = []
    for wildcard in pictures:
        for path in thumbnail_paths(catalogue.pictures[wildcard].name, settings):
            folders[os.path.dirname(path)] = None
            if os.path.lexists(path) and not os.path.isfile(path):
                obstacles.append(path)
    for folder in list(folders):
        while folder and folder not in (settings["output"], os.path.dirname(folder)):
            folder = os.path.dirname(folder)
            folders[folder] = None
    obstacles += [folder for folder in folders if os.path.lexists(folder) and not os.path.isdir(folder)]
    if obstacles:
        shown = [f"  {printable(path)}: {kind(path)}" for path in sorted(set(obstacles))]
        more = [f"  ... and {len(shown) - 5:,} more"] if len(shown) > 5 else []
        text = "\n".join([*shown[:5], *more])
        raise FolderError(f"these stand where thumbnails belong: move them away, and run again\n{text}")
    if will_write:
        for size in settings["sizes"]:
            check_writable(below(settings["output"], size))


def date_back(catalogue: Catalogue, pictures: Iterable[str]) -> int:
    """Date thumbnails of `pictures` that are dated in the future before their sources; returns how many these were.

    They were made before the clock was set back. The DAG would take them for newer than a source that is changed from
    now on, until that time has come; so it looks at the source's content instead, or makes them again.
    """
    if is_remote(catalogue.settings["output"]):
        return 0
    latest = time.time() + FUTURE
    found = 0
    for wildcard in pictures:
        picture = catalogue.pictures[wildcard]
        for path in dict.fromkeys((*catalogue.outputs(wildcard), *thumbnail_paths(picture.name, catalogue.settings))):
            with contextlib.suppress(OSError):  # not there yet
                if os.lstat(path).st_mtime > latest:
                    before = picture.time / 1e9 - 1
                    os.utime(path, (before, before), follow_symlinks=False)
                    found += 1
    return found


def kind(path: str) -> str:
    """What stands at `path`."""
    if os.path.isdir(path):
        return "a folder"
    if os.path.islink(path) and not os.path.exists(path):
        return "a link that leads nowhere"
    return "a file" if os.path.isfile(path) else "no ordinary file"


def check_writable(folder: str) -> None:
    """Raises FolderError if no file can be written in `folder`, or in the nearest folder around it that exists."""
    there = existing(folder)
    try:
        if not os.path.isdir(there):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(prefix=TEMPORARY_PREFIX, dir=there, buffering=0) as file:
            file.write(bytes(BLOCK))
    except OSError as error:
        raise FolderError(cannot_write(folder, error)) from error


def existing(path: str) -> str:
    """`path`, or the nearest folder around it that exists."""
    path = os.path.abspath(path)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path
