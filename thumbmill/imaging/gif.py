"""GIF files: their blocks, and each frame as a picture of its own.

Pillow fills what the first frame leaves uncovered, and what a disposed one does, with a colour of the palette; browsers
leave it transparent. Section numbers are those of the GIF89a specification.
"""

import io
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, ImageFile

from thumbmill.imaging.patches import BACKGROUND, KEEP, PREVIOUS, Patch

LOOPING_EXTENSIONS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")

IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B  # the first byte of each kind of block
GRAPHIC_CONTROL, APPLICATION = 0xF9, 0xFF  # labels of extensions
MAX_EXCESS = 4  # how many times the pixels of the screen a frame may have: what reaches beyond it is not shown
NO_CONTROL = bytes(4)  # what a GraphicControlExtension holds that asks for nothing
DISPOSALS = {2: BACKGROUND, 3: PREVIOUS, 4: PREVIOUS}  # 23.c.iv; some old encoders write 4


class Frame(NamedTuple):
    """A frame as it is stored. Its palette is empty if there is none: then its pixels are greys."""

    left: int
    top: int
    width: int
    height: int
    palette: bytes
    interlaced: bool
    pixels: bytes  # compressed, in sub-blocks
    transparent: int | None  # which number of the palette is
    disposal: int  # KEEP, BACKGROUND or PREVIOUS
    duration: int  # milliseconds


class Gif(NamedTuple):
    """A file's frames. `plays` is how often they run (0: endlessly), `end` where the file should end, if it says so."""

    frames: list[Frame]
    plays: int
    end: int | None


def read(content: bytes, max_frames: int | None = None) -> Gif:
    """Return the frames of a GIF file, or the first `max_frames` of them.

    Raises ValueError if it is cut within what describes a frame, unless Pillow's LOAD_TRUNCATED_IMAGES is set.
    """
    frames: list[Frame] = []
    try:
        return read_blocks(content, frames, max_frames or sys.maxsize)
    except (IndexError, struct.error) as error:
        if not ImageFile.LOAD_TRUNCATED_IMAGES:
            raise ValueError("cut where a frame is described") from error
    return Gif(frames, 1, None)


def read_blocks(content: bytes, frames: list[Frame], max_frames: int) -> Gif:
    """Append the frames of a GIF file to `frames` and return it. Raises IndexError or struct.error if it is cut."""
    palette, at = read_palette(content, content[10], 13)
    control = NO_CONTROL
    plays = 1
    while at < len(content) and len(frames) < max_frames:
        kind = content[at]
        if kind == TRAILER:
            return Gif(frames, plays, at + 1)
        if kind == EXTENSION:
            label, start = content[at + 1], at + 2
            at = after_sub_blocks(content, start)
            first = content[start + 1 : start + 1 + content[start]]
            if label == GRAPHIC_CONTROL and len(first) == 4:
                control = first
            elif label == APPLICATION and first in LOOPING_EXTENSIONS:
                plays = read_plays(content, start + 1 + len(first), plays)
        elif kind == IMAGE:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", content, at + 1)
            own, start = read_palette(content, flags, at + 10)
            at = after_sub_blocks(content, start + 1)
            packed, hundredths, transparent = struct.unpack("<BHB", control)
            frames.append(
                Frame(
                    *(left, top, width, height),
                    palette=own or palette,
                    interlaced=bool(flags & 0x40),
                    pixels=content[start:at],
                    transparent=transparent if packed & 1 else None,
                    disposal=DISPOSALS.get(packed >> 2 & 7, KEEP),
                    duration=hundredths * 10,
                )
            )
            control = NO_CONTROL
        else:
            at += 1  # stray bytes between blocks
    return Gif(frames, plays, None)


def read_palette(content: bytes, flags: int, at: int) -> tuple[bytes, int]:
    """Return the palette that `flags` announce, empty if they do not, and where what follows it starts."""
    length = 3 << (flags & 7) + 1 if flags & 0x80 else 0
    return content[at : at + length], at + length


def after_sub_blocks(content: bytes, at: int) -> int:
    """Return where the sub-blocks that start there end (section 15), or the file if it is cut."""
    while at < len(content):
        length = content[at]
        at += 1 + length
        if not length:
            return at
    return len(content)


def read_plays(content: bytes, at: int, default: int) -> int:
    """Return how often the animation runs (0: endlessly), from the sub-blocks of a looping extension."""
    block = content[at + 1 : at + 4]
    if len(block) < 3 or block[0] & 7 != 1:
        return default
    repetitions = int.from_bytes(block[1:], "little")
    return repetitions + 1 if repetitions else 0


def patches(frames: list[Frame], screen: tuple[int, int]) -> Iterator[Patch]:
    """Yield each frame decoded; `screen` is the size (width, height) of them all.

    Raises ValueError if a frame is empty or far larger than that, what Pillow raises if one is damaged.
    """
    for frame in frames:
        if not frame.width or not frame.height:
            raise ValueError("a frame without pixels")
        if frame.width * frame.height > MAX_EXCESS * screen[0] * screen[1]:
            raise ValueError(f"a frame of {frame.width} x {frame.height} where {screen[0]} x {screen[1]} are shown")
        yield Patch(decoded(frame), (frame.left, frame.top), frame.duration, frame.disposal)


def decoded(frame: Frame) -> Image.Image:
    """Return the pixels of a frame in mode RGBA. Raises what Pillow raises at a damaged one."""
    screen = struct.pack("<HHBBB", frame.width, frame.height, palette_flags(frame.palette), 0, 0)
    control = (
        b"" if frame.transparent is None else bytes([EXTENSION, GRAPHIC_CONTROL, 4, 1, 0, 0, frame.transparent, 0])
    )
    image = struct.pack("<BHHHHB", IMAGE, 0, 0, frame.width, frame.height, 0x40 * frame.interlaced)
    alone = b"GIF89a" + screen + frame.palette + control + image + frame.pixels
    with Image.open(io.BytesIO(alone), formats=("GIF",)) as picture:
        return picture.convert("RGBA")


def palette_flags(palette: bytes) -> int:
    """Return how a screen descriptor announces a palette: section 18."""
    return 0x80 | ((len(palette) // 3).bit_length() - 2) if palette else 0
