#!/usr/bin/env python3
"""Measure how long many short `script:` jobs take: the built-in executor beside `pool`, with and without reuse.

    python jobs.py                                    # 1,000 jobs of 0, 5, 50 and 500 ms
    python jobs.py --jobs 1000,10000,50000 --milliseconds 0 --builtin-jobs 200

Prints Markdown: a table of the time that passes, and one of the processor time, which is the better measure on a
machine that does other work, too. Both include the start of Snakemake. All variants take turns in each round, and the
tables hold medians.

The built-in executor needs minutes for thousands of jobs. Where there are more than `--builtin-jobs`, its numbers are
extrapolated from runs of that many jobs and of one; they carry a `~`. They are low, since its schedulers take longer
for a job the more there are.
"""

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

SNAKEFILE = """\
rule all:
    input: expand("out/{{i}}", i=range({jobs}))

rule job:
    output: "out/{{i}}"
    script: "job.py"
"""

SCRIPT = """\
import time

end = time.process_time() + {milliseconds} / 1000
while time.process_time() < end:
    pass
with open(snakemake.output[0], "w") as file:
    file.write("done")
"""

COMMON = ["--max-jobs-per-timespan", "1000000/1s"]  # no limit: Snakemake's is 100 jobs per second
POOL = ["--executor", "pool"]
EAGER = ["--scheduler", "eager"]
VARIANTS = {
    "built-in": [],
    "fresh": POOL,
    "reuse": [*POOL, "--pool-reuse", "job"],
    "built-in, eager": EAGER,
    "fresh, eager": [*POOL, *EAGER],
    "reuse, eager": [*POOL, "--pool-reuse", "job", *EAGER],
}


class Seconds(NamedTuple):
    """How long a run took: by the clock, and of processor time, with all its processes."""

    passed: float
    processor: float


def main() -> None:
    options = parse_arguments()
    variants = [name for name in VARIANTS if has_eager() or not name.endswith("eager")]
    variants = [name for name in variants if not options.only or name in options.only]
    sizes = [(jobs, milliseconds) for jobs in options.jobs for milliseconds in options.milliseconds]
    measured: dict[tuple[str, int, int], list[Seconds]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.folder) as folder:
        print(machine(Path(folder), options.cores))
        for number in range(options.rounds):
            for jobs, milliseconds in sizes:
                for variant in variants:
                    for count in counts(variant, jobs, options.builtin_jobs):
                        if len(measured[variant, count, milliseconds]) <= number:  # else it is there for another size
                            seconds = run(Path(folder) / "run", VARIANTS[variant], count, milliseconds, options.cores)
                            measured[variant, count, milliseconds].append(seconds)
                            what = f"{variant}, {count} jobs of {milliseconds} ms"
                            print(f"{what}: {seconds.passed:.1f} s", file=sys.stderr)
    for title, field in (("Seconds", "passed"), ("Seconds of processor time", "processor")):
        print(f"\n{title}, medians of {options.rounds} rounds:\n")
        print(table(measured, sizes, variants, field, options.builtin_jobs))


def parse_arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=numbers, default=[1000], help="numbers of jobs, separated by commas (1000)")
    parser.add_argument("--milliseconds", type=numbers, default=[0, 5, 50, 500], help="time of a job (0,5,50,500)")
    parser.add_argument("--builtin-jobs", type=int, default=100, help="most with the built-in one (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind (%(default)s)")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores to use (%(default)s)")
    parser.add_argument("--folder", help="where to run, for example on another file system")
    parser.add_argument("--only", action="append", choices=VARIANTS, help="only this variant (may be repeated)")
    return parser.parse_args()


def has_eager() -> bool:
    """Return whether the scheduler plugin `eager` is installed."""
    try:
        version("snakemake-scheduler-plugin-eager")
    except PackageNotFoundError:
        return False
    return True


def counts(variant: str, jobs: int, builtin_jobs: int) -> list[int]:
    """Return with how many jobs to run a variant, to know how long it takes for `jobs`."""
    if variant.startswith("built-in") and jobs > builtin_jobs:
        return [1, builtin_jobs]
    return [jobs]


def run(folder: Path, arguments: list[str], jobs: int, milliseconds: int, cores: int) -> Seconds:
    """Run jobs in a new folder. Raises SystemExit with Snakemake's last words if it fails."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs))
    (folder / "job.py").write_text(SCRIPT.format(milliseconds=milliseconds))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *COMMON, *arguments]
    before, started = processor_time(), time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    seconds = Seconds(time.perf_counter() - started, processor_time() - before)
    if ended.returncode or len(os.listdir(folder / "out")) != jobs:
        raise SystemExit(f"failed: {' '.join(command)}\n{ended.stderr[-2000:]}")
    return seconds


def processor_time() -> float:
    """Return the processor time of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(
    measured: dict[tuple[str, int, int], list[Seconds]],
    sizes: list[tuple[int, int]],
    variants: list[str],
    field: str,
    builtin_jobs: int,
) -> str:
    """Return a table in Markdown, with a row for each size; in parentheses, how many times as fast as built-in."""
    lines = [f"| jobs | ms | {' | '.join(variants)} |", "|" + "---:|" * (len(variants) + 2)]
    for jobs, milliseconds in sizes:
        cells = []
        reference = None
        for variant in variants:
            medians = [
                statistics.median(getattr(seconds, field) for seconds in measured[variant, count, milliseconds])
                for count in counts(variant, jobs, builtin_jobs)
            ]
            if len(medians) == 2:
                one, many = medians
                seconds = one + (many - one) / (builtin_jobs - 1) * (jobs - 1)
                cell = f"~{seconds:.1f}"
            else:
                seconds = medians[0]
                cell = f"{seconds:.1f}"
            if variant == "built-in":
                reference = seconds
            elif reference:
                cell += f" ({reference / seconds:.1f})"
            cells.append(cell)
        lines.append(f"| {jobs:,} | {milliseconds} | {' | '.join(cells)} |")
    return "\n".join(lines)


def machine(folder: Path, cores: int) -> str:
    """Return what was measured on: processor, cores, file system, load, and versions."""
    model = platform.processor() or platform.machine()
    kind = "unknown file system"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        containing = [mount for mount in mounts if folder.is_relative_to(mount[1])]
        kind = max(containing, key=lambda mount: len(mount[1]))[2]
    except OSError:  # no Linux
        pass
    return (
        f"{model}, {cores} of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; {kind}; "
        f"{platform.system()}, Python {platform.python_version()}, Snakemake {version('snakemake')}, "
        f"pool {version('snakemake-executor-plugin-pool')}"
    )


if __name__ == "__main__":
    main()
