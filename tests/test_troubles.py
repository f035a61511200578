"""Troubles of the file system, real ones: a clear message, nothing broken, and a plain rerun that mends it."""

import contextlib
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from scripts import thumbnail as module
from scripts.folders import FolderError, check_writable
from scripts.report import duration, stopwatch
from scripts.thumbnail import TEMPORARY_PREFIX, PictureError, Thumbnail, make_thumbnails
from tests.conftest import REPOSITORY, ended

THUMB = {"width": 256, "height": 256, "fit": "contain"}

# The superuser may write everywhere: without these, what holds for all others holds for root.
AS_A_USER = [
    "setpriv",
    "--bounding-set",
    "-dac_override,-dac_read_search",
    "--inh-caps",
    "-dac_override,-dac_read_search",
]


# Help


def run(shop, *arguments, before=(), traceback=False):
    """Run Snakemake with the default profile as it is, the command after `before`; a `traceback` is allowed or not."""
    profile = str(shop.workflow / "profiles/default")
    if "--workflow-profile" not in arguments:
        arguments = (*arguments, "--workflow-profile", profile)
    done = subprocess.run(
        [*before, *shop.command(*arguments)],
        cwd=shop.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert traceback or "Traceback" not in done.stdout, done.stdout
    return ended(done.returncode, done.stdout)


def as_a_user(shop, *arguments):
    """The same with no more rights than other users have."""
    if os.geteuid() != 0:
        return run(shop, *arguments)
    if not shutil.which("setpriv"):
        pytest.skip("this test runs as root, and setpriv is not installed")
    return run(shop, *arguments, before=AS_A_USER)


def with_limit(shop, limit, *arguments):
    """The same under a `limit` of the shell's (ulimit)."""
    return run(shop, *arguments, before=["bash", "-c", f'ulimit {limit}; exec "$@"', "-"])


def noise(path, seed=0, side=300):
    """Draw a picture whose thumbnail takes some 30 kB. The same seed gives the same picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random_bytes = random.Random(seed).randbytes(side * side)
    Image.frombytes("L", (side, side), random_bytes).save(path, quality=90)


def all_is_right(shop):
    """Whether each thumbnail is that of its source as it is now, and no other file is left by us."""
    fresh = shop.folder / "fresh.jpg"
    names = shop.files("images")
    for name in names:
        make_thumbnails(
            str(shop.folder / "images" / name), [Thumbnail(str(fresh), THUMB, "jpeg")], quality={"jpeg": 80}
        )
        assert shop.thumbnail(str(Path(name).with_suffix(".jpg"))).read_bytes() == fresh.read_bytes(), name
    fresh.unlink(missing_ok=True)
    assert shop.files() == {str(Path("thumb", name).with_suffix(".jpg")) for name in names}
    assert not strays(shop)
    assert shop.failures() == {}
    return True


def strays(shop):
    """The temporary files that are left."""
    return [path for path in shop.folder.rglob(f"{TEMPORARY_PREFIX}*") if path.name.startswith(TEMPORARY_PREFIX)]


def none_is_partial(shop):
    """Whether all thumbnails that are there can be read to their ends."""
    for name in shop.files():
        with Image.open(shop.folder / "thumbnails" / name) as picture:
            picture.load()
    return True


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A disk of `size` mounted at `folder`. The test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def noisy_shop(shop):
    """A shop with 40 pictures whose thumbnails take 30 kB each."""
    first = shop.folder / "images/p0.jpg"
    noise(first)
    for number in range(1, 40):
        target = shop.folder / ("images/sub" if number % 2 else "images") / f"p{number}.jpg"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(first, target)
    return shop


# No room


def test_output_disk_is_full(noisy_shop):
    shop = noisy_shop
    with small_disk(shop.folder / "thumbnails", "400k") as remount:
        full = run(shop)
        assert full.code == 1
        assert "No space left on device: make room on its disk, and run again" in full.text
        # It ends early, and does not fail all others one by one.
        assert full.text.count("Error in rule thumbnail:") <= 20
        counts = re.search(r"thumbmill: (\d+) made, 0 up to date, (\d+) failed, (\d+) not made because", full.text)
        made, failed, stopped = map(int, counts.groups())
        assert made + failed + stopped == 40
        assert min(made, failed, stopped) > 0
        assert re.search(
            r"\n  make room: the rest needs about [\d.]+ (k|M)B, and .+ are free in thumbnails\n", full.text
        )
        assert not strays(shop)
        assert none_is_partial(shop)
        assert len(shop.failures()) == failed + stopped
        remount("size=20m")
        mended = run(shop)
        assert mended.code == 0
        assert mended.last_lines == [f"thumbmill: {failed + stopped} made, {made} up to date, 0 failed"]
        assert all_is_right(shop)


@pytest.mark.slow
def test_all_is_on_a_disk_that_becomes_full(noisy_shop, tmp_path):
    pictures = noisy_shop.folder / "images"
    noisy_shop.folder = tmp_path / "disk"
    with small_disk(noisy_shop.folder, "500k") as remount:
        (noisy_shop.folder / "images").symlink_to(pictures)
        full = run(noisy_shop)
        assert full.code == 1
        assert "No space left on device" in full.text
        assert "Logging error" not in full.text
        assert not strays(noisy_shop)
        assert none_is_partial(noisy_shop)
        remount("size=20m")
        assert run(noisy_shop).code == 0
        assert all_is_right(noisy_shop)
        assert run(noisy_shop).last_lines == ["thumbmill: 0 made, 40 up to date, 0 failed"]


def test_the_disk_is_full_from_the_start(noisy_shop, tmp_path):
    pictures = noisy_shop.folder / "images"
    noisy_shop.folder = tmp_path / "disk"
    with small_disk(noisy_shop.folder, "20m"):
        (noisy_shop.folder / "images").symlink_to(pictures)
        filler = noisy_shop.folder / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        full = run(noisy_shop)
        assert full.code == 1
        assert full.text.splitlines()[-1] == (
            "thumbmill: cannot write .snakemake: No space left on device: make room on its disk, and run again"
        )
        assert noisy_shop.files() == set()
        filler.unlink()
        assert run(noisy_shop).code == 0
        assert all_is_right(noisy_shop)


def test_the_disk_of_the_working_directory_is_full_and_that_of_the_output_is_not(noisy_shop, tmp_path):
    """So that neither logs nor the history can be written at the end."""
    pictures = noisy_shop.folder / "images"
    noisy_shop.folder = tmp_path / "disk"
    output = tmp_path / "elsewhere"
    with small_disk(noisy_shop.folder, "120k") as remount:
        (noisy_shop.folder / "images").symlink_to(pictures)
        (noisy_shop.folder / "thumbnails").symlink_to(output)
        output.mkdir()
        full = run(noisy_shop)
        assert full.code == 1
        assert "No space left on device" in full.text
        remount("size=20m")
        assert run(noisy_shop).code == 0
        assert all_is_right(noisy_shop)


def test_a_quota_is_used_up(noisy_shop):
    shop = noisy_shop
    (shop.folder / "thumbnails").mkdir()
    options = "size=20m,usrquota,usrquota_block_hardlimit=300k"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(shop.folder / "thumbnails")]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this kernel has no tmpfs with quotas, or mounting is not allowed")
    try:
        # Quotas do not bind those who may exceed them.
        full = run(shop, before=["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"])
        assert full.code == 1
        assert "Disk quota exceeded: make room, or have the quota raised, and run again" in full.text
        assert full.text.count("Error in rule thumbnail:") <= 20
        assert not strays(shop)
        assert none_is_partial(shop)
        assert run(shop).code == 0
        assert all_is_right(shop)
    finally:
        subprocess.run(["umount", "-l", str(shop.folder / "thumbnails")], check=True)


def test_files_may_not_be_that_large(tmp_path):
    """One thumbnail of two cannot be written: neither stays."""
    noise(tmp_path / "a.jpg")
    thumbnails = [Thumbnail(str(tmp_path / f"{n}.png"), {**THUMB, "width": n, "height": n}, "png") for n in (16, 256)]
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "from scripts.thumbnail import *\n"
        f"size = {THUMB!r}\n"
        f"make_thumbnails({str(tmp_path / 'a.jpg')!r},"
        f" [Thumbnail(p, {{**size, 'width': n, 'height': n}}, 'png') for p, n in"
        f" {[(each.path, each.size['width']) for each in thumbnails]!r}], quality={{}})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY)
    assert "File too large: it is larger than the disk or the limit of the shell (ulimit -f) allows" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.jpg"}


# Not allowed


@pytest.mark.slow
def test_read_only_output(small_shop):
    with small_disk(small_shop.folder / "thumbnails", "20m") as remount:
        run(small_shop)
        small_shop.picture("new.jpg")
        remount("ro")
        refused = run(small_shop)
        assert refused.code == 1
        assert refused.text.splitlines()[-1] == (
            "thumbmill: cannot write thumbnails/thumb: Read-only file system: mount it for writing, and run again"
        )
        (small_shop.folder / "images/new.jpg").unlink()
        assert run(small_shop).last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]  # nothing is to be written
        remount("rw")
        small_shop.picture("new.jpg")
        assert run(small_shop).code == 0
        assert all_is_right(small_shop)


def test_an_output_folder_within_is_read_only(noisy_shop):
    """That turns up only as the first picture is made; Snakemake's own cleaning up adds a traceback."""
    with small_disk(noisy_shop.folder / "thumbnails/thumb/sub", "20m") as remount:
        remount("ro")
        refused = run(noisy_shop, traceback=True)
        assert refused.code == 1
        assert "Read-only file system" in refused.text
        assert refused.text.count("Error in rule thumbnail:") < 20
        remount("rw")
        assert run(noisy_shop).code == 0
        assert all_is_right(noisy_shop)


# Folder to which the user has no right, and what the last line of the run is then.
CLOSED = {
    "output": ("thumbnails", "thumbmill: cannot write thumbnails/thumb: Permission denied: allow yourself to write"),
    "size": (
        "thumbnails/thumb",
        "thumbmill: cannot write thumbnails/thumb: Permission denied: allow yourself to write",
    ),
    "logs": ("logs", "thumbmill: cannot write logs: Permission denied: allow yourself to write"),
    "state": (".snakemake", "thumbmill: cannot write .snakemake: Permission denied: allow yourself to write"),
    "records": (
        ".snakemake/metadata",
        "thumbmill: cannot write .snakemake/metadata/: Permission denied: allow yourself to write",
    ),
    "all": (".", "thumbmill: cannot write .snakemake: Permission denied: allow yourself to write"),
}


@pytest.mark.parametrize("which", CLOSED)
def test_a_folder_is_closed(small_shop, which):
    name, told = CLOSED[which]
    folder = small_shop.folder / name
    if which != "all":
        folder.mkdir(parents=True)
    folder.chmod(0o555)
    try:
        refused = as_a_user(small_shop, "--workflow-profile", str(small_shop.workflow / "profiles/default"))
    finally:
        folder.chmod(0o755)
    assert refused.code == 1
    assert refused.text.splitlines()[-1].startswith(told)
    assert small_shop.files() == set()
    assert as_a_user(small_shop).code == 0
    assert all_is_right(small_shop)


@pytest.mark.slow
def test_a_folder_below_the_output_is_closed(small_shop):
    folder = small_shop.thumbnail("sub")
    try:
        for profile in (str(small_shop.workflow / "profiles/default"), "none"):
            folder.mkdir(parents=True, exist_ok=True)  # Snakemake removes it after a failure, empty as it is
            folder.chmod(0o555)
            refused = as_a_user(small_shop, "--workflow-profile", profile, "--keep-going", "--rerun-incomplete")
            assert refused.code == 1
            assert small_shop.failures() == {
                "images/sub/c.webp": "cannot write thumbnails/thumb/sub/c.jpg: Permission denied: "
                "allow yourself to write there, and run again"
            }
    finally:
        if folder.exists():
            folder.chmod(0o755)
    assert as_a_user(small_shop).last_lines == ["thumbmill: 1 made, 2 up to date, 0 failed"]
    assert all_is_right(small_shop)


def test_sources_may_not_be_read(small_shop):
    closed = {small_shop.folder / "images/a.jpg": 0o644, small_shop.folder / "images/sub": 0o755}
    for path in closed:
        path.chmod(0)
    try:
        refused = as_a_user(small_shop)
        assert refused.code == 1
        assert refused.last_lines[0] == "thumbmill: 1 made, 0 up to date, 2 failed"
        assert small_shop.failures() == {
            "images/a.jpg": "permission denied: make the file readable",
            "images/sub/": "a folder that cannot be listed: check its permissions",
        }
    finally:
        for path, mode in closed.items():
            path.chmod(mode)
    assert as_a_user(small_shop).code == 0
    assert all_is_right(small_shop)


# In the way

IN_THE_WAY = {
    "folder for thumbnail": ("thumbnails/thumb/a.jpg", lambda path: path.mkdir(), "a folder"),
    "dangling thumbnail": (
        "thumbnails/thumb/a.jpg",
        lambda path: path.symlink_to("nowhere"),
        "a link that leads nowhere",
    ),
    "file for output": ("thumbnails", lambda path: path.touch(), "a file"),
    "dangling output": ("thumbnails", lambda path: path.symlink_to("nowhere"), "a link that leads nowhere"),
    "file for size": ("thumbnails/thumb", lambda path: path.touch(), "a file"),
    "file for folder": ("thumbnails/thumb/sub", lambda path: path.touch(), "a file"),
    "pipe for thumbnail": ("thumbnails/thumb/a.jpg", os.mkfifo, "no ordinary file"),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_something_stands_where_a_thumbnail_belongs(small_shop, what):
    name, make, kind = IN_THE_WAY[what]
    path = small_shop.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    for arguments in ((), ("-n",)) if what == "file for folder" else ((),):
        refused = run(small_shop, *arguments)
        assert refused.code == 1
        assert refused.text.splitlines()[-2:] == [
            "thumbmill: these stand where thumbnails belong: move them away, and run again",
            f"  {name}: {kind}",
        ]
    assert os.path.lexists(path)
    path.rmdir() if kind == "a folder" else path.unlink()
    assert run(small_shop).code == 0
    assert all_is_right(small_shop)


# Few open files


@pytest.mark.parametrize("limit", [256, 64, 32, 20, 12])
def test_few_files_may_be_open(small_shop, limit):
    first = with_limit(small_shop, f"-n {limit}")
    if first.code:
        assert limit < 32
        assert re.search(r"\nOpen-file limit is \d+; --cores 2 needs \d+\. Raise it with ulimit -Hn", first.text)
        assert small_shop.files() == set()
        assert run(small_shop).code == 0
    assert all_is_right(small_shop)


# Sources that vanish or change


class Meanwhile(threading.Thread):
    """Does something over and over until the `with` ends."""

    def __init__(self, action, seconds):
        super().__init__()
        self.action, self.seconds, self.done, self.error = action, seconds, threading.Event(), None

    def run(self):
        for number in itertools.count():
            if self.done.wait(self.seconds):
                return
            self.action(number)

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.done.set()
        self.join()


def changing_while_read(tmp_path, monkeypatch, change):
    """Make a thumbnail of `a.jpg`, which `change(path)` changes after it was decoded."""
    noise(tmp_path / "a.jpg")
    os.utime(tmp_path / "a.jpg", (10**9, 10**9))
    render_file = module.render_file

    def render_and_change(*arguments, **options):
        rendered = render_file(*arguments, **options)
        change(tmp_path / "a.jpg")
        return rendered

    monkeypatch.setattr(module, "render_file", render_and_change)
    make_thumbnails(str(tmp_path / "a.jpg"), [Thumbnail(str(tmp_path / "t.jpg"), THUMB, "jpeg")], quality={"jpeg": 80})


def replace(path):
    """Put another file of the same size and date in the place of `path`."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    shutil.copystat(path, other)
    other.replace(path)


CHANGES = {
    "written": lambda path: path.write_bytes(path.read_bytes()),
    "longer, of the same date": lambda path: (
        path.write_bytes(path.read_bytes() + b"\0"),
        os.utime(path, (10**9,) * 2),
    ),
    "replaced": replace,
    "removed": os.unlink,
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_source_that_changes_while_it_is_read_fails(tmp_path, monkeypatch, how):
    with pytest.raises(
        PictureError, match=r"^changed or removed while it was read \(still being copied\?\): run again$"
    ):
        changing_while_read(tmp_path, monkeypatch, CHANGES[how])
    assert not (tmp_path / "t.jpg").exists()


def test_a_source_whose_rights_or_links_change_does_not_fail(tmp_path, monkeypatch):
    changing_while_read(tmp_path, monkeypatch, lambda path: (path.chmod(0o600), os.link(path, tmp_path / "b.jpg")))
    assert (tmp_path / "t.jpg").exists()


def test_a_source_that_is_being_copied_is_no_damaged_one(tmp_path):
    """A reader that meets the end of a file that grows is told what happens, not that the file is damaged."""
    noise(tmp_path / "whole.jpg", side=600)
    content = (tmp_path / "whole.jpg").read_bytes()
    growing = tmp_path / "a.jpg"
    reasons = set()
    for _ in range(40):
        growing.write_bytes(content[: len(content) // 2])

        def grow(number):
            with growing.open("ab") as file:
                file.write(content[len(content) // 2 + number :][:1])

        with Meanwhile(grow, 0.0005):
            try:
                make_thumbnails(str(growing), [Thumbnail(str(tmp_path / "t.jpg"), THUMB, "jpeg")], quality={"jpeg": 80})
            except PictureError as error:
                reasons.add(str(error))
    assert "changed or removed while it was read (still being copied?): run again" in reasons
    assert not (tmp_path / "t.jpg").exists()


def test_a_source_that_changes_before_its_job_ends_has_no_old_thumbnail_for_ever(shop):
    """Of the same size, so that only dates tell: Snakemake dates the thumbnail anew, and then it is the newer one."""
    noise(shop.folder / "old.jpg", seed=1)
    noise(shop.folder / "new.jpg", seed=2)
    old, new = ((shop.folder / name).read_bytes() for name in ("old.jpg", "new.jpg"))
    length = max(len(old), len(new))
    left = [f"p{number}.jpg" for number in range(40)]
    for name in left:
        (shop.folder / "images" / name).write_bytes(old.ljust(length, b"\0"))

    def change(_):
        for name in list(left):
            if shop.thumbnail(name).exists():
                (shop.folder / "images" / name).write_bytes(new.ljust(length, b"\0"))
                left.remove(name)

    with Meanwhile(change, 0.0002):
        first = run(shop)
    assert first.code == 1
    assert "\nthumbmill: changed while their thumbnails were made: " in first.text
    assert "changed while its thumbnail was made (still being copied?): run again" in shop.failures().values()
    assert run(shop).code == 0
    assert all_is_right(shop)  # of what is behind a picture's end there is a warning, and no failure


@pytest.mark.slow
def test_sources_that_vanish(small_shop):
    noise(small_shop.folder / "images/big.jpg", side=2500)
    for number in range(60):
        os.link(small_shop.folder / "images/big.jpg", small_shop.folder / f"images/big{number}.jpg")
    away = small_shop.folder / "away"

    def vanish(_):
        if not away.exists() and len(small_shop.files()) > 3:
            (small_shop.folder / "images").rename(away)

    with Meanwhile(vanish, 0.002):
        run_ = run(small_shop)
    assert run_.code == 1
    assert run_.text.count("Waiting at most 0 seconds") + run_.text.count("changed or removed") > 0
    reasons = set(small_shop.failures().values())
    assert reasons <= {
        "removed after the catalogue was listed",
        "changed or removed while it was read (still being copied?): run again",
        "no such file (a link that points nowhere?)",
    }
    assert none_is_partial(small_shop)
    away.rename(small_shop.folder / "images")
    assert run(small_shop).code == 0
    assert all_is_right(small_shop)


def test_a_run_that_was_killed_before_it_could_tell_that_a_source_changed(small_shop):
    """Made, dated anew and recorded, and killed then: the next run finds out."""
    small_shop.run()
    shutil.rmtree(small_shop.folder / ".snakemake/thumbmill")  # as if the run had not come to its end
    source, thumbnail = small_shop.folder / "images/a.jpg", small_shop.thumbnail("a.jpg")
    content = source.read_bytes()
    record = next((small_shop.folder / ".snakemake/metadata").glob("*aHVtYi9hLmpwZw==")).read_text()
    start = float(re.search(r'"starttime": ([0-9.]+)', record)[1])
    end = thumbnail.stat().st_mtime
    small_shop.picture("a.jpg", "blue")
    assert source.stat().st_size == len(content)
    os.utime(source, ((start + end) / 2,) * 2)
    shutil.rmtree(small_shop.folder / ".snakemake/metadata/x", ignore_errors=True)
    run(small_shop)
    assert small_shop.failures() == {
        "images/a.jpg": "changed while its thumbnail was made (still being copied?): run again"
    }
    assert not thumbnail.exists()
    assert run(small_shop).last_lines == ["thumbmill: 1 made, 2 up to date, 0 failed"]
    assert all_is_right(small_shop)


# Clocks


def test_a_source_dated_in_the_future(small_shop):
    ahead = time.time() + 100_000
    os.utime(small_shop.folder / "images/a.jpg", (ahead, ahead))
    refused = run(small_shop)
    assert refused.code == 1
    assert refused.last_lines[0] == "thumbmill: 2 made, 0 up to date, 1 failed"
    told = (
        r"dated in the future \([-0-9]+ [:0-9]+\), which Snakemake refuses: `touch` it, or set the clock, and run again"
    )
    assert re.fullmatch(told, small_shop.failures()["images/a.jpg"])
    (small_shop.folder / "images/a.jpg").touch()
    assert run(small_shop).code == 0
    assert all_is_right(small_shop)


def test_the_clock_was_set_back_since_the_thumbnails_were_made(small_shop):
    """Then they are newer than a source that is changed now, and of the same size."""
    small_shop.run()
    ahead = time.time() + 100_000
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        os.utime(small_shop.thumbnail(name), (ahead, ahead))
    before = (small_shop.folder / "images/a.jpg").stat().st_size
    small_shop.picture("a.jpg", "blue")
    assert (small_shop.folder / "images/a.jpg").stat().st_size == before
    mended = run(small_shop)
    assert "3 thumbnails are dated in the future (was the clock set back?): they are judged anew" in mended.text
    assert mended.last_lines == ["thumbmill: 1 made, 2 up to date, 0 failed"]
    assert all_is_right(small_shop)
    assert run(small_shop).last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]


def test_the_time_that_a_run_takes_is_never_negative(monkeypatch):
    now = time.time()
    seconds = stopwatch(now - 2)
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert 2 <= seconds() < 60
    assert stopwatch(now)() >= 0  # it began in what is the future now
    assert re.fullmatch(r"[0-9]+ s", duration(seconds()))


# Plain functions


def test_what_can_be_written_leaves_no_trace(tmp_path):
    check_writable(str(tmp_path / "not/there/yet"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="Not a directory: a file stands where its folder should be"):
        check_writable(str(tmp_path / "file/below"))
