"""The numbers of deep and unusual pictures, as arrays, made into 8 bits: by the rules of color.deep_to_8_bit.

Arrays have the shape (height, width, samples). numpy is passed in, as it belongs to an extra.
"""

from typing import Any

from PIL import Image

RANGES = (255, 65_535, 4_294_967_295, 18_446_744_073_709_551_615)
ROWS = 256  # are converted at a time, so that a deep picture needs little memory besides its own


def white_of(np: Any, samples: Any, bits: int) -> float:
    """Return which number is white, or full: the largest that unsigned numbers of up to 16 `bits` can hold.

    Of others, the largest of the narrowest range that holds the picture: 1 for floating point, 255, 65,535 ..., or what
    unsigned numbers can hold.
    """
    own = 2**bits - 1
    if samples.dtype.kind in "bu" and bits <= 16:
        return own
    largest = max(float(np.nanmax(rows, initial=0, where=np.isfinite(rows))) for rows in blocks(samples))
    more = {"f": [1], "u": [own]}.get(samples.dtype.kind, [])
    ranges = sorted([*RANGES, *more])
    return next((limit for limit in ranges if largest <= limit), ranges[-1])


def blocks(samples: Any) -> Any:
    """Yield `samples`, ROWS rows at a time."""
    for top in range(0, len(samples), ROWS):
        yield samples[top : top + ROWS]


def is_light(np: Any, samples: Any) -> bool:
    """Whether floating-point colours are linear light, in which 1 is white: most are 1 at most.

    Some are brighter than white, in pictures of high dynamic range. Others hold numbers up to 255 or 65,535.
    """
    few = samples[:: max(1, len(samples) // 256), :: max(1, samples.shape[1] // 256)]
    return samples.dtype.kind == "f" and bool(np.nanmedian(few.astype(np.float64)) <= 1)


def to_8_bit(np: Any, samples: Any, bits: int, *, alpha: int | None, associated: bool, light: bool) -> Any:
    """Return `samples` of `bits` each as 8-bit numbers; what is below 0, or no number, is 0.

    `alpha` is the index of the opacity, by which the other samples are multiplied if they are `associated` with it.
    With `light` these are linear light, and become the numbers of sRGB (IEC 61966-2-1).
    """
    white = 1.0 if light else white_of(np, samples, bits)
    made = np.empty(samples.shape, np.uint8)
    for top, rows in zip(range(0, len(samples), ROWS), blocks(samples), strict=True):
        values = np.nan_to_num(rows.astype(np.float32) / np.float32(white), nan=0, posinf=1, neginf=0)
        if alpha is not None and associated:
            opacity = values[..., alpha : alpha + 1]
            colours = np.divide(values, opacity, out=np.zeros_like(values), where=opacity > 0)
            colours[..., alpha] = values[..., alpha]
            values = colours
        values = np.clip(values, 0, 1)
        if light:
            curved = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
            if alpha is not None:
                curved[..., alpha] = values[..., alpha]
            values = curved
        made[top : top + ROWS] = values * 255 + 0.5
    return made


def lab_to_8_bit(np: Any, samples: Any, *, signed: bool) -> Any:
    """Return L*a*b* `samples` of 8 or 16 bits as 8-bit numbers, a* and b* in two's complement as in TIFF's CIELab.

    Those are `signed` in the file as well, or else as ICC profiles have them (TIFF Technical Note 4).
    """
    if samples.dtype.itemsize == 1:
        return samples.view(np.uint8) ^ np.array([0, 0, 0] if signed else [0, 128, 128], np.uint8)
    if not signed:  # 0xFF00 is the lightness 100, and 0x8000 is neutral
        rounded = np.minimum((samples.view(np.uint16).astype(np.uint32) + 128) >> 8, 255).astype(np.uint8)
        return rounded ^ np.array([0, 128, 128], np.uint8)
    colours = np.clip((samples.view(np.int16).astype(np.int32) + 128) >> 8, -128, 127).astype(np.int8).view(np.uint8)
    colours[..., 0] = (samples[..., 0].view(np.uint16).astype(np.uint32) * 255 + 32_767) // 65_535
    return colours


def to_image(np: Any, numbers: Any, mode: str) -> Image.Image:
    """Return 8-bit `numbers` as a picture of this mode."""
    height, width = numbers.shape[:2]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(numbers).tobytes())
