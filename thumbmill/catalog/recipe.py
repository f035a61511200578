"""The recipe: what decides a thumbnail's pixels besides the picture, and which pictures a change of it affects."""

import functools
import hashlib
import json
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import PIL
from PIL import ImageColor

from thumbmill import imaging
from thumbmill.catalog.layout import renditions
from thumbmill.imaging.encode import FORMATS
from thumbmill.imaging.geometry import Size, fit_geometry
from thumbmill.imaging.orientation import oriented_size, read_orientation
from thumbmill.imaging.reader import open_file, open_picture

Ingredients = Mapping[str, Any]

# What decides where files lie, whether a picture is accepted or what Snakemake is asked for, but no pixel of a
# thumbnail. Everything else does: a setting that is forgotten here costs time, one that is here wrongly would leave old
# thumbnails.
NOT_PIXELS = (
    "source",
    "exclude",
    "output",
    "keep_extension",
    "read",
    "max_pixels",
    "max_seconds",
    "max_memory",
    "skip_unchanged",
    "placeholder",
    "allow_mass_removal",
)

# Settings of a size that do nothing but what imaging.geometry.fit_geometry works out of them.
FIT_KEYS = {"width", "height", "fit", "enlarge"}


class Facts(NamedTuple):
    """What a picture's header says: (width, height) in pixels when upright, and whether it may be transparent."""

    size: tuple[int, int]
    transparent: bool


def ingredients(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a thumbnail's pixels.

    That is the settings that decide pixels, the content of the imaging wing (not its dates, so that a fresh checkout
    redoes nothing) and the versions of Pillow and of the fast resampler.
    """
    pixels = {key: value for key, value in settings.items() if key not in NOT_PIXELS}
    used = {kind.format for kind in renditions(settings)}
    pixels["format"] = sorted(used)
    pixels["sizes"] = {
        name: {**size, "format": sorted(size.get("format", settings["format"]))}
        for name, size in settings["sizes"].items()
    }
    pixels["quality"] = {format: value for format, value in settings["quality"].items() if format in used}
    libraries = {"pillow": PIL.__version__}
    if settings["resampler"] == "fast":
        libraries["resizer"] = version("cykooz-resizer")
    return {"settings": pixels, "imaging": imaging_digest(), **libraries}


@functools.cache
def imaging_digest(folder: Path = Path(imaging.__path__[0])) -> str:
    """Return a digest of the imaging wing's source code."""
    content = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        content.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    return content.hexdigest()


def digest(ingredients: Ingredients) -> str:
    """Return a recipe's name: 16 hexadecimal digits of a digest of its `ingredients`."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def produces_same_output(old: Ingredients, new: Ingredients, facts: Facts | None = None) -> bool | None:
    """Whether a picture's thumbnails made by the `old` ingredients are what the `new` ones ask for.

    Thumbnails that `new` does not ask for do not count. Without the picture's `facts`: True or False if that holds for
    every picture, else None. (How finely a JPEG is decoded follows from its largest thumbnail, so that the others may
    differ by a rounding if a larger one is no longer made: they are as good as before, and stay.)
    """
    before, after = old["settings"], new["settings"]
    if shared(old) != shared(new) or before["damaged"] not in ("refuse", after["damaged"]):
        return False
    made, wanted = ({(kind.name, kind.format): kind.size for kind in renditions(each)} for each in (before, after))
    if not made.keys() >= wanted.keys():
        return False
    if any(before["quality"].get(format) != after["quality"].get(format) for _, format in wanted):
        return False
    changed = [key for key, size in wanted.items() if without_format(made[key]) != without_format(size)]
    if any(not differ_in_fit_only(made[key], wanted[key]) for key in changed):
        return False
    same_background = ImageColor.getrgb(before["background"]) == ImageColor.getrgb(after["background"])
    if same_background and not changed:
        return True
    if facts is None:
        return None
    return all(fit_geometry(facts.size, made[key]) == fit_geometry(facts.size, wanted[key]) for key in changed) and (
        same_background or not any(shows_background(facts, size, format) for (_, format), size in wanted.items())
    )


def shared(ingredients: Ingredients) -> dict[str, Any]:
    """Return the ingredients that decide every thumbnail of every picture."""
    by_thumbnail = ("sizes", "format", "quality", "background", "damaged")
    settings = {key: value for key, value in ingredients["settings"].items() if key not in by_thumbnail}
    return {**ingredients, "settings": settings}


def without_format(size: Size) -> dict[str, Any]:
    """Return a size without the formats that it is made in."""
    return {key: value for key, value in size.items() if key != "format"}


def differ_in_fit_only(one: Size, other: Size) -> bool:
    """Whether these sizes differ in nothing but what fit_geometry() works out from a picture's own size."""
    mine = {key: value for key, value in without_format(one).items() if key not in FIT_KEYS}
    theirs = {key: value for key, value in without_format(other).items() if key not in FIT_KEYS}
    return mine == theirs and not one.get("trim") and not one.get("margin")


def shows_background(facts: Facts, size: Size, format: str) -> bool:
    """Whether a thumbnail shows the background somewhere: around the picture, or through it."""
    if size.get("trim") or size.get("margin"):
        return True
    if facts.transparent:
        return not FORMATS[format].keeps_transparency
    fit = fit_geometry(facts.size, size)
    return fit.canvas != fit.scaled


def read_facts(source: str, max_pixels: int, read: Collection[str] = ()) -> Facts | None:
    """Return the facts in the header of the picture `source`; None if it cannot be read. `read` is that setting."""
    try:
        with open_file(source) as file, open_picture(file, max_pixels, read) as picture:
            # Pillow gives the size of a TIFF as it is when upright.
            orientation = 1 if picture.format == "TIFF" else read_orientation(picture, [])
            return Facts(oriented_size(picture.size, orientation), picture.has_transparency_data)
    except Exception:  # a decoder raises anything at a malformed file
        return None
