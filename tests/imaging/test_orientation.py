"""EXIF orientation: pictures come out upright, and a broken EXIF block costs a note at most."""

import random

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.imaging.maker import assert_colour, assert_plain, difference
from tests.support.pictures import (
    BLUE,
    GREEN,
    LOSSY,
    RED,
    WHITE,
    YELLOW,
    box_size,
    chunk,
    corners,
    exif,
    plain,
    png,
    saved,
    stored_as,
)
from thumbmill.imaging.orientation import oriented_box, oriented_size, stored_box


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("MPO", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
    ids=["jpeg", "mpo", "png", "webp", "avif", "tiff", "tiff-lzw"],
)
def test_all_orientations_come_out_upright(make, format, options, orientation, fit):
    """However the four quarters are stored, the same upright picture comes out, in its upright size."""
    content = saved(stored_as(corners(), orientation), format, exif=exif(orientation), **options)
    thumbnail = make(content, box_size(36, 24, fit))
    assert thumbnail.size == ((32, 24) if fit == "contain" else (36, 24))
    width, height = thumbnail.size
    left = 2 if fit == "pad" else 0  # 64 x 48 in 36 x 24 is 32 wide
    for (x, y), colour in {
        (left + 6, 5): RED,
        (width - 1 - left - 6, 5): GREEN,
        (left + 6, height - 6): BLUE,
        (width - 1 - left - 6, height - 6): YELLOW,
    }.items():
        assert_colour(thumbnail.getpixel((x, y)), colour, LOSSY)
    if fit == "pad":
        assert_colour(thumbnail.getpixel((0, 12)), WHITE)
        assert_colour(thumbnail.getpixel((35, 12)), WHITE)


@pytest.mark.parametrize("orientation", [6, 8])
def test_turned_jpeg_that_is_decoded_small_is_upright_and_in_shape(make, orientation):
    """A tall picture that is stored on its side, large enough for libjpeg to decode it at a smaller scale."""
    upright = corners(600, 1000)
    content = saved(stored_as(upright, orientation), "JPEG", quality=95, subsampling=0, exif=exif(orientation))
    thumbnail = make(content, box_size(50, 50))
    assert thumbnail.size == (30, 50)
    assert difference(thumbnail, upright.resize((30, 50), Image.Resampling.LANCZOS)) < 3


def test_orientation_behind_the_pixels_of_a_png_counts(make):
    """The eXIf chunk may follow the pixels (PNG 3rd edition, 11.3.4.2)."""
    block = chunk(b"eXIf", exif(3).tobytes().removeprefix(b"Exif\0\0"))
    row = bytes([*RED] * 8 + [*BLUE] * 8)
    thumbnail = make(png(16, 16, 8, 2, row, after=block), box_size(16, 16))
    assert_colour(thumbnail.getpixel((0, 0)), BLUE)
    assert_colour(thumbnail.getpixel((15, 0)), RED)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_does_not_exist_is_ignored(make, orientation):
    """Some cameras write 0."""
    thumbnail = make(saved(corners(), "PNG", exif=exif(orientation)), box_size(64, 64))
    assert difference(thumbnail, corners()) == 0


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_costs_a_note_at_most(make, format):
    """Many damaged EXIF blocks: each picture gets a thumbnail, in one of its two shapes."""
    chance = random.Random(5)
    for number in range(200 if format == "JPEG" else 40):
        block = exif(6)
        block[0x010F] = "maker"
        damaged = bytearray(block.tobytes())
        for _ in range(chance.randrange(1, 12)):
            damaged[chance.randrange(6, len(damaged))] = chance.randrange(256)
        if number % 5 == 0:
            del damaged[chance.randrange(6, len(damaged)) :]
        content = saved(plain(RED, size=(16, 8)), format, exif=bytes(damaged))
        notes = make.notes(content)
        assert all("\n" not in note for note in notes)
        assert Image.open(make.out / "0.png").size in ((8, 4), (4, 8))


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_broken_exif_block_costs_a_note(make, format):
    """One that is cut in its middle: the picture is made, as it is stored."""
    block = exif(6)
    block[0x010F] = "maker" * 20
    notes = make.notes(saved(plain(RED, size=(16, 8)), format, exif=block.tobytes()[:-90]))
    assert len(notes) == 1 and notes[0].startswith("broken EXIF block: ")
    assert_plain(Image.open(make.out / "0.png"), RED, LOSSY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_the_pixels_do(orientation):
    """What a box holds of the upright picture is what its stored box holds of the stored one."""
    upright = corners(60, 40)
    stored = stored_as(upright, orientation)
    box = (10, 5, 40, 15)
    there = stored_box(box, upright.size, orientation)
    assert oriented_size(stored.size, orientation) == upright.size
    assert oriented_box(there, stored.size, orientation) == box
    assert sorted(stored.crop(there).getcolors()) == sorted(upright.crop(box).getcolors())


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>%d</tiff:Orientation></x:xmpmeta>'


def with_xmp(picture: Image.Image, format: str, orientation: int, **options) -> bytes:
    """Return a picture file whose XMP packet states this `orientation`."""
    packet = XMP % orientation
    if format == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        return saved(picture, format, pnginfo=text, **options)
    if format == "TIFF":
        return saved(picture, format, tiffinfo={700: packet}, **options)
    return saved(picture, format, xmp=packet, **options)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("MPO", {"append_images": [corners()]}),
        ("PNG", {}),
        ("WEBP", {}),
        ("AVIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
    ids=["jpeg", "mpo", "png", "webp", "avif", "tiff", "tiff-lzw"],
)
def test_orientation_in_xmp_does_not_count(make, format, options):
    """Editors that turn the pixels and drop the EXIF block leave it stale; browsers read EXIF alone."""
    thumbnail = make(with_xmp(corners(), format, 6, **options), box_size(64, 64))
    assert thumbnail.size == (64, 48)
    assert difference(thumbnail, corners()) < 4


def test_orientation_in_the_xmp_of_a_heic_does_not_count(make):
    """Its encoder would turn the picture accordingly, if the word were not changed afterwards."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    content = saved(corners(), "HEIF", quality=95, xmp=(XMP % 6).replace(b"tiff", b"ffit"))
    thumbnail = make(content.replace(b"ffit", b"tiff"), box_size(64, 64))
    assert thumbnail.size == (64, 48)
    assert difference(thumbnail, corners()) < 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_counts_beside_another_in_xmp(make, format):
    """A picture that is stored on its side."""
    options = {"exif": exif(6)}
    if format == "TIFF":
        options["exif"][700] = XMP % 3
        content = saved(stored_as(corners(), 6), format, **options)
    else:
        content = with_xmp(stored_as(corners(), 6), format, 3, **options)
    thumbnail = make(content, box_size(64, 64))
    assert thumbnail.size == (64, 48)
    assert difference(thumbnail, corners()) < 4


def test_orientation_in_the_text_of_an_older_png_counts(make):
    """ImageMagick wrote EXIF in hexadecimal before PNG had a chunk for it."""
    block = exif(8).tobytes()
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n")
    thumbnail = make(saved(stored_as(corners(), 8), "PNG", pnginfo=text), box_size(64, 64))
    assert difference(thumbnail, corners()) == 0
