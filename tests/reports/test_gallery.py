"""The gallery: its pages and what they know of the pictures."""

import json
import os
import re
from pathlib import Path
from typing import Any

from PIL import Image

from tests.reports.gallery import LAYOUT, NASTY, item, layout
from tests.support.runs import make
from tests.support.session import open_session
from thumbmill.reports.gallery import index_data, make_gallery, pages
from thumbmill.reports.plots import histogram, plots
from thumbmill.text import format_bytes


def data_of(script: str) -> dict[str, Any]:
    """Return what data.js holds."""
    return json.loads(script.removeprefix("const GALLERY = ").removesuffix(";\n"))


def test_the_index_holds_every_picture_once():
    items = [item("a.jpg"), item("b/c d.jpg"), item("b/e.jpg", "damaged")]
    index = index_data(items, {"b/c d.jpg"}, LAYOUT, "gallery")
    assert (index["source"], index["output"]) == ("../images", "../thumbnails")
    assert index["kinds"] == [["thumb", "jpeg", ".jpg"]]
    assert index["folders"] == [
        ["", "", "", [["a.jpg", "a.jpg", "a", 50_000, 640, 480, [[256, 192, 9_000]], 0, ""]]],
        [
            "b",
            "b",
            "b",
            [
                ["c d.jpg", "c%20d.jpg", "c%20d", 50_000, 640, 480, [[256, 192, 9_000]], 1, ""],
                ["e.jpg", "e.jpg", "e", 50_000, 640, 480, [0], 0, "damaged"],
            ],
        ],
    ]


def test_the_index_leads_to_thumbnails_whose_names_are_encoded():
    """A folder has two URLs then: below the source, and below the folder of a size."""
    ((path, url, stems, (picture,)),) = index_data([item("{b}/{a}.jpg")], set(), LAYOUT, "gallery")["folders"]
    assert (path, url, stems) == ("{b}", "%7Bb%7D", "%257Bb%257D")
    assert picture[:3] == ["{a}.jpg", "%7Ba%7D.jpg", "%257Ba%257D"]


def test_names_do_no_harm():
    files = pages([item(name) for name in NASTY], set(), layout(source="<b>&images"), "gallery")
    for name in ("index.html", "plots.html"):
        page = files[name].decode()
        assert "<b>&" not in page
        assert "alert(1)<" not in page
        assert "&lt;b&gt;&amp;images" in page
        assert len(re.findall("<script", page)) == (2 if name == "index.html" else 0)
    data = files["data.js"].decode("ascii")
    assert len(data.splitlines()) == 1
    assert sum(len(folder[3]) for folder in data_of(data)["folders"]) == len(NASTY)


def test_pages_need_no_network():
    for name, content in pages([item("a.jpg")], set(), LAYOUT, "gallery").items():
        assert "http:" not in content.decode(), name
        assert "https:" not in content.decode(), name


def test_a_page_does_not_grow_with_the_catalogue():
    few, many = (pages([item(f"{n}.jpg") for n in range(count)], set(), LAYOUT, "gallery") for count in (10, 5_000))
    assert abs(len(few["index.html"]) - len(many["index.html"])) < 100
    assert len(many["plots.html"]) < 40_000
    assert len(many["data.js"]) < 5_000 * 75


def test_pages_count_what_is_there():
    items = [item("a.jpg"), item("b.jpg"), item("c.jpg", "damaged")]
    page = re.sub(r"<[^>]*>|\s+", " ", pages(items, set(), LAYOUT, "gallery")["index.html"].decode())
    assert "150 kB" in page and "18.0 kB" in page


def test_histogram():
    plot = histogram("Files", [1_000] * 3 + [1_000_000] * 6, format_bytes, 1)
    assert plot.note == "median 1.0 MB, from 1.0 kB to 1.0 MB; 9 in all"
    assert [height for height, _ in plot.bars if height] == [0.5, 1]
    assert plot.bars[0][1].endswith(": 3")
    assert [text for _, text in plot.labels] == ["1.0 kB", "5.6 kB", "31.6 kB", "178 kB", "1.0 MB"]
    assert sum(height > 0 for height, _ in histogram("One", [7], format_bytes, 1).bars) == 1
    assert histogram("None", [], format_bytes, 1) is None
    assert histogram("None", [0], format_bytes, 1) is None


def test_plots_are_those_of_files_and_pictures():
    assert [plot.title for plot in plots([item("a.jpg")])] == ["Source files", "Source pictures", "Thumbnail files"]
    assert [plot.title for plot in plots([item("a.jpg", "damaged")])] == ["Source files", "Source pictures"]
    assert plots([]) == []


def test_it_shows_failures_and_what_has_changed_since_the_last_gallery(folder):
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (60, 40), "red").save(f"images/{name}")
    Path("images/bad.jpg").write_text("no picture")

    def shown() -> dict[str, list[Any]]:
        make()
        os.makedirs("gallery", exist_ok=True)
        make_gallery(open_session(), "gallery/index.html")
        data = data_of(Path("gallery/data.js").read_text())
        return {picture[0]: picture for *_, pictures in data["folders"] for picture in pictures}

    first = shown()
    assert [name for name, picture in first.items() if picture[7]] == ["a.jpg", "b.png"]
    assert first["bad.jpg"][8].startswith("unsupported image format")
    assert {path.name for path in Path("gallery").iterdir()} == {
        "index.html",
        "plots.html",
        "data.js",
        "gallery.css",
        "gallery.js",
    }
    assert not [name for name, picture in shown().items() if picture[7]]
    Image.new("RGB", (90, 90), "blue").save("images/a.jpg")
    assert [name for name, picture in shown().items() if picture[7]] == ["a.jpg"]
