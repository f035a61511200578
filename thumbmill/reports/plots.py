"""The gallery's histograms: how large sources and thumbnails are."""

import math
from collections.abc import Callable
from typing import NamedTuple

from thumbmill.reports.inventory import Item
from thumbmill.text import format_bytes

COLUMNS = 24  # of a histogram
LABEL_POSITIONS = (0, 0.25, 0.5, 0.75, 1)


class Plot(NamedTuple):
    """A histogram: `bars` are (height from 0 to 1, tooltip), `labels` below it are (position from 0 to 1, text)."""

    title: str
    note: str
    bars: list[tuple[float, str]]
    labels: list[tuple[float, str]]


def plots(items: list[Item]) -> list[Plot]:
    """Return what the page of plots shows."""
    thumbs = [thumb for item in items for thumb in item.thumbs]
    drawn = [
        histogram("Source files", [item.bytes for item in items], format_bytes, 1),
        histogram("Source pictures", [item.width * item.height / 1e6 for item in items], format_megapixels, 0.001),
        histogram("Thumbnail files", [thumb.bytes for thumb in thumbs], format_bytes, 1),
    ]
    return [plot for plot in drawn if plot]


def histogram(title: str, values: list[float], unit_text: Callable[[float], str], least: float) -> Plot | None:
    """Return how often values occur, on a logarithmic scale that starts no lower than `least`; None without values."""
    values = sorted(max(value, least) for value in values if value)
    if not values:
        return None
    low, high = math.log10(values[0]), math.log10(values[-1])
    if high - low < 0.1:
        low, high = low - 0.05, high + 0.05
    counts = [0] * COLUMNS
    for value in values:
        counts[min(COLUMNS - 1, max(0, int((math.log10(value) - low) / (high - low) * COLUMNS)))] += 1
    edges = [10 ** (low + (high - low) * column / COLUMNS) for column in range(COLUMNS + 1)]
    bars = [
        (count / max(counts), f"{unit_text(edges[column])} to {unit_text(edges[column + 1])}: {count:,}")
        for column, count in enumerate(counts)
    ]
    median = values[len(values) // 2]
    note = f"median {unit_text(median)}, from {unit_text(values[0])} to {unit_text(values[-1])}; {len(values):,} in all"
    labels = [(position, unit_text(10 ** (low + (high - low) * position))) for position in LABEL_POSITIONS]
    return Plot(title, note, bars, labels)


def format_megapixels(value: float) -> str:
    """Return a number of million pixels: `2.5 MP`."""
    return f"{value:.2g} MP" if value < 10 else f"{value:,.0f} MP"
