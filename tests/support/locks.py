"""Locks held by another run, without another process."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from thumbmill.catalog.store import open_store
from thumbmill.run.lock import OutputLock


def release(lock: OutputLock) -> None:
    """Do what the end of a process does with its locks."""
    for file in (lock._lock, lock._share):
        if file:
            file.close()


@contextlib.contextmanager
def working(output: str = "thumbnails", folder: Path | str = ".") -> Iterator[OutputLock]:
    """Be a run that works on `output` in the working directory `folder`."""
    with contextlib.chdir(folder):
        lock = OutputLock(open_store(output))
        lock.acquire()
    try:
        yield lock
    finally:
        release(lock)
