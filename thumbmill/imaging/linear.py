"""Scale down in linear light: average what pictures shine, not the numbers that stand for it."""

import math

from PIL import Image, ImageMath

from thumbmill.imaging.geometry import Box
from thumbmill.imaging.resampling import resample


def srgb_to_light(number: float) -> float:
    """Return the light (0 to 1) that an sRGB number (0 to 255) stands for: IEC 61966-2-1."""
    value = number / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def resample_light(image: Image.Image, size: tuple[int, int], box: Box, resampler: str) -> Image.Image:
    """Return what `box` holds of an sRGB `image` (RGB or RGBA), at `size` (width, height): averages of its light.

    So fine black and white lines become the grey that is as bright, and transparent colours mix as light does. The
    `resampler` is that of resampling.resample().
    """
    to_light = [srgb_to_light(number) for number in range(256)]
    # 65,536 levels of light, each with the nearest number.
    edges = [0, *(math.ceil(srgb_to_light(number + 0.5) * 65_535) for number in range(255)), 65_536]
    to_number = [number for number in range(256) for _ in range(edges[number + 1] - edges[number])]

    def reduced(plane: Image.Image) -> Image.Image:
        return resample(plane, size, box, resampler)

    channels = list(image.split())
    opacity = None
    if image.mode == "RGBA":
        opacity = channels.pop().point([number / 255 for number in range(256)], "F")
        final_opacity = reduced(opacity)
    made = []
    for channel in channels:
        plane = channel.point(to_light, "F")
        if opacity:
            plane = reduced(ImageMath.lambda_eval(lambda given: given["a"] * given["b"], a=plane, b=opacity))
            plane = ImageMath.lambda_eval(
                lambda given: given["a"] / given["max"](given["b"], 1e-6), a=plane, b=final_opacity
            )
        else:
            plane = reduced(plane)
        made.append(plane.point(lambda value: value * 65_535 + 0.5).convert("I").point(to_number, "L"))
    if opacity:
        made.append(final_opacity.point(lambda value: value * 255 + 0.5).convert("L"))
    return Image.merge(image.mode, made)
