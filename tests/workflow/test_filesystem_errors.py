"""Real errors of the file system: a clear message, nothing broken, and a plain rerun that makes the rest."""

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.support.shop import REPOSITORY, Run, Shop, ended
from thumbmill.errors import PictureError
from thumbmill.failures import Kind
from thumbmill.files import TEMPORARY_PREFIX
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails

THUMB = {"width": 256, "height": 256, "fit": "contain"}

# The superuser may write everywhere. Without these capabilities root is subject to permissions like everybody else.
AS_A_USER = [
    "setpriv",
    "--bounding-set",
    "-dac_override,-dac_read_search",
    "--inh-caps",
    "-dac_override,-dac_read_search",
]


# Help


def run(shop: Shop, *arguments: str, before: Sequence[str] = (), traceback: bool = False) -> Run:
    """Run Snakemake with the default profile, the command after `before`. A `traceback` fails unless allowed."""
    if "--workflow-profile" not in arguments:
        arguments = (*arguments, "--workflow-profile", str(shop.workflow / "profiles/default"))
    done = subprocess.run(
        [*before, *shop.command(*arguments)],
        cwd=shop.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert traceback or "Traceback" not in done.stdout, done.stdout
    return ended(done.returncode, done.stdout)


def as_a_user(shop: Shop, *arguments: str) -> Run:
    """Run Snakemake with no more permissions than ordinary users have."""
    if os.geteuid() != 0:
        return run(shop, *arguments)
    if not shutil.which("setpriv"):
        pytest.skip("this test runs as root, and setpriv is not installed")
    return run(shop, *arguments, before=AS_A_USER)


def with_limit(shop: Shop, limit: str, *arguments: str) -> Run:
    """Run Snakemake under a `limit` of the shell (ulimit)."""
    return run(shop, *arguments, before=["bash", "-c", f'ulimit {limit}; exec "$@"', "-"])


def noise(path: Path, seed: int = 0, side: int = 300) -> None:
    """Draw a picture whose thumbnail takes some 30 kB. The same seed gives the same picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random_bytes = random.Random(seed).randbytes(side * side)
    Image.frombytes("L", (side, side), random_bytes).save(path, quality=90)


def everything_is_right(shop: Shop) -> bool:
    """Whether each thumbnail is that of its source as it is now, and nothing else is left."""
    fresh = shop.folder / "fresh.jpg"
    names = shop.files("images")
    for name in names:
        thumbnail = Thumbnail(str(fresh), THUMB, "jpeg")
        make_thumbnails(str(shop.folder / "images" / name), [thumbnail], quality={"jpeg": 80})
        assert shop.thumbnail(str(Path(name).with_suffix(".jpg"))).read_bytes() == fresh.read_bytes(), name
    fresh.unlink(missing_ok=True)
    assert shop.files() == {str(Path("thumb", name).with_suffix(".jpg")) for name in names}
    assert not temporary_files(shop)
    assert shop.failures() == {}
    return True


def temporary_files(shop: Shop) -> list[Path]:
    """Return the temporary files that are left."""
    return list(shop.folder.rglob(f"{TEMPORARY_PREFIX}*"))


def none_is_partial(shop: Shop) -> bool:
    """Whether all thumbnails that are there can be read to their ends."""
    for name in shop.files():
        with Image.open(shop.folder / "thumbnails" / name) as picture:
            picture.load()
    return True


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], object]]:
    """Mount a disk of `size` at `folder`; yield what mounts it again with other options. Skip if not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def noisy_shop(shop: Shop) -> Shop:
    """A shop with 40 pictures whose thumbnails take 30 kB each."""
    first = shop.folder / "images/p0.jpg"
    noise(first)
    for number in range(1, 40):
        target = shop.folder / ("images/sub" if number % 2 else "images") / f"p{number}.jpg"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(first, target)
    return shop


# No space


@pytest.mark.slow
def test_output_disk_is_full(noisy_shop):
    shop = noisy_shop
    with small_disk(shop.folder / "thumbnails", "400k") as remount:
        full = run(shop)
        assert full.code == 1
        assert "No space left on device; free some space on its disk and run again" in full.text
        # It ends early, instead of failing all others one by one.
        assert full.text.count("Error in rule thumbnail:") <= 20
        counts = re.search(r"thumbmill: (\d+) made, 0 up to date, (\d+) failed, (\d+) not made because", full.text)
        made, failed, stopped = map(int, counts.groups())
        assert made + failed + stopped == 40
        assert min(made, failed, stopped) > 0
        assert re.search(
            r"\n  free some space: the rest needs about [\d.]+ (k|M)B, and thumbnails has .+ free\n", full.text
        )
        assert not temporary_files(shop)
        assert none_is_partial(shop)
        assert sorted(set(shop.failure_kinds().values())) == ["disk-full", "stopped"]
        assert len(shop.failures()) == failed + stopped
        remount("size=20m")
        again = run(shop)
        assert again.code == 0
        assert again.last_lines == [f"thumbmill: {failed + stopped} made, {made} up to date, 0 failed"]
        assert everything_is_right(shop)


@pytest.mark.slow
def test_everything_is_on_a_disk_that_becomes_full(noisy_shop, tmp_path):
    pictures = noisy_shop.folder / "images"
    noisy_shop.folder = tmp_path / "disk"
    with small_disk(noisy_shop.folder, "500k") as remount:
        (noisy_shop.folder / "images").symlink_to(pictures)
        full = run(noisy_shop)
        assert full.code == 1
        assert "No space left on device" in full.text
        assert "Logging error" not in full.text
        assert not temporary_files(noisy_shop)
        assert none_is_partial(noisy_shop)
        remount("size=20m")
        assert run(noisy_shop).code == 0
        assert everything_is_right(noisy_shop)
        assert run(noisy_shop).last_lines == ["thumbmill: 0 made, 40 up to date, 0 failed"]


@pytest.mark.slow
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
            "thumbmill: cannot write .snakemake: No space left on device; free some space on its disk and run again"
        )
        assert noisy_shop.files() == set()
        filler.unlink()
        assert run(noisy_shop).code == 0
        assert everything_is_right(noisy_shop)


@pytest.mark.slow
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
        assert everything_is_right(noisy_shop)


@pytest.mark.slow
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
        assert "Disk quota exceeded; free some space or raise the quota, and run again" in full.text
        assert full.text.count("Error in rule thumbnail:") <= 20
        assert not temporary_files(shop)
        assert none_is_partial(shop)
        assert run(shop).code == 0
        assert everything_is_right(shop)
    finally:
        subprocess.run(["umount", "-l", str(shop.folder / "thumbnails")], check=True)


def test_a_thumbnail_that_is_larger_than_the_shell_allows_fails_with_all_of_its_picture(tmp_path):
    """One of two cannot be written: neither stays."""
    noise(tmp_path / "a.jpg")
    paths = {str(tmp_path / f"{side}.png"): side for side in (16, 256)}
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails\n"
        "thumbnails = [Thumbnail(path, {'width': side, 'height': side, 'fit': 'contain'}, 'png')\n"
        f"              for path, side in {paths!r}.items()]\n"
        f"make_thumbnails({str(tmp_path / 'a.jpg')!r}, thumbnails, quality={{}})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY)
    assert "File too large; it is larger than the disk or the shell's limit (ulimit -f) allows" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.jpg"}


# No permission


@pytest.mark.slow
def test_read_only_output(small_shop):
    with small_disk(small_shop.folder / "thumbnails", "20m") as remount:
        run(small_shop)
        small_shop.picture("new.jpg")
        remount("ro")
        refused = run(small_shop)
        assert refused.code == 1
        assert refused.text.splitlines()[-1] == (
            "thumbmill: cannot write thumbnails/thumb: Read-only file system; remount it for writing and run again"
        )
        (small_shop.folder / "images/new.jpg").unlink()
        assert run(small_shop).last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"], "nothing has to be written"
        remount("rw")
        small_shop.picture("new.jpg")
        assert run(small_shop).code == 0
        assert everything_is_right(small_shop)


@pytest.mark.slow
def test_a_folder_within_the_output_is_read_only(noisy_shop):
    """That turns up only as the first picture is made; Snakemake's own cleanup adds a traceback."""
    with small_disk(noisy_shop.folder / "thumbnails/thumb/sub", "20m") as remount:
        remount("ro")
        refused = run(noisy_shop, traceback=True)
        assert refused.code == 1
        assert "Read-only file system" in refused.text
        assert refused.text.count("Error in rule thumbnail:") < 20
        remount("rw")
        assert run(noisy_shop).code == 0
        assert everything_is_right(noisy_shop)


DENIED = "Permission denied; check write permission and run again"
CLOSED = {
    "thumbnails": "thumbnails/thumb",
    "thumbnails/thumb": "thumbnails/thumb",
    "logs": "logs",
    ".snakemake": ".snakemake",
    ".snakemake/metadata": ".snakemake/metadata/",
    ".": ".snakemake",
}  # folder without write permission -> what the last line of the run names


@pytest.mark.slow
@pytest.mark.parametrize("closed", CLOSED)
def test_a_folder_without_write_permission(small_shop, closed):
    folder = small_shop.folder / closed
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o555)
    try:
        refused = as_a_user(small_shop)
    finally:
        folder.chmod(0o755)
    assert refused.code == 1
    assert refused.text.splitlines()[-1] == f"thumbmill: cannot write {CLOSED[closed]}: {DENIED}"
    assert small_shop.files() == set()
    assert as_a_user(small_shop).code == 0
    assert everything_is_right(small_shop)


@pytest.mark.slow
def test_a_folder_below_the_output_without_write_permission(small_shop):
    folder = small_shop.thumbnail("sub")
    try:
        for profile in (str(small_shop.workflow / "profiles/default"), "none"):
            folder.mkdir(parents=True, exist_ok=True)  # Snakemake removes it after a failure, empty as it is
            folder.chmod(0o555)
            refused = as_a_user(small_shop, "--workflow-profile", profile, "--keep-going", "--rerun-incomplete")
            assert refused.code == 1
            assert small_shop.failures() == {"images/sub/c.webp": f"cannot write thumbnails/thumb/sub/c.jpg: {DENIED}"}
    finally:
        if folder.exists():
            folder.chmod(0o755)
    assert as_a_user(small_shop).last_lines == ["thumbmill: 1 made, 2 up to date, 0 failed"]
    assert everything_is_right(small_shop)


@pytest.mark.slow
def test_sources_that_may_not_be_read(small_shop):
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
    assert everything_is_right(small_shop)


# In the way


def test_something_is_where_thumbnails_belong(made_shop):
    """The kinds of obstacles are in tests/run/test_preflight.py."""
    folder, file = made_shop.thumbnail("a.jpg"), made_shop.thumbnail("sub")
    folder.unlink()
    folder.mkdir()
    shutil.rmtree(file)
    file.touch()
    refused = made_shop.run("-n")
    assert refused.code == 1
    assert refused.text.splitlines()[-3:] == [
        "thumbmill: these paths block thumbnail output; move them and run again",
        "  thumbnails/thumb/a.jpg: a folder",
        "  thumbnails/thumb/sub: a file",
    ]
    folder.rmdir()
    file.unlink()
    assert made_shop.run().last_lines == ["thumbmill: 2 made, 1 up to date, 0 failed"]
    assert everything_is_right(made_shop)


def test_something_is_where_the_logs_belong(made_shop):
    """The folders that a run needs are in tests/run/test_preflight.py."""
    shutil.rmtree(made_shop.folder / "logs")
    (made_shop.folder / "logs").touch()
    refused = made_shop.run()
    assert refused.code == 1
    problem = "Not a directory; a file is where its folder should be; move it away and run again"
    assert refused.text.splitlines()[-1] == f"thumbmill: cannot write logs: {problem}"
    assert "Traceback" not in refused.text


# Few open files


@pytest.mark.slow
@pytest.mark.parametrize("limit", [256, 64, 32, 20, 12])
def test_few_files_may_be_open(small_shop, limit):
    first = with_limit(small_shop, f"-n {limit}")
    if first.code:
        assert limit < 64
        assert re.search(r"pen-file limit is \d+; --cores 2 needs \d+\. Raise it", first.text), first.text
        assert small_shop.files() == set()
        assert run(small_shop).code == 0
    assert everything_is_right(small_shop)


# Sources that vanish or change


class Meanwhile(threading.Thread):
    """Does something over and over until the `with` ends."""

    def __init__(self, action: Callable[[int], None], seconds: float):
        super().__init__()
        self.action, self.seconds, self.done = action, seconds, threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            if self.done.wait(self.seconds):
                return
            self.action(number)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def test_a_source_that_is_still_being_copied_is_not_called_damaged(tmp_path):
    """A decoder meets the end of a file that grows: the failure says what happens."""
    noise(tmp_path / "whole.jpg", side=600)
    content = (tmp_path / "whole.jpg").read_bytes()
    growing = tmp_path / "a.jpg"
    kinds = set()
    for _ in range(40):
        growing.write_bytes(content[: len(content) // 2])

        def grow(number: int) -> None:
            with growing.open("ab") as file:
                file.write(content[len(content) // 2 + number :][:1])

        with Meanwhile(grow, 0.0005):
            try:
                make_thumbnails(str(growing), [Thumbnail(str(tmp_path / "t.jpg"), THUMB, "jpeg")], quality={"jpeg": 80})
            except PictureError as error:
                kinds.add(error.failure.kind)
        if Kind.MODIFIED in kinds:
            break
    assert Kind.MODIFIED in kinds
    assert not (tmp_path / "t.jpg").exists()


MODIFIED = "source changed while being read (still copying?); run again"


@pytest.mark.slow
def test_a_source_that_changes_before_its_job_ends_does_not_keep_its_old_thumbnail(shop):
    """Of the same size, so that only dates differ: Snakemake gives the thumbnail a new date, the newer one."""
    noise(shop.folder / "old.jpg", seed=1)
    noise(shop.folder / "new.jpg", seed=2)
    old, new = ((shop.folder / name).read_bytes() for name in ("old.jpg", "new.jpg"))
    length = max(len(old), len(new))
    left = [f"p{number}.jpg" for number in range(40)]
    for name in left:
        (shop.folder / "images" / name).write_bytes(old.ljust(length, b"\0"))

    def change(_: int) -> None:
        for name in list(left):
            if shop.thumbnail(name).exists():
                (shop.folder / "images" / name).write_bytes(new.ljust(length, b"\0"))
                left.remove(name)

    with Meanwhile(change, 0.0002):
        first = run(shop)
    assert first.code == 1
    assert MODIFIED in shop.failures().values()
    assert run(shop).code == 0
    assert everything_is_right(shop), "what is behind a picture's end is no failure"


@pytest.mark.slow
def test_sources_that_vanish(small_shop):
    noise(small_shop.folder / "images/big.jpg", side=2500)
    for number in range(60):
        os.link(small_shop.folder / "images/big.jpg", small_shop.folder / f"images/big{number}.jpg")
    away = small_shop.folder / "away"

    def vanish(_: int) -> None:
        if not away.exists() and len(small_shop.files()) > 3:
            (small_shop.folder / "images").rename(away)

    with Meanwhile(vanish, 0.002):
        disturbed = run(small_shop)
    assert disturbed.code == 1
    assert set(small_shop.failure_kinds().values()) <= {"missing", "modified"}
    assert none_is_partial(small_shop)
    away.rename(small_shop.folder / "images")
    assert run(small_shop).code == 0
    assert everything_is_right(small_shop)


def test_a_run_that_was_killed_before_it_noticed_that_a_source_changed(made_shop):
    """Made, given its new date and recorded, and then killed: the next run finds out."""
    shutil.rmtree(made_shop.folder / ".snakemake/thumbmill")  # as if the run had not come to its end
    source, thumbnail = made_shop.folder / "images/a.jpg", made_shop.thumbnail("a.jpg")
    size = source.stat().st_size
    record = next((made_shop.folder / ".snakemake/metadata").glob("*aHVtYi9hLmpwZw==")).read_text()
    start = float(re.search(r'"starttime": ([0-9.]+)', record)[1])
    end = thumbnail.stat().st_mtime
    made_shop.picture("a.jpg", "blue")
    assert source.stat().st_size == size
    os.utime(source, ((start + end) / 2,) * 2)
    made_shop.run()
    assert made_shop.failures() == {"images/a.jpg": MODIFIED}
    assert not thumbnail.exists()
    assert made_shop.run().last_lines == ["thumbmill: 1 made, 2 up to date, 0 failed"]
    assert everything_is_right(made_shop)


# Clocks


def test_a_source_dated_in_the_future(made_shop):
    ahead = time.time() + 100_000
    os.utime(made_shop.picture("a.jpg", "yellow", (70, 50)), (ahead, ahead))
    refused = made_shop.run()
    assert refused.code == 1
    assert refused.last_lines[0] == "thumbmill: 0 made, 2 up to date, 1 failed"
    expected = (
        r"dated in the future \([-0-9]+ [:0-9]+\), which Snakemake rejects: `touch` it or set the clock, and run again"
    )
    assert re.fullmatch(expected, made_shop.failures()["images/a.jpg"])
    (made_shop.folder / "images/a.jpg").touch()
    assert made_shop.run().code == 0
    assert everything_is_right(made_shop)


def test_the_clock_was_set_back_since_the_thumbnails_were_made(made_shop):
    """Then they are newer than a source that is changed now, and of the same size."""
    ahead = time.time() + 100_000
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        os.utime(made_shop.thumbnail(name), (ahead, ahead))
    before = (made_shop.folder / "images/a.jpg").stat().st_size
    made_shop.picture("a.jpg", "blue")
    assert (made_shop.folder / "images/a.jpg").stat().st_size == before
    again = made_shop.run()
    assert "3 thumbnails are dated in the future (was the clock set back?): they are checked again" in again.text
    assert again.last_lines == ["thumbmill: 1 made, 2 up to date, 0 failed"]
    assert everything_is_right(made_shop)
    assert made_shop.run().last_lines == ["thumbmill: 0 made, 3 up to date, 0 failed"]
