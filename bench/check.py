"""Checks what a contender made, so that none wins by doing less."""

import hashlib
import os
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bench.loops import list_files, thumbnail_name
from thumbmill.imaging.orientation import ORIENTATION

SAMPLE = 50  # thumbnails to decode


def expected_sizes(source: str, names: list[str], box: int) -> dict[str, set[tuple[int, int]]]:
    """Return the (width, height) that a thumbnail may have, by picture, for a sample of the pictures `names`.

    Thumbnails show the whole picture below `source`, at most `box` pixels wide and high, never enlarged. A picture that
    lies on its side, says its EXIF, may come out upright or lying: the plain loop does not turn it.
    """
    expected = {}
    for name in random.Random(0).sample(names, min(SAMPLE, len(names))):
        with Image.open(os.path.join(source, name)) as picture:
            width, height = picture.size
            lies = picture.getexif().get(ORIENTATION, 1) >= 5
        scale = min(1, box / width, box / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        expected[name] = {size, size[::-1]} if lies else {size}
    return expected


def find_fault(
    output: str,
    names: list[str],
    sizes: Mapping[str, set[tuple[int, int]]],
    naming: Callable[[str], str] = thumbnail_name,
) -> str | None:
    """Return the first fault of the thumbnails below `output` of the pictures `names`; None if there is none.

    `sizes` are those of expected_sizes; one pixel more or less is a matter of rounding. `naming` maps a picture to its
    thumbnail.
    """
    wanted, made = {naming(name) for name in names}, set(list_files(output))
    if made != wanted:
        example = min(wanted - made, default=None) or min(made - wanted)
        return (
            f"{len(made & wanted):,} of {len(wanted):,} thumbnails made, and {len(made - wanted):,} other files "
            f"(the first that is missing or not asked for: {example})"
        )
    return find_wrong_size(output, sizes, naming)


def find_wrong_size(
    output: str, sizes: Mapping[str, set[tuple[int, int]]], naming: Callable[[str], str] = thumbnail_name
) -> str | None:
    """Return the first fault of the thumbnails below `output` of the pictures in `sizes`: broken, or the wrong size."""
    for picture, allowed in sizes.items():
        name = naming(picture)
        try:
            with Image.open(os.path.join(output, name), formats=["JPEG"]) as thumbnail:
                thumbnail.load()
                width, height = thumbnail.size
        except (OSError, SyntaxError) as error:
            return f"{name} cannot be decoded: {error}"
        if not any(abs(width - right[0]) <= 1 and abs(height - right[1]) <= 1 for right in allowed):
            right = " or ".join(f"{width}x{height}" for width, height in sorted(allowed))
            return f"{name} is {width}x{height} pixels instead of {right}"
    return None


class State(NamedTuple):
    """What changes when a thumbnail is written again, and when it then shows something else."""

    identity: tuple[int, int, int]  # inode, bytes, nanoseconds of its date
    content: str | None  # digest, if somebody asked for it


def read_states(output: str, names: Iterable[str]) -> dict[str, State]:
    """Return the states of the thumbnails below `output`, with the contents of those of the pictures `names`."""
    wanted = {thumbnail_name(name) for name in names}
    states = {}
    for name in list_files(output):
        path = os.path.join(output, name)
        state = os.stat(path)
        content = hashlib.sha256(Path(path).read_bytes()).hexdigest() if name in wanted else None
        states[name] = State((state.st_ino, state.st_size, state.st_mtime_ns), content)
    return states


def find_rerun_fault(before: Mapping[str, State], after: Mapping[str, State], changed: Iterable[str]) -> str | None:
    """Return how a rerun did otherwise than make exactly the thumbnails of the pictures `changed`; None if it did.

    `before` and `after` come from read_states, with the contents of the changed ones.
    """
    if before.keys() != after.keys():
        missing, more = before.keys() - after.keys(), after.keys() - before.keys()
        example = min(missing, default=None) or min(more)
        return f"{len(missing):,} thumbnails are gone, and {len(more):,} other files appeared (the first: {example})"
    wanted = {thumbnail_name(name) for name in changed}
    made = {name for name, state in after.items() if state.identity != before[name].identity}
    if made != wanted:
        example = min(wanted - made, default=None) or min(made - wanted)
        return (
            f"{len(made & wanted):,} of {len(wanted):,} changed thumbnails made again, and {len(made - wanted):,} "
            f"others (the first that was forgotten or made for nothing: {example})"
        )
    old = [name for name in wanted if after[name].content == before[name].content]
    return f"{min(old)} was made again, but shows the old picture" if old else None
