"""Decode as little of a picture as its thumbnails need, then crop and resize it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from PIL import Image, ImageColor, ImageFilter

from thumbmill.imaging.color import PREMULTIPLIED, to_plain_mode, to_srgb
from thumbmill.imaging.geometry import Box, Size, fit_all, intersection, jpeg_scale, position_window, union
from thumbmill.imaging.linear import resample_light
from thumbmill.imaging.orientation import (
    TRANSPOSITIONS,
    forget_xmp,
    oriented_box,
    oriented_size,
    read_orientation,
    stored_box,
)
from thumbmill.imaging.png import with_exact_key
from thumbmill.imaging.resampling import resample

SHARPEN_RADIUS = 0.6  # pixels: enough for the blur of reducing, and too narrow for a halo


class Decoded(NamedTuple):
    """A picture in memory, as it is stored."""

    image: Image.Image
    profile: bytes | None
    orientation: int
    original: tuple[int, int]  # (width, height) of the whole picture, as it is stored
    scale: tuple[float, float]  # how much of that was decoded, along each side
    divisor: int  # 1, 2, 4 or 8: the scale that a JPEG decoder was asked for

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) of the whole picture when it stands upright."""
        return oriented_size(self.original, self.orientation)


def render(
    picture: Image.Image,
    sizes: list[Size],
    background: str,
    notes: list[str],
    *,
    linear: bool = False,
    resampler: str = "fast",
    regions: list[Box] | None = None,
    reopen: Callable[[], Image.Image] | None = None,
) -> tuple[list[Image.Image], list[Box]]:
    """Return the upright, 8-bit sRGB pictures (mode RGB or RGBA) that `sizes` ask for, from one decode of `picture`.

    `picture` must be freshly opened: a JPEG is decoded at the smallest of its scales that still serves all sizes. If
    what is left after trimming turns out to need a finer one, it is decoded once more, from what `reopen` returns.
    `regions` are the parts of the upright picture to show for each size, if they are known; the ones that were used are
    returned as well. What is wrong with the picture is appended to `notes`.
    """
    decoded = decode(picture, sizes, regions, linear, notes)
    if regions is None:
        regions = source_regions(decoded, sizes)
        if reopen and jpeg_scale(fit_all(regions, sizes)) < decoded.divisor:
            with reopen() as picture:
                decoded = decode(picture, sizes, regions, linear, [])
    made: dict[tuple[Any, ...], Image.Image] = {}
    images = []
    for size, region, fit in zip(sizes, regions, fit_all(regions, sizes), strict=True):
        key = (region, fit, size.get("focus"), size.get("sharpen"))
        if key not in made:
            box = position_window(region, fit.window, size.get("focus", "center"))
            image = crop_and_resize(decoded, box, fit.scaled, background, notes, linear=linear, resampler=resampler)
            made[key] = pad(sharpen(image, size.get("sharpen", 0)), fit.canvas, background)
        images.append(made[key])
    return images, regions


def decode(
    picture: Image.Image, sizes: list[Size], regions: list[Box] | None, linear: bool, notes: list[str]
) -> Decoded:
    """Decode `picture` as small as `sizes` allow that are to show `regions` of it (all of it, if None)."""
    shrinks_on_load = picture.format in ("JPEG", "MPO") and not linear  # the decoder averages numbers, not light
    original, drafted, divisor, orientation = picture.size, None, 1, 1
    if shrinks_on_load:
        orientation = read_orientation(picture, notes)
        whole = (0, 0, *oriented_size(original, orientation))
        divisor = jpeg_scale(fit_all(regions or [whole] * len(sizes), sizes))
        if divisor > 1:
            drafted = picture.draft(None, (picture.width // divisor, picture.height // divisor))
    picture = with_exact_key(picture)
    forget_xmp(picture)
    picture.load()
    if not shrinks_on_load:
        # TIFF turns itself upright while it is loaded, and PNG may keep its EXIF behind the pixels.
        orientation = read_orientation(picture, notes)
        if aperture := picture.info.get("clean_aperture"):
            picture = picture.crop(aperture)
        original = picture.size
    profile = picture.info.get("icc_profile")
    # Decoded at 1/8, a picture of 9 pixels has 2, of which the second is mostly beyond its edge: hence the fraction.
    shown = drafted[1][2:] if drafted else picture.size
    scale = (shown[0] / original[0], shown[1] / original[1])
    image = to_plain_mode(picture)
    if linear:
        image, profile = to_srgb(image, profile, notes), None
    return Decoded(image, profile, orientation, original, scale, divisor)


def source_regions(decoded: Decoded, sizes: list[Size]) -> list[Box]:
    """Return the part of the upright picture that each size shows, in pixels: all, unless trimmed or with a margin.

    With a margin it may reach beyond the picture.
    """
    width, height = decoded.upright
    whole = (0.0, 0.0, float(width), float(height))
    regions: list[Box] = []
    trimmed: dict[int, Box] = {}  # by tolerance
    for size in sizes:
        region = whole
        if size.get("trim"):
            tolerance = size.get("trim_tolerance", 10)
            if tolerance not in trimmed:
                found = content_bbox(decoded.image, tolerance)
                stored = scaled_box(found, 1 / decoded.scale[0], 1 / decoded.scale[1])
                stored = intersection(stored, (0, 0, *decoded.original))
                trimmed[tolerance] = oriented_box(stored, decoded.original, decoded.orientation)
            region = trimmed[tolerance]
        left, top, right, bottom = region
        margin = max(right - left, bottom - top) * size.get("margin", 0) / 100
        regions.append((left - margin, top - margin, right + margin, bottom + margin) if margin else region)
    return regions


def content_bbox(image: Image.Image, tolerance: int) -> Box:
    """Return the part of `image` within its uniform border; all of it, if it has none or is nothing else.

    The border's colour is that of most corners. What differs from it by more than `tolerance` (of 255) in any channel,
    or in opacity if the corners are transparent, is part of the picture.
    """
    right, bottom = image.width - 1, image.height - 1
    corners = [channel_values(image, at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))]

    def resembling(corner: tuple[int, ...]) -> int:
        return sum(all(abs(a - b) <= tolerance for a, b in zip(corner, other, strict=True)) for other in corners)

    border = max(corners, key=resembling)
    channels = image.split()
    if image.mode in ("La", "RGBa", "LA", "RGBA") and border[-1] <= tolerance:
        channels, border = channels[-1:], border[-1:]
    found: Box | None = None
    for channel, level in zip(channels, border, strict=True):
        part = channel.point([255 * (abs(value - level) > tolerance) for value in range(256)]).getbbox()
        found = part if found is None else found if part is None else union(found, part)
    return found or (0, 0, *image.size)


def channel_values(image: Image.Image, at: tuple[int, int]) -> tuple[int, ...]:
    """Return the value of each channel of the pixel `at` (x, y), in a picture of 8 bits a channel."""
    pixel: Any = image.getpixel(at)
    return pixel if isinstance(pixel, tuple) else (pixel,)


def crop_and_resize(
    decoded: Decoded,
    box: Box,
    final: tuple[int, int],
    background: str,
    notes: list[str],
    *,
    linear: bool,
    resampler: str,
) -> Image.Image:
    """Return what `box` holds of the upright picture, at `final` (width, height), in sRGB.

    Where `box` reaches beyond the picture is `background`, or nothing if the picture has transparency.
    """
    visible = intersection(box, (0, 0, *decoded.upright))
    if visible[0] >= visible[2] or visible[1] >= visible[3]:  # nothing but margin
        colour = ImageColor.getrgb(background)
        transparent = decoded.image.mode in (*PREMULTIPLIED, "RGBA")
        return Image.new("RGBA", final, (*colour[:3], 0)) if transparent else Image.new("RGB", final, colour)
    offset, part = (0, 0), final
    if visible != box:
        offset, part = visible_part(visible, box, final)
    stored = scaled_box(stored_box(visible, decoded.upright, decoded.orientation), *decoded.scale)
    stored_part = oriented_size(part, decoded.orientation)
    if linear:  # and so in sRGB already
        image = resample_light(decoded.image, stored_part, stored, resampler)
    else:
        image = to_srgb(resample(decoded.image, stored_part, stored, resampler), decoded.profile, notes)
    if decoded.orientation in TRANSPOSITIONS:
        image = image.transpose(TRANSPOSITIONS[decoded.orientation])
    return image if part == final else paste_on_canvas(image, final, offset, background)


def visible_part(visible: Box, box: Box, final: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return offset and size of the part that is `visible` of `box`, in pixels of a thumbnail of size `final`."""
    scale = (final[0] / (box[2] - box[0]), final[1] / (box[3] - box[1])) * 2
    edges = [round((edge - start) * s) for edge, start, s in zip(visible, box[:2] * 2, scale, strict=True)]
    part = (max(1, edges[2] - edges[0]), max(1, edges[3] - edges[1]))
    return (min(edges[0], final[0] - part[0]), min(edges[1], final[1] - part[1])), part


def scaled_box(box: Box, across: float, down: float) -> Box:
    """Return `box` in a picture that is `across` times as wide and `down` times as high."""
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def sharpen(image: Image.Image, percent: int) -> Image.Image:
    """Return `image` with the contrast of its finest detail raised by `percent`: an unsharp mask.

    Transparent neighbours have no part in it, whatever colour they hide.
    """
    if not percent:
        return image
    blur = ImageFilter.GaussianBlur(SHARPEN_RADIUS)
    if image.mode != "RGBA":
        return Image.blend(image.filter(blur), image, 1 + percent / 100)
    sharp = Image.blend(image.convert("RGBa").filter(blur).convert("RGBA"), image, 1 + percent / 100)
    sharp.putalpha(image.getchannel("A"))
    return sharp


def pad(image: Image.Image, canvas: tuple[int, int], background: str) -> Image.Image:
    """Return `image` in the middle of a `canvas` (width, height) that is at least as large."""
    if image.size == canvas:
        return image
    offset = ((canvas[0] - image.width) // 2, (canvas[1] - image.height) // 2)
    return paste_on_canvas(image, canvas, offset, background)


def paste_on_canvas(
    image: Image.Image, canvas: tuple[int, int], offset: tuple[int, int], background: str
) -> Image.Image:
    """Return `image` on a `canvas` (width, height), its top left corner at `offset`.

    A transparent picture is surrounded by nothing, any other by the `background`.
    """
    red, green, blue = ImageColor.getrgb(background)[:3]
    around = (red, green, blue, 0) if image.mode == "RGBA" else (red, green, blue)
    made = Image.new(image.mode, canvas, around)
    made.paste(image, offset)
    return made
