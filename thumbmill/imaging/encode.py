"""The formats of thumbnails, and how a rendered picture becomes a file."""

import io
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from PIL import Image


class Format(NamedTuple):
    """A format of thumbnails."""

    extension: str
    name: str  # Pillow's
    keeps_transparency: bool
    animates: bool
    options: Mapping[str, Any]  # for Pillow's encoder


# The encoders' options are where the curve of time against bytes bends (python -m bench.quality encoders):
#   JPEG   optimize takes twice the time, and progressive five times, for 4 % of the bytes: neither
#   PNG    level 6, the default, takes 2.5 times as long as 3 for 6 % fewer bytes; 9 takes four times as long again
#   WebP   method 4, the default, takes 2.3 times as long as 2 for 3.5 % fewer bytes
#   AVIF   speed 6, the default, takes 2.8 times as long as 8 for 4 % fewer bytes; 9 makes 10 % more
# AVIF gets one thread: the workers already share the cores, and the bytes must not depend on how many there are.
FORMATS = {
    "jpeg": Format(".jpg", "JPEG", False, False, {}),
    "png": Format(".png", "PNG", True, True, {"compress_level": 3}),
    "webp": Format(".webp", "WEBP", True, True, {"method": 2}),
    "avif": Format(".avif", "AVIF", True, True, {"max_threads": 1, "speed": 8}),
}

# An animated AVIF is a movie (ISO/IEC 14496-12, 8.2.2, 8.3.2, 8.4.2): these boxes hold when it was made, those are
# around them.
TIMED_BOXES = (b"mvhd", b"tkhd", b"mdhd")
CONTAINER_BOXES = (b"moov", b"trak", b"mdia")


def encode(
    frames: list[Image.Image],
    format: str,
    quality: Mapping[str, int],
    background: str,
    durations: Iterable[int] = (),
    loop: int = 0,
) -> bytes:
    """Return a picture as the content of a file, without metadata.

    Transparency that the `format` lacks shows the `background`. If the format does not animate, only the first of the
    `frames` is kept; `durations` are in milliseconds, and `loop` is how often they run (0: endlessly).

    Raises OSError or ValueError if the encoder cannot hold the picture.
    """
    kind = FORMATS[format]
    options: dict[str, Any] = dict(kind.options)
    frames = list(frames) if kind.animates else frames[:1]
    transparent = any(frame.mode == "RGBA" for frame in frames)
    if transparent and not kind.keeps_transparency:
        canvas = Image.new("RGB", frames[0].size, background)
        canvas.paste(frames[0], mask=frames[0].getchannel("A"))
        frames = [canvas]
    elif transparent:
        frames = [frame.convert("RGBA") for frame in frames]
    for number, frame in enumerate(frames):
        if frame.info:
            frames[number] = frame.copy()
            frames[number].info = {}  # else Pillow writes comments, EXIF and profiles of the source into some formats
    if format in quality:
        options["quality"] = quality[format]
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:], "duration": list(durations), "loop": loop}
    content = io.BytesIO()
    frames[0].save(content, kind.name, **options)
    return without_times(content.getvalue()) if format == "avif" else content.getvalue()


def without_times(content: bytes) -> bytes:
    """Return an AVIF file without the time of its making, so that the same picture gives the same bytes."""
    cleared = bytearray(content)
    clear_times(cleared, 0, len(cleared))
    return bytes(cleared)


def clear_times(content: bytearray, start: int, end: int) -> None:
    """Set creation and modification times to 0 in the boxes of `content` from `start` to `end`."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        header = 8
        if size == 1:  # it follows, in 64 bits
            (size,), header = struct.unpack_from(">Q", content, start + 8), 16
        elif size == 0:  # the last box
            size = end - start
        inside = start + header
        if kind in CONTAINER_BOXES:
            clear_times(content, inside, start + size)
        elif kind in TIMED_BOXES:
            length = 16 if content[inside] == 1 else 8  # two times: of 64 bits in version 1, else of 32
            content[inside + 4 : inside + 4 + length] = bytes(length)
        start += size
