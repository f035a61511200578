"""ICC profiles built from numbers: for pictures that say what their colours are, but embed no profile.

ICC.1:2022 (profile version 4.4); ITU-T H.273 (07/2024) for the code points.
"""

import math
import struct
from collections.abc import Callable
from functools import cache, partial

Chromaticity = tuple[float, float]  # CIE 1931 x, y
Primaries = tuple[Chromaticity, Chromaticity, Chromaticity]  # of red, green and blue
Matrix = list[list[float]]  # three rows of three

D50 = (0.9642, 1.0, 0.8249)  # X, Y, Z of the profile connection space: ICC.1:2022, 7.2.16
D65 = (0.3127, 0.329)
ILLUMINANT_C = (0.31, 0.316)
BRADFORD = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]  # ICC.1:2022, annex E

SRGB_PRIMARIES = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
SMPTE_C = ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))

# H.273, table 2: ColourPrimaries, as red, green, blue and white. 2 means that they are unspecified.
PRIMARIES = {
    1: (*SRGB_PRIMARIES, D65),
    2: (*SRGB_PRIMARIES, D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), ILLUMINANT_C),
    5: ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06), D65),
    6: (*SMPTE_C, D65),
    7: (*SMPTE_C, D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), ILLUMINANT_C),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: (*P3, (0.314, 0.351)),
    12: (*P3, D65),
    22: ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), D65),
}

# H.273, table 3: TransferCharacteristics. 2 means that it is unspecified. Those of video (1, 6, 11, 12, 14, 15)
# describe the camera. What displays make of them is close to sRGB's curve, which Chromium uses, too.
LIKE_SRGB = (1, 2, 6, 11, 12, 13, 14, 15)

REFERENCE_WHITE = 203.0  # cd/m2: ITU-R BT.2408, 2.1
PQ_PEAK = 10_000.0  # cd/m2
HLG_PEAK = 1000.0  # cd/m2: ITU-R BT.2100, table 5, the nominal display
KNEE = 0.7  # of the reference white
SAMPLES = 4096


@cache
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile for the ColourPrimaries and TransferCharacteristics of H.273; None if it would be sRGB's.

    Also None if one of the two is a number that H.273 reserves. What is unspecified (2) is taken to be sRGB's.

    PQ (16) and HLG (18) are tone-mapped, each channel on its own. Light up to 70 % of the reference white (203 cd/m2)
    stays as it is. The brighter it is above that, the more it is compressed: the reference white becomes 237 of 255,
    1,000 cd/m2 of PQ becomes 253, and only the largest value that can be stored becomes 255. HLG is shown as on the
    nominal display of BT.2100, which has a peak of 1,000 cd/m2 and a system gamma of 1.2.
    """
    if primaries not in PRIMARIES or (curve := transfer_curve(transfer)) is None:
        return None
    red, green, blue, white = PRIMARIES[primaries]
    if (red, green, blue) == SRGB_PRIMARIES and transfer in LIKE_SRGB:
        return None
    return rgb_profile((red, green, blue), white, (curve,) * 3)


def is_specified(primaries: int, transfer: int) -> bool:
    """Whether H.273 gives both numbers a meaning, other than that they are unspecified."""
    return primaries in PRIMARIES and primaries != 2 and transfer != 2 and transfer_curve(transfer) is not None


@cache
def transfer_curve(transfer: int) -> bytes | None:
    """Return the curve of a TransferCharacteristics as an ICC tag; None if H.273 has none of this number."""
    if transfer in LIKE_SRGB:
        return srgb_curve()
    if transfer in (4, 5):
        return gamma_curve(2.2 if transfer == 4 else 2.8)
    functions: dict[int, Callable[[float], float]] = {
        7: smpte_240m_light,
        8: lambda value: value,
        9: partial(logarithmic_light, decades=2),
        10: partial(logarithmic_light, decades=2.5),
        16: lambda value: tone_mapped(pq_luminance(value), PQ_PEAK),
        17: lambda value: value**2.6 * 52.37 / 48,
        18: lambda value: tone_mapped(hlg_luminance(value), HLG_PEAK),
    }
    return sampled_curve(functions[transfer]) if transfer in functions else None


def smpte_240m_light(value: float) -> float:
    """Return the light (0 to 1) of a value (0 to 1) of SMPTE 240M."""
    return value / 4 if value < 0.0913 else ((value + 0.1115) / 1.1115) ** (1 / 0.45)


def logarithmic_light(value: float, decades: float) -> float:
    """Return the light (0 to 1) of a value (0 to 1) that is its logarithm; `decades` is the range above black."""
    return 10 ** (decades * (value - 1)) if value > 0 else 0.0


def pq_luminance(value: float) -> float:
    """Return the cd/m2 of a value (0 to 1) of PQ: SMPTE ST 2084, section 5.1."""
    power = value ** (1 / 78.84375)
    return PQ_PEAK * (max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def hlg_luminance(value: float) -> float:
    """Return the cd/m2 that the nominal display shows for a value (0 to 1) of HLG: BT.2100, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = value**2 / 3 if value <= 0.5 else (math.exp((value - c) / a) + b) / 12
    return HLG_PEAK * scene**1.2


def tone_mapped(luminance: float, peak: float) -> float:
    """Return the light (0 to 1) that stands for a luminance (up to `peak`, both in cd/m2): see cicp_profile."""
    light = luminance / REFERENCE_WHITE
    if light <= KNEE:
        return light
    # Reinhard's extended operator, from the knee on: its slope is 1 there, and it reaches 1 at the peak.
    excess, largest = ((value - KNEE) / (1 - KNEE) for value in (light, peak / REFERENCE_WHITE))
    return KNEE + (1 - KNEE) * excess * (1 + excess / largest**2) / (1 + excess)


# Tags


def fixed(*values: float) -> bytes:
    """Return `values` as s15Fixed16Number: ICC.1:2022, 4.6. Raises struct.error if one is 32,768 or more."""
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))


def xyz(values: tuple[float, ...]) -> bytes:
    """Return a tag of type XYZType: ICC.1:2022, 10.31."""
    return b"XYZ " + bytes(4) + fixed(*values)


def text(words: str) -> bytes:
    """Return a tag of type multiLocalizedUnicodeType: ICC.1:2022, 10.15."""
    encoded = words.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def gamma_curve(exponent: float) -> bytes:
    """Return the curve whose light is the value to the power of `exponent`: ICC.1:2022, 10.18, function type 0."""
    return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + fixed(exponent)


def srgb_curve() -> bytes:
    """Return the curve of IEC 61966-2-1: ICC.1:2022, 10.18, function type 3."""
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def sampled_curve(light: Callable[[float], float]) -> bytes:
    """Return the curve of a function from values to light (both 0 to 1), sampled: ICC.1:2022, 10.6."""
    lights = [min(max(light(number / (SAMPLES - 1)), 0.0), 1.0) for number in range(SAMPLES)]
    samples = (round(each * 65_535) for each in lights)
    return b"curv" + bytes(4) + struct.pack(f">I{SAMPLES}H", SAMPLES, *samples)


# Profiles


def resembles_srgb(primaries: Primaries, white: Chromaticity) -> bool:
    """Whether these chromaticities are those of sRGB, rounding apart."""
    expected = zip((*SRGB_PRIMARIES, D65), (*primaries, white), strict=True)
    return all(abs(a - b) <= 0.0015 for one, other in expected for a, b in zip(one, other, strict=True))


def rgb_profile(primaries: Primaries, white: Chromaticity, curves: tuple[bytes, bytes, bytes]) -> bytes:
    """Return an ICC profile of RGB with the `primaries` (red, green, blue), the `white` and a tag of a curve for each.

    Raises ValueError if the chromaticities span no colour space.
    """
    adaptation = adaptation_to_d50(white)
    light = product(adaptation, rgb_to_xyz(primaries, white))
    tags = {
        b"desc": text("Declared colours"),
        b"cprt": text("No copyright, use freely"),
        b"wtpt": xyz(D50),
        b"chad": b"sf32" + bytes(4) + fixed(*(value for row in adaptation for value in row)),
    }
    for channel, column, curve in zip((b"r", b"g", b"b"), zip(*light, strict=True), curves, strict=True):
        tags |= {channel + b"XYZ": xyz(column), channel + b"TRC": curve}
    start = 132 + 12 * len(tags)
    table, content, places = b"", b"", {}
    for name, tag in tags.items():
        if tag not in places:  # tags may share their data: the three curves usually do
            places[tag] = start + len(content)
            content += tag + bytes(-len(tag) % 4)
        table += name + struct.pack(">II", places[tag], len(tag))
    header = struct.pack(">I4sI4s4s4s", start + len(content), b"", 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content


def rgb_to_xyz(primaries: Primaries, white: Chromaticity) -> Matrix:
    """Return the matrix from linear RGB to CIE XYZ in which (1, 1, 1) is the `white` with Y = 1.

    Raises ValueError if there is none.
    """
    columns = [(x, y, 1 - x - y) for x, y in primaries]
    matrix = [list(row) for row in zip(*columns, strict=True)]
    scale = applied(inverse(matrix), white_xyz(white))
    return [[value * factor for value, factor in zip(row, scale, strict=True)] for row in matrix]


def adaptation_to_d50(white: Chromaticity) -> Matrix:
    """Return the matrix from XYZ under `white` to XYZ under D50, by Bradford's transform: ICC.1:2022, annex E.

    Raises ValueError if there is none.
    """
    before, after = applied(BRADFORD, white_xyz(white)), applied(BRADFORD, D50)
    if min(before) <= 0:
        raise ValueError("a white without light")
    gains = [[after[row] / before[row] * value for value in BRADFORD[row]] for row in range(3)]
    return product(inverse(BRADFORD), gains)


def white_xyz(white: Chromaticity) -> tuple[float, ...]:
    """Return (X, Y, Z) of a white with Y = 1. Raises ValueError if it has no light."""
    x, y = white
    if y <= 0:
        raise ValueError("a white without light")
    return x / y, 1.0, (1 - x - y) / y


def applied(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    """Return `matrix` times `vector`."""
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def product(one: Matrix, other: Matrix) -> Matrix:
    """Return the matrix that applies `other` and then `one`."""
    columns = [applied(one, column) for column in zip(*other, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def inverse(matrix: Matrix) -> Matrix:
    """Return the inverse of `matrix`. Raises ValueError if it has none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(determinant) < 1e-6:
        raise ValueError("primaries on one line")
    cofactors = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    return [[value / determinant for value in row] for row in cofactors]
