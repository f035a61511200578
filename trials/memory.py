"""How much memory a run takes, and that it does not grow: python -m trials.memory [--pictures 10000]

Makes thumbnails of a catalogue of mixed pictures, as a user would, and meanwhile samples each process of the run: the
controller (Snakemake's own), the fork server, the workers. Once with workers that are replaced after 1,000 jobs, as by
default; once with workers that stay to the end, so that no replacement hides a leak; and once with a tenth of the
pictures, to find what the controller holds for each. Ends with exit code 1 if a worker grows. Linux only: the peaks are
the kernel's own (VmHWM), which a sample cannot miss.
"""

import argparse
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.corpus import link
from bench.pictures import draw_picture, numbered
from trials import REPOSITORY

SECONDS = 0.25  # between two samples
MB = 1_000_000
MAX_GROWTH = 1.1  # what a worker may hold late in the run, as a multiple of what it held early
BLOCK = 250  # different pictures; further ones are the same under other names
MIN_PICTURES = 10 * BLOCK  # with fewer, growth could be chance


class Memory(NamedTuple):
    """What a process holds, in bytes: what is its own alone (USS), and the most that was ever resident (VmHWM)."""

    own: int
    peak: int


class Sample(NamedTuple):
    """What a run is at one moment: how many thumbnails there are, what each process holds (workers by process id)."""

    made: int
    controller: Memory
    server: Memory | None
    workers: dict[int, Memory]


class Run(NamedTuple):
    """A run that has ended: all samples of it, its exit code, its summary."""

    samples: list[Sample]
    code: int
    summary: str


# The catalogue.


def make_catalogue(folder: Path, pictures: int, different: int = BLOCK) -> None:
    """Put mixed pictures below `folder`, by numbers: `different` ones, and then the same over and over."""
    block = [make_picture(folder, number) for number in range(min(pictures, different))]
    for number in range(different, pictures):
        twin = block[number % different]
        link(str(twin), str((folder / numbered(number, ".jpg")).with_suffix(twin.suffix)))


def make_picture(folder: Path, number: int) -> Path:
    """Make picture `number` of a block below `folder`; return its path."""
    kind, size = kind_and_size(number)
    path = (folder / numbered(number, ".jpg")).with_suffix(EXTENSIONS.get(kind, ".jpg"))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = draw_picture(number, size)
    if kind == "PNG" or (kind == "WEBP" and number % 2):
        picture.putalpha(picture.getchannel("G"))
    if kind == "GIF":
        others = [picture.rotate(turn * 90).convert("P") for turn in range(1, 4)]
        picture.convert("P").save(path, save_all=True, append_images=others)
    elif kind == "CMYK":
        picture.convert("CMYK").save(path, quality=85)
    elif kind == "no picture":
        path.write_bytes(random.Random(number).randbytes(20_000))
    else:
        picture.save(path, **({"quality": 85, "progressive": kind == "progressive"} if path.suffix == ".jpg" else {}))
    if kind == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    return path


EXTENSIONS = {"PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "TIFF": ".tif"}
ORDINARY = ["JPEG", "progressive", "PNG", "JPEG", "WEBP", "JPEG", "GIF", "progressive", "TIFF", "CMYK"]
SIZES = [(640, 480), (400, 533), (1200, 900), (300, 200), (1600, 1067), (96, 96), (2000, 1500)]
# Also in each block: large pictures, which decide a worker's peak, and broken ones, which end their jobs in other ways.
SPECIAL = {
    20: ("progressive", (6000, 4000)),
    60: ("JPEG", (5000, 4000)),
    100: ("PNG", (3000, 2000)),
    30: ("truncated", (640, 480)),
    90: ("no picture", (96, 96)),
}


def kind_and_size(number: int) -> tuple[str, tuple[int, int]]:
    """Return what picture `number` of a block is: its kind, and (width, height) in pixels."""
    return SPECIAL.get(number) or (ORDINARY[number % len(ORDINARY)], SIZES[number % len(SIZES)])


# A run, and its samples.


def watch(folder: Path, source: Path, *arguments: str) -> Run:
    """Run the workflow in `folder` on the pictures in `source`, with two workers, and sample it until it ends."""
    folder.mkdir()
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--config", f"source={source}", "--workflow-profile", str(REPOSITORY / "profiles/default"), *arguments]
    samples = []
    with (folder / "terminal.txt").open("w+") as terminal:
        process = psutil.Popen(command, cwd=folder, stdout=terminal, stderr=subprocess.STDOUT)
        while process.poll() is None:
            if seen := take_sample(process, folder / "thumbnails"):
                samples.append(seen)
            time.sleep(SECONDS)
        terminal.seek(0)
        text = terminal.read()
    return Run(samples, process.returncode, text[text.rfind("\nthumbmill: ") :].strip().partition("\n")[0])


def take_sample(controller: psutil.Process, thumbnails: Path) -> Sample | None:
    """Return a sample of the run of a `controller`; None if it is just ending."""
    try:
        server = next(iter(controller.children()), None)
        workers = {} if server is None else {each.pid: memory(each) for each in server.children()}
        return Sample(
            count_files(thumbnails),
            memory(controller),
            server and memory(server),
            {pid: held for pid, held in workers.items() if held.own},
        )
    except (psutil.Error, OSError):
        return None


def memory(process: psutil.Process) -> Memory:
    """Return what a process holds. Raises psutil.NoSuchProcess."""
    own = process.memory_full_info().uss
    with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:
        peaks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")]
    return Memory(own, peaks[0] if peaks else 0)


def count_files(folder: Path) -> int:
    """Return how many files are below `folder`."""
    return sum(len(files) for _, _, files in os.walk(folder))


# What the samples say.


class Stage(NamedTuple):
    """What the processes held while a tenth of the thumbnails was made, in bytes.

    `least` is the least that a worker held: what it keeps from picture to picture, whatever size the current one has.
    `most` is the highest peak of any worker.
    """

    made: int
    controller: int
    server: int
    least: int
    most: int


def stages(samples: Iterable[Sample]) -> list[Stage]:
    """Return the samples of a run, tenth by tenth: what each kind of process held (workers: the least and the most)."""
    at_work = [each for each in samples if each.made and each.workers]
    last = max((each.made for each in at_work), default=0)
    result = []
    for tenth, group in itertools.groupby(at_work, lambda each: min(9, each.made * 10 // last)):
        group = list(group)
        workers = [held for each in group for held in each.workers.values()]
        result.append(
            Stage(
                last * (tenth + 1) // 10,
                max(each.controller.own for each in group),
                max(each.server.own for each in group if each.server),
                min(held.own for held in workers),
                max(held.peak for held in workers),
            )
        )
    return result


def kept_growth(seen: list[Stage]) -> float:
    """Return what a worker keeps late in the run as a multiple of early; for a run whose workers stay to the end.

    Early is the second and third tenth: in the first a worker has just started, and keeps nothing yet.
    """
    return statistics.mean(each.least for each in seen[-2:]) / statistics.mean(each.least for each in seen[1:3])


def peak_growth(seen: list[Stage]) -> float:
    """Return the peak of a worker late in the run as a multiple of that early, which here is the first three tenths."""
    return max(each.most for each in seen[-2:]) / max(each.most for each in seen[:3])


def controller_peak(run: Run) -> int:
    """Return the most memory that the controller had resident, in bytes."""
    return max(each.controller.peak for each in run.samples)


def table(seen: Iterable[Stage]) -> str:
    """Return a table of a run, one line for each tenth of it, in MB."""
    lines = [f"{'made':>7} {'controller':>11} {'fork server':>12} {'a worker: least':>16} {'peak':>6}"]
    for each in seen:
        lines.append(
            f"{each.made:>7,} {each.controller / MB:>11.0f} {each.server / MB:>12.0f} "
            f"{each.least / MB:>16.1f} {each.most / MB:>6.0f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the trial and print what it found; return 1 if a worker grows."""
    parser = argparse.ArgumentParser(prog="python -m trials.memory", description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=10_000, help=f"how many, {MIN_PICTURES} at least (%(default)s)")
    parser.add_argument("--work", type=Path, help="a folder with room for all of it (default: a temporary one)")
    given = parser.parse_args(arguments)
    if given.pictures < MIN_PICTURES:
        parser.error(f"--pictures must be {MIN_PICTURES} or more, so that each tenth of them holds all kinds")
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        folder = Path(name)
        few = given.pictures // 10
        make_catalogue(folder / "many", given.pictures)
        make_catalogue(folder / "few", few)
        smaller = watch(folder / "tenth", folder / "few")
        grown = []
        for name, title, options in (
            ("replaced", "workers replaced after 1,000 jobs (as by default)", []),
            ("staying", "workers that stay (--pool-jobs-per-worker 0)", ["--pool-jobs-per-worker", "0"]),
        ):
            run = watch(folder / name, folder / "many", *options)
            seen = stages(run.samples)
            each = (controller_peak(run) - controller_peak(smaller)) / (given.pictures - few)
            print(f"\n{given.pictures:,} mixed pictures, 2 workers, MB; {title}\n{table(seen)}")
            workers = set().union(*(sample.workers for sample in run.samples))
            print(f"{run.summary}; exit code {run.code}; workers: {len(workers)}")
            peak = controller_peak(run) / MB
            print(f"controller: peak {peak:.0f} MB, {each / 1000:.1f} kB per picture beyond {few:,}")
            grown.append(peak_growth(seen))
            print(f"a worker's peak, late to early: {grown[-1]:.2f}")
            if options:
                grown.append(kept_growth(seen))
                print(f"what a worker keeps, late to early: {grown[-1]:.2f}")
        print(f"the limit of each: {MAX_GROWTH}")
    return 1 if max(grown) > MAX_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
