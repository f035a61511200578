"""What the dispatcher gives to a pool, and what it gets back."""

import math
from dataclasses import dataclass
from typing import Any

from .script import Script


@dataclass(eq=False)
class Task:
    """A script to run for one job.

    `payload` is the pickled `snakemake` object, without its config. `limit` is a time limit in seconds, None for none.
    `reuse` allows a worker that has run other jobs of the script, `fresh` asks for a new process all the same, without
    modules imported ahead. `seconds` is how long the script is expected to take, `rule` the name of the job's rule.
    """

    job: Any
    script: Script
    payload: bytes
    threads: int
    tmpdir: str | None = None
    limit: float | None = None
    fresh: bool = False
    seconds: float = math.inf
    rule: str = ""
    reuse: bool = False


@dataclass
class Outcome:
    """A task that has ended.

    `reason` says in one line why it failed, None if it succeeded; `seconds` is how long it ran. `cores_taken_over` is
    whether the task that waited behind it is now running on its cores, `killed` whether the script died without being
    able to write to its log.
    """

    task: Task
    reason: str | None
    seconds: float
    cores_taken_over: bool = False
    killed: bool = False
