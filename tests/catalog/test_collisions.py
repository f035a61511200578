"""Names that a file system may take for the same: found out by asking it, and rejected only where it does."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.catalog.support import listed, names, put, refusal
from tests.support.mounts import foreign_file_system
from tests.support.runs import make, open_history
from thumbmill.catalog import collisions, file_names
from thumbmill.catalog.collisions import fold
from thumbmill.catalog.file_names import takes_for_same

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))

# Pairs of pictures whose thumbnails are one file if case, or the way of writing an accent, does not count.
ALIKE = [
    ("Lamp.jpg", "lamp.jpg"),
    ("a.JPG", "A.jpg"),
    ("a.png", "A.jpg"),
    ("Shop/a.jpg", "shop/a.jpg"),
    ("Shop/New/a.jpg", "shop/NEW/A.png"),
    ("ÉTÉ/é.jpg", "été/É.jpg"),
    (f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"),
    (f"{COMPOSED}/a.jpg", f"{DECOMPOSED}/A.jpg"),
    ("straße.jpg", "STRASSE.jpg"),
    ("ſ.jpg", "s.jpg"),
    ("trailing./a.jpg", "trailing/a.jpg"),
]
APART = [
    ("Lamp.jpg", "lamp2.jpg"),
    ("Shop/a.jpg", "shop/b.jpg"),
    ("a/b.jpg", "A.jpg"),
    ("e.jpg", "é.jpg"),
    ("a .jpg", "a.jpg"),
    ("trailing..jpg", "trailing.jpg"),
]


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    """Let no test have the answers of another."""
    takes_for_same.cache_clear()
    yield
    takes_for_same.cache_clear()


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that ignores all that any file system ignores."""
    monkeypatch.setattr(collisions, "takes_for_same", lambda folder, one, other: fold(f"{one}/") == fold(f"{other}/"))


@pytest.fixture(params=["exfat", "ntfs"])
def foreign_output(request: pytest.FixtureRequest, folder: Path) -> Iterator[Path]:
    """The folder `thumbnails` on a file system that ignores case."""
    with foreign_file_system(request.param, folder / "thumbnails") as mounted:
        yield mounted


def number_of_files() -> int:
    """Return how many files and folders are below the working directory."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk("."))


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_alike_names_are_two_thumbnails_where_case_counts(first, second):
    put(first, second)
    before = number_of_files()
    assert sorted(names()) == sorted([first, second])
    assert number_of_files() == before, "a probe is left"


@pytest.mark.parametrize(("first", "second"), ALIKE)
@pytest.mark.usefixtures("careless")
def test_alike_names_are_rejected_where_it_does_not(first, second):
    """Both are named; and the setting that would resolve it, only if it does."""
    put(first, second, "third.jpg")
    reason = refusal()
    assert f"images/{first}" in reason and f"images/{second}" in reason and "third" not in reason
    assert "'thumbnails'" in reason
    resolves = os.path.splitext(first)[1].lower() != os.path.splitext(second)[1].lower()
    assert ("keep_extension" in reason) == resolves
    if resolves:
        assert len(names(keep_extension=True)) == 3
    else:
        assert "would share" in refusal(keep_extension=True)


@pytest.mark.parametrize(("first", "second"), APART)
@pytest.mark.usefixtures("careless")
def test_names_that_no_file_system_takes_for_the_same(first, second):
    put(first, second)
    assert sorted(names()) == sorted([first, second])


@pytest.mark.usefixtures("careless")
def test_thumbnail_where_another_needs_a_folder_of_another_case():
    put("A.jpg", "a.JPG/b.jpg")
    reason = refusal()
    assert "images/A.jpg" in reason and "images/a.JPG/b.jpg" in reason


@pytest.mark.usefixtures("careless")
def test_many_are_counted():
    put(*[f"{letter}{number}.jpg" for number in range(20) for letter in "aA"])
    reason = refusal()
    assert "15 more" in reason and len(reason.splitlines()) < 12


@pytest.mark.usefixtures("careless")
def test_object_storage_counts_case_but_the_working_directory_may_not():
    """Snakemake keeps copies of objects there, under the same names."""
    put("a.jpg", "A.jpg")
    assert "the working directory" in refusal(output="s3://shop/thumbnails")


def test_nothing_is_asked_without_alike_names(monkeypatch):
    monkeypatch.setattr(collisions, "takes_for_same", None)
    put("a.jpg", "b.jpg", "c/a.jpg", "C/b.jpg")
    assert len(names()) == 4


def test_each_folder_is_asked_once(monkeypatch):
    put(*[f"{folder}/{number}.jpg" for number in range(9) for folder in ("Shop", "shop")])
    asked = []
    monkeypatch.setattr(file_names, "temporary_name", lambda: asked.append("probe") or ".thumbmill-probe")
    assert len(names()) == 18
    assert asked == ["probe"]


def test_an_output_that_cannot_be_written_is_not_asked():
    """The run says that it cannot be written."""
    put("a.jpg", "A.jpg")
    Path("thumbnails").write_text("a file")
    assert len(names()) == 2


@pytest.mark.slow
def test_the_thumbnail_of_a_picture_renamed_in_case_alone_is_no_orphan(foreign_output):
    """Both names are those of one file, which removing an orphan would delete."""
    Path("images").mkdir(exist_ok=True)
    for name in ("Lamp", "table"):
        Image.new("RGB", (9, 9)).save(f"images/{name}.jpg")
    assert make() == {"Lamp", "table"}
    os.rename("images/Lamp.jpg", "images/lamp.jpg")
    os.rename("images/table.jpg", "images/chair.jpg")
    assert {*open_history().orphans()} == {"thumbnails/thumb/table.jpg"}
    make()
    assert {*open_history().orphans()} == {"thumbnails/thumb/table.jpg"}


@pytest.mark.slow
def test_real_file_systems_that_ignore_case(foreign_output):
    """As they do it: exFAT and NTFS ignore the case of accented letters too, and neither normalizes."""
    put("Lamp.jpg", "lamp.jpg", "Été/x.jpg", "été/x.jpg", f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg")
    reason = refusal()
    assert "images/Lamp.jpg  and  images/lamp.jpg" in reason
    assert "images/Été/x.jpg  and  images/été/x.jpg" in reason
    assert COMPOSED not in reason
    assert list(foreign_output.iterdir()) == []
    assert len(listed(output="elsewhere")) == 6
