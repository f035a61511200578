"""The pictures that comparisons and trials draw, or cut from photographs: the same number is the same picture."""

import os
import random
import sys
from collections.abc import Callable, Iterable
from concurrent import futures

from PIL import Image, ImageChops, ImageDraw

from thumbmill.imaging.reader import READABLE_FORMATS

PER_FOLDER = 1000  # pictures in one folder of a corpus
MIN_PHOTO, MAX_PHOTO = 4_000_000, 12_000_000  # pixels of a crop
MIN_CUTTABLE = 4_400_000  # pixels: of a photograph with fewer, too few different crops could be had


def cut_photos(folder: str, sources: list[str], count: int, cores: int) -> int:
    """Cut `count` different photographs of 4 to 12 megapixels from those at the paths `sources`, in turn.

    Return how many of the sources were large enough. Raises ValueError if none was.
    """
    usable = [path for path in sources if count_pixels(path) >= MIN_CUTTABLE]
    if not usable:
        raise ValueError(f"none of the photographs has {MIN_CUTTABLE:,} pixels")
    tasks = [(folder, path, list(range(first, count, len(usable)))) for first, path in enumerate(usable)]
    spread(cut_photo, (task for task in tasks if task[2]), "cutting photographs", cores)
    return len(usable)


def count_pixels(path: str) -> int:
    """Return width x height of the picture at `path`; 0 if it is none."""
    try:
        with Image.open(path, formats=READABLE_FORMATS) as picture:
            return picture.width * picture.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0


def cut_photo(folder: str, path: str, numbers: list[int]) -> None:
    """Cut the photographs `numbers` of the corpus in `folder` from the one at `path`, each from another part of it."""
    with Image.open(path, formats=READABLE_FORMATS) as picture:
        whole = picture.convert("RGB")
    largest = min(MAX_PHOTO, whole.width * whole.height)
    used = set()
    for number in numbers:
        rng = random.Random(number)
        box = None
        while box is None or box in used:
            scale = (rng.uniform(MIN_PHOTO, largest) / (whole.width * whole.height)) ** 0.5
            width, height = round(whole.width * scale), round(whole.height * scale)
            left, top = rng.randint(0, whole.width - width), rng.randint(0, whole.height - height)
            box = (left, top, left + width, top + height)
        used.add(box)
        save_numbered(whole.crop(box), folder, number, quality=90)


def draw_pictures(folder: str, count: int, turns: list[tuple[str, tuple[int, int]]], cores: int) -> None:
    """Draw `count` different pictures into `folder`: the `turns` (extension, (width, height)), over and over."""
    blocks = [range(start, min(start + 20, count)) for start in range(0, count, 20)]
    spread(draw_block, ((folder, block, turns) for block in blocks), f"drawing {count:,} pictures", cores)


def draw_block(folder: str, numbers: Iterable[int], turns: list[tuple[str, tuple[int, int]]]) -> None:
    """Draw the pictures `numbers` of the corpus in `folder`."""
    for number in numbers:
        extension, size = turns[number % len(turns)]
        save_numbered(draw_picture(number, size), folder, number, 85, extension)


def draw_picture(number: int, size: tuple[int, int]) -> Image.Image:
    """Return picture `number`: shapes of different colours before soft light, with the grain of a photograph.

    The grain keeps the JPEG's size, and the time to decode it, near a photograph's.
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
    # Noise takes long to make: half the width and height is enough, and looks more like film, too.
    half = (-(-size[0] // 2), -(-size[1] // 2))
    noise = Image.frombytes("L", half, rng.randbytes(half[0] * half[1])).point([level // 5 for level in range(256)])
    grain = noise.resize(size, Image.Resampling.BILINEAR)
    return ImageChops.add(picture, Image.merge("RGB", (grain, grain, grain)), offset=-25)


def save_numbered(picture: Image.Image, folder: str, number: int, quality: int, extension: str = ".jpg") -> None:
    """Save `picture` as number `number` of the corpus in `folder`, in the format of the `extension`."""
    path = os.path.join(folder, numbered(number, extension))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # PNG's quickest level and WebP's quickest method: only reading is measured.
    picture.save(path, quality=quality, **{".png": {"compress_level": 1}, ".webp": {"method": 0}}.get(extension, {}))


def numbered(number: int, extension: str) -> str:
    """Return the path of picture `number` in its corpus. No two have the same name, whatever the extension."""
    return f"{number // PER_FOLDER:03}/{number:06}{extension}"


def spread(function: Callable, arguments: Iterable[tuple], doing: str, cores: int) -> list:
    """Return what `function` returns for each of the `arguments`, in their order, from `cores` processes."""
    arguments = list(arguments)
    results = []
    with futures.ProcessPoolExecutor(cores) as executor:
        for result in executor.map(function, *zip(*arguments, strict=True)):
            results.append(result)
            if sys.stderr.isatty():
                print(f"\r{doing}: {len(results) * 100 // len(arguments)} %", end="", file=sys.stderr, flush=True)
    print(f"\r{doing}: done ", file=sys.stderr)
    return results
