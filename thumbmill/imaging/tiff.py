"""TIFF files that Pillow misreads, and what the others are that it cannot identify."""

import struct
from typing import Any, BinaryIO

from PIL import Image, TiffImagePlugin

# Tags of TIFF 6.0 and, from 40,000 on, of its supplements.
BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 258, 259, 262, 274, 277
PLANAR_CONFIGURATION = 284
INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING, PROFILE = 332, 338, 339, 530, 34675

SEPARATE = 2  # value of PLANAR_CONFIGURATION: all of one colour, then all of the next
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # values of SAMPLE_FORMAT
ASSOCIATED, UNASSOCIATED = 1, 2  # values of EXTRA_SAMPLES: transparency, premultiplied or not
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9

COMPRESSIONS = {
    34661: "JBIG", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34712: "JPEG 2000", 33003: "JPEG 2000",
    33004: "JPEG 2000", 33005: "JPEG 2000", 34887: "LERC", 34892: "JPEG", 34925: "LZMA", 34933: "PNG",
    34934: "JPEG XR", 22610: "JPEG XR", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
# The compressions that tifffile and imagecodecs know, and the kinds of colours that archive.py does.
DECODED = frozenset({
    1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 33003, 33004, 33005, 34712, 34887, 34892, 34925, 34933, 34934, 22610,
    50000, 50001, 50002, 52546,
})  # fmt: skip
KNOWN_COLOURS = (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR, CIELAB, ICCLAB)
WEBP = 50001
FAX = (2, 3, 4)  # compressions whose 0 is white unless a file says otherwise, as libtiff has it

COLOURS = {
    PALETTE: "palette", SEPARATED: "CMYK", YCBCR: "YCbCr", CIELAB: "L*a*b*", ICCLAB: "L*a*b*", 10: "L*a*b*",
    32803: "raw camera", 32844: "LogL", 32845: "LogLuv", 34892: "raw camera",
}  # fmt: skip
SAMPLE_FORMATS = {SIGNED: "signed ", FLOAT: "floating-point ", 5: "complex ", 6: "complex "}

# What Pillow takes pixels of a big-endian file for after libtiff has put them into the machine's order.
NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}

TYPE_SIZES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # the integers among the types of TIFF and BigTIFF
MAX_VALUES = 64  # of a tag that counts here


class CorrectedTiff(TiffImagePlugin.TiffImageFile):
    """A TIFF that Pillow is to unpack as `rawmode`, in another `mode` than it would choose."""

    def __init__(self, file: BinaryIO, mode: str, rawmode: str):
        file.seek(0)
        super().__init__(file)
        self._mode, tiles = mode, self.tile
        self.tile: list[Any] = [tile._replace(args=(rawmode, *tile.args[1:])) for tile in tiles]


def corrected(picture: TiffImagePlugin.TiffImageFile, file: BinaryIO) -> Image.Image | None:
    """Return the opened `picture` so that Pillow decodes it rightly; None if it cannot decode it.

    Pillow 13 decodes these TIFFs wrongly: subsampled YCbCr without compression; separate planes, unless they are of
    8-bit RGB or CMYK; big-endian deep pictures with compression; unsigned numbers of 32 bits and signed ones of 8; and
    pictures that do not say whether 0 is white.
    """
    tags = picture.tag_v2
    if tags.get(COMPRESSION) == WEBP:
        return None  # which the libtiff in Pillow's wheels does not know
    codec, *_, arguments = picture.tile[0] if picture.tile else ("", ())
    is_in_planes = tags.get(PLANAR_CONFIGURATION) == SEPARATE
    if is_in_planes and (picture.mode in ("LA", "La", "PA", "LAB") or len(set(tags.get(EXTRA_SAMPLES, ()))) > 1):
        return None
    is_subsampled = tags.get(PHOTOMETRIC) == YCBCR and tags.get(SUBSAMPLING, (2, 2)) != (1, 1)
    if codec == "raw" and (is_subsampled or (is_in_planes and not has_simple_planes(picture))):
        # libtiff can, but is only asked about compressed pictures. For the moment that this lasts it may read another
        # thread's picture as well, in the same colours.
        TiffImagePlugin.READ_LIBTIFF = True
        try:
            return Image.open(file, formats=("TIFF",))
        finally:
            TiffImagePlugin.READ_LIBTIFF = False
    if not isinstance(arguments, tuple) or not arguments:
        return picture
    mode, rawmode = picture.mode, arguments[0]
    format, bits = first(tags.get(SAMPLE_FORMAT, UNSIGNED)), first(tags.get(BITS_PER_SAMPLE, 1))
    if codec == "libtiff":
        rawmode = NATIVE.get(rawmode, rawmode)
    if mode == "I" and format == UNSIGNED and bits == 32:
        mode, rawmode = "F", "F;32N" if codec == "libtiff" else "F;32"
    elif mode == "L" and format == SIGNED:
        mode, rawmode = "I", "I;8S"
    elif mode in ("1", "L") and PHOTOMETRIC not in tags and tags.get(COMPRESSION, 1) not in FAX:
        rawmode = rawmode.replace("I", "").rstrip(";")  # without the inversion
    return picture if rawmode == arguments[0] else CorrectedTiff(file, mode, rawmode)


def has_simple_planes(picture: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether Pillow can read uncompressed planes of this kind: it forgets what they hold, all but one letter."""
    tags = picture.tag_v2
    is_plain = tags.get(PHOTOMETRIC) in (RGB, SEPARATED) and set(tags.get(BITS_PER_SAMPLE, ())) == {8}
    return is_plain and all(tile.args and tile.args[0] in picture.getbands() for tile in picture.tile)


def first(value: int | tuple[int, ...]) -> int:
    """Return the first of a tag's values."""
    return value[0] if isinstance(value, tuple) else value


def describe(file: BinaryIO) -> tuple[str, bool] | None:
    """Return what the first picture of the TIFF in `file` is, and whether the extra `.[archive]` may decode it.

    None if its directory cannot be read.
    """
    try:
        tags = read_tags(file)
    except (struct.error, ValueError, OverflowError, OSError):  # an offset may lead anywhere
        return None
    if not {256, 257} <= tags.keys() or not all(first(tags[side]) for side in (256, 257)):
        return None
    depths = tags.get(BITS_PER_SAMPLE, (1,))
    if not 0 < min(depths) <= max(depths) <= 64:
        return None
    number, photometric = first(tags.get(COMPRESSION, 1)), first(tags.get(PHOTOMETRIC, BLACK_IS_ZERO))
    compression = COMPRESSIONS.get(number, "" if number in DECODED else f"number {number}")
    bits = "/".join(map(str, sorted(set(depths))))
    sign = SAMPLE_FORMATS.get(first(tags.get(SAMPLE_FORMAT, UNSIGNED)), "")
    colours = COLOURS.get(photometric, "grey" if first(tags.get(SAMPLES, 1)) <= 2 else "RGB")
    transparent = bool(tags.get(EXTRA_SAMPLES)) and first(tags[EXTRA_SAMPLES]) in (ASSOCIATED, UNASSOCIATED)
    what = (
        f"a TIFF of {bits}-bit {sign}{colours}{' with transparency' if transparent else ''}"
        f"{f', compressed as {compression}' if compression else ''}"
        f"{' (big-endian BigTIFF)' if is_big_endian_bigtiff(file) else ''}"
    )
    return what, number in DECODED and photometric in KNOWN_COLOURS


def is_big_endian_bigtiff(file: BinaryIO) -> bool:
    """Whether `file` begins as a BigTIFF in big-endian byte order, which Pillow takes for an ordinary TIFF."""
    file.seek(0)
    return file.read(4) == b"MM\0+"


def read_tags(file: BinaryIO) -> dict[int, tuple[int, ...]]:
    """Return the integers in the first directory of the TIFF or BigTIFF in `file`, by tag, up to MAX_VALUES of each.

    Raises struct.error or ValueError if there is no directory.
    """
    file.seek(0)
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    big = 43 in start[2:4]
    number, entry = ("Q", "HHQ8s") if big else ("I", "HHI4s")
    (at,) = struct.unpack_from(order + number, start, 8 if big else 4)
    file.seek(at)
    (count,) = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
    size = struct.calcsize("<" + entry)
    entries = file.read(min(count, 4096) * size)
    tags = {}
    for place in range(0, len(entries) - size + 1, size):
        tag, kind, length, value = struct.unpack_from(order + entry, entries, place)
        if kind not in TYPE_SIZES:
            continue
        format = f"{order}{min(length, MAX_VALUES)}{TYPE_SIZES[kind]}"
        if struct.calcsize(f"<{TYPE_SIZES[kind]}") * length > len(value):
            file.seek(struct.unpack(order + number, value)[0])
            value = file.read(struct.calcsize(format))
        values = struct.unpack_from(format, value) if len(value) >= struct.calcsize(format) else ()
        if values:
            tags[tag] = values
    if not tags:
        raise ValueError("no directory")
    return tags
