"""The ends of files: notes about what is behind a picture are true, and what belongs there costs none."""

import io
import struct

import pytest
from PIL import Image

from tests.imaging.maker import difference
from tests.support.animations import GifFrame, gif
from tests.support.isobmff import box
from tests.support.pictures import BLUE, NOISE, corners, exif, plain, saved
from thumbmill.imaging import trailer
from thumbmill.imaging.trailer import check_trailer

FILM = box(b"ftyp", b"mp42" + bytes(4) + b"isommp42") + box(b"mdat", b"\xff\xd8 \xff\xd9 film" * 100)
SAMSUNG = b"\0\0\1\x0a\x0e\0\0\0Image_UTC_Data1788746908069SEFH" + bytes(20) + struct.pack("<I", 32) + b"SEFT"


def note(content: bytes, format: str) -> str | None:
    """Return what is wrong with the end of a file, which stays open."""
    file = io.BytesIO(content)
    found = check_trailer(file, format)
    assert not file.closed
    return found


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])
def test_trailing_bytes_cost_a_note(make, format):
    """The pixels stay the same."""
    content = saved(corners(), format)
    assert make.notes(content) == []
    expected = Image.open(make.out / "0.png").copy()
    notes = make.notes(content + b"x" * 1234)
    assert notes == ["1,234 bytes behind its end are no part of the picture"]
    assert difference(Image.open(make.out / "0.png"), expected) == 0


@pytest.mark.parametrize("count", [2, 1000, 1_500_000])
@pytest.mark.parametrize("format", ["JPEG", "MPO", "PNG", "GIF"])
def test_all_trailing_bytes_are_counted(format, count):
    """From the picture's own end on, however many there are, also if they look like an end marker."""
    content = saved(NOISE, format)
    ends = trailer.TRAILERS[format]
    assert note(content, format) is None
    assert note(content + b"x" * count, format) == f"{count:,} bytes behind its end are no part of the picture"
    assert note(content + b"x" * count + ends + b"x", format).startswith(f"{count + len(ends) + 1:,} bytes")
    assert note(content + bytes(count), format) == f"padded with {count:,} zero bytes behind its end"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])
def test_missing_end_marker(format):
    """Not only at the very end."""
    content = saved(corners(), format)
    content = content[: -len(trailer.TRAILERS[format])]
    assert note(content, format) == "its end marker is missing"


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_cut_end_marker(format):
    """One byte of it is lacking."""
    assert note(saved(corners(), format)[:-1], format) == "its end marker is missing"


def test_end_marker_with_another_checksum():
    """It is there, and nothing follows."""
    assert note(saved(corners(), "PNG")[:-4] + b"sum!", "PNG") is None


def test_missing_end_marker_costs_a_note(make):
    """A PNG whose pixels are all there, without its last chunk."""
    content = saved(corners(), "PNG")[:-12]
    assert make.notes(content) == ["its end marker is missing"]


def test_end_of_an_embedded_thumbnail_is_not_the_pictures():
    """Nor is one of a text."""
    block = exif(1).tobytes() + saved(plain(BLUE), "JPEG")
    content = saved(NOISE, "JPEG", exif=block, comment=b"\xff\xd9")
    assert note(content[:-2], "JPEG") == "its end marker is missing"
    assert note(content + b"x", "JPEG") == "1 byte behind its end is no part of the picture"


@pytest.mark.parametrize("padding", [0, 1, 5000])
@pytest.mark.parametrize(
    "addition",
    [FILM, saved(plain(BLUE), "JPEG") + b"\0" * 7, SAMSUNG, FILM + SAMSUNG],
    ids=["film", "jpeg", "sef", "both"],
)
def test_what_cameras_add_to_a_jpeg_costs_no_note(make, addition, padding):
    """A motion photo's film, further pictures, and Samsung's trailer; there may be zeros between."""
    assert make.notes(saved(corners(), "JPEG") + bytes(padding) + addition) == []


def test_film_behind_another_format_costs_a_note():
    """Nothing writes that on purpose."""
    assert (
        note(saved(corners(), "PNG") + FILM, "PNG") == f"{len(FILM):,} bytes behind its end are no part of the picture"
    )


@pytest.mark.parametrize("block", [3, 7, 64, 1000])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 100, "subsampling": 0}],
    ids=["baseline", "progressive", "restarts", "large"],
)
def test_end_of_a_jpeg_is_found_in_blocks_of_any_size(monkeypatch, options, block):
    """A marker may be cut in two."""
    monkeypatch.setattr(trailer, "BLOCK", block)
    content = saved(NOISE, "JPEG", **options)
    assert trailer.jpeg_end(io.BytesIO(content + b"x" * 99)) == len(content)


def test_fill_bytes_and_stray_bytes_before_markers():
    """Any number of 0xFF may precede a marker (ITU-T T.81, B.1.1.2), and decoders skip what is none."""
    content = saved(corners(), "JPEG")
    tables = content.index(b"\xff\xdb")
    content = content[:tables] + b"stray" + b"\xff" * 9 + content[tables:-2] + b"\xff" * 5 + b"\xff\xd9"
    assert trailer.jpeg_end(io.BytesIO(content + b"x")) == len(content)


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("JPEG", b"\xff\xd8" + b"\xff\x01" * 200_000 + b"x"),
        ("JPEG", b"\xff\xd8" + b"\xff\xda\0\2x" * 20_000),
        ("PNG", b"\x89PNG\r\n\x1a\n" + (b"\0\0\0\0aaAa" + bytes(4)) * 200_000),
    ],
    ids=["markers", "scans", "chunks"],
)
def test_file_of_very_many_parts_is_left_alone(format, content):
    """Whether there is an end behind them is not worth the time."""
    assert note(content, format) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff" * 1_000_000])
def test_file_that_ends_early(content):
    """Wherever it does."""
    assert note(content, "JPEG") == "its end marker is missing"


def test_end_of_an_animated_gif():
    """Behind all its frames; a semicolon in its pixels is no end."""
    content = gif((8, 8), [GifFrame((0, 0), (8, 8), 0x3B) for _ in range(3)])
    assert note(content, "GIF") is None
    assert note(content + b"xx", "GIF") == "2 bytes behind its end are no part of the picture"
    assert note(content[:-1], "GIF") == "its end marker is missing"
