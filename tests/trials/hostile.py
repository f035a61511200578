"""What hostile files cost: python -m tests.trials.hostile [name ...]

Makes each file, sends it through the picture function in a process of its own, within the limits that the default
settings set, and prints a table: bytes on disk, seconds, the process's peak memory, and what became of it.
tests/test_hostile.py asserts what stands here.
"""

import io
import json
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pillow_heif
from PIL import Image

from scripts.container import worker_memory
from scripts.report import DEATH, explain_death
from scripts.settings import load_validator, read_settings
from scripts.thumbnail import PictureError, make_limited, printable
from tests.conftest import REPOSITORY
from tests.test_thumbnail import chunk, jpeg_header, png, tiff

SIDE = 14_000  # pixels: 196 megapixels, little less than max_pixels allows
TOO_LARGE = 60_000


class Hostile(NamedTuple):
    """One hostile file: what makes its content, what becomes of it, and the settings that differ from the default.

    `expected` is "made", or the beginnings of the reasons for which it may be refused.
    """

    content: Callable[[], bytes]
    expected: tuple[str, ...] | str
    settings: dict = {}  # noqa: RUF012


class Cost(NamedTuple):
    """What became of a file: seconds, peak memory in MB (0 if the process died), "made" or why it was refused."""

    seconds: float
    megabytes: float
    outcome: str


# Pictures that are small on disk only


def flat(format: str, mode: str = "RGB", side: int = SIDE, **options) -> bytes:
    """A square picture of one colour."""
    content = io.BytesIO()
    if format == "HEIF":
        pillow_heif.register_heif_opener()
    Image.new(mode, (side, side)).save(content, format, **options)
    return content.getvalue()


def flat_png(width: int, height: int) -> bytes:
    """A grey PNG whose pixels are all 0, made without decoding it."""
    return png(width, height, 8, 0, bytes(width))


def bmp_of_runs(side: int) -> bytes:
    """A BMP whose only run (RLE8) says that all is done, although no pixel is there."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 2, 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + 2, 0, 0, start) + header + bytes(1024) + b"\0\1"


def interlaced(side: int) -> bytes:
    """A grey PNG in Adam7 order."""
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        width, height = -(-(side - left) // across), -(-(side - top) // down)
        rows += bytes((1 + width) * height)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 1)
    return png(1, 1, 8, 0, b"")[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def patched(format: str, side: int) -> bytes:
    """A HEIC or AVIF of 64 x 64 whose header (the `ispe` box) says another size."""
    content = flat(format, side=64)
    real = struct.pack(">II", 64, 64)
    return content.replace(b"ispe\0\0\0\0" + real, b"ispe\0\0\0\0" + struct.pack(">II", side, side))


# Pictures that take long


def scans(count: int, side: int) -> bytes:
    """A grey progressive JPEG of so many scans, each of which goes over all coefficients and changes none.

    A scan is one run (EOBn of ITU-T T.81, G.1.2.2) after another of 32,767 blocks in which nothing follows.
    """
    frame = b"\xff\xc2" + struct.pack(">HBHHBBBB", 11, 8, side, side, 1, 1, 0x11, 0)
    table = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + [0] * 15) + b"\xe0"  # one code, "0": EOB14
    quantization = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    runs = -(-((side // 8 + 1) ** 2) // 32_767)
    bits = int(("0" + "1" * 14) * runs + "1" * (-15 * runs % 8), 2)
    pixels = bits.to_bytes(-(-15 * runs // 8), "big").replace(b"\xff", b"\xff\0")
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0) + pixels
    return b"\xff\xd8" + quantization + frame + table + scan * count + b"\xff\xd9"


def gif(frames: int) -> bytes:
    """A GIF of so many frames of one pixel."""
    frame = b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + frame * frames + b";"


def apng(frames: int, there: int, side: int = 1) -> bytes:
    """An animated PNG that says it has so many frames, of which so many are there."""
    control = [
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", n and 2 * n - 1, side, side, 0, 0, 1, 10, 0, 0)) for n in range(there)
    ]
    pixels = zlib.compress((b"\0" + bytes(side)) * side)
    more = b"".join(control[n] + chunk(b"fdAT", struct.pack(">I", 2 * n) + pixels) for n in range(1, there))
    before = chunk(b"acTL", struct.pack(">II", frames, 0)) + control[0]
    return png(side, side, 8, 0, bytes(side), before=before, after=more)


def webp(frames: int, side: int) -> bytes:
    """An animated WebP of so many frames."""
    still = io.BytesIO()
    Image.new("RGB", (1, 1)).save(still, "WEBP", lossless=True)
    picture = still.getvalue()[12:]
    frame = bytes(6) + bytes(6) + b"\1\0\0" + b"\0" + picture  # at 0, 0; 1 x 1; 1 ms
    header = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + 2 * struct.pack("<I", side - 1)[:3]
    body = b"WEBP" + header + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += (b"ANMF" + struct.pack("<I", len(frame)) + frame) * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


# Metadata without end


def bomb(megabytes: int) -> bytes:
    """Zeros, deflated: a thousandth of what they become."""
    return zlib.compress(bytes(megabytes * 1024 * 1024), 9)


def chunks(count: int, kind: bytes, content: bytes) -> bytes:
    """A PNG of 16 x 16 with so many times the same chunk in front of its pixels."""
    return png(16, 16, 8, 0, bytes(16), before=chunk(kind, content) * count)


def segments(count: int, marker: int, content: bytes) -> bytes:
    """A JPEG of 64 x 64 with so many times the same segment."""
    sound = flat("JPEG", side=64)
    return sound[:2] + (bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content) * count + sound[2:]


def exif(directory: bytes) -> bytes:
    """A JPEG with an EXIF block that holds this directory."""
    return segments(1, 0xE1, b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory)


def looping_exif() -> bytes:
    """An EXIF block whose directories (EXIF, GPS, interoperability) are all the first one, and so is the next."""
    entries = [struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005)]
    return exif(struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 8))


def endless_exif() -> bytes:
    """An EXIF block of as many entries as fit, each of which says that it is 4 GB long."""
    return exif(struct.pack("<H", 5000) + struct.pack("<HHII", 0x0112, 2, 0xFFFFFFFF, 8) * 5000)


def many_pictures() -> bytes:
    """A JPEG whose index (MPO) tells of as many pictures as fit, all of them itself."""
    count = 4000
    entries = struct.pack("<IIIHH", 0x20030000, 1000, 0, 0, 0) * count
    directory = struct.pack("<H", 3)
    directory += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, count)
    directory += struct.pack("<HHII", 0xB002, 7, len(entries), 8 + 2 + 36 + 4) + bytes(4)
    return segments(1, 0xE2, b"MPF\0II*\0" + struct.pack("<I", 8) + directory + entries)


def large_profile() -> bytes:
    """A JPEG with 255 segments of an ICC profile, 16 MB in all, that is none."""
    sound = flat("JPEG", side=64)
    parts = b"".join(
        b"\xff\xe2" + struct.pack(">H", 65_533) + b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65_517)
        for n in range(1, 256)
    )
    return sound[:2] + parts + sound[2:]


# TIFF


def chain(count: int, loops: bool) -> bytes:
    """A TIFF of so many folders (IFDs) of one picture each; the last one leads to the first, if it `loops`."""
    sound = tiff(4, 4, bytes(16), {})
    length = len(sound) - 8
    folders = []
    for number in range(count):
        start = 8 + number * length
        tags = dict(struct.unpack("<HHII", sound[10 + 12 * n : 22 + 12 * n])[::3] for n in range(9))
        tags[273] += number * length
        following = start + length if number < count - 1 else 8 * loops
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
        folders.append(struct.pack("<H", 9) + entries + struct.pack("<I", following) + bytes(16))
    return sound[:8] + b"".join(folders)


def nested(count: int) -> bytes:
    """A TIFF whose folder holds a folder (SubIFD) that holds a folder, and so on."""
    outermost = tiff(4, 4, bytes(16), {330: 8 + 2 + 120 + 4 + 16})
    offsets = (len(outermost) + 18 * (number + 1) for number in range(count))
    return outermost + b"".join(struct.pack("<HHHIII", 1, 330, 4, 1, offset, 0) for offset in offsets)


def tile(side: int) -> bytes:
    """A TIFF of 100 x 100 that is one deflated tile of this side, of which no byte is there."""
    tags = {259: 8, 322: side, 323: side, 324: 8, 325: 16}
    return tiff(100, 100, bytes(16), tags)


NO_PICTURE = "not a picture in a format that is read"
TOO_LONG = "took longer than max_seconds allows"
MEMORY = "not enough memory"
LARGE = "too large"
DAMAGED = "damaged"
MOVING = {"animated": True, "format": ["webp"]}
QUICKLY = {"max_seconds": 5}

FILES = {
    # Small on disk, large in memory; just not too large.
    "bomb.png": Hostile(lambda: flat_png(SIDE, SIDE), "made"),
    "bomb-interlaced.png": Hostile(lambda: interlaced(SIDE), "made"),
    "bomb.gif": Hostile(lambda: flat("GIF", "P"), "made"),
    "bomb-deflate.tif": Hostile(lambda: flat("TIFF", compression="tiff_adobe_deflate"), "made"),
    "bomb-lzw.tif": Hostile(lambda: flat("TIFF", "RGBA", compression="tiff_lzw"), "made"),
    "bomb.webp": Hostile(lambda: flat("WEBP", lossless=True, method=0), "made"),
    "bomb.avif": Hostile(lambda: flat("AVIF", speed=10), "made"),
    "bomb.heic": Hostile(lambda: flat("HEIF", side=8_000), "made"),
    "bomb.bmp": Hostile(lambda: bmp_of_runs(SIDE), ("made", DAMAGED)),
    "bomb-wide.png": Hostile(lambda: flat_png(100_000_000, 1), "made"),
    "bomb-high.png": Hostile(lambda: flat_png(1, 100_000_000), "made"),
    "header-only.jpg": Hostile(lambda: jpeg_header(65_000, 3_000) + b"\xff\xd9", (DAMAGED,)),
    "bomb-tile.tif": Hostile(lambda: tile(30_000), (DAMAGED, MEMORY)),
    "bomb-frame.webp": Hostile(lambda: webp(2, SIDE), "made"),
    # Too large.
    "huge.png": Hostile(lambda: png(TOO_LARGE, TOO_LARGE, 8, 2, b""), (LARGE,)),
    "huge.jpg": Hostile(lambda: jpeg_header(TOO_LARGE, TOO_LARGE), (LARGE,)),
    "huge.gif": Hostile(lambda: gif(1)[:6] + struct.pack("<HH", TOO_LARGE, TOO_LARGE) + gif(1)[10:], (LARGE,)),
    "huge.tif": Hostile(lambda: tiff(TOO_LARGE, TOO_LARGE, b"", {}), (LARGE,)),
    "huge.bmp": Hostile(lambda: bmp_of_runs(TOO_LARGE), (LARGE,)),
    "huge.avif": Hostile(lambda: patched("AVIF", TOO_LARGE), (LARGE, DAMAGED, NO_PICTURE)),
    "huge.heic": Hostile(lambda: patched("HEIF", TOO_LARGE), (LARGE, DAMAGED, NO_PICTURE)),
    # Long to decode.
    "scans.jpg": Hostile(lambda: scans(10_000, SIDE), (TOO_LONG,), QUICKLY),
    "scans-small.jpg": Hostile(lambda: scans(10_000, 64), ("made", DAMAGED)),
    "million-frames.gif": Hostile(lambda: gif(1_000_000), "made"),
    "million-frames-animated.gif": Hostile(lambda: gif(1_000_000), (TOO_LONG,), MOVING | QUICKLY),
    "frames-said.png": Hostile(lambda: apng(2**31 - 1, 1), (LARGE,), MOVING),
    "frames.png": Hostile(lambda: apng(20_000, 20_000), ("made", TOO_LONG), MOVING),
    "frames.webp": Hostile(lambda: webp(20_000, 8), ("made", TOO_LONG), MOVING),
    "frames-large.webp": Hostile(lambda: webp(20_000, SIDE), (LARGE,), MOVING),
    # Metadata.
    "texts.png": Hostile(lambda: chunks(5_000, b"zTXt", b"a\0\0" + bomb(1)), ("made", DAMAGED)),
    "text-bomb.png": Hostile(lambda: chunks(1, b"zTXt", b"a\0\0" + bomb(1_000)), ("made", DAMAGED)),
    "international-texts.png": Hostile(lambda: chunks(5_000, b"iTXt", b"a\0\1\0\0\0" + bomb(1)), ("made", DAMAGED)),
    "profiles.png": Hostile(lambda: chunks(1_000, b"iCCP", b"a\0\0" + bomb(15)), ("made", DAMAGED, TOO_LONG)),
    "profile-bomb.png": Hostile(lambda: chunks(1, b"iCCP", b"a\0\0" + bomb(1_000)), ("made", DAMAGED)),
    "small-chunks.png": Hostile(lambda: chunks(500_000, b"prVt", b""), ("made", DAMAGED)),
    "segments.jpg": Hostile(lambda: segments(200_000, 0xE5, b"a"), "made"),
    "exif-segments.jpg": Hostile(
        lambda: segments(200_000, 0xE1, b"Exif\0\0" + bytes(20)), ("made", TOO_LONG), QUICKLY
    ),
    "exif-looping.jpg": Hostile(looping_exif, "made"),
    "exif-endless.jpg": Hostile(endless_exif, "made"),
    "many-pictures.jpg": Hostile(many_pictures, "made"),
    "large-profile.jpg": Hostile(large_profile, "made"),
    # TIFF.
    "looping.tif": Hostile(lambda: chain(1, loops=True), "made"),
    "folders.tif": Hostile(lambda: chain(50_000, loops=False), "made"),
    "nested.tif": Hostile(lambda: nested(50_000), "made"),
    **{
        f"compression-{number}.tif": Hostile(lambda number=number: tiff(64, 64, bytes(4096), {259: number}), expected)
        for number, expected in {
            2: ("made", DAMAGED), 3: ("made", DAMAGED), 4: ("made", DAMAGED), 6: (DAMAGED, NO_PICTURE),
            7: (DAMAGED,), 32_773: ("made", DAMAGED), 32_809: (DAMAGED, NO_PICTURE), 34_676: (DAMAGED, NO_PICTURE),
            34_712: (DAMAGED, NO_PICTURE), 34_925: (DAMAGED,), 50_000: (DAMAGED,), 50_001: (DAMAGED,),
            65_000: (DAMAGED, NO_PICTURE),
        }.items()
    },
    # Not what the name says: formats whose readers start programs, fetch things, or are seldom looked after.
    "postscript.jpg": Hostile(
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch x) system\nshowpage\n", (NO_PICTURE,)
    ),
    "pdf.jpg": Hostile(lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n", (NO_PICTURE,)),
    "photoshop.jpg": Hostile(lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3), (NO_PICTURE,)),
    "svg.jpg": Hostile(lambda: b'<?xml version="1.0"?><svg><image href="/etc/passwd"/></svg>', (NO_PICTURE,)),
    "metafile.jpg": Hostile(lambda: b"\xd7\xcd\xc6\x9a" + bytes(60), (NO_PICTURE,)),
    "netpbm.jpg": Hostile(lambda: b"P6 9 9 255\n" + bytes(243), (NO_PICTURE,)),
    "icon.jpg": Hostile(lambda: b"\0\0\1\0\1\0\x10\x10" + bytes(60), (NO_PICTURE,)),
    "archive.jpg": Hostile(lambda: b"PK\3\4" + bytes(60), (NO_PICTURE,)),
}  # fmt: skip


def settings_of(hostile: Hostile) -> dict:
    """The default settings, but for those that the file asks for, as the picture script sees them with two cores."""
    settings = read_settings(hostile.settings, load_validator(str(REPOSITORY)))
    return {**settings, "worker_memory": worker_memory(settings["max_memory"], 2)}


def measure(path: Path, settings: dict) -> Cost:
    """Send the file at `path` through the picture function in a process of its own; its thumbnails lie beside it."""
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "tests.trials.hostile", "--one"]
    done = subprocess.run(
        [*command, str(path), json.dumps(settings)], cwd=REPOSITORY, capture_output=True, text=True, errors="replace"
    )
    if done.returncode < 0:
        from snakemake_executor_plugin_pool.pool import describe

        reason = f"worker died: {describe(done.returncode)}"
        assert DEATH.fullmatch(reason)
        return Cost(time.monotonic() - float(done.stdout), 0, explain_death(reason))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Cost(*json.loads(done.stdout.splitlines()[1]))


def make_one(path: str, settings: dict) -> Cost:
    """Make the thumbnails of the file at `path`, here: what measure() lets another process do."""
    start = time.monotonic()
    try:
        make_limited(path, [f"{path}.thumb-{format}" for format in settings["format"]], settings)
        outcome = "made"
    except PictureError as error:
        outcome = str(error)
    return Cost(time.monotonic() - start, peak_memory(), outcome)


def peak_memory() -> float:
    """The most memory that this process has had so far, in MB (Linux: VmHWM, which another program's start resets)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1_000_000


def main(names: list[str]) -> None:
    print("| file | bytes | seconds | MB | what becomes of it |\n|---|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or FILES:
            path = Path(folder) / name
            path.write_bytes(FILES[name].content())
            cost = measure(path, settings_of(FILES[name]))
            memory = f"{cost.megabytes:,.0f}" if cost.megabytes else ""
            outcome = printable(cost.outcome.replace("|", "\\|"))
            print(f"| {name} | {path.stat().st_size:,} | {cost.seconds:.2f} | {memory} | {outcome} |", flush=True)
            path.unlink()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(time.monotonic(), flush=True)  # the system's clock, for the case that this process dies
        print(json.dumps(make_one(sys.argv[2], json.loads(sys.argv[3]))))
    else:
        main(sys.argv[1:])
