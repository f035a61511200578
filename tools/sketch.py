"""What the samples are drawn with: shapes, gradients, and a sketch that is larger than its picture."""

import math
import random
from typing import Any

from PIL import Image, ImageDraw, ImageFilter, ImageFont

# Shapes are drawn with hard edges at three times the final size; reducing the picture then smooths them.
SCALE = 3

# What the invisible pixels of a transparent picture hold. A thumbnailer that drops the transparency, or mixes
# colours without weighting them by it, lets this colour through.
HIDDEN = (255, 0, 200)

Colour = int | str | tuple[int, ...]
Point = tuple[float, float]
Drawn = tuple[Image.Image, dict[str, Any]]


def around(x: float, y: float, turn: float, radius: float) -> Point:
    """Return the point at a distance from a centre, turned clockwise from straight up (1 is a full turn)."""
    return (x + radius * math.sin(2 * math.pi * turn), y - radius * math.cos(2 * math.pi * turn))


def star(x: float, y: float, outer: float, inner: float, points: int) -> list[Point]:
    """Return the corners of a star."""
    return [around(x, y, i / points / 2, inner if i % 2 else outer) for i in range(2 * points)]


def ridge(rng: random.Random, size: tuple[int, int], base: float, rise: float) -> list[Point]:
    """Return the outline of a mountain range, closed along the foot of the picture."""
    waves = [(rise / k, k * rng.uniform(0.7, 1.3), rng.uniform(0, 7)) for k in (1, 2, 4, 9, 19, 40)]
    steps = range(0, size[0] + 6, 6)
    line = [(x, base - sum(a * math.sin(f * x / size[1] * 2.1 + p) for a, f, p in waves)) for x in steps]
    return [*line, (size[0], size[1]), (0, size[1])]


def soft(mask: Image.Image, blur: float, strength: float = 1) -> Image.Image:
    """Return a mask blurred and weakened: a shadow, a glow or a wisp of steam."""
    return mask.filter(ImageFilter.GaussianBlur(blur)).point([round(v * strength) for v in range(256)])


def rounded(mask: Image.Image, radius: float) -> Image.Image:
    """Return a mask with its corners rounded off."""
    return soft(mask, radius).point([255 * (v > 127) for v in range(256)])


def ramp(mode: str, size: tuple[int, int], colours: tuple[Colour, ...], flow: str) -> Image.Image:
    """Return a gradient through colours: "down", "across", or "round" a highlight at the upper left."""
    way = Image.linear_gradient("L")
    if flow == "across":
        way = way.transpose(Image.Transpose.TRANSPOSE)
    elif flow == "round":
        way = Image.radial_gradient("L").crop((60, 63, 250, 253))
    way = way.resize(size, Image.Resampling.BICUBIC)
    picture = Image.new(mode, size, colours[0])
    for i, colour in enumerate(colours[1:]):
        part = way.point([min(255, max(0, v * (len(colours) - 1) - 255 * i)) for v in range(256)])
        picture.paste(colour, mask=part)
    return picture


class Sketch:
    """A picture being drawn, larger than it will be; coordinates are those of the large picture."""

    def __init__(self, width: int, height: int, *colours: Colour, mode: str = "RGB") -> None:
        """Start a picture of this final size on a gradient, or on nothing."""
        self.picture = ramp(mode, (width * SCALE, height * SCALE), colours or ((0, 0, 0, 0),), "down")

    def mask(self, kind: str, where: Any, **options: Any) -> Image.Image:
        """Return a mask of one shape; kind is the name of a method of ImageDraw."""
        mask = Image.new("L", self.picture.size)
        getattr(ImageDraw.Draw(mask), kind)(where, fill=255, **options)
        return mask

    def box(self, *corners: float, radius: float = 0) -> Image.Image:
        """Return the mask of a rectangle."""
        return self.mask("rounded_rectangle", corners, radius=radius)

    def oval(self, x: float, y: float, rx: float, ry: float = 0, ring: int = 0) -> Image.Image:
        """Return the mask of an ellipse (or a circle, without ry), or of a ring of some width inside it."""
        where = (x - rx, y - (ry or rx), x + rx, y + (ry or rx))
        if ring:
            return self.mask("arc", where, start=0, end=360, width=ring)
        return self.mask("ellipse", where)

    def shape(self, *corners: Point, radius: float = 0) -> Image.Image:
        """Return the mask of a polygon, its corners rounded by a radius."""
        mask = self.mask("polygon", corners)
        return rounded(mask, radius) if radius else mask

    def line(self, width: int, *points: Point) -> Image.Image:
        """Return the mask of a line."""
        return self.mask("line", points, width=width, joint="curve")

    def paint(self, mask: Image.Image, *colours: Colour, flow: str = "down") -> None:
        """Fill a mask with one colour, or with a gradient fitted to the mask."""
        box = mask.getbbox()
        if box:
            mask = mask.crop(box)
            layer = ramp(self.picture.mode, mask.size, colours, flow)
            if self.picture.mode == "RGBA":
                layer.putalpha(mask)
                self.picture.alpha_composite(layer, box[:2])
            else:
                self.picture.paste(layer, box, mask)

    def write(self, where: Point, text: str, size: int, *colours: Colour) -> None:
        """Write bold text centred on a point, in the font that comes with Pillow."""
        font = ImageFont.load_default(size=size)
        self.paint(self.mask("text", where, text=text, font=font, anchor="mm", stroke_width=size // 36), *colours)

    def steam(self, x: float, top: int, bottom: int, width: int, colour: Colour) -> None:
        """Paint a wisp of steam."""
        wisp = [(x + width * math.sin(y / width / 1.7), y) for y in range(top, bottom, 8)]
        self.paint(soft(self.line(width, *wisp), width / 2, 0.75), colour)

    def finish(self) -> Image.Image:
        """Return the picture at its final size, with a loud colour hidden where it is fully transparent."""
        picture = self.picture.reduce(SCALE)
        if picture.mode == "RGBA":
            picture.paste((*HIDDEN, 0), mask=picture.getchannel("A").point([255] + 255 * [0]))
        return picture
