"""Pictures of archives and scanners that Pillow cannot read: deep, transparent and unusual TIFFs, JPEGs of 12 bits.

tifffile and imagecodecs decode them: the extra `.[archive]`, imported for such a picture only.
"""

import io
import logging
import os
from abc import ABC, abstractmethod
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from thumbmill import failures
from thumbmill.errors import PictureError
from thumbmill.imaging import samples, tiff
from thumbmill.imaging.color import to_srgb
from thumbmill.imaging.orientation import TRANSPOSITIONS, oriented_size
from thumbmill.imaging.signatures import Jpeg, jpegxl_size, read_jpeg

MAX_SAMPLES = 16  # of a pixel: CMYK with a dozen spot colours or masks
JPEG_COMPRESSIONS = (6, 7, 34892)  # in which tifffile turns YCbCr into RGB

PICTURE_COMPRESSIONS = (*JPEG_COMPRESSIONS, 33003, 33004, 33005, 34712, 34933, 50001, 50002, 52546)

# The mode of each kind of picture without transparency, and how many samples its colours have.
KINDS = {
    tiff.WHITE_IS_ZERO: ("L", 1),
    tiff.BLACK_IS_ZERO: ("L", 1),
    tiff.RGB: ("RGB", 3),
    tiff.PALETTE: ("RGB", 1),
    tiff.SEPARATED: ("CMYK", 4),
    tiff.YCBCR: ("RGB", 3),
    tiff.CIELAB: ("LAB", 3),
    tiff.ICCLAB: ("LAB", 3),
}
WITH_ALPHA = {"L": "LA"}  # of the others, RGBA


def import_libraries(what: str) -> tuple[Any, Any, Any]:
    """Return the modules tifffile, imagecodecs, numpy. Raises PictureError about the picture, `what`, without them."""
    try:
        import imagecodecs
        import numpy
        import tifffile
    except ImportError:
        raise PictureError(failures.archive_library_missing(what)) from None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it reports on standard error what it makes do with
    return tifffile, imagecodecs, numpy


def is_known_compression(tifffile: Any, number: int) -> bool:
    """Whether the libraries can decompress what a TIFF calls compression `number`."""
    try:
        return number == 1 or bool(tifffile.TIFF.DECOMPRESSORS[number])
    except (KeyError, ImportError):
        return False


def segment_size(segment: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a strip or tile that is a picture of its own; None if that cannot be seen."""
    if frame := read_jpeg(io.BytesIO(segment)):
        return frame.width, frame.height
    try:
        with Image.open(io.BytesIO(segment), formats=("JPEG2000", "WEBP", "PNG")) as picture:
            return picture.size
    except OSError:
        return jpegxl_size(io.BytesIO(segment))


class DeferredImageFile(ImageFile.ImageFile, ABC):
    """A picture that another library decodes, not before it is loaded; `what` it is, is for the reasons of failures."""

    def __init__(self, file: BinaryIO, what: str):
        self.what = what
        self.is_loaded = False
        super().__init__(file)
        self.tile: list[Any] = []

    def load(self) -> Any:
        """Decode the picture, once. Raises PictureError if no library can, or anything if it is damaged."""
        if not self.is_loaded:
            image = self._decode()
            self.im, self._mode, self._size = image.im, image.mode, image.size
            self.palette = image.palette
            self.is_loaded = True
        return super().load()

    @abstractmethod
    def _decode(self) -> Image.Image:
        """Return the decoded picture. Raises PictureError if no library can, or anything if it is damaged."""


class ArchiveTiff(DeferredImageFile):
    """The first picture of a TIFF. Like Pillow's own, it is upright once it is loaded, and says so before."""

    format = "TIFF"

    def _open(self) -> None:
        """Read the header. Raises PictureError if no library is there, or none can decode this kind of TIFF."""
        tifffile, _, _ = import_libraries(self.what)
        assert self.fp is not None
        self.fp.seek(0)
        try:
            self.page = tifffile.TiffFile(self.fp).pages[0]
            self.photometric = int(self.tag(tiff.PHOTOMETRIC, -1))
            is_raw_ycbcr = self.photometric == tiff.YCBCR and self.page.compression not in JPEG_COMPRESSIONS
        except Exception as error:  # tifffile raises anything at a malformed file
            raise PictureError(failures.damaged(f"{self.what}, whose directory cannot be read ({error})")) from error
        page = self.page
        if self.photometric < 0:  # as libtiff supposes
            self.photometric = tiff.RGB if page.samplesperpixel >= 3 else tiff.BLACK_IS_ZERO
        self._mode, self.colours = KINDS.get(self.photometric, ("", 0))
        if (
            not self._mode
            or is_raw_ycbcr
            or not self.colours <= page.samplesperpixel <= MAX_SAMPLES
            or page.imagedepth != 1
            or page.dtype is None
            or page.dtype.kind not in "buif"
            or (self._mode == "LAB" and (page.dtype.kind == "f" or page.dtype.itemsize > 2))
            or (self._mode == "CMYK" and self.tag(tiff.INK_SET, 1) != 1)
            or not is_known_compression(tifffile, page.compression)
        ):
            raise PictureError(failures.undecodable(self.what))
        extra = self.page.extrasamples
        has_extra = page.samplesperpixel > self.colours and bool(extra)
        self.alpha = int(extra[0]) if has_extra and extra[0] in (tiff.ASSOCIATED, tiff.UNASSOCIATED) else 0
        if self.alpha:
            self._mode = WITH_ALPHA.get(self._mode, "RGBA")
        self.orientation = int(self.tag(tiff.ORIENTATION, 1))
        self._size = oriented_size((page.imagewidth, page.imagelength), self.orientation)
        profile = self.tag(tiff.PROFILE, None)
        if isinstance(profile, bytes):
            self.info["icc_profile"] = profile

    def tag(self, number: int, default: Any) -> Any:
        """Return the value of a tag."""
        found = self.page.tags.get(number)
        return default if found is None else found.value

    def _decode(self) -> Image.Image:
        _, _, np = import_libraries(self.what)
        self._check_length()
        self._check_segments()
        page = self.page
        try:
            array = page.asarray(squeeze=False, maxworkers=1)  # (separate samples, depth, height, width, samples)
        except (ImportError, NotImplementedError) as error:  # tifffile's, at a coding that it has no decoder for
            raise PictureError(failures.undecodable(self.what)) from error
        array = np.moveaxis(array, 0, -2).reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
        image = self._convert(np, array[..., : self.colours + bool(self.alpha)])
        if self.orientation in TRANSPOSITIONS:
            image = image.transpose(TRANSPOSITIONS[self.orientation])
        return image

    def _check_length(self) -> None:
        """Raise OSError if the file ends within the picture; complete it with zeros if that is asked for."""
        assert self.fp is not None
        ends = [offset + count for offset, count in zip(self.page.dataoffsets, self.page.databytecounts, strict=False)]
        missing = max(ends, default=0) - self.fp.seek(0, os.SEEK_END)
        if missing <= 0:
            return
        if not ImageFile.LOAD_TRUNCATED_IMAGES or missing > self.page.nbytes:
            raise OSError(f"image file is truncated ({missing} bytes are missing)")
        self.fp.seek(0)
        tifffile, _, _ = import_libraries(self.what)
        self.page = tifffile.TiffFile(io.BytesIO(self.fp.read() + bytes(missing))).pages[0]

    def _check_segments(self) -> None:
        """Raise OSError if a strip or tile is a picture of its own that is larger than it may be.

        It would be cut to size only after it has been decoded, at whatever size.
        """
        page = self.page
        if page.compression not in PICTURE_COMPRESSIONS or ImageFile.LOAD_TRUNCATED_IMAGES:
            return
        allowed = page.tilewidth * page.tilelength if page.is_tiled else page.imagewidth * page.imagelength
        for segment, _ in page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts):
            if segment and (size := segment_size(segment)) and size[0] * size[1] > allowed:
                raise OSError(f"a part of {size[0]} x {size[1]} pixels, which is larger than it may be")

    def _convert(self, np: Any, array: Any) -> Image.Image:
        """Return an array of colours, and opacity if the picture has transparency, as an 8-bit picture."""
        bits = self.page.bitspersample if isinstance(self.page.bitspersample, int) else 8 * array.dtype.itemsize
        if self.photometric == tiff.PALETTE:
            return self._from_palette(np, array)
        profile = self.info.get("icc_profile")
        alpha = self.colours if self.alpha else None
        if self.photometric in (tiff.CIELAB, tiff.ICCLAB):
            colours = samples.lab_to_8_bit(np, array[..., :3], signed=self.photometric == tiff.CIELAB)
            image = samples.to_image(np, colours, "LAB")
            if alpha is None:
                return image
            opacity = samples.to_8_bit(np, array[..., 3:], bits, alpha=None, associated=False, light=False)
            return self._with_opacity(np, image, opacity)
        # A profile says what the numbers mean; without one, floating-point colours are light.
        light = self.photometric == tiff.RGB and not profile and samples.is_light(np, array[..., :3])
        numbers = samples.to_8_bit(np, array, bits, alpha=alpha, associated=self.alpha == tiff.ASSOCIATED, light=light)
        if self.photometric == tiff.WHITE_IS_ZERO:
            numbers[..., 0] = 255 - numbers[..., 0]
        if self.photometric == tiff.SEPARATED and alpha is not None:
            return self._with_opacity(np, samples.to_image(np, numbers[..., :4], "CMYK"), numbers[..., 4:])
        return samples.to_image(np, numbers, self.mode)

    def _with_opacity(self, np: Any, image: Image.Image, opacity: Any) -> Image.Image:
        """Return a picture whose mode knows no transparency in sRGB, with the `opacity` of each pixel."""
        image = to_srgb(image, self.info.pop("icc_profile", None), [])
        image.putalpha(samples.to_image(np, opacity, "L"))
        return image

    def _from_palette(self, np: Any, array: Any) -> Image.Image:
        """Return the colours that an array of indices stands for."""
        palette = self.page.colormap  # (3, colours), of 16 bits
        if palette is None:
            raise PictureError(failures.undecodable(self.what))
        if palette.max() > 255:  # some hold numbers of 8 bits
            palette = palette // 257
        indices = np.minimum(array[..., 0], palette.shape[1] - 1)
        colours = np.moveaxis(palette.astype(np.uint8)[:, indices], 0, -1)
        if not self.alpha:
            return samples.to_image(np, colours, "RGB")
        image = samples.to_image(np, colours, "RGB")
        bits = 8 * array.dtype.itemsize
        opacity = samples.to_8_bit(np, array[..., 1:], bits, alpha=None, associated=False, light=False)
        return self._with_opacity(np, image, opacity)


class ArchiveJpeg(DeferredImageFile):
    """A grey or colour JPEG with more than 8 bits per sample, whose frame header is `frame`."""

    format = "JPEG"

    def __init__(self, file: BinaryIO, frame: Jpeg):
        self.frame = frame
        super().__init__(file, str(frame))

    def _open(self) -> None:
        """Read the header. Raises PictureError if no library is there, or it cannot decode this kind of JPEG."""
        import_libraries(self.what)
        if self.frame.components not in (1, 3) or not self.frame.height:
            raise PictureError(failures.undecodable(self.what))
        assert self.fp is not None
        self.fp.seek(0)
        content = bytearray(self.fp.read(self.frame.offset + 4096))
        content[self.frame.offset] = 8  # the header of such a JPEG, whose profile and EXIF Pillow can read
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as header:
            self.info = header.info
        self._mode = "L" if self.frame.components == 1 else "RGB"
        self._size = self.frame.width, self.frame.height

    def _decode(self) -> Image.Image:
        _, imagecodecs, np = import_libraries(self.what)
        assert self.fp is not None
        self.fp.seek(0)
        array = imagecodecs.jpeg_decode(self.fp.read())
        array = array.reshape(self.frame.height, self.frame.width, self.frame.components)
        numbers = samples.to_8_bit(np, array, self.frame.precision, alpha=None, associated=False, light=False)
        return samples.to_image(np, numbers, self.mode)
