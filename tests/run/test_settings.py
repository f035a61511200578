"""Reading the settings: what is completed, and what is rejected in which words."""

import copy
import os
import re
import sys

import pytest
import yaml
from PIL import Image

from tests.support.settings import validator
from tests.support.shop import REPOSITORY
from thumbmill.errors import SettingsError
from thumbmill.imaging.geometry import position_window
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails
from thumbmill.run.settings import normalize_location, read_settings

SIZE = {"width": 20, "height": 10}
SIZE_DEFAULTS = {
    "fit": "contain",
    "enlarge": False,
    "focus": "center",
    "trim": False,
    "trim_tolerance": 10,
    "margin": 0,
    "sharpen": 0,
    "format": ["jpeg"],
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Relative folders mean those of the working directory: each test has one of its own."""
    monkeypatch.chdir(tmp_path)


def read(config: dict) -> dict:
    """Return the settings; fail if reading them changes `config`."""
    given = copy.deepcopy(config)
    try:
        return read_settings(config, validator())
    finally:
        assert config == given


def refusal(config: dict) -> str:
    """Return why `config` is rejected; fail unless that is one printable line."""
    with pytest.raises(SettingsError) as caught:
        read(config)
    (line,) = str(caught.value).splitlines()
    assert line.isprintable() and len(line) < 300
    return line


# What is completed


def test_nothing_set_is_all_defaults():
    """An empty config.yaml works."""
    assert read({}) == {
        "source": "images",
        "exclude": [
            *("@eaDir/", "#recycle/", "#snapshot/", "@Recycle/", "@Recently-Snapshot/", "~snapshot/"),
            *("$RECYCLE.BIN/", "$Recycle.Bin/", "RECYCLER/", "System Volume Information/", "lost+found/"),
            *("__MACOSX/", "Network Trash Folder/", "Temporary Items/"),
        ],
        "output": "thumbnails",
        "sizes": {"thumb": {"width": 256, "height": 256, **SIZE_DEFAULTS}},
        "format": ["jpeg"],
        "quality": {"jpeg": 80, "webp": 80, "avif": 65},
        "background": "#ffffff",
        "read": [],
        "max_pixels": 200_000_000,
        "max_seconds": 300,
        "max_memory": 5000,
        "keep_extension": False,
        "linear": False,
        "resampler": "fast",
        "animated": False,
        "damaged": "refuse",
        "placeholder": "none",
        "skip_unchanged": True,
        "allow_mass_removal": False,
    }


def test_config_yaml_says_the_defaults():
    """The file that users start from says what holds without it."""
    with open(REPOSITORY / "config.yaml", encoding="utf-8") as file:
        assert read(yaml.safe_load(file)) == read({})


def test_defaults_are_not_shared():
    """Changing one result does not change the next."""
    read({})["sizes"]["thumb"]["width"] = 1
    read({})["quality"]["jpeg"] = 1
    assert read({})["sizes"]["thumb"]["width"] == 256
    assert read({})["quality"]["jpeg"] == 80


def test_groups_that_are_given_in_part_are_completed():
    settings = read({"sizes": {"a": SIZE, "b": {**SIZE, "fit": "pad"}}, "quality": {"webp": 50}})
    assert settings["sizes"] == {
        "a": {**SIZE, **SIZE_DEFAULTS},
        "b": {**SIZE, **SIZE_DEFAULTS, "fit": "pad"},
    }
    assert settings["quality"] == {"jpeg": 80, "webp": 50, "avif": 65}


@pytest.mark.parametrize("null", [None, "null"])
def test_size_that_is_null_is_switched_off(null):
    """A settings file or --config can remove a size that way."""
    assert list(read({"sizes": {"a": null, "b": SIZE}})["sizes"]) == ["b"]


def test_sizes_keep_their_order():
    """Everything that lists a picture's thumbnails follows it."""
    assert list(read({"sizes": {"z": SIZE, "a": SIZE, "m": SIZE}})["sizes"]) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [("webp", ["webp"]), (["webp"], ["webp"]), (["webp", "jpeg"], ["webp", "jpeg"])],
)
def test_format_is_one_or_a_list_in_the_order_given(given, expected):
    assert read({"format": given})["format"] == expected


@pytest.mark.parametrize("given", ["+psd", ["+psd"]])
def test_formats_to_read_are_one_or_a_list(given):
    """`--config read=+psd` passes text."""
    assert read({"read": given})["read"] == ["+psd"]
    assert read({"read": yaml.safe_load("[+jpeg2000, +psd]")})["read"] == ["+jpeg2000", "+psd"]


def test_size_has_the_general_formats_unless_it_names_its_own():
    sizes = {"a": SIZE, "b": {**SIZE, "format": "png"}, "c": {**SIZE, "format": ["avif", "jpeg"]}}
    settings = read({"sizes": sizes, "format": ["webp", "jpeg"]})
    assert [size["format"] for size in settings["sizes"].values()] == [["webp", "jpeg"], ["png"], ["avif", "jpeg"]]


@pytest.mark.parametrize(
    "focus", ["center", "top", "bottom", "left", "right", "top-left", "bottom-right", "0% 0%", "50% 20%", "100% 100%"]
)
def test_focus_is_a_name_or_a_point(focus):
    """The imaging wing understands each of them."""
    size = read({"sizes": {"a": {**SIZE, "focus": focus}}})["sizes"]["a"]
    assert position_window((0, 0, 100, 100), (50, 50), size["focus"])[2] <= 100


@pytest.mark.parametrize(
    ("text", "number"),
    [("5000", 5000), (" 5000 ", 5000), ("+5000", 5000), ("5_000", 5000), ("007", 7), (5000, 5000)],
)
def test_text_that_spells_a_number_is_one(text, number):
    """Snakemake's --config passes numbers within groups on as text."""
    settings = read({"max_pixels": text, "sizes": {"a": {"width": text, "height": "3"}}, "quality": {"jpeg": "33"}})
    assert settings["max_pixels"] == number
    assert settings["sizes"]["a"]["width"] == number
    assert settings["sizes"]["a"]["height"] == 3
    assert settings["quality"]["jpeg"] == 33


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), (" FALSE ", False), ("false", False), (True, True)]
)
def test_text_that_spells_a_truth_value_is_one(text, value):
    """Snakemake's --config passes them on as text too."""
    settings = read({"keep_extension": text, "sizes": {"a": {**SIZE, "enlarge": text}}})
    assert settings["keep_extension"] is value
    assert settings["sizes"]["a"]["enlarge"] is value


def test_text_that_spells_a_number_stays_text_where_text_is_meant():
    """A folder may be called 2024."""
    assert read({"source": "2024", "output": "true"})["source"] == "2024"
    assert read({"source": "2024", "output": "true"})["output"] == "true"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a/", "a"), ("./a", "a"), ("a//b/", "a/b"), ("/mnt/a/../b", "/mnt/b"), (".", "."), ("a b/ü", "a b/ü")],
)
def test_folders_are_normalized(given, expected):
    """Snakemake warns about ./ and //, and takes a/ and a for two places."""
    assert read({"source": given})["source"] == expected
    assert read({"source": "elsewhere", "output": given})["output"] == expected


def test_size_called_by_a_number():
    """YAML reads the name 240 as a number."""
    settings = read(yaml.safe_load("sizes: {240: {width: 240, height: 240}}"))
    assert list(settings["sizes"]) == ["240"]


def test_whole_number_with_a_point_makes_a_thumbnail(tmp_path):
    """JSON schema takes 20.0 for a whole number; Pillow needs a real one."""
    size = read({"sizes": {"a": {"width": 20.0, "height": 10.0, "fit": "pad"}}})["sizes"]["a"]
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    make_thumbnails(str(tmp_path / "a.png"), [Thumbnail(str(tmp_path / "t.png"), size, "png")], quality={})
    assert Image.open(tmp_path / "t.png").size == (20, 10)


# What is rejected


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"sizes": {"a": {**SIZE, "width": -1}}}, ["sizes.a.width", "-1", "at least 1"]),
        ({"sizes": {"a": {**SIZE, "width": "-1"}}}, ["sizes.a.width", "-1", "at least 1"]),
        ({"sizes": {"a": {**SIZE, "height": 0}}}, ["sizes.a.height", "0", "at least 1"]),
        ({"sizes": {"a": {**SIZE, "width": 100_000}}}, ["sizes.a.width", "100000", "at most 16383"]),
        ({"sizes": {"a": {**SIZE, "width": "wide"}}}, ["sizes.a.width", "'wide'", "whole number"]),
        ({"sizes": {"a": {**SIZE, "width": 2.5}}}, ["sizes.a.width", "2.5", "whole number"]),
        ({"sizes": {"a": {**SIZE, "width": "2.5"}}}, ["sizes.a.width", "2.5", "whole number"]),
        ({"sizes": {"a": {**SIZE, "width": True}}}, ["sizes.a.width", "True", "whole number"]),
        ({"sizes": {"a": {**SIZE, "width": None}}}, ["sizes.a.width", "None", "whole number"]),
        ({"sizes": {"a": {**SIZE, "width": [1]}}}, ["sizes.a.width", "[1]", "whole number"]),
        ({"sizes": {"a": {**SIZE, "fit": "crop"}}}, ["sizes.a.fit", "'crop'", "contain, cover, pad"]),
        ({"sizes": {"a": {**SIZE, "fit": "Cover"}}}, ["sizes.a.fit", "'Cover'", "contain, cover, pad"]),
        ({"sizes": {"a": {**SIZE, "fit": None}}}, ["sizes.a.fit", "None", "contain, cover, pad"]),
        ({"sizes": {"a": {**SIZE, "enlarge": "yes"}}}, ["sizes.a.enlarge", "'yes'", "true or false"]),
        ({"sizes": {"a": {**SIZE, "enlarge": 1}}}, ["sizes.a.enlarge", "1", "true or false"]),
        ({"sizes": {"a": {"width": 1}}}, ["sizes.a", "height", "width"]),
        ({"sizes": {"a": {}}}, ["sizes.a", "width", "height"]),
        ({"sizes": {"a": {**SIZE, "heigth": 3}}}, ["sizes.a", "'heigth'", "'height'"]),
        ({"sizes": {"a": {**SIZE, "zoom": 3}}}, ["sizes.a", "'zoom'", "width, height, fit, enlarge, focus, trim"]),
        ({"sizes": {"a": {**SIZE, "focus": "middle"}}}, ["sizes.a.focus", "'middle'", "center", "top-left", "50% 20%"]),
        ({"sizes": {"a": {**SIZE, "focus": "101% 0%"}}}, ["sizes.a.focus", "'101% 0%'", "percent"]),
        ({"sizes": {"a": {**SIZE, "focus": "left-top"}}}, ["sizes.a.focus", "'left-top'", "percent"]),
        ({"sizes": {"a": {**SIZE, "focus": "50%"}}}, ["sizes.a.focus", "'50%'", "percent"]),
        ({"sizes": {"a": {**SIZE, "focus": "top\n"}}}, ["sizes.a.focus", "'top\\n'", "percent"]),
        ({"sizes": {"a": {**SIZE, "focus": [1, 2]}}}, ["sizes.a.focus", "[1, 2]", "text"]),
        ({"sizes": {"a": {**SIZE, "trim": 5}}}, ["sizes.a.trim", "5", "true or false"]),
        ({"sizes": {"a": {**SIZE, "trim_tolerance": 255}}}, ["sizes.a.trim_tolerance", "255", "at most 254"]),
        ({"sizes": {"a": {**SIZE, "margin": -1}}}, ["sizes.a.margin", "-1", "at least 0"]),
        ({"sizes": {"a": {**SIZE, "margin": "5%"}}}, ["sizes.a.margin", "'5%'", "whole number"]),
        ({"sizes": {"a": {**SIZE, "sharpen": 301}}}, ["sizes.a.sharpen", "301", "at most 300"]),
        ({"sizes": {"a": {**SIZE, "format": "gif"}}}, ["sizes.a.format", "'gif'", "jpeg, png, webp, avif"]),
        ({"sizes": {"a": {**SIZE, "format": []}}}, ["sizes.a.format", "[]", "at least one"]),
        ({"sizes": {"a": {**SIZE, "format": 5}}}, ["sizes.a.format", "5", "list"]),
        ({"linear": "yes"}, ["linear", "'yes'", "true or false"]),
        ({"animated": 1}, ["animated", "1", "true or false"]),
        ({"damaged": "keep"}, ["damaged", "'keep'", "refuse, make"]),
        ({"damaged": None}, ["damaged", "None", "refuse, make"]),
        ({"sizes": {"a": "256x256"}}, ["sizes.a", "'256x256'", "group"]),
        ({"sizes": {"a": 256}}, ["sizes.a", "256", "group"]),
        ({"sizes": {}}, ["sizes", "at least one"]),
        ({"sizes": {"a": None}}, ["sizes", "at least one"]),
        ({"sizes": None}, ["sizes", "None", "group"]),
        ({"sizes": ["a"]}, ["sizes", "['a']", "group"]),
        ({"sizes": {"a b": SIZE}}, ["sizes", "'a b'", "letters"]),
        ({"sizes": {"a/b": SIZE}}, ["sizes", "'a/b'", "letters"]),
        ({"sizes": {"..": SIZE}}, ["sizes", "'..'", "letters"]),
        ({"sizes": {"-a": SIZE}}, ["sizes", "'-a'", "letters"]),
        ({"sizes": {"": SIZE}}, ["sizes", "''", "letters"]),
        ({"sizes": {"{a}": SIZE}}, ["sizes", "'{a}'", "letters"]),
        ({"sizes": {"größe": SIZE}}, ["sizes", "'größe'", "letters"]),
        ({"sizes": {"a\n": SIZE}}, ["sizes", "'a\\n'", "letters"]),
        ({"format": "jpg"}, ["format", "'jpg'", "jpeg, png, webp, avif"]),
        ({"format": ["png", "tiff"]}, ["format", "'tiff'", "jpeg, png, webp, avif"]),
        ({"format": ["png", 5]}, ["format", "5", "jpeg, png, webp, avif"]),
        ({"format": []}, ["format", "[]", "at least one"]),
        ({"format": ["png", "png"]}, ["format", "'png'", "twice"]),
        ({"format": None}, ["format", "None", "list"]),
        ({"format": {"png": 1}}, ["format", "png", "list"]),
        ({"read": "psd"}, ["read", "'psd'", "+jpeg2000, +psd, +jpegxl"]),
        ({"read": ["+psd", "+psd"]}, ["read", "'+psd'", "twice"]),
        ({"read": True}, ["read", "True", "list"]),
        ({"quality": 80}, ["quality", "80", "group"]),
        ({"quality": None}, ["quality", "None", "group"]),
        ({"quality": {"jpeg": 0}}, ["quality.jpeg", "0", "at least 1"]),
        ({"quality": {"webp": 101}}, ["quality.webp", "101", "at most 100"]),
        ({"quality": {"avif": "best"}}, ["quality.avif", "'best'", "whole number"]),
        ({"quality": {"jpg": 80}}, ["quality", "'jpg'", "jpeg, webp, avif"]),
        ({"quality": {"png": 80}}, ["quality", "'png'", "jpeg, webp, avif"]),
        ({"background": "#fff0"}, ["background", "'#fff0'", "#ffffff"]),
        ({"background": "#gggggg"}, ["background", "'#gggggg'", "#ffffff"]),
        ({"background": "#ffffff\n"}, ["background", "'#ffffff\\n'", "#ffffff"]),
        ({"background": "rgb(1,2,3)"}, ["background", "rgb(1,2,3)", "#ffffff"]),
        ({"background": "nosuchcolour"}, ["background", "'nosuchcolour'", "#ffffff"]),
        ({"background": 0}, ["background", "0"]),
        ({"background": None}, ["background", "None"]),
        ({"max_pixels": 0}, ["max_pixels", "0", "at least 1"]),
        ({"max_seconds": 0}, ["max_seconds", "0", "at least 1"]),
        ({"max_memory": 99}, ["max_memory", "99", "at least 100"]),
        ({"max_pixels": "lots"}, ["max_pixels", "'lots'", "whole number"]),
        ({"max_pixels": "1__0"}, ["max_pixels", "'1__0'", "whole number"]),
        ({"max_pixels": "1_"}, ["max_pixels", "'1_'", "whole number"]),
        ({"max_pixels": float("inf")}, ["max_pixels", "inf", "whole number"]),
        ({"keep_extension": "maybe"}, ["keep_extension", "'maybe'", "true or false"]),
        ({"keep_extension": 1}, ["keep_extension", "1", "true or false"]),
        ({"keep_extension": None}, ["keep_extension", "None", "true or false"]),
        ({"source": ""}, ["source", "''", "empty"]),
        ({"source": 5}, ["source", "5", "text"]),
        ({"source": None}, ["source", "None", "text"]),
        ({"source": ["a"]}, ["source", "['a']", "text"]),
        ({"source": "a{b}"}, ["source", "'a{b}'", "{ }"]),
        ({"output": "a<b>"}, ["output", "'a<b>'", "< >"]),
        ({"output": "a\nb"}, ["output", "'a\\nb'"]),
        ({"source": "a\0b"}, ["source", "'a\\x00b'"]),
        ({"output": ""}, ["output", "''", "empty"]),
        ({"sorce": "x"}, ["'sorce'", "did you mean 'source'?"]),
        ({"Source": "x"}, ["'Source'", "did you mean 'source'?"]),
        ({"max_pixel": 5}, ["'max_pixel'", "did you mean 'max_pixels'?"]),
        ({"zzz": 5}, ["'zzz'", "source, output, sizes, format, quality, background, read, max_pixels, max_seconds"]),
        ({5: 5}, ["'5'", "source, output"]),
    ],
    ids=str,
)  # fmt: skip
def test_error_names_the_setting_its_value_and_what_is_allowed(config, words):
    line = refusal(config)
    assert line.startswith((words[0], "unknown setting"))
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        (["a", "x[b"], ["exclude", "'x[b'", "]"]),
        ("../other", ["exclude", "'../other'", ".."]),
        ([2024], ["exclude is 2024", "text"]),
        ({"a": 1}, ["exclude", "a list"]),
        (["a", "a"], ["exclude", "twice"]),
    ],
)
def test_pattern_that_is_malformed(exclude, words):
    reason = refusal({"exclude": exclude})
    assert all(word in reason for word in words), reason


def test_one_pattern_is_a_list_of_one():
    """As --config passes it on."""
    assert read({"exclude": "drafts/"})["exclude"] == ["drafts/"]


def test_unknown_setting_that_resembles_nothing_gets_no_suggestion():
    """No hint is better than a wrong one."""
    assert "did you mean" not in refusal({"zzz": 5})


def test_each_bad_setting_gets_one_line_in_a_stable_order():
    config = {"sizes": {"a": {**SIZE, "width": -1, "fit": "crop"}}, "format": "jpg", "max_pixels": 0}
    with pytest.raises(SettingsError) as caught:
        read(config)
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == ["format", "max_pixels", "sizes.a.fit", "sizes.a.width"]


# Folders


@pytest.mark.parametrize(
    "config",
    [
        {"source": "a", "output": "a"},
        {"source": "a", "output": "./a/"},
        {"source": "a", "output": "b/../a"},
        {"source": ".", "output": "."},
    ],
    ids=str,
)
def test_source_and_output_may_not_be_the_same(config):
    """The error says why, and what to do."""
    line = refusal(config)
    assert line.startswith("output") and "source folder" in line and "thumbnails" in line


def test_same_folder_by_its_absolute_path(tmp_path):
    assert "source folder" in refusal({"source": "a", "output": str(tmp_path / "a")})


def test_same_folder_through_a_link_in_either_direction(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    assert "source folder" in refusal({"source": "a", "output": "link"})
    assert "source folder" in refusal({"source": "link", "output": "a"})


@pytest.mark.parametrize(
    "config",
    [
        {"source": "a", "output": "a/thumbnails"},
        {"source": "a", "output": "a/b/c"},
        {"source": ".", "output": "thumbnails"},
        {"source": "a/b", "output": "a"},
        {"source": "images", "output": "."},
        {"source": "a", "output": "ab"},
        {"source": "ab", "output": "a"},
        {"source": "/", "output": "thumbnails"},
        {"source": "smaller", "output": ".", "sizes": {"small": SIZE}},
        {"source": "small/a", "output": "small"},
        # the thumbnails of size `a` lie in a/thumbnails/a, which the catalogue leaves out with all of the output
        {"source": "a", "output": "a/thumbnails", "sizes": {"a": SIZE}},
    ],
    ids=str,
)
def test_one_folder_inside_the_other_is_fine(config):
    """As long as no thumbnail ends up among the sources."""
    settings = read(config)
    assert (settings["source"], settings["output"]) == (config["source"], config["output"])


@pytest.mark.parametrize(
    "config",
    [
        {"source": "small", "output": ".", "sizes": {"small": SIZE}},
        {"source": "out/small", "output": "out", "sizes": {"big": SIZE, "small": SIZE}},
        {"source": "out/small/deep/er", "output": "out", "sizes": {"small": SIZE}},
        {"source": "out/small/", "output": "./out//", "sizes": {"small": SIZE}},
    ],
    ids=str,
)
def test_size_may_not_be_written_into_the_source(config):
    """The error names the size and the source folder."""
    line = refusal(config)
    assert line.startswith("sizes.small ") and os.path.normpath(config["source"]) in line


def test_size_may_not_be_written_into_the_source_through_links(tmp_path):
    """A link to the output folder, and one to the source."""
    (tmp_path / "out/small").mkdir(parents=True)
    (tmp_path / "link").symlink_to("out")
    assert refusal({"source": "out/small", "output": "link", "sizes": {"small": SIZE}}).startswith("sizes.small")
    (tmp_path / "pictures").symlink_to("out/small")
    assert refusal({"source": "pictures", "output": "out", "sizes": {"small": SIZE}}).startswith("sizes.small")


def test_folder_of_a_size_may_not_be_a_link_to_the_source(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "thumbnails").mkdir()
    (tmp_path / "thumbnails/small").symlink_to("../images")
    assert refusal({"sizes": {"small": SIZE}}).startswith("sizes.small")


def test_placeholder_without_its_package_is_rejected(monkeypatch):
    assert read({"placeholder": "none"})["placeholder"] == "none"
    monkeypatch.setitem(sys.modules, "blurhash", None)  # as if it were not installed
    with pytest.raises(SettingsError, match=r"placeholder is 'blurhash': this needs `pip install '\.\[blurhash\]'`"):
        read({"placeholder": "blurhash"})


# Object storage


@pytest.mark.parametrize("location", ["s3://shop", "s3://shop/", "s3://my.shop-1/a b/ü"])
def test_bucket_or_a_prefix_in_it_is_a_location(location):
    assert normalize_location("source", location) == location.rstrip("/")


@pytest.mark.parametrize(
    "location",
    ["s3://", "s3:///a", "s3://shop/../a", "s3://shop//a", "s3://shop/.", "s3:/shop", "S3://shop", "gs://shop/a"],
)
def test_location_that_is_no_bucket_is_rejected_by_name(location):
    with pytest.raises(SettingsError, match=f"^source is '{re.escape(location)}': must be "):
        normalize_location("source", location)


@pytest.mark.parametrize(("source", "output"), [("s3://shop/a", "s3://shop/a"), ("s3://shop/a/", "s3://shop/a")])
def test_source_and_output_may_not_be_the_same_prefix(source, output):
    assert "the source folder itself" in refusal({"source": source, "output": output})


def test_pictures_in_a_bucket_and_thumbnails_in_a_folder_cannot_meet():
    """Whatever they are called."""
    settings = read({"source": "s3://thumbnails/thumb", "output": "thumbnails"})
    assert (settings["source"], settings["output"]) == ("s3://thumbnails/thumb", "thumbnails")
