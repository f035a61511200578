"""The recipe: what decides a thumbnail's pixels besides the picture, and which pictures a change of it affects."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import NamedTuple

import PIL
from PIL import ImageColor

from scripts.thumbnail import FORMATS, cut, kinds, open_file, open_picture, read_turn, turned

# What decides where files lie, whether a picture is accepted or what is asked of Snakemake, but not one pixel of a
# thumbnail. Everything else does: a setting that is forgotten here costs time, one that stands here wrongly would
# leave old thumbnails.
NOT_PIXELS = (
    "source",
    "output",
    "keep_extension",
    "max_pixels",
    "max_seconds",
    "max_memory",
    "leave_out",
    "placeholder",
    "remove_more_than_a_fifth",
)

# The scripts that make a thumbnail.
PICTURE_SCRIPTS = ("thumbnail.py", "thumbnail_colour.py")

# Settings of a size that do nothing but what scripts.thumbnail.cut works out of them.
ONLY_CUT = {"width", "height", "fit", "enlarge"}


class Facts(NamedTuple):
    """What a picture's header tells: (width, height) in pixels when upright, and whether it may be transparent."""

    size: tuple[int, int]
    transparent: bool


def ingredients(settings: Mapping, workflow_folder: str) -> dict:
    """What decides a thumbnail's pixels, written out.

    That is the settings that decide pixels, the content of the picture scripts (not their dates, so that a fresh
    checkout redoes nothing) and the version of Pillow.
    """
    pixels = {key: value for key, value in settings.items() if key not in NOT_PIXELS}
    used = {format for _, _, format in kinds(settings)}
    pixels["format"] = sorted(used)
    pixels["sizes"] = {
        name: {**size, "format": sorted(size.get("format", settings["format"]))}
        for name, size in settings["sizes"].items()
    }
    pixels["quality"] = {format: value for format, value in settings["quality"].items() if format in used}
    scripts = []
    for name in PICTURE_SCRIPTS:
        with open(os.path.join(workflow_folder, "scripts", name), "rb") as file:
            scripts.append(hashlib.sha256(file.read()).hexdigest())
    return {"settings": pixels, "scripts": scripts, "pillow": PIL.__version__}


def digest(ingredients: Mapping) -> str:
    """A recipe's name: 16 hexadecimal digits of a digest of its `ingredients`."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def same_result(old: Mapping, new: Mapping, facts: Facts | None = None) -> bool | None:
    """Whether a picture's thumbnails made by the `old` ingredients are what the `new` ones ask for.

    Thumbnails that `new` does not ask for do not count. Without the picture's `facts`: True or False if that is so for
    every picture, else None. (How finely a JPEG is decoded follows from its largest thumbnail, so that the others may
    differ by a rounding where a larger one is no longer made: they are as good as ever, and stay.)
    """
    before, after = old["settings"], new["settings"]
    if shared(old) != shared(new) or before["damaged"] not in ("refuse", after["damaged"]):
        return False
    made, wanted = ({(name, format): size for name, size, format in kinds(each)} for each in (before, after))
    if not made.keys() >= wanted.keys():
        return False
    if any(before["quality"].get(format) != after["quality"].get(format) for _, format in wanted):
        return False
    changed = [key for key, size in wanted.items() if plain(made[key]) != plain(size)]
    if any(not decided_by_cut(made[key], wanted[key]) for key in changed):
        return False
    same_background = ImageColor.getrgb(before["background"]) == ImageColor.getrgb(after["background"])
    if same_background and not changed:
        return True
    if facts is None:
        return None
    return all(cut(facts.size, made[key]) == cut(facts.size, wanted[key]) for key in changed) and (
        same_background or not any(shows_background(facts, size, format) for (_, format), size in wanted.items())
    )


def shared(ingredients: Mapping) -> dict:
    """The ingredients that decide every thumbnail of every picture."""
    by_thumbnail = ("sizes", "format", "quality", "background", "damaged")
    settings = {key: value for key, value in ingredients["settings"].items() if key not in by_thumbnail}
    return {**ingredients, "settings": settings}


def plain(size: Mapping) -> dict:
    """A size without the formats that it is made in."""
    return {key: value for key, value in size.items() if key != "format"}


def decided_by_cut(one: Mapping, other: Mapping) -> bool:
    """Whether these sizes differ in nothing but what scripts.thumbnail.cut works out from a picture's own size."""
    same = {key: value for key, value in plain(one).items() if key not in ONLY_CUT}
    others = {key: value for key, value in plain(other).items() if key not in ONLY_CUT}
    return same == others and not one.get("trim") and not one.get("margin")


def shows_background(facts: Facts, size: Mapping, format: str) -> bool:
    """Whether a thumbnail shows the background somewhere: around the picture, or through it."""
    _, scaled, canvas = cut(facts.size, size)
    if size.get("trim") or size.get("margin"):
        return True
    if facts.transparent:
        return not FORMATS[format].keeps_transparency
    return canvas != scaled


def read_facts(source: str, max_pixels: int) -> Facts | None:
    """The facts in the header of the picture `source`; None if it cannot be read."""
    try:
        with open_file(source) as file, open_picture(file, max_pixels) as picture:
            # Pillow tells the size of a TIFF as it is when upright.
            turn = 1 if picture.format == "TIFF" else read_turn(picture, [])
            return Facts(turned(picture.size, turn), picture.has_transparency_data)
    except Exception:  # as in scripts.thumbnail.make_thumbnails: a decoder raises anything
        return None
