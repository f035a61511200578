"""Output folders and working directories on the file systems of memory cards and of Windows, through whole runs."""

import shutil
from pathlib import Path

import pytest

from tests.support.mounts import foreign_file_system
from tests.support.shop import Shop

pytestmark = pytest.mark.slow


@pytest.fixture(params=["exfat", "ntfs"])
def foreign(request, tmp_path):
    """A folder on such a file system: no links, no colons, and no difference between A and a."""
    with foreign_file_system(request.param, tmp_path / "foreign") as mounted:
        yield mounted


@pytest.fixture
def shop(tmp_path) -> Shop:
    """A shop with two ordinary pictures, and two whose names are not allowed there."""
    shop = Shop(tmp_path / "shop")
    for name in ("a.jpg", "in/b.png", "12:30.jpg", "what?/c.jpg"):
        shop.picture(name)
    return shop


def run_twice(shop: Shop, source: Path, output: Path) -> None:
    """Run, and run again: what can be made is made once, and what cannot fails each time, alone."""
    config = ("--config", f"source={source}", f"output={output}")
    for made, current in ((2, 0), (0, 2)):
        run = shop.run(*config)
        assert run.code == 1 and "Traceback" not in run.text, run.text
        assert run.last_lines[0] == f"thumbmill: {made} made, {current} up to date, 2 failed"
        assert shop.failure_kinds() == dict.fromkeys([f"{source}/12:30.jpg", f"{source}/what?/c.jpg"], "name-forbidden")
        reason = shop.failures()[f"{source}/12:30.jpg"]
        assert "(:)" in reason and "rename" in reason, reason
    made_files = {path.relative_to(output) for path in output.rglob("*") if path.is_file()}
    assert made_files == {Path("thumb/a.jpg"), Path("thumb/in/b.jpg")}
    shop.picture("a.jpg", "blue", (61, 40))
    if source == shop.folder / "images":
        assert shop.run(*config).last_lines[0] == "thumbmill: 1 made, 1 up to date, 2 failed"


def test_output_folder(shop, foreign):
    run_twice(shop, shop.folder / "images", foreign / "thumbnails")


def test_working_directory(shop, foreign):
    """Logs are there, Snakemake's records, and the lock."""
    here = Shop(foreign / "work")
    here.folder.mkdir()
    shutil.copytree(shop.folder / "images", source := shop.folder.parent / "pictures")
    run_twice(here, source, here.folder / "thumbnails")


def test_working_directory_alone(shop, foreign):
    """The reason names it."""
    here = Shop(foreign / "work")
    here.folder.mkdir()
    output = shop.folder / "thumbnails"
    run_twice(here, shop.folder / "images", output)
    assert "the working directory" in here.failures()[f"{shop.folder}/images/12:30.jpg"]


def test_pictures_that_differ_in_case(shop, foreign):
    """Rejected before any work; and made where case counts."""
    shop.picture("A.jpg", "blue")
    run = shop.run("--config", f"output={foreign}/thumbnails")
    assert run.code == 1 and not run.jobs
    assert "images/A.jpg  and  images/a.jpg" in run.text and "Traceback" not in run.text
    assert list(foreign.iterdir()) == []
    assert shop.run().jobs == {"a", "A", "in/b", "12:30", "what?/c"}
