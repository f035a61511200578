"""The end of a picture's file: whether its end marker is there, and what follows it."""

import io
import os
import re
from typing import Any, BinaryIO, cast

from thumbmill import failures

# The last bytes of a file, by its format: JPEG's EOI, PNG's IEND chunk, GIF's trailer.
TRAILERS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"\0\0\0\0IEND\xaeB`\x82", "GIF": b";"}

BLOCK = 64 * 1024  # bytes read at once
MAX_PARTS = 100_000  # segments or chunks of a file that are looked at
MAX_SEARCHES = 1000  # for the end of a JPEG's pixels; a progressive one has ten parts of these

# JPEG's markers (ITU-T T.81, B.1.1). Within the pixels of a scan 0xFF is followed by 0 or is a restart marker.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
EOI = 0xD9


def check_trailer(file: BinaryIO, format: str | None) -> str | None:
    """Return what is wrong with the end of a picture that could be decoded: bytes after it, or no end marker.

    Nothing is wrong with what devices add to a JPEG on purpose (see belongs_to_jpeg). A file of more parts than any
    picture needs is left alone.
    """
    marker = TRAILERS.get(format or "")
    if marker is None:
        return None
    size = file.seek(0, os.SEEK_END)
    file.seek(-min(size, len(marker)), os.SEEK_END)
    if file.read() == marker:
        return None
    find_end = {"PNG": png_end, "GIF": gif_end}.get(format or "", jpeg_end)
    # The buffer is detached, because it would close the file.
    reader: io.BufferedReader = io.BufferedReader(cast(Any, file), BLOCK)
    try:
        end = find_end(reader)
    except EOFError:
        return failures.end_marker_missing()
    finally:
        reader.detach()
    if end is not None and end > size:  # it is cut within its end marker
        return failures.end_marker_missing()
    if end is None or end == size or (find_end is jpeg_end and belongs_to_jpeg(file, end)):
        return None
    return failures.padded(size - end) if is_zero(file, end) else failures.bytes_after_end(size - end)


def belongs_to_jpeg(file: BinaryIO, end: int) -> bool:
    """Whether what follows a JPEG that ends there is known and well-formed: a film, a picture, or Samsung's trailer.

    Motion photos have an MP4 or QuickTime film, MPO and gain maps further JPEGs.
    """
    file.seek(-4, os.SEEK_END)
    if file.read() == b"SEFT":
        return True
    file.seek(end)
    start = file.read(BLOCK).lstrip(b"\0")
    # The length of a film's first box begins with zeros, which are stripped.
    return start.startswith(b"\xff\xd8\xff") or start[1:5] == b"ftyp" or start[2:6] == b"ftyp"


def is_zero(file: BinaryIO, start: int) -> bool:
    """Whether there are only zeros from `start` on."""
    file.seek(start)
    while block := file.read(BLOCK):
        if block.strip(b"\0"):
            return False
    return True


def jpeg_end(reader: BinaryIO) -> int | None:
    """Return where the first picture of a JPEG file ends; None if it has too many parts. Raises EOFError."""
    at, searches = 2, 0
    for _ in range(MAX_PARTS):
        reader.seek(at)
        start = reader.read(4)
        if not MARKER.match(start):  # pixels, or stray bytes between segments
            searches += 1
            if searches > MAX_SEARCHES:
                return None
            at = find_marker(reader, at)
        elif start[1] == EOI:
            return at + 2
        elif start[1] in WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(start[2:], "big")
    return None


def find_marker(reader: BinaryIO, at: int) -> int:
    """Return where the next marker of a JPEG file is, from a position on. Raises EOFError if there is none."""
    reader.seek(at)
    data = b""
    while block := reader.read(BLOCK):
        data = data[-1:] + block  # a marker may be cut in two
        if found := MARKER.search(data):
            return at + found.start()
        at += len(data) - 1
    raise EOFError


def png_end(reader: BinaryIO) -> int | None:
    """Return where a PNG file should end; None if it has too many chunks. Raises EOFError."""
    at = 8
    for _ in range(MAX_PARTS):
        reader.seek(at)
        start = reader.read(8)
        if len(start) < 8:
            raise EOFError
        at += 12 + int.from_bytes(start[:4], "big")
        if start[4:] == b"IEND":
            return at
    return None


def gif_end(reader: BinaryIO) -> int:
    """Return where a GIF file should end. Raises EOFError."""
    from thumbmill.imaging import gif

    reader.seek(0)
    try:
        end = gif.read(reader.read()).end
    except ValueError:
        end = None
    if end is None:
        raise EOFError
    return end
