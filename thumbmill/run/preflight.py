"""Whether a run can write where it must: found out before any work, and reported in a line."""

import contextlib
import errno
import glob
import logging
import os
import tempfile
import time
from collections.abc import Collection

from thumbmill import failures
from thumbmill.catalog.listing import Catalog
from thumbmill.errors import FolderError
from thumbmill.files import TEMPORARY_PREFIX, nearest_existing
from thumbmill.text import printable

CLOCK_TOLERANCE = 60  # seconds by which the clocks of a disk and of this machine may differ
BLOCK = 4096  # bytes that must fit: a block of most file systems
MAX_SHOWN = 5


def check_working_folder() -> None:
    """Check that Snakemake's files and the logs can be written in the working directory.

    Snakemake itself would end with a traceback. From here on it stays silent about each line that it cannot write to
    its own log as well, each of which takes a page (`logging.raiseExceptions`, as Python's manual advises for
    production).

    Raises FolderError.
    """
    logging.raiseExceptions = False
    for folder in (".snakemake", *glob.glob(".snakemake/*/"), "logs", *glob.glob("logs/*/")):
        check_writable(folder)


def check_output(catalog: Catalog, wildcards: Collection[str], will_write: bool) -> None:
    """Check that the thumbnails of these pictures can be where they belong.

    Snakemake would take a folder in a thumbnail's place for a thumbnail, and end with a traceback if a file is in a
    folder's place. Whether the output folder can be written matters only if this run `will_write`.

    Raises FolderError.
    """
    output = catalog.layout.output
    if output.is_remote:
        return
    size_folders = [output.path(size) for size in catalog.settings["sizes"]]
    folders = dict.fromkeys(size_folders)
    obstacles = set()
    for wildcard in wildcards:
        for path in catalog.thumbnails(wildcard):
            folders[os.path.dirname(path)] = None
            if os.path.lexists(path) and not os.path.isfile(path):
                obstacles.add(path)
    for folder in list(folders):
        while folder and folder not in (output.location, os.path.dirname(folder)):
            folder = os.path.dirname(folder)
            folders[folder] = None
    obstacles |= {folder for folder in folders if os.path.lexists(folder) and not os.path.isdir(folder)}
    if obstacles:
        shown = [f"  {printable(path)}: {describe_obstacle(path)}" for path in sorted(obstacles)]
        more = [f"  ... and {len(shown) - MAX_SHOWN:,} more"] if len(shown) > MAX_SHOWN else []
        text = "\n".join([*shown[:MAX_SHOWN], *more])
        raise FolderError(f"these paths block thumbnail output; move them and run again\n{text}")
    if will_write:
        for folder in size_folders:
            check_writable(folder)


def reset_future_dates(catalog: Catalog, wildcards: Collection[str]) -> int:
    """Date thumbnails of these pictures that are dated in the future before their sources; return how many there were.

    They were made before the clock was set back. The DAG would take them for newer than a source that changes from now
    on, until that time has come; so it compares the source's content instead, or makes them again.
    """
    if catalog.layout.output.is_remote:
        return 0
    latest = time.time() + CLOCK_TOLERANCE
    found = 0
    for wildcard in wildcards:
        for path in catalog.thumbnails(wildcard):
            with contextlib.suppress(OSError):  # not there yet
                if os.lstat(path).st_mtime > latest:
                    before = catalog[wildcard].time / 1e9 - 1
                    os.utime(path, (before, before), follow_symlinks=False)
                    found += 1
    return found


def describe_obstacle(path: str) -> str:
    """Return what is at `path`, in words."""
    if os.path.isdir(path):
        return "a folder"
    if os.path.islink(path) and not os.path.exists(path):
        return "a broken link"
    return "a file" if os.path.isfile(path) else "a pipe, a socket or a device"


def check_writable(folder: str) -> None:
    """Check that files can be written in `folder`, or in the nearest folder around it that exists.

    Raises FolderError.
    """
    existing = nearest_existing(folder)
    try:
        if not os.path.isdir(existing):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(prefix=TEMPORARY_PREFIX, dir=existing, buffering=0) as file:
            file.write(bytes(BLOCK))
    except OSError as error:
        raise FolderError(failures.not_written(folder, error).text) from error
