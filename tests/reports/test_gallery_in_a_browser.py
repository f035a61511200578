"""The gallery in a browser: images, search, keyboard, plots."""

import os
import shutil

import pytest
from PIL import Image

from tests.reports.gallery import LAYOUT, NASTY, item
from thumbmill.reports.gallery import pages


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="not installed: pip install '.[test-browser]'")
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
        items.append(item(name, "damaged, or <b>not</b> a picture" if number % 500 == 77 else ""))
        for thumb in items[-1].thumbs:
            path = folder / thumb.path
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(thumbnail, path)
    (folder / "gallery").mkdir()
    changed = set(names[:3])
    for name, content in pages(sorted(items), changed, LAYOUT, "gallery").items():
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
    assert page.page.locator("figure svg").count() == 3
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
