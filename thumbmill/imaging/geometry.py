"""How a size fits a picture: windows, scales and boxes. Plain numbers, no pixels."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Box = tuple[float, float, float, float]  # left, top, right, bottom
Size = Mapping[str, Any]  # one of the settings' `sizes`: width, height, fit, and more

# libjpeg can decode a JPEG at 1/2, 1/4 or 1/8 of its size, in a fraction of the time. A scale is used if it leaves at
# least this many pixels for each pixel of a thumbnail, along each side. Measured (python -m bench.quality scales): with
# these, the structural similarity to a full decode by Lanczos is 0.997 on average over photographs.
MIN_OVERSAMPLING = {2: 1.75, 4: 2.25, 8: 2.25}

FOCUS_POINTS = {
    "center": "50% 50%",
    "top": "50% 0%",
    "bottom": "50% 100%",
    "left": "0% 50%",
    "right": "100% 50%",
    "top-left": "0% 0%",
    "top-right": "100% 0%",
    "bottom-left": "0% 100%",
    "bottom-right": "100% 100%",
}


class Fit(NamedTuple):
    """How a picture is brought to a size, as three (width, height)."""

    window: tuple[float, float]  # the part that is shown, in the picture's own pixels
    scaled: tuple[int, int]  # what the window is scaled to
    canvas: tuple[int, int]  # larger than `scaled` only for `pad`


def fit_geometry(picture: tuple[float, float], size: Size) -> Fit:
    """Return how a `picture` of (width, height) pixels is brought to `size`.

    Unless `size["enlarge"]`, nothing is scaled up: a small picture stays as it is, and `cover` shows the largest window
    of the wanted shape.
    """
    box = (size["width"], size["height"])
    ratios = [wanted / actual for wanted, actual in zip(box, picture, strict=True)]
    scale = max(ratios) if size["fit"] == "cover" else min(ratios)
    if not size.get("enlarge", False):
        if size["fit"] == "cover" and scale > 1:
            box = (max(1, round(box[0] / scale)), max(1, round(box[1] / scale)))
        scale = min(scale, 1)
    if size["fit"] == "cover":
        window = (min(picture[0], box[0] / scale), min(picture[1], box[1] / scale))
        return Fit(window, box, box)
    scaled = (max(1, round(picture[0] * scale)), max(1, round(picture[1] * scale)))
    return Fit((float(picture[0]), float(picture[1])), scaled, box if size["fit"] == "pad" else scaled)


def fit_all(regions: Iterable[Box], sizes: Iterable[Size]) -> list[Fit]:
    """Return the fit of each region (in pixels of the picture) to the size at the same place."""
    return [
        fit_geometry((right - left, bottom - top), size)
        for (left, top, right, bottom), size in zip(regions, sizes, strict=True)
    ]


def jpeg_scale(fits: Iterable[Fit]) -> int:
    """Return the largest divisor (1, 2, 4 or 8) at which a JPEG can be decoded to serve all `fits`."""
    available = min(whole / part for fit in fits for whole, part in zip(fit.window, fit.scaled, strict=True))
    return max((divisor for divisor, least in MIN_OVERSAMPLING.items() if available / divisor >= least), default=1)


def position_window(region: Box, window: tuple[float, float], focus: str) -> Box:
    """Return where in `region` a `window` of (width, height) lies, so that `focus` is at the same place in both.

    As CSS's object-position: at "0% 50%" (or "left") their left edges meet, at "50% 50%" ("center") their centres.
    """
    across, down = (float(part.removesuffix("%")) / 100 for part in FOCUS_POINTS.get(focus, focus).split())
    left = region[0] + (region[2] - region[0] - window[0]) * across
    top = region[1] + (region[3] - region[1] - window[1]) * down
    return left, top, left + window[0], top + window[1]


def union(one: Box, other: Box) -> Box:
    """Return the smallest box that holds both."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def intersection(one: Box, other: Box) -> Box:
    """Return the box that both share; if they share none, its right edge is left of its left one, or so."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
