"""AVIF and HEIC files: which of the two one is, and those properties of its picture that Pillow passes over.

Both are boxes within boxes: ISO/IEC 14496-12 (ISOBMFF), 23008-12 (HEIF) and 23000-22 (MIAF). Rotation and mirroring are
not here, because libavif and libheif read them themselves.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
GENERAL_BRANDS = {b"mif1", b"msf1"}  # of a picture in whatever coding; what else the file says decides

MAX_BOXES = 1000  # boxes of a file that are skipped on the way to those that are read
MAX_BOX_BYTES = 4 * 1024 * 1024  # of one box that is read

MAX_HEADER_BYTES = 4096  # of AV1 data, in which their header is looked for
SAMPLE_ENTRY_HEADER = 78  # bytes of a VisualSampleEntry before its boxes
MAX_PLAYS = 2**31 - 1  # more count as endlessly, as with libavif
INDEFINITE = {4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}  # a duration, by its length in bytes


class Clap(NamedTuple):
    """A CleanApertureBox: the part of a stored picture that is to be shown, in its pixels."""

    width: Fraction
    height: Fraction
    right: Fraction  # how far its centre is from the picture's
    down: Fraction


class Nclx(NamedTuple):
    """Colours by the code points of ITU-T H.273."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool

    @property
    def is_srgb(self) -> bool:
        """Whether the colours are sRGB's or unspecified, as far as the decoder leaves anything to do."""
        return self.primaries in (1, 2) and self.transfer in (2, 13)


class Properties(NamedTuple):
    """What a file says of the picture that is decoded: its primary item, or its first track if it is an animation."""

    clap: Clap | None = None
    nclx: Nclx | None = None
    plays: int = 0  # how often an animation runs; 0: endlessly
    coded_at: int | None = None  # where its AV1 data begin in the file, if they are in one place


class Box(NamedTuple):
    """A box in bytes that were read: its kind, and where its content starts and ends."""

    kind: bytes
    start: int
    end: int


def coding(start: bytes) -> str | None:
    """Return AVIF or HEIC if a file that begins with `start` is one of them, by its brands; None if it is neither.

    A file may list both as compatible: it counts as AVIF then, for which no further library is needed.
    """
    if start[4:8] != b"ftyp":
        return None
    length = int.from_bytes(start[:4], "big")
    major = start[8:12]
    compatible = {start[at : at + 4] for at in range(16, min(length, len(start)) - 3, 4)}
    if major in AVIF_BRANDS or (major not in HEIC_BRANDS and compatible & AVIF_BRANDS):
        return "AVIF"
    if (HEIC_BRANDS | GENERAL_BRANDS) & {major, *compatible}:
        return "HEIC"
    return None


def read_properties(file: BinaryIO) -> Properties:
    """Return the properties of the picture in an AVIF or HEIC `file`.

    Raises ValueError if its boxes are malformed.
    """
    try:
        found = top_level_boxes(file, {b"ftyp", b"meta", b"moov"})
        major = found.get(b"ftyp", b"")[:4]
        # Which of the two libavif decodes if a file has both.
        if b"moov" in found and (major == b"avis" or (major != b"avif" and has_pictures(found[b"moov"]))):
            properties = track_properties(found[b"moov"])
        else:
            properties = item_properties(found[b"meta"]) if b"meta" in found else Properties()
        if properties.nclx is None and properties.coded_at is not None:
            return properties._replace(nclx=coded_colours(file, properties.coded_at))
        return properties
    except (struct.error, IndexError) as error:
        raise ValueError("a box that is cut") from error
    except ZeroDivisionError as error:
        raise ValueError("a denominator of 0") from error


def coded_colours(file: BinaryIO, at: int) -> Nclx | None:
    """Return the colours that AV1 data state themselves. Raises ValueError if they are cut."""
    from thumbmill.imaging import av1  # which few files need: most encoders put them into the container, too

    file.seek(min(at, file.seek(0, 2)))
    colours = av1.read_colours(file.read(MAX_HEADER_BYTES))
    return Nclx(*colours) if colours else None


def top_level_boxes(file: BinaryIO, kinds: set[bytes]) -> dict[bytes, bytes]:
    """Return the content of the first box of each of these `kinds`. Raises ValueError if one is too large."""
    size = file.seek(0, 2)
    found: dict[bytes, bytes] = {}
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > size or found.keys() == kinds:
            break
        file.seek(position)
        start = file.read(16)
        length, kind, header = int.from_bytes(start[:4], "big"), start[4:8], 8
        if length == 1:
            length, header = int.from_bytes(start[8:], "big"), 16
        elif length == 0:
            length = size - position
        if length < header:
            raise ValueError(f"a box of {length} bytes")
        if kind in kinds and kind not in found:
            if length > MAX_BOX_BYTES:
                raise ValueError(f"a box of {length:,} bytes where the properties are")
            file.seek(position + header)
            found[kind] = file.read(length - header)
        position += length
    return found


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes in `data` from `start` to `end`. Raises ValueError if one does not fit."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if length == 1:
            (length,), header = struct.unpack_from(">Q", data, start + 8), 16
        elif length == 0:
            length = end - start
        if not header <= length <= end - start:
            raise ValueError(f"a box of {length:,} bytes where {end - start:,} are left")
        yield Box(kind, start + header, start + length)
        start += length


def descendants(data: bytes, path: list[bytes], within: Box | None = None) -> list[Box]:
    """Return the boxes at the end of a `path` of kinds, all of them if there are several. Raises ValueError."""
    found = [within or Box(b"", 0, len(data))]
    for kind in path:
        found = [box for parent in found for box in boxes(data, parent.start, parent.end) if box.kind == kind]
    return found


# Items


def item_properties(meta: bytes) -> Properties:
    """Return the properties of the primary item. Raises ValueError, struct.error or IndexError if malformed."""
    inside = Box(b"meta", 4, len(meta))  # after version and flags
    primary = None
    for box in descendants(meta, [b"pitm"], inside):
        primary = int.from_bytes(meta[box.start + 4 : box.start + (6 if meta[box.start] == 0 else 8)], "big")
    available = [
        each
        for container in descendants(meta, [b"iprp", b"ipco"], inside)
        for each in boxes(meta, container.start, container.end)
    ]
    chosen = [
        available[number - 1]
        for box in descendants(meta, [b"iprp", b"ipma"], inside)
        for item, number in associations(meta, box)
        if item == primary and number
    ]
    return described(meta, chosen)._replace(coded_at=item_start(meta, inside, primary))


def item_start(meta: bytes, inside: Box, item: int | None) -> int | None:
    """Return where in the file the data of an AV1 item begin: ISO/IEC 14496-12, 8.11.3. None if it is none."""
    for box in descendants(meta, [b"iinf"], inside):
        for entry in boxes(meta, box.start + (6 if meta[box.start] == 0 else 8), box.end):
            length = 2 if meta[entry.start] == 2 else 4
            at = entry.start + 4 + length
            if int.from_bytes(meta[entry.start + 4 : at], "big") == item and meta[at + 2 : at + 6] != b"av01":
                return None
    for box in descendants(meta, [b"iloc"], inside):
        for number, in_file, start in locations(meta, box):
            if number == item:
                return start if in_file else None
    return None


def locations(meta: bytes, iloc: Box) -> Iterator[tuple[int, bool, int]]:
    """Yield (item, whether its data are in the file itself, where they begin). Raises ValueError if `iloc` is cut."""
    at = iloc.start + 6

    def take(length: int) -> int:
        nonlocal at
        at += length
        if at > iloc.end:
            raise ValueError("a table of items that is cut")
        return int.from_bytes(meta[at - length : at], "big")

    version = meta[iloc.start]
    offset_length, length_length = divmod(meta[iloc.start + 4], 16)
    base_length, index_length = divmod(meta[iloc.start + 5], 16)
    for _ in range(take(2 if version < 2 else 4)):
        item = take(2 if version < 2 else 4)
        method = take(2) & 15 if version else 0
        source, base, starts = take(2), take(base_length), []
        for _ in range(take(2)):
            take(index_length if version else 0)
            starts.append(take(offset_length))
            take(length_length)
        yield item, method == source == 0 and bool(starts), base + (starts[0] if starts else 0)


def associations(meta: bytes, ipma: Box) -> Iterator[tuple[int, int]]:
    """Yield (item, number of a property, from 1 on) of an ItemPropertyAssociationBox. Raises struct.error if cut."""
    version, flags, count = struct.unpack_from(">B3sI", meta, ipma.start)
    item_form, number_form = (">I" if version else ">H"), (">H" if flags[2] & 1 else ">B")
    mask = 0x7FFF if flags[2] & 1 else 0x7F  # without the bit that says that it is essential
    at = ipma.start + 8
    for _ in range(count):
        if at >= ipma.end:
            raise struct.error("fewer associations of properties than announced")
        (item,) = struct.unpack_from(item_form, meta, at)
        at += struct.calcsize(item_form)
        numbers = meta[at]
        at += 1
        for _ in range(numbers):
            (number,) = struct.unpack_from(number_form, meta, at)
            at += struct.calcsize(number_form)
            yield item, number & mask


def described(data: bytes, properties: list[Box]) -> Properties:
    """Return what these `properties` say. Raises ValueError, struct.error or ZeroDivisionError if one is malformed."""
    clap, nclx = None, None
    for box in properties:
        if box.kind == b"clap" and clap is None:
            numbers = struct.unpack_from(">IIIIiIiI", data, box.start)
            clap = Clap(*(Fraction(*numbers[at : at + 2]) for at in range(0, 8, 2)))
        elif box.kind == b"colr" and nclx is None and data[box.start : box.start + 4] == b"nclx":
            primaries, transfer, matrix, full_range = struct.unpack_from(">HHHB", data, box.start + 4)
            nclx = Nclx(primaries, transfer, matrix, full_range >= 0x80)
    return Properties(clap, nclx)


def shown_part(clap: Clap, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return what `clap` shows of a stored picture of `size` (width, height): left, top, right, bottom, in pixels.

    Return None if that is nothing.
    """
    left = Fraction(size[0]) / 2 + clap.right - clap.width / 2
    top = Fraction(size[1]) / 2 + clap.down - clap.height / 2
    edges = (round(left), round(top), round(left + clap.width), round(top + clap.height))
    part = (max(0, edges[0]), max(0, edges[1]), min(size[0], edges[2]), min(size[1], edges[3]))
    return part if part[0] < part[2] and part[1] < part[3] else None


# Tracks


def has_pictures(moov: bytes) -> bool:
    """Whether one of the tracks is an AV1 animation. Raises ValueError or struct.error if `moov` is malformed."""
    return any(sample_entry(moov, track) for track in descendants(moov, [b"trak"]))


def sample_entry(moov: bytes, track: Box) -> Box | None:
    """Return the description of a track's AV1 pictures; None if it has none or they are the opacity of another's."""
    if descendants(moov, [b"tref", b"auxl"], track):
        return None
    for table in descendants(moov, [b"mdia", b"minf", b"stbl", b"stsd"], track):
        for entry in boxes(moov, table.start + 8, table.end):
            if entry.kind == b"av01":
                return entry
    return None


def track_properties(moov: bytes) -> Properties:
    """Return the properties of the first track of AV1 pictures. Raises ValueError or struct.error if malformed."""
    for track in descendants(moov, [b"trak"]):
        if entry := sample_entry(moov, track):
            inside = list(boxes(moov, entry.start + SAMPLE_ENTRY_HEADER, entry.end))
            return described(moov, inside)._replace(plays=track_plays(moov, track), coded_at=track_start(moov, track))
    return Properties()


def track_start(moov: bytes, track: Box) -> int | None:
    """Return where in the file the first picture of a track begins. Raises ValueError if its table is malformed."""
    for kind, length in ((b"stco", 4), (b"co64", 8)):
        for table in descendants(moov, [b"mdia", b"minf", b"stbl", kind], track):
            return int.from_bytes(moov[table.start + 8 : table.start + 8 + length], "big")
    return None


def track_plays(moov: bytes, track: Box) -> int:
    """Return how often a track runs (0: endlessly): ISO/IEC 23008-12, 9.6.1. Without an edit list that is endlessly."""
    edits = descendants(moov, [b"edts", b"elst"], track)
    headers = descendants(moov, [b"tkhd"], track)
    if not edits or not headers:
        return 0
    edit, header = edits[0], headers[0]
    if not moov[edit.start + 3] & 1:  # flags: the list is repeated until the track ends
        return 1
    once = number(moov, edit.start + 8, moov[edit.start])
    length = 8 if moov[header.start] == 1 else 4
    # Behind version, flags, two times, the track's number and a reserved one.
    whole = number(moov, header.start + 4 + 2 * length + 8, moov[header.start])
    plays = -(-whole // once) if once else 0
    return 0 if whole == INDEFINITE[length] or plays > MAX_PLAYS else plays


def number(data: bytes, at: int, version: int) -> int:
    """Return a number in a box of this `version`: of 64 bits in 1, else of 32."""
    return int.from_bytes(data[at : at + (8 if version == 1 else 4)], "big")
