"""One source picture, as a listing finds it."""

import os
from collections.abc import Collection
from typing import NamedTuple

from thumbmill.imaging.signatures import MASTER_EXTENSIONS

# A file with one of these, in any case, counts as a picture: the usual extensions of imaging.reader.READABLE_FORMATS,
# and those of HEIC, which needs a library of its own (a picture without it says so).
EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".png", ".apng", ".webp", ".avif", ".avifs",
    ".gif", ".tif", ".tiff", ".bmp", ".dib", ".heic", ".heics", ".heif", ".heifs", ".hif",
})  # fmt: skip


class Picture(NamedTuple):
    """One source: its path below the source folder, its size in bytes, whether it can be opened for reading, its date.

    The date is in nanoseconds since the epoch; of a link, the later of its own and its target's, as Snakemake has it.
    The mark is another one if another file has taken this one's place, whatever its size and date: when its inode last
    changed (of a link, the sum of its own time and its target's), or an object's ETag; 0 if it is not known.
    A picture that cannot be read is in the catalogue too, and so is a folder that cannot be listed (its name ends in
    a slash): their jobs fail, alone, and say so.
    """

    name: str
    bytes: int
    readable: bool
    time: int = 0
    mark: int | str = 0


class Stamp(NamedTuple):
    """What differs between two versions of a file: its date in nanoseconds since the epoch, and its size in bytes."""

    time: int
    bytes: int


def extensions_to_read(read: Collection[str]) -> frozenset[str]:
    """Return the EXTENSIONS, and those of the formats that the setting `read` adds."""
    return EXTENSIONS.union(*(MASTER_EXTENSIONS[format.removeprefix("+")] for format in read))


def is_picture_name(name: str, extensions: Collection[str] = EXTENSIONS) -> bool:
    """Whether a file of this name counts as a picture: whether it has one of the `extensions`, in any case."""
    return os.path.splitext(name)[1].lower() in extensions
