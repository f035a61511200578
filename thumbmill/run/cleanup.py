"""What killed runs, power cuts and idle jobs leave behind."""

import glob
import os
import shutil
from collections.abc import Container, Iterable

from thumbmill.catalog.history_file import STATE_FOLDER
from thumbmill.catalog.store import Store
from thumbmill.files import remove_file, remove_temporary_files
from thumbmill.run.lock import OutputLock
from thumbmill.run.paths import STORAGE_COPIES, RunPaths

SHARDS_FOLDER = os.path.join(STATE_FOLDER, "shards")  # with a folder for each run that makes shards


def remove_leftovers(lock: OutputLock, output: Store, paths: RunPaths) -> set[str]:
    """Remove what killed runs have left: temporary files, and the folders of their shards.

    Needs the lock. What cannot be removed stays. Return the folders below the output folder (a store has none).
    """
    for folder in glob.glob(os.path.join(SHARDS_FOLDER, f"{lock.name}-*")):
        if os.path.basename(folder) != lock.run:
            shutil.rmtree(folder, ignore_errors=True)
    if lock.is_alone():  # else another run, with another output folder, may be writing there
        for folder in (STATE_FOLDER, paths.manifest, paths.gallery):
            remove_temporary_files(folder, recursive=False)
        remove_temporary_files(paths.logs)
        lock.share()
    if output.is_remote:
        remove_temporary_files(STORAGE_COPIES)
        return set()
    return remove_temporary_files(output.location)


def remove_empty_thumbnails(paths: Iterable[str], lock: OutputLock) -> None:
    """Remove those of the thumbnails at `paths` that have no bytes, which Snakemake would take for current.

    A power cut leaves them: a file's name may reach the disk before its content does. The history lists none, since it
    is written when all content is on the disk; so only paths that it does not vouch for are worth asking about.
    """
    empty = [path for path in paths if is_empty(path)]
    if empty and lock.try_acquire():
        for path in empty:
            remove_file(path)


def is_empty(path: str) -> bool:
    """Whether there is a file of no bytes at `path`."""
    try:
        return os.stat(path).st_size == 0
    except (OSError, ValueError):
        return False


def remove_idle_logs(folder: str, wildcards: Container[str]) -> None:
    """Remove the jobs' logs below `folder` that say nothing, and the folders that this empties.

    Snakemake makes an empty log for each job that wrote none; others belong to pictures that are no longer among the
    `wildcards`.
    """
    for path, _, files in os.walk(folder, topdown=False):
        for file in files:
            log = os.path.join(path, file)
            wildcard, extension = os.path.splitext(os.path.relpath(log, folder))
            if extension == ".log" and (wildcard not in wildcards or os.path.getsize(log) == 0):
                os.unlink(log)
        try:
            os.rmdir(path)
        except OSError:
            pass  # something is left in it
