"""Mutated pictures through the picture function: python -m tests.trials.fuzz [--minutes 10] [--seed N] [--folder DIR]

Starts from pictures that Pillow makes in all formats and modes, and from the files in the folders named. Each input is
one of them with bits flipped, cut off, spliced with another, its lengths changed or parts of it doubled, made with
settings drawn at random, in a worker process within limits. The number of an input and the seed tell all about it, so
that each finding can be had again: --seed N --only NUMBER (with the same folders).

A finding is a crash, a hang, an exception other than PictureError, a PictureError for what the function does with a
picture once it is decoded, a thumbnail that is not whole, some of a picture's
thumbnails without the others, any other file, more memory than allowed, a reason that is not one line.
"""

import argparse
import collections
import io
import json
import multiprocessing
import os
import random
import re
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pillow_heif
from PIL import Image

from scripts.thumbnail import FORMATS, MemoryShort, PictureError, Thumbnail, limited, make_thumbnails
from tests.trials.hostile import gif, looping_exif, peak_memory, scans, tile, webp

SECONDS = 20  # that one input may take
MEGABYTES = 600  # that one input may use
MAX_PIXELS = 4_000_000
LARGEST_FILE = 300_000  # bytes; of a larger one only the start is taken

VARIANTS = [
    *(("JPEG", mode, options) for mode in ("L", "RGB", "CMYK") for options in ({}, {"progressive": True})),
    ("JPEG", "RGB", {"subsampling": 0, "optimize": True}),
    *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I")),
    *(("WEBP", mode, options) for mode in ("RGB", "RGBA") for options in ({}, {"lossless": True})),
    *(("AVIF", mode, {"speed": 10}) for mode in ("L", "RGB", "RGBA")),
    *(("GIF", mode, {}) for mode in ("1", "L", "P", "RGBA")),
    *(("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")),
    *(("TIFF", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I;16", "I", "F")),
    *(
        ("TIFF", "RGB", {"compression": name})
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd", "webp")
    ),
    *(("TIFF", "1", {"compression": name}) for name in ("group3", "group4", "tiff_ccitt")),
    ("HEIF", "RGB", {}),
    ("HEIF", "RGBA", {}),
]

# Numbers on which readers stumble.
ODD_NUMBERS = [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


class Ended(NamedTuple):
    """What became of an input: its number, "made" or the reason or what is wrong, whether that is a finding."""

    number: int
    outcome: str
    finding: bool
    seconds: float


# Inputs


def own_pictures() -> Iterator[bytes]:
    """Pictures of 40 x 30 in every format and mode that Pillow writes, some with metadata or several frames."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    noise = Image.effect_noise((40, 30), 80)
    profile = Image.open(io.BytesIO(saved(noise, "PNG"))) and srgb_profile()
    for format, mode, options in VARIANTS:
        picture = Image.merge("RGB", [noise, noise.rotate(180), noise.point(lambda level: 255 - level)])
        if mode in ("LAB", "F", "I"):
            picture = Image.new(mode, (40, 30), 7)
        else:
            picture = picture.convert("L").convert(mode) if mode in ("I;16",) else picture.convert(mode)
        try:
            yield saved(picture, format, **options)
            if mode in ("RGB", "L") and format not in ("BMP", "GIF"):
                yield saved(picture, format, exif=exif, icc_profile=profile, **options)
        except OSError:
            continue  # a library without this codec
    frames = [Image.effect_noise((40, 30), spread).convert("RGB") for spread in (20, 60, 90)]
    for format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO"):
        yield saved(frames[0], format, save_all=True, append_images=frames[1:])
    yield from (gif(5), looping_exif(), scans(3, 64), tile(128), webp(3, 8))


def saved(picture: Image.Image, format: str, **options) -> bytes:
    """`picture` as a file's content."""
    content = io.BytesIO()
    picture.save(content, format, **options)
    return content.getvalue()


def srgb_profile() -> bytes:
    """An ICC profile."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def files_in(folders: Iterable[str]) -> Iterator[bytes]:
    """The start of each file below `folders`, in a stable order."""
    for folder in folders:
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            with path.open("rb") as file:
                if content := file.read(LARGEST_FILE):
                    yield content


def starting_points(folders: Iterable[str]) -> list[bytes]:
    """All pictures to start from: as many of one's own as there are in the `folders`, by repetition."""
    own, given = [*own_pictures()], [*files_in(folders)]
    return own * max(1, round(len(given) / len(own))) + given


def mutated(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """`content` after one to four changes; one in fifty stays as it is."""
    data = bytearray(content)
    if not chance.randrange(50):
        return content
    for _ in range(chance.randint(1, 4)):
        if not data:
            break
        # The start of a file holds most of what its reader goes by.
        at = chance.randrange(len(data) if chance.randrange(2) else min(len(data), 512))
        length = min(len(data) - at, int(2 ** chance.uniform(0, 12)))
        kind = chance.randrange(7)
        if kind == 0:
            for _ in range(chance.choice([1, 1, 2, 8, 64])):
                data[chance.randrange(len(data)) if chance.randrange(2) else at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            part = data[at : at + length]
            data[at:at] = part * min(chance.choice([1, 1, 2, 100, 5000]), 1 + LARGEST_FILE // len(part))
        elif kind == 4:
            other = chance.choice(others)
            start = chance.randrange(len(other))
            data[at : at + length] = other[start : start + length]
        elif kind == 5:
            number, form = chance.choice(ODD_NUMBERS), chance.choice(["<I", ">I", "<H", ">H", "B"])
            packed = struct.pack(form, number % 2 ** (8 * struct.calcsize(form)))
            data[at : at + len(packed)] = packed
        else:
            data[at : at + length] = chance.randbytes(length)
    return bytes(data)


def draw(number: int, seed: int, pictures: list[bytes]) -> tuple[bytes, list[tuple[dict, str]], dict]:
    """Input `number`: a file's content, the sizes and formats to make of it, and the other settings."""
    chance = random.Random(f"{seed}-{number}")
    content = mutated(chance.choice(pictures), pictures, chance)
    sizes = []
    for _ in range(chance.randint(1, 3)):
        size = {
            "width": chance.choice([1, 16, 33, 200]),
            "height": chance.choice([1, 16, 33, 200]),
            "fit": chance.choice(["contain", "cover", "pad"]),
            "enlarge": not chance.randrange(4),
            "focus": chance.choice(["center", "top-left", "50% 20%"]),
            "trim": not chance.randrange(3),
            "trim_tolerance": chance.choice([0, 10, 254]),
            "margin": chance.choice([0, 0, 5, 100]),
            "sharpen": chance.choice([0, 0, 40, 300]),
        }
        sizes.append((size, chance.choice([*FORMATS])))
    settings = {
        "quality": dict.fromkeys(["jpeg", "webp", "avif"], chance.choice([1, 80, 100])),
        "background": chance.choice(["#ffffff", "black"]),
        "linear": not chance.randrange(4),
        "animated": not chance.randrange(2),
        "damaged": chance.choice(["refuse", "make"]),
    }
    return content, sizes, settings


# What is done with one


def judge(number: int, seed: int, pictures: list[bytes], folder: Path) -> Ended:
    """Send input `number` through the picture function in the empty `folder`, which is empty again afterwards."""
    content, sizes, settings = draw(number, seed, pictures)
    (folder / "source").write_bytes(content)
    paths = [folder / f"{position}{FORMATS[format].extension}" for position, (_, format) in enumerate(sizes)]
    wanted = [Thumbnail(str(path), size, format) for path, (size, format) in zip(paths, sizes, strict=True)]
    start, wrong = time.monotonic(), ""
    try:
        with limited(SECONDS, MEGABYTES):
            make_thumbnails(str(folder / "source"), wanted, max_pixels=MAX_PIXELS, **settings)
        outcome, expected = "made", {"source", *(path.name for path in paths)}
        for path, (size, format) in zip(paths, sizes, strict=True):
            wrong = wrong or not_whole(path, size, format)
    except PictureError as error:
        outcome, expected = str(error), {"source"}
        if not outcome or not outcome.isprintable() or len(outcome) > 500:
            wrong = f"a reason that is not one line: {outcome!r}"
        if not isinstance(error, MemoryShort) and (after := after_decoding(error)):
            wrong = f"{outcome} (in {after})"
    except Exception:
        outcome, expected, wrong = "an exception", {"source"}, traceback.format_exc()
    there = {*os.listdir(folder)}
    if there != expected:
        wrong = wrong or f"files {sorted(there)} instead of {sorted(expected)}"
    for name in there:
        (folder / name).unlink()
    return Ended(number, wrong or outcome, bool(wrong), time.monotonic() - start)


def after_decoding(error: PictureError) -> str:
    """The function in which a picture failed that had been decoded; "" if that was not so."""
    if str(error).startswith(("cannot be saved", "cannot write")):
        return "encode"
    names = [frame.name for frame in traceback.extract_tb(error.__cause__ and error.__cause__.__traceback__)]
    return next((name for name in ("show", "find_areas", "cut", "sharpen", "pad") if name in names), "")


def not_whole(path: Path, size: dict, format: str) -> str:
    """What is wrong with a thumbnail, if anything."""
    try:
        with Image.open(path) as picture:
            picture.load()
            if picture.format != FORMATS[format].name:
                return f"{picture.format} instead of {format}"
            if picture.width > size["width"] or picture.height > size["height"]:
                return f"{picture.size} is larger than {size}"
            if len(picture.info.get("exif", b"")) or picture.info.get("icc_profile"):
                return "metadata in a thumbnail"
    except Exception as error:
        return f"a thumbnail that cannot be read: {error!r}"
    return ""


def work(connection, seed: int, folders: list[str], place: str) -> None:
    """A worker: judge the inputs whose numbers come from the `connection`, until none does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # as run_job() does
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff says there what it thinks
    pictures = starting_points(folders)
    while (number := connection.recv()) is not None:
        connection.send((*judge(number, seed, pictures, Path(place)), peak_memory()))


class Worker:
    """A process that judges inputs, and is replaced when one ends it."""

    def __init__(self, seed: int, folders: list[str], place: Path):
        self.arguments = seed, folders, str(place)
        self.peak = 0.0
        self.begin()

    def begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, *self.arguments), daemon=True)
        self.process.start()
        theirs.close()

    def judge(self, number: int) -> Ended:
        """What became of this input; if it ended the process, how."""
        start = time.monotonic()
        self.connection.send(number)
        try:
            *ended, peak = self.connection.recv()
            self.peak = max(self.peak, peak)
            return Ended(*ended)
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            kind = f"hang: not done after {SECONDS} s" if code == -signal.SIGALRM else f"crash: exit code {code}"
            for name in os.listdir(self.arguments[2]):
                if name != "source":
                    kind += f"; left {name}"
                (Path(self.arguments[2]) / name).unlink()
            self.begin()
            return Ended(number, kind, True, time.monotonic() - start)

    def end(self) -> None:
        self.connection.send(None)
        self.process.join()


def reason_class(outcome: str) -> str:
    """An outcome without its figures, so that alike ones can be counted together."""
    if outcome.startswith(("made", "too large", "not a picture", "not enough memory", "the file is empty")):
        return re.match(r"made|too large|not a picture|not enough memory|the file is empty", outcome)[0]
    return re.sub(r"\d+", "N", outcome)[:60]


def fuzz(numbers: Iterable[int], seed: int, folders: list[str], save: Path | None = None) -> tuple[list[Ended], float]:
    """Judge these inputs, one after another; returns what became of each, and the peak memory of a worker in MB.

    The files of findings are saved in the folder `save`, if one is given.
    """
    with tempfile.TemporaryDirectory() as name:
        worker = Worker(seed, folders, Path(name))
        pictures = None
        results = []
        try:
            for number in numbers:
                results.append(worker.judge(number))
                if worker.peak > MEGABYTES + 150:  # the interpreter, its libraries and the pictures to start from
                    results[-1] = results[-1]._replace(outcome=f"{worker.peak:.0f} MB", finding=True)
                    worker.peak = 0
                if results[-1].finding and save:
                    save.mkdir(parents=True, exist_ok=True)
                    pictures = pictures or starting_points(folders)
                    content, sizes, settings = draw(number, seed, pictures)
                    (save / f"{seed}-{number}").write_bytes(content)
                    told = {"outcome": results[-1].outcome, "sizes": sizes, "settings": settings}
                    (save / f"{seed}-{number}.json").write_text(json.dumps(told, indent=1))
        finally:
            worker.end()
    return results, worker.peak


def until(minutes: float) -> Iterator[int]:
    """Numbers, as long as there is time."""
    end, number = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        yield number
        number += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", action="append", default=[], help="real files to start from; may be repeated")
    parser.add_argument("--only", type=int, help="the number of one input")
    parser.add_argument("--save", type=Path, default=Path("fuzz-findings"), help="where findings are saved")
    given = parser.parse_args()
    numbers = until(given.minutes) if given.only is None else [given.only]
    results, peak = fuzz(numbers, given.seed, given.folder, given.save)
    findings = [result for result in results if result.finding]
    slowest = max(results, key=lambda result: result.seconds)
    made = sum(result.outcome == "made" for result in results)
    print(f"seed {given.seed}: {len(results):,} inputs, {made:,} made, {len(results) - made - len(findings):,} refused")
    print(f"slowest: number {slowest.number}, {slowest.seconds:.2f} s; peak memory of a worker: {peak:.0f} MB")
    for outcome, count in collections.Counter(reason_class(r.outcome) for r in results if not r.finding).most_common(
        25
    ):
        print(f"  {count:7,} {outcome}")
    print(f"findings: {len(findings)}" + (f", saved in {given.save}" if findings else ""))
    for finding in findings[:50]:
        print(f"  {finding.number}: {finding.outcome.strip().splitlines()[-1]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
