"""Files that are whole or absent, and the leftovers of processes that were killed."""

import os
import re
import stat
from collections.abc import Iterable

from thumbmill.text import printable

TEMPORARY_PREFIX = ".thumbmill-"
TEMPORARY_NAME = re.compile(re.escape(TEMPORARY_PREFIX) + "[0-9]+-[0-9a-f]{16}")  # as write_atomically() names them


def write_atomically(path: str, content: bytes) -> None:
    """Write `content` to `path` so that, whenever this process dies, `path` is whole or absent.

    Raises OSError.
    """
    folder = os.path.dirname(path) or "."
    temporary = os.path.join(folder, f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(8).hex()}")
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
    """Delete what interrupted calls of write_atomically() left in `folder`, which need not exist.

    Only plain files that carry exactly such a name, and nothing beyond a link. Return the folders below `folder`; if
    not `recursive`, look at none of them and return an empty set.
    """
    found: set[str] = set()
    for path, folders, files in os.walk(folder):
        for name in files:
            if name.startswith(TEMPORARY_PREFIX) and TEMPORARY_NAME.fullmatch(name):
                remove_plain_file(os.path.join(path, name))
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
