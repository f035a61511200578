"""What a run costs when little has changed since the last: nothing, one picture, one in a hundred.

Everything is made once, by thumbmill and unmeasured. Each contender goes on from a copy of that, so that GNU make and
stock Snakemake, which would need hours for the beginning, are asked about large catalogues, too. All see the same
pictures change at the same time, and after each run it is checked that the changed ones' thumbnails were made again,
and no others.
"""

import filecmp
import os
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bench import contenders, measure
from bench.check import State, expected_sizes, find_fault, find_rerun_fault, find_wrong_size, read_states
from bench.contenders import Contender, Task, names_in_turn
from bench.pictures import Corpus, link


class Change(NamedTuple):
    """What happened to the pictures since the last run, and what the contenders then did."""

    title: str
    names: list[str]  # the pictures that changed
    runs: dict[str, dict[int, dict]]  # contender -> round -> measurement
    failed: dict[str, str]  # contender -> why
    over: dict[str, float]  # contender -> seconds after which it was given up
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

    Who takes over `slow` seconds in a round is not in the later ones. A contender that failed or was given up is out:
    what it left behind is no longer the others' state. Raises RuntimeError if not everything could be made in the
    beginning, ValueError if no picture can change.
    """
    running = {name: contender for name, contender in chosen.items() if isinstance(contender, Contender)}
    pairs = choose_pairs(corpus, max(1, len(corpus.names) // 100))
    names = list(pairs)
    changes = [
        Change(title, changed, {name: {} for name in running}, {}, {}, {})
        for title, changed in (
            ("nothing changed", []),
            ("one picture changed", names[:1]),
            (f"1 % changed ({len(names):,})", names),
        )
    ]
    copies = os.path.join(template.folder, "copies")
    # All copies take their turn at the same path: Snakemake's books may hold it.
    task = template._replace(
        source=os.path.join(template.folder, "images"), folder=os.path.join(template.folder, "shop")
    )
    make_copies(list(running), copies, task, corpus, names)
    states = {
        name: read_states(contenders.output_folder(task._replace(folder=os.path.join(copies, name))), names)
        for name in running
    }
    out: dict[str, str] = {}  # contender -> why it runs no more
    for number in range(-1, rounds):
        # The first time does not count: what a contender knows of the files themselves, it learns about the copies.
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
                    change.over[name], out[name] = limit, f"was given up: {change.title}"
                    print(f"over {limit:g} s", file=sys.stderr)
                except RuntimeError as error:
                    change.failed[name], out[name] = f"in {which}: {error}", f"failed: {change.title}"
                    print("failed", file=sys.stderr)
                else:
                    if number >= 0:
                        change.runs[name][number] = measured._asdict()
                    print(f"{measured.wall:.2f} s", file=sys.stderr)
        for name in running:
            if any(run["wall"] > slow for change in changes for run in change.runs[name].values()):
                out.setdefault(name, "slow")
    for change in changes:
        for name in running:
            if not change.runs[name] and name not in change.failed and name not in change.over:
                change.skipped[name] = out[name]
    return changes


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
    """Run a contender on its `copy`, in which the thumbnails are as `before`. Returns what they are then, too.

    Raises RuntimeError if other thumbnails than those of the pictures `changed` were made again, or not as `sizes`
    says, and TookTooLong. The contents are compared of all that are ever `changing`.
    """
    os.rename(copy, task.folder)
    try:
        command = contender.command(task)
        os.sync()  # else this contender pays for writing what the last one made to the disk
        measured = measure.run_well(command, task.folder, f"{task.folder}.log", contenders.TIMES, limit)
        output = contenders.output_folder(task)
        after = read_states(output, changing)
        fault = find_rerun_fault(before, after, changed) or find_wrong_size(output, sizes)
        if fault:
            raise RuntimeError(fault)
    finally:
        os.rename(task.folder, copy)
    return measured, after


def make_copies(names: list[str], copies: str, task: Task, corpus: Corpus, changing: list[str]) -> None:
    """Link the pictures to `task.source`, make all thumbnails there, and copy that for each of the contenders `names`.

    The pictures that are `changing` are copies: a link that is replaced gives the file's other names another state.
    Raises RuntimeError.
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
    command = contenders.RERUNS["thumbmill"].command(task)
    try:
        measured = measure.run_well(command, task.folder, f"{task.folder}.log", contenders.TIMES)
        sizes = expected_sizes(task.source, corpus.names, task.boxes[0])
        fault = find_fault(contenders.output_folder(task), corpus.names, sizes)
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
    """`count` pictures that can change, or fewer if there are not as many: picture -> the one that it changes to.

    That is the next one of the same extension, which must look different. The same pictures are chosen each time.
    Raises ValueError if there is none.
    """
    kinds = defaultdict(list)
    for name in corpus.names:
        kinds[os.path.splitext(name)[1]].append(name)
    following = {name: then for kind in kinds.values() for name, then in zip(kind, kind[1:] + kind[:1], strict=True)}
    pairs = {}
    for name in random.Random(0).sample(corpus.names, len(corpus.names)):
        if glance(os.path.join(corpus.folder, name)) != glance(os.path.join(corpus.folder, following[name])):
            pairs[name] = following[name]
        if len(pairs) == count:
            break
    if not pairs:
        raise ValueError("no picture can change: there are no two different ones of the same extension")
    return pairs


def glance(path: str) -> tuple[tuple[int, int], bytes]:
    """What the picture at `path` looks like from afar, and its size."""
    with Image.open(path) as picture:
        size = picture.size
        picture.thumbnail((16, 16))
        return size, picture.convert("RGB").tobytes()


def change_pictures(corpus: Corpus, folder: str, pairs: Mapping[str, str]) -> None:
    """Write the pictures of `pairs` in `folder` anew: each shows its partner in the corpus, and the next time itself.

    Their dates are the file system's own, later than all that was written before, and earlier than all that follows.
    """
    wait_for_new_date(folder)
    for name, partner in pairs.items():
        path, own = os.path.join(folder, name), os.path.join(corpus.folder, name)
        content = os.path.join(corpus.folder, partner) if filecmp.cmp(path, own, shallow=False) else own
        # Beside it and renamed: what is written to may be linked to the corpus, and that to the user's picture.
        shutil.copyfile(content, f"{folder}.new")
        os.replace(f"{folder}.new", path)
    wait_for_new_date(folder)


def wait_for_new_date(folder: str) -> None:
    """Wait until a file that is written beside `folder` is younger than all others: some clocks tick slowly."""
    probe = Path(f"{folder}.probe")
    probe.write_bytes(b"-")
    start = probe.stat().st_mtime_ns
    while probe.stat().st_mtime_ns <= start:
        probe.write_bytes(b"-")
