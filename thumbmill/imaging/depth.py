"""Stored numbers of fewer or more than 8 bits, brought to 8."""

import array
import math
import sys
from collections.abc import Iterable
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImagePalette
from PIL.TiffImagePlugin import TiffImageFile

# TIFF 6.0, section 8.
BITS_PER_SAMPLE = 258
PHOTOMETRIC = 262  # 0 means that 0 is white
COLOR_MAP = 320


def deep_to_8_bit(picture: Image.Image) -> Image.Image:
    """Return a picture of mode I;16 (of either byte order), I or F as mode L, or La if one of its greys is transparent.

    White is the largest value that a TIFF's bits can hold, if they are fewer than 16. Otherwise it is that of the
    narrowest usual range that holds the picture: 1 for floating point, else 255, 65,535 (16 bits) or 4,294,967,295 (32
    bits). The modes I;16 name their range themselves. Values below 0 are black.
    """
    white = 65_535
    transparent = picture.info.get("transparency") if picture.mode == "I;16" else None
    if picture.mode in ("I", "F"):
        largest: Any = picture.getextrema()[1]
        if not math.isfinite(largest):
            largest = max((value for value in array.array("f", picture.tobytes()) if math.isfinite(value)), default=0)
        ranges = (1, 255, 65_535) if picture.mode == "F" else (255, 65_535)
        white = next((limit for limit in ranges if largest <= limit), 4_294_967_295)
    elif isinstance(picture, TiffImageFile):
        white = 2 ** picture.tag_v2.get(BITS_PER_SAMPLE, (16,))[0] - 1
    values = picture if picture.mode in ("I;16", "I", "F") else picture.convert("I")
    grey = values.point(lambda value: value * (255 / white) + 0).convert("L")
    if isinstance(picture, TiffImageFile) and picture.tag_v2.get(PHOTOMETRIC) == 0:
        grey = ImageOps.invert(grey)  # which Pillow does for 1 to 8 bits only
    if transparent is None:
        return grey
    # As raw modes, L;16 takes the high byte of a little-endian number and L;16B that of a big-endian one.
    planes = [Image.frombytes("L", picture.size, picture.tobytes(), "raw", mode) for mode in ("L;16", "L;16B")]
    levels = [transparent >> 8, transparent & 255]
    grey.info.pop("transparency", None)
    grey.putalpha(ImageChops.invert(equals(planes if sys.byteorder == "little" else planes[::-1], levels)))
    return grey.convert("La")


def equals(planes: Iterable[Image.Image], levels: Iterable[int]) -> Image.Image:
    """Return a mask (mode L): 255 where every one of the `planes` (mode L, of one size) has its level, else 0."""
    mask: Image.Image | None = None
    for plane, level in zip(planes, levels, strict=True):
        part = plane.point([255 * (value == level) for value in range(256)])
        mask = part if mask is None else ImageChops.darker(mask, part)
    assert mask is not None
    return mask


def scale_palette(picture: Image.Image) -> None:
    """Give a freshly opened TIFF whose palette holds numbers of 8 bits the palette that it means.

    They have 16 by TIFF 6.0, section 5. Since some writers know better, libtiff takes them for 8 if none has more.
    """
    if not isinstance(picture, TiffImageFile) or picture.mode not in ("P", "PA"):
        return
    numbers = picture.tag_v2[COLOR_MAP]
    if max(numbers, default=0) < 256:
        picture.palette = ImagePalette.raw("RGB;L", bytes(numbers))
