"""What the encoders' flags cost in time, bytes and likeness."""

import io
import time
from statistics import mean

from PIL import Image

from bench.quality.likeness import likeness
from bench.quality.makers import thumbmill_pixels
from bench.quality.times import on_one_core
from thumbmill.imaging.encode import FORMATS


def print_encoders(paths: list[str]) -> None:
    """Print what each of the encoders' flags costs in time and saves in bytes, for thumbnails of 400 pixels."""
    on_one_core()
    images = [thumbmill_pixels(path, 400).convert("RGB") for path in paths]
    flags = {
        "jpeg": [{}, {"optimize": True}, {"progressive": True}],
        "webp": [{"method": method} for method in range(7)],
        "avif": [{"speed": speed, "max_threads": 1} for speed in range(4, 11)],
        "png": [{"compress_level": level} for level in (1, 2, 3, 4, 6, 9)],
    }
    quality = {"jpeg": {"quality": 80}, "webp": {"quality": 80}, "avif": {"quality": 65}, "png": {}}
    print("| format | flag | ms | bytes | SSIM to the pixels |\n|---|---|---:|---:|---:|")
    for format, choices in flags.items():
        for options in choices:
            spent, sizes, similar = [], [], []
            for image in images:
                content = io.BytesIO()
                before = time.process_time()
                image.save(content, FORMATS[format].name, **options, **quality[format])
                spent.append(time.process_time() - before)
                sizes.append(len(content.getvalue()))
                similar.append(likeness(image, Image.open(content))[0])
            chosen = all(FORMATS[format].options.get(key) == value for key, value in options.items())
            flag = ", ".join(f"{key} {value}" for key, value in options.items() if key != "max_threads") or "none"
            flag = f"**{flag}**" if chosen else flag
            print(
                f"| {format} | {flag} | {mean(spent) * 1000:.2f} | {mean(sizes):,.0f} | {mean(similar):.4f} |",
                flush=True,
            )
