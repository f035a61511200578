"""The gallery: its pages, and how they work in a browser."""

import json
import os
import re
import shutil

import pytest
from PIL import Image

from scripts.gallery import histogram, index_of, pages, plots
from scripts.inventory import Item, Thumb
from scripts.report import in_words
from scripts.thumbnail import thumbnail_paths

SETTINGS = {
    "source": "images",
    "output": "thumbnails",
    "sizes": {"thumb": {}},
    "format": ["jpeg"],
    "keep_extension": False,
}
NASTY = [
    "<script>alert(1)<script>.jpg",
    "\"'&amp; #1 50%?.jpg",
    "{picture} <x>.jpg",
    "two\nlines.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "v1.2.final.jpg",
    "\u202egpj.exe.jpg",
    "a+b=c;d,e@f!.jpg",
]


def item(name: str, reason: str = "", seconds: float | None = 0.1) -> Item:
    thumbs = [] if reason else [Thumb("thumb", "jpeg", thumbnail_paths(name, SETTINGS)[0], 256, 192, 9_000, "")]
    return Item(name, 50_000, 640, 480, thumbs, reason, seconds, 5)


def data_of(script: str) -> dict:
    return json.loads(script.removeprefix("const GALLERY = ").removesuffix(";\n"))


def test_the_index_holds_every_picture_once():
    items = [item("a.jpg"), item("b/c d.jpg"), item("b/e.jpg", "damaged")]
    index = index_of(items, {"b/c d.jpg"}, SETTINGS, "gallery")
    assert index["output"] == "../thumbnails"
    assert index["folders"] == [
        ["", "", [["a.jpg", "a.jpg", 50_000, 640, 480, [[256, 192, 9_000]], 0, ""]]],
        [
            "b",
            "b",
            [
                ["c d.jpg", "c%20d.jpg", 50_000, 640, 480, [[256, 192, 9_000]], 1, ""],
                ["e.jpg", "e.jpg", 50_000, 640, 480, [0], 0, "damaged"],
            ],
        ],
    ]


def test_names_do_no_harm():
    files = pages([item(name) for name in NASTY], set(), SETTINGS | {"source": "<b>&images"}, "gallery")
    for name in ("index.html", "plots.html"):
        page = files[name].decode()
        assert "<b>&" not in page
        assert "alert(1)<" not in page
        assert "&lt;b&gt;&amp;images" in page
        assert len(re.findall("<script", page)) == (2 if name == "index.html" else 0)
    data = files["data.js"].decode("ascii")
    assert len(data.splitlines()) == 1
    assert len(data_of(data)["folders"][0][2]) == len(NASTY)


def test_pages_need_no_network():
    for name, content in pages([item("a.jpg")], set(), SETTINGS, "gallery").items():
        assert "http:" not in content.decode(), name
        assert "https:" not in content.decode(), name


def test_a_page_does_not_grow_with_the_catalogue():
    few, many = (pages([item(f"{n}.jpg") for n in range(count)], set(), SETTINGS, "gallery") for count in (10, 5_000))
    assert abs(len(few["index.html"]) - len(many["index.html"])) < 100
    assert len(many["plots.html"]) < 40_000
    assert len(many["data.js"]) < 5_000 * 70


def test_histogram():
    plot = histogram("Files", [1_000] * 3 + [1_000_000] * 6, in_words, 1)
    assert plot.note == "median 1.0 MB, from 1.0 kB to 1.0 MB; 9 in all"
    assert [height for height, _ in plot.bars if height] == [0.5, 1]
    assert plot.bars[0][1].endswith(": 3")
    assert [text for _, text in plot.labels] == ["1.0 kB", "5.6 kB", "31.6 kB", "178 kB", "1.0 MB"]
    assert sum(height > 0 for height, _ in histogram("One", [7], in_words, 1).bars) == 1
    assert histogram("None", [], in_words, 1) is None
    assert histogram("None", [0], in_words, 1) is None


def test_the_slowest_come_first():
    items = [item("fast.jpg", seconds=0.01), item("slow.jpg", seconds=2), item("unknown.jpg", seconds=None)]
    drawn = plots(items, SETTINGS, "gallery")
    assert [picture["name"] for picture in drawn["slowest"]] == ["slow.jpg", "fast.jpg"]
    assert drawn["untimed"] == 1
    assert plots([], SETTINGS, "gallery")["plots"] == []


def gallery(shop) -> dict:
    return data_of((shop.folder / "gallery/data.js").read_text())


def listed(shop) -> dict[str, list]:
    """Name to what the index holds of a picture."""
    return {picture[0]: picture for _, _, pictures in gallery(shop)["folders"] for picture in pictures}


def test_it_shows_failures_and_what_has_changed(small_shop):
    (small_shop.folder / "images/bad.jpg").write_text("no picture")
    assert small_shop.run("gallery").code == 1
    first = listed(small_shop)
    assert set(first) == {"a.jpg", "b.png", "c.webp", "bad.jpg"}
    assert first["bad.jpg"][7].startswith("not a picture"), "the reason, though the run has not ended"
    assert "median" in (small_shop.folder / "gallery/plots.html").read_text()
    assert "Time for a picture" in (small_shop.folder / "gallery/plots.html").read_text()
    index = small_shop.folder / "gallery/index.html"
    time = index.stat().st_mtime_ns
    assert small_shop.run("gallery").code == 1
    assert index.stat().st_mtime_ns == time, "nothing has changed"
    small_shop.picture("a.jpg", "yellow", size=(90, 90))
    small_shop.run("gallery")
    assert [name for name, picture in listed(small_shop).items() if picture[6]] == ["a.jpg"]


# ---------------------------------------------------------------------------------------------------------------------
# In a browser


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=180_000)
        yield running
        running.close()


@pytest.fixture(scope="module")
def large_gallery(tmp_path_factory):
    """A gallery of 5,000 pictures: 20 folders, odd names, some failures; the folder that it is in."""
    folder = tmp_path_factory.mktemp("large")
    names = [f"folder {n % 20:02} #&{n % 3}/picture {n:04}.jpg" for n in range(5_000 - len(NASTY))] + NASTY
    thumbnail = folder / "one.jpg"
    Image.effect_noise((256, 192), 90).convert("RGB").save(thumbnail)
    items = []
    for number, name in enumerate(names):
        items.append(
            item(name, "damaged, or <b>not</b> a picture" if number % 500 == 77 else "", 0.001 * (number % 97))
        )
        for thumb in items[-1].thumbs:
            path = folder / thumb.path
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(thumbnail, path)
    (folder / "gallery").mkdir()
    changed = set(names[:3])
    for name, content in pages(sorted(items), changed, SETTINGS, "gallery").items():
        (folder / "gallery" / name).write_bytes(content)
    return folder


class Page:
    """A page of the gallery in a browser, at a width; `errors` are those in its console."""

    def __init__(self, browser, folder, width: int, path="gallery/index.html"):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        self.context.set_default_timeout(180_000)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", lambda request: self.errors.append(request.url))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.goto((folder / path).as_uri())

    def names(self) -> list[str]:
        return self.page.locator(".card .name").all_text_contents()

    def broken_images(self) -> list[str]:
        """The images that do not load, of those on the page."""
        return self.page.evaluate(
            """async () => {
                const images = [...document.images];
                for (const image of images) image.loading = "eager";
                await Promise.all(images.map((image) => image.decode().catch(() => {})));
                return images.filter((image) => !image.naturalWidth).map((image) => image.src);
            }"""
        )

    def wait_for_count(self, text: str) -> None:
        self.page.wait_for_function("text => document.getElementById('count').textContent.includes(text)", arg=text)


@pytest.fixture
def view(browser, large_gallery):
    opened = []

    def open_page(width: int = 1280, **options) -> Page:
        opened.append(Page(browser, large_gallery, width, **options))
        return opened[-1]

    yield open_page
    for page in opened:
        page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_every_image_loads(view, width):
    page = view(width)
    assert len(page.names()) == 100
    assert page.broken_images() == []
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    images = page.page.locator(".card img")
    assert all(images.evaluate_all("all => all.map(i => i.alt && i.getAttribute('width') && i.loading)"))
    page.page.select_option("#folder", "0")
    page.wait_for_count(f"of {len(NASTY)}")
    assert len(page.names()) == len(NASTY)
    assert page.broken_images() == []
    assert "<script>alert(1)<script>.jpg" in page.names()
    page.page.locator(".card", has_text="alert").click()
    assert page.broken_images() == []
    assert page.errors == []


@pytest.mark.slow
def test_search_and_filters(view):
    page = view()
    page.wait_for_count("1 to 100 of 5,000")
    page.page.keyboard.press("/")
    page.page.keyboard.type("PICTURE 012")
    page.wait_for_count("1 to 15 of 15")
    found = [*range(120, 130), 12, 1012, 2012, 3012, 4012]
    assert sorted(page.names()) == sorted(f"picture {n:04}.jpg" for n in found)
    page.page.keyboard.press("Escape")
    page.wait_for_count("of 5,000")
    assert page.page.input_value("#search") == ""
    page.page.get_by_label("Failed").check()
    page.wait_for_count("of 10")
    assert page.page.locator(".card p").first.text_content() == "damaged, or <b>not</b> a picture"
    page.page.get_by_label("Changed").check()
    page.wait_for_count("of 3")
    page.page.reload()
    page.wait_for_count("of 3")
    page.page.go_back()
    page.wait_for_count("of 10")
    page.page.fill("#search", "nothing is called that")
    page.wait_for_count("No picture")
    assert page.errors == []


@pytest.mark.slow
def test_keyboard(view):
    page = view()
    first = page.names()
    page.page.keyboard.press("ArrowRight")
    page.wait_for_count("101 to 200")
    assert not set(first) & set(page.names()) or page.names() != first
    page.page.keyboard.press("ArrowLeft")
    page.wait_for_count("1 to 100")
    assert page.page.locator("#previous").is_disabled()
    page.page.locator(".card").first.focus()
    page.page.keyboard.press("Enter")
    title = page.page.locator("#detail-name")
    before = title.text_content()
    page.page.keyboard.press("ArrowRight")
    assert title.text_content() != before
    assert page.page.locator("#detail tr").count() == 2, "the source and its thumbnail"
    page.page.keyboard.press("Escape")
    assert not page.page.locator("#details").is_visible()
    assert page.page.evaluate("document.activeElement.className") == "card"
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_plots(view, width):
    page = view(width, path="gallery/plots.html")
    assert page.page.locator("figure svg").count() == 4
    assert page.page.locator("tbody tr").count() == 20
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.page.get_by_role("link", name="Pictures", exact=True).click()
    page.wait_for_count("of 5,000")
    assert page.errors == []


@pytest.mark.slow
def test_dark_and_light(browser, large_gallery):
    colours = set()
    for scheme in ("dark", "light"):
        page = browser.new_page(color_scheme=scheme)
        page.goto((large_gallery / "gallery/index.html").as_uri())
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(colours) == 2
