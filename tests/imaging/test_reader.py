"""Opening a source: which files are read, how large they may be, and what keeps a picture from being made."""

import os
import socket
import struct
import sys

import pytest
from PIL import Image

from tests.imaging.maker import assert_colour, assert_plain, checked_reason
from tests.support.pictures import (
    BLUE,
    GREEN,
    LOSSY,
    QUALITY,
    RED,
    SMALL,
    YELLOW,
    box_size,
    chunk,
    corners,
    exif,
    jpeg_header,
    plain,
    png,
    saved,
    tiff,
)
from thumbmill.errors import PictureError
from thumbmill.failures import Kind
from thumbmill.imaging.reader import fail_if_modified, header_size, open_file, webp_size
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails

HUGE = {
    "png": png(60000, 60000, 8, 2, b"")[:33] + chunk(b"IEND", b""),
    "png-with-pixels": png(60000, 60000, 8, 2, b"")[:33] + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
    "jpeg": jpeg_header(60000, 60000),
    "bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
    "tiff": tiff(60000, 60000, b"", {}),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 60000, 60000, 0x80, 0, 0) + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;",
    "gif-frame": b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b",\0\0\0\0\x60\xea\x60\xea\0\2\2\x44\1\0;",
}  # fmt: skip


@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE)
def test_too_large_is_seen_in_the_header(make, content):
    """No pixel is decoded: the file has none, and the reason is its size."""
    reason = make.refusal(content)
    assert reason.startswith("too large: 60000 x 60000")
    assert "max_pixels" in reason


def test_largest_accepted_picture_is_max_pixels(make):
    """One pixel more is too many."""
    content = saved(plain(RED, size=(20, 10)), "PNG")
    assert make(content, max_pixels=200).size == (8, 4)
    os.unlink(make.out / "0.png")
    assert "20 x 10" in make.refusal(content, max_pixels=199)


@pytest.mark.parametrize("format", ["EPS", "PPM", "PDF", "ICO", "TGA", "PCX", "SGI", "DDS", "ICNS"])
def test_formats_outside_the_list_are_refused(make, format):
    """Pillow could read most of these."""
    assert make.refusal(saved(plain(RED, size=(32, 32)), format)).startswith("unsupported image format")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"This is not a picture.\n" * 20, "unsupported image format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported image format"),
        (bytes(1000), "unsupported image format"),
    ],
    ids=["empty", "text", "svg", "zeros"],
)
def test_no_picture_at_all(make, content, word):
    """The reason does not call it damaged."""
    assert word in make.refusal(content)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_wrong_extension_is_no_reason_to_refuse(tmp_path, format):
    """A PNG called .jpg is made: its content decides."""
    source, target = tmp_path / "picture.jpg", tmp_path / "out.png"
    source.write_bytes(saved(plain(RED), format))
    assert make_thumbnails(str(source), [Thumbnail(str(target), SMALL, "png")], quality={}) == []
    assert_plain(Image.open(target).convert("RGB"), RED, LOSSY)


@pytest.mark.parametrize("kind", ["missing", "dangling", "loop", "folder", "in-a-file"])
def test_source_that_is_no_file(make, kind):
    """The reason does not call the picture damaged."""
    path = make.source
    if kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "in-a-file":
        path.write_bytes(b"x")
        path = path / "picture.jpg"
    with pytest.raises(PictureError) as caught:
        make_thumbnails(str(path), [Thumbnail(str(make.out / "0.png"), SMALL, "png")], quality=QUALITY)
    assert "damaged" not in checked_reason(caught.value)
    assert make.files() == []


# Files that change while they are read


def modify(path):
    with open(path, "ab") as file:
        file.write(b"more")


def touch_long_ago(path):
    os.utime(path, (5, 5))


def replace_by_a_copy(path):
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(os.stat(path).st_mtime_ns,) * 2)
    os.replace(copy, path)


def remove(path):
    path.unlink()


def turn_into_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [modify, touch_long_ago, replace_by_a_copy, remove, turn_into_a_pipe])
@pytest.mark.parametrize("error", [None, ValueError("what a decoder says of half a file")])
def test_source_that_changes_while_it_is_read(tmp_path, change, error):
    """It is not called damaged, whatever the decoder made of it, and its thumbnails are not written."""
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(plain(RED), "JPEG"))
    with open_file(str(path)) as file, pytest.raises(PictureError) as caught, fail_if_modified(str(path), file):
        change(path)
        if error:
            raise error
    assert caught.value.failure.kind == Kind.MODIFIED


def test_source_that_stays_the_same_passes(tmp_path):
    """Its access time may change; an error stays what it is."""
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(plain(RED), "JPEG"))
    with open_file(str(path)) as file, fail_if_modified(str(path), file):
        path.read_bytes()
    with open_file(str(path)) as file, pytest.raises(ValueError, match="mine"), fail_if_modified(str(path), file):
        raise ValueError("mine")


# Special files


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_special_file_is_never_opened(tmp_path, kind):
    """Opening a pipe would wait for a writer."""
    path = tmp_path / "x.jpg"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.close()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(PictureError, match="not a file: a pipe, a socket or a device"):
        make_thumbnails(str(path), [Thumbnail(str(tmp_path / "t.jpg"), SMALL, "jpeg")], quality=QUALITY)


# Headers


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}])
def test_size_of_a_webp_is_read_without_its_decoder(tmp_path, options):
    """As Pillow reads it, from each of the three kinds of header."""
    path = tmp_path / "x.webp"
    Image.new("RGB", (321, 1234)).save(path, **options)
    assert webp_size(path.read_bytes()[:30]) == (321, 1234)
    assert webp_size(b"RIFF") is None
    with path.open("rb") as file:
        assert header_size(file, 10**6) == (321, 1234)


# HEIC


def test_heic_without_its_library_says_what_is_missing(make, monkeypatch):
    """The reason says how to install it."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    reason = make.refusal(b"\0\0\0\x18ftypheic" + bytes(100))
    assert reason.startswith("a HEIC picture") and "pip install" in reason


def test_heic_is_read_if_its_library_is_installed(make):
    """In its colours, and turned once: EXIF does not count (ISO/IEC 23008-12). A damaged one is refused."""
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    content = saved(corners(), "HEIF", quality=95, exif=exif(6))
    thumbnail = make(content, box_size(32, 32))
    assert thumbnail.size == (32, 24)
    for at, colour in {(6, 5): RED, (26, 5): GREEN, (6, 19): BLUE, (26, 19): YELLOW}.items():
        assert_colour(thumbnail.getpixel(at), colour, 16)
    os.unlink(make.out / "0.png")
    assert make.refusal(content[: len(content) // 2]).startswith("damaged")
