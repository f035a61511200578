"""The pictures that a comparison runs on: made, cut from photographs, or the user's own.

Each corpus is a folder of its own below the work folder, and is kept for the next comparison on the same.
"""

import hashlib
import itertools
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageChops, ImageDraw

from bench.loops import list_files
from scripts.catalogue import EXTENSIONS
from scripts.thumbnail import READABLE

WALLPAPERS = "/usr/share/backgrounds"  # where Debian's packages of wallpapers put them
PER_FOLDER = 1000  # pictures in one folder of a made corpus
SMALLEST_PHOTO, LARGEST_PHOTO = 4_000_000, 12_000_000  # pixels
CUTTABLE = 4_400_000  # pixels: of a photograph with fewer, too few different crops could be had
MADE_PHOTOS = ((2464, 1632), (2848, 2136), (3264, 2448), (3648, 2736), (4000, 3000))  # 4 to 12 megapixels
DESCRIPTION = "corpus.json"  # written last: a corpus without it was interrupted


class Corpus(NamedTuple):
    """Pictures to make thumbnails of."""

    folder: str  # absolute path
    names: list[str]  # relative to the folder
    note: str  # where they come from, a line
    left_out: list[tuple[str, str]]  # pictures of the user that nothing could be made of, and why


def make_corpus(case: str, count: int, pictures: str | None, work: str, cores: int) -> Corpus:
    """The corpus of a `case`: `count` pictures (0: all there are), from the folder `pictures` where the case uses one.

    It is made below the folder `work`, by `cores` processes, unless it is there already.
    Raises ValueError if there is no picture to begin with.
    """
    if pictures is None and case == "photos" and os.path.isdir(WALLPAPERS):
        pictures = WALLPAPERS
    given = list_pictures(pictures) if pictures else []
    if pictures and not given:
        raise ValueError(f"no picture in {pictures}")
    recipe = (case, count, [(name, *identity(os.path.join(pictures, name))) for name in given])
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    top = Path(work, "pictures", f"{case}-{digest}")
    if not (top / DESCRIPTION).exists():
        shutil.rmtree(top, ignore_errors=True)
        folder = top / "images"
        folder.mkdir(parents=True)
        note, left_out = fill(str(folder), case, count, pictures, given, cores)
        (top / DESCRIPTION).write_text(json.dumps({"note": note, "left_out": left_out}))
    folder = str(top / "images")
    description = json.loads((top / DESCRIPTION).read_text())
    names = list_files(folder)
    if not names:
        raise ValueError(f"no sound picture in {pictures}")
    return Corpus(folder, names, description["note"], [tuple(each) for each in description["left_out"]])


def fill(folder: str, case: str, count: int, pictures: str | None, given: list[str], cores: int) -> tuple[str, list]:
    """Put the pictures of a `case` into the empty `folder`. Returns the corpus's note and what was left out."""
    if case == "photos" and given:
        sources = [os.path.join(pictures, name) for name in given]
        used = cut_photos(folder, sources, count, cores)
        return f"crops of {used} photographs in {pictures}, JPEG quality 90, 4 to 12 megapixels, no two the same", []
    if given:
        left_out = link_pictures(folder, pictures, given[: count or None], cores)
        return f"pictures of {pictures}, as they are", left_out
    if case == "small-1000":
        draw_pictures(folder, count, [(400, 533)], cores)
        return "drawn, JPEG, 400 x 533 pixels, no two the same", []
    if case == "photos":
        draw_pictures(folder, count, MADE_PHOTOS, cores)
        return "drawn (no folder of photographs was given), JPEG, 4 to 12 megapixels, no two the same", []
    if case == "small-100000":
        distinct = min(count, 10_000)
        draw_pictures(os.path.join(folder, "set-00"), distinct, [(640, 480)], cores)
        repeat_pictures(folder, distinct, count)
        return (
            f"drawn, JPEG, 640 x 480 pixels, {distinct:,} different ones, "
            f"each in {-(-count // distinct)} places (hard links)",
            [],
        )
    draw_pictures(folder, count, [(640, 480)], cores)
    return "drawn, JPEG, 640 x 480 pixels, no two the same", []


def identity(path: str) -> tuple[int, int]:
    """What tells whether the file `path` is still the same: bytes, and nanoseconds of its date."""
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


def list_pictures(folder: str) -> list[str]:
    """The pictures below `folder`, relative to it, sorted: files with a picture's extension that are not hidden."""
    return [
        name
        for name in list_files(folder)
        if os.path.splitext(name)[1].lower() in EXTENSIONS
        and not any(part.startswith(".") for part in Path(name).parts)
        and os.path.exists(os.path.join(folder, name))
    ]


def spread(function: Callable, arguments: Iterable[tuple], doing: str, cores: int) -> list:
    """What `function` returns for each of the `arguments`, in their order, from `cores` processes."""
    arguments = list(arguments)
    results = []
    with futures.ProcessPoolExecutor(cores) as executor:
        for result in executor.map(function, *zip(*arguments, strict=True)):
            results.append(result)
            if sys.stderr.isatty():
                print(f"\r{doing}: {len(results) * 100 // len(arguments)} %", end="", file=sys.stderr, flush=True)
    print(f"\r{doing}: done ", file=sys.stderr)
    return results


# The user's own pictures.


def link_pictures(folder: str, pictures: str, names: list[str], cores: int) -> list[tuple[str, str]]:
    """Put the sound ones of the pictures `names` below `pictures` into `folder`. Returns the others, with reasons.

    Contenders are compared on pictures that all of them can read: what each makes of a broken one is another matter.
    """
    blocks = [names[start : start + 100] for start in range(0, len(names), 100)]
    faults = spread(faults_of_pictures, ((pictures, block) for block in blocks), "checking the pictures", cores)
    left_out = []
    for name, fault in zip(names, itertools.chain(*faults), strict=True):
        if fault:
            left_out.append((name, fault))
        else:
            link(os.path.realpath(os.path.join(pictures, name)), os.path.join(folder, name))
    return left_out


def faults_of_pictures(pictures: str, names: list[str]) -> list[str | None]:
    """For each of the pictures `names` below `pictures`: why it cannot be decoded, or None."""
    return [fault_of_picture(os.path.join(pictures, name)) for name in names]


def fault_of_picture(path: str) -> str | None:
    """Why the picture at `path` cannot be decoded, or None."""
    try:
        with Image.open(path, formats=READABLE) as picture:
            picture.load()
    except Exception as error:  # a decoder raises anything at a malformed file
        return f"{type(error).__name__}: {error}"
    return None


def link(source: str, target: str) -> None:
    """Make the file `source` appear at `target` too: a hard link, or a copy where that cannot be."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or somebody else's file
        shutil.copy2(source, target)


def repeat_pictures(folder: str, distinct: int, count: int) -> None:
    """Link the `distinct` pictures of set-00 below `folder` into set-01, set-02, ..., until there are `count`."""
    for number in range(distinct, count):
        source = drawn_name(number % distinct)
        link(os.path.join(folder, "set-00", source), os.path.join(folder, f"set-{number // distinct:02}", source))


# Crops of photographs.


def cut_photos(folder: str, sources: list[str], count: int, cores: int) -> int:
    """Cut `count` different photographs of 4 to 12 megapixels from those at the paths `sources`, in turn.

    Returns how many of the sources were large enough. Raises ValueError if none was.
    """
    usable = [path for path in sources if pixels(path) >= CUTTABLE]
    if not usable:
        raise ValueError(f"none of the photographs has {CUTTABLE:,} pixels")
    tasks = [(folder, path, list(range(first, count, len(usable)))) for first, path in enumerate(usable)]
    spread(cut_photo, (task for task in tasks if task[2]), "cutting photographs", cores)
    return len(usable)


def pixels(path: str) -> int:
    """Width x height of the picture at `path`; 0 if it is none."""
    try:
        with Image.open(path, formats=READABLE) as picture:
            return picture.width * picture.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0


def cut_photo(folder: str, path: str, numbers: list[int]) -> None:
    """Cut the photographs `numbers` of the corpus in `folder` from the one at `path`, each at a place of its own."""
    with Image.open(path, formats=READABLE) as picture:
        whole = picture.convert("RGB")
    largest = min(LARGEST_PHOTO, whole.width * whole.height)
    used = set()
    for number in numbers:
        rng = random.Random(number)
        box = None
        while box is None or box in used:
            scale = (rng.uniform(SMALLEST_PHOTO, largest) / (whole.width * whole.height)) ** 0.5
            width, height = round(whole.width * scale), round(whole.height * scale)
            left, top = rng.randint(0, whole.width - width), rng.randint(0, whole.height - height)
            box = (left, top, left + width, top + height)
        used.add(box)
        save_numbered(whole.crop(box), folder, number, quality=90)


# Drawn pictures.


def draw_pictures(folder: str, count: int, sizes: list[tuple[int, int]], cores: int) -> None:
    """Draw `count` different JPEGs into `folder`, of the `sizes` (width, height) in turn."""
    blocks = [range(start, min(start + 20, count)) for start in range(0, count, 20)]
    spread(draw_block, ((folder, block, sizes) for block in blocks), f"drawing {count:,} pictures", cores)


def draw_block(folder: str, numbers: Iterable[int], sizes: list[tuple[int, int]]) -> None:
    """Draw the pictures `numbers` of the corpus in `folder`."""
    for number in numbers:
        save_numbered(draw_picture(number, sizes[number % len(sizes)]), folder, number, quality=85)


def draw_picture(number: int, size: tuple[int, int]) -> Image.Image:
    """Picture `number`: things of different shapes and colours before soft light, with the grain of a photograph.

    The grain keeps the JPEG's size, and the time to decode it, near a photograph's. The same number is the same
    picture, anywhere.
    """
    rng = random.Random(number)
    light = Image.frombytes("RGB", (6, 5), rng.randbytes(90))
    picture = light.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(4, 10)):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        width, height = rng.randint(20, size[0] // 2), rng.randint(20, size[1] // 2)
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x - width // 2, y - height // 2, x + width // 2, y + height // 2), fill=tuple(rng.randbytes(3)))
    # Noise is dear to make: a half as wide and high is enough, and looks more like film, too.
    half = (-(-size[0] // 2), -(-size[1] // 2))
    noise = Image.frombytes("L", half, rng.randbytes(half[0] * half[1])).point([level // 5 for level in range(256)])
    grain = noise.resize(size, Image.Resampling.BILINEAR)
    return ImageChops.add(picture, Image.merge("RGB", (grain, grain, grain)), offset=-25)


def save_numbered(picture: Image.Image, folder: str, number: int, quality: int) -> None:
    """Save `picture` as a JPEG under its drawn_name below `folder`."""
    path = os.path.join(folder, drawn_name(number))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    picture.save(path, "JPEG", quality=quality)


def drawn_name(number: int) -> str:
    """The path of picture `number`, from its corpus's folder."""
    return f"{number // PER_FOLDER:03}/{number:06}.jpg"


def read_all(corpus: Corpus) -> int:
    """Read every picture once, so that all lie in the file cache. Returns their size in bytes."""
    total = 0
    for name in corpus.names:
        with open(os.path.join(corpus.folder, name), "rb") as file:
            while block := file.read(1 << 20):
                total += len(block)
    return total
