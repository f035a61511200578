"""Frames that cover a part of the picture, laid over one another."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image

# What becomes of a frame before the next one is shown: it stays, what it covered turns transparent, or what it covered
# is as it was before.
KEEP, BACKGROUND, PREVIOUS = range(3)

GREY_MODES = ("1", "L", "LA", "I;16")


class Patch(NamedTuple):
    """A frame that covers a part of the picture."""

    image: Image.Image  # in mode RGBA
    at: tuple[int, int]  # where its top left corner is
    duration: int  # milliseconds
    disposal: int  # KEEP, BACKGROUND or PREVIOUS
    replaces: bool = False  # what was there, also where it is transparent


def composed(patches: Iterator[Patch], picture: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """Yield what is shown after each of the `patches` was laid on a transparent canvas, with metadata of `picture`."""
    info: dict[str | tuple[int, int], Any] = {
        key: picture.info[key] for key in ("icc_profile", "exif") if key in picture.info
    }
    grey = picture.mode in GREY_MODES
    canvas = Image.new("RGBA", picture.size)
    for patch in patches:
        before = canvas.copy() if patch.disposal == PREVIOUS else canvas
        box = (*patch.at, patch.at[0] + patch.image.width, patch.at[1] + patch.image.height)
        laid = patch.image if patch.replaces else Image.alpha_composite(canvas.crop(box), patch.image)
        canvas.paste(laid, patch.at)
        opaque = canvas.getchannel("A").getextrema()[0] == 255
        shown = canvas.convert(("L" if grey else "RGB") if opaque else ("LA" if grey else "RGBA"))
        shown.info = dict(info)
        yield shown, patch.duration
        if patch.disposal == BACKGROUND:
            canvas.paste((0, 0, 0, 0), box)
        elif patch.disposal == PREVIOUS:
            canvas = before
