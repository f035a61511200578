"""The manifest: what web pages need to know of each picture and its thumbnails, as JSON and as CSV."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping

from scripts.catalogue import Catalogue
from scripts.history import History
from scripts.inventory import Item, note_state, take_inventory, url
from scripts.thumbnail import below, kinds, printable, write_whole

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


def make_manifest(catalogue: Catalogue, history: History, paths: Iterable[str]) -> None:
    """Write the manifest as JSON and CSV to two `paths`. Raises OSError."""
    json_path, csv_path = paths
    told = [entry(item, catalogue.settings) for item in take_inventory(catalogue) if item.thumbs]
    write_whole(json_path, as_json(told))
    write_whole(csv_path, as_csv(told))
    note_state("manifest", catalogue, history)
    count = sum(len(picture["thumbnails"]) for picture in told)
    print(f"thumbmill: {len(told):,} pictures, {count:,} thumbnails in {json_path} and {csv_path}")


def entry(item: Item, settings: Mapping) -> dict:
    """What the JSON file says of one picture. URLs are relative to the output folder."""
    thumbnails = [
        {
            "path": printable(thumb.path),
            "url": url(os.path.relpath(thumb.path, settings["output"])),
            "size": thumb.size,
            "format": thumb.format,
            "width": thumb.width,
            "height": thumb.height,
            "bytes": thumb.bytes,
        }
        for thumb in item.thumbs
    ]
    formats = dict.fromkeys(format for _, _, format in kinds(settings))
    result = {
        "source": printable(below(settings["source"], item.name)),
        "width": item.width,
        "height": item.height,
        "thumbnails": thumbnails,
        "srcset": {format: srcset(thumbnails, format) for format in formats},
    }
    placeholder = next((thumb.placeholder for thumb in item.thumbs if thumb.placeholder), "")
    return result | ({"blurhash": placeholder} if placeholder else {})


def srcset(thumbnails: Iterable[Mapping], format: str) -> str:
    """The `srcset` of a format, narrowest first; of thumbnails of one width the first."""
    by_width: dict[int, str] = {}
    for thumbnail in thumbnails:
        if thumbnail["format"] == format:
            by_width.setdefault(thumbnail["width"], thumbnail["url"])
    return ", ".join(f"{url} {width}w" for width, url in sorted(by_width.items()))


def as_json(told: Iterable[Mapping]) -> bytes:
    """The manifest as JSON: an object for each picture, one a line."""
    lines = ",\n".join(json.dumps(picture, ensure_ascii=False) for picture in told)
    return f"[\n{lines}\n]\n".encode()


def as_csv(told: Iterable[Mapping]) -> bytes:
    """The manifest as CSV: a line for each thumbnail."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for picture in told:
        for_all = (picture["source"], picture["width"], picture["height"])
        for thumbnail in picture["thumbnails"]:
            # A thumbnail has its columns in their order, and the picture's placeholder comes last.
            writer.writerow([*for_all, *thumbnail.values(), picture.get("blurhash", "")])
    return text.getvalue().encode()
