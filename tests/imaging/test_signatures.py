"""What a file is that is no picture, and what a picture is that cannot be read: the reasons are true."""

import io
import re
import struct

import pytest

from tests.support.pictures import RED, jpeg_header, plain, saved, tiff
from thumbmill.errors import PictureError
from thumbmill.failures import Kind
from thumbmill.imaging import signatures
from thumbmill.imaging.signatures import describe, format_of, read_jpeg
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails

BOX = struct.pack(">I", 24)

FOREIGN = {
    "a PDF document": b"%PDF-1.7\n",
    "a PostScript drawing": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "an SVG drawing": b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "an HTML page": b"\n<!DOCTYPE html>\n<html><head><title>404</title>",
    "an XML document": b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
    "a JSON document": b'{"error": "not found"}',
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a git-annex pointer": b"/annex/objects/SHA256E-s1234--abcd.jpg\n",
    "an AppleDouble file": b"\0\5\26\7\0\2\0\0Mac OS X        ",
    "a macOS .DS_Store file": b"\0\0\0\1Bud1\0\0",
    "a ZIP archive": b"PK\3\4\x14\0",
    "a gzip archive": b"\x1f\x8b\x08\0",
    "a Zstandard archive": b"\x28\xb5\x2f\xfd\0",
    "a tar archive": b"a.jpg".ljust(257, b"\0") + b"ustar\0",
    "an MP4 video": BOX + b"ftypisom\0\0\2\0",
    "a QuickTime video": BOX + b"ftypqt  \0\0\2\0",
    "a Canon raw picture (CR3)": BOX + b"ftypcrx \0\0\0\1",
    "a Matroska or WebM video": b"\x1aE\xdf\xa3\x01",
    "an AVI video": b"RIFF\0\0\0\0AVI LIST",
    "a large Photoshop document": b"8BPS\0\2",
    "an OpenEXR picture": b"v/1\1\2\0",
    "a Netpbm picture": b"P6\n9 9\n255\n",
    "an icon": b"\0\0\1\0\1\0\x10\x10\0\0",
    "a DICOM picture": bytes(128) + b"DICM",
    "a file of zeros only": bytes(100_000),
    "text": "Dies ist kein Bild, über das man reden müsste.\n".encode() * 200,
    "text in UTF-16": "no picture".encode("utf-16"),
    "a file of unknown kind": b"\x17\x9b\x80\xfe" * 50,
}  # fmt: skip


@pytest.mark.parametrize(("what", "content"), FOREIGN.items(), ids=FOREIGN)
def test_what_is_no_picture_is_named(make, what, content):
    reason = make.refusal(content)
    assert reason.startswith(f"unsupported image format: {what.removesuffix(' in UTF-16')}"), reason
    assert "; " in reason, "and what to do"


def test_every_pattern_is_a_regular_expression_that_nothing_ordinary_matches():
    """The first that fits counts: none of them may fit a picture that is only damaged."""
    patterns = [pattern for _, pattern, _ in signatures.OTHER]
    for pattern in (*patterns, *signatures.READ.values(), *signatures.SWITCHED.values()):
        re.compile(pattern)
    for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF"):
        start = saved(plain(RED), format)[: signatures.START]
        found = [pattern for pattern in patterns if signatures.matches(pattern, start)]
        assert found == ([b"....ftyp"] if format == "AVIF" else []), "AVIF is found before that is asked for"
        assert format_of(start).upper() == format


def test_only_zeros_means_all_of_them():
    assert describe(io.BytesIO(bytes(3 << 20)))[0] == "a file of zeros only"
    assert describe(io.BytesIO(bytes(3 << 20) + b"x"))[0] == "a file of unknown kind"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xd8\xff", "a JPEG that ends before its picture begins"),
        (saved(plain(RED), "JPEG")[:100], "a JPEG that ends before its picture begins"),
        (b"\x89PNG\r\n\x1a\n", "a PNG whose header cannot be read"),
        (b"GIF89a", "a GIF whose header cannot be read"),
        (b"II*\0\xff\xff\0\0", "a TIFF whose directory cannot be read"),
        (b"II*\0\x08\0\0\0\0\0", "a TIFF whose directory cannot be read"),
        (tiff(8, 8, bytes(64), {258: 700}), "a TIFF whose directory cannot be read"),
        (b"BM" + struct.pack("<IIIIii", 54, 0, 54, 40, 9, 9), "ends within its header|Truncated"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_picture_is_damaged(make, content, words):
    """Not an unsupported format, which would not be true."""
    assert re.search(f"^damaged: .*({words})", make.refusal(content))


def with_frame(**changes) -> bytes:
    """Return a JPEG whose frame header says something else than is true."""
    content = bytearray(saved(plain(RED), "JPEG"))
    frame = read_jpeg(io.BytesIO(content))
    if "marker" in changes:
        content[frame.offset - 3] = changes["marker"]
    content[frame.offset] = changes.get("precision", 8)
    content[frame.offset + 5] = changes.get("components", 3)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (with_frame(components=2), "a JPEG with 2 colour components"),
        (with_frame(components=5), "a JPEG with 5 colour components"),
        (with_frame(marker=0xF7), "a JPEG-LS picture"),
        (with_frame(marker=0xC5, precision=9), "a hierarchical JPEG with 9 bits per sample"),
        (with_frame(marker=0xC5), "a hierarchical JPEG with 8 bits per sample"),
        (with_frame(marker=0xCB), "a lossless arithmetic-coded JPEG with 8 bits per sample"),
    ],
)
def test_unusual_jpeg_is_not_called_damaged(make, content, what):
    for damaged in ("refuse", "make"):
        assert make.refusal(content, damaged=damaged).startswith(f"{what}, a kind that cannot be read")


def test_frame_header_of_a_jpeg_is_found_behind_whatever_comes_first():
    """Segments of any kind, fill bytes, and rubbish between them."""
    plain_jpeg = jpeg_header(1234, 567)
    before = b"\xff\xe1\0\6abcd" + b"\xff\xff\xff\xe2\0\4xy" + b"rubbish"
    frame = read_jpeg(io.BytesIO(plain_jpeg[:2] + before + plain_jpeg[2:]))
    assert (frame.width, frame.height, frame.precision, frame.components) == (1234, 567, 8, 3)
    assert read_jpeg(io.BytesIO(b"\xff\xd8" + b"\xff" * 100)) is None


def test_a_picture_of_another_format_says_what_it_is_called(tmp_path):
    size = {"width": 8, "height": 8, "fit": "contain"}
    for name, named in {"a.jpg": " named .jpg", "a.jp2": "", "a": ""}.items():
        (tmp_path / name).write_bytes(saved(plain(RED, size=(32, 32)), "JPEG2000"))
        with pytest.raises(PictureError) as caught:
            make_thumbnails(str(tmp_path / name), [Thumbnail(str(tmp_path / "t.png"), size, "png")], quality={})
        assert str(caught.value) == f"a JPEG 2000 picture{named}: to have it made, set `read: [+jpeg2000]`"
        assert caught.value.failure.kind == Kind.UNSUPPORTED
