"""What the tests of the reports share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a folder `images`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    return tmp_path
