"""What a run costs when little has changed since the last: nothing, one picture, one in a hundred.

thumbmill makes everything once, unmeasured. Each contender goes on from a copy of that, so that GNU make and stock
Snakemake, which would need hours for the beginning, can take part with large catalogues, too. All see the same pictures
change at the same time, and a check after each run ensures that it made the changed ones' thumbnails again, and no
others.
"""

import filecmp
import os
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bench import measure
from bench.check import State, expected_sizes, find_fault, find_rerun_fault, find_wrong_size, read_states
from bench.contenders import RERUNS, names_in_turn
from bench.corpus import Corpus, link
from bench.rounds import Outcome
from bench.task import TIMES, Contender, Task, output_folder


class Change(NamedTuple):
    """What happened to the pictures since the last run, and what the contenders then did."""

    title: str
    names: list[str]  # the pictures that changed
    outcome: Outcome
    skipped: dict[str, str]  # contender -> why it did not run at all


def run_reruns(
    chosen: Mapping[str, Contender | str],
    rounds: int,
    template: Task,
    corpus: Corpus,
    limit: float = measure.LIMIT,
    slow: float = measure.SLOW,
) -> list[Change]:
    """Run all `chosen` contenders in turn after each change, `rounds` times, each run for at most `limit` seconds.

    A contender that takes over `slow` seconds in a round runs in no later one. One that failed or was stopped is out,
    as its copy is no longer in the same state as the others'.

    Raises RuntimeError if not everything could be made in the beginning, ValueError if no picture can change.
    """
    running = {name: contender for name, contender in chosen.items() if isinstance(contender, Contender)}
    pairs = choose_pairs(corpus, max(1, len(corpus.names) // 100))
    names = list(pairs)
    changes = list_changes(names, running)
    copies = os.path.join(template.folder, "copies")
    # All copies take their turn at the same path: Snakemake's records may hold it.
    task = template._replace(
        source=os.path.join(template.folder, "images"), folder=os.path.join(template.folder, "shop")
    )
    make_copies(list(running), copies, task, corpus, names)
    states = {
        name: read_states(output_folder(task._replace(folder=os.path.join(copies, name))), names) for name in running
    }
    out: dict[str, str] = {}  # contender -> why it runs no more
    for number in range(-1, rounds):
        # The first time does not count: a contender that keeps inodes and dates must first learn those of its copy.
        for turn, change in enumerate(changes if number >= 0 else changes[:1]):
            change_pictures(corpus, task.source, {name: pairs[name] for name in change.names})
            sizes = expected_sizes(task.source, change.names, task.boxes[0])
            for name in names_in_turn(list(running), number + turn):
                if name in out:
                    continue
                which = f"round {number + 1} of {rounds}" if number >= 0 else "before the rounds"
                print(f"{which}, {change.title}: {name} ...", end=" ", file=sys.stderr, flush=True)
                try:
                    measured, states[name] = take_turn(
                        running[name], os.path.join(copies, name), task, states[name], change.names, names, sizes, limit
                    )
                except measure.TookTooLong:
                    change.outcome.over[name], out[name] = limit, f"was stopped: {change.title}"
                    print(f"over {limit:g} s", file=sys.stderr)
                except RuntimeError as error:
                    change.outcome.failed[name], out[name] = f"in {which}: {error}", f"failed: {change.title}"
                    print("failed", file=sys.stderr)
                else:
                    if number >= 0:
                        change.outcome.runs[name][number] = measured._asdict()
                    print(f"{measured.wall:.2f} s", file=sys.stderr)
        for name in running:
            if any(run["wall"] > slow for change in changes for run in change.outcome.runs[name].values()):
                out.setdefault(name, "slow")
    for change in changes:
        outcome = change.outcome
        absent = [name for name in running if not outcome.runs[name]]
        change.skipped.update({name: out[name] for name in absent if name not in outcome.failed | outcome.over})
    return changes


def list_changes(names: list[str], running: Iterable[str]) -> list[Change]:
    """Return the changes to run after, given the pictures `names` that can change: none, one, all of them."""
    return [
        Change(title, changed, Outcome({name: {} for name in running}, {}, {}), {})
        for title, changed in (
            ("nothing changed", []),
            ("one picture changed", names[:1]),
            (f"1 % changed ({len(names):,})", names),
        )
    ]


def take_turn(
    contender: Contender,
    copy: str,
    task: Task,
    before: Mapping[str, State],
    changed: list[str],
    changing: list[str],
    sizes: Mapping[str, set[tuple[int, int]]],
    limit: float,
) -> tuple[measure.Measurement, dict[str, State]]:
    """Run a contender on its `copy`, in which the thumbnails are as `before`; return what they are then, too.

    `changed` are the pictures that changed now, `changing` those that ever do: of these the contents are compared.

    Raises TookTooLong, and RuntimeError if it made others than the changed thumbnails, or not as `sizes` says.
    """
    os.rename(copy, task.folder)
    try:
        command = contender.command(task)
        os.sync()  # else this contender pays for writing to the disk what the last one made
        measured = measure.run_well(command, task.folder, f"{task.folder}.log", TIMES, limit)
        output = output_folder(task)
        after = read_states(output, changing)
        fault = find_rerun_fault(before, after, changed) or find_wrong_size(output, sizes)
        if fault:
            raise RuntimeError(fault)
    finally:
        os.rename(task.folder, copy)
    return measured, after


def make_copies(names: list[str], copies: str, task: Task, corpus: Corpus, changing: list[str]) -> None:
    """Link the pictures to `task.source`, make all thumbnails there, and copy that for each of the contenders `names`.

    The pictures that are `changing` are copies: replacing a link would change the state of the file's other names.

    Raises RuntimeError if not all thumbnails could be made.
    """
    apart = set(changing)
    for name in corpus.names:
        target = os.path.join(task.source, name)
        if name in apart:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(os.path.join(corpus.folder, name), target)
        else:
            link(os.path.join(corpus.folder, name), target)
    print("making everything once ...", end=" ", file=sys.stderr, flush=True)
    os.makedirs(task.folder)
    command = RERUNS["thumbmill"].command(task)
    try:
        measured = measure.run_well(command, task.folder, f"{task.folder}.log", TIMES)
        sizes = expected_sizes(task.source, corpus.names, task.boxes[0])
        fault = find_fault(output_folder(task), corpus.names, sizes)
        if fault:
            raise RuntimeError(fault)
    except RuntimeError as error:
        raise RuntimeError(f"not everything could be made in the beginning: {error}") from error
    print(f"{measured.wall:.2f} s", file=sys.stderr)
    os.makedirs(copies)
    for name in names[:-1]:
        print(f"a copy for {name}", file=sys.stderr)
        shutil.copytree(task.folder, os.path.join(copies, name), symlinks=True)
    for name in names[-1:]:
        os.rename(task.folder, os.path.join(copies, name))


def choose_pairs(corpus: Corpus, count: int) -> dict[str, str]:
    """Return `count` pictures that can change, or as many as there are: picture -> the one that it changes to.

    That is the next one with the same extension, which must look different. The choice is the same each time.

    Raises ValueError if there is none.
    """
    kinds = defaultdict(list)
    for name in corpus.names:
        kinds[os.path.splitext(name)[1]].append(name)
    following = {name: then for kind in kinds.values() for name, then in zip(kind, kind[1:] + kind[:1], strict=True)}
    pairs = {}
    for name in random.Random(0).sample(corpus.names, len(corpus.names)):
        if thumbprint(os.path.join(corpus.folder, name)) != thumbprint(os.path.join(corpus.folder, following[name])):
            pairs[name] = following[name]
        if len(pairs) == count:
            break
    if not pairs:
        raise ValueError("no picture can change: there are no two different ones with the same extension")
    return pairs


def thumbprint(path: str) -> tuple[tuple[int, int], bytes]:
    """Return the size of the picture at `path`, and its pixels reduced to 16 x 16 at most."""
    with Image.open(path) as picture:
        size = picture.size
        picture.thumbnail((16, 16))
        return size, picture.convert("RGB").tobytes()


def change_pictures(corpus: Corpus, folder: str, pairs: Mapping[str, str]) -> None:
    """Replace the pictures of `pairs` in `folder`: each by its partner in the corpus, and the next time by itself.

    Their dates are the file system's own, later than all that was written before, and earlier than all that follows.
    """
    wait_for_new_date(folder)
    for name, partner in pairs.items():
        path, own = os.path.join(folder, name), os.path.join(corpus.folder, name)
        content = os.path.join(corpus.folder, partner) if filecmp.cmp(path, own, shallow=False) else own
        # Beside it and renamed: the file may be a link to the corpus, and that one to the user's picture.
        shutil.copyfile(content, f"{folder}.new")
        os.replace(f"{folder}.new", path)
    wait_for_new_date(folder)


def wait_for_new_date(folder: str) -> None:
    """Wait until a file written beside `folder` is younger than all others: some clocks tick slowly."""
    probe = Path(f"{folder}.probe")
    probe.write_bytes(b"-")
    start = probe.stat().st_mtime_ns
    while probe.stat().st_mtime_ns <= start:
        probe.write_bytes(b"-")
