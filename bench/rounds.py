"""Runs contenders in turn, each round in another order, every run with an empty folder."""

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from bench import measure
from bench.check import expected_sizes, find_fault
from bench.contenders import names_in_turn
from bench.corpus import Corpus, drop_from_cache, link
from bench.task import TIMES, Contender, Task, output_folder

Sizes = Mapping[int, Mapping[str, set[tuple[int, int]]]]  # box -> what check.expected_sizes returns


class Outcome(NamedTuple):
    """What came of the contenders of one table, each in one of these."""

    runs: dict[str, dict[int, dict]]  # contender -> round -> measurement
    failed: dict[str, str]  # contender -> why
    over: dict[str, float]  # contender -> seconds after which it was stopped


def run_rounds(
    chosen: Mapping[str, Contender | str],
    rounds: int,
    template: Task,
    corpus: Corpus,
    limit: float,
    slow: float = measure.SLOW,
    cold: bool = False,
) -> Outcome:
    """Run all `chosen` contenders in turn, `rounds` times, each for at most `limit` seconds.

    A contender that takes over `slow` seconds in a round runs in no later one, except the loop on processes, to which
    the ratios are. If `cold`, drop the pictures from the file cache before each run.
    """
    sizes = {box: expected_sizes(corpus.folder, corpus.names, box) for box in template.boxes}
    running = {name: contender for name, contender in chosen.items() if isinstance(contender, Contender)}
    outcome = Outcome({name: {} for name in running}, {}, {})
    warm_up(running, template, corpus, limit)
    for number in range(rounds):
        for name in names_in_turn(list(running), number):
            too_slow = name != "processes" and any(run["wall"] > slow for run in outcome.runs[name].values())
            if name in outcome.failed or name in outcome.over or too_slow:
                continue
            print(f"round {number + 1} of {rounds}: {name} ...", end=" ", file=sys.stderr, flush=True)
            task = template._replace(folder=os.path.join(template.folder, f"{number + 1}-{name}"))
            os.makedirs(task.folder)
            if cold:
                os.sync()
                drop_from_cache(corpus)
            try:
                measured = run_once(running[name], task, corpus, sizes, limit)
            except measure.TookTooLong:
                outcome.over[name] = limit
                print(f"over {limit:g} s", file=sys.stderr)
            except RuntimeError as error:
                outcome.failed[name] = f"in round {number + 1}: {error}"
                print("failed", file=sys.stderr)
            else:
                outcome.runs[name][number] = measured._asdict()
                print(f"{measured.wall:.2f} s", file=sys.stderr)
    return outcome


def warm_up(running: Mapping[str, Contender], template: Task, corpus: Corpus, limit: float) -> None:
    """Let each of the `running` make two pictures, unmeasured, so that the programs are in the file cache.

    Failures here are ignored: the rounds will find them.
    """
    few = os.path.join(template.folder, "two")
    for name in corpus.names[:2]:
        link(os.path.join(corpus.folder, name), os.path.join(few, name))
    for name, contender in running.items():
        print(f"warming up: {name} ...", file=sys.stderr)
        task = template._replace(source=few, folder=os.path.join(template.folder, f"0-{name}"))
        os.makedirs(task.folder)
        try:
            measure.run(contender.command(task), task.folder, f"{task.folder}.log", TIMES, limit)
        except measure.TookTooLong:
            pass


def run_once(contender: Contender, task: Task, corpus: Corpus, sizes: Sizes, limit: float) -> measure.Measurement:
    """Run a contender in an empty folder and check what it made.

    The folder stays: after many files were deleted, some file systems are slow to make new ones, and the next contender
    would pay for it.

    Raises RuntimeError if not all is right, and TookTooLong.
    """
    command = contender.command(task)
    os.sync()  # else this contender pays for writing to the disk what the last one made
    measured = measure.run_well(command, task.folder, f"{task.folder}.log", TIMES, limit)
    for box in task.boxes:
        fault = find_fault(output_folder(task, box), corpus.names, sizes[box], contender.naming)
        if fault:
            raise RuntimeError(fault)
    return measured
