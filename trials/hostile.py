"""What hostile files cost: python -m trials.hostile [NAME ...]

Makes each file, sends it through the picture function in a process of its own, within the limits of the default
settings, and prints a table: bytes on disk, seconds, the process's peak memory, and the outcome. test_hostile.py fails
if an outcome is not among those expected here.
"""

import argparse
import io
import json
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pillow_heif
from PIL import Image

from tests.support.pictures import chunk, jpeg_header, png, tiff
from thumbmill.catalog.layout import Layout
from thumbmill.errors import PictureError
from thumbmill.failures import Kind
from thumbmill.run.cgroups import worker_memory
from thumbmill.run.failures import failure_of_worker
from thumbmill.run.job import make_renditions, reported_memory_limit
from thumbmill.run.limits import limited
from thumbmill.run.settings import load_validator, read_settings
from thumbmill.text import printable
from trials import REPOSITORY

SIDE = 14_000  # pixels: 196 megapixels, little less than max_pixels allows
HUGE = 60_000


class Hostile(NamedTuple):
    """One hostile file: what makes its content, its possible outcomes, the settings that differ from the default."""

    content: Callable[[], bytes]
    expected: tuple[str, ...]  # MADE, or kinds of failures
    settings: Mapping[str, Any] = MappingProxyType({})


class Cost(NamedTuple):
    """What became of a file."""

    seconds: float
    megabytes: float  # the peak of memory; 0 if the process died
    outcome: str  # MADE, or the kind of the failure
    text: str  # of the failure


# Pictures that are small only on disk


def flat(format: str, mode: str = "RGB", side: int = SIDE, **options) -> bytes:
    """Return a square picture of one colour."""
    content = io.BytesIO()
    if format == "HEIF":
        pillow_heif.register_heif_opener()
    Image.new(mode, (side, side)).save(content, format, **options)
    return content.getvalue()


def flat_png(width: int, height: int) -> bytes:
    """Return a grey PNG whose pixels are all 0, made without an encoder."""
    return png(width, height, 8, 0, bytes(width))


def bmp_of_runs(side: int) -> bytes:
    """Return a BMP whose only run (RLE8) says that it is complete, although it has no pixel."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 2, 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + 2, 0, 0, start) + header + bytes(1024) + b"\0\1"


def interlaced(side: int) -> bytes:
    """Return a grey PNG in Adam7 order."""
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        width, height = -(-(side - left) // across), -(-(side - top) // down)
        rows += bytes((1 + width) * height)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 1)
    return png(1, 1, 8, 0, b"")[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def patched(format: str, side: int) -> bytes:
    """Return a HEIC or AVIF of 64 x 64 whose header (the `ispe` box) says another size."""
    content = flat(format, side=64)
    real = struct.pack(">II", 64, 64)
    return content.replace(b"ispe\0\0\0\0" + real, b"ispe\0\0\0\0" + struct.pack(">II", side, side))


def deep_tiff(side: int) -> bytes:
    """Return a TIFF of 12 bits per sample, which Pillow cannot read, whose pixels are all 0."""
    packer, row = zlib.compressobj(), bytes(side * 3 * 12 // 8)
    pixels = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    return tiff(side, side, pixels, {258: 12, 259: 8, 262: 2, 277: 3})


def huge_master(format: str) -> bytes:
    """Return the beginning of a JPEG 2000 or JPEG XL picture of HUGE x HUGE pixels."""
    if format == "JPEG2000":
        start = flat(format, side=64, no_jp2=True)
        return start[:8] + struct.pack(">II", HUGE, HUGE) + start[16:]
    size = 0 | 3 << 1 | HUGE - 1 << 3 | 1 << 33  # any height, in 30 bits; a width in the ratio 1:1 to it
    return b"\xff\x0a" + size.to_bytes(30, "little")


# Pictures that take long


def scans(count: int, side: int) -> bytes:
    """Return a grey progressive JPEG of `count` scans, each of which goes over all coefficients and changes none.

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
    """Return a GIF of `frames` frames of one pixel."""
    frame = b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + frame * frames + b";"


def apng(frames: int, there: int, side: int = 1) -> bytes:
    """Return an animated PNG that claims to have `frames` frames, of which it has the first `there`."""
    control = [
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", n and 2 * n - 1, side, side, 0, 0, 1, 10, 0, 0)) for n in range(there)
    ]
    pixels = zlib.compress((b"\0" + bytes(side)) * side)
    more = b"".join(control[n] + chunk(b"fdAT", struct.pack(">I", 2 * n) + pixels) for n in range(1, there))
    before = chunk(b"acTL", struct.pack(">II", frames, 0)) + control[0]
    return png(side, side, 8, 0, bytes(side), before=before, after=more)


def webp(frames: int, side: int) -> bytes:
    """Return an animated WebP of `frames` frames."""
    still = io.BytesIO()
    Image.new("RGB", (1, 1)).save(still, "WEBP", lossless=True)
    picture = still.getvalue()[12:]
    frame = bytes(6) + bytes(6) + b"\1\0\0" + b"\0" + picture  # at 0, 0; 1 x 1; 1 ms
    header = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + 2 * struct.pack("<I", side - 1)[:3]
    body = b"WEBP" + header + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += (b"ANMF" + struct.pack("<I", len(frame)) + frame) * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


# Endless metadata


def bomb(megabytes: int) -> bytes:
    """Return zeros, deflated to a thousandth."""
    return zlib.compress(bytes(megabytes * 1024 * 1024), 9)


def chunks(count: int, kind: bytes, content: bytes) -> bytes:
    """Return a PNG of 16 x 16 with the same chunk `count` times before its pixels."""
    return png(16, 16, 8, 0, bytes(16), before=chunk(kind, content) * count)


def segments(count: int, marker: int, content: bytes) -> bytes:
    """Return a JPEG of 64 x 64 with the same segment `count` times."""
    sound = flat("JPEG", side=64)
    return sound[:2] + (bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content) * count + sound[2:]


def exif(directory: bytes) -> bytes:
    """Return a JPEG with an EXIF block that holds this directory."""
    return segments(1, 0xE1, b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory)


def looping_exif() -> bytes:
    """Return an EXIF block whose directories (EXIF, GPS, interoperability) and next directory are all the first one."""
    entries = [struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005)]
    return exif(struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 8))


def endless_exif() -> bytes:
    """Return an EXIF block of as many entries as fit, each of which claims to be 4 GB long."""
    return exif(struct.pack("<H", 5000) + struct.pack("<HHII", 0x0112, 2, 0xFFFFFFFF, 8) * 5000)


def many_pictures() -> bytes:
    """Return a JPEG whose index (MPO) lists as many pictures as fit, all of them itself."""
    count = 4000
    entries = struct.pack("<IIIHH", 0x20030000, 1000, 0, 0, 0) * count
    directory = struct.pack("<H", 3)
    directory += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, count)
    directory += struct.pack("<HHII", 0xB002, 7, len(entries), 8 + 2 + 36 + 4) + bytes(4)
    return segments(1, 0xE2, b"MPF\0II*\0" + struct.pack("<I", 8) + directory + entries)


def large_profile() -> bytes:
    """Return a JPEG with 255 segments of an invalid ICC profile, 16 MB in all."""
    sound = flat("JPEG", side=64)
    parts = b"".join(
        b"\xff\xe2" + struct.pack(">H", 65_533) + b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65_517)
        for n in range(1, 256)
    )
    return sound[:2] + parts + sound[2:]


# TIFF


def chain(count: int, loops: bool) -> bytes:
    """Return a TIFF of `count` directories with a picture each; if it `loops`, the last one leads to the first."""
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
    """Return a TIFF whose directory holds a directory (SubIFD) that holds a directory, `count` levels deep."""
    outermost = tiff(4, 4, bytes(16), {330: 8 + 2 + 120 + 4 + 16})
    offsets = (len(outermost) + 18 * (number + 1) for number in range(count))
    return outermost + b"".join(struct.pack("<HHHIII", 1, 330, 4, 1, offset, 0) for offset in offsets)


def tile(side: int) -> bytes:
    """Return a TIFF of 100 x 100 that is one deflated tile of this side, without its bytes."""
    tags = {259: 8, 322: side, 323: side, 324: 8, 325: 16}
    return tiff(100, 100, bytes(16), tags)


MADE = "made"
DAMAGED, UNSUPPORTED, TOO_LARGE = Kind.DAMAGED, Kind.UNSUPPORTED, Kind.TOO_LARGE
TIMED_OUT, OUT_OF_MEMORY, MISSING = Kind.TIMED_OUT, Kind.OUT_OF_MEMORY, Kind.LIBRARY_MISSING
MOVING = {"animated": True, "format": ["webp"]}
QUICKLY = {"max_seconds": 5}

FILES = {
    # Small on disk, large in memory; just not too large.
    "bomb.png": Hostile(lambda: flat_png(SIDE, SIDE), (MADE,)),
    "bomb-interlaced.png": Hostile(lambda: interlaced(SIDE), (MADE,)),
    "bomb.gif": Hostile(lambda: flat("GIF", "P"), (MADE,)),
    "bomb-deflate.tif": Hostile(lambda: flat("TIFF", compression="tiff_adobe_deflate"), (MADE,)),
    "bomb-lzw.tif": Hostile(lambda: flat("TIFF", "RGBA", compression="tiff_lzw"), (MADE,)),
    "bomb.webp": Hostile(lambda: flat("WEBP", lossless=True, method=0), (MADE,)),
    "bomb.avif": Hostile(lambda: flat("AVIF", speed=10), (MADE,)),
    "bomb.heic": Hostile(lambda: flat("HEIF", side=8_000), (MADE,)),
    "bomb.bmp": Hostile(lambda: bmp_of_runs(SIDE), (MADE, DAMAGED)),
    "bomb-wide.png": Hostile(lambda: flat_png(100_000_000, 1), (MADE,)),
    "bomb-high.png": Hostile(lambda: flat_png(1, 100_000_000), (MADE,)),
    "header-only.jpg": Hostile(lambda: jpeg_header(65_000, 3_000) + b"\xff\xd9", (DAMAGED,)),
    "bomb-tile.tif": Hostile(lambda: tile(30_000), (DAMAGED, OUT_OF_MEMORY)),
    "bomb-frame.webp": Hostile(lambda: webp(2, SIDE), (MADE,)),
    # Too large.
    "huge.png": Hostile(lambda: png(HUGE, HUGE, 8, 2, b""), (TOO_LARGE,)),
    "huge.jpg": Hostile(lambda: jpeg_header(HUGE, HUGE), (TOO_LARGE,)),
    "huge.gif": Hostile(lambda: gif(1)[:6] + struct.pack("<HH", HUGE, HUGE) + gif(1)[10:], (TOO_LARGE,)),
    "huge.tif": Hostile(lambda: tiff(HUGE, HUGE, b"", {}), (TOO_LARGE,)),
    "huge.bmp": Hostile(lambda: bmp_of_runs(HUGE), (TOO_LARGE,)),
    "huge.avif": Hostile(lambda: patched("AVIF", HUGE), (TOO_LARGE, DAMAGED, UNSUPPORTED)),
    "huge.heic": Hostile(lambda: patched("HEIF", HUGE), (TOO_LARGE, DAMAGED, UNSUPPORTED)),
    # Those that Pillow does not decode.
    "bomb-12-bit.tif": Hostile(lambda: deep_tiff(SIDE), (MADE, MISSING)),
    "huge-12-bit.tif": Hostile(lambda: tiff(HUGE, HUGE, b"", {258: 12, 262: 2, 277: 3}), (TOO_LARGE, MISSING)),
    "samples-12-bit.tif": Hostile(
        lambda: tiff(SIDE, SIDE, b"", {258: 12, 262: 2, 277: HUGE}), (DAMAGED, UNSUPPORTED, MISSING)
    ),
    "strip.tif": Hostile(
        lambda: tiff(64, 64, flat("JPEG2000", side=9000, no_jp2=True), {259: 34_712, 262: 2, 277: 3}),
        (DAMAGED, MISSING),
    ),
    "tile.tif": Hostile(
        lambda: tiff(64, 64, b"x" * 64, {258: 12, 262: 2, 277: 3, 322: HUGE, 323: HUGE, 324: 8, 325: 64}),
        (DAMAGED, OUT_OF_MEMORY, MISSING),
    ),
    "huge-fields.bmp": Hostile(
        lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII3I", 66, 0, 66, 40, HUGE, HUGE, 1, 16, 3, *[0] * 5, 15, 240, 3840),
        (TOO_LARGE,),
    ),
    "huge.j2k": Hostile(lambda: huge_master("JPEG2000"), (TOO_LARGE,), {"read": ["+jpeg2000"]}),
    "huge.jxl": Hostile(lambda: huge_master("JXL"), (TOO_LARGE, MISSING), {"read": ["+jpegxl"]}),
    "huge.psd": Hostile(
        lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHHIIIH", 3, HUGE, HUGE, 8, 3, 0, 0, 0, 0),
        (TOO_LARGE,),
        {"read": ["+psd"]},
    ),
    # Slow to decode.
    "scans.jpg": Hostile(lambda: scans(10_000, SIDE), (TIMED_OUT,), QUICKLY),
    "scans-small.jpg": Hostile(lambda: scans(10_000, 64), (MADE, DAMAGED)),
    "million-frames.gif": Hostile(lambda: gif(1_000_000), (MADE,)),
    "million-frames-animated.gif": Hostile(lambda: gif(1_000_000), (TIMED_OUT,), MOVING | QUICKLY),
    "frames-said.png": Hostile(lambda: apng(2**31 - 1, 1), (TOO_LARGE,), MOVING),
    "frames.png": Hostile(lambda: apng(20_000, 20_000), (MADE, TIMED_OUT), MOVING),
    "frames.webp": Hostile(lambda: webp(20_000, 8), (MADE, TIMED_OUT), MOVING),
    "frames-large.webp": Hostile(lambda: webp(20_000, SIDE), (TOO_LARGE,), MOVING),
    # Metadata.
    "texts.png": Hostile(lambda: chunks(5_000, b"zTXt", b"a\0\0" + bomb(1)), (MADE, DAMAGED)),
    "text-bomb.png": Hostile(lambda: chunks(1, b"zTXt", b"a\0\0" + bomb(1_000)), (MADE, DAMAGED)),
    "international-texts.png": Hostile(lambda: chunks(5_000, b"iTXt", b"a\0\1\0\0\0" + bomb(1)), (MADE, DAMAGED)),
    "profiles.png": Hostile(lambda: chunks(1_000, b"iCCP", b"a\0\0" + bomb(15)), (MADE, DAMAGED, TIMED_OUT)),
    "profile-bomb.png": Hostile(lambda: chunks(1, b"iCCP", b"a\0\0" + bomb(1_000)), (MADE, DAMAGED)),
    "small-chunks.png": Hostile(lambda: chunks(500_000, b"prVt", b""), (MADE, DAMAGED)),
    "segments.jpg": Hostile(lambda: segments(200_000, 0xE5, b"a"), (MADE,)),
    "exif-segments.jpg": Hostile(
        lambda: segments(200_000, 0xE1, b"Exif\0\0" + bytes(20)), (MADE, TIMED_OUT), QUICKLY
    ),
    "exif-looping.jpg": Hostile(looping_exif, (MADE,)),
    "exif-endless.jpg": Hostile(endless_exif, (MADE,)),
    "many-pictures.jpg": Hostile(many_pictures, (MADE,)),
    "large-profile.jpg": Hostile(large_profile, (MADE,)),
    # TIFF.
    "looping.tif": Hostile(lambda: chain(1, loops=True), (MADE,)),
    "folders.tif": Hostile(lambda: chain(50_000, loops=False), (MADE,)),
    "nested.tif": Hostile(lambda: nested(50_000), (MADE,)),
    **{
        f"compression-{number}.tif": Hostile(lambda number=number: tiff(64, 64, bytes(4096), {259: number}), expected)
        for number, expected in {
            2: (MADE, DAMAGED), 3: (MADE, DAMAGED), 4: (MADE, DAMAGED), 6: (DAMAGED, UNSUPPORTED),
            7: (DAMAGED,), 32_773: (MADE, DAMAGED), 32_809: (DAMAGED, UNSUPPORTED), 34_676: (DAMAGED, UNSUPPORTED),
            34_712: (DAMAGED, MISSING), 34_925: (DAMAGED,), 50_000: (DAMAGED,), 50_001: (DAMAGED, MISSING),
            65_000: (DAMAGED, UNSUPPORTED),
        }.items()
    },
    # Not what the name says: formats whose readers start programs, fetch files, or get little maintenance.
    "postscript.jpg": Hostile(
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch x) system\nshowpage\n", (UNSUPPORTED,)
    ),
    "pdf.jpg": Hostile(lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n", (UNSUPPORTED,)),
    "photoshop.jpg": Hostile(lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3), (UNSUPPORTED,)),
    "svg.jpg": Hostile(lambda: b'<?xml version="1.0"?><svg><image href="/etc/passwd"/></svg>', (UNSUPPORTED,)),
    "metafile.jpg": Hostile(lambda: b"\xd7\xcd\xc6\x9a" + bytes(60), (UNSUPPORTED,)),
    "netpbm.jpg": Hostile(lambda: b"P6 9 9 255\n" + bytes(243), (UNSUPPORTED,)),
    "icon.jpg": Hostile(lambda: b"\0\0\1\0\1\0\x10\x10" + bytes(60), (UNSUPPORTED,)),
    "archive.jpg": Hostile(lambda: b"PK\3\4" + bytes(60), (UNSUPPORTED,)),
}  # fmt: skip


def settings_of(hostile: Hostile) -> dict[str, Any]:
    """Return the settings for a file, as the picture script sees them with two cores."""
    settings = read_settings(hostile.settings, load_validator(str(REPOSITORY)))
    return {**settings, "worker_memory": worker_memory(settings["max_memory"], 2)}


def measure(path: Path, settings: dict) -> Cost:
    """Send the file at `path` through the picture function in a process of its own, with its thumbnails beside it."""
    command = [sys.executable, "-c", "from trials.hostile import make_one; make_one()", str(path), json.dumps(settings)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, errors="replace")
    if done.returncode < 0:
        number = -done.returncode
        failure = failure_of_worker(f"worker died: signal {number} ({signal.Signals(number).name})")
        return Cost(time.monotonic() - float(done.stdout), 0, *failure)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Cost(*json.loads(done.stdout.splitlines()[1]))


def make_one() -> None:
    """Make the thumbnails of a file: the program of the process that measure() starts.

    The arguments are its path and the settings as JSON. Print the time of the system's clock, for the case that this
    process dies, and then the Cost as JSON.
    """
    path, settings = sys.argv[1], json.loads(sys.argv[2])
    start = time.monotonic()
    print(start, flush=True)
    outputs = [f"{path}.thumb-{format}" for format in settings["format"]]
    outcome, text = MADE, ""
    try:
        with reported_memory_limit(settings), limited(settings["max_seconds"], settings["worker_memory"]):
            make_renditions(path, outputs, Layout(settings), settings)
    except PictureError as error:
        outcome, text = error.failure
    print(json.dumps(Cost(time.monotonic() - start, peak_memory(), outcome, text)))


def peak_memory() -> float:
    """Return the peak of this process's memory in MB (Linux: VmHWM, which starts again with each program)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1_000_000


def main(arguments: list[str] | None = None) -> int:
    """Make and measure the files that the user names, or all, and print the table; return 0."""
    parser = argparse.ArgumentParser(prog="python -m trials.hostile", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a file in FILES (default: all)")
    names = parser.parse_args(arguments).names or list(FILES)
    if unknown := [name for name in names if name not in FILES]:
        parser.error(f"there is no file {unknown[0]!r}: choose from {', '.join(FILES)}")
    print("| file | bytes | seconds | MB | outcome |\n|---|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder) / name
            path.write_bytes(FILES[name].content())
            cost = measure(path, settings_of(FILES[name]))
            memory = f"{cost.megabytes:,.0f}" if cost.megabytes else ""
            outcome = printable(cost.text.replace("|", "\\|")) or cost.outcome
            print(f"| {name} | {path.stat().st_size:,} | {cost.seconds:.2f} | {memory} | {outcome} |", flush=True)
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
