"""Photographs to compare on: the user's, or those that Debian's wallpaper packages bring."""

import os
from collections.abc import Iterable

from PIL import Image

from bench.corpus import WALLPAPERS, list_pictures
from bench.pictures import draw_picture

JPEG_EXTENSIONS = (".jpg", ".jpeg")


def photograph(size: tuple[int, int]) -> Image.Image:
    """Return a part of `size` (width, height) of the first wallpaper that is large enough, or else a drawn picture."""
    names = list_pictures(WALLPAPERS) if os.path.isdir(WALLPAPERS) else []
    for path in (os.path.join(WALLPAPERS, name) for name in names if name.endswith(".jpg")):
        with Image.open(path) as picture:
            if picture.width >= size[0] + 1000 and picture.height >= size[1] + 500:
                return picture.convert("RGB").crop((1000, 500, 1000 + size[0], 500 + size[1]))
    return draw_picture(1, size)


def choose_photographs(folders: Iterable[str], count: int) -> dict[str, list[str]]:
    """Return the paths of at most `count` JPEGs of each folder, evenly spread over it, by folder.

    Raises FileNotFoundError if a folder has none.
    """
    chosen = {}
    for folder in folders:
        names = list_pictures(folder) if os.path.isdir(folder) else []
        found = [os.path.join(folder, name) for name in names if name.lower().endswith(JPEG_EXTENSIONS)]
        if not found:
            raise FileNotFoundError(f"no JPEG in {folder}: name a folder of photographs with --pictures")
        chosen[folder] = found[:: max(1, len(found) // count)][:count]
    return chosen
