"""The loops as contenders that time themselves: the start of Python and its imports do not count against them."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

from bench.loops import list_files, process_file, process_pool, run_on_executor, run_sequentially, thumbnail_name
from bench.task import REPOSITORY, TIMES, Task, output_folder
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails


def process_file_as_thumbmill(source: str, targets: list[tuple[str, int]], quality: int) -> None:
    """Do what process_file does with thumbmill's own function: orientation, colours, whole files."""
    thumbnails = [Thumbnail(target, {"width": box, "height": box, "fit": "contain"}, "jpeg") for target, box in targets]
    make_thumbnails(source, thumbnails, quality={"jpeg": quality})


FUNCTIONS = {"plain": process_file, "own": process_file_as_thumbmill}


def loop_command(kind: str, function: str) -> Callable[[Task], list[str]]:
    """Return the command for run_loop in a process of its own; `function` is a key of FUNCTIONS."""

    def command(task: Task) -> list[str]:
        # Not `-m bench.timed_loops`: the working directory, which is another one, has no such module.
        find = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})"
        run = "from bench.timed_loops import main; main()"
        return [sys.executable, "-c", f"{find}; {run}", kind, function, json.dumps(task)]

    return command


def run_loop(kind: str, process: Callable, task: Task) -> None:
    """Run a loop of `kind` (sequential, threads, processes) and write how long it took to TIMES.

    The clock starts when the names of the pictures are known and everything is imported, and stops when the last
    thumbnail is written and the pool is gone.

    Raises what `process` raises.
    """
    outputs = {box: output_folder(task, box) for box in task.boxes}
    arguments = [
        (
            os.path.join(task.source, name),
            [(os.path.join(output, thumbnail_name(name)), box) for box, output in outputs.items()],
            task.quality,
        )
        for name in list_files(task.source)
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


def processor_times() -> tuple[float, float]:
    """Return the seconds of user and sys time so far, of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime for each in used), sum(each.ru_stime for each in used)


def main() -> None:
    """Run one loop as a program: the arguments are its kind, its function (a key of FUNCTIONS) and the Task as JSON."""
    kind, function, task = sys.argv[1:]
    run_loop(kind, FUNCTIONS[function], Task(*json.loads(task)))
