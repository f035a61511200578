"""Colour profiles: what comes out is the same colour in sRGB."""

import random

import pytest
from PIL import Image, ImageCms

from tests.imaging.maker import assert_plain, difference
from tests.support.pictures import BLACK, GREY, LOSSY, SMALL, WHITE, box_size, plain, saved
from tests.support.profiles import (
    SPACES,
    adobe_to_srgb,
    ink_profile,
    linear_grey,
    matrix_profile,
    srgb_curve,
    wide_gamut,
)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("colour", [(200, 50, 50), (50, 200, 50), (60, 60, 190), GREY, BLACK, WHITE])
def test_wide_gamut_becomes_srgb(make, format, colour):
    """The colours of Adobe RGB are those that the formulas give; black, grey and white stay neutral."""
    notes = make.notes(saved(plain(colour), format, icc_profile=wide_gamut()))
    thumbnail = Image.open(make.out / "0.png")
    assert notes == []
    assert_plain(thumbnail, adobe_to_srgb(colour), 2 if format in ("PNG", "TIFF") else LOSSY)
    if colour == (200, 50, 50):
        assert thumbnail.getpixel((0, 0))[0] > 225  # without the profile it would be 200
    assert "icc_profile" not in thumbnail.info


@pytest.mark.parametrize("source", ["palette", "alpha", "grey"])
def test_wide_gamut_counts_for_every_mode(make, source):
    """An RGB profile applies to a palette, beside an alpha channel, and to grey."""
    colour = (200, 50, 50) if source != "grey" else GREY
    picture = {
        "palette": plain(colour).quantize(4),
        "alpha": plain((*colour, 255), "RGBA"),
        "grey": plain(128, "L"),
    }[source]
    thumbnail = make(saved(picture, "PNG", icc_profile=wide_gamut())).convert("RGB")
    assert_plain(thumbnail, adobe_to_srgb(colour), 2)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("space", SPACES)
def test_working_spaces_become_srgb(make, space, format):
    """A colour is what colour-science computes; black, white and greys stay neutral to one level."""
    primaries, white, curve, colour, expected = SPACES[space]
    icc = matrix_profile(primaries, white, curve())
    options = {"quality": 100, "subsampling": 0} if format == "JPEG" else {"lossless": True} if format == "WEBP" else {}
    assert_plain(make(saved(plain(colour), format, icc_profile=icc, **options)), expected, 3)
    for level in (0, 1, 8, 64, 128, 200, 254, 255):
        thumbnail = make(saved(plain((level,) * 3), format, icc_profile=icc, **options))
        channels = thumbnail.getpixel((4, 4))
        assert max(channels) - min(channels) <= 1
        if level in (0, 255):
            assert_plain(thumbnail, (level,) * 3)


def test_wide_gamut_keeps_alpha(make):
    """A profile does not apply to opacity."""
    thumbnail = make(saved(plain((200, 50, 50, 128), "RGBA"), "PNG", icc_profile=wide_gamut()))
    assert_plain(thumbnail, (*adobe_to_srgb((200, 50, 50)), 128), 3)


def test_srgb_profile_changes_nothing(make):
    """Not even by rounding: a profile that maps each colour to itself is left out."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    chance = random.Random(1)
    picture = Image.frombytes("RGB", (16, 16), chance.randbytes(16 * 16 * 3))
    assert difference(make(saved(picture, "PNG", icc_profile=profile), box_size(16, 16)), picture) == 0


@pytest.mark.parametrize("value", [0, 5, 12, 55, 128, 255])
@pytest.mark.parametrize("mode", ["L-png", "L-jpeg", "LA", "L-keyed", "I;16", "1"])
def test_grey_profile_counts(make, mode, value):
    """Linear light gets sRGB's numbers, whatever else the grey picture carries."""
    picture = plain(value, "L")
    content = {
        "L-png": lambda: saved(picture, "PNG", icc_profile=linear_grey()),
        "L-jpeg": lambda: saved(picture, "JPEG", icc_profile=linear_grey(), quality=100),
        "LA": lambda: saved(plain((value, 255), "LA"), "PNG", icc_profile=linear_grey()),
        "L-keyed": lambda: saved(picture, "PNG", icc_profile=linear_grey(), transparency=77),
        "I;16": lambda: saved(plain(value * 257, "I;16"), "PNG", icc_profile=linear_grey()),
        "1": lambda: saved(plain(value > 127, "1"), "PNG", icc_profile=linear_grey()),
    }[mode]()
    if mode == "1":
        value = 255 if value > 127 else 0
    assert make.notes(content) == []
    assert_plain(Image.open(make.out / "0.png").convert("RGB"), (srgb_curve(value / 255),) * 3, 2)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_profile_counts(make, format):
    """Full cyan is L* 70 by this profile, which is (171, 171, 171) in sRGB; without it, it is (0, 255, 255)."""
    picture = plain((255, 0, 0, 0), "CMYK")
    assert_plain(make(saved(picture, format, icc_profile=ink_profile())), (171, 171, 171), 3)
    assert_plain(make(saved(picture, format)), (0, 255, 255), 3)


@pytest.mark.parametrize(
    ("mode", "icc"),
    [
        ("RGB", b"this is no profile" * 20),
        ("RGB", wide_gamut()[:200]),
        ("RGB", linear_grey()),
        ("RGBA", linear_grey()),
        ("RGB", ink_profile()),
        ("L", ink_profile()),
        ("CMYK", wide_gamut()),
        ("CMYK", linear_grey()),
        ("RGB", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()),
    ],
    ids=["nonsense", "cut", "grey-rgb", "grey-rgba", "cmyk-rgb", "cmyk-grey", "rgb-cmyk", "grey-cmyk", "lab-rgb"],
)
def test_profile_that_does_not_fit_is_noted_once_and_ignored(make, mode, icc):
    """The colours are those of the picture without a profile, with one note for all sizes."""
    colour = {"L": 100, "RGBA": (200, 50, 50, 255), "CMYK": (0, 255, 255, 0)}.get(mode, (200, 50, 50))
    format = "TIFF" if mode == "CMYK" else "PNG"
    expected = make(saved(plain(colour, mode), format))
    (note,) = make.notes(saved(plain(colour, mode), format, icc_profile=icc), [SMALL, box_size(4, 4), box_size(6, 6)])
    assert "profile" in note and "\n" not in note
    assert difference(Image.open(make.out / "0.png"), expected) == 0


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_profile_is_no_reason_to_refuse(make, format):
    """Profiles of scanners and printers reach some megabytes."""
    icc = wide_gamut() + random.Random(1).randbytes(1_400_000)
    assert_plain(make(saved(plain(GREY), format, icc_profile=icc)), GREY, 3)
