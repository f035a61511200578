"""The recipe: which settings are part of it, and which pictures a change of it affects."""

import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from scripts.recipe import PICTURE_SCRIPTS, Facts, digest, ingredients, read_facts, same_result
from scripts.settings import load_validator, read_settings
from tests.conftest import REPOSITORY

VALIDATOR = load_validator(str(REPOSITORY))
SIZE = {"width": 20, "height": 10}

BASE = {
    "sizes": {"small": SIZE, "large": {"width": 200, "height": 100, "fit": "cover"}},
    "format": ["jpeg", "webp"],
    "quality": {"jpeg": 70},
}


def ingredients_of(config: dict, folder: Path = REPOSITORY) -> dict:
    """The ingredients of a configuration."""
    return ingredients(read_settings(config, VALIDATOR), str(folder))


def recipe_of(config: dict, folder: Path = REPOSITORY) -> str:
    """The recipe of a configuration."""
    return digest(ingredients_of(config, folder))


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": {"small": SIZE}},
        {"sizes": {**BASE["sizes"], "small": {**SIZE, "width": 21}}},
        {"sizes": {**BASE["sizes"], "small": {**SIZE, "height": 11}}},
        {"sizes": {**BASE["sizes"], "small": {**SIZE, "fit": "pad"}}},
        {"sizes": {**BASE["sizes"], "small": {**SIZE, "enlarge": True}}},
        {"format": ["jpeg"]},
        {"format": ["jpeg", "avif"]},
        {"quality": {"jpeg": 71}},
        {"quality": {"jpeg": 70, "webp": 81}},
        {"background": "#fffffe"},
        {"linear": True},
        {"animated": True},
        {"damaged": "make"},
        *(
            {"sizes": {**BASE["sizes"], "small": {**SIZE, **more}}}
            for more in (
                {"focus": "top"},
                {"trim": True},
                {"trim_tolerance": 11},
                {"margin": 1},
                {"sharpen": 30},
                {"format": "png"},
            )
        ),
    ],
    ids=str,
)
def test_recipe_changes_with_what_changes_pixels(change):
    """Each such setting, alone."""
    assert recipe_of({**BASE, **change}) != recipe_of(BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "elsewhere"},
        {"output": "elsewhere"},
        {"max_pixels": 5},
        {"max_seconds": 5},
        {"max_memory": 500},
        {"leave_out": False},
        {"remove_more_than_a_fifth": True},
        {"keep_extension": True},
        {"quality": {"jpeg": 70, "avif": 20}},
        {"quality": {"jpeg": "70", "webp": 80}},
        {"background": "#ffffff"},
        {"sizes": {"small": {**SIZE, "fit": "contain", "enlarge": "false"}, "large": BASE["sizes"]["large"]}},
        {"sizes": {"small": {"height": "10", "width": "20"}, "large": BASE["sizes"]["large"], "off": None}},
        {"sizes": dict(reversed(BASE["sizes"].items()))},
        {"sizes": {name: {**size, "format": ["jpeg", "webp"]} for name, size in BASE["sizes"].items()}},
    ],
    ids=str,
)
def test_recipe_stays_with_what_changes_no_pixel(change):
    """Places, what is accepted, unused formats, and other words for the same."""
    assert recipe_of({**BASE, **change}) == recipe_of(BASE)


def test_recipe_is_one_plain_word():
    """It is kept by Snakemake for each thumbnail."""
    assert recipe_of(BASE).isalnum()
    assert 16 <= len(recipe_of(BASE)) <= 64


@pytest.mark.parametrize("name", PICTURE_SCRIPTS)
def test_recipe_follows_the_scripts_content_and_not_its_date(tmp_path, name):
    """A fresh checkout of the same version redoes nothing."""
    (tmp_path / "scripts").mkdir()
    for each in PICTURE_SCRIPTS:
        script = Path(shutil.copyfile(REPOSITORY / "scripts" / each, tmp_path / "scripts" / each))
        os.utime(script, (1, 1))
    assert recipe_of(BASE, tmp_path) == recipe_of(BASE)
    script = tmp_path / "scripts" / name
    script.write_bytes(script.read_bytes() + b"\n")
    assert recipe_of(BASE, tmp_path) != recipe_of(BASE)


def test_every_script_that_makes_pictures_counts():
    """What the picture script imports of its siblings is in the list, but for what only fetches the source."""
    source = (REPOSITORY / "scripts/thumbnail.py").read_text()
    siblings = set(re.findall(r"^ *import (\w+)$|^ *from scripts import (\w+)$", source, re.MULTILINE))
    siblings = {name for pair in siblings for name in pair if (REPOSITORY / "scripts" / f"{name}.py").exists()}
    siblings -= {"object_storage"}
    assert {"thumbnail.py", *(f"{name}.py" for name in siblings)} == set(PICTURE_SCRIPTS)


def test_recipe_follows_pillows_version(monkeypatch):
    """Another encoder makes other bytes."""
    before = recipe_of(BASE)
    monkeypatch.setattr("PIL.__version__", "99.0")
    assert recipe_of(BASE) != before


# Which pictures a change affects

OPAQUE, TRANSPARENT, SMALL, WIDE = (
    Facts((100, 80), False),
    Facts((100, 80), True),
    Facts((8, 8), False),
    Facts((2, 1), False),
)


def same(before: dict, after: dict, facts: Facts | None = None) -> bool | None:
    """same_result() for changes to BASE."""
    return same_result(ingredients_of({**BASE, **before}), ingredients_of({**BASE, **after}), facts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({}, {"sizes": {"small": SIZE}}),
        ({}, {"format": ["webp"]}),
        ({}, {"format": "webp", "quality": {"jpeg": 1}}),
        ({"background": "white"}, {"background": "#ffffff"}),
        ({}, {"damaged": "make"}),
        ({}, {"source": "elsewhere", "keep_extension": True, "max_pixels": 5}),
    ],
    ids=str,
)
def test_what_affects_no_picture(before, after):
    """What is no longer made, and what decides no pixel."""
    assert same(before, after) is True


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"sizes": {"small": SIZE}}, {}),
        ({"format": ["webp"]}, {}),
        ({}, {"quality": {"jpeg": 71}}),
        ({}, {"quality": {"jpeg": 70, "webp": 20}}),
        ({}, {"sizes": {"tiny": SIZE}}),
        ({"damaged": "make"}, {"damaged": "refuse"}),
        ({}, {"linear": True}),
        ({"sizes": {"small": SIZE}}, {"sizes": {"small": {**SIZE, "focus": "top"}}}),
        ({"sizes": {"small": {**SIZE, "trim": True}}}, {"sizes": {"small": {**SIZE, "trim": True, "width": 30}}}),
    ],
    ids=str,
)
def test_what_affects_every_picture(before, after):
    """What was not made before, and the quality of what is."""
    assert same(before, after) is False


def test_another_script_or_pillow_affects_every_picture():
    """Whatever the settings."""
    old = ingredients_of(BASE)
    assert same_result({**old, "script": "other"}, old) is False
    assert same_result({**old, "pillow": "99.0"}, old) is False


@pytest.mark.parametrize(
    ("before", "after", "affected", "spared"),
    [
        ({}, {"background": "#000000"}, [TRANSPARENT], [OPAQUE, SMALL, WIDE]),
        ({"format": "png"}, {"format": "png", "background": "#000000"}, [], [OPAQUE, TRANSPARENT]),
        (
            {"sizes": {"small": {**SIZE, "fit": "pad"}}},
            {"sizes": {"small": {**SIZE, "fit": "pad"}}, "background": "#000000"},
            [OPAQUE, TRANSPARENT, SMALL],
            [Facts((200, 100), False)],
        ),
        (
            {"sizes": {"small": SIZE}},
            {"sizes": {"small": {**SIZE, "width": 30}}},
            [Facts((99, 9), False)],
            [OPAQUE, SMALL],
        ),
        (
            {"sizes": {"small": SIZE}},
            {"sizes": {"small": {**SIZE, "enlarge": True}}},
            [SMALL, WIDE],
            [OPAQUE, TRANSPARENT],
        ),
        ({"sizes": {"small": SIZE}}, {"sizes": {"small": {**SIZE, "fit": "cover"}}}, [OPAQUE, SMALL], [WIDE]),
    ],
    ids=str,
)
def test_what_affects_some_pictures(before, after, affected, spared):
    """Only those that come out otherwise."""
    assert same(before, after) is None
    assert [same(before, after, facts) for facts in affected] == [False] * len(affected)
    assert [same(before, after, facts) for facts in spared] == [True] * len(spared)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "gif", "bmp", "avif"])
@pytest.mark.parametrize("turned", [False, True])
def test_facts_are_those_of_the_decoded_picture(tmp_path, extension, turned):
    """Size when upright, transparency: from the header alone."""
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    path = tmp_path / f"picture.{extension}"
    options = {} if extension in ("gif", "bmp") else {"exif": exif}
    Image.new("RGB", (30, 20), "red").save(path, **options)
    size = (20, 30) if turned and options else (30, 20)
    assert read_facts(str(path), 10_000) == Facts(size, False)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_facts_tell_transparency(tmp_path, mode):
    """In each way that PNG has it."""
    path = tmp_path / "picture.png"
    picture = Image.new("RGBA", (30, 20), (255, 0, 0, 0))
    picture.convert(mode).save(path, **({"transparency": 0} if mode == "P" else {}))
    assert read_facts(str(path), 10_000) == Facts((30, 20), True)


def test_no_facts_of_what_cannot_be_read(tmp_path):
    """It counts as affected."""
    path = tmp_path / "picture.png"
    path.write_text("no picture")
    assert read_facts(str(path), 10_000) is None
