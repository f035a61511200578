"""Small pictures for tests, and files that Pillow does not write."""

import io
import random
import struct
import zlib
from collections.abc import Iterable
from typing import Any

from PIL import Image, ImageDraw

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)

BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)

LOSSY = 8  # how far (of 255) a channel may be from what was drawn, after a lossy format on either side

QUALITY = {"jpeg": 95, "webp": 95, "avif": 95}


def box_size(width: int, height: int, fit: str = "contain", enlarge: bool = False) -> dict[str, Any]:
    """Return a size as the settings hold it."""
    return {"width": width, "height": height, "fit": fit, "enlarge": enlarge}


SMALL = box_size(8, 8)


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    """Return `picture` as the content of a file."""
    content = io.BytesIO()
    picture.save(content, format, **options)
    return content.getvalue()


def plain(colour: Any, mode: str = "RGB", size: tuple[int, int] = (16, 16)) -> Image.Image:
    """Return a picture of one colour."""
    return Image.new(mode, size, colour)


def palette_picture() -> Image.Image:
    """Return a picture of mode P: the left half is red (1), the right half green (2)."""
    picture = Image.new("P", (16, 16), 1)
    picture.putpalette([*BLACK, *RED, *GREEN])
    picture.paste(2, (8, 0, 16, 16))
    return picture


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture of four quarters, red, green / blue, yellow: turned or flipped it always looks different."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    picture.paste(YELLOW, (width // 2, height // 2, width, height))
    return picture


def striped(width: int, height: int) -> Image.Image:
    """Return upright stripes, dark and light, 40 pixels wide: they show if a picture was stretched by a pixel."""
    picture = plain((40, 40, 200), size=(width, height))
    draw = ImageDraw.Draw(picture)
    for x in range(0, width, 80):
        draw.rectangle((x, 0, x + 39, height), fill=(230, 200 * x // width, 30))
    return picture


def stored_as(picture: Image.Image, orientation: int) -> Image.Image:
    """Return the pixels that an EXIF `orientation` turns into the upright `picture`.

    The comments quote EXIF 2.32: where row 0 and column 0 are in the upright picture.
    """
    turn = {
        1: None,  # top, left
        2: Image.Transpose.FLIP_LEFT_RIGHT,  # top, right
        3: Image.Transpose.ROTATE_180,  # bottom, right
        4: Image.Transpose.FLIP_TOP_BOTTOM,  # bottom, left
        5: Image.Transpose.TRANSPOSE,  # left, top
        6: Image.Transpose.ROTATE_90,  # right, top
        7: Image.Transpose.TRANSVERSE,  # right, bottom
        8: Image.Transpose.ROTATE_270,  # left, bottom
    }[orientation]
    return picture if turn is None else picture.transpose(turn)


def exif(orientation: int) -> Image.Exif:
    """Return an EXIF block that holds nothing but an orientation."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block


NOISE = Image.frombytes("RGB", (80, 60), random.Random(3).randbytes(80 * 60 * 3))


# Files that Pillow does not write


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int, height: int, depth: int, colour_type: int, row: bytes, before: bytes = b"", after: bytes = b""
) -> bytes:
    """Return a PNG file whose rows are all `row`; `before` and `after` are chunks around its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND", b"")


def tiff(width: int, height: int, pixels: bytes, tags: dict[int, int], order: str = "<") -> bytes:
    """Return an uncompressed TIFF file of one strip; `tags` override those of an 8-bit grey picture."""
    values = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: height, 279: len(pixels)} | tags
    values[273] = 8 + 2 + 12 * (len(values) + 1) + 4
    directory = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in sorted(values.items()))
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IH", 8, len(values)) + directory + bytes(4) + pixels


def bitmap(
    width: int,
    height: int,
    colour: tuple[int, int, int],
    version: int = 5,
    space: str = "",
    endpoints: Iterable[tuple[float, float, float]] = ((0, 0, 0),) * 3,
    gammas: Iterable[float] = (0, 0, 0),
    profile: bytes = b"",
) -> bytes:
    """Return a BMP file of one `colour` whose header has a `version` (3, 4 or 5) and says what its colours are.

    `space` is the four letters of a colour space ("" for calibrated RGB, which `endpoints` and `gammas` describe).
    """
    length = {3: 40, 4: 108, 5: 124}[version]
    row = bytes(colour[::-1]) * width
    pixels = (row + bytes(-len(row) % 4)) * height
    header = struct.pack("<IiiHHIIiiII", length, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0) + space[::-1].encode().ljust(4, b"\0")
    header += struct.pack("<9i", *(round(value * 2**30) for each in endpoints for value in each))
    header += struct.pack("<3I", *(round(gamma * 65_536) for gamma in gammas))
    header += struct.pack("<4I", 4, length + len(pixels) if profile else 0, len(profile), 0)
    start = 14 + length
    file = struct.pack("<2sIHHI", b"BM", start + len(pixels) + len(profile), 0, 0, start)
    return file + header[:length] + pixels + profile


def jpeg_header(width: int, height: int) -> bytes:
    """Return the beginning of a JPEG file: its headers, and no pixels."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    scan = b"\xff\xda" + struct.pack(">H", 12) + bytes([3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0])
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + scan
