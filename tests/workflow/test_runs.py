"""The workflow in real Snakemake runs: which jobs run, what they leave, and what the user reads."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.checkout import copy_workflow
from tests.support.shop import EFFORT, Shop, WarmShop

ALL = {"a", "b", "sub/c"}
THUMBNAILS = {"thumb/a.jpg", "thumb/b.jpg", "thumb/sub/c.jpg"}
LONG_AGO = 946_684_800  # 1 January 2000, seconds since the epoch


@pytest.fixture
def shop(warm_shop: WarmShop) -> WarmShop:
    """An empty shop whose runs start faster."""
    return warm_shop


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is made, and what is not


@pytest.mark.parametrize("cores", ["2", pytest.param("1", marks=pytest.mark.slow)])
def test_first_run_makes_everything_and_the_second_nothing(small_shop, cores):
    first = small_shop.run("--cores", cores)
    assert first.code == 0
    assert first.jobs == ALL
    assert first.last_lines == ["thumbmill: 3 made, 0 up to date, 0 failed"]
    assert EFFORT.match(first.text.splitlines()[-1])
    assert small_shop.files() == THUMBNAILS
    with Image.open(small_shop.thumbnail("sub/c.jpg")) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (60, 40))
    assert small_shop.failures() == {}
    assert small_shop.files("logs") == {"failures.tsv"}, "an empty log is left"
    assert "\x1b" not in first.text, "there is no terminal"

    second = small_shop.run("--cores", cores)
    assert second.code == 0
    assert second.jobs == set()
    assert second.last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]


def test_a_dry_run_says_what_would_be_made_and_changes_nothing(made_shop):
    before = {folder: bytes_of(made_shop.folder / folder) for folder in ("thumbnails", "logs")}
    run = made_shop.run("-n", "--config", "output=elsewhere")
    assert (run.code, run.jobs) == (0, ALL)
    assert run.last_lines == [
        "thumbmill: 3 would be made, 0 up to date (dry run)",
        "  images/a.jpg: has no thumbnail",
        "  images/b.png: has no thumbnail",
        "  images/sub/c.webp: has no thumbnail",
    ]
    made_shop.picture("a.jpg", "yellow")
    os.utime(made_shop.picture("b.png", "yellow", (80, 80)), (LONG_AGO, LONG_AGO))
    assert made_shop.run("-n").last_lines == [
        "thumbmill: 2 would be made, 1 up to date (dry run)",
        "  images/a.jpg: is newer than its thumbnail",
        "  images/b.png: its content, the settings, thumbmill's imaging code or Pillow changed",
    ]
    assert not (made_shop.folder / "elsewhere").exists()
    assert {folder: bytes_of(made_shop.folder / folder) for folder in ("thumbnails", "logs")} == before


def test_what_changed_is_made_again_and_nothing_else(made_shop):
    """Not what was only touched: its content is the same."""
    for name in ("d.png", "e.png", "f.png"):
        made_shop.picture(name)
    assert made_shop.run().jobs == {"d", "e", "f"}

    (made_shop.folder / "images/a.jpg").touch()
    made_shop.picture("b.png", "yellow")
    os.utime(made_shop.picture("sub/c.webp", "yellow", (80, 80)), (LONG_AGO, LONG_AGO))
    made_shop.thumbnail("d.jpg").unlink()
    (made_shop.folder / "images/e.png").unlink()
    made_shop.picture("sub/deep/new.png")
    run = made_shop.run()
    assert run.jobs == {"b", "sub/c", "d", "sub/deep/new"}
    assert run.last_lines == ["thumbmill: 4 made, 2 up to date, 0 failed"]
    with Image.open(made_shop.thumbnail("sub/c.jpg")) as thumbnail:
        assert thumbnail.size == (80, 80)


def test_a_fresh_checkout_and_reworded_messages_make_nothing_again_but_other_imaging_code_does(made_shop, tmp_path):
    made_shop.workflow = copy_workflow(tmp_path / "checkout")
    for name in ("failures.py", "reports/plan.py", "run/summary.py"):
        with (made_shop.workflow / "thumbmill" / name).open("a") as module:
            module.write("\n# another one\n")
    run = made_shop.run("-n")
    assert (run.code, run.jobs) == (0, set())
    with (made_shop.workflow / "thumbmill/imaging/encode.py").open("a") as module:
        module.write("\n# another one\n")
    assert made_shop.run("-n").jobs == ALL


@pytest.mark.slow
def test_settings_changed_there_and_back_give_the_same_thumbnails(made_shop):
    before = bytes_of(made_shop.folder / "thumbnails")
    run = made_shop.run("--config", "sizes={thumb: {width: '30'}}")
    assert run.jobs == ALL
    with Image.open(made_shop.thumbnail("a.jpg")) as thumbnail:
        assert thumbnail.size == (30, 20)
    assert made_shop.run().jobs == ALL
    assert bytes_of(made_shop.folder / "thumbnails") == before


def test_a_named_thumbnail_is_made_alone_and_changes_only_its_own_line(made_shop):
    for name in ("x", "y"):
        (made_shop.folder / f"images/{name}.jpg").write_text(name)
    assert made_shop.run().code == 1
    assert set(made_shop.failures()) == {"images/x.jpg", "images/y.jpg"}
    for name in ("x.jpg", "new.jpg"):
        made_shop.picture(name)
    run = made_shop.run("thumbnails/thumb/x.jpg")
    assert (run.code, run.jobs) == (0, {"x"})
    assert run.last_lines == ["thumbmill: 1 made, 0 up to date, 0 failed"]
    assert set(made_shop.failures()) == {"images/y.jpg"}


# Settings


def test_several_sizes_and_formats_are_one_job(small_shop):
    """Some sizes have formats of their own."""
    small = "{width: 20, height: 20, fit: cover, format: [jpeg]}"
    square = "{width: 50, height: 50, fit: pad}"
    settings = ("--config", f"sizes={{small: {small}, square: {square}}}", "format=[webp, png]", "background=lime")
    run = small_shop.run(*settings)
    assert (run.code, run.jobs) == (0, ALL)
    names = ("a", "b", "sub/c")
    expected = {
        f"{size}/{name}.{suffix}" for size in ("square", "thumb") for name in names for suffix in ("webp", "png")
    }
    assert small_shop.files() == expected | {f"small/{name}.jpg" for name in names}
    for path, size in {"small/b.jpg": (20, 20), "square/b.webp": (50, 50), "thumb/b.png": (60, 40)}.items():
        with Image.open(small_shop.folder / "thumbnails" / path) as thumbnail:
            assert thumbnail.size == size
    with Image.open(small_shop.folder / "thumbnails/square/b.png") as thumbnail:
        assert thumbnail.convert("RGB").getpixel((25, 1)) == (0, 255, 0)
    (small_shop.folder / "thumbnails/square/b.png").unlink()
    assert small_shop.run(*settings).jobs == {"b"}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("leave_out=false", "setting 'leave_out' is called 'skip_unchanged' now"),
        ("source=nowhere", "the source folder 'nowhere' does not exist"),
    ],
)
def test_what_cannot_be_used_is_rejected_in_one_line_before_any_work(small_shop, setting, expected):
    run = small_shop.run("--config", setting)
    assert run.code == 1
    (message,) = [line for line in run.text.splitlines() if line.startswith("thumbmill: ")]
    assert expected in message
    assert "Traceback" not in run.text
    assert small_shop.files() == set()


def test_a_settings_file_and_the_folders_that_it_names(small_shop):
    """The output may be inside the source, where it is not taken for sources."""
    settings = "output: images/small\nkeep_extension: true\nsizes:\n  thumb:\n  tiny: {width: 10, height: 10}\n"
    (small_shop.folder / "shop.yaml").write_text(settings)
    for expected in ("3 made, 0 up to date", "0 made, 3 up to date"):
        run = small_shop.run("--configfile", "shop.yaml")
        assert run.last_lines == [f"thumbmill: {expected}, 0 failed"]
    assert small_shop.files("images/small") == {"tiny/a.jpg.jpg", "tiny/b.png.jpg", "tiny/sub/c.webp.jpg"}


def test_from_another_directory(small_shop, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    _, _, _, *command = small_shop.command("--directory", small_shop.folder)
    assert small_shop.snakemake.run(command, elsewhere) == 0
    assert small_shop.files() == THUMBNAILS
    assert [path.name for path in elsewhere.iterdir()] == [".output"], "which is the test's own"


# Failures and warnings


def test_a_bad_picture_fails_alone_in_every_run_until_it_is_mended(made_shop):
    whole = made_shop.picture("sub/big.png", size=(300, 200)).read_bytes()
    broken = made_shop.folder / "images/sub/big.png"
    broken.write_bytes(whole[: len(whole) // 2])
    (made_shop.folder / "images/text.jpg").write_text("no picture at all")
    (made_shop.folder / "images/empty.gif").touch()
    (made_shop.folder / "images/dangling.jpg").symlink_to("nowhere.jpg")
    (made_shop.folder / "images/a.jpg").write_bytes(b"no longer a picture")
    made_shop.picture("new.jpg")
    kinds = {
        "images/sub/big.png": "damaged",
        "images/text.jpg": "unsupported",
        "images/empty.gif": "empty",
        "images/dangling.jpg": "missing",
        "images/a.jpg": "unsupported",
    }
    run = made_shop.run()
    assert run.code == 1
    assert run.jobs >= {"sub/big", "text", "empty", "a", "new"}
    assert run.last_lines[0] == "thumbmill: 1 made, 2 up to date, 5 failed"
    shown = "\n".join(run.last_lines)
    assert all(f"\n  {source}: {reason}" in shown for source, reason in made_shop.failures().items())
    assert made_shop.failure_kinds() == kinds
    assert made_shop.files() == THUMBNAILS - {"thumb/a.jpg"} | {"thumb/new.jpg"}, "an old or a partial one is left"
    assert "Traceback" not in run.text

    broken.write_bytes(whole)
    made_shop.picture("a.jpg")
    for name in ("empty.gif", "dangling.jpg"):
        (made_shop.folder / "images" / name).unlink()
    run = made_shop.run()
    assert (run.code, run.jobs) == (1, {"sub/big", "a", "text"})
    assert run.last_lines[0] == "thumbmill: 2 made, 3 up to date, 1 failed"
    assert made_shop.failure_kinds() == {"images/text.jpg": "unsupported"}
    assert made_shop.files("logs") == {"failures.tsv", "thumbnail/text.log"}


def test_the_default_profile_prints_failures_and_the_summary_only(made_shop):
    (made_shop.folder / "images/text.jpg").write_text("no picture at all")
    made_shop.picture("new.jpg")
    run = made_shop.run("--workflow-profile", made_shop.workflow / "profiles/default")
    assert run.jobs == {"text"}, "a failure is printed in full"
    assert "Error in rule thumbnail:" in run.text
    assert "log: logs/thumbnail/text.log" in run.text
    assert "Finished jobid" not in run.text
    assert "Traceback" not in run.text
    assert run.last_lines[0] == "thumbmill: 1 made, 3 up to date, 1 failed"
    assert made_shop.files("logs") == {"failures.tsv", "thumbnail/text.log"}


def test_pictures_with_something_wrong_are_made_and_listed_until_they_are_mended(made_shop):
    """One has bytes behind its end; the other is truncated, and made because a setting says so."""
    sound = (made_shop.folder / "images/a.jpg").read_bytes()
    (made_shop.folder / "images/a.jpg").write_bytes(sound + b"x" * 7)
    Image.effect_noise((300, 200), 60).convert("RGB").save(made_shop.folder / "images/cut.jpg")
    whole = (made_shop.folder / "images/cut.jpg").read_bytes()
    (made_shop.folder / "images/cut.jpg").write_bytes(whole[: len(whole) // 2])

    def warnings() -> dict[str, str]:
        header, *lines = (made_shop.folder / "logs/warnings.tsv").read_text().splitlines()
        assert header == "source\twarning"
        return dict(line.split("\t") for line in lines)

    run = made_shop.run("--config", "damaged=make")
    assert (run.code, made_shop.failures()) == (0, {})
    assert run.last_lines[-1] == "  2 pictures made despite a problem: logs/warnings.tsv"
    assert list(warnings()) == ["images/a.jpg", "images/cut.jpg"]
    assert warnings()["images/a.jpg"] == "7 bytes behind its end are no part of the picture"
    assert "truncated" in warnings()["images/cut.jpg"]

    (made_shop.folder / "images/cut.jpg").write_bytes(whole)
    assert made_shop.run("--config", "damaged=make").jobs == {"cut"}
    assert list(warnings()) == ["images/a.jpg"], "which was not mended, and not made again"


# Interruptions


def wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait for `condition`, as long as the process runs."""
    while not condition() and process.poll() is None:
        time.sleep(0.01)


# After kill -9 a picture is made again if the end of its job was not yet recorded: what a worker is at, what waits for
# it (8), and what is being recorded, or waits for that (16 each, see the pool executor).
@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "redone_at_most"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, 9 + 2 * 16)]
)
def test_an_interrupted_run_goes_on_without_a_flag(shop: Shop, stop, redone_at_most):
    names = {f"{number:03}" for number in range(200)}
    first = shop.picture("000.png", size=(900, 900))
    for name in names - {"000"}:
        os.link(first, first.with_name(f"{name}.png"))
    log = shop.folder / "terminal.txt"
    with log.open("w") as terminal:
        process = subprocess.Popen(shop.command("--cores", "1"), cwd=shop.folder, stdout=terminal, stderr=terminal)
        wait_until(lambda: len(shop.files()) >= 30, process)
        os.kill(process.pid, stop)
        assert process.wait() != 0
    made = {file for file in shop.files("thumbnails/thumb") if not file.startswith(".thumbmill-")}
    assert 20 <= len(made) < len(names), "not stopped in the middle"
    if stop != signal.SIGKILL:
        left = len(names) - len(made)
        counts = f"{len(made)} made, 0 up to date, 0 failed, {left} not made because the run was stopped"
        assert f"thumbmill: {counts}\n" in log.read_text()
        assert "Traceback" not in log.read_text()
        assert set(shop.failure_kinds().values()) == {"stopped"} and len(shop.failures()) == left
    run = shop.run()
    assert run.code == 0
    assert shop.files("thumbnails/thumb") == {f"{name}.jpg" for name in names}
    redone = run.jobs & {name.removesuffix(".jpg") for name in made}
    assert len(redone) <= redone_at_most
