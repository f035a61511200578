"""The two resamplers: alike, exact at the edges, and never beyond what memory allows."""

import pytest
from PIL import Image, ImageChops

from tests.imaging.maker import difference
from tests.support.pictures import striped
from thumbmill.imaging import resampling
from thumbmill.imaging.resampling import resample

RESAMPLERS = ("fast", "pillow")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "La", "RGBa", "LAB"])
@pytest.mark.parametrize("box", [(0, 0, 400, 300), (10.5, 3.25, 301.75, 299.5)])
def test_fast_and_pillow_agree(mode, box):
    picture = striped(400, 300).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((400, 300)))
    if mode == "LAB":
        picture = striped(400, 300).convert("YCbCr")
        picture = Image.merge("LAB", picture.split())
    elif mode in ("La", "RGBa"):
        picture = picture.convert(mode.upper()).convert(mode)
    else:
        picture = picture.convert("RGB").convert(mode)
    fast, pillow = (resample(picture, (167, 120), box, resampler) for resampler in RESAMPLERS)
    assert fast.mode == pillow.mode == mode
    for one, other in zip(fast.split(), pillow.split(), strict=True):
        assert ImageChops.difference(one, other).getextrema()[1] <= 2


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize(("shape", "size"), [((1_000_000, 1), (10, 1)), ((1, 30_000), (1, 7)), ((3, 2), (300, 200))])
def test_extreme_shapes(resampler, shape, size):
    made = resample(Image.new("RGB", shape, (200, 100, 50)), size, (0, 0, *shape), resampler)
    assert made.size == size
    assert made.getextrema() == ((200, 200), (100, 100), (50, 50))


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_a_box_that_rounding_has_made_too_large(resampler):
    box = (0, 0, 90.0, 60.000000001) if resampler == "fast" else (0, 0, 90, 60)
    assert resample(striped(90, 60), (30, 20), box, resampler).size == (30, 20)


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_opaque_edges_do_not_shine(resampler):
    """A grey square on nothing: no pixel gets brighter than the grey."""
    picture = Image.new("RGBA", (400, 400))
    picture.paste((150, 150, 150, 255), (101, 101, 299, 299))
    made = resample(picture.convert("RGBa"), (133, 133), (0, 0, 400, 400), resampler).convert("RGBA")
    assert max(grey for grey, _, _, alpha in made.get_flattened_data() if alpha > 20) <= 152


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_a_part_at_its_own_size_is_that_part(resampler):
    picture = striped(120, 90)
    assert resample(picture, (120, 90), (0, 0, 120, 90), resampler) is picture
    part = resample(picture, (60, 50), (20, 10, 80, 60), resampler)
    assert difference(part, picture.crop((20, 10, 80, 60))) < 0.5


def test_instruction_sets_give_the_same_bytes():
    from cykooz_resizer import CpuExtensions

    resizer = resampling.fast_resizer()[0]
    best, made = resizer.cpu_extensions, []
    try:
        for extensions in {CpuExtensions.none, best}:
            resizer.cpu_extensions = extensions
            for mode in ("L", "RGB", "RGBa", "F"):
                picture = striped(301, 203).convert("RGBA").convert("RGBa") if mode == "RGBa" else striped(301, 203)
                picture = picture if mode == "RGBa" else picture.convert(mode)
                made.append(resample(picture, (97, 66), (1.5, 0, 301, 203)).tobytes())
    finally:
        resizer.cpu_extensions = best
    assert made[:4] == made[-4:]
