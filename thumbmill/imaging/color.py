"""The colours of a picture: modes and profiles."""

import io
import itertools

from PIL import Image, ImageCms

from thumbmill import failures
from thumbmill.imaging.depth import deep_to_8_bit

# The modes of pictures that can be resampled and hold 8 bits a channel. La and RGBa are premultiplied: colours
# multiplied by their opacity, so that resampling lets no colour of an invisible pixel bleed into its neighbours.
PLAIN_MODES = ("L", "RGB", "CMYK", "LAB")
PREMULTIPLIED = ("La", "RGBa")


def to_plain_mode(picture: Image.Image) -> Image.Image:
    """Return `picture` in one of the PLAIN_MODES, or PREMULTIPLIED if it has transparency of whatever kind."""
    mode = picture.mode
    if mode.startswith("I") or mode == "F":
        return deep_to_8_bit(picture)
    if picture.has_transparency_data:
        grey = mode in ("1", "L", "LA", "La")
        return picture.convert("LA").convert("La") if grey else picture.convert("RGBA").convert("RGBa")
    if mode in PLAIN_MODES:
        return picture
    return picture.convert("L" if mode == "1" else "RGB")


def to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """Return `image` in sRGB, as mode RGB or RGBA, from the colours that `profile` (an ICC profile) describes.

    Without a profile RGB and grey are taken to be sRGB already. A profile that is broken or made for another kind of
    picture is ignored, with a note.
    """
    alpha = None
    if image.mode in PREMULTIPLIED:
        image = image.convert(image.mode.upper())
        alpha = image.getchannel("A")
        image = image.convert(image.mode.removesuffix("A"))
    if profile:
        try:
            image = from_profile(image, profile)
        except (OSError, ValueError, TypeError) as error:
            notes.append(failures.profile_ignored(error))
    if image.mode == "LAB":
        image = from_lab(image)
    image = image.convert("RGB")
    if alpha:
        image.putalpha(alpha)
    return image


def from_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Return `image` converted to sRGB, or as it was if the profile would change nothing.

    Raises OSError, ValueError or TypeError if the profile is broken or made for another kind of picture.
    """
    kind = profile[16:20].strip()  # ICC.1:2022, 7.2: the colour space of the data
    if image.mode == "LAB":
        return image  # it describes itself
    if kind == b"GRAY" and image.mode == "RGB":
        raise ValueError("it is for grey pictures, and this one has colours")
    if kind == b"Lab":
        raise ValueError("it is for L*a*b* pictures, and this is none")
    if kind == b"RGB" and image.mode == "L":
        image = image.convert("RGB")
    try:
        transform = profile_to_srgb(profile, image.mode)
        return image if transform is None else transformed(image, transform)
    except ImageCms.PyCMSError as error:
        raise ValueError(str(error)) from error


def profile_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transformation from `profile` to sRGB for the `mode` L, RGB or CMYK; None if it changes nothing.

    Relative colorimetric with black point compensation: white stays white and black stays black, as in browsers.
    """

    def build(flags: ImageCms.Flags) -> ImageCms.ImageCmsTransform:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION | flags,
        )

    # Optimizing a transformation takes 2 ms, which soon pays off: it is 13 times as fast. But of a grey profile it
    # rounds the curve, and dark greys are wrong by ten levels.
    exact = build(ImageCms.Flags.NOOPTIMIZE)
    if mode == "L":
        return exact
    if mode == "RGB":
        # Most profiles in the wild are some sRGB. Rounding apart (1 of 255) such a one maps each colour to itself.
        levels = range(0, 256, 51)
        probe = Image.new("RGB", (216, 1))
        probe.putdata(list(itertools.product(levels, levels, levels)))
        changed = transformed(probe, exact).tobytes()
        if all(abs(before - after) <= 1 for before, after in zip(probe.tobytes(), changed, strict=True)):
            return None
    return build(ImageCms.Flags.NONE)


def from_lab(image: Image.Image) -> Image.Image:
    """Return a picture of CIE L*a*b* (D50), as TIFF holds it, in sRGB."""
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return transformed(image, transform)


def transformed(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """Return a copy of `image` with its colours transformed. Raises PyCMSError or ValueError if the modes differ."""
    copy = ImageCms.applyTransform(image, transform)
    assert copy is not None  # as it is unless inPlace
    return copy
