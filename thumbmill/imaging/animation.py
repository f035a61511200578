"""The frames of an animation, each as the whole picture that is shown."""

import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import Image

from thumbmill.imaging.patches import composed

ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")  # formats whose frames are an animation; a TIFF's are pages


class Animation(NamedTuple):
    """What is shown one after the other: pictures, and for how many milliseconds each."""

    length: int
    plays: int  # how often all are shown; 0: endlessly
    frames: Iterator[tuple[Image.Image, int]]


def read_animation(picture: Image.Image, file: BinaryIO) -> Animation | None:
    """Return the animation in an opened `picture` and its `file`; None if there is only one picture to show.

    Raises what Pillow raises at a damaged file, and ValueError if frames are missing.
    """
    if picture.format == "GIF":
        from thumbmill.imaging import gif

        content = gif.read(whole(file))
        if len(content.frames) < 2:
            return None
        patches = gif.patches(content.frames, picture.size)
        return Animation(len(content.frames), content.plays, composed(patches, picture))
    if picture.format not in ANIMATED_FORMATS or not getattr(picture, "is_animated", False):
        return None
    plays = int(picture.info.get("loop", 0))
    if picture.format == "PNG":
        from thumbmill.imaging import apng

        chunks = apng.read(whole(getattr(picture, "fp", None) or file))
        if chunks.exif:
            picture.info["exif"] = chunks.exif
        return Animation(chunks.length, plays, composed(apng.patches(chunks), picture)) if chunks.length else None
    length = int(getattr(picture, "n_frames", 1))
    return Animation(length, plays, whole_frames(picture, length))


def first_frame(picture: Image.Image, file: BinaryIO) -> Image.Image:
    """Return what is to be shown of `picture` if it does not move: itself, unless its first frame covers a part only.

    An animated PNG shows its default image then, which is there for that.
    """
    if picture.format == "WEBP" and getattr(picture, "is_animated", False):
        return next(whole_frames(picture, 1))[0]
    if picture.format != "GIF" or not (tile := getattr(picture, "tile", None)) or tile[0][1] == (0, 0, *picture.size):
        return picture
    from thumbmill.imaging import gif

    frames = gif.read(whole(file), max_frames=1).frames
    return next(composed(gif.patches(frames, picture.size), picture))[0]


def whole(file: BinaryIO) -> bytes:
    """Return the content of a file."""
    file.seek(0)
    return file.read()


def whole_frames(picture: Image.Image, count: int) -> Iterator[tuple[Image.Image, int]]:
    """Yield the frames that Pillow composes itself: those of WebP, and of AVIF, which are whole."""
    for number in range(count):
        picture.seek(number)
        frame = picture.copy()
        if frame.mode == "RGBA" and frame.getchannel("A").getextrema()[0] == 255:
            frame = frame.convert("RGB")
        yield frame, int(picture.info.get("duration", 0))


def webp_with_alpha(file: BinaryIO, start: bytes) -> BinaryIO:
    """Return an animated WebP `file` as one that says that it has transparency: RFC 9649, 2.7.1.

    Pillow shows what no frame covers, or what one was disposed of, in black if the file does not say so. Any other
    `file` is returned as it is, judged by its `start`.
    """
    if start[:4] != b"RIFF" or start[8:16] != b"WEBPVP8X" or len(start) < 21 or start[20] & 0x12 != 0x02:
        return file
    content = whole(file)
    return io.BytesIO(content[:20] + bytes([content[20] | 0x10]) + content[21:])
