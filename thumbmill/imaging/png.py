"""PNG files where Pillow is not exact: wrong checksums, and the transparent colour of every depth.

Section numbers are those of the W3C's PNG specification, third edition.
"""

import itertools
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngImageFile, PngStream

from thumbmill import failures
from thumbmill.errors import PictureError
from thumbmill.imaging.depth import equals

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IDAT", b"fdAT")
ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
MAX_BLOCK = 1024 * 1024  # bytes that are read at once

# Bytes that the ancillary chunks hold at least which Pillow reads (section 11.3), and tRNS by the colour type.
SHORTEST = {b"cHRM": 32, b"gAMA": 4, b"sRGB": 1, b"pHYs": 9, b"acTL": 8}
SHORTEST_KEY = {0: 2, 2: 6}
COLOUR_TYPE = 25  # where it is in a file


class Chunk(NamedTuple):
    """Where a chunk is in a file's content: its four-letter kind, its first byte and the one behind its last."""

    kind: bytes
    start: int
    end: int

    @property
    def is_critical(self) -> bool:
        """Whether a picture cannot be shown without it: section 5.4."""
        return self.kind[:1].isupper()

    @property
    def name(self) -> str:
        """The kind as text."""
        return self.kind.decode("ascii", "replace")


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk as a file holds it."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


# Checksums


def chunks(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a PNG file, up to one that is cut."""
    start = len(SIGNATURE)
    while start + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 12 + length
        if end > len(content):
            return
        yield Chunk(kind, start, end)
        start = end


def without_broken_chunks(content: bytes) -> tuple[bytes, list[str], list[str]]:
    """Return a PNG file without the ancillary chunks before its pixels that are broken, and the names of these.

    The names are those of the ones whose checksums are wrong, and those of the malformed ones. Browsers leave such
    chunks out, too. An animation that lacks one of its own becomes a still picture.

    Raises PictureError if the checksum of a critical chunk is wrong.
    """
    every = list(chunks(content))
    header = list(itertools.takewhile(lambda each: each.kind not in PIXELS, every))
    broken = [each for each in header if zlib.crc32(content[each.start + 4 : each.end - 4]) != checksum(content, each)]
    for each in broken:
        if each.is_critical:
            raise PictureError(failures.damaged(f"wrong checksum of its {each.name} chunk"))
    malformed = [each for each in header if each not in broken and is_malformed(content, each)]
    left_out = {*broken, *malformed}
    if any(each.kind in ANIMATION for each in left_out):
        left_out |= {each for each in every if each.kind in ANIMATION}
    start, parts = 0, []
    for each in every:
        if each in left_out:
            parts.append(content[start : each.start])
            start = each.end
    return b"".join((*parts, content[start:])), names(broken), names(malformed)


def names(several: list[Chunk]) -> list[str]:
    """Return the names of chunks, each once."""
    return list(dict.fromkeys(each.name for each in several))


def is_malformed(content: bytes, each: Chunk) -> bool:
    """Whether an ancillary chunk is so short, or compressed so strangely, that Pillow would take the file for none."""
    body = content[each.start + 8 : each.end - 4]
    if each.kind in (b"iCCP", b"zTXt"):
        _, separator, compressed = body.partition(b"\0")
        return not separator or compressed[:1] != b"\0"
    shortest = SHORTEST_KEY if each.kind == b"tRNS" else {content[COLOUR_TYPE]: SHORTEST.get(each.kind, 0)}
    return len(body) < shortest.get(content[COLOUR_TYPE], 0)


def checksum(content: bytes, each: Chunk) -> int:
    """Return the checksum that a file's content has for a chunk."""
    return int.from_bytes(content[each.end - 4 : each.end], "big")


def check_tail(picture: Image.Image, notes: list[str]) -> None:
    """Have the chunks behind the pixels of a freshly opened PNG checked while it is loaded; append to `notes`."""
    if isinstance(picture, PngImageFile) and picture.png is not None:
        picture.png = CheckedStream(picture.png, notes)


class CheckedStream(PngStream):
    """The chunks of an opened PNG, without those behind its pixels whose checksums are wrong: Pillow checks no more.

    For each that is left out a note is appended to `notes` when it is met, which is while the pixels are loaded.
    """

    def __init__(self, stream: PngStream, notes: list[str]):
        self.__dict__.update(stream.__dict__)
        self.notes = notes

    def call(self, cid: bytes, pos: int, length: int) -> bytes:
        """Have Pillow read the chunk of kind `cid` whose content starts at `pos`, unless it is broken."""
        if cid[:1].isupper() or cid in ANIMATION or self.has_right_checksum(cid, pos, length):
            return super().call(cid, pos, length)
        self.notes.append(failures.chunks_ignored([cid.decode("ascii", "replace")]))
        return b""

    def has_right_checksum(self, cid: bytes, pos: int, length: int) -> bool:
        """Whether a chunk is sound, or cut, which Pillow finds; if so, the file is left at `pos`, else at its end."""
        assert self.fp is not None
        found = zlib.crc32(cid)
        while length and (block := self.fp.read(min(length, MAX_BLOCK))):
            found = zlib.crc32(block, found)
            length -= len(block)
        end, expected = self.fp.tell(), self.fp.read(4)
        is_right = len(expected) < 4 or found == int.from_bytes(expected, "big")
        self.fp.seek(pos if is_right else end)
        return is_right


# The transparent colour


def scale_key(picture: Image.Image) -> None:
    """Scale the transparent colour of a freshly opened grey or RGB picture to the depth that Pillow gives its pixels.

    The colour has the depth of the file, in the lowest bits of two bytes: section 11.3.1.1.
    """
    key = picture.info.get("transparency")
    depth = raw_mode(picture)
    if isinstance(key, int) and depth in ("L", "L;2", "L;4"):
        largest = {"L": 255, "L;4": 15, "L;2": 3}[depth]
        picture.info["transparency"] = (key & largest) * (255 // largest)
    elif isinstance(key, tuple) and depth == "RGB":
        picture.info["transparency"] = tuple(value & 255 for value in key)


def raw_mode(picture: Image.Image) -> str:
    """Return how a freshly opened picture is stored, as Pillow's decoders call it; "" if it has no pixels."""
    *_, arguments = (getattr(picture, "tile", None) or [("",)])[0]
    return arguments if isinstance(arguments, str) else ""


def with_exact_key(picture: Image.Image) -> Image.Image:
    """Return a freshly opened 16-bit RGB picture in mode RGBA, its transparent colour compared in all 16 bits.

    Pillow keeps the high bytes of the pixels only, which other colours may share with the transparent one. A picture of
    any other kind is returned as it is.

    Raises what Pillow raises at a damaged picture.
    """
    key = picture.info.get("transparency")
    if not isinstance(picture, PngImageFile) or raw_mode(picture) != "RGB;16B" or not isinstance(key, tuple):
        return picture
    assert picture.fp is not None
    picture.fp.seek(0)
    with Image.open(picture.fp, formats=("PNG",)) as low:
        assert isinstance(low, PngImageFile)
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # the wrong byte order: it keeps the low bytes
        low.load()
    picture.load()
    levels = [value >> 8 for value in key] + [value & 255 for value in key]
    invisible = equals([*picture.split(), *low.split()], levels)
    exact = Image.merge("RGBA", (*picture.split(), ImageChops.invert(invisible)))
    exact.info = {name: value for name, value in picture.info.items() if name != "transparency"}
    exact.format = picture.format
    return exact
