"""What a file says about its colours, as an ICC profile, wherever it says it.

The section numbers of PNG are those of the W3C's specification, third edition.
"""

import struct
from typing import BinaryIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from thumbmill.imaging.icc import (
    D65,
    SRGB_PRIMARIES,
    Chromaticity,
    Primaries,
    cicp_profile,
    gamma_curve,
    is_specified,
    resembles_srgb,
    rgb_profile,
    srgb_curve,
)
from thumbmill.imaging.png import chunks

# The headers of BMP ([MS-WMF], 2.2.2.4 and 2.2.2.5), behind the 14 bytes of the file's own: in version 4 x, y, z of
# red, green and blue, and their gammas; in version 5 also where the profile is, and its size. At 56 is which of these
# counts.
FILE_HEADER = 14
BITMAP_V4 = struct.Struct("<60x9i3I")
BITMAP_V5 = struct.Struct("<112xII4x")
CALIBRATED_RGB = b"\0\0\0\0"
PROFILE_EMBEDDED = b"DEBM"
MAX_PROFILE_BYTES = 16 * 1024 * 1024


def declared_profile(picture: Image.Image, file: BinaryIO) -> bytes | None:
    """Return the ICC profile of a freshly opened picture, embedded or built from what it declares.

    None if it is sRGB; empty if parts of its profile are missing. `file` is what `picture` was opened from; its
    position stays the same.
    """
    if picture.format == "PNG":
        return png_profile(picture, file)
    if profile := picture.info.get("icc_profile"):
        return profile
    if isinstance(picture, JpegImageFile):
        return late_jpeg_profile(picture)
    if picture.format == "BMP":
        return bitmap_profile(file)
    return None


def read_at(file: BinaryIO, start: int, length: int) -> bytes:
    """Return up to `length` bytes of `file` from `start`, and leave its position as it is."""
    position = file.tell()
    file.seek(start)
    content = file.read(length)
    file.seek(position)
    return content


# PNG


def png_profile(picture: Image.Image, file: BinaryIO) -> bytes | None:
    """Return the profile of a PNG; None if it is sRGB.

    By section 4.3 its chunk cICP counts most, then iCCP, then sRGB, and then gAMA and cHRM.
    """
    if code_points := png_code_points(picture, file):
        return cicp_profile(*code_points)
    if profile := picture.info.get("icc_profile"):
        return profile
    if "srgb" in picture.info:
        return None
    gamma, chromaticities = picture.info.get("gamma"), picture.info.get("chromaticity")
    white, red, green, blue = D65, *SRGB_PRIMARIES
    if chromaticities:
        white, red, green, blue = zip(chromaticities[::2], chromaticities[1::2], strict=True)
    return calibrated_profile((red, green, blue), white, (1 / gamma,) * 3 if gamma else None)


def png_code_points(picture: Image.Image, file: BinaryIO) -> tuple[int, int] | None:
    """Return ColourPrimaries and TransferCharacteristics of the cICP chunk, which Pillow skips; None if there is none.

    Also None unless it is for RGB of the full range (section 11.3.2.6), and both numbers are specified.
    """
    tiles = getattr(picture, "tile", [])
    header = read_at(file, 0, tiles[0].offset) if tiles else b""
    if b"cICP" not in header:
        return None
    for chunk in chunks(header):
        if chunk.kind == b"cICP" and chunk.end - chunk.start == 16:
            primaries, transfer, matrix, full_range = header[chunk.start + 8 : chunk.start + 12]
            if (matrix, full_range) == (0, 1) and is_specified(primaries, transfer):
                return primaries, transfer
    return None


def calibrated_profile(
    primaries: Primaries, white: Chromaticity, gammas: tuple[float, float, float] | None
) -> bytes | None:
    """Return the profile of RGB with a gamma for each channel, or sRGB's curve; None if that is sRGB, or nonsense.

    The primaries of sRGB with a gamma of 2.2, or nearly that, are the usual approximation of sRGB.
    """
    if gammas and not all(0.1 <= gamma <= 10 for gamma in gammas):
        gammas = None
    if resembles_srgb(primaries, white) and (not gammas or all(abs(gamma - 2.2) <= 0.03 for gamma in gammas)):
        return None
    red, green, blue = map(gamma_curve, gammas) if gammas else (srgb_curve(),) * 3
    try:
        return rgb_profile(primaries, white, (red, green, blue))
    except (ValueError, struct.error):  # no colour space, or one beyond what a profile can hold
        return None


# JPEG


def late_jpeg_profile(picture: JpegImageFile) -> bytes | None:
    """Return the profile that follows a JPEG's frame header, where Pillow no longer looks; None if there is none.

    Empty if parts are missing. ICC.1:2022, B.4: each part has a number and says how many there are.
    """
    parts = sorted(
        content[12:]
        for name, content in picture.applist
        if name == "APP2" and content.startswith(b"ICC_PROFILE\0") and len(content) > 14
    )
    if not parts:
        return None
    if [part[0] for part in parts] != list(range(1, parts[0][1] + 1)):
        return b""
    return b"".join(part[2:] for part in parts)


# BMP


def bitmap_profile(file: BinaryIO) -> bytes | None:
    """Return the profile of a BMP whose header has version 4 or 5, embedded or calibrated; None if it is sRGB."""
    header = read_at(file, FILE_HEADER, BITMAP_V5.size)
    length = int.from_bytes(header[:4], "little")
    if length == BITMAP_V5.size == len(header) and header[56:60] == PROFILE_EMBEDDED:
        start, size = BITMAP_V5.unpack(header)
        return read_at(file, FILE_HEADER + start, min(size, MAX_PROFILE_BYTES)) or None
    if length < BITMAP_V4.size or len(header) < BITMAP_V4.size or header[56:60] != CALIBRATED_RGB:
        return None
    *numbers, red_gamma, green_gamma, blue_gamma = BITMAP_V4.unpack_from(header)
    red, green, blue = (chromaticity(*numbers[start : start + 3], has_z=any(numbers[2::3])) for start in (0, 3, 6))
    gammas = tuple(gamma / 65_536 for gamma in (red_gamma, green_gamma, blue_gamma))
    # Some writers store the exponent of the encoder. White is not stored: browsers take that of sRGB.
    red_gamma, green_gamma, blue_gamma = (1 / gamma if 0 < gamma < 1 else gamma for gamma in gammas)
    return calibrated_profile((red, green, blue), D65, (red_gamma, green_gamma, blue_gamma))


def chromaticity(x: int, y: int, z: int, *, has_z: bool) -> Chromaticity:
    """Return the chromaticity of an endpoint: tristimulus values or chromaticities, as FXPT2DOT30.

    Some writers store x and y only. (0, 0) stands for one that cannot be.
    """
    total = x + y + z if has_z else 2**30
    return (x / total, y / total) if total else (0.0, 0.0)
