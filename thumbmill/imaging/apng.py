"""The frames of animated PNGs, laid over one another as the specification asks for.

Pillow does that in the file's own mode. There a disposed frame leaves black or the palette's first colour behind,
instead of nothing, the transparent colour of a grey frame hides what is below, and what is half transparent over
nothing loses half of its opacity. Section numbers are those of the W3C's PNG specification, third edition.
"""

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image
from PIL.PngImagePlugin import Blend, Disposal

from thumbmill.imaging.color import to_plain_mode
from thumbmill.imaging.png import SIGNATURE, chunk, chunks, scale_key, with_exact_key

FRAME_CONTROL = struct.Struct(">4x4I2H2B")  # section 11.3.6.2, behind the sequence number


class Frame(NamedTuple):
    """Where a frame belongs, how it gets there and what is left of it: section 11.3.6.2."""

    box: tuple[int, int, int, int]
    duration: float  # milliseconds
    disposal: int
    blend: int


def composed_frames(picture: Image.Image, content: bytes, count: int) -> Iterator[Image.Image]:
    """Yield `count` frames of the animation in `content`, a PNG file, that was opened as `picture`.

    All have mode RGBA, or RGB if none can have transparency. A default image that is no frame comes first, as Pillow
    counts it.

    Raises OSError if there are fewer frames, or one is damaged or reaches beyond the picture.
    """
    info = {name: value for name, value in picture.info.items() if name != "transparency"}
    for late in chunks(content):
        if late.kind == b"eXIf":
            info["exif"] = b"Exif\0\0" + content[late.start + 8 : late.end - 4]
    mode = "RGB" if stays_opaque(picture, content) else "RGBA"
    canvas = Image.new("RGBA", picture.size)
    for frame, standalone in separate_frames(content):
        if count == 0:
            return
        count -= 1
        if frame and (frame.box[2] > canvas.width or frame.box[3] > canvas.height):  # before memory is taken for it
            raise OSError("a frame reaches beyond the picture")
        with Image.open(io.BytesIO(standalone), formats=("PNG",)) as opened:
            image = with_alpha(opened)
        if frame is None:
            shown = image
        else:
            before = canvas.copy() if frame.disposal == Disposal.OP_PREVIOUS else None
            if frame.blend == Blend.OP_OVER:
                canvas.alpha_composite(image, frame.box[:2])
            else:
                canvas.paste(image, frame.box[:2])
            shown = canvas.copy()
            if before:
                canvas = before
            elif frame.disposal == Disposal.OP_BACKGROUND:
                canvas.paste((0, 0, 0, 0), frame.box)
        shown = shown.convert(mode)
        shown.info = info | {"duration": frame.duration if frame else 0}
        yield shown
    if count:
        raise OSError("image file is truncated (frames are missing)")


def stays_opaque(picture: Image.Image, content: bytes) -> bool:
    """Whether no frame of an animation, opened as `picture`, leaves a pixel transparent or uncovered."""
    if picture.has_transparency_data:
        return False
    bodies = (content[each.start + 8 : each.end - 4] for each in chunks(content) if each.kind == b"fcTL")
    frames = list(map(parsed_control, bodies))
    covers_all = bool(frames) and frames[0].box == (0, 0, *picture.size) and frames[0].disposal == Disposal.OP_NONE
    return covers_all and all(frame.disposal != Disposal.OP_BACKGROUND for frame in frames)


def separate_frames(content: bytes) -> Iterator[tuple[Frame | None, bytes]]:
    """Yield each frame of an animation as a PNG file of its own; None stands for the default image that is no frame."""
    header, common, pixels = b"", list[bytes](), list[bytes]()
    frame: Frame | None = None
    for each in chunks(content):
        body = content[each.start + 8 : each.end - 4]
        if each.kind in (b"IDAT", b"fdAT"):
            pixels.append(body if each.kind == b"IDAT" else body[4:])
        elif pixels:
            yield frame, standalone_png(header, frame, common, b"".join(pixels))
            pixels = []
        if each.kind == b"IHDR":
            header = body
        elif each.kind in (b"PLTE", b"tRNS"):
            common.append(chunk(each.kind, body))
        elif each.kind == b"fcTL":
            frame = parsed_control(body)


def parsed_control(body: bytes) -> Frame:
    """Return what a fcTL chunk says. Raises struct.error if it is cut, OSError if the frame is empty."""
    width, height, left, top, numerator, denominator, disposal, blend = FRAME_CONTROL.unpack(body)
    if not width or not height:
        raise OSError("a frame is empty")
    return Frame((left, top, left + width, top + height), 1000 * numerator / (denominator or 100), disposal, blend)


def standalone_png(header: bytes, frame: Frame | None, common: list[bytes], pixels: bytes) -> bytes:
    """Return a PNG file with the content of IHDR, the size of `frame`, the chunks `common` and compressed `pixels`."""
    if frame:
        left, top, right, bottom = frame.box
        header = struct.pack(">II", right - left, bottom - top) + header[8:]
    parts = [chunk(b"IHDR", header), *common, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts)


def with_alpha(picture: Image.Image) -> Image.Image:
    """Return a freshly opened PNG in mode RGBA."""
    scale_key(picture)
    picture = with_exact_key(picture)
    if picture.mode == "I;16":
        picture = to_plain_mode(picture)
    if picture.mode == "La":
        picture = picture.convert("LA")
    return picture.convert("RGBA")
