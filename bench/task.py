"""What every contender gets to do, and what is known of each."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.loops import thumbnail_name

REPOSITORY = Path(__file__).parent.parent
TIMES = "own_times.json"  # in a task's folder: {"wall": seconds, "user": seconds, "sys": seconds}


class Task(NamedTuple):
    """Thumbnails to make: JPEGs of all pictures below `source`, whole, at most box x box pixels for each of `boxes`."""

    source: str  # absolute path
    folder: str  # absolute path of the working directory
    boxes: tuple[int, ...]  # pixels, the largest first
    quality: int  # of the JPEG encoder, 1 to 100
    cores: int
    tools: str = ""  # the folder of the tools that the benchmark installs itself


class Contender(NamedTuple):
    """One row of the table.

    Its command runs in an empty working directory of its own (`task.folder`), where it may leave files. The whole
    command is timed, unless it writes TIMES there.
    """

    title: str
    command: Callable[[Task], list[str]]
    max_pictures: int | None = None  # with more it runs only if the user names it
    needs: tuple[str, ...] = ()  # keys of tools.TOOLS
    naming: Callable[[str], str] = thumbnail_name  # a picture's thumbnail, below output_folder
    max_sizes: int | None = None  # in one run
    extra: bool = False  # runs only if the user names it
    plain_names: bool = False  # it cannot handle the names that find_unwritable finds


def output_folder(task: Task, box: int | None = None) -> str:
    """Return where every contender puts its thumbnails of at most `box` pixels (the largest, if None)."""
    return os.path.join(task.folder, "thumbnails", str(box or task.boxes[0]))
