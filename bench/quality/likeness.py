"""How alike thumbmill's and libvips' thumbnails are to a full decode with Lanczos."""

from collections.abc import Iterable, Mapping
from statistics import mean

import numpy
from PIL import Image

from bench.quality.makers import libvips_pixels, on_white, reference_pixels, thumbmill_pixels


def likeness(one: Image.Image, other: Image.Image) -> tuple[float, float, float]:
    """Return how alike two pictures are: structural similarity (1: the same), and the colour difference CIEDE2000.

    Of the differences the mean and the 99th percentile; 1 is about what an eye can see. Transparency shows white.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab
    from skimage.metrics import structural_similarity

    first, second = on_white(one), on_white(other)
    similarity = structural_similarity(first, second, channel_axis=2, data_range=255)
    differences = deltaE_ciede2000(rgb2lab(first), rgb2lab(second))
    return similarity, differences.mean(), float(numpy.percentile(differences, 99))


def compare_likeness(paths: Iterable[str], box: int, with_vips: bool = True) -> dict[str, list[tuple]]:
    """Return likeness() to the reference of thumbmill's and libvips' thumbnails of each picture, by maker."""
    found: dict[str, list[tuple]] = {"thumbmill": []} | ({"libvips": []} if with_vips else {})
    for path in paths:
        ours = thumbmill_pixels(path, box)
        best = reference_pixels(path, ours.size)
        found["thumbmill"].append(likeness(best, ours))
        if with_vips:
            found["libvips"].append(likeness(best, libvips_pixels(path, ours.size)))
    return found


def print_likeness(photos: Mapping[str, list[str]], charts: Mapping[str, str]) -> None:
    """Print the table of likeness: each group of photographs at three sizes, each chart at one."""
    print("| | to | maker | SSIM mean | SSIM least | CIEDE2000 mean | 99 % |\n|---|---:|---|---:|---:|---:|---:|")
    cases = [(f"{len(paths)} {group}", box, paths) for group, paths in photos.items() for box in (720, 256, 128)]
    cases += [(name, 256, [path]) for name, path in charts.items()]
    for name, box, paths in cases:
        for maker, found in compare_likeness(paths, box).items():
            similar, middle, most = zip(*found, strict=True)
            figures = f"{mean(similar):.4f} | {min(similar):.4f} | {mean(middle):.2f} | {mean(most):.2f}"
            print(f"| {name} | {box} | {maker} | {figures} |", flush=True)
