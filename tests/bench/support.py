"""What the tests of the benchmark share."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from bench.task import REPOSITORY, Task, output_folder

LOOPS = ["sequential", "threads", "processes"]

PROGRAM = """
import os, sys, time
sys.path.insert(0, {repository!r})
from bench.loops import *
source, output = {source!r}, {output!r}
def make(box={box}):
    return make_outdated(source, output, box, 80, 1)
"""


def program(source: str) -> Callable[[Task], list[str]]:
    """Return the command of a contender that runs the Python `source`.

    There, `source` and `output` are its folders, and `make()` makes what is missing or older.
    """

    def command(task: Task) -> list[str]:
        setup = PROGRAM.format(
            repository=str(REPOSITORY), source=task.source, output=output_folder(task), box=task.boxes[0]
        )
        return [sys.executable, "-c", setup + source]

    return command


def rows(output: str) -> dict[str, list[str]]:
    """Return the table in `output`: contender -> the cells after its title."""
    lines = re.findall(r"^\| `([\w-]+)` (.*) \|$", output, re.MULTILINE)
    return {name: cells.split(" | ")[1:] for name, cells in lines}


def state(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """Return content and date of all files below `folder`."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
