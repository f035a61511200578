"""ICC profiles for tests (ICC.1:2001-04, the version that every reader knows), and what their colours are in sRGB."""

import struct
from collections.abc import Iterable

import numpy


def fixed(*values: float) -> bytes:
    """Return `values` as s15Fixed16Number, section 5.3.3."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", connection: bytes = b"XYZ ") -> bytes:
    """Return an ICC profile of a colour `space`, with the tags that every profile needs added."""
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": description, b"cprt": b"text" + bytes(4) + b"-\0", b"wtpt": xyz(0.9642, 1, 0.8249), **tags}
    table, content, start = b"", b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(content), b"", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content


def xyz(*values: float) -> bytes:
    """Return a tag of type XYZType."""
    return b"XYZ " + bytes(4) + fixed(*values)


def gamma(exponent: float) -> bytes:
    """Return a tag of type curveType that holds an exponent."""
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256))


# Adobe RGB (1998), adapted to D50: rows are X, Y, Z.


ADOBE = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))


# sRGB from XYZ at D50 (the inverse of the matrix in the ICC's sRGB profile).
SRGB = ((3.13386, -1.61687, -0.49062), (-0.97877, 1.91614, 0.03345), (0.07195, -0.22899, 1.40539))


def wide_gamut() -> bytes:
    """Return an RGB profile: Adobe RGB (1998), with an exponent of 2.2."""
    columns = {
        name: xyz(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), zip(*ADOBE, strict=True), strict=True)
    }
    return profile(b"RGB ", columns | {name: gamma(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")})


def matrix_profile(primaries: Iterable[tuple[float, float]], white: tuple[float, float], curve: bytes) -> bytes:
    """Return an RGB profile from the chromaticities (x, y) of its primaries and white, adapted to D50 (Bradford)."""
    bradford = numpy.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    columns = numpy.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    light = numpy.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    to_xyz = columns * numpy.linalg.solve(columns, light)
    cones = (bradford @ [0.9642, 1, 0.8249]) / (bradford @ light)
    to_xyz = numpy.linalg.inv(bradford) @ numpy.diag(cones) @ bradford @ to_xyz
    tags = {name: xyz(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz.T, strict=True)}
    return profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def srgb_tone_curve() -> bytes:
    """Return a tag of type curveType that holds sRGB's curve at 1,024 points."""
    points = [number / 1023 for number in range(1024)]
    lights = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in points]
    return b"curv" + bytes(4) + struct.pack(">I1024H", 1024, *(round(light * 65_535) for light in lights))


D65, D50 = (0.3127, 0.329), (0.3457, 0.3585)


# Working spaces: primaries, white, curve; a colour of each, and its sRGB equivalent (computed with colour-science 0.4).


SPACES = {
    "srgb": (((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), D65, srgb_tone_curve, (200, 100, 50), (200, 100, 50)),
    "display-p3": (((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), D65, srgb_tone_curve, (200, 100, 50), (215, 93, 31)),
    "adobe-rgb": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, lambda: gamma(2.2), (200, 100, 50), (227, 100, 42)),
    "prophoto": (
        ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
        D50,
        lambda: gamma(1.8),
        (120, 110, 100),
        (150, 127, 118),
    ),
}


def linear_grey() -> bytes:
    """Return a grey profile in which twice the number is twice the light."""
    return profile(b"GRAY", {b"kTRC": gamma(1)})


def ink_profile() -> bytes:
    """Return a CMYK profile of grey inks: full cyan, magenta or yellow takes away 30, 30 or 10 of 100 L*."""
    table = b""
    for number in range(16):
        cyan, magenta, yellow, black = (number >> bit & 1 for bit in (3, 2, 1, 0))
        table += bytes([round(255 * (1 - black) * (1 - 0.3 * cyan - 0.3 * magenta - 0.1 * yellow)), 128, 128])
    curve, unchanged = bytes(range(256)), fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    to_lab = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unchanged + curve * 4 + table + curve * 3
    return profile(b"CMYK", {b"A2B0": to_lab}, kind=b"prtr", connection=b"Lab ")


def srgb_curve(light: float) -> int:
    """Return the sRGB number (0 to 255) for an amount of light (0 to 1): IEC 61966-2-1."""
    light = min(1, max(0, light))
    return round(255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


def adobe_to_srgb(colour: tuple[int, int, int]) -> tuple[int, ...]:
    """Return what `colour` of the profile wide_gamut() is in sRGB, by the formulas."""
    light = [(value / 255) ** 2.2 for value in colour]
    in_xyz = [sum(a * b for a, b in zip(row, light, strict=True)) for row in ADOBE]
    return tuple(srgb_curve(sum(a * b for a, b in zip(row, in_xyz, strict=True))) for row in SRGB)
