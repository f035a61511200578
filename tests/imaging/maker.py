"""Thumbnails of pictures given as bytes, and what tests ask about them."""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.pictures import QUALITY, SMALL, box_size
from thumbmill.errors import PictureError
from thumbmill.imaging.encode import FORMATS
from thumbmill.imaging.geometry import Size
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails

LONG_AGO = 1_000_000_000  # seconds since the epoch: a source of just now would be watched for a tick of the clock


class Maker:
    """Makes thumbnails of pictures given as a file's content, in a folder of its own."""

    def __init__(self, folder: Path):
        self.source = folder / "source"
        self.out = folder / "out"
        self.out.mkdir()

    def files(self) -> list[str]:
        """Return the names of the files in the folder of thumbnails."""
        return sorted(os.listdir(self.out))

    def notes(
        self, content: bytes, sizes: Iterable[Size] = (SMALL,), formats: Sequence[str] = ("png",), **options: Any
    ) -> list[str]:
        """Make thumbnails, called 0.png and so on, and return the notes; fail if the source changes."""
        self.source.write_bytes(content)
        os.utime(self.source, (LONG_AGO, LONG_AGO))
        before = os.stat(self.source)
        wanted = [(size, format) for size in sizes for format in formats]
        thumbnails = [
            Thumbnail(str(self.out / f"{number}{FORMATS[format].extension}"), size, format)
            for number, (size, format) in enumerate(wanted)
        ]
        try:
            return make_thumbnails(str(self.source), thumbnails, **{"quality": QUALITY, **options})
        finally:
            after = os.stat(self.source)
            assert self.source.read_bytes() == content
            assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)

    def bytes(self, content: bytes, size: Size = SMALL, format: str = "png", **options: Any) -> bytes:
        """Return the content of a single thumbnail."""
        self.notes(content, [size], [format], **options)
        return (self.out / f"0{FORMATS[format].extension}").read_bytes()

    def __call__(self, content: bytes, size: Size = SMALL, format: str = "png", **options: Any) -> Image.Image:
        """Return a single thumbnail, decoded."""
        picture = Image.open(io.BytesIO(self.bytes(content, size, format, **options)))
        picture.load()
        return picture

    def refusal(self, content: bytes, **options: Any) -> str:
        """Return why `content` is refused, in one line; fail if anything was written."""
        with pytest.raises(PictureError) as caught:
            self.notes(content, **{"sizes": [SMALL, box_size(4, 4)], "formats": ["png", "jpeg"], **options})
        assert self.files() == []
        return checked_reason(caught.value)


def checked_reason(error: PictureError) -> str:
    """Return the message of `error`; fail if it is not one line that can be printed."""
    reason = str(error)
    assert reason.strip() and reason.isprintable() and len(reason) < 500
    return reason


def assert_colour(found: Sequence[int], expected: Sequence[int], tolerance: int = 1) -> None:
    """Fail if a channel of `found` differs from that of `expected` by more than `tolerance`."""
    assert len(found) == len(expected), f"{found} is not {expected}"
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= tolerance, f"{found} is not {expected}"


def assert_plain(picture: Image.Image, expected: Sequence[int], tolerance: int = 1) -> None:
    """Fail if a channel of a pixel of `picture` differs from that of `expected` by more than `tolerance`."""
    extrema = picture.getextrema()
    assert_colour([low for low, _ in extrema], expected, tolerance)
    assert_colour([high for _, high in extrema], expected, tolerance)


def assert_half(picture: Image.Image, expected: Sequence[int]) -> None:
    """Fail if a pixel of `picture` is not `expected`; if that is invisible, any invisible pixel will do."""
    if len(expected) == 4 and expected[3] == 0:
        assert picture.getchannel("A").getextrema()[1] <= 2
    else:
        assert_plain(picture, expected, 2)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures' channels, 0 to 255."""
    assert (one.mode, one.size) == (other.mode, other.size)
    means = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return sum(means) / len(means)
