"""How long thumbmill, plain Image.thumbnail and libvips take for one picture, on one core."""

import functools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from PIL import Image, ImageDraw

from bench.loops import process_file
from bench.quality.makers import LANCZOS, box_size, import_vips
from bench.quality.photographs import photograph
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails


def on_one_core() -> None:
    """Keep this process on one core, so that it does nothing in parallel."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def time_in_turn(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the milliseconds of processor time that each contender takes: the median of `rounds` in turn."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            before = time.process_time()
            work()
            spent[name].append((time.process_time() - before) * 1000)
    return {name: median(each) for name, each in spent.items()}


def time_sources(folder: Path) -> dict[str, str]:
    """Make the pictures to time below `folder`; return their paths, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = photograph((3000, 2225))
    alpha = photo.crop((0, 0, 2048, 1536)).convert("RGBA")
    mask = Image.new("L", alpha.size)
    ImageDraw.Draw(mask).ellipse((50, 50, 2000, 1500), 255)
    alpha.putalpha(mask)
    small = photo.crop((0, 0, 2560, 1920)).resize((640, 480), LANCZOS)
    made = {
        "2725x2225.jpg": (photo.crop((0, 0, 2725, 2225)), {"quality": 90}),
        "3000x2000.jpg": (photo.crop((0, 0, 3000, 2000)), {"quality": 90}),
        "640x480.jpg": (small, {"quality": 85}),
        "2048x1536.png": (alpha, {}),
    }
    for name, (picture, options) in made.items():
        picture.save(folder / name, **options)
    return {name: str(folder / name) for name in made}


def print_times(folder: Path, rounds: int) -> None:
    """Print the tables of times: thumbmill's function, plain Image.thumbnail and libvips' thumbnail, on one core."""
    vips = import_vips()
    on_one_core()
    sources = time_sources(folder)
    target = str(folder / "thumbnail.jpg")

    def ours(source: str, *boxes: int, **options) -> Callable[[], object]:
        thumbnails = [Thumbnail(f"{target}{box}", box_size(box), "jpeg") for box in boxes]
        return functools.partial(make_thumbnails, source, thumbnails, quality={"jpeg": 80}, **options)

    def libvips(source: str, box: int) -> Callable[[], object]:
        def make() -> None:
            made = vips.Image.thumbnail(source, box, height=box, size="down")
            made.jpegsave(target, Q=80, keep="none", background=[255, 255, 255])

        return make

    print("| one core, ms | thumbmill | Image.thumbnail | libvips | to libvips |\n|---|---:|---:|---:|---:|")
    for name, box in (("2725x2225.jpg", 720), ("3000x2000.jpg", 256), ("640x480.jpg", 128), ("2048x1536.png", 720)):
        source = sources[name]
        plain = functools.partial(process_file, source, [(target, box)], 80)
        contenders = {"ours": ours(source, box), "plain": plain, "libvips": libvips(source, box)}
        found = time_in_turn(contenders, rounds * 3 if box == 128 else rounds)
        figures = " | ".join(f"{found[each]:.2f}" for each in contenders)
        print(f"| {name} to {box} | {figures} | {found['ours'] / found['libvips']:.2f} |", flush=True)
    source = sources["2725x2225.jpg"]
    sets = {"128": (128,), "256": (256,), "720": (720,), "128, 256 and 720": (128, 256, 720)}
    found = time_in_turn({name: ours(source, *boxes) for name, boxes in sets.items()}, rounds)
    print("\n| 2725x2225.jpg to | ms | to 720 alone |\n|---|---:|---:|")
    for name, each in found.items():
        print(f"| {name} | {each:.1f} | {each / found['720']:.2f} |")
    found = time_in_turn({"off": ours(source, 720), "on": ours(source, 720, linear=True)}, max(3, rounds // 3))
    print(f"\nlinear light: {found['on']:.0f} ms instead of {found['off']:.0f}, {found['on'] / found['off']:.1f} times")
