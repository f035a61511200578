"""Files that are whole or absent, and the leftovers of processes that were killed."""

import os
import re
import stat
from collections.abc import Iterable

from thumbmill.text import printable

TEMPORARY_PREFIX = ".thumbmill-"
TEMPORARY_NAME = re.compile(re.escape(TEMPORARY_PREFIX) + "[0-9]+-[0-9a-f]{16}")  # as temporary_name() has it


def temporary_name() -> str:
    """Return a name for a temporary file or folder, by which remove_temporary_files() knows it."""
    return f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(8).hex()}"


def write_atomically(path: str, content: bytes) -> None:
    """Write `content` to `path` so that, whenever this process dies, `path` is whole or absent.

    Raises OSError.
    """
    folder = os.path.dirname(path) or "."
    temporary = os.path.join(folder, temporary_name())
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise


def write_lines(path: str, lines: Iterable[str]) -> None:
    """Write a text file atomically, one line for each string. Raises OSError."""
    write_atomically(path, "".join(f"{printable(line)}\n" for line in lines).encode())


def remove_file(path: str) -> None:
    """Delete the file `path`, if it is there and can be deleted."""
    try:
        os.unlink(path)
    except OSError:
        pass


def remove_temporary_files(folder: str, recursive: bool = True) -> set[str]:
    """Delete what killed processes left in `folder`, which need not exist.

    Only what has exactly such a name as temporary_name() gives: plain files, folders with nothing but empty files, and
    nothing beyond a link. Return the folders below `folder`; if not `recursive`, look into none of them and return an
    empty set.
    """
    found: set[str] = set()
    for path, folders, files in os.walk(folder):
        for name in files:
            if name.startswith(TEMPORARY_PREFIX) and TEMPORARY_NAME.fullmatch(name):
                remove_plain_file(os.path.join(path, name))
        for name in folders:
            if name.startswith(TEMPORARY_PREFIX) and TEMPORARY_NAME.fullmatch(name):
                remove_probe_folder(os.path.join(path, name))
        if not recursive:
            break
        found.update(os.path.join(path, name) for name in folders)
    return found


def remove_plain_file(path: str) -> None:
    """Delete `path` if it is a plain file and can be deleted."""
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)
    except OSError:
        pass  # gone already, or not ours to delete


def remove_probe_folder(folder: str) -> None:
    """Delete `folder` if there is nothing in it but empty files."""
    try:
        probes = list(os.scandir(folder))
        if all(probe.is_file(follow_symlinks=False) and probe.stat().st_size == 0 for probe in probes):
            for probe in probes:
                os.unlink(probe.path)
            os.rmdir(folder)
    except OSError:
        pass  # a link, or not ours to delete


def nearest_existing(path: str) -> str:
    """Return the absolute `path`, or the nearest folder around it that exists."""
    path = os.path.abspath(path)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def join_path(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`, without the "./" that Snakemake warns about."""
    return name if folder == "." else os.path.join(folder, name)


def disk_usage(files: int, total_bytes: float, block: int) -> float:
    """Return the bytes that `files` files of `total_bytes` in all take on a disk: each wastes half a block."""
    return total_bytes + files * block / 2
