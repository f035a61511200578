"""Who is compared: each contender is a function that takes a Task and returns the command that does it.

A command runs in an empty working directory of its own (`task.folder`), where it may leave files. What is timed is
the whole command, unless it writes TIMES there: the loops do, so that the interpreter's start and the imports are not
held against them.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

from bench.loops import list_files, process_file, process_pool, run_on_executor, run_sequentially, thumbnail_name
from scripts.thumbnail import Thumbnail, make_thumbnails

REPOSITORY = Path(__file__).parent.parent
TIMES = "own_times.json"  # {"wall": seconds, "user": seconds, "sys": seconds}
SIZE_NAME = "thumb"


class Task(NamedTuple):
    """Thumbnails to make: JPEGs of all pictures below `source`, whole, at most `box` x `box` pixels."""

    source: str  # absolute path
    folder: str  # absolute path of the working directory
    box: int  # pixels
    quality: int  # of the JPEG encoder, 1 to 100
    cores: int


class Contender(NamedTuple):
    """One row of the table."""

    title: str
    command: Callable[[Task], list[str]]
    at_most: int | None = None  # pictures; with more it is left out, and with fewer it runs in the first round only


def names_in_turn(names: list[str], shift: int) -> list[str]:
    """`names`, each `shift` places earlier: nobody is always the first, or always after the same one."""
    shift %= max(1, len(names))
    return names[shift:] + names[:shift]


def output_folder(task: Task) -> str:
    """Where every contender puts its thumbnails: `<output_folder>/<thumbnail_name>`."""
    return os.path.join(task.folder, "thumbnails", SIZE_NAME)


# The loops: what thumbmill replaces.


def process_file_as_thumbmill(source: str, target: str, box: int, quality: int) -> None:
    """What process_file does, by thumbmill's own function: orientation, colours, whole files."""
    size = {"width": box, "height": box, "fit": "contain"}
    make_thumbnails(source, [Thumbnail(target, size, "jpeg")], quality={"jpeg": quality})


FUNCTIONS = {"plain": process_file, "own": process_file_as_thumbmill}


def processor_times() -> tuple[float, float]:
    """Seconds of user and sys time so far, of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime for each in used), sum(each.ru_stime for each in used)


def run_loop(kind: str, process: Callable, task: Task) -> None:
    """Run a loop of `kind` (sequential, threads, processes) and write how long it took to TIMES.

    The clock starts when the names of the pictures are known and everything is imported, and stops when the last
    thumbnail is written and the pool is gone. Raises what `process` raises.
    """
    names = list_files(task.source)
    output = output_folder(task)
    arguments = [
        (os.path.join(task.source, name), os.path.join(output, thumbnail_name(name)), task.box, task.quality)
        for name in names
    ]
    before, start = processor_times(), time.perf_counter()
    for folder in {os.path.dirname(target) for _, target, _, _ in arguments}:
        os.makedirs(folder, exist_ok=True)
    if kind == "sequential":
        run_sequentially(process, arguments)
    elif kind == "threads":
        run_on_executor(futures.ThreadPoolExecutor(task.cores), process, arguments)
    else:
        run_on_executor(process_pool(task.cores), process, arguments)
    wall, after = time.perf_counter() - start, processor_times()
    times = {"wall": wall, "user": after[0] - before[0], "sys": after[1] - before[1]}
    Path(task.folder, TIMES).write_text(json.dumps(times))


def loop(kind: str, function: str) -> Callable[[Task], list[str]]:
    """The command for run_loop in a process of its own."""

    def command(task: Task) -> list[str]:
        # Not `-m bench.contenders`: in the working directory, which is another, there is no such module.
        find = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})"
        run = "from bench.contenders import main_of_loop; main_of_loop()"
        return [sys.executable, "-c", f"{find}; {run}", kind, function, json.dumps(task)]

    return command


def main_of_loop() -> None:
    """Run one loop as a program: the arguments are its kind, its function (a key of FUNCTIONS) and the Task as JSON."""
    kind, function, task = sys.argv[1:]
    run_loop(kind, FUNCTIONS[function], Task(*json.loads(task)))


# thumbmill, and Snakemake as it comes.


def workflow(*options: str) -> Callable[[Task], list[str]]:
    """The command `snakemake` on thumbmill's Snakefile, with `options`."""

    def command(task: Task) -> list[str]:
        settings = {
            "source": task.source,
            "output": "thumbnails",
            "sizes": {SIZE_NAME: {"width": task.box, "height": task.box, "fit": "contain"}},
            "format": "jpeg",
            "quality": {"jpeg": task.quality},
            "keep_extension": True,
        }
        file = Path(task.folder, "settings.json")
        file.write_text(json.dumps(settings))
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        return [*snakemake, "--cores", str(task.cores), "--configfile", str(file), *options]

    return command


# A controller and a worker for each core: does a second controller pay?
SHARDS = ("--workflow-profile", str(REPOSITORY / "profiles/manycore"), "--set-threads", "shard=1")

PLAIN_LOOPS = {
    "sequential": Contender("plain loop, sequential", loop("sequential", "plain")),
    "threads": Contender("plain loop, ThreadPoolExecutor", loop("threads", "plain")),
    "processes": Contender("plain loop, ProcessPoolExecutor", loop("processes", "plain")),
}
OWN_LOOPS = {
    "own-sequential": Contender("loop over thumbmill's function, sequential", loop("sequential", "own")),
    "own-threads": Contender("loop over thumbmill's function, ThreadPoolExecutor", loop("threads", "own")),
    "own-processes": Contender("loop over thumbmill's function, ProcessPoolExecutor", loop("processes", "own")),
}
WORKFLOWS = {
    "stock": Contender(
        "stock Snakemake, one script: job an image", workflow("--workflow-profile", "none", "--keep-going"), 1000
    ),
    "thumbmill": Contender("thumbmill", workflow()),
    "thumbmill-threads": Contender("thumbmill --futures-kind thread", workflow("--futures-kind", "thread")),
    "thumbmill-shards": Contender("thumbmill, shards of 5,000 with a core each", workflow(*SHARDS)),
}
CONTENDERS = PLAIN_LOOPS | OWN_LOOPS | WORKFLOWS


# The same again, when little has changed (see rerun.py). All take over the thumbnails that thumbmill made, and the
# workflows Snakemake's books with them.


def loop_with_check(task: Task) -> list[str]:
    """The command for the plain loop that looks at modification times first."""
    program = str(REPOSITORY / "bench/loops.py")
    numbers = [str(number) for number in (task.box, task.quality, task.cores)]
    return [sys.executable, program, task.source, output_folder(task), *numbers]


def gnu_make() -> str | None:
    """The program GNU make (BSD calls its own one `make`), or None."""
    return shutil.which("gmake") or shutil.which("make")


def make_version() -> str:
    """The version of gnu_make, or what it says instead."""
    says = subprocess.run([gnu_make(), "--version"], capture_output=True, text=True).stdout
    return says.partition("\n")[0].removeprefix("GNU Make ")


def make(task: Task) -> list[str]:
    """The command for GNU make on bench/Makefile."""
    variables = {
        "PYTHON": sys.executable,
        "REPOSITORY": REPOSITORY,
        "SOURCE": task.source,
        "OUTPUT": os.path.relpath(output_folder(task), task.folder),
        "BOX": task.box,
        "QUALITY": task.quality,
    }
    settings = [f"{name}={value}" for name, value in variables.items()]
    return [gnu_make(), "-f", str(REPOSITORY / "bench/Makefile"), f"-j{task.cores}", *settings]


def why_not_make(paths: Iterable[str]) -> str | None:
    """Why GNU make cannot work where these `paths` occur, or None."""
    if gnu_make() is None:
        return "GNU make is not installed"
    # Blanks end a name in a Makefile, other characters mean something to it or to the shell.
    bad = [path for path in paths if not re.fullmatch(r"[\w./+-]+", path)]
    return f"{len(bad):,} of the names cannot be written in a Makefile (the first: {bad[0]!r})" if bad else None


RERUNS = {
    "loop-mtime": Contender("plain loop, ProcessPoolExecutor, for what is missing or older", loop_with_check),
    "make": Contender("GNU make, one Python process an image", make),
    "stock": WORKFLOWS["stock"]._replace(at_most=None),
    "thumbmill": WORKFLOWS["thumbmill"],
    "thumbmill-all": Contender("thumbmill, nothing left out", workflow("--config", "leave_out=false")),
}
