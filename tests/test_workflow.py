"""The workflow, by real Snakemake runs: which jobs run, what they leave, what the user is told."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import EFFORT

ALL = {"a", "b", "sub/c"}
THUMBNAILS = {"thumb/a.jpg", "thumb/b.jpg", "thumb/sub/c.jpg"}
LONG_AGO = 946_684_800  # 1 January 2000, seconds since the epoch


@pytest.fixture
def shop(warm_shop):
    return warm_shop


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The content of each file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("cores", ["1", "2"])
def test_first_run_makes_all_and_the_second_nothing(small_shop, cores):
    first = small_shop.run("--cores", cores)
    assert first.code == 0
    assert first.jobs == ALL
    assert first.last_lines == ["thumbmill: 3 made, 0 up to date, 0 failed"]
    assert EFFORT.match(first.text.splitlines()[-1])
    assert small_shop.files() == THUMBNAILS
    with Image.open(small_shop.thumbnail("sub/c.jpg")) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (60, 40))
    assert small_shop.failures() == {}
    assert small_shop.files("logs") == {"failures.tsv"}  # no empty log

    second = small_shop.run("--cores", cores)
    assert second.code == 0
    assert second.jobs == set()
    assert second.last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(small_shop):
    run = small_shop.run("-n")
    assert run.code == 0
    assert run.jobs == ALL
    assert run.last_lines == [
        "thumbmill: 3 would be made, 0 up to date (dry run)",
        "  images/a.jpg: has no thumbnail",
        "  images/b.png: has no thumbnail",
        "  images/sub/c.webp: has no thumbnail",
    ]
    assert small_shop.files() == set()
    assert small_shop.files("logs") == set()

    small_shop.run()
    small_shop.picture("a.jpg", "yellow")
    os.utime(small_shop.picture("b.png", "yellow", (80, 80)), (LONG_AGO, LONG_AGO))
    assert small_shop.run("-n").last_lines == [
        "thumbmill: 2 would be made, 1 up to date (dry run)",
        "  images/a.jpg: is newer than its thumbnail",
        "  images/b.png: its size in bytes, the settings, the picture script or Pillow changed",
    ]


def test_touched_and_changed(small_shop):
    small_shop.run()
    (small_shop.folder / "images/a.jpg").touch()
    assert small_shop.run().jobs == set()  # newer, but the same content
    small_shop.picture("a.jpg", "yellow")
    assert small_shop.run().jobs == {"a"}
    assert small_shop.run().jobs == set()


def test_replaced_by_an_older_file_of_another_size(small_shop):
    small_shop.run()
    path = small_shop.picture("a.jpg", "yellow", (80, 80))
    os.utime(path, (LONG_AGO, LONG_AGO))
    run = small_shop.run()
    assert run.jobs == {"a"}
    with Image.open(small_shop.thumbnail("a.jpg")) as thumbnail:
        assert thumbnail.size == (80, 80)
    assert small_shop.run().jobs == set()


def test_new_and_deleted(small_shop):
    small_shop.run()
    small_shop.picture("sub/deep/d.png")
    run = small_shop.run()
    assert run.jobs == {"sub/deep/d"}
    assert run.last_lines == ["thumbmill: 1 made, 3 up to date, 0 failed"]
    small_shop.thumbnail("b.jpg").unlink()
    assert small_shop.run().jobs == {"b"}
    (small_shop.folder / "images/sub/c.webp").unlink()
    assert small_shop.run().jobs == set()


def test_a_changed_setting_makes_all_again_unless_it_decides_no_pixel(small_shop):
    small_shop.run()
    before = bytes_of(small_shop.folder / "thumbnails")
    assert small_shop.run("--config", "max_pixels=1000000").jobs == set()
    assert small_shop.run("--config", "quality={avif: 10}").jobs == set()
    run = small_shop.run("--config", "sizes={thumb: {width: '30'}}")
    assert run.jobs == ALL
    with Image.open(small_shop.thumbnail("a.jpg")) as thumbnail:
        assert thumbnail.size == (30, 20)
    assert small_shop.run().jobs == ALL
    assert bytes_of(small_shop.folder / "thumbnails") == before


def copy_workflow(target: Path) -> Path:
    """A fresh checkout: all files with today's date."""
    repository = Path(__file__).parent.parent
    target.mkdir()
    shutil.copyfile(repository / "Snakefile", target / "Snakefile")
    shutil.copyfile(repository / "config.yaml", target / "config.yaml")
    for folder in ("scripts", "schemas", "profiles", "envs"):
        shutil.copytree(
            repository / folder,
            target / folder,
            copy_function=shutil.copyfile,
            ignore=shutil.ignore_patterns("__pycache__"),  # others are writing there
        )
    return target


def test_a_fresh_checkout_redoes_nothing_and_another_script_everything(small_shop, tmp_path):
    small_shop.run()
    small_shop.workflow = copy_workflow(tmp_path / "checkout")
    assert small_shop.run().jobs == set()
    script = small_shop.workflow / "scripts/thumbnail.py"
    script.write_text(f"{script.read_text()}\n# another one\n")
    assert small_shop.run().jobs == ALL


def test_one_bad_picture_fails_alone_in_every_run_until_it_is_mended(small_shop):
    small_shop.run()
    whole = small_shop.picture("sub/big.png", size=(300, 200)).read_bytes()
    broken = small_shop.folder / "images/sub/big.png"
    broken.write_bytes(whole[: len(whole) // 2])
    (small_shop.folder / "images/text.jpg").write_text("no picture at all")
    (small_shop.folder / "images/empty.gif").touch()
    (small_shop.folder / "images/dangling.jpg").symlink_to("nowhere.jpg")
    small_shop.picture("new.jpg")
    failing = {"sub/big", "text", "empty"}

    for expected in ("1 made, 3 up to date", "0 made, 4 up to date"):
        run = small_shop.run()
        assert run.code == 1
        assert failing <= run.jobs
        assert run.last_lines[0] == f"thumbmill: {expected}, 4 failed"
        shown = "\n".join(run.last_lines)
        for source in ("images/sub/big.png", "images/text.jpg", "images/empty.gif", "images/dangling.jpg"):
            assert f"\n  {source}: " in shown
            assert small_shop.failures()[source]
        assert len(small_shop.failures()) == 4
        assert small_shop.files() == THUMBNAILS | {"thumb/new.jpg"}  # nothing partial
        assert "Traceback" not in run.text

    broken.write_bytes(whole)
    for name in ("text.jpg", "empty.gif", "dangling.jpg"):
        (small_shop.folder / "images" / name).unlink()
    run = small_shop.run()
    assert (run.code, run.jobs) == (0, {"sub/big"})
    assert small_shop.failures() == {}
    assert small_shop.files("logs") == {"failures.tsv"}


def test_a_changed_picture_that_fails_loses_its_old_thumbnail(small_shop):
    small_shop.run()
    (small_shop.folder / "images/a.jpg").write_bytes(b"no longer a picture")
    assert small_shop.run().code == 1
    assert small_shop.files() == THUMBNAILS - {"thumb/a.jpg"}


def test_a_run_of_one_target_changes_only_its_own_line(small_shop):
    (small_shop.folder / "images/x.jpg").write_text("x")
    (small_shop.folder / "images/y.jpg").write_text("y")
    assert small_shop.run().code == 1
    small_shop.picture("x.jpg")
    run = small_shop.run("thumbnails/thumb/x.jpg")
    assert (run.code, run.jobs) == (0, {"x"})
    assert run.last_lines == ["thumbmill: 1 made, 0 up to date, 0 failed"]
    assert set(small_shop.failures()) == {"images/y.jpg"}


def test_a_single_named_thumbnail(small_shop):
    run = small_shop.run("thumbnails/thumb/sub/c.jpg")
    assert (run.code, run.jobs) == (0, {"sub/c"})
    assert small_shop.files() == {"thumb/sub/c.jpg"}
    assert small_shop.run("thumbnails/thumb/nothing.jpg").code == 1


def test_several_sizes_and_formats_are_one_job(small_shop):
    sizes = "sizes={small: {width: 20, height: 20, fit: cover}, square: {width: 50, height: 50, fit: pad}}"
    run = small_shop.run("--config", sizes, "format=[webp, png]", "background=lime")
    assert (run.code, run.jobs) == (0, ALL)
    assert len(small_shop.files()) == 3 * 3 * 2
    for size, expected in {"small": (20, 20), "square": (50, 50), "thumb": (60, 40)}.items():
        for extension in ("webp", "png"):
            with Image.open(small_shop.folder / f"thumbnails/{size}/b.{extension}") as thumbnail:
                assert thumbnail.size == expected
    with Image.open(small_shop.folder / "thumbnails/square/b.png") as thumbnail:
        assert thumbnail.convert("RGB").getpixel((25, 1)) == (0, 255, 0)
    (small_shop.folder / "thumbnails/square/b.png").unlink()
    assert small_shop.run("--config", sizes, "format=[webp, png]", "background=lime").jobs == {"b"}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("sizes={thumb: {width: -4}}", "sizes.thumb.width is -4: must be at least 1"),
        ("sizes={thumb: {fit: covr}}", "sizes.thumb.fit is 'covr': must be one of contain, cover, pad"),
        ("formats=jpeg", "unknown setting 'formats' (did you mean 'format'?): allowed are source, output,"),
        ("source=nowhere", "the source folder 'nowhere' does not exist"),
        ("source=logs", "no picture in the source folder 'logs'"),
        ("output=images", "output is 'images', the source folder itself"),
    ],
)
def test_bad_settings_are_refused_before_any_work(small_shop, setting, expected):
    (small_shop.folder / "logs").mkdir()
    run = small_shop.run("--config", setting)
    assert run.code == 1
    message = [line for line in run.text.splitlines() if line.startswith("thumbmill: ")]
    assert len(message) == 1
    assert expected in message[0]
    assert "Traceback" not in run.text
    assert small_shop.files() == set()


def test_a_settings_file(small_shop):
    (small_shop.folder / "shop.yaml").write_text("sizes:\n  thumb:\n  tiny: {width: 10, height: 10}\nformat: png\n")
    assert small_shop.run("--configfile", "shop.yaml").code == 0
    assert small_shop.files() == {"tiny/a.png", "tiny/b.png", "tiny/sub/c.png"}


def test_two_sources_of_one_thumbnail(small_shop):
    small_shop.picture("a.png")
    run = small_shop.run()
    assert run.code == 1
    assert "images/a.jpg  and  images/a.png" in run.text
    assert "keep_extension: true" in run.text
    run = small_shop.run("--config", "keep_extension=true")
    assert run.code == 0
    assert small_shop.files() == {"thumb/a.jpg.jpg", "thumb/a.png.jpg", "thumb/b.png.jpg", "thumb/sub/c.webp.jpg"}


ODD_NAMES = [
    "with space.jpg",
    'quote\'s "double".jpg',
    "ümlaut ß.jpg",
    "emoji 🧵.jpg",
    "{}.jpg",
    "{picture}.jpg",
    "<script>.jpg",
    "percent %s %(x)s.jpg",
    "#hash.jpg",
    "-dash.jpg",
    "several.dots.in.it.jpg",
    "line\nbreak.jpg",
    "not utf-8 \udcff\udcfe.jpg",
    "a" * 200 + ".jpg",
    "ü" * 120 + "x.jpg",
    "b" * 251 + ".jpg",
    "$(echo shell) `x` ;&|*.jpg",
    " leading and trailing /in folder .jpg",
]


def test_odd_names(shop):
    for name in ODD_NAMES:
        shop.picture(name)
    run = shop.run()
    assert run.last_lines == [f"thumbmill: {len(ODD_NAMES)} made, 0 up to date, 0 failed"]
    assert run.code == 0
    assert shop.files("thumbnails/thumb") == set(ODD_NAMES)
    assert shop.run().last_lines == [f"thumbmill: 0 made, {len(ODD_NAMES)} up to date, 0 failed"]

    shop.picture("<script>.jpg", "green")
    shop.thumbnail("{picture}.jpg").unlink()
    run = shop.run()
    assert run.last_lines == [f"thumbmill: 2 made, {len(ODD_NAMES) - 2} up to date, 0 failed"]
    assert shop.files("thumbnails/thumb") == set(ODD_NAMES)

    (shop.folder / "images/{}.jpg").write_text("broken")
    run = shop.run()
    assert run.code == 1
    assert list(shop.failures()) == ["images/{}.jpg"]
    assert shop.files("thumbnails/thumb") == set(ODD_NAMES) - {"{}.jpg"}


def test_odd_names_are_made_in_another_place_too(shop, tmp_path_factory):
    shop.picture("{x}.jpg")
    shop.run()
    assert len(shop.run("--config", "output=elsewhere").jobs) == 1
    assert shop.files("elsewhere") == {"thumb/{x}.jpg"}
    assert len(shop.run("--config", "keep_extension=true").jobs) == 1
    assert shop.files() == {"thumb/{x}.jpg", "thumb/{x}.jpg.jpg"}
    assert shop.run().jobs == set()

    copy = tmp_path_factory.mktemp("copy") / "shop"
    shutil.copytree(shop.folder, copy, symlinks=True)
    shop.folder = copy
    shop.thumbnail("{x}.jpg").unlink()
    assert len(shop.run().jobs) == 1  # though the link in the copy leads to the original's thumbnail
    assert shop.thumbnail("{x}.jpg").exists()


def test_the_output_folder_may_lie_inside_the_source_folder(small_shop):
    for expected in ("3 made, 0 up to date", "0 made, 3 up to date"):
        run = small_shop.run("--config", "output=images/small")
        assert run.last_lines == [f"thumbmill: {expected}, 0 failed"]
    assert small_shop.files("images/small") == THUMBNAILS


def test_from_another_directory(small_shop, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [*small_shop.command("--directory", str(small_shop.folder))]
    subprocess.run(command, cwd=elsewhere, check=True, capture_output=True)
    assert small_shop.files() == THUMBNAILS
    assert list(elsewhere.iterdir()) == []


def test_the_default_profile_prints_failures_and_the_summary_only(small_shop):
    (small_shop.folder / "images/text.jpg").write_text("no picture at all")
    run = small_shop.run("--workflow-profile", small_shop.workflow / "profiles/default")
    assert run.jobs == {"text"}  # a failure is printed in full
    assert "Error in rule thumbnail:" in run.text
    assert "log: logs/thumbnail/text.log" in run.text
    assert "Traceback" not in run.text
    assert run.last_lines[0] == "thumbmill: 3 made, 0 up to date, 1 failed"
    assert small_shop.files("logs") == {"failures.tsv", "thumbnail/text.log"}


def wait_until(condition, process) -> None:
    """Wait for `condition`, as long as the process runs."""
    while not condition() and process.poll() is None:
        time.sleep(0.01)


# After kill -9 a picture is redone if its end was not yet recorded: what a worker is at, what waits for it (8), and
# what is being recorded, or waits for that (16 each, see plugins/snakemake-executor-plugin-pool).
@pytest.mark.parametrize(
    ("stop", "redone_at_most"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, 9 + 2 * 16)]
)
def test_an_interrupted_run_goes_on_without_a_flag(shop, stop, redone_at_most):
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
        assert len(shop.failures()) == left
    run = shop.run()
    assert run.code == 0
    assert shop.files("thumbnails/thumb") == {f"{name}.jpg" for name in names}
    redone = run.jobs & {name.removesuffix(".jpg") for name in made}
    assert len(redone) <= redone_at_most


def test_readable_pictures_with_something_wrong_are_made_and_listed(small_shop):
    """Until they are mended; a truncated one fails, or is made and listed by a setting."""
    sound = (small_shop.folder / "images/a.jpg").read_bytes()
    (small_shop.folder / "images/a.jpg").write_bytes(sound + b"x" * 7)
    large = Image.effect_noise((300, 200), 60).convert("RGB")
    large.save(small_shop.folder / "images/cut.jpg")
    whole = (small_shop.folder / "images/cut.jpg").read_bytes()
    (small_shop.folder / "images/cut.jpg").write_bytes(whole[: len(whole) // 2])

    def warnings() -> dict[str, str]:
        header, *lines = (small_shop.folder / "logs/warnings.tsv").read_text().splitlines()
        assert header == "source\twarning"
        return dict(line.split("\t") for line in lines)

    run = small_shop.run()
    assert run.code == 1
    assert list(small_shop.failures()) == ["images/cut.jpg"]
    assert warnings() == {"images/a.jpg": "7 bytes behind its end are no part of the picture"}
    assert "1 thumbnail has a warning" in run.last_lines[-1]

    run = small_shop.run("--config", "damaged=make")
    assert (run.code, small_shop.failures()) == (0, {})
    assert list(warnings()) == ["images/a.jpg", "images/cut.jpg"]
    assert "truncated" in warnings()["images/cut.jpg"]

    assert small_shop.run("--config", "damaged=make").jobs == set()
    assert len(warnings()) == 2  # still wrong with them

    (small_shop.folder / "images/a.jpg").write_bytes(sound)
    (small_shop.folder / "images/cut.jpg").write_bytes(whole)
    run = small_shop.run("--config", "damaged=make")
    assert not (small_shop.folder / "logs/warnings.tsv").exists()
    assert len(run.last_lines) == 1


def test_sizes_in_formats_of_their_own(small_shop):
    """All from one job, each where it belongs."""
    wide = "{width: 20, height: 20, format: [webp, jpeg]}"
    square = "{width: 9, height: 9, fit: cover, focus: 50% 20%}"
    settings = ("--config", f"sizes={{a: {wide}, b: {square}}}")
    small_shop.run(*settings)
    expected = {f"a/{name}.{extension}" for name in ("a", "b", "sub/c") for extension in ("webp", "jpg")}
    expected |= {"b/a.jpg", "b/b.jpg", "b/sub/c.jpg"}
    assert expected <= small_shop.files() <= expected | THUMBNAILS
    assert small_shop.run(*settings).jobs == set()
