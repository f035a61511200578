"""Orphans: thumbnails that thumbmill made, and whose source is gone or whose size is no longer made."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping

from scripts.catalogue import Catalogue
from scripts.history import UNKNOWN, Entry, History
from scripts.object_storage import is_remote
from scripts.report import SHOWN, in_words
from scripts.thumbnail import below, printable, thumbnail_paths, write_lines

MOST = 5  # more than one in so many is not removed without being told so


class OrphansError(Exception):
    """Orphans are not removed; the message says why, and what to do."""


def find_orphans(history: History) -> dict[str, int]:
    """The orphans below the output folder that can be removed: path -> bytes.

    Not among them is what somebody else put there or has changed, what is reached through a link, and what is a
    source or a thumbnail of the catalogue under another name (where the file system knows no capitals, for one).

    Raises OrphansError if the output folder is in object storage.
    """
    output = history.settings["output"]
    check_knows_orphans(output)
    found = {path: status for path, expected in history.strays().items() if (status := own(path, expected, output))}
    if found:
        wanted = identities(history.catalogue)
        found = {path: status for path, status in found.items() if (status.st_dev, status.st_ino) not in wanted}
    return {path: found[path].st_size for path in sorted(found)}


def check_knows_orphans(output: str) -> None:
    """Raises OrphansError if the output folder is in object storage."""
    if is_remote(output):
        raise OrphansError(
            f"orphans in object storage ({output}) are neither found nor removed: thumbmill cannot tell there what it "
            "made itself. Remove them with the store's own tools"
        )


def removable(history: History, more_than_a_fifth: bool) -> dict[str, int]:
    """The orphans, as find_orphans() has them.

    Raises OrphansError as well if they are more than a fifth of all thumbnails and `more_than_a_fifth` is not allowed.
    """
    orphans = find_orphans(history)
    own = count_own(history, orphans)
    if len(orphans) * MOST > own and not more_than_a_fifth:
        raise OrphansError(
            f"{len(orphans):,} of {own:,} thumbnails are orphans, more than a fifth: none was removed. "
            f"Is all of the source folder {history.settings['source']!r} there? "
            "`snakemake --cores 1 orphans` lists them. To remove them all the same: "
            "snakemake --cores 1 remove_orphans --config remove_more_than_a_fifth=true"
        )
    return orphans


def own(path: str, expected: list[int], output: str) -> os.stat_result | None:
    """The status of the file at `path` if it is as thumbmill made it, with the [time, size] `expected`; else None."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    as_made = stat.S_ISREG(status.st_mode) and [status.st_mtime_ns, status.st_size] == expected
    return status if as_made and lies_in(os.path.dirname(path), output) else None


def lies_in(folder: str, output: str) -> bool:
    """Whether `folder` is below `output` in fact, and not by way of a link (`output` itself may be one)."""
    place = os.path.normpath(os.path.join(os.path.realpath(output), os.path.relpath(folder, output)))
    return os.path.realpath(folder) == place


def identities(catalogue: Catalogue) -> set[tuple[int, int]]:
    """(device, inode) of every source and thumbnail of the catalogue that there is."""
    found = set()
    for picture in catalogue.pictures.values():
        source = below(catalogue.settings["source"], picture.name)
        for path in (source, *thumbnail_paths(picture.name, catalogue.settings)):
            try:
                status = os.stat(path)
            except OSError:
                continue
            found.add((status.st_dev, status.st_ino))
    return found


def list_orphans(history: History, log: str) -> None:
    """Print how many orphans there are and some of them, and write all their paths to the file `log`, a line each."""
    orphans = find_orphans(history)
    lines = [printable(path) for path in orphans]
    write_lines(log, lines)
    print(
        f"thumbmill: orphans: {len(orphans):,} of {count_own(history, orphans):,} thumbnails, "
        f"{in_words(sum(orphans.values()))}"
    )
    tell(lines, log)
    if orphans:
        print("  `snakemake --cores 1 remove_orphans` removes them")


def tell(lines: list[str], log: str) -> None:
    """Print the first of `lines`, and that all are in the file `log`."""
    print("".join(f"  {line}\n" for line in lines[:SHOWN]), end="")
    if len(lines) > SHOWN:
        print(f"  ... and {len(lines) - SHOWN:,} more: {log}")


def count_own(history: History, orphans: Collection[str]) -> int:
    """The number of thumbnails that thumbmill made and that are there, the `orphans` included."""
    wanted = {picture.name for picture in history.catalogue.pictures.values()}
    entries = (Entry(*fields) for name, fields in history.known.pictures.items() if name in wanted)
    return len(orphans) + sum(time != UNKNOWN for entry in entries if entry.ours for time, _ in entry.files)


def remove_orphans(history: History, more_than_a_fifth: bool, log: str) -> None:
    """Remove the orphans, and those folders that thumbmill made and that are empty then.

    What was removed is printed, and written to the file `log`.

    Raises OrphansError, before anything is removed, as removable() does; and after all others are, if one cannot be
    removed. (Not sys.exit: Snakemake would wait for ever for a `run:` block that ends so.)
    """
    orphans = removable(history, more_than_a_fifth)
    removed, problems = remove_files(orphans)
    folders = remove_empty_folders(history.known.folders, history.settings["output"])
    history.forget_removed()
    lines = [printable(path) for path in (*removed, *folders)]
    write_lines(log, lines)
    freed = sum(orphans[path] for path in removed)
    print(f"thumbmill: orphans removed: {len(removed):,} ({in_words(freed)}); empty folders removed: {len(folders):,}")
    tell(lines, log)
    if problems:
        raise OrphansError("\n".join(problems))


def remove_files(paths: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Delete the files; returns those that are gone, and a line for each that could not be deleted."""
    removed, problems = [], []
    for path in paths:
        try:
            os.unlink(path)
            removed.append(path)
        except OSError as error:
            problems.append(f"{printable(path)} cannot be removed: {error.strerror}")
    return removed, problems


def remove_empty_folders(folders: Iterable[str], output: str) -> list[str]:
    """Delete those of the `folders` that are empty, the innermost first; returns them."""
    removed = []
    for folder in sorted(folders, key=len, reverse=True):
        if os.path.isdir(folder) and lies_in(folder, output):
            try:
                os.rmdir(folder)
                removed.append(folder)
            except OSError:
                pass  # something is left in it
    return removed
