"""Names that a file system does not allow: found out by asking it, and failures of single pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.support import listed, put
from tests.support.mounts import foreign_file_system
from thumbmill.catalog import file_names
from thumbmill.catalog.file_names import UNUSUAL, allows, forbidden_in

WINDOWS = ("a:b.jpg", "what?.jpg", "st*r.jpg", 'q"uote.jpg', "pi|pe.jpg", "back\\slash.jpg", "in/fol:der/x.jpg")
WINDOWS_ONLY = ("dot./x.jpg", "space /x.jpg", "con.jpg", "in/AUX/x.jpg", "com1.x.jpg")
SOUND = ("a.jpg", "trail..jpg", "console.jpg", "a.con.jpg", "é & ü, (1) #2 'x'.jpg", ".x/con1.jpg")


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    """Let no test have the answers of another."""
    allows.cache_clear()
    yield
    allows.cache_clear()


@pytest.mark.parametrize("name", WINDOWS + WINDOWS_ONLY)
def test_unusual_names_are_allowed_where_they_are(name):
    """The probes leave nothing behind."""
    assert UNUSUAL.search(os.path.splitext(name)[0])
    put(name)
    before = sorted(Path().rglob("*"))
    (wildcard,) = listed()
    assert wildcard == os.path.splitext(name)[0]
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_asked_about_ordinary_names(name, monkeypatch):
    monkeypatch.setattr(file_names, "allows", None)
    assert forbidden_in(name, ".") == ""


def test_each_character_is_asked_about_once(monkeypatch):
    asked = []
    monkeypatch.setattr(file_names, "make_probe_folder", lambda folder: asked.append(folder) or "")
    put(*[f"{hour}:{minute}.jpg" for hour in range(9) for minute in range(9)])
    assert len(listed()) == 81
    assert len(asked) == 1  # the working directory is the nearest folder to the output, too


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "forbidden"), [("exfat", WINDOWS), ("ntfs", WINDOWS + WINDOWS_ONLY)])
def test_real_file_systems_that_do_not_allow_them(folder, kind, forbidden):
    """Such a picture has no input and a digest for a name, so that its job can fail alone."""
    put(*WINDOWS, *WINDOWS_ONLY, *SOUND)
    with foreign_file_system(kind, folder / "thumbnails") as output:
        catalog = listed()
        layout = catalog.layout
        found = {picture.name: layout.forbidden_in(picture.name) for picture in catalog.pictures.values()}
        assert {name for name, (part, _) in found.items() if part} == {*forbidden}
        assert {where for _, where in found.values()} == {"thumbnails", ""}
        assert found["a:b.jpg"] == (":", "thumbnails")
        stand_ins = {wildcard: picture.name for wildcard, picture in catalog.pictures.items() if len(wildcard) == 32}
        assert {*stand_ins.values()} == {*forbidden}
        assert not any(catalog.input_of(wildcard) for wildcard in stand_ins)
        assert list(output.iterdir()) == []
        allows.cache_clear()
        elsewhere = listed(output="elsewhere")
        assert all(elsewhere.input_of(wildcard) for wildcard in elsewhere)
