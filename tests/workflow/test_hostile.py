"""Hostile names, links and pictures through whole runs: nothing is executed, and what fails fails alone."""

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.support.checkout import copy_workflow
from tests.support.pictures import png
from tests.support.shop import REPOSITORY, Shop, WarmShop
from thumbmill.catalog.layout import encode_wildcard

# Put behind make_renditions(): faults that no real file is known to cause.
FAULTS = """

_make_renditions = make_renditions


def make_renditions(source, *arguments):
    if "hang" in source:
        import re
        re.match("(a*)*b", "a" * 40)
    if "crash" in source:
        import ctypes
        ctypes.string_at(0)
    if "greedy" in source:
        try:
            bytearray(10**12)
        except MemoryError as error:
            raise MemoryLimitError(failures.out_of_memory("decode it")) from error
    return _make_renditions(source, *arguments)
"""

NAMES = [
    "$(touch executed).jpg",
    "`touch executed`.jpg",
    "; touch executed ;.jpg",
    "| touch executed.jpg",
    "&& touch executed &&.jpg",
    "' ; touch executed ; '.jpg",
    '" ; touch executed ; ".jpg',
    "-rf.jpg",
    "--config=executed.jpg",
    "line\nbreak; touch executed.jpg",
    "..jpg",
    "... .jpg",
    "%2e%2e%2fexecuted.jpg",
    "~root.jpg",
    "*.jpg",
    "a\\..\\b.jpg",
    "{workflow.basedir}.jpg",
    "$HOME.jpg",
    "x > executed.jpg",
]


@pytest.fixture
def faulty_shop(small_shop: Shop, tmp_path: Path) -> Shop:
    """A shop with a copy of the workflow in which some pictures hang, crash or want too much memory."""
    small_shop.workflow = copy_workflow(tmp_path / "checkout")
    job = small_shop.workflow / "thumbmill/run/job.py"
    job.write_text(job.read_text() + FAULTS)
    return small_shop


@pytest.mark.slow
@pytest.mark.parametrize("executor", [(), ("--workflow-profile", "none")])
def test_hang_crash_and_greed_fail_alone(faulty_shop, executor):
    """Each with its reason; the others are made, and the same command makes what can be made once the cause is gone."""
    for name in ("hang.jpg", "crash.jpg", "greedy.jpg"):
        faulty_shop.picture(name)
    options = ["--config", "max_seconds=10", *executor, *(["--keep-going"] if executor else [])]
    run = faulty_shop.run(*options)
    assert run.code == 1
    assert faulty_shop.files("thumbnails/thumb") == {"a.jpg", "b.jpg", "sub/c.jpg"}
    failures = faulty_shop.failures()
    assert set(failures) == {"images/hang.jpg", "images/crash.jpg", "images/greedy.jpg"}
    assert "a worker may use" in failures["images/greedy.jpg"]
    assert "max_memory" in failures["images/greedy.jpg"] or "--cores" in failures["images/greedy.jpg"]
    assert "max_seconds" in failures["images/hang.jpg"]
    if not executor:
        assert failures["images/crash.jpg"].startswith("its decoder crashed, signal 11 (SIGSEGV)")
        assert set(faulty_shop.failure_kinds().values()) == {"timed-out", "crashed", "out-of-memory"}

    faulty_shop.workflow = REPOSITORY
    assert faulty_shop.run("retry").code == 0
    assert faulty_shop.failures() == {}


@pytest.mark.slow
def test_a_picture_that_needs_more_memory_fails_alone(warm_shop):
    """Its reason names the limit and the setting."""
    for number in range(4):
        warm_shop.picture(f"{number}.png")
    (warm_shop.folder / "images/large.png").write_bytes(png(12_000, 12_000, 8, 0, bytes(12_000)))
    run = warm_shop.run("--config", "max_memory=100", "--cores", "1")
    assert set(warm_shop.failures()) == {"images/large.png"}
    assert "a worker may use 100 MB (raise max_memory)" in warm_shop.failures()["images/large.png"]
    assert len(warm_shop.files("thumbnails/thumb")) == 4
    assert run.code == 1


def test_names_and_metadata_reach_no_shell_and_no_path(warm_shop: WarmShop):
    """Each thumbnail is at its own name, and nothing beside it: neither by a name, nor by what EXIF or ICC say."""
    text = "$(touch executed); touch executed; ../../../executed\n"
    exif = Image.Exif()
    for tag in (0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298, 0x9C9B):  # names, descriptions, makers
        exif[tag] = text
    profile = b"\0\0\2\0" + text.encode() * 20
    folder = warm_shop.folder
    for name in NAMES:
        Image.new("RGB", (20, 20)).save(folder / "images" / name, "JPEG", exif=exif, comment=text, icc_profile=profile)
    warm_shop.picture("$(touch executed)/a.jpg")
    before = {*os.listdir(folder.parent)}
    run = warm_shop.run("--config", "keep_extension=true")
    made = {name for name in NAMES if not name.startswith(".")} | {"$(touch executed)/a.jpg"}
    assert warm_shop.files("thumbnails/thumb") == {f"{encode_wildcard(name)}.jpg" for name in made}, run.text
    assert not [path for path in warm_shop.files(".") if re.fullmatch(r"(.*/)?executed", path)]
    assert {*os.listdir(folder.parent)} == before
    assert {*os.listdir(folder)} <= {"images", "thumbnails", "logs", ".snakemake", ".profile", ".output"}


def test_links_are_followed_and_what_is_no_picture_is_refused(warm_shop: WarmShop, tmp_path_factory):
    """Wherever a link leads, a picture is read, and nothing else is shown to anyone."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Image.new("RGB", (20, 20), "red").save(elsewhere / "a.jpg")
    images = warm_shop.folder / "images"
    (images / "picture.jpg").symlink_to(elsewhere / "a.jpg")
    (images / "folder").symlink_to(elsewhere)
    (images / "secret.jpg").symlink_to("/etc/passwd")
    (images / "device.jpg").symlink_to("/dev/zero")
    os.mkfifo(images / "pipe.jpg")
    (images / "folder.jpg").mkdir()
    run = warm_shop.run()
    assert warm_shop.files("thumbnails/thumb") == {"picture.jpg", "folder/a.jpg"}
    assert warm_shop.failure_kinds() == {"images/secret.jpg": "unsupported"}
    assert "root:" not in run.text
