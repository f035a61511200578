"""Who is compared: each contender is a function that takes a Task and returns the command that does it.

A command runs in an empty working directory of its own (`task.folder`), where it may leave files. What is timed is
the whole command, unless it writes TIMES there: the loops do, so that the interpreter's start and the imports are not
held against them.
"""

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

from bench import peers, tools
from bench.loops import list_files, process_file, process_pool, run_on_executor, run_sequentially, thumbnail_name
from bench.peers import stem_name
from scripts.thumbnail import Thumbnail, make_thumbnails

REPOSITORY = Path(__file__).parent.parent
TIMES = "own_times.json"  # {"wall": seconds, "user": seconds, "sys": seconds}


class Task(NamedTuple):
    """Thumbnails to make: JPEGs of all pictures below `source`, whole, at most box x box pixels for each of `boxes`."""

    source: str  # absolute path
    folder: str  # absolute path of the working directory
    boxes: tuple[int, ...]  # pixels, the largest first
    quality: int  # of the JPEG encoder, 1 to 100
    cores: int
    tools: str = ""  # the folder for those tools that the benchmark installs itself


class Contender(NamedTuple):
    """One row of the table."""

    title: str
    command: Callable[[Task], list[str]]
    at_most: int | None = None  # pictures; with more it runs only if it is asked for by name
    needs: tuple[str, ...] = ()  # keys of tools.TOOLS
    naming: Callable[[str], str] = thumbnail_name  # its thumbnail of a picture, below output_folder
    most_sizes: int | None = None  # that it can make in one run
    extra: bool = False  # runs only if it is asked for by name


def names_in_turn(names: list[str], shift: int) -> list[str]:
    """`names`, each `shift` places earlier: nobody is always the first, or always after the same one."""
    shift %= max(1, len(names))
    return names[shift:] + names[:shift]


def output_folder(task: Task, box: int | None = None) -> str:
    """Where every contender puts its thumbnails of at most `box` pixels (the largest, if none is given)."""
    return os.path.join(task.folder, "thumbnails", str(box or task.boxes[0]))


# The loops: what thumbmill replaces.


def process_file_as_thumbmill(source: str, targets: list[tuple[str, int]], quality: int) -> None:
    """What process_file does, by thumbmill's own function: orientation, colours, whole files."""
    thumbnails = [Thumbnail(target, {"width": box, "height": box, "fit": "contain"}, "jpeg") for target, box in targets]
    make_thumbnails(source, thumbnails, quality={"jpeg": quality})


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
    outputs = {box: output_folder(task, box) for box in task.boxes}
    arguments = [
        (
            os.path.join(task.source, name),
            [(os.path.join(output, thumbnail_name(name)), box) for box, output in outputs.items()],
            task.quality,
        )
        for name in names
    ]
    before, start = processor_times(), time.perf_counter()
    for folder in {os.path.dirname(target) for _, targets, _ in arguments for target, _ in targets}:
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
            "sizes": {"thumb": None}
            | {str(box): {"width": box, "height": box, "fit": "contain"} for box in task.boxes},
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
    f"own-{kind}": Contender(f"loop over thumbmill's function, {title}", loop(kind, "own"), extra=True)
    for kind, title in {
        "sequential": "sequential",
        "threads": "ThreadPoolExecutor",
        "processes": "ProcessPoolExecutor",
    }.items()
}
WORKFLOWS = {
    "thumbmill": Contender("thumbmill", workflow()),
    "thumbmill-threads": Contender("thumbmill --pool-kind thread", workflow("--pool-kind", "thread"), extra=True),
    "thumbmill-shards": Contender("thumbmill, shards of 5,000 with a core each", workflow(*SHARDS), extra=True),
    "stock": Contender("stock Snakemake, `script:`", workflow("--workflow-profile", "none", "--keep-going"), 1000),
}
PEERS = {
    "stock-shell": Contender("stock Snakemake, `shell:` vipsthumbnail", peers.stock_shell, 1000, ("vips",)),
    "make": Contender("GNU make, thumbmill's function", peers.make, 1000, ("make",)),
    "make-vips": Contender("GNU make, vipsthumbnail", peers.make_with_vips, 10_000, ("make", "vips")),
    "vips": Contender("vipsthumbnail, one process", peers.vips, None, ("vips",), stem_name),
    "vips-parallel": Contender(
        "vipsthumbnail under GNU parallel", peers.vips_parallel, None, ("vips", "parallel"), stem_name
    ),
    "mogrify": Contender("ImageMagick mogrify, xargs -P", peers.mogrify, None, ("mogrify",), stem_name),
    "gm": Contender("GraphicsMagick mogrify, xargs -P", peers.gm, None, ("gm",), stem_name),
    "sharp": Contender("sharp, bench/sharp.js", peers.sharp, None, ("sharp",)),
    "sigal": Contender("sigal, without pages", peers.sigal, None, ("sigal",), stem_name, 1),
}
CONTENDERS = PLAIN_LOOPS | OWN_LOOPS | WORKFLOWS | PEERS


def why_not(contender: Contender, task: Task, names: list[str]) -> str | None:
    """Why a `contender` cannot make the thumbnails of the pictures `names` at all, or None."""
    missing = tools.why_not_there(contender.needs, task.tools)
    if missing:
        return missing
    if contender.most_sizes is not None and len(task.boxes) > contender.most_sizes:
        return f"it makes no more than {contender.most_sizes} size in a run"
    if "make" in contender.needs or contender.command is peers.stock_shell:
        reason = why_not_make([task.source, task.folder, *names])
        if reason:
            return reason
    doubles = len(names) - len({contender.naming(name) for name in names})
    return f"{doubles:,} thumbnails would have another one's name: it drops the extension" if doubles else None


# The same again, when little has changed (see rerun.py). All take over the thumbnails that thumbmill made, and the
# workflows Snakemake's books with them.


def loop_with_check(task: Task) -> list[str]:
    """The command for the plain loop that looks at modification times first."""
    program = str(REPOSITORY / "bench/loops.py")
    numbers = [str(number) for number in (task.boxes[0], task.quality, task.cores)]
    return [sys.executable, program, task.source, output_folder(task), *numbers]


def why_not_make(paths: Iterable[str]) -> str | None:
    """Why GNU make cannot work where these `paths` occur, or None."""
    # Blanks end a name in a Makefile, other characters mean something to it or to the shell.
    bad = [path for path in paths if not re.fullmatch(r"[\w./+-]+", path)]
    return f"{len(bad):,} of the names cannot be written in a Makefile (the first: {bad[0]!r})" if bad else None


RERUNS = {
    "loop-mtime": Contender("plain loop, ProcessPoolExecutor, for what is missing or older", loop_with_check),
    "make": PEERS["make"]._replace(at_most=None),
    "stock": WORKFLOWS["stock"]._replace(at_most=None),
    "thumbmill": WORKFLOWS["thumbmill"],
    "thumbmill-all": Contender("thumbmill, nothing left out", workflow("--config", "leave_out=false")),
}
