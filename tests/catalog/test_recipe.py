"""The recipe: which settings are part of it, and which pictures a change of it affects."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.settings import settings
from tests.support.shop import REPOSITORY
from thumbmill import imaging
from thumbmill.catalog.recipe import Facts, digest, imaging_digest, ingredients, produces_same_output, read_facts

IMAGING = Path(imaging.__path__[0])
SIZE = {"width": 20, "height": 10}

BASE = {
    "sizes": {"small": SIZE, "large": {"width": 200, "height": 100, "fit": "cover"}},
    "format": ["jpeg", "webp"],
    "quality": {"jpeg": 70},
}


def ingredients_of(config: dict) -> dict:
    """Return the ingredients of a configuration."""
    return ingredients(settings(**config))


def recipe_of(config: dict) -> str:
    """Return the recipe of a configuration."""
    return digest(ingredients_of(config))


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
    """Each such setting by itself."""
    assert recipe_of({**BASE, **change}) != recipe_of(BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "elsewhere"},
        {"output": "elsewhere"},
        {"read": ["+psd"]},
        {"max_pixels": 5},
        {"max_seconds": 5},
        {"max_memory": 500},
        {"skip_unchanged": False},
        {"allow_mass_removal": True},
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
    """Locations, limits, unused formats, and other spellings of the same value."""
    assert recipe_of({**BASE, **change}) == recipe_of(BASE)


def test_recipe_is_one_plain_word():
    """Snakemake records it for each thumbnail."""
    assert recipe_of(BASE).isalnum()
    assert 16 <= len(recipe_of(BASE)) <= 64


@pytest.mark.parametrize("name", sorted(file.name for file in IMAGING.glob("*.py")))
def test_recipe_follows_every_file_of_the_imaging_wing_and_no_date(tmp_path, name):
    """By content, so that a fresh checkout of the same version redoes nothing."""
    same, other = (Path(shutil.copytree(IMAGING, tmp_path / copy)) for copy in ("same", "other"))
    for file in same.iterdir():
        os.utime(file, (1, 1))
    assert imaging_digest(same) == imaging_digest()
    file = other / name
    file.write_bytes(file.read_bytes() + b"\n")
    assert imaging_digest(other) != imaging_digest()


def test_recipe_follows_the_names_and_number_of_files(tmp_path):
    """A module that is renamed or added may decide a pixel."""
    renamed, more = (Path(shutil.copytree(IMAGING, tmp_path / copy)) for copy in ("renamed", "more"))
    (renamed / "color.py").rename(renamed / "colour.py")
    (more / "new.py").touch()
    assert len({imaging_digest(folder) for folder in (IMAGING, renamed, more)}) == 3


def recipe_in(folder: Path) -> str:
    """Return the recipe of the default settings, computed by the copy of thumbmill in `folder`."""
    program = (
        "import os\n"
        "from thumbmill.catalog.recipe import digest, ingredients\n"
        "from thumbmill.run.settings import load_validator, read_settings\n"
        "print(digest(ingredients(read_settings({}, load_validator(os.getcwd())))))\n"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_recipe_ignores_all_other_files(tmp_path):
    """Rewording a message, or changing a report or the rule's script, makes no thumbnail again."""
    for folder in ("thumbmill", "scripts", "schemas"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert recipe_in(tmp_path) == recipe_of({})

    package = tmp_path / "thumbmill"
    others = [path for path in tmp_path.rglob("*.*") if path.is_file() and package / "imaging" not in path.parents]
    assert {package / "failures.py", package / "reports/gallery.py", tmp_path / "scripts/thumbnail.py"} <= {*others}
    for path in others:
        path.write_text(f"{path.read_text()}\n")
    failures = package / "failures.py"
    failures.write_text(failures.read_text().replace("the file is empty", "there is nothing in the file"))
    assert recipe_in(tmp_path) == recipe_of({})

    with (package / "imaging/encode.py").open("a") as file:
        file.write("# another encoder\n")
    assert recipe_in(tmp_path) != recipe_of({})


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
    """Return what produces_same_output() says of two changes to BASE."""
    return produces_same_output(ingredients_of({**BASE, **before}), ingredients_of({**BASE, **after}), facts)


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
    """Thumbnails that are no longer made, and settings that decide no pixel."""
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
    """Thumbnails that were not made before, and the quality of all."""
    assert same(before, after) is False


def test_other_imaging_code_or_pillow_affects_every_picture():
    """Whatever the settings are."""
    old = ingredients_of(BASE)
    assert produces_same_output({**old, "imaging": "other"}, old) is False
    assert produces_same_output({**old, "pillow": "99.0"}, old) is False


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
    """Only those that come out differently."""
    assert same(before, after) is None
    assert [same(before, after, facts) for facts in affected] == [False] * len(affected)
    assert [same(before, after, facts) for facts in spared] == [True] * len(spared)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "gif", "bmp", "avif"])
@pytest.mark.parametrize("turned", [False, True])
def test_facts_are_those_of_the_decoded_picture(tmp_path, extension, turned):
    """Size when upright, and transparency: from the header alone."""
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    path = tmp_path / f"picture.{extension}"
    options = {} if extension in ("gif", "bmp") else {"exif": exif}
    Image.new("RGB", (30, 20), "red").save(path, **options)
    size = (20, 30) if turned and options else (30, 20)
    assert read_facts(str(path), 10_000) == Facts(size, False)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_facts_include_transparency(tmp_path, mode):
    """In each way that PNG has it."""
    path = tmp_path / "picture.png"
    picture = Image.new("RGBA", (30, 20), (255, 0, 0, 0))
    picture.convert(mode).save(path, **({"transparency": 0} if mode == "P" else {}))
    assert read_facts(str(path), 10_000) == Facts((30, 20), True)


def test_there_are_no_facts_of_what_cannot_be_read(tmp_path):
    """Such a picture counts as affected."""
    path = tmp_path / "picture.png"
    path.write_text("no picture")
    assert read_facts(str(path), 10_000) is None
