"""Small folders of pictures, and the benchmark's command in this process."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bench.compare import main
from bench.pictures import draw_picture, draw_pictures


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, dict]]:
    """Run the command; return its exit code, its output, and what it kept as JSON."""

    def run(case: str, *arguments: object) -> tuple[int, str, dict]:
        options = ["--work", tmp_path / "work", "--results", tmp_path / "results", "--cores", "2", "--rounds", "1"]
        code = main([str(argument) for argument in (case, *options, *arguments)])
        name = f"{case}-cold.json" if "--cold" in arguments else f"{case}.json"
        return code, capsys.readouterr().out, json.loads((tmp_path / "results" / name).read_text())

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve sound pictures, of several kinds."""
    folder = tmp_path / "own"
    draw_pictures(str(folder), 9, [(".jpg", size) for size in ((400, 300), (300, 400), (100, 80))], 2)
    draw_picture(20, (300, 200)).save(folder / "same name.png")
    draw_picture(21, (300, 200)).convert("RGBA").save(folder / "same name.webp")
    turned = Image.Exif()
    turned[0x0112] = 6
    draw_picture(22, (400, 200)).save(folder / "{lying}.jpg", exif=turned)
    return folder


@pytest.fixture
def plain_pictures(tmp_path: Path) -> Path:
    """A folder of eight drawn pictures, with names that GNU make can write."""
    folder = tmp_path / "plain"
    draw_pictures(str(folder), 8, [(".jpg", (200, 150)), (".jpg", (150, 200))], 2)
    return folder
