"""BMP files compressed as RLE4 or RLE8 that leave pixels out: [MS-WMF], 3.1.6. Pillow drops their empty rows."""

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile

DECODER = "bitmap_rle"
END_OF_ROW, END_OF_PICTURE, SKIP = 0, 1, 2  # what follows a count of 0; any other number is one of single pixels


def correct(picture: BmpImageFile) -> None:
    """Have a freshly opened `picture`, compressed as RLE4 or RLE8, decoded rightly."""
    Image.register_decoder(DECODER, RleDecoder)
    picture.tile = [tile._replace(codec_name=DECODER) for tile in picture.tile]


class RleDecoder(ImageFile.PyDecoder):
    """Decodes the pixels of a whole picture. Those that are left out have the first colour of the palette."""

    _pulls_fd = True

    def decode(self, buffer: object) -> tuple[int, int]:
        """Decode the rest of the file. Raises OSError if it ends too early."""
        assert self.fd is not None
        width, height = self.state.xsize, self.state.ysize
        numbers, is_complete = decoded(self.fd.read(), width, height, is_rle4=self.args[1])
        if not is_complete and not ImageFile.LOAD_TRUNCATED_IMAGES:
            raise OSError("image file is truncated")
        self.set_as_raw(numbers, "L" if self.mode in ("1", "L") else "P", (0, self.args[-1]))
        return -1, 0


def decoded(content: bytes, width: int, height: int, *, is_rle4: bool) -> tuple[bytes, bool]:
    """Return the number of each pixel, row by row as stored, and whether the picture is complete."""
    numbers = bytearray(width * height)
    at = x = y = 0
    while y < height and at + 2 <= len(content):
        count, value = content[at : at + 2]
        at += 2
        if count:
            pair = bytes([value >> 4, value & 15]) if is_rle4 else bytes([value, value])
            run = (pair * (count // 2 + 1))[:count]
        elif value == END_OF_ROW:
            x, y = 0, y + 1
            continue
        elif value == END_OF_PICTURE:
            return bytes(numbers), True
        elif value == SKIP:
            if at + 2 > len(content):
                break
            x, y = x + content[at], y + content[at + 1]
            at += 2
            continue
        else:
            length = (value + 1) // 2 if is_rle4 else value
            stored = content[at : at + length]
            if len(stored) < length:
                break
            run = bytes(half for byte in stored for half in (byte >> 4, byte & 15))[:value] if is_rle4 else stored
            at += length + length % 2
        run = run[: max(0, width - x)]  # what reaches beyond the row is no part of the picture
        start = y * width + x
        numbers[start : start + len(run)] = run
        x += len(run)
    return bytes(numbers), y >= height or (y == height - 1 and x >= width)
