"""The plain loop: what thumbmill replaces.

As a program (`python bench/loops.py SOURCE OUTPUT BOX QUALITY CORES`) it makes what is missing or older than its
source, as its author meant it to. It imports nothing that it does not need, since its start is measured.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent import futures

from PIL import Image


def list_files(folder: str) -> list[str]:
    """Return all files below `folder`, relative to it, sorted."""
    start = len(os.path.join(folder, ""))
    return sorted(os.path.join(path, file)[start:] for path, _, files in os.walk(folder) for file in files)


def thumbnail_name(name: str) -> str:
    """Return the thumbnail of the picture `name`. It keeps the extension: a.jpg and a.png may be side by side."""
    return f"{name}.jpg"


def process_file(source: str, targets: list[tuple[str, int]], quality: int) -> None:
    """Do the plain loop's work on one picture: open, thumbnail, save, for each of the `targets` (path, pixels).

    The largest size comes first, and each smaller one is made from the one before.
    """
    with Image.open(source) as picture:
        for target, box in targets:
            picture.thumbnail((box, box))
            if picture.mode not in ("RGB", "L", "CMYK"):  # the modes that JPEG holds
                picture = picture.convert("RGB")
            picture.save(target, "JPEG", quality=quality)


def should_process(source: str, target: str) -> bool:
    """Whether the thumbnail `target` is missing or older than its `source`. Raises OSError."""
    try:
        made = os.stat(target).st_mtime_ns
    except FileNotFoundError:
        return True
    return os.stat(source).st_mtime_ns > made


def run_sequentially(process: Callable, arguments: list[tuple]) -> None:
    """Process one picture after another. Raises what `process` raises."""
    for each in arguments:
        process(*each)


def run_on_executor(executor: futures.Executor, process: Callable, arguments: list[tuple]) -> None:
    """Submit every picture, then wait for all. Raises the first error of `process`, after the rest is done."""
    submitted = [executor.submit(process, *each) for each in arguments]
    executor.shutdown()
    for future in submitted:
        future.result()


def process_pool(cores: int) -> futures.ProcessPoolExecutor:
    """Return the plain ProcessPoolExecutor."""
    # Python 3.14 changes Linux's default to a server process, whose children's CPU time nobody can account for.
    # Forking, the default before, is also the quickest to start: the contender to beat keeps its best.
    method = "fork" if sys.platform == "linux" else None
    return futures.ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context(method))


def make_outdated(source: str, output: str, box: int, quality: int, cores: int) -> int:
    """Make the thumbnails below `output` that should_process asks for; return how many. Raises as process_file does."""
    pairs = [(os.path.join(source, name), os.path.join(output, thumbnail_name(name))) for name in list_files(source)]
    outdated = [pair for pair in pairs if should_process(*pair)]
    for folder in {os.path.dirname(target) for _, target in outdated}:
        os.makedirs(folder, exist_ok=True)
    if outdated:
        run_on_executor(
            process_pool(cores), process_file, [(source, [(target, box)], quality) for source, target in outdated]
        )
    return len(outdated)


if __name__ == "__main__":
    print(make_outdated(*sys.argv[1:3], *map(int, sys.argv[3:])), "made")
