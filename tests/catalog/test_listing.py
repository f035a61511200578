"""The catalogue as a whole: its order, what a job gets from it, and which pictures cannot share an output folder."""

import os
import random
from pathlib import Path

import pytest

from tests.catalog.support import all_thumbnails, listed, names, put, refusal
from thumbmill.catalog.listing import check_encoding
from thumbmill.catalog.picture import Picture
from thumbmill.errors import CatalogError
from thumbmill.text import printable


def test_order_does_not_depend_on_the_file_system():
    """The same tree made in three orders."""
    files = ["Z.jpg", "a.jpg", "a/b.jpg", "a b.jpg", "a-b.jpg", "é.jpg", "10.jpg", "9.jpg", "a0.jpg", "\U0001f600.jpg"]
    found = []
    for seed in range(3):
        order = random.Random(seed).sample(files, len(files))
        put(*order, below=f"tree{seed}")
        catalog = listed(source=f"tree{seed}")
        found.append((names(source=f"tree{seed}"), all_thumbnails(catalog)))
    assert found[0] == found[1] == found[2]
    assert found[0][0] == sorted(files)


def test_size_is_that_of_the_file():
    """That of a link is its target's."""
    Path("images/a.jpg").write_bytes(b"12345")
    os.symlink("a.jpg", "images/b.jpg")
    assert [picture.bytes for picture in listed().pictures.values()] == [5, 5]
    assert listed().identity("b") == ("b.jpg", 5)
    assert listed().identity("c") is None


@pytest.mark.parametrize(
    "content", [[], ["a.txt", "b/c.svg"], [".a.jpg", ".b/c.jpg"]], ids=["empty", "other", "hidden"]
)
def test_source_folder_without_a_picture(content):
    """The error names the folder, and what would count."""
    put(*content)
    reason = refusal()
    assert "'images'" in reason and ".jpg" in reason
    assert len(reason.splitlines()) <= 2


def test_picture_that_is_not_in_the_catalog():
    """Its job gets the path at which Snakemake will miss it."""
    put("a.jpg")
    assert listed().input_of("sub/zzz") == ["images/sub/zzz"]


# Collisions


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.jpg", "a.png"),
        ("a.JPG", "a.jpg"),
        ("a.jpeg", "a.jpg"),
        ("sub/a b.jpg", "sub/a b.webp"),
        ("{x}.jpg", "{x}.png"),
        ("a.b.jpg", "a.b.png"),
    ],
)
def test_pictures_that_would_share_a_thumbnail(first, second):
    """The error names both, and the setting that resolves it, which does."""
    put(first, second, "other.jpg")
    reason = refusal()
    assert f"images/{first}" in reason and f"images/{second}" in reason
    assert "other" not in reason
    assert "keep_extension" in reason
    assert sorted(names(keep_extension=True)) == sorted([first, second, "other.jpg"])
    catalog = listed(keep_extension=True)
    assert len(set(all_thumbnails(catalog))) == 3


@pytest.mark.parametrize("pair", [("a.jpg", "A.jpg"), ("a.jpg", "b/a.jpg"), ("a.jpg", "a.b.jpg"), ("a.jpg", "a/b.jpg")])
def test_pictures_that_share_nothing(pair):
    """Names that only resemble each other."""
    put(*pair)
    assert sorted(names()) == sorted(pair)


@pytest.mark.parametrize(
    ("config", "picture", "inside"),
    [
        ({}, "a.png", "a.jpg/b.png"),
        ({}, "a.png", "a.jpg/deep/er/b.png"),
        ({"format": ["png", "webp"]}, "x/a.jpg", "x/a.webp/b.png"),
        ({"keep_extension": True}, "a.png", "a.png.jpg/b.png"),
    ],
)
def test_thumbnail_where_another_needs_a_folder(config, picture, inside):
    """The thumbnail of a.png is a.jpg, which would be a folder too: the error names both, and what to do."""
    put(picture, inside)
    reason = refusal(**config)
    assert f"images/{picture}" in reason and f"images/{os.path.splitext(inside)[0]}" in reason
    assert "ename" in reason


def test_many_collisions_are_counted_and_not_all_named():
    """A catalogue of 100,000 must not fill the screen."""
    put(*[f"{number}{extension}" for number in range(20) for extension in (".jpg", ".png")])
    reason = refusal()
    assert len(reason.splitlines()) < 12
    assert "15 more" in reason


def test_names_in_an_error_can_be_printed():
    """Control characters are escaped, and what is not UTF-8."""
    put(b"caf\xe9\n.jpg", b"caf\xe9\n.png")
    reason = refusal()
    reason.encode()
    assert "\\udce9\\n.png" in reason


@pytest.mark.parametrize(
    ("first", "second"),
    [("%7Ba%7D.jpg", "{a}.jpg"), ("line%0Abreak.png", "line\nbreak.png"), ("%3Cb%3E/c.jpg", "<b>/c.jpg")],
)
@pytest.mark.parametrize("keep_extension", [False, True])
def test_name_that_spells_the_encoding_of_another_is_refused(first, second, keep_extension):
    """The error names both, and does not suggest the setting, which would not help."""
    put(first, second)
    reason = refusal(keep_extension=keep_extension)
    assert f"images/{first}" in reason and f"images/{printable(second)}" in reason
    assert "keep_extension" not in reason and "Rename one" in reason


def test_a_space_before_the_extension_is_encoded_only_without_it():
    """So that keep_extension helps here."""
    put("a%20.jpg", "a .jpg")
    assert "keep_extension" in refusal()
    assert sorted(names(keep_extension=True)) == ["a .jpg", "a%20.jpg"]


# What a job gets


@pytest.mark.parametrize("name", ["{a}.jpg", "<b>.png", b"caf\xe9.jpg", "line\nbreak.jpg"])
def test_job_of_a_name_that_snakemake_cannot_write_has_no_input(name):
    """Its date is part of its identity instead, so that a change makes another job of it."""
    put(name, "plain.jpg")
    catalog = listed()
    (wildcard,) = {*catalog} - {"plain"}
    assert catalog.input_of(wildcard) == []
    assert catalog.identity(wildcard) == (os.fsdecode(name), 1, catalog[wildcard].time)
    os.utime(os.path.join("images", os.fsdecode(name)), ns=(5, 7))
    assert listed().identity(wildcard) == (os.fsdecode(name), 1, 7)
    assert catalog.input_of("plain") == ["images/plain.jpg"]
    assert catalog.identity("plain") == ("plain.jpg", 1)


@pytest.mark.parametrize("name", ["trailing .jpg", "x" * 30 + ".jpg"])
def test_job_of_a_name_of_which_only_the_thumbnail_is_encoded_has_its_input(name):
    """Snakemake can write its path, so it compares dates itself."""
    put(name)
    catalog = listed()
    (wildcard,) = catalog
    assert catalog.input_of(wildcard) == [f"images/{name}"]
    assert catalog.identity(wildcard) == (name, 1)


def test_job_of_a_name_that_is_too_long_has_no_input():
    """It fails alone, before it opens anything."""
    put("long" * 62 + "est.jpg")
    catalog = listed(sizes={"thumb": {"width": 5, "height": 5, "format": "webp"}})
    (wildcard,) = catalog
    assert catalog.layout.is_too_long("long" * 62 + "est.jpg") and catalog.input_of(wildcard) == []


def test_names_are_shown_as_paths_that_can_be_printed():
    put(b"caf\xe9.jpg", "line\nbreak.jpg")
    catalog = listed()
    shown = [catalog.display_name(wildcard) for wildcard in catalog]
    assert shown == [
        "images/caf\\udce9.jpg",
        "images/line\\nbreak.jpg",
    ]


# Encodings of names


def test_names_in_another_encoding_than_utf_8_are_refused_unless_they_are_ascii():
    """To a run in UTF-8 they would be other pictures."""
    in_ascii = "\udcc3\udca4.jpg"  # as Python decodes it there
    check_encoding([Picture("ä.jpg", 1, True)], "utf-8")
    check_encoding([Picture("a.jpg", 1, True)], "ascii")
    message = r"file names are in ascii, so ä\.jpg would count as another picture .* PYTHONUTF8=1"
    with pytest.raises(CatalogError, match=message):
        check_encoding([Picture("a.jpg", 1, True), Picture(in_ascii, 1, True)], "ascii")
