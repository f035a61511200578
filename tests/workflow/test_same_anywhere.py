"""The same pictures and settings give the same bytes, wherever they are made; elsewhere nothing is made again."""

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from bench.pictures import draw_picture
from tests.support.shop import REPOSITORY, Run, Shop

SETTINGS = (
    "format=[jpeg, png, webp, avif]",
    "sizes={thumb: {width: 60, height: 60, fit: cover}, large: {width: 300, height: 300, fit: pad}}",
)
FILES = 8  # for each picture

# Locales sort upper and lower case differently; the Turkish one has its own upper case of i; and what is not ASCII may
# count as letters or as bytes.
NAMES = ["Ägypten", "Zebra", "apfel", "öl", "Irmak", "ırmak", "İnci", "inci", "été/Küche", "été/küche ß", "日本", "z"]


def pool_threads() -> list[str]:
    """Return the flag that makes the executor of the default profile use threads, whatever its plugin is called."""
    profile = yaml.safe_load((REPOSITORY / "profiles/default/config.yaml").read_text())
    return [f"--{profile['executor']}-kind", "thread"]


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory) -> Path:
    """A folder of mixed pictures, one for each of NAMES; some have only odd numbers of pixels, one is large."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "été").mkdir()
    for number, name in enumerate(NAMES):
        picture = draw_picture(number, (1500, 1001) if number == 1 else (301 + number, 201))
        match number % 6:
            case 0:
                picture.save(folder / f"{name}.jpg", quality=90)
            case 1:
                exif = Image.Exif()
                exif[0x0112] = 6  # to be rotated
                picture.save(folder / f"{name}.jpeg", progressive=True, exif=exif)
            case 2:
                picture.putalpha(picture.getchannel("R"))
                picture.save(folder / f"{name}.png")
            case 3:
                picture.save(folder / f"{name}.webp")
            case 4:
                picture.convert("P").save(folder / f"{name}.gif")
            case 5:
                picture.convert("CMYK").save(folder / f"{name}.tif")
    draw_picture(99, (400, 300)).save(folder / "from.avif")
    return folder


@pytest.fixture
def new_shop(catalogue, tmp_path_factory):
    """A function that returns a shop in a new folder, with the mixed catalogue."""

    def make() -> Shop:
        shop = Shop(tmp_path_factory.mktemp("shop"))
        shutil.copytree(catalogue, shop.folder / "images")
        return shop

    return make


@pytest.fixture(scope="session")
def expected(catalogue, tmp_path_factory) -> dict[str, bytes]:
    """What two workers make in the environment of the tests."""
    shop = Shop(tmp_path_factory.mktemp("expected"))
    shutil.copytree(catalogue, shop.folder / "images")
    return made(shop)


def make(shop: Shop, *arguments: str) -> Run:
    """Make all thumbnails, and the manifest that lists them."""
    return shop.run("manifest", "--config", *SETTINGS, *arguments)


def made(shop: Shop, *arguments: str) -> dict[str, bytes]:
    """Return the thumbnails and the manifest, by their names, after a run."""
    run = make(shop, *arguments)
    assert run.code == 0, run.text
    return outputs(shop)


def outputs(shop: Shop) -> dict[str, bytes]:
    """Return all thumbnails, and the manifest, by their names."""
    thumbnails = bytes_of(shop.folder / "thumbnails")
    assert len(thumbnails) == FILES * (len(NAMES) + 1)
    return thumbnails | bytes_of(shop.folder / "manifest")


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
@pytest.mark.parametrize("cores", ["1", "2"])
def test_on_any_number_of_cores(new_shop, expected, cores):
    """However many workers there are, and however many cores the machine has, which encoders with threads count."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[: int(cores)])
    try:
        assert made(new_shop(), "--cores", "2" if cores == "1" else "1") == expected
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--workflow-profile", "none"], pool_threads()])
def test_with_any_executor(new_shop, expected, arguments):
    assert made(new_shop(), *arguments) == expected


@pytest.mark.slow
def test_after_an_interruption(new_shop, expected):
    shop = new_shop()
    command = shop.command("manifest", "--config", *SETTINGS, "--cores", "1")
    process = subprocess.Popen(command, cwd=shop.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(shop.files()) < 3 * FILES and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    assert 2 * FILES <= len(shop.files()) < FILES * len(NAMES), "not stopped in the middle"
    assert made(shop) == expected


ENVIRONMENTS = {
    "another time zone and locale": {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "1"},
    "the C locale": {"TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONHASHSEED": "2"},
    "no locale, as in cron": {"LANG": "", "LC_ALL": "", "PYTHONHASHSEED": "3"},
    "no UTF-8 mode": {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "0", "TMPDIR": "other"},
    "a locale of other bytes, and UTF-8 mode": {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "1"},
}


@pytest.fixture(scope="session")
def locales(tmp_path_factory) -> str | None:
    """A folder with the locales that these tests need; None if this system cannot make them."""
    folder = tmp_path_factory.mktemp("locales")
    for language, encoding in (("tr_TR", "UTF-8"), ("de_DE", "ISO-8859-1")):
        command = ["localedef", "-i", language, "-f", encoding, str(folder / f"{language}.{encoding}")]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    return str(folder)


@pytest.fixture
def enter(monkeypatch, locales, tmp_path):
    """A function that sets environment variables. It makes the TMPDIR, and removes what has an empty value."""

    def set_all(variables: dict[str, str]) -> None:
        monkeypatch.delenv("PYTHONUTF8", raising=False)
        for name, value in variables.items():
            if name == "LC_ALL" and "_" in value:
                if locales is None:
                    pytest.skip("localedef and its sources of locales are not installed")
                monkeypatch.setenv("LOCPATH", locales)
            if name == "TMPDIR":
                (tmp_path / value).mkdir()
                value = str(tmp_path / value)
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)

    return set_all


@pytest.mark.slow
@pytest.mark.parametrize("variables", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_in_any_time_zone_and_locale(new_shop, expected, enter, monkeypatch, variables):
    """The bytes are the same, and at home nothing is made again, whoever judges: Snakemake or thumbmill's history."""
    shop = new_shop()
    enter(variables)
    assert made(shop) == expected
    monkeypatch.undo()
    for skip_unchanged in ("false", "true"):
        run = make(shop, f"skip_unchanged={skip_unchanged}")
        assert (run.code, run.jobs) == (0, set())
        assert run.last_lines == [f"thumbmill: 0 made, {len(NAMES) + 1} up to date, 0 failed"]


def test_a_locale_in_which_names_are_no_utf_8_is_refused(shop, monkeypatch):
    """They would be other pictures there, all to be made again, and their records lost."""
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    shop.picture("a.jpg")
    shop.picture("ä.jpg")
    run = shop.run()
    assert (run.code, run.jobs) == (1, set())
    assert "thumbmill: the locale says that file names are in ascii, so \\xe4.jpg would count as another" in run.text
    assert "PYTHONUTF8=1" in run.text
    assert "Traceback" not in run.text


@pytest.mark.slow
@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_the_mode_of_thumbnails(small_shop, umask, mode):
    before = os.umask(umask)
    try:
        assert small_shop.run().code == 0
    finally:
        os.umask(before)
    assert {stat.S_IMODE(small_shop.thumbnail(name).stat().st_mode) for name in ("a.jpg", "sub/c.jpg")} == {mode}


@pytest.mark.slow
def test_from_another_working_folder(new_shop, expected, tmp_path):
    """With the source folder elsewhere, and so other paths in the manifest."""
    source = new_shop().folder / "images"
    shop = Shop(tmp_path)
    assert make(shop, f"source={source}", "output=out/of/it").code == 0
    thumbnails = {name: content for name, content in expected.items() if not name.startswith("manifest.")}
    assert bytes_of(tmp_path / "out/of/it") == thumbnails
