"""What it costs to have thumbnails on the disk, not only in memory: python -m tests.trials.sync [--folder FOLDER]

Writes files as thumbnails are written: as they are, with an fsync of each before it is renamed, and with one sync of
all file systems at the end, in turn. Prints medians. The figures are those of the disk below FOLDER.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from scripts.thumbnail import write_whole

WAYS = ("as they are", "fsync each", "one sync")


def write_files(folder: Path, files: int, size: int, way: str) -> float:
    """Write so many files of `size` bytes each into the empty `folder`; returns the seconds that it took."""
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
            write_whole(str(path), content)
    if way == "one sync":
        os.sync()
    return time.monotonic() - begin


def run_trial(folder: Path, files: int, size: int, rounds: int) -> dict[str, list[float]]:
    """The seconds of each way, in rounds."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            os.sync()  # what was written before counts for nobody
            with tempfile.TemporaryDirectory(dir=folder) as place:
                seconds[way].append(write_files(Path(place), files, size, way))
    return seconds


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.trials.sync", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--size", type=int, default=10_000, help="bytes")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args(arguments)
    for way, seconds in run_trial(given.folder, given.files, given.size, given.rounds).items():
        each = 1000 * statistics.median(seconds) / given.files
        print(f"{way}: {each:.3f} ms a file of {given.size:,} bytes (median of {given.rounds} rounds)")


if __name__ == "__main__":
    main()
