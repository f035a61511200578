"""The sample catalogue in images/."""

from pathlib import Path

import pytest

from tools.draw_samples import SAMPLES, draw_all

IMAGES = Path(__file__).parent.parent.parent / "images"


def test_the_sample_catalogue_has_the_pictures_of_its_script_and_is_small():
    files = [path for path in IMAGES.rglob("*") if path.is_file()]
    assert {str(path.relative_to(IMAGES)) for path in files} == {path for path, _, _ in SAMPLES}
    assert sum(path.stat().st_size for path in files) < 1_000_000


@pytest.mark.slow
def test_the_script_draws_the_sample_catalogue_byte_for_byte(tmp_path):
    total = draw_all(tmp_path)
    drawn = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    different = [path for path, content in drawn.items() if content != (IMAGES / path).read_bytes()]
    assert len(drawn) == len(SAMPLES) and total == sum(map(len, drawn.values()))
    assert not different
