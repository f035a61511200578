"""The pixels of a thumbnail as thumbmill, libvips, and the best possible way make them."""

import io
import os
from types import ModuleType

import numpy
from PIL import Image, ImageCms, ImageOps

from thumbmill.imaging.geometry import Size
from thumbmill.imaging.render import render

LANCZOS = Image.Resampling.LANCZOS
WHITE = "#ffffff"


def import_vips() -> ModuleType:
    """Return the module pyvips, which will use one core. Raises ImportError with what to do if libvips is missing."""
    os.environ["VIPS_CONCURRENCY"] = "1"
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the bindings are there, the library is not
        raise ImportError("libvips is missing: pip install '.[quality]'") from error
    return pyvips


def box_size(box: int) -> Size:
    """Return the size that holds the whole picture in `box` x `box` pixels."""
    return {"width": box, "height": box, "fit": "contain"}


def thumbmill_pixels(path: str, box: int) -> Image.Image:
    """Return the pixels of thumbmill's thumbnail, before they are encoded."""
    with Image.open(path) as picture:
        (image,), _ = render(picture, [box_size(box)], WHITE, [])
    return image


def reference_pixels(path: str, size: tuple[int, int], convert_first: bool = True) -> Image.Image:
    """Return the best possible thumbnail: every pixel decoded, converted to sRGB at full size, resampled by Lanczos."""
    with Image.open(path) as picture:
        icc = picture.info.get("icc_profile")
        image = ImageOps.exif_transpose(picture)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if icc and convert_first:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        image = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), 1, image.mode, flags=flags)
    return image.resize(size, LANCZOS)


def libvips_pixels(path: str, size: tuple[int, int]) -> Image.Image:
    """Return the pixels of libvips' `thumbnail` of exactly this size, in sRGB."""
    made = import_vips().Image.thumbnail(path, size[0], height=size[1], size="force", export_profile="srgb")
    return Image.fromarray(made.colourspace("srgb").numpy())


def on_white(image: Image.Image) -> numpy.ndarray:
    """Return a picture as an opaque array (height, width, 3): transparency shows white."""
    if image.mode == "RGBA":
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    return numpy.asarray(image.convert("RGB"))
