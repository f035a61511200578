"""BMP files whose pixels have bit fields of any width, such as 4-4-4 or 10-10-10: Pillow reads the common ones."""

import struct
from typing import Any

from PIL import BmpImagePlugin, Image, ImageFile, ImageMath

from thumbmill import failures
from thumbmill.errors import PictureError

HEADER_SIZES = (40, 52, 56, 64, 108, 124)
RLE = (1, 2)  # values of biCompression: RLE8, RLE4
BITFIELDS, ALPHA_BITFIELDS = 3, 6
COMPRESSIONS = {1: "RLE8", 2: "RLE4", 4: "JPEG or RLE24", 5: "PNG", 11: "CMYK", 12: "CMYK RLE8", 13: "CMYK RLE4"}
DEPTHS = (1, 2, 4, 8, 16, 24, 32, 64)  # bits per pixel
NONSENSE = "a BMP whose header makes no sense"
RAW_MODES = {16: "I;16", 32: "I;32S"}


class BitfieldsBmp(ImageFile.ImageFile):
    """A BMP of 16 or 32 bits per pixel, with a mask for each colour and maybe for the opacity."""

    format = "BMP"

    def _open(self) -> None:
        """Read the header. Raises PictureError if the file is another kind of BMP, or ends within its header."""
        assert self.fp is not None
        self.fp.seek(0)
        start = self.fp.read(70)
        if len(start) < 54:
            raise PictureError(failures.damaged("a BMP that ends within its header"))
        offset, size, width, height, bits, compression = struct.unpack_from("<10xIIii2xHI", start)
        if not 12 <= size <= 124 or bits not in DEPTHS:
            raise PictureError(failures.damaged(NONSENSE))
        if size not in HEADER_SIZES or compression not in (BITFIELDS, ALPHA_BITFIELDS) or bits not in RAW_MODES:
            raise PictureError(failures.undecodable(describe(start)))
        masks = struct.unpack("<4I", start[54:70].ljust(16, b"\0"))
        has_alpha = compression == ALPHA_BITFIELDS or size >= 56
        self.masks = masks if has_alpha and masks[3] else masks[:3]
        if not any(self.masks[:3]) or width <= 0 or height == 0:
            raise PictureError(failures.damaged(NONSENSE))
        self._size = width, abs(height)
        self._mode = "RGBA" if len(self.masks) == 4 else "RGB"
        stride = (width * bits + 31) // 32 * 4
        arguments = (RAW_MODES[bits], stride, 1 if height < 0 else -1)
        # A plain tuple, as Pillow's guide for plugins has it: the type of its items is private.
        self.tile = [("raw", (0, 0, *self.size), offset, arguments)]  # type: ignore[list-item]

    def load(self) -> Any:
        """Decode the picture, once. Raises OSError if it is truncated."""
        if self.tile:
            self._mode = "I"  # each pixel as a number, of which the masks say what is what
            super().load()
            image = Image.merge("RGBA" if len(self.masks) == 4 else "RGB", [field(self, mask) for mask in self.masks])
            # Browsers take an opacity of 0 everywhere for an unused field.
            if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
                image = image.convert("RGB")
            self.im, self._mode = image.im, image.mode
        return super().load()


class OpacityBmp(BmpImagePlugin.BmpImageFile):
    """A BMP whose opacity Pillow reads, but not that browsers take it for unused if it is 0 everywhere."""

    def load_end(self) -> None:
        """Drop such an opacity as soon as the picture is decoded."""
        if self.mode == "RGBA" and self.getchannel("A").getextrema() == (0, 0):
            self.im, self._mode = self.convert("RGB").im, "RGB"


def field(pixels: Image.Image, mask: int) -> Image.Image:
    """Return the field of each of the `pixels` (mode I) under a `mask`, as 8-bit grey."""
    if not mask:
        return Image.new("L", pixels.size)
    shift = (mask & -mask).bit_length() - 1
    shift += max(0, mask.bit_length() - shift - 16)  # more digits would not count, and need more than 32 bits below
    largest = mask >> shift

    def scaled(given: dict[str, Any]) -> Any:
        return ((given["pixels"] >> shift & largest) * 255 + largest // 2) / largest

    return ImageMath.lambda_eval(scaled, pixels=pixels).convert("L")


def describe(start: bytes) -> str:
    """Return what kind of BMP begins with `start`, at least 34 bytes."""
    size, bits, compression = struct.unpack_from("<14xI10xHI", start)
    if size not in HEADER_SIZES:
        return f"a BMP with a header of {size} bytes"
    if compression in COMPRESSIONS:
        return f"a BMP compressed as {COMPRESSIONS[compression]}"
    return f"a BMP with {bits} bits per pixel"
