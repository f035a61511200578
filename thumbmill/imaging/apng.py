"""Animated PNG: each frame as a picture of its own.

Pillow counts a default image that is no part of the animation as a frame, and where a frame is disposed of, pictures
without an alpha channel get black or a colour of the palette instead of transparency. Section numbers are those of the
W3C's PNG specification, third edition.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, ImageFile

from thumbmill.imaging.color import to_plain_mode
from thumbmill.imaging.patches import BACKGROUND, KEEP, PREVIOUS, Patch
from thumbmill.imaging.png import scale_key, with_exact_key

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COMMON = (b"PLTE", b"tRNS")  # chunks that each frame needs to be decoded
DISPOSALS = {0: KEEP, 1: BACKGROUND, 2: PREVIOUS}
SOURCE = 0  # the blend operation that replaces what was there: 11.3.6.2


class Frame(NamedTuple):
    """A frame as it is stored: its fcTL chunk and the content of those with its pixels."""

    control: bytes
    pixels: list[bytes]


class Apng(NamedTuple):
    """A file's frames, and what each of them needs to be decoded: the image header, and chunks as they are.

    `length` is how many frames there should be, and `exif` is empty if there is none.
    """

    header: bytes
    common: bytes
    frames: list[Frame]
    length: int
    exif: bytes


def read(content: bytes) -> Apng:
    """Return the frames of an animated PNG: those that are there, of a file that is cut."""
    header, common, exif, announced = b"", b"", b"", 0
    frames: list[Frame] = []
    for kind, data in chunks(content):
        if kind == b"IHDR":
            header = data
        elif kind in COMMON:
            common += chunk(kind, data)
        elif kind == b"eXIf":  # which may follow the frames
            exif = b"Exif\0\0" + data
        elif kind == b"acTL":
            announced = int.from_bytes(data[:4], "big")
        elif kind == b"fcTL" and len(data) == 26:
            frames.append(Frame(data, []))
        elif frames and kind in (b"IDAT", b"fdAT"):
            frames[-1].pixels.append(data if kind == b"IDAT" else data[4:])  # 4: its sequence number
    frames = [frame for frame in frames if frame.pixels][:announced]
    return Apng(header, common, frames, len(frames) if ImageFile.LOAD_TRUNCATED_IMAGES else announced, exif)


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk; of a file that is cut, what there is of the last one."""
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk: section 5.3."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def patches(apng: Apng) -> Iterator[Patch]:
    """Yield each frame decoded.

    Raises ValueError if a frame is missing, empty or beyond the picture, what Pillow raises if one is damaged.
    """
    if len(apng.frames) < apng.length:
        raise ValueError(f"{apng.length - len(apng.frames)} of {apng.length} frames are missing")
    whole_width, whole_height = struct.unpack_from(">II", apng.header)
    for number, frame in enumerate(apng.frames):
        _, width, height, left, top, delay, parts, disposal, blend = struct.unpack(">IIIIIHHBB", frame.control)
        if not width or not height or left + width > whole_width or top + height > whole_height:
            raise ValueError("a frame that is empty or reaches beyond the picture")
        header = struct.pack(">II", width, height) + apng.header[8:]
        pixels = b"".join(chunk(b"IDAT", data) for data in frame.pixels)
        alone = SIGNATURE + chunk(b"IHDR", header) + apng.common + pixels + chunk(b"IEND", b"")
        method = DISPOSALS.get(disposal, KEEP)
        if number == 0 and method == PREVIOUS:
            method = BACKGROUND
        duration = round(1000 * delay / (parts or 100))
        yield Patch(decoded(alone), (left, top), duration, method, replaces=blend == SOURCE)


def decoded(content: bytes) -> Image.Image:
    """Return a still PNG in mode RGBA. Raises what Pillow raises at a damaged one."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as opened:
        scale_key(opened)
        picture = with_exact_key(opened)
        picture.load()
        if picture.mode == "I;16":
            picture = to_plain_mode(picture)
        return (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
