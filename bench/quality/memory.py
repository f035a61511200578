"""How much memory a process needs for a very large picture."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from bench.quality.photographs import photograph
from bench.task import REPOSITORY

# Makes one thumbnail; prints the peak of its memory in kB and its processor time in seconds. The peak is not that of
# getrusage, which counts what its parent has resident when it forks.
PROGRAM = """
import json, re, sys, time
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails
size = {"width": 720, "height": 720, "fit": "contain"}
make_thumbnails(sys.argv[1], [Thumbnail(sys.argv[2], size, "jpeg")], quality={"jpeg": 80})
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps([peak, time.process_time()]))
"""
LARGE = {"JPEG, baseline": ("jpg", {}), "JPEG, progressive": ("jpg", {"progressive": True}), "PNG": ("png", {})}


def print_memory(folder: Path, side: int = 10_000) -> None:
    """Print the peak of a process's resident memory while it reduces `side` x `side` pixels to 720."""
    folder.mkdir(parents=True, exist_ok=True)
    tile = photograph((2000, 2000))
    picture = Image.new("RGB", (side, side))
    for left in range(0, side, 2000):
        for top in range(0, side, 2000):
            picture.paste(tile, (left, top))
    print(f"| {side * side / 1e6:.0f} megapixels to 720 | peak of memory, MB | s |\n|---|---:|---:|")
    for name, (extension, options) in LARGE.items():
        source = folder / f"large.{extension}"
        picture.save(source, **options)
        command = [sys.executable, "-c", PROGRAM, str(source), str(folder / "thumbnail.jpg")]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        peak, seconds = json.loads(done.stdout)
        print(f"| {name} | {peak * 1024 / 1e6:,.0f} | {seconds:.2f} |", flush=True)
        source.unlink()
