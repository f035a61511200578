"""Mutated pictures through the picture function: python -m trials.fuzz [--minutes 10] [--seed N] [--folder DIR]

Starts from pictures that Pillow makes in all formats and modes, and from the files in the folders that the user names.
Each input is one of them with bits flipped, truncated, spliced with another, with lengths changed or parts doubled.
Settings are drawn at random, too. A worker process makes its thumbnails, within limits. The seed and the number of an
input determine it, so that every finding can be repeated: --seed N --only NUMBER (with the same folders).

A finding is a crash, a hang, an exception other than PictureError, a PictureError for what the function does with a
picture once it is decoded, a thumbnail that is not whole, some of a picture's thumbnails without the others, any other
file, more memory than allowed, or a reason that is not one line.
"""

import argparse
import collections
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from thumbmill.errors import MemoryLimitError, PictureError
from thumbmill.failures import Kind
from thumbmill.imaging import geometry, render
from thumbmill.imaging.encode import FORMATS
from thumbmill.imaging.geometry import Size
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails
from thumbmill.run.limits import limited
from trials.hostile import MADE, peak_memory
from trials.mutations import draw, starting_points

SECONDS = 20  # that one input may take
MEGABYTES = 600  # that one input may use
MAX_PIXELS = 4_000_000

# What happens to a picture after it was decoded.
AFTER_DECODING = {
    each.__name__
    for each in (
        render.source_regions,
        render.crop_and_resize,
        render.sharpen,
        render.pad,
        geometry.fit_geometry,
    )
}


class Ended(NamedTuple):
    """What became of an input."""

    number: int
    outcome: str  # MADE, the text of the failure, or what is wrong
    finding: bool
    seconds: float
    kind: str = MADE  # of the failure


def judge(number: int, seed: int, pictures: list[bytes], folder: Path) -> Ended:
    """Send input `number` through the picture function in the empty `folder`, and empty it again."""
    content, sizes, settings = draw(number, seed, pictures)
    (folder / "source").write_bytes(content)
    paths = [folder / f"{position}{FORMATS[format].extension}" for position, (_, format) in enumerate(sizes)]
    wanted = [Thumbnail(str(path), size, format) for path, (size, format) in zip(paths, sizes, strict=True)]
    start, wrong, kind = time.monotonic(), "", MADE
    try:
        with limited(SECONDS, MEGABYTES):
            make_thumbnails(str(folder / "source"), wanted, max_pixels=MAX_PIXELS, **settings)
        outcome, expected = MADE, {"source", *(path.name for path in paths)}
        for path, (size, format) in zip(paths, sizes, strict=True):
            wrong = wrong or not_whole(path, size, format)
    except PictureError as error:
        (kind, outcome), expected = error.failure, {"source"}
        if not outcome or not outcome.isprintable() or len(outcome) > 500:
            wrong = f"a reason that is not one line: {outcome!r}"
        if not isinstance(error, MemoryLimitError) and (after := failed_after_decoding(error)):
            wrong = f"{outcome} (in {after})"
    except Exception:
        outcome, expected, wrong = "an exception", {"source"}, traceback.format_exc()
    there = {*os.listdir(folder)}
    if there != expected:
        wrong = wrong or f"files {sorted(there)} instead of {sorted(expected)}"
    for name in there:
        (folder / name).unlink()
    return Ended(number, wrong or outcome, bool(wrong), time.monotonic() - start, kind)


def failed_after_decoding(error: PictureError) -> str:
    """Return the function in which a picture failed that had been decoded; "" if it failed before."""
    if error.failure.kind in (Kind.NOT_ENCODED, Kind.NOT_WRITTEN):
        return "encode"
    frames = traceback.extract_tb(error.__cause__ and error.__cause__.__traceback__)
    return next((frame.name for frame in frames if frame.name in AFTER_DECODING), "")


def not_whole(path: Path, size: Size, format: str) -> str:
    """Return what is wrong with a thumbnail; "" if nothing is."""
    try:
        with Image.open(path) as picture:
            picture.load()
            if picture.format != FORMATS[format].name:
                return f"{picture.format} instead of {format}"
            if picture.width > size["width"] or picture.height > size["height"]:
                return f"{picture.size} is larger than {size}"
            if len(picture.info.get("exif", b"")) or picture.info.get("icc_profile"):
                return "metadata in a thumbnail"
    except Exception as error:
        return f"a thumbnail that cannot be read: {error!r}"
    return ""


def work(connection: Connection, seed: int, folders: list[str], folder: str) -> None:
    """Judge the inputs whose numbers come from the `connection`, until None comes: the program of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # as run_job() does
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints its complaints there
    pictures = starting_points(folders)
    while (number := connection.recv()) is not None:
        connection.send((judge(number, seed, pictures, Path(folder)), peak_memory()))


class Worker:
    """A process that judges inputs, and a new one whenever an input ends it."""

    def __init__(self, seed: int, folders: list[str], folder: Path) -> None:
        self.folder = folder
        self.arguments = seed, folders, str(folder)
        self.peak = 0.0
        self.begin()

    def begin(self) -> None:
        """Start a process."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, *self.arguments), daemon=True)
        self.process.start()
        theirs.close()

    def judge(self, number: int) -> Ended:
        """Return what became of input `number`; if it ended the process, how."""
        start = time.monotonic()
        self.connection.send(number)
        try:
            ended, peak = self.connection.recv()
            self.peak = max(self.peak, peak)
            return ended
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            kind = f"hang: not done after {SECONDS} s" if code == -signal.SIGALRM else f"crash: exit code {code}"
            for path in self.folder.iterdir():
                if path.name != "source":
                    kind += f"; left {path.name}"
                path.unlink()
            self.begin()
            return Ended(number, kind, True, time.monotonic() - start)

    def end(self) -> None:
        """End the process and wait for it."""
        self.connection.send(None)
        self.process.join()


def outcome_class(ended: Ended) -> str:
    """Return an outcome without its figures, so that similar ones count as one."""
    return re.sub(r"\d+", "N", ended.outcome)[:60] if ended.kind == Kind.DAMAGED else ended.kind


def fuzz(numbers: Iterable[int], seed: int, folders: list[str], save: Path | None = None) -> tuple[list[Ended], float]:
    """Judge these inputs, one after another; return what became of each, and the peak memory of a worker in MB.

    Save the files of findings in the folder `save`, if there is one.
    """
    with tempfile.TemporaryDirectory() as name:
        worker = Worker(seed, folders, Path(name))
        pictures = None
        results = []
        try:
            for number in numbers:
                results.append(worker.judge(number))
                if worker.peak > MEGABYTES + 150:  # the interpreter, its libraries and the pictures to start from
                    results[-1] = results[-1]._replace(outcome=f"{worker.peak:.0f} MB", finding=True)
                    worker.peak = 0
                if results[-1].finding and save:
                    save.mkdir(parents=True, exist_ok=True)
                    pictures = pictures or starting_points(folders)
                    content, sizes, settings = draw(number, seed, pictures)
                    (save / f"{seed}-{number}").write_bytes(content)
                    details = {"outcome": results[-1].outcome, "sizes": sizes, "settings": settings}
                    (save / f"{seed}-{number}.json").write_text(json.dumps(details, indent=1))
        finally:
            worker.end()
    return results, worker.peak


def until(minutes: float) -> Iterator[int]:
    """Yield numbers from 0, until the `minutes` are over."""
    end, number = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        yield number
        number += 1


def main(arguments: list[str] | None = None) -> int:
    """Run the trial and print what it found; return 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m trials.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all chance (%(default)s)")
    parser.add_argument("--folder", action="append", default=[], help="real files to start from; may be repeated")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="judge this input alone")
    parser.add_argument("--save", type=Path, default=Path("fuzz-findings"), help="folder for findings (%(default)s)")
    given = parser.parse_args(arguments)
    numbers = until(given.minutes) if given.only is None else [given.only]
    results, peak = fuzz(numbers, given.seed, given.folder, given.save)
    findings = [result for result in results if result.finding]
    slowest = max(results, key=lambda result: result.seconds)
    made = sum(result.outcome == MADE for result in results)
    print(f"seed {given.seed}: {len(results):,} inputs, {made:,} made, {len(results) - made - len(findings):,} refused")
    print(f"slowest: number {slowest.number}, {slowest.seconds:.2f} s; peak memory of a worker: {peak:.0f} MB")
    classes = collections.Counter(outcome_class(result) for result in results if not result.finding)
    for outcome, count in classes.most_common(25):
        print(f"  {count:7,} {outcome}")
    print(f"findings: {len(findings)}" + (f", saved in {given.save}" if findings else ""))
    for finding in findings[:50]:
        print(f"  {finding.number}: {finding.outcome.strip().splitlines()[-1]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
