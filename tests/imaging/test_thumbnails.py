"""The whole way of a picture: one decode, all thumbnails or none, the same bytes each time, files written whole."""

import os
import random
import subprocess
import sys

import pytest
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

from tests.imaging.maker import assert_plain, checked_reason, difference
from tests.support.pictures import LOSSY, NOISE, QUALITY, RED, SMALL, box_size, corners, plain, png, saved
from tests.support.profiles import wide_gamut
from tests.support.shop import REPOSITORY
from thumbmill.errors import PictureError
from thumbmill.imaging.encode import FORMATS
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails


def test_all_sizes_and_formats_from_one_decode(make, monkeypatch):
    """Twelve thumbnails; a PNG reader that counts is opened once and decodes once."""
    counts = {"opened": 0, "decoded": 0}

    class CountingPng(PngImageFile):
        def _open(self):
            counts["opened"] += 1
            super()._open()

        def load(self):
            counts["decoded"] += bool(self.tile)
            return super().load()

    monkeypatch.setitem(Image.OPEN, "PNG", (CountingPng, Image.OPEN["PNG"][1]))
    sizes = [box_size(20, 20), box_size(10, 10, "cover"), box_size(12, 12, "pad")]
    make.notes(saved(corners(), "PNG"), sizes, ["jpeg", "png", "webp", "avif"])
    assert counts == {"opened": 1, "decoded": 1}
    assert len(make.files()) == 12
    shapes = [
        Image.open(make.out / name).size for name in sorted(make.files(), key=lambda name: int(name.split(".")[0]))
    ]
    assert shapes == [(20, 15)] * 4 + [(10, 10)] * 4 + [(12, 12)] * 4


@pytest.mark.parametrize("source", ["JPEG", "PNG"])
def test_thumbnail_is_nearly_the_same_alone_and_among_others(make, source):
    """A large size beside it does not change what a small one shows."""
    content = saved(corners(800, 600), source, quality=95)
    make.notes(content, [box_size(400, 400), box_size(40, 40)])
    beside = Image.open(make.out / "1.png").copy()
    assert difference(beside, make(content, box_size(40, 40))) < 1.5


def test_same_input_gives_same_bytes(make, tmp_path):
    """Called twice, and in processes of their own that hash text differently, for each format."""
    make.source.write_bytes(saved(Image.effect_noise((300, 200), 60).convert("RGBA"), "PNG", icc_profile=wide_gamut()))
    program = (
        "import sys\n"
        "from thumbmill.imaging.encode import FORMATS\n"
        "from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails\n"
        "size = {'width': 90, 'height': 70, 'fit': 'cover', 'enlarge': False}\n"
        "thumbnails = [Thumbnail(f'{sys.argv[2]}/{format}', size, format) for format in FORMATS]\n"
        "make_thumbnails(sys.argv[1], thumbnails, quality={'jpeg': 80, 'webp': 80, 'avif': 65})\n"
    )
    found = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", program, make.source, folder], cwd=REPOSITORY, env=environment, check=True
        )
        found.append({name: (folder / name).read_bytes() for name in FORMATS})
    for _ in range(2):
        size = box_size(90, 70, "cover")
        thumbnails = [Thumbnail(str(make.out / format), size, format) for format in FORMATS]
        make_thumbnails(str(make.source), thumbnails, quality={"jpeg": 80, "webp": 80, "avif": 65})
        found.append({name: (make.out / name).read_bytes() for name in FORMATS})
    assert all(files == found[0] for files in found)


# Damage


VARIANTS = {
    "jpeg": ("JPEG", {}),
    "jpeg-progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "webp-lossless": ("WEBP", {"lossless": True}),
    "avif": ("AVIF", {}),
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff-jpeg": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
}


@pytest.mark.parametrize(("format", "options"), VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9, 0.97])
def test_truncated_file_is_refused(make, format, options, part):
    """However much of it is left."""
    content = saved(NOISE, format, **options)
    make.refusal(content[: int(len(content) * part)])


@pytest.mark.parametrize(("format", "options"), VARIANTS.values(), ids=VARIANTS)
def test_corrupted_file_is_made_whole_or_refused(make, format, options):
    """Thirty times twenty wrong bytes: all thumbnails or none, and never an error but PictureError."""
    content, chance = saved(NOISE, format, **options), random.Random(4)
    for _ in range(30):
        damaged = bytearray(content)
        for _ in range(20):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            make.notes(bytes(damaged), [SMALL, box_size(4, 4)], ["png", "jpeg"], max_pixels=100_000)
        except PictureError as error:
            checked_reason(error)
            assert make.files() == []
        else:
            assert make.files() == ["0.png", "1.jpg", "2.png", "3.jpg"]
            for name in make.files():
                Image.open(make.out / name).load()
                os.unlink(make.out / name)


def test_corrupted_pixels_of_a_png_are_refused(make):
    """PNG has checksums, by which a changed pixel is noticed."""
    content = bytearray(saved(NOISE, "PNG"))
    content[len(content) // 2] ^= 0xFF
    assert make.refusal(bytes(content)).startswith("damaged")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("fit", ["contain", "cover"])
def test_truncated_file_is_made_when_asked(make, format, fit):
    """The upper part is there, and a note says what was wrong."""
    content = saved(plain(RED, size=(400, 400)), format)
    content = saved(Image.effect_noise((400, 400), 20).convert("RGB"), format) if format == "GIF" else content
    part = content[: len(content) * 2 // 3]
    refused = make.refusal(part)
    assert refused.startswith("damaged: ")
    (note,) = make.notes(part, [box_size(40, 40, fit)], damaged="make")
    assert note == f"{refused}; made from what could be decoded"
    thumbnail = Image.open(make.out / "0.png").convert("RGB")
    assert thumbnail.size == (40, 40)
    if format in ("JPEG", "PNG"):
        assert_plain(thumbnail.crop((0, 0, 40, 18)), RED, LOSSY)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_what_is_no_picture_is_refused_in_any_case(make):
    """With `damaged: make`, a picture without a pixel or with too many is refused too."""
    assert "unsupported image format" in make.refusal(b"This is not a picture.\n" * 20, damaged="make")
    assert "empty" in make.refusal(b"", damaged="make")
    assert "too large" in make.refusal(saved(plain(RED), "PNG"), damaged="make", max_pixels=100)
    assert make.refusal(png(60, 60, 8, 2, b"")[:33], damaged="make")


# Writing


def test_existing_thumbnail_is_replaced(make):
    """Nothing else is left beside it."""
    (make.out / "0.png").write_bytes(b"old")
    assert_plain(make(saved(plain(RED), "PNG")), RED)
    assert make.files() == ["0.png"]


def test_existing_thumbnail_is_replaced_not_written_into(make, tmp_path):
    """A second name of the old thumbnail (a hard link, a backup) keeps its content."""
    (make.out / "0.png").write_bytes(b"old")
    os.link(make.out / "0.png", tmp_path / "backup")
    make(saved(plain(RED), "PNG"))
    assert (tmp_path / "backup").read_bytes() == b"old"


def test_thumbnail_can_be_read_by_others(make):
    """Its permissions are those that the umask leaves to any new file."""
    old = os.umask(0o022)
    try:
        make(saved(plain(RED), "PNG"))
    finally:
        os.umask(old)
    assert os.stat(make.out / "0.png").st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kind", ["missing-folder", "folder", "full-folder", "in-a-file", "long-name", "new\nline"])
@pytest.mark.parametrize("position", [0, 1])
def test_thumbnail_that_cannot_be_written(make, kind, position):
    """The reason names the path, and neither a temporary file nor the other thumbnail is left."""
    bad = {"in-a-file": make.out / "file" / "t.png", "long-name": make.out / ("x" * 255 + ".png")}.get(
        kind, make.out / kind / "t.png"
    )
    if kind == "folder":
        bad.mkdir(parents=True)
    elif kind == "full-folder":
        bad.mkdir(parents=True)
        (bad / "inside").touch()
    elif kind == "in-a-file":
        bad.parent.write_bytes(b"mine")
    paths = [make.out / "good.png", make.out / "better.png"]
    paths.insert(position, bad)
    before = sorted(make.out.rglob("*"))
    make.source.write_bytes(saved(plain(RED), "PNG"))
    with pytest.raises(PictureError) as caught:
        make_thumbnails(str(make.source), [Thumbnail(str(path), SMALL, "png") for path in paths], quality=QUALITY)
    reason = checked_reason(caught.value)
    assert "cannot write" in reason
    assert str(bad).replace("\n", " ") in reason.replace("\\n", " ")
    assert sorted(make.out.rglob("*")) == before
