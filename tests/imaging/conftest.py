"""What the tests of the imaging wing share."""

from pathlib import Path

import pytest

from tests.imaging.maker import Maker


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Makes thumbnails in a folder of its own."""
    return Maker(tmp_path)
