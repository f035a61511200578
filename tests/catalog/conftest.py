"""What the tests of the catalog wing share."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own, which an unprivileged user may look into, with a folder `images`."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir(exist_ok=True)
    return tmp_path
