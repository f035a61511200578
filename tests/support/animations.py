"""Animations that Pillow does not write: GIF and APNG, frame by frame."""

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from tests.support.pictures import BLACK, BLUE, GREEN, RED, chunk

Colour = tuple[int, ...]

PALETTE = [BLACK, RED, GREEN, BLUE]


class GifFrame(NamedTuple):
    """A frame of a GIF; `pixels` are numbers of the palette, row by row, or one number for all of them."""

    at: tuple[int, int]
    size: tuple[int, int]
    pixels: Sequence[int] | int
    palette: Sequence[Colour] = ()  # of its own
    transparent: int | None = None
    disposal: int = 0
    interlaced: bool = False


def gif(
    screen: tuple[int, int],
    frames: Sequence[GifFrame],
    palette: Sequence[Colour] = PALETTE,
    background: int = 3,
    extensions: bytes = b"",
) -> bytes:
    """Return a GIF file; `extensions` are put before its frames."""
    flags = 0x80 | len(palette).bit_length() - 2 if palette else 0
    content = b"GIF89a" + struct.pack("<HHBBB", *screen, flags, background, 0) + joined(palette) + extensions
    for frame in frames:
        packed = frame.disposal << 2 | (frame.transparent is not None)
        content += b"!\xf9\x04" + struct.pack("<BHBB", packed, 10, frame.transparent or 0, 0)
        flags = 0x80 | len(frame.palette).bit_length() - 2 if frame.palette else 0
        content += b"," + struct.pack("<HHHHB", *frame.at, *frame.size, flags | 0x40 * frame.interlaced)
        content += joined(frame.palette) + compressed(stored_rows(frame))
    return content + b";"


def joined(palette: Sequence[Colour]) -> bytes:
    """Return a palette as bytes."""
    return b"".join(map(bytes, palette))


def stored_rows(frame: GifFrame) -> bytes:
    """Return the pixels of a frame in the order in which they are stored: GIF89a, appendix E."""
    width, height = frame.size
    pixels = bytes([frame.pixels] * width * height) if isinstance(frame.pixels, int) else bytes(frame.pixels)
    rows = range(height)
    order = [*rows[::8], *rows[4::8], *rows[2::4], *rows[1::2]] if frame.interlaced else rows
    return b"".join(pixels[width * row : width * (row + 1)] for row in order)


def compressed(pixels: bytes) -> bytes:
    """Return pixels (up to 127) in the form of LZW, not compressed: so often cleared that each code has 8 bits."""
    codes = b"".join(b"\x80" + pixels[start : start + 100] for start in range(0, len(pixels), 100)) + b"\x81"
    blocks = (codes[start : start + 255] for start in range(0, len(codes), 255))
    return b"\7" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def netscape(repetitions: int, name: bytes = b"NETSCAPE2.0") -> bytes:
    """Return the extension of a GIF that states how often it is repeated."""
    return b"!\xff\x0b" + name + b"\3\1" + struct.pack("<H", repetitions) + b"\0"


class ApngFrame(NamedTuple):
    """A frame of an APNG, all of one colour; disposal and blending are those of its fcTL chunk."""

    at: tuple[int, int]
    size: tuple[int, int]
    colour: Colour
    disposal: int = 0
    blend: int = 0


def apng(
    size: tuple[int, int],
    frames: Sequence[ApngFrame],
    default: Colour | None = None,
    colour_type: int = 2,
    common: bytes = b"",
    plays: int = 0,
) -> bytes:
    """Return an APNG file; a `default` image is no part of the animation, and `common` are chunks before the pixels."""
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, colour_type, 0, 0, 0))
    content += common + chunk(b"acTL", struct.pack(">II", len(frames), plays))
    sequence = 0
    if default is not None:
        content += chunk(b"IDAT", packed(size, default))
    for number, frame in enumerate(frames):
        numbers = (sequence, *frame.size, *frame.at, 1, 10, frame.disposal, frame.blend)
        content += chunk(b"fcTL", struct.pack(">IIIIIHHBB", *numbers))
        sequence += 1
        if number == 0 and default is None:
            content += chunk(b"IDAT", packed(frame.size, frame.colour))
        else:
            content += chunk(b"fdAT", struct.pack(">I", sequence) + packed(frame.size, frame.colour))
            sequence += 1
    return content + chunk(b"IEND", b"")


def packed(size: tuple[int, int], colour: Colour) -> bytes:
    """Return the compressed pixels of a picture of one colour."""
    return zlib.compress((b"\0" + bytes(colour) * size[0]) * size[1])
