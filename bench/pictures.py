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
SMALL = (640, 480)  # pixels
MOST_DISTINCT = {"small": 10_000, "mixed": 2_000}  # more pictures of a kind are links to these
# Of twenty pictures of a mixed catalogue: how many, the extension, pixels.
MIXED = (
    (14, ".jpg", SMALL),
    (3, ".jpg", (1600, 1200)),
    (1, ".jpg", (2848, 2136)),
    (1, ".png", (800, 600)),
    (1, ".webp", (800, 600)),
)
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


def make_corpus(kind: str, count: int, pictures: str | None, work: str, cores: int) -> Corpus:
    """`count` pictures (0: all there are) of a `kind`, from the folder `pictures` where the kind uses one.

    The kinds: small, mixed, photos, folder, and corrupted (small ones, the middle one of them cut short).

    They are made below the folder `work`, by `cores` processes, unless they are there already.
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
        if count > MOST_DISTINCT.get(kind, count):
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
    """Put the pictures of a `kind` into the empty `folder`. Returns the corpus's note and what was left out."""
    if kind == "photos" and given:
        sources = [os.path.join(pictures, name) for name in given]
        used = cut_photos(folder, sources, count, cores)
        return f"crops of {used} photographs in {pictures}, JPEG quality 90, 4 to 12 megapixels, no two the same", []
    if given:
        left_out = link_pictures(folder, pictures, given[: count or None], cores)
        return f"pictures of {pictures}, as they are", left_out
    if kind == "photos":
        draw_pictures(folder, count, [(".jpg", size) for size in MADE_PHOTOS], cores)
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
        note += f"; {damaged} is cut off in its middle"
    return note, []


def middle(names: list[str]) -> str:
    """The one of `names` that is damaged in a corpus of the kind `corrupted`."""
    return names[len(names) // 2]


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


def repeat_pictures(folder: str, kind: str, count: int, work: str, cores: int) -> str:
    """Put `count` pictures into `folder`: links to those that there are at most of a `kind`. Returns the note."""
    distinct = make_corpus(kind, MOST_DISTINCT[kind], None, work, cores)
    for number in range(count):
        name = distinct.names[number % len(distinct.names)]
        link(os.path.join(distinct.folder, name), os.path.join(folder, numbered(number, os.path.splitext(name)[1])))
    same = f"{len(distinct.names):,} different ones, each in {-(-count // len(distinct.names))} places (hard links)"
    return f"{distinct.note.removesuffix(', no two the same')}, {same}"


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


def draw_pictures(folder: str, count: int, turns: list[tuple[str, tuple[int, int]]], cores: int) -> None:
    """Draw `count` different pictures into `folder`: the `turns` (extension, (width, height)), again and again."""
    blocks = [range(start, min(start + 20, count)) for start in range(0, count, 20)]
    spread(draw_block, ((folder, block, turns) for block in blocks), f"drawing {count:,} pictures", cores)


def draw_block(folder: str, numbers: Iterable[int], turns: list[tuple[str, tuple[int, int]]]) -> None:
    """Draw the pictures `numbers` of the corpus in `folder`."""
    for number in numbers:
        extension, size = turns[number % len(turns)]
        save_numbered(draw_picture(number, size), folder, number, 85, extension)


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


def save_numbered(picture: Image.Image, folder: str, number: int, quality: int, extension: str = ".jpg") -> None:
    """Save `picture` as number `number` of the corpus in `folder`; its `extension` says in which format."""
    path = os.path.join(folder, numbered(number, extension))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # PNG's quickest level and WebP's quickest method: it is the reading that is measured.
    picture.save(path, quality=quality, **{".png": {"compress_level": 1}, ".webp": {"method": 0}}.get(extension, {}))


def numbered(number: int, extension: str) -> str:
    """The path of picture `number`, from its corpus's folder. No two have the same name, whatever the extension."""
    return f"{number // PER_FOLDER:03}/{number:06}{extension}"


def read_all(corpus: Corpus) -> int:
    """Read every picture once, so that all lie in the file cache. Returns their size in bytes."""
    total = 0
    for name in corpus.names:
        with open(os.path.join(corpus.folder, name), "rb") as file:
            while block := file.read(1 << 20):
                total += len(block)
    return total


def forget_all(corpus: Corpus) -> None:
    """Make the operating system (Linux) drop what it keeps in memory of the pictures' contents.

    Needs no rights, and drops nothing else: programs stay in the file cache.
    """
    for name in corpus.names:
        file = os.open(os.path.join(corpus.folder, name), os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
