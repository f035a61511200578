"""The formats of thumbnails, and how a rendered picture becomes a file."""

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from PIL import Image

from thumbmill.imaging import isobmff


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
# around them and around the edit list. Two hold how long it runs: this many bytes after the times.
TIMED_BOXES = (b"mvhd", b"tkhd", b"mdhd")
CONTAINER_BOXES = (b"moov", b"trak", b"mdia", b"edts")
BEFORE_DURATION = {b"mvhd": 4, b"tkhd": 8}

MAX_WEBP_PLAYS = 65_535  # RFC 9649, 2.7.1.1


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
        plays = min(loop, MAX_WEBP_PLAYS) if format == "webp" else loop
        options |= {"save_all": True, "append_images": frames[1:], "duration": list(durations), "loop": plays}
    content = io.BytesIO()
    frames[0].save(content, kind.name, **options)
    if format == "avif":
        return finish_avif(content.getvalue(), loop)
    return with_alpha_flag(content.getvalue()) if transparent and len(frames) > 1 else content.getvalue()


def with_alpha_flag(content: bytes) -> bytes:
    """Return a file with the flag that says that it has transparency, if it is an animated WebP: RFC 9649, 2.7.1.

    The encoder does not set it if all that is transparent was disposed of, and then some decoders show it black.
    """
    if content[8:16] != b"WEBPVP8X":
        return content
    return content[:20] + bytes([content[20] | 0x10]) + content[21:]


def finish_avif(content: bytes, plays: int) -> bytes:
    """Return an AVIF file without the time of its making, so that the same picture gives the same bytes.

    An animation runs `plays` times (0: endlessly), which Pillow cannot ask the encoder for: ISO/IEC 23008-12, 9.6.1.
    """
    finished = bytearray(content)
    found = list(movie_boxes(content))
    once = next((isobmff.number(content, box.start + 8, content[box.start]) for box in found if box.kind == b"elst"), 0)
    for box in found:
        if box.kind == b"elst":
            finished[box.start + 3] &= 0xFE if plays == 1 else 0xFF  # the flag that it is repeated
            continue
        length = 8 if content[box.start] == 1 else 4  # of each time and duration
        times = box.start + 4
        finished[times : times + 2 * length] = bytes(2 * length)
        if plays and once and box.kind in BEFORE_DURATION:
            at = times + 2 * length + BEFORE_DURATION[box.kind]
            duration = min(once * plays, isobmff.INDEFINITE[length] - 1)
            finished[at : at + length] = duration.to_bytes(length, "big")
    return bytes(finished)


def movie_boxes(content: bytes, within: isobmff.Box | None = None) -> Iterator[isobmff.Box]:
    """Yield the boxes of an animation that hold times or its edit list."""
    start, end = (within.start, within.end) if within else (0, len(content))
    for box in isobmff.boxes(content, start, end):
        if box.kind in CONTAINER_BOXES:
            yield from movie_boxes(content, box)
        elif box.kind in TIMED_BOXES or box.kind == b"elst":
            yield box
