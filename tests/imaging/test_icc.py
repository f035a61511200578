"""Profiles built from numbers: they are valid, and their colours are those that the standards' formulas give."""

import io

import pytest
from PIL import Image, ImageCms

from tests.imaging.maker import assert_colour
from tests.support.profiles import SPACES
from thumbmill.imaging import icc
from thumbmill.imaging.color import profile_to_srgb, transformed

GREYS = (0, 1, 20, 64, 128, 200, 254, 255)


def in_srgb(profile: bytes | None, colour: tuple[int, int, int]) -> tuple[int, ...]:
    """Return what `colour` is in sRGB by `profile`."""
    transform = profile_to_srgb(profile, "RGB") if profile else None
    picture = Image.new("RGB", (1, 1), colour)
    return (transformed(picture, transform) if transform else picture).getpixel((0, 0))


def srgb_number(light: float) -> int:
    """Return the number (0 to 255) that IEC 61966-2-1 gives an amount of light."""
    return round(255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


# Computed with colour-science 0.4 (adapted by Bradford), of (200, 100, 50).
@pytest.mark.parametrize(
    ("primaries", "transfer", "expected"),
    [
        (4, 13, (232, 93, 30)),
        (5, 13, (203, 100, 51)),
        (6, 6, (196, 102, 49)),
        (7, 1, (196, 102, 49)),
        (8, 13, (222, 92, 32)),
        (9, 14, (241, 76, 29)),
        (9, 15, (241, 76, 29)),
        (10, 13, (255, 0, 61)),
        (11, 13, (211, 93, 32)),
        (12, 13, (215, 93, 31)),
        (12, 2, (215, 93, 31)),
        (12, 4, (216, 93, 24)),
        (22, 13, (202, 102, 49)),
        (1, 4, (201, 100, 46)),
        (2, 8, (229, 168, 122)),
        (1, 7, (206, 115, 68)),
    ],
)
def test_code_points_give_their_colours(primaries, transfer, expected):
    assert_colour(in_srgb(icc.cicp_profile(primaries, transfer), (200, 100, 50)), expected)


@pytest.mark.parametrize("codes", [(1, 13), (1, 1), (2, 2), (1, 2), (2, 13), (1, 6), (1, 15)])
def test_srgb_needs_no_profile(codes):
    assert icc.cicp_profile(*codes) is None


@pytest.mark.parametrize("codes", [(0, 13), (3, 13), (23, 13), (255, 8), (12, 0), (12, 3), (12, 19), (9, 255)])
def test_reserved_code_points_say_nothing(codes):
    assert icc.cicp_profile(*codes) is None
    assert not icc.is_specified(*codes)


@pytest.mark.parametrize("primaries", icc.PRIMARIES)
@pytest.mark.parametrize("transfer", [1, 4, 5, 7, 8, 9, 10, 13, 16, 17, 18])
def test_every_code_point_keeps_black_white_and_greys(primaries, transfer):
    """Black and white stay, greys are neutral and in their order, and the profile is one that readers accept."""
    profile = icc.cicp_profile(primaries, transfer)
    if profile is None:
        assert primaries in (1, 2) and transfer in icc.LIKE_SRGB
        return
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    assert int.from_bytes(profile[:4], "big") == len(profile)
    greys = [in_srgb(profile, (level,) * 3) for level in GREYS]
    assert greys[0] == (0, 0, 0) and greys[-1] == (255, 255, 255)
    assert greys == sorted(greys)
    assert max(max(grey) - min(grey) for grey in greys) <= 1


@pytest.mark.parametrize(
    ("transfer", "light"),
    [
        (4, lambda value: value**2.2),
        (5, lambda value: value**2.8),
        (8, lambda value: value),
        (9, lambda value: 10 ** (2 * (value - 1)) if value else 0),
        (10, lambda value: 10 ** (2.5 * (value - 1)) if value else 0),
        (17, lambda value: min(1, 52.37 / 48 * value**2.6)),
    ],
    ids=["gamma-2.2", "gamma-2.8", "linear", "log-100", "log-316", "smpte-428"],
)
@pytest.mark.parametrize("level", GREYS)
def test_transfer_functions_give_their_light(transfer, light, level):
    found = in_srgb(icc.cicp_profile(1, transfer), (level,) * 3)
    assert_colour(found, (srgb_number(light(level / 255)),) * 3)


@pytest.mark.parametrize(
    ("value", "pq", "hlg"),
    [(0, 0, 0), (0.1, 0.3246, 1.065), (0.38, 25.99, 26.24), (0.75, 983.4, 203.2), (1, 10_000, 1000)],
)
def test_luminance_of_pq_and_hlg(value, pq, hlg):
    """In cd/m2, computed with colour-science 0.4: 75 % of HLG is the reference white of BT.2408."""
    assert icc.pq_luminance(value) == pytest.approx(pq, rel=0.001)
    assert icc.hlg_luminance(value) == pytest.approx(hlg, rel=0.001)


def test_tone_mapping_keeps_detail_in_highlights():
    """Dark and middle tones stay, the reference white is nearly white, and ever more light is ever brighter."""
    for luminance in (0, 1, 26, 140):
        assert icc.tone_mapped(luminance, icc.PQ_PEAK) == pytest.approx(luminance / 203)
    assert 230 <= srgb_number(icc.tone_mapped(203, icc.PQ_PEAK)) <= 245
    numbers = [srgb_number(icc.tone_mapped(luminance, icc.PQ_PEAK)) for luminance in (203, 300, 500, 1000, 10_000)]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 255
    assert icc.tone_mapped(icc.HLG_PEAK, icc.HLG_PEAK) == pytest.approx(1)


@pytest.mark.parametrize("name", ["display-p3", "prophoto"])
def test_profile_of_chromaticities_gives_their_colours(name):
    """Computed with colour-science, of a colour of each space."""
    primaries, white, _, colour, expected = SPACES[name]
    curve = icc.srgb_curve() if name == "display-p3" else icc.gamma_curve(1.8)
    assert_colour(in_srgb(icc.rgb_profile(primaries, white, (curve,) * 3), colour), expected)


def test_each_channel_may_have_a_curve_of_its_own():
    curves = (icc.gamma_curve(1), icc.gamma_curve(2.2), icc.srgb_curve())
    red, green, blue = in_srgb(icc.rgb_profile(icc.SRGB_PRIMARIES, icc.D65, curves), (55, 128, 128))
    assert_colour((red, green, blue), (128, 129, 128))


@pytest.mark.parametrize(
    ("primaries", "white"),
    [
        (((0, 0), (0, 0), (0, 0)), (0, 0)),
        (icc.SRGB_PRIMARIES, (0, 0)),
        (icc.SRGB_PRIMARIES, (1, 0)),
        (((0.3, 0.3), (0.4, 0.4), (0.5, 0.5)), icc.D65),
    ],
    ids=["nothing", "no-white", "dark-white", "one-line"],
)
def test_chromaticities_that_span_nothing_are_an_error(primaries, white):
    with pytest.raises(ValueError, match=r"white|line"):
        icc.rgb_profile(primaries, white, (icc.srgb_curve(),) * 3)
