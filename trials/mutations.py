"""The inputs of the fuzzer: pictures in all formats and modes, mutated, and settings drawn at random."""

import io
import random
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image, ImageCms

from thumbmill.imaging.encode import FORMATS
from thumbmill.imaging.geometry import Size
from trials.hostile import gif, looping_exif, scans, tile, webp

MAX_FILE = 300_000  # bytes; the fuzzer takes only the start of a larger file

VARIANTS = [
    *(("JPEG", mode, options) for mode in ("L", "RGB", "CMYK") for options in ({}, {"progressive": True})),
    ("JPEG", "RGB", {"subsampling": 0, "optimize": True}),
    *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I")),
    *(("WEBP", mode, options) for mode in ("RGB", "RGBA") for options in ({}, {"lossless": True})),
    *(("AVIF", mode, {"speed": 10}) for mode in ("L", "RGB", "RGBA")),
    *(("GIF", mode, {}) for mode in ("1", "L", "P", "RGBA")),
    *(("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")),
    *(("TIFF", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I;16", "I", "F")),
    *(
        ("TIFF", "RGB", {"compression": name})
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd", "webp")
    ),
    *(("TIFF", "1", {"compression": name}) for name in ("group3", "group4", "tiff_ccitt")),
    ("HEIF", "RGB", {}),
    ("HEIF", "RGBA", {}),
]

# Numbers that break readers.
ODD_NUMBERS = [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


def own_pictures() -> Iterator[bytes]:
    """Yield pictures of 40 x 30 in every format and mode that Pillow writes, some with metadata or several frames."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    noise = Image.effect_noise((40, 30), 80)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for format, mode, options in VARIANTS:
        picture = Image.merge("RGB", [noise, noise.rotate(180), noise.point(lambda level: 255 - level)])
        if mode in ("LAB", "F", "I"):
            picture = Image.new(mode, (40, 30), 7)
        else:
            picture = picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode)
        try:
            yield saved(picture, format, **options)
            if mode in ("RGB", "L") and format not in ("BMP", "GIF"):
                yield saved(picture, format, exif=exif, icc_profile=profile, **options)
        except OSError:
            continue  # a library without this codec
    frames = [Image.effect_noise((40, 30), spread).convert("RGB") for spread in (20, 60, 90)]
    for format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO"):
        yield saved(frames[0], format, save_all=True, append_images=frames[1:])
    yield from (gif(5), looping_exif(), scans(3, 64), tile(128), webp(3, 8))


def saved(picture: Image.Image, format: str, **options) -> bytes:
    """Return `picture` as the content of a file."""
    content = io.BytesIO()
    picture.save(content, format, **options)
    return content.getvalue()


def files_in(folders: Iterable[str]) -> Iterator[bytes]:
    """Yield the start of each file below `folders`, in a stable order."""
    for folder in folders:
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            with path.open("rb") as file:
                if content := file.read(MAX_FILE):
                    yield content


def starting_points(folders: Iterable[str]) -> list[bytes]:
    """Return all pictures to start from: those in `folders`, and about as many of our own, repeated if need be."""
    own, given = [*own_pictures()], [*files_in(folders)]
    return own * max(1, round(len(given) / len(own))) + given


def mutated(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return `content` after one to four changes; one in fifty stays as it is."""
    data = bytearray(content)
    if not chance.randrange(50):
        return content
    for _ in range(chance.randint(1, 4)):
        if not data:
            break
        # The start of a file holds most of what its reader depends on.
        at = chance.randrange(len(data) if chance.randrange(2) else min(len(data), 512))
        length = min(len(data) - at, int(2 ** chance.uniform(0, 12)))
        kind = chance.randrange(7)
        if kind == 0:
            for _ in range(chance.choice([1, 1, 2, 8, 64])):
                data[chance.randrange(len(data)) if chance.randrange(2) else at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            part = data[at : at + length]
            data[at:at] = part * min(chance.choice([1, 1, 2, 100, 5000]), 1 + MAX_FILE // len(part))
        elif kind == 4:
            other = chance.choice(others)
            start = chance.randrange(len(other))
            data[at : at + length] = other[start : start + length]
        elif kind == 5:
            number, form = chance.choice(ODD_NUMBERS), chance.choice(["<I", ">I", "<H", ">H", "B"])
            packed = struct.pack(form, number % 2 ** (8 * struct.calcsize(form)))
            data[at : at + len(packed)] = packed
        else:
            data[at : at + length] = chance.randbytes(length)
    return bytes(data)


def draw(number: int, seed: int, pictures: list[bytes]) -> tuple[bytes, list[tuple[Size, str]], dict[str, Any]]:
    """Return input `number`: a file's content, the sizes and formats to make of it, and the other settings."""
    chance = random.Random(f"{seed}-{number}")
    content = mutated(chance.choice(pictures), pictures, chance)
    sizes: list[tuple[Size, str]] = []
    for _ in range(chance.randint(1, 3)):
        size: Size = {
            "width": chance.choice([1, 16, 33, 200]),
            "height": chance.choice([1, 16, 33, 200]),
            "fit": chance.choice(["contain", "cover", "pad"]),
            "enlarge": not chance.randrange(4),
            "focus": chance.choice(["center", "top-left", "50% 20%"]),
            "trim": not chance.randrange(3),
            "trim_tolerance": chance.choice([0, 10, 254]),
            "margin": chance.choice([0, 0, 5, 100]),
            "sharpen": chance.choice([0, 0, 40, 300]),
        }
        sizes.append((size, chance.choice([*FORMATS])))
    settings = {
        "quality": dict.fromkeys(["jpeg", "webp", "avif"], chance.choice([1, 80, 100])),
        "background": chance.choice(["#ffffff", "black"]),
        "linear": not chance.randrange(4),
        "animated": not chance.randrange(2),
        "damaged": chance.choice(["refuse", "make"]),
    }
    return content, sizes, settings
