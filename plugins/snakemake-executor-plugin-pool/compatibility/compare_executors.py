#!/usr/bin/env python3
"""Run a workflow with the built-in executor and with `pool`, and compare exit codes, files and times.

    python compare_executors.py path/to/workflow -- --cores 2 --configfile example.yaml

What follows `--` are Snakemake's own options and targets. Each run starts in a new copy of the folder. The executors
take turns for `--rounds` rounds. `pool` runs in two ways: without knowing the workflow (`first run`), and with the
modules that it learned in an earlier run (`later run`).

Ends with 1 if an exit code, or a file that the workflow made, differs between the executors but not between two runs
of the built-in one.
"""

import argparse
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

BUILTIN, FIRST, LATER = "built-in", "pool, first run", "pool, later run"
LEARNED = Path(".snakemake/pool")  # where the executor keeps what it has learned


class Run(NamedTuple):
    """What a run of a workflow has come to: exit code, seconds, of processor time too, and a digest of each file."""

    code: int
    seconds: float
    processor: float
    files: dict[str, str]


def main() -> int:
    options = parse_arguments()
    runs: dict[str, list[Run]] = {BUILTIN: [], FIRST: [], LATER: []}
    with tempfile.TemporaryDirectory(prefix="compare-", ignore_cleanup_errors=True) as folder:
        learned = Path(folder) / "learned"
        for _ in range(options.rounds):
            for name in runs:
                runs[name].append(run(name, options.workflow, Path(folder) / "work", learned, options.snakemake))
                print(f"{name}: exit code {runs[name][-1].code}, {times(runs[name][-1:])}", flush=True)
    differing = [
        difference
        for name in (FIRST, LATER)
        for other in runs[name]
        for difference in differences(runs[BUILTIN], other)
    ]
    for difference in sorted(set(differing)):
        print(f"differs: {difference}")
    changing = len(unstable(runs[BUILTIN]))
    print(f"{len(runs[BUILTIN][0].files)} files, of which {changing} differ between runs of the built-in executor, too")
    for name in runs:
        print(f"{name}: {times(runs[name])}, medians of {options.rounds}")
    return 1 if differing else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], usage="%(prog)s [options] workflow -- ...")
    parser.add_argument("workflow", type=Path, help="folder to run Snakemake in")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each executor (%(default)s)")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    if options.rounds < 2:
        parser.error("it takes two runs of the built-in executor to know which files differ anyway")
    options.snakemake = sys.argv[end + 1 :]
    return options


def run(name: str, workflow: Path, work: Path, learned: Path, arguments: list[str]) -> Run:
    """Run a workflow in a new copy of its folder, always at the same path, since scripts may write that."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(workflow, work, symlinks=True, ignore=shutil.ignore_patterns(".git", ".snakemake"))
    if name == LATER and learned.exists():
        shutil.copytree(learned, work / LEARNED)
    command = [sys.executable, "-m", "snakemake", *arguments]
    if name != BUILTIN:
        command += ["--executor", "pool"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "0"}  # so that a PDF file does not hold the time of its creation
    before, started = processor_time(), time.perf_counter()
    ended = subprocess.run(
        command,
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    seconds, processor = time.perf_counter() - started, processor_time() - before
    if ended.returncode:
        print(ended.stderr[-2000:], file=sys.stderr)
    if name == FIRST and (work / LEARNED).exists():
        shutil.rmtree(learned, ignore_errors=True)
        shutil.copytree(work / LEARNED, learned)
    return Run(ended.returncode, seconds, processor, digests(work))


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of each file, except in .snakemake and of compiled modules."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".snakemake", "__pycache__"} & set(path.relative_to(folder).parts)
    }


def differences(builtin: list[Run], other: Run) -> list[str]:
    """Return what differs from the built-in executor's runs: exit code, missing and additional files, and content."""
    found = [] if other.code == builtin[0].code else [f"exit code {other.code}, not {builtin[0].code}"]
    found += [f"{name} (only one executor has made it)" for name in other.files.keys() ^ builtin[0].files.keys()]
    same = (other.files.keys() & builtin[0].files.keys()) - unstable(builtin)
    return found + [name for name in same if other.files[name] != builtin[0].files[name]]


def unstable(runs: list[Run]) -> set[str]:
    """Return the files whose content is not the same in all runs."""
    first, *rest = runs
    return {name for name in first.files if any(run.files.get(name) != first.files[name] for run in rest)}


def times(runs: list[Run]) -> str:
    """Return the median times of runs. Processor time is the better measure on a machine that does other work, too."""
    passed = statistics.median(run.seconds for run in runs)
    processor = statistics.median(run.processor for run in runs)
    return f"{passed:.1f} s ({processor:.1f} s of processor time)"


def processor_time() -> float:
    """Return the processor time of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
