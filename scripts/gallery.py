"""The gallery: static pages to look through the whole catalogue, without a server and without the network.

The pages are few: one shows a hundred pictures at a time, of those that data.js lists. (That is a script and no JSON,
since a page that was opened from a file may not read other files, but may have scripts.)
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from scripts.catalogue import Catalogue
from scripts.history import History
from scripts.inventory import Item, kept_path, note_state, read_kept, take_inventory, url, write_kept
from scripts.report import in_words
from scripts.snakemake_run import seconds_taken
from scripts.thumbnail import FORMATS, below, kinds, printable, write_whole

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
SLOWEST = 20  # pictures in the list of the slowest
COLUMNS = 24  # of a histogram


def make_gallery(workflow, catalogue: Catalogue, history: History, index: str) -> None:
    """Write the gallery into the folder of the file `index`, which is its first page. Raises OSError."""
    folder = os.path.dirname(index)
    items = take_inventory(catalogue, lambda path: seconds_taken(workflow, path))
    seen = kept_path("gallery-seen", catalogue.settings)
    before = read_kept(seen)
    changed = {item.name for item in items if item.thumbs and before.get(item.name) != item.time}
    for name, content in pages(items, changed, catalogue.settings, folder).items():
        write_whole(os.path.join(folder, name), content)
    write_kept(seen, {item.name: item.time for item in items})
    note_state("gallery", catalogue, history)
    print(f"thumbmill: {len(items):,} pictures in {index}")


def pages(items: list[Item], changed: set[str], settings: Mapping, folder: str) -> dict[str, bytes]:
    """The files of the gallery, by name. `changed` are pictures whose thumbnails are newer than the last gallery."""
    import jinja2  # Snakemake brings it; what imports this module for other reasons does without

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    facts = {
        "title": printable(settings["source"]),
        "pictures": len(items),
        "thumbnails": sum(len(item.thumbs) for item in items),
        "failed": sum(bool(item.reason) for item in items),
        "read": in_words(sum(item.bytes for item in items)),
        "written": in_words(sum(thumb.bytes for item in items for thumb in item.thumbs)),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
    files = {
        "index.html": environment.get_template("index.html").render(facts),
        "plots.html": environment.get_template("plots.html").render(facts, **plots(items, settings, folder)),
        "data.js": as_script(index_of(items, changed, settings, folder)),
    }
    for name in ("gallery.css", "gallery.js"):
        with open(os.path.join(TEMPLATES, name), encoding="utf-8") as file:
            files[name] = file.read()
    return {name: content.encode() for name, content in files.items()}


def as_script(data: Mapping) -> str:
    """A script that sets GALLERY to `data`; in ASCII."""
    return f"const GALLERY = {json.dumps(data, separators=(',', ':'))};\n"


def index_of(items: Iterable[Item], changed: set[str], settings: Mapping, folder: str) -> dict:
    """What the pages know of the pictures, as short as can be: each name of a folder once, numbers in lists.

    Of each picture: name, name in a URL, bytes, width, height, then for each size and format [width, height, bytes]
    or 0 if it is missing, whether it has changed (1) or not (0), why a thumbnail is missing ("" if none is).
    """
    made = [(size, format) for size, _, format in kinds(settings)]
    folders: dict[str, list] = {}
    for item in items:
        directory, name = os.path.split(item.name)
        thumbs = {(thumb.size, thumb.format): [thumb.width, thumb.height, thumb.bytes] for thumb in item.thumbs}
        folders.setdefault(directory, []).append(
            [
                printable(name),
                url(name),
                item.bytes,
                item.width,
                item.height,
                [thumbs.get(kind, 0) for kind in made],
                int(item.name in changed),
                item.reason,
            ]
        )
    return {
        "source": url(os.path.relpath(settings["source"], folder)),
        "output": url(os.path.relpath(settings["output"], folder)),
        "kinds": [[size, format, extension(format)] for size, format in made],
        "keepExtension": settings["keep_extension"],
        "folders": [[printable(path), url(path), pictures] for path, pictures in sorted(folders.items())],
    }


def extension(format: str) -> str:
    """The extension of a format, with its dot."""
    return FORMATS[format].extension


# ---------------------------------------------------------------------------------------------------------------------
# Plots


class Plot(NamedTuple):
    """A histogram. `bars` are (height from 0 to 1, what it stands for), `labels` (place from 0 to 1, text) below it."""

    title: str
    note: str
    bars: list[tuple[float, str]]
    labels: list[tuple[float, str]]


def plots(items: list[Item], settings: Mapping, folder: str) -> dict:
    """What the page of plots shows."""
    thumbs = [thumb for item in items for thumb in item.thumbs]
    times = [item.seconds for item in items if item.seconds is not None]
    drawn = [
        histogram("Source files", [item.bytes for item in items], in_words, 1),
        histogram("Source pictures", [item.width * item.height / 1e6 for item in items], megapixels, 0.001),
        histogram("Thumbnail files", [thumb.bytes for thumb in thumbs], in_words, 1),
        histogram("Time for a picture", times, in_seconds, 0.001),
    ]
    slowest = sorted((item for item in items if item.seconds is not None), key=lambda item: -item.seconds)[:SLOWEST]
    return {
        "plots": [plot for plot in drawn if plot],
        "slowest": [
            {
                "name": printable(item.name),
                "url": url(os.path.relpath(below(settings["source"], item.name), folder)),
                "seconds": in_seconds(item.seconds),
                "share": item.seconds / max(slowest[0].seconds, 1e-9),
                "size": f"{item.width} × {item.height}",
                "bytes": in_words(item.bytes),
            }
            for item in slowest
        ],
        "untimed": len(items) - len(times),
    }


def histogram(title: str, values: list[float], words: Callable[[float], str], least: float) -> Plot | None:
    """How often values occur, on a logarithmic scale that starts at `least` at the least; None without any value."""
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
        (count / max(counts), f"{words(edges[column])} to {words(edges[column + 1])}: {count:,}")
        for column, count in enumerate(counts)
    ]
    median = values[len(values) // 2]
    note = f"median {words(median)}, from {words(values[0])} to {words(values[-1])}; {len(values):,} in all"
    labels = [(place, words(10 ** (low + (high - low) * place))) for place in (0, 0.25, 0.5, 0.75, 1)]
    return Plot(title, note, bars, labels)


def megapixels(value: float) -> str:
    """So many million pixels."""
    return f"{value:.2g} MP" if value < 10 else f"{value:,.0f} MP"


def in_seconds(value: float) -> str:
    """A time in seconds, in the unit that suits."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2g} s" if value < 10 else f"{value:,.0f} s"
