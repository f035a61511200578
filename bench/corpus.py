"""The pictures that a comparison runs on: drawn, cut from photographs, or the user's own.

Each corpus is a folder of its own below the work folder, and stays for the next comparison on the same pictures.
"""

import hashlib
import itertools
import json
import os
import random
import shutil
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bench.loops import list_files
from bench.pictures import cut_photos, draw_pictures, numbered, spread
from thumbmill.catalog.layout import encode_wildcard
from thumbmill.catalog.picture import EXTENSIONS
from thumbmill.imaging.reader import READABLE_FORMATS

WALLPAPERS = "/usr/share/backgrounds"  # where Debian's packages of wallpapers put them
SMALL = (640, 480)  # pixels
MAX_DISTINCT = {"small": 10_000, "mixed": 2_000}  # further pictures of a kind are links to these
# Of twenty pictures of a mixed catalogue: how many, the extension, pixels.
MIXED = (
    (14, ".jpg", SMALL),
    (3, ".jpg", (1600, 1200)),
    (1, ".jpg", (2848, 2136)),
    (1, ".png", (800, 600)),
    (1, ".webp", (800, 600)),
)
DRAWN_PHOTOS = ((2464, 1632), (2848, 2136), (3264, 2448), (3648, 2736), (4000, 3000))  # 4 to 12 megapixels
DESCRIPTION = "corpus.json"  # written last: a corpus without it was interrupted


class Corpus(NamedTuple):
    """Pictures to make thumbnails of."""

    folder: str  # absolute path
    names: list[str]  # relative to the folder
    note: str  # where they come from, on one line
    left_out: list[tuple[str, str]]  # pictures of the user that cannot be decoded, and why


def make_corpus(kind: str, count: int, pictures: str | None, work: str, cores: int) -> Corpus:
    """Return `count` pictures (0: all there are) of a `kind`, from the folder `pictures` if the kind uses one.

    The kinds: small, mixed, photos, folder, and corrupted (small ones, the middle one of them truncated). Make them
    below the folder `work`, in `cores` processes, unless they are there already.

    Raises ValueError if there is no picture to begin with.
    """
    if pictures is None and kind == "photos" and os.path.isdir(WALLPAPERS):
        pictures = WALLPAPERS
    given = list_pictures(pictures) if pictures else []
    if pictures and not given:
        raise ValueError(f"no picture in {pictures}")
    recipe = (kind, count, [(name, *identity(os.path.join(pictures, name))) for name in given])
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    top = Path(work, "pictures", f"{kind}-{digest}")
    if not (top / DESCRIPTION).exists():
        shutil.rmtree(top, ignore_errors=True)
        folder = top / "images"
        folder.mkdir(parents=True)
        if count > MAX_DISTINCT.get(kind, count):
            note, left_out = repeat_pictures(str(folder), kind, count, work, cores), []
        else:
            note, left_out = fill(str(folder), kind, count, pictures, given, cores)
        (top / DESCRIPTION).write_text(json.dumps({"note": note, "left_out": left_out}))
    folder = str(top / "images")
    description = json.loads((top / DESCRIPTION).read_text())
    names = list_files(folder)
    if not names:
        raise ValueError(f"no sound picture in {pictures}")
    return Corpus(folder, names, description["note"], [tuple(each) for each in description["left_out"]])


def fill(folder: str, kind: str, count: int, pictures: str | None, given: list[str], cores: int) -> tuple[str, list]:
    """Put the pictures of a `kind` into the empty `folder`; return the corpus's note and what was left out."""
    if kind == "photos" and given:
        sources = [os.path.join(pictures, name) for name in given]
        used = cut_photos(folder, sources, count, cores)
        return f"crops of {used} photographs in {pictures}, JPEG quality 90, 4 to 12 megapixels, no two the same", []
    if given:
        left_out = link_pictures(folder, pictures, given[: count or None], cores)
        return f"pictures of {pictures}, as they are", left_out
    if kind == "photos":
        draw_pictures(folder, count, [(".jpg", size) for size in DRAWN_PHOTOS], cores)
        return "drawn (no folder of photographs was given), JPEG, 4 to 12 megapixels, no two the same", []
    if kind == "mixed":
        turns = [(extension, size) for number, extension, size in MIXED for _ in range(number)]
        random.Random(0).shuffle(turns)
        draw_pictures(folder, count, turns, cores)
        parts = ", ".join(f"{100 * number // len(turns)} % {size[0]} x {size[1]} {ext}" for number, ext, size in MIXED)
        return f"drawn, {parts}, no two the same", []
    draw_pictures(folder, count, [(".jpg", SMALL)], cores)
    note = f"drawn, JPEG, {SMALL[0]} x {SMALL[1]} pixels, no two the same"
    if kind == "corrupted":
        damaged = middle(list_files(folder))
        path = Path(folder, damaged)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        note += f"; {damaged} is truncated in its middle"
    return note, []


def middle(names: list[str]) -> str:
    """Return the one of `names` that is damaged in a corpus of the kind `corrupted`."""
    return names[len(names) // 2]


def identity(path: str) -> tuple[int, int]:
    """Return what changes when the file `path` does: bytes, and nanoseconds of its date."""
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


def list_pictures(folder: str) -> list[str]:
    """Return the pictures below `folder`, relative to it, sorted: files with a picture's extension, not hidden."""
    return [
        name
        for name in list_files(folder)
        if os.path.splitext(name)[1].lower() in EXTENSIONS
        and not any(part.startswith(".") for part in Path(name).parts)
        and os.path.exists(os.path.join(folder, name))
    ]


def link_pictures(folder: str, pictures: str, names: list[str], cores: int) -> list[tuple[str, str]]:
    """Put the sound ones of the pictures `names` below `pictures` into `folder`; return the others, with reasons.

    Contenders compete on pictures that all of them can read: what each makes of a broken one is another question.
    """
    blocks = [names[start : start + 100] for start in range(0, len(names), 100)]
    faults = spread(faults_of_pictures, ((pictures, block) for block in blocks), "checking the pictures", cores)
    left_out = []
    for name, fault in zip(names, itertools.chain(*faults), strict=True):
        if fault:
            left_out.append((name, fault))
        else:
            # Under the name that its thumbnail will have: thumbmill's own would differ from the others' otherwise.
            link(os.path.realpath(os.path.join(pictures, name)), os.path.join(folder, encode_wildcard(name)))
    return left_out


def faults_of_pictures(pictures: str, names: list[str]) -> list[str | None]:
    """Return for each of the pictures `names` below `pictures` why it cannot be decoded, or None."""
    return [fault_of_picture(os.path.join(pictures, name)) for name in names]


def fault_of_picture(path: str) -> str | None:
    """Return why the picture at `path` cannot be decoded, or None."""
    try:
        with Image.open(path, formats=READABLE_FORMATS) as picture:
            picture.load()
    except Exception as error:  # a decoder raises anything at a malformed file
        return f"{type(error).__name__}: {error}"
    return None


def link(source: str, target: str) -> None:
    """Make the file `source` appear at `target`, too: as a hard link, or as a copy if that is impossible."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or somebody else's file
        shutil.copy2(source, target)


def repeat_pictures(folder: str, kind: str, count: int, work: str, cores: int) -> str:
    """Put `count` pictures into `folder`, links to the different ones that a `kind` has; return the corpus's note."""
    distinct = make_corpus(kind, MAX_DISTINCT[kind], None, work, cores)
    for number in range(count):
        name = distinct.names[number % len(distinct.names)]
        link(os.path.join(distinct.folder, name), os.path.join(folder, numbered(number, os.path.splitext(name)[1])))
    same = f"{len(distinct.names):,} different ones, each in {-(-count // len(distinct.names))} places (hard links)"
    return f"{distinct.note.removesuffix(', no two the same')}, {same}"


def read_all(corpus: Corpus) -> int:
    """Read every picture once, so that all are in the file cache; return their size in bytes."""
    total = 0
    for name in corpus.names:
        with open(os.path.join(corpus.folder, name), "rb") as file:
            while block := file.read(1 << 20):
                total += len(block)
    return total


def drop_from_cache(corpus: Corpus) -> None:
    """Drop the pictures from the file cache (Linux).

    Needs no permissions, and drops nothing else: programs stay in the cache.
    """
    for name in corpus.names:
        file = os.open(os.path.join(corpus.folder, name), os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
