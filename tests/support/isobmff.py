"""AVIF and HEIC files with boxes that their encoders do not write: those that they do write, with more put in."""

import struct

HEADERS = {b"meta": 4, b"stsd": 8, b"av01": 78}  # bytes before the boxes within, if any


def box(kind: bytes, content: bytes) -> bytes:
    """Return a box."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def size_of(content: bytes | bytearray, start: int) -> int:
    """Return the size of the box that starts there."""
    return int.from_bytes(content[start : start + 4], "big")


def find(content: bytes | bytearray, *path: bytes) -> list[int]:
    """Return where the boxes along a `path` of kinds start, the first of each kind."""
    starts: list[int] = []
    at, end = 0, len(content)
    for kind in path:
        while content[at + 4 : at + 8] != kind:
            at += size_of(content, at)
            assert at < end, f"no {kind!r}"
        starts.append(at)
        end = at + size_of(content, at)
        at += 8 + HEADERS.get(kind, 0)
    return starts


def insert(content: bytearray, path: list[bytes], at: int, addition: bytes) -> None:
    """Put an `addition` into the box at the end of `path`, `at` a position in the file before all its pixels."""
    for start in find(content, *path):
        increase(content, start, len(addition))
    content[at:at] = addition
    items = find(content, b"meta", b"iloc")[-1]
    for number in range(int.from_bytes(content[items + 14 : items + 16], "big")):
        increase(content, items + 16 + 14 * number + 6, len(addition))
    start = 0
    while (start := content.find(b"stco", start + 1)) > 0:
        for number in range(int.from_bytes(content[start + 8 : start + 12], "big")):
            increase(content, start + 12 + 4 * number, len(addition))


def increase(content: bytearray, at: int, value: int) -> None:
    """Add `value` to the 32-bit number `at` a position."""
    struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + value)


def append(content: bytearray, path: list[bytes], addition: bytes) -> None:
    """Put an `addition` at the end of the box at `path`."""
    start = find(content, *path)[-1]
    insert(content, path, start + size_of(content, start), addition)


def with_properties(avif: bytes, *properties: bytes) -> bytes:
    """Return an AVIF file of Pillow's whose picture has more `properties`, each marked as essential.

    If it is an animation, its first track has them, too.
    """
    made = bytearray(avif)
    start = find(made, b"meta", b"iprp", b"ipco")[-1]
    at, last = start + 8, 0
    while at < start + size_of(made, start):
        at, last = at + size_of(made, at), last + 1
    append(made, [b"meta", b"iprp", b"ipco"], b"".join(properties))
    # The first item is the primary one. Its number is in two bytes, how many properties it has in one.
    count = find(made, b"meta", b"iprp", b"ipma")[-1] + 18
    numbers = bytes(0x80 | (last + 1 + number) for number in range(len(properties)))
    insert(made, [b"meta", b"iprp", b"ipma"], count + 1 + made[count], numbers)
    made[count] += len(numbers)
    if b"moov" in made:
        append(made, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01"], b"".join(properties))
    return bytes(made)


def clap(width: int, height: int, right: tuple[int, int] = (0, 1), down: tuple[int, int] = (0, 1)) -> bytes:
    """Return a CleanApertureBox; `right` and `down` are fractions: how far its centre is from the picture's."""
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, *right, *down))


def irot(quarter_turns: int) -> bytes:
    """Return an ImageRotation: anticlockwise."""
    return box(b"irot", bytes([quarter_turns]))


def imir(axis: int) -> bytes:
    """Return an ImageMirror: 0 exchanges top and bottom, 1 left and right."""
    return box(b"imir", bytes([axis]))


def with_nclx(content: bytes, primaries: int, transfer: int) -> bytes:
    """Return an AVIF or HEIC file that states these colours wherever it states any."""
    made = bytearray(content)
    start = 0
    while (start := made.find(b"colrnclx", start)) > 0:
        struct.pack_into(">HH", made, start + 8, primaries, transfer)
        start += 8
    return bytes(made)
