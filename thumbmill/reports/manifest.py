"""The manifest: what web pages need to know of each picture and its thumbnails, as JSON and as CSV."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from thumbmill.catalog.layout import Layout
from thumbmill.files import write_atomically
from thumbmill.reports.inventory import Inventory, Item, record_state, url_path
from thumbmill.run.session import Session
from thumbmill.text import printable

COLUMNS = (
    "source",
    "source_width",
    "source_height",
    "path",
    "url",
    "size",
    "format",
    "width",
    "height",
    "bytes",
    "blurhash",
)


def make_manifest(session: Session, paths: Iterable[str]) -> None:
    """Write the manifest as JSON and CSV to two `paths`. Raises OSError."""
    json_path, csv_path = paths
    items = Inventory(session.catalog, session.paths).take()
    entries = [entry(item, session.catalog.layout) for item in items if item.thumbs]
    write_atomically(json_path, as_json(entries))
    write_atomically(csv_path, as_csv(entries))
    record_state(session, "manifest")
    count = sum(len(picture["thumbnails"]) for picture in entries)
    print(f"thumbmill: {len(entries):,} pictures, {count:,} thumbnails in {json_path} and {csv_path}")


def entry(item: Item, layout: Layout) -> dict[str, Any]:
    """Return what the JSON file says of one picture. URLs are relative to the output folder."""
    thumbnails = [
        {
            "path": printable(thumb.path),
            "url": url_path(os.path.relpath(thumb.path, layout.output.location)),
            "size": thumb.size,
            "format": thumb.format,
            "width": thumb.width,
            "height": thumb.height,
            "bytes": thumb.bytes,
        }
        for thumb in item.thumbs
    ]
    formats = dict.fromkeys(kind.format for kind in layout.renditions)
    result = {
        "source": printable(layout.source.path(item.name)),
        "width": item.width,
        "height": item.height,
        "thumbnails": thumbnails,
        "srcset": {format: srcset(thumbnails, format) for format in formats},
    }
    placeholder = next((thumb.placeholder for thumb in item.thumbs if thumb.placeholder), "")
    return result | ({"blurhash": placeholder} if placeholder else {})


def srcset(thumbnails: Iterable[Mapping[str, Any]], format: str) -> str:
    """Return the `srcset` of a format, narrowest first; of thumbnails of one width the first."""
    by_width: dict[int, str] = {}
    for thumbnail in thumbnails:
        if thumbnail["format"] == format:
            by_width.setdefault(thumbnail["width"], thumbnail["url"])
    return ", ".join(f"{url} {width}w" for width, url in sorted(by_width.items()))


def as_json(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the manifest as JSON: an object for each picture, on a line of its own."""
    lines = ",\n".join(json.dumps(picture, ensure_ascii=False) for picture in entries)
    return f"[\n{lines}\n]\n".encode()


def as_csv(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the manifest as CSV: a line for each thumbnail."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for picture in entries:
        for_all = (picture["source"], picture["width"], picture["height"])
        for thumbnail in picture["thumbnails"]:
            # A thumbnail has its columns in their order, and the picture's placeholder comes last.
            writer.writerow([*for_all, *thumbnail.values(), picture.get("blurhash", "")])
    return text.getvalue().encode()
