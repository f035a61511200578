"""The formats that the setting `read` switches on: JPEG 2000, Photoshop documents (their merged picture), JPEG XL."""

import struct
from typing import Any, BinaryIO, cast

from PIL import Image, ImageChops, PsdImagePlugin

from thumbmill import failures
from thumbmill.errors import PictureError
from thumbmill.imaging import samples
from thumbmill.imaging.archive import DeferredImageFile, import_libraries
from thumbmill.imaging.signatures import boxes, jpegxl_size

CODESTREAM = b"\xff\x4f\xff\x51"
DEEP_BANDS = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}  # samples of each mode
MAX_BOX = 16 << 20  # bytes of a colour specification, which holds a profile

# Photoshop's colour modes, and those whose merged picture Pillow decodes in its colours.
PSD_MODES = {0: "bitmap", 1: "grey", 2: "palette", 3: "RGB", 4: "CMYK", 7: "multichannel", 8: "duotone", 9: "L*a*b*"}
PSD_READ = {(0, 1), (1, 8), (2, 8), (3, 8), (4, 8), (9, 8)}  # (mode, bits per channel)
VERSION_INFO = 1057  # the image resource that says whether there is a merged picture

JPEG2000_COLOURS = {12, 16, 17, 18}  # CMYK, sRGB, grey, sYCC (ISO/IEC 15444-1 and -2, EnumCS)


def open_master(file: BinaryIO, format: str) -> Image.Image:
    """Open a picture of one of the three formats: "jpeg2000", "psd" or "jpegxl".

    Raises PictureError if no library can decode it in its colours, or whatever Pillow raises.
    """
    file.seek(0)
    if format == "psd":
        return open_psd(file)
    return open_jpeg2000(file) if format == "jpeg2000" else JpegXl(file, "a JPEG XL picture")


def open_jpeg2000(file: BinaryIO) -> Image.Image:
    """Open a JPEG 2000 picture, with the profile that Pillow leaves out. Raises PictureError, or what Pillow raises."""
    picture = Image.open(file, formats=("JPEG2000",))
    end = file.seek(0, 2)
    file.seek(0)
    codestream = 0
    if file.read(4) != CODESTREAM:  # by itself that says nothing about its colours
        file.seek(0)
        for kind, offset, length in boxes(file, end):
            if kind == b"jp2c":
                codestream = offset
                break
            if kind == b"jp2h":
                file.seek(offset)
                colours = next((box for box in boxes(file, offset + length) if box[0] == b"colr" and box[2] >= 3), None)
                if colours:  # the first: any other is for readers that know more
                    read_colours(file, colours[1], min(colours[2], MAX_BOX), picture)
    precision = jpeg2000_precision(file, codestream)
    if precision > 8 and picture.mode != "I;16":
        return DeepJpeg2000(file, picture, precision)
    return picture


def jpeg2000_precision(file: BinaryIO, codestream: int) -> int:
    """Return the bits per sample of the JPEG 2000 codestream at an offset: the most of any component (SIZ, A.5.1)."""
    file.seek(codestream + 40)
    count = int.from_bytes(file.read(2), "big")
    return max(((size & 0x7F) + 1 for size in file.read(3 * min(count, 16))[::3]), default=8)


class DeepJpeg2000(DeferredImageFile):
    """A JPEG 2000 picture in colours of more than 8 bits, whose white Pillow 13 makes black: imagecodecs decodes it."""

    format = "JPEG2000"

    def __init__(self, file: BinaryIO, header: Image.Image, precision: int):
        self.header, self.precision = header, precision
        super().__init__(file, f"a JPEG 2000 picture with {precision} bits per sample")

    def _open(self) -> None:
        """Take over what Pillow says of it. Raises PictureError if no library is there that can decode it."""
        import_libraries(self.what)
        if self.header.mode not in DEEP_BANDS:
            raise PictureError(failures.undecodable(self.what))
        self._mode, self._size, self.info = self.header.mode, self.header.size, self.header.info

    def _decode(self) -> Image.Image:
        _, imagecodecs, np = import_libraries(self.what)
        assert self.fp is not None
        self.fp.seek(0)
        array = imagecodecs.jpeg2k_decode(self.fp.read()).reshape(self.height, self.width, DEEP_BANDS[self.mode])
        numbers = samples.to_8_bit(np, array, self.precision, alpha=None, associated=False, light=False)
        return samples.to_image(np, numbers, self.mode)


def read_colours(file: BinaryIO, offset: int, length: int, picture: Image.Image) -> None:
    """Put the profile in a colour specification box into `picture`. Raises PictureError if the colours are unusual."""
    file.seek(offset)
    content = file.read(length)
    if content[0] == 1:
        (colours,) = struct.unpack_from(">I", content.ljust(7, b"\0"), 3)
        if colours not in JPEG2000_COLOURS:
            raise PictureError(failures.undecodable(f"a JPEG 2000 picture in the colour space {colours}"))
    elif content[0] in (2, 3):
        picture.info["icc_profile"] = content[3:]


def open_psd(file: BinaryIO) -> Image.Image:
    """Open the merged picture of a Photoshop document. Raises PictureError if it cannot be decoded in its colours."""
    header = file.read(26)
    if len(header) < 26:
        raise PictureError(failures.damaged("a Photoshop document that ends within its header"))
    bits, mode = struct.unpack(">22xHH", header)
    what = f"a Photoshop document of {bits}-bit {PSD_MODES.get(mode, 'unknown')}"
    if (mode, bits) not in PSD_READ:
        raise PictureError(failures.undecodable(what))
    file.seek(0)
    try:
        picture = MergedPsd(file)
    except SyntaxError as error:  # which Pillow makes of whatever goes wrong there
        raise PictureError(failures.damaged("a Photoshop document whose header cannot be read")) from error
    if any(kind == VERSION_INFO and content[4:5] == b"\0" for kind, _, content in picture.resources):
        raise PictureError(failures.undecodable("a Photoshop document saved without its merged picture"))
    if not picture.tile:
        raise PictureError(failures.undecodable(f"{what}, compressed as ZIP"))
    return picture


class MergedPsd(PsdImagePlugin.PsdImageFile):
    """The merged picture of a Photoshop document: without the white that its transparent colours are mixed with."""

    tile: list[Any]

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self._skip_lengths_of_others(file)
        if self.mode == "1":  # Pillow takes 1 for white
            self.tile = [tile._replace(args="1;I") for tile in self.tile]
        if self.mode == "RGBA" and not self._fourth_channel_is_opacity():
            self._mode, self.tile = "RGB", self.tile[:3]

    def _skip_lengths_of_others(self, file: BinaryIO) -> None:
        """Correct where packed channels begin: behind the lengths of the rows of all, also of those that are not read.

        Pillow takes the latter lengths for pixels. Each has two bytes.
        """
        file.seek(12)
        others = int.from_bytes(file.read(2), "big") - len(self.tile)
        if self.tile and self.tile[0].codec_name == "packbits":
            self.tile = [tile._replace(offset=tile.offset + 2 * others * self.height) for tile in self.tile]

    def _fourth_channel_is_opacity(self) -> bool:
        """Whether the number of layers is negative, which means that; else the channel is a saved selection."""
        assert self.fp is not None
        if self._layers_position is None:
            return False
        self.fp.seek(self._layers_position)
        return self.fp.read(2) >= b"\x80"

    def load_end(self) -> None:
        """Take out the white, as soon as the picture is decoded."""
        if self.mode == "RGBA":
            *colours, opacity = self.split()
            inverse = Image.merge("RGBa", [*map(ImageChops.invert, colours), opacity]).convert("RGBA")
            *colours, opacity = inverse.split()
            self.im = Image.merge("RGBA", [*map(ImageChops.invert, colours), opacity]).im


class JpegXl(DeferredImageFile):
    """A JPEG XL picture. Its library decodes a picture in order to open it, so that comes when this one is loaded."""

    format = "JXL"

    def _open(self) -> None:
        """Read the header. Raises PictureError if the library is missing, or there is no header."""
        import_jpegxl()
        self._mode = "RGBA"  # it may be transparent: nobody knows before it is decoded
        assert self.fp is not None
        size = jpegxl_size(cast(BinaryIO, self.fp))
        if size is None:
            raise PictureError(failures.damaged("a JPEG XL picture without a header"))
        self._size = size

    def _decode(self) -> Image.Image:
        import_jpegxl().DECODE_THREADS = 0  # none besides the worker's own
        assert self.fp is not None
        try:
            picture: Any = Image.open(self.fp, formats=("JXL",))
            picture.load()
        except ValueError as error:  # a mode that Pillow does not know
            raise PictureError(failures.undecodable("a deep JPEG XL picture")) from error
        except RuntimeError as error:  # "Generic Error"
            raise PictureError(failures.damaged("a JPEG XL picture that its library cannot decode")) from error
        self.info = picture.info
        if not picture.jpeg:
            self.info.pop("exif", None)  # libjxl has turned the picture upright by its header, and EXIF does not count
        return picture


def import_jpegxl() -> Any:
    """Return the module that reads JPEG XL. Raises PictureError if it is not installed."""
    try:
        from pillow_jxl import JpegXLImagePlugin  # an extra: only for those who have such pictures
    except ImportError:
        raise PictureError(failures.jpegxl_library_missing()) from None
    return JpegXLImagePlugin
