"""Test charts: drawn pictures that are harder than any photograph, each in its own way."""

import random
from pathlib import Path

import numpy
from PIL import Image, ImageDraw

from bench.quality.makers import LANCZOS


def zone_plate(side: int = 1600) -> Image.Image:
    """Draw rings that grow finer outwards, up to the finest possible: the faults of a filter show as moire."""
    across, down = numpy.mgrid[:side, :side] - side / 2
    rings = 0.5 + 0.5 * numpy.cos(numpy.pi * (across**2 + down**2) / side)
    return Image.fromarray((rings * 255).round().astype("uint8")).convert("RGB")


def colour_patches(side: int = 1200, count: int = 12) -> Image.Image:
    """Draw strong, dull and grey colours side by side, each in a square."""
    rng = random.Random(7)
    picture = Image.new("RGB", (side, side))
    for number in range(count * count):
        row, column = divmod(number, count)
        step = side // count
        grey = number * 255 // (count * count - 1)
        colour = (grey,) * 3 if row % 3 == 0 else tuple(rng.randbytes(3))
        picture.paste(colour, (column * step, row * step, (column + 1) * step, (row + 1) * step))
    return picture


def fine_text(width: int = 1600, height: int = 1200) -> Image.Image:
    """Draw lines of text of 12 to 60 pixels, black on white and white on blue."""
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 2, 0, width, height), fill=(20, 40, 120))
    top, size = 10, 12
    while top < height:
        text = f"{size} px  The quick brown fox jumps over the lazy dog 0123456789"
        draw.text((20, top), text, fill="black", font_size=size)
        draw.text((width // 2 + 20, top), text, fill="white", font_size=size)
        top, size = top + size * 3 // 2, min(60, size + 4)
    return picture


def transparent_edges(side: int = 1200) -> Image.Image:
    """Draw discs of light, strong and dark colours on nothing; the invisible pixels are black, white or green."""
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    third = side // 3
    colours = [(250, 250, 250), (200, 60, 60), (20, 20, 20)]
    for row, hidden in enumerate(((0, 0, 0), (255, 255, 255), (0, 255, 0))):
        for column, colour in enumerate(colours):
            tile = Image.new("RGBA", (third, third), (*hidden, 0))
            shape = Image.new("L", (third * 4, third * 4))
            ImageDraw.Draw(shape).ellipse((third // 4, third // 4, third * 4 - third // 4, third * 4 - third // 4), 255)
            tile.paste((*colour, 255), mask=shape.resize((third, third), LANCZOS))
            picture.paste(tile, (column * third, row * third))
    return picture


def make_charts(folder: Path) -> dict[str, str]:
    """Save the test charts below `folder`; return their paths, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, chart in {"zone plate": zone_plate, "colour patches": colour_patches, "fine text": fine_text}.items():
        for extension, options in {"jpg": {"quality": 95, "subsampling": 0}, "png": {}}.items():
            paths[f"{name}, {extension}"] = str(folder / f"{name.replace(' ', '-')}.{extension}")
            chart().save(paths[f"{name}, {extension}"], **options)
    paths["transparent edges, png"] = str(folder / "transparent-edges.png")
    transparent_edges().save(paths["transparent edges, png"])
    return paths
