"""The files of thumbnails: formats, quality, transparency, no metadata, nothing that differs from run to run."""

import io
import struct

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.imaging.maker import assert_colour
from tests.support.pictures import (
    BLACK,
    BLUE,
    GREEN,
    LOSSY,
    QUALITY,
    RED,
    SMALL,
    WHITE,
    box_size,
    corners,
    exif,
    plain,
    saved,
)
from tests.support.profiles import wide_gamut
from thumbmill.imaging.encode import encode, finish_avif
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
def test_thumbnail_is_in_the_format_asked_for(make, format):
    """Whatever extension its path has."""
    target = make.out / "thumbnail.bin"
    make.source.write_bytes(saved(corners(), "PNG"))
    make_thumbnails(str(make.source), [Thumbnail(str(target), SMALL, format)], quality=QUALITY)
    assert Image.open(target).format == format.upper()


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_quality_is_the_encoders(make, format):
    """Lower quality, fewer bytes."""
    content = saved(Image.effect_noise((64, 64), 60).convert("RGB"), "PNG")
    low, high = (len(make.bytes(content, box_size(64, 64), format, quality={format: q})) for q in (20, 90))
    assert low < high * 0.7


def test_size_that_the_encoder_refuses(make):
    """WebP holds 16,383 pixels a side: the reason names format and size, and no other thumbnail is written."""
    reason = make.refusal(
        saved(plain(RED, size=(20_000, 2)), "PNG"), sizes=[box_size(20_000, 2)], formats=["png", "webp"]
    )
    assert "webp" in reason and "20000x2" in reason


# Transparency


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_transparency_is_kept(make, format):
    """Left invisible, middle half, right opaque."""
    picture = plain((*BLUE, 0), "RGBA", (48, 24))
    picture.paste((*BLUE, 128), (16, 0, 32, 24))
    picture.paste((*BLUE, 255), (32, 0, 48, 24))
    thumbnail = make(saved(picture, "PNG"), box_size(24, 24), format)
    assert (thumbnail.mode, thumbnail.size) == ("RGBA", (24, 12))
    assert thumbnail.getpixel((3, 6))[3] <= 3
    assert_colour(thumbnail.getpixel((12, 6)), (*BLUE, 128), LOSSY)
    assert_colour(thumbnail.getpixel((21, 6)), (*BLUE, 255), LOSSY)


@pytest.mark.parametrize(
    ("background", "expected"), [("#ffffff", WHITE), ("#00ff00", GREEN), ("#102030", (16, 32, 48))]
)
def test_transparency_shows_the_background_in_jpeg(make, background, expected):
    """JPEG has no transparency: what is half transparent shows half the background."""
    picture = plain((*BLACK, 0), "RGBA", (48, 24))
    picture.paste((*BLACK, 128), (24, 0, 48, 24))
    thumbnail = make(saved(picture, "PNG"), box_size(48, 24), "jpeg", background=background)
    assert (thumbnail.format, thumbnail.mode) == ("JPEG", "RGB")
    assert_colour(thumbnail.getpixel((6, 12)), expected, 4)
    assert_colour(thumbnail.getpixel((40, 12)), [value * 127 / 255 for value in expected], 4)


# Metadata


MARK = "SECRET-MARK"


def with_metadata(format: str, picture: Image.Image) -> bytes:
    """Return a picture file with all the metadata that `format` can hold, each kind with MARK in it."""
    block = exif(1)
    block[0x010E] = f"description {MARK}"
    block.get_ifd(0x8825)[29] = f"{MARK}"  # GPSDateStamp
    block.get_ifd(0x8825)[1] = "N"
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{MARK}</x:xmpmeta>".encode()
    icc = wide_gamut() + MARK.encode()
    options = {"exif": block, "icc_profile": icc}
    if format == "PNG":
        info = PngInfo()
        info.add_text("Comment", MARK)
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options |= {"pnginfo": info, "dpi": (300, 300)}
    elif format == "GIF":
        return saved(picture, format, comment=MARK.encode())
    elif format == "TIFF":
        options["tiffinfo"] = {270: MARK, 315: MARK, 700: xmp}
    else:
        options |= {"xmp": xmp}
    if format == "JPEG":
        options |= {"comment": MARK, "dpi": (300, 300)}
    return saved(picture, format, **options)


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF"])
def test_metadata_is_dropped(make, source, output):
    """No EXIF, GPS, XMP, ICC, comment or text, resized or not, opaque or not."""
    modes = ["RGB"] if source in ("JPEG", "GIF") else ["RGB", "RGBA"]
    for mode in modes:
        content = with_metadata(source, plain((90, 90, 90, 200)[: len(mode)], mode))
        assert MARK.encode() in content
        for size in (SMALL, box_size(16, 16)):
            written = make.bytes(content, size, output)
            assert MARK.encode() not in written
            thumbnail = Image.open(io.BytesIO(written))
            thumbnail.load()
            assert not {"exif", "icc_profile", "xmp", "comment", "Comment", "XML:com.adobe.xmp"} & set(thumbnail.info)
            assert not [tag for tag in thumbnail.getexif() if tag != 0x0112]
            assert not getattr(thumbnail, "text", {})


def test_a_whole_exif_block_costs_no_note(make):
    """One with GPS and text in it."""
    assert make.notes(with_metadata("JPEG", plain(RED))) == []


# The same bytes each time

MOVING = [plain((*colour, 255), "RGBA", (32, 16)) for colour in (RED, GREEN, BLUE)]


def box_times(content: bytes, kind: bytes) -> list[tuple[int, int]]:
    """Return creation and modification time of each box of this `kind` (ISO/IEC 14496-12: a version, flags, times)."""
    found, position = [], content.find(kind)
    while position >= 0:
        form = ">QQ" if content[position + 4] == 1 else ">II"
        found.append(struct.unpack_from(form, content, position + 8))
        position = content.find(kind, position + 1)
    return found


@pytest.mark.parametrize("transparent", [False, True])
def test_animated_avif_does_not_hold_the_time_of_its_making(transparent):
    """Pillow writes it into three kinds of boxes; transparency is a track of its own."""
    frames = [frame.copy() if transparent else frame.convert("RGB") for frame in MOVING]
    if transparent:
        for frame in frames:
            frame.putalpha(100)
    plainly = saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=[100, 200, 300])
    made = encode(frames, "avif", QUALITY, "#ffffff", [100, 200, 300])
    for kind, tracks in ((b"mvhd", 1), (b"tkhd", 1 + transparent), (b"mdhd", 1 + transparent)):
        assert box_times(made, kind) == [(0, 0)] * tracks
        assert all(time > 0 for times in box_times(plainly, kind) for time in times)


def test_animated_avif_finish_avif_shows_the_same_frames():
    options = {"quality": 60, "max_threads": 1, "speed": 8}
    plainly = saved(
        MOVING[0], "AVIF", save_all=True, append_images=MOVING[1:], duration=[100, 200, 300], loop=0, **options
    )
    made = encode(MOVING, "avif", {"avif": 60}, "#ffffff", [100, 200, 300])
    assert len(made) == len(plainly)
    with Image.open(io.BytesIO(plainly)) as before, Image.open(io.BytesIO(made)) as after:
        assert before.n_frames == after.n_frames == 3
        for number in range(3):
            before.seek(number)
            after.seek(number)
            assert (after.tobytes(), after.info["duration"]) == (before.tobytes(), before.info["duration"])


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("large", [False, True])
def test_times_are_cleared_in_both_versions_and_lengths_of_boxes(version, large):
    """Boxes of version 0 hold 32-bit times; a length of 1 means that 64 bits of it follow, one of 0 up to the end."""

    def box(kind: bytes, content: bytes) -> bytes:
        if large:
            return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
        return struct.pack(">I4s", 8 + len(content), kind) + content

    def movie(time: int) -> bytes:
        header = struct.pack(">B3x" + ("QQ" if version else "II"), version, time, time) + b"rest"
        track = box(b"tkhd", header) + box(b"mdia", box(b"mdhd", header) + box(b"hdlr", b"mvhd" + header))
        return box(b"moov", box(b"mvhd", header) + box(b"trak", track)) + struct.pack(">I4s", 0, b"mdat") + header

    cleared = finish_avif(movie(0x01020304), 0)
    in_other_boxes = struct.pack(">Q" if version else ">I", 0x01020304)
    assert cleared.count(in_other_boxes) == 4  # in hdlr and mdat, which have no times
    assert len(cleared) == len(movie(0))
    assert cleared.replace(in_other_boxes, bytes(len(in_other_boxes))) == movie(0)
