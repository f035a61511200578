"""The gallery: static pages to look through the whole catalogue, without a server and without the network.

The pages are few: one shows a hundred pictures at a time, of those that data.js lists. (That is a script and no JSON,
since a page that was opened from a file may not read other files, but may have scripts.)
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from thumbmill.catalog.layout import Layout
from thumbmill.files import write_atomically
from thumbmill.imaging.encode import FORMATS
from thumbmill.reports.inventory import (
    Inventory,
    Item,
    cache_path,
    read_cache,
    record_state,
    url_path,
    write_cache,
)
from thumbmill.reports.plots import plots
from thumbmill.run.session import Session
from thumbmill.text import format_bytes, printable

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")


def make_gallery(session: Session, index: str) -> None:
    """Write the gallery into the folder of the file `index`, which is its first page. Raises OSError."""
    folder = os.path.dirname(index)
    items = Inventory(session.catalog, session.paths).take()
    seen_path = cache_path("gallery-seen", session.settings)
    seen = read_cache(seen_path)
    changed = {item.name for item in items if item.thumbs and seen.get(item.name) != item.time}
    for name, content in pages(items, changed, session.catalog.layout, folder).items():
        write_atomically(os.path.join(folder, name), content)
    write_cache(seen_path, {item.name: item.time for item in items})
    record_state(session, "gallery")
    print(f"thumbmill: {len(items):,} pictures in {index}")


def pages(items: list[Item], changed: set[str], layout: Layout, folder: str) -> dict[str, bytes]:
    """Return the files of the gallery, by name. `changed` are pictures with thumbnails newer than the last gallery."""
    import jinja2  # Snakemake brings it; what imports this module for other reasons does without

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    facts = {
        "title": printable(layout.source.location),
        "pictures": len(items),
        "thumbnails": sum(len(item.thumbs) for item in items),
        "failed": sum(bool(item.reason) for item in items),
        "read": format_bytes(sum(item.bytes for item in items)),
        "written": format_bytes(sum(thumb.bytes for item in items for thumb in item.thumbs)),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
    files = {
        "index.html": environment.get_template("index.html").render(facts),
        "plots.html": environment.get_template("plots.html").render(facts, plots=plots(items)),
        "data.js": as_script(index_data(items, changed, layout, folder)),
    }
    for name in ("gallery.css", "gallery.js"):
        with open(os.path.join(TEMPLATES, name), encoding="utf-8") as file:
            files[name] = file.read()
    return {name: content.encode() for name, content in files.items()}


def as_script(data: Mapping[str, Any]) -> str:
    """Return a script that sets GALLERY to `data`; in ASCII."""
    return f"const GALLERY = {json.dumps(data, separators=(',', ':'))};\n"


def index_data(items: Iterable[Item], changed: set[str], layout: Layout, folder: str) -> dict[str, Any]:
    """Return what the pages know of the pictures, as short as possible: each folder's name once, numbers in lists.

    For each folder: path, its URL below the source, its URL below a size's folder, pictures. For each picture: name,
    its part of the source's URL, its part of the thumbnails' URL without extension, bytes, width, height, then for each
    rendition [width, height, bytes] or 0 if it is missing, whether it has changed (1) or not (0), why a thumbnail is
    missing ("" if none is).
    """
    folders: dict[tuple[str, str], list[Any]] = {}
    for item in items:
        directory, name = os.path.split(item.name)
        stem_directory, stem = os.path.split(layout.stem(item.name))
        thumbs = {(thumb.size, thumb.format): [thumb.width, thumb.height, thumb.bytes] for thumb in item.thumbs}
        folders.setdefault((directory, stem_directory), []).append(
            [
                printable(name),
                url_path(name),
                url_path(stem),
                item.bytes,
                item.width,
                item.height,
                [thumbs.get((kind.name, kind.format), 0) for kind in layout.renditions],
                int(item.name in changed),
                item.reason,
            ]
        )
    return {
        "source": url_path(os.path.relpath(layout.source.location, folder)),
        "output": url_path(os.path.relpath(layout.output.location, folder)),
        "kinds": [[kind.name, kind.format, FORMATS[kind.format].extension] for kind in layout.renditions],
        "folders": [
            [printable(path), url_path(path), url_path(stems), pictures]
            for (path, stems), pictures in sorted(folders.items())
        ],
    }
