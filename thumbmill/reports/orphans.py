"""Orphans: thumbnails that thumbmill made, and whose source was deleted or whose size is no longer made."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping

from thumbmill.catalog.history import History
from thumbmill.catalog.history_file import UNKNOWN_TIME
from thumbmill.catalog.listing import Catalog
from thumbmill.catalog.picture import Stamp
from thumbmill.catalog.store import Store
from thumbmill.errors import OrphansError
from thumbmill.files import write_lines
from thumbmill.run.summary import MAX_SHOWN
from thumbmill.text import format_bytes, printable

MAX_SHARE = 5  # more than one in this many thumbnails is not removed unless the user insists


def find_orphans(history: History) -> dict[str, int]:
    """Return the orphans below the output folder that can be removed: path -> bytes.

    Not among them is what somebody else put there or has changed, what is reached through a link, and what is a
    source or a thumbnail of the catalogue under another name (if the file system ignores case, for one).

    Raises OrphansError if the output folder is in object storage.
    """
    check_knows_orphans(history.layout.output)
    output = history.settings["output"]
    found = {path: status for path, stamp in history.orphans().items() if (status := own_status(path, stamp, output))}
    if found:
        wanted = identities(history.catalog)
        found = {path: status for path, status in found.items() if (status.st_dev, status.st_ino) not in wanted}
    return {path: found[path].st_size for path in sorted(found)}


def check_knows_orphans(output: Store) -> None:
    """Raise OrphansError if the output folder is in object storage."""
    if output.is_remote:
        raise OrphansError(
            f"orphans in object storage ({output.location}) are neither found nor removed: thumbmill does not know "
            "what it made there. Remove them with the store's own tools"
        )


def removable(history: History, allow_mass_removal: bool) -> dict[str, int]:
    """Return the orphans, as find_orphans() does.

    Raises OrphansError as well if they are more than a fifth of all thumbnails, unless `allow_mass_removal`.
    """
    orphans = find_orphans(history)
    own = count_own(history, orphans)
    if len(orphans) * MAX_SHARE > own and not allow_mass_removal:
        raise OrphansError(
            f"{len(orphans):,} of {own:,} thumbnails are orphans, more than a fifth: none was removed. "
            f"Is all of the source folder {history.settings['source']!r} there? "
            "`snakemake --cores 1 orphans` lists them. To remove them all the same: "
            "snakemake --cores 1 remove_orphans --config allow_mass_removal=true"
        )
    return orphans


def own_status(path: str, expected: Stamp, output: str) -> os.stat_result | None:
    """Return the status of the file at `path` if it is as thumbmill made it, with the stamp `expected`; else None."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    as_made = stat.S_ISREG(status.st_mode) and Stamp(status.st_mtime_ns, status.st_size) == expected
    return status if as_made and is_below(os.path.dirname(path), output) else None


def is_below(folder: str, output: str) -> bool:
    """Whether `folder` really is below `output`, and not by way of a link (`output` itself may be one)."""
    expected = os.path.normpath(os.path.join(os.path.realpath(output), os.path.relpath(folder, output)))
    return os.path.realpath(folder) == expected


def identities(catalog: Catalog) -> set[tuple[int, int]]:
    """Return (device, inode) of every source and thumbnail of the catalogue that there is."""
    found = set()
    for wildcard in catalog:
        for path in (catalog.source_path(wildcard), *catalog.thumbnails(wildcard)):
            try:
                status = os.stat(path)
            except OSError:
                continue
            found.add((status.st_dev, status.st_ino))
    return found


def list_orphans(history: History, log: str) -> None:
    """Print how many orphans there are and some of them, and write all their paths to the file `log`, one on each line.

    Raises OrphansError if the output folder is in object storage.
    """
    orphans = find_orphans(history)
    lines = [printable(path) for path in orphans]
    write_lines(log, lines)
    print(
        f"thumbmill: orphans: {len(orphans):,} of {count_own(history, orphans):,} thumbnails, "
        f"{format_bytes(sum(orphans.values()))}"
    )
    print_first(lines, log)
    if orphans:
        print("  `snakemake --cores 1 remove_orphans` removes them")


def print_first(lines: list[str], log: str) -> None:
    """Print the first of `lines`, and that the file `log` holds all of them."""
    print("".join(f"  {line}\n" for line in lines[:MAX_SHOWN]), end="")
    if len(lines) > MAX_SHOWN:
        print(f"  ... and {len(lines) - MAX_SHOWN:,} more: {log}")


def count_own(history: History, orphans: Collection[str]) -> int:
    """Return the number of thumbnails that thumbmill made and that are there, including the `orphans`."""
    wanted = {picture.name for picture in history.catalog.pictures.values()}
    entries = (entry for name, entry in history.saved.pictures.items() if name in wanted and entry.made_by_us)
    return len(orphans) + sum(stamp.time != UNKNOWN_TIME for entry in entries for stamp in entry.files)


def remove_orphans(history: History, allow_mass_removal: bool, log: str) -> None:
    """Remove the orphans, and those folders that thumbmill made and that are empty then.

    Print what was removed, and write it to the file `log`.

    Raises OrphansError: before anything is removed, as removable() does; and after all others are, if one cannot be
    removed. (No SystemExit: Snakemake would wait endlessly for a `run:` block that ends so.)
    """
    orphans = removable(history, allow_mass_removal)
    removed, problems = remove_files(orphans)
    folders = remove_empty_folders(history.saved.folders, history.settings["output"])
    history.forget_removed()
    lines = [printable(path) for path in (*removed, *folders)]
    write_lines(log, lines)
    freed = format_bytes(sum(orphans[path] for path in removed))
    print(f"thumbmill: orphans removed: {len(removed):,} ({freed}); empty folders removed: {len(folders):,}")
    print_first(lines, log)
    if problems:
        raise OrphansError("\n".join(problems))


def remove_files(paths: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Delete the files; return those that were deleted, and a line for each that could not be."""
    removed, problems = [], []
    for path in paths:
        try:
            os.unlink(path)
            removed.append(path)
        except OSError as error:
            problems.append(f"{printable(path)} cannot be removed: {error.strerror}")
    return removed, problems


def remove_empty_folders(folders: Iterable[str], output: str) -> list[str]:
    """Delete those of the `folders` that are empty, the innermost first; return them."""
    removed = []
    for folder in sorted(folders, key=len, reverse=True):
        if os.path.isdir(folder) and is_below(folder, output):
            try:
                os.rmdir(folder)
                removed.append(folder)
            except OSError:
                pass  # something is left in it
    return removed
