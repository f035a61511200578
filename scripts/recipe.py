"""The recipe: what decides a thumbnail's pixels besides the picture, and which pictures a change of it affects."""

import hashlib
import itertools
import json
import os
from collections.abc import Mapping
from typing import NamedTuple

import PIL
from PIL import ImageColor

from scripts.thumbnail import FORMATS, cut, open_picture, read_turn, turned

# What decides where files lie, whether a picture is accepted or what is asked of Snakemake, but not one pixel of a
# thumbnail. Everything else does: a setting that is forgotten here costs time, one that stands here wrongly would
# leave old thumbnails.
NOT_PIXELS = (
    "source",
    "output",
    "keep_extension",
    "max_pixels",
    "leave_out",
    "placeholder",
    "remove_more_than_a_fifth",
)

# Settings of a size that do nothing but what scripts.thumbnail.cut works out of them.
ONLY_CUT = {"width", "height", "fit", "enlarge"}


class Facts(NamedTuple):
    """What a picture's header tells: (width, height) in pixels when upright, and whether it may be transparent."""

    size: tuple[int, int]
    transparent: bool


def ingredients(settings: Mapping, workflow_folder: str) -> dict:
    """What decides a thumbnail's pixels, written out.

    That is the settings that decide pixels, the content of the picture script (not its date, so that a fresh checkout
    redoes nothing) and the version of Pillow.
    """
    pixels = {key: value for key, value in settings.items() if key not in NOT_PIXELS}
    pixels["quality"] = {format: value for format, value in settings["quality"].items() if format in settings["format"]}
    with open(os.path.join(workflow_folder, "scripts", "thumbnail.py"), "rb") as file:
        script = hashlib.sha256(file.read()).hexdigest()
    return {"settings": pixels, "script": script, "pillow": PIL.__version__}


def digest(ingredients: Mapping) -> str:
    """A recipe's name: 16 hexadecimal digits of a digest of its `ingredients`."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def same_result(old: Mapping, new: Mapping, facts: Facts | None = None) -> bool | None:
    """Whether a picture's thumbnails made by the `old` ingredients are what the `new` ones ask for.

    Thumbnails that `new` does not ask for do not count. Without the picture's `facts`: True or False if that is so for
    every picture, else None. (How finely a JPEG is decoded follows from its largest thumbnail, so that the others may
    differ by a rounding where a larger one is no longer made: they are as good as ever, and stay.)
    """
    if shared(old) != shared(new):
        return False
    before, after = old["settings"], new["settings"]
    if not set(before["sizes"]) >= set(after["sizes"]) or not set(before["format"]) >= set(after["format"]):
        return False
    if any(before["quality"].get(format) != after["quality"].get(format) for format in after["format"]):
        return False
    pairs = [(before["sizes"][name], size) for name, size in after["sizes"].items()]
    same_background = ImageColor.getrgb(before["background"]) == ImageColor.getrgb(after["background"])
    if same_background and all(first == second for first, second in pairs):
        return True
    if any(first != second and set(first) | set(second) > ONLY_CUT for first, second in pairs):
        return False
    if facts is None:
        return None
    return all(
        cut(facts.size, first) == cut(facts.size, second)
        and (same_background or not shows_background(facts, second, format))
        for (first, second), format in itertools.product(pairs, after["format"])
    )


def shared(ingredients: Mapping) -> dict:
    """The ingredients that decide every thumbnail of every picture."""
    by_thumbnail = ("sizes", "format", "quality", "background")
    settings = {key: value for key, value in ingredients["settings"].items() if key not in by_thumbnail}
    return {**ingredients, "settings": settings}


def shows_background(facts: Facts, size: Mapping, format: str) -> bool:
    """Whether a thumbnail shows the background somewhere: around the picture, or through it."""
    _, scaled, canvas = cut(facts.size, size)
    if facts.transparent:
        return not FORMATS[format][2]
    return canvas != scaled


def read_facts(source: str, max_pixels: int) -> Facts | None:
    """The facts in the header of the picture `source`; None if it cannot be read."""
    try:
        with open_picture(source, max_pixels) as picture:
            # Pillow tells the size of a TIFF as it is when upright.
            turn = 1 if picture.format == "TIFF" else read_turn(picture, [])
            return Facts(turned(picture.size, turn), picture.has_transparency_data)
    except Exception:  # as in scripts.thumbnail.make_thumbnails: a decoder raises anything
        return None
