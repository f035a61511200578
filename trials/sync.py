"""What it costs to have thumbnails on the disk, not only in memory: python -m trials.sync [--folder FOLDER]

Writes files as thumbnails are written: as they are, with an fsync of each before it gets its name, and with one sync of
all file systems at the end, in turn. Prints medians. The figures are those of the disk that holds FOLDER.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from thumbmill.files import write_atomically

WAYS = ("as they are", "fsync each", "one sync")


def write_files(folder: Path, files: int, size: int, way: str) -> float:
    """Write `files` files of `size` bytes each into the empty `folder`; return the seconds that it took."""
    content = os.urandom(size)
    begin = time.monotonic()
    for number in range(files):
        path = folder / f"{number}.jpg"
        if way == "fsync each":
            temporary = folder / f".{number}"
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        else:
            write_atomically(str(path), content)
    if way == "one sync":
        os.sync()
    return time.monotonic() - begin


def run_trial(folder: Path, files: int, size: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way, one number for each of the `rounds`."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            os.sync()  # so that nobody pays for what was written before
            with tempfile.TemporaryDirectory(dir=folder) as inner:
                seconds[way].append(write_files(Path(inner), files, size, way))
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Run the trial and print its medians; return 0."""
    parser = argparse.ArgumentParser(prog="python -m trials.sync", description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to try (default: the current one)")
    parser.add_argument("--files", type=int, default=1000, help="how many to write (%(default)s)")
    parser.add_argument("--size", type=int, default=10_000, help="bytes of each (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="how often (%(default)s)")
    given = parser.parse_args(arguments)
    for way, seconds in run_trial(given.folder, given.files, given.size, given.rounds).items():
        each = 1000 * statistics.median(seconds) / given.files
        print(f"{way}: {each:.3f} ms per file of {given.size:,} bytes (median of {given.rounds} rounds)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
