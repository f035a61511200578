"""The comparisons that a user can ask for, and who takes part in each."""

from collections.abc import Mapping
from typing import NamedTuple

from bench.contenders import CONTENDERS, RERUNS, find_obstacle
from bench.task import Contender, Task


class Case(NamedTuple):
    """One comparison."""

    kind: str  # of pictures (corpus.make_corpus)
    count: int  # of pictures; 0: all there are
    boxes: tuple[int, ...]  # pixels, width and height of the thumbnails at most
    rounds: int
    help: str
    what: str = "everything"  # to make; or "rerun", or "corrupted"


CASES = {
    "small-100": Case("small", 100, (128,), 5, "100 drawn pictures of 640 x 480 pixels to 128"),
    "small-1000": Case("small", 1000, (128,), 5, "1,000 of them: the first comparison"),
    "sizes": Case("photos", 200, (720, 256, 128), 3, "200 photographs to three sizes: 720, 256 and 128"),
    "corrupted": Case("corrupted", 200, (128,), 1, "200 pictures, one of them truncated: who stops?", "corrupted"),
    "rerun-1000": Case("small", 1000, (128,), 5, "small-1000 again: nothing, one picture, 1 % changed", "rerun"),
    "photos": Case("photos", 1000, (720,), 3, "1,000 photographs of 4 to 12 megapixels to 720"),
    "mixed-10000": Case("mixed", 10_000, (256,), 2, "10,000 JPEG, PNG and WebP pictures, 0.3 to 6 megapixels, to 256"),
    "small-10000": Case("small", 10_000, (128,), 3, "10,000 drawn pictures of 640 x 480 to 128"),
    "rerun-10000": Case("small", 10_000, (128,), 3, "small-10000 again, with the same changes", "rerun"),
    "small-100000": Case("small", 100_000, (128,), 1, "10,000 drawn pictures, each in ten places, to 128"),
    "rerun-100000": Case("small", 100_000, (128,), 3, "small-100000 again, with the same changes", "rerun"),
    "folder": Case("folder", 0, (256,), 3, "your own pictures (--pictures) as they are, to 256"),
    "rerun-folder": Case("folder", 0, (256,), 3, "copies of your own pictures again, with the same changes", "rerun"),
}
ALL = [name for name, case in CASES.items() if case.kind != "folder"]
OWN_KINDS = ("photos", "folder")  # that take --pictures


def contenders_of(case: Case) -> Mapping[str, Contender]:
    """Return all contenders that can take part in a case, by name."""
    return RERUNS if case.what == "rerun" else CONTENDERS


def choose(case: Case, only: list[str], also: list[str], task: Task, names: list[str]) -> dict[str, Contender | str]:
    """Return the contenders of a comparison on the pictures `names`: each, or the reason why it is left out.

    `only` are those that the user wants, if any; `also` those that take part besides the usual ones.
    """
    chosen: dict[str, Contender | str] = {}
    for name, contender in contenders_of(case).items():
        if name in only or name in also:
            chosen[name] = contender
        elif not only and not contender.extra:
            most = contender.max_pictures
            if most is not None and len(names) > most:
                chosen[name] = f"too slow for more than {most:,} pictures; --with {name} includes it"
            else:
                chosen[name] = contender
    return {
        name: (find_obstacle(contender, task, names) or contender) if isinstance(contender, Contender) else contender
        for name, contender in chosen.items()
    }
