"""thumbmill on a real SLURM: a catalogue in shards, whatever dies during the run."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading

import pytest
import yaml
from PIL import Image

from tests.cluster.test_profiles import missing_plugins
from tests.support.shop import REPOSITORY, Shop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_plugins("slurm")), reason="not installed: pip install '.[slurm]'"),
]


class ClusterShop(Shop):
    """A shop whose thumbnails a SLURM makes."""

    def __init__(self, folder, slurm, pictures: int):
        super().__init__(folder)
        self.slurm = slurm
        # The profile as it is, except that it checks the jobs more often.
        profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
        profile |= {
            "slurm-init-seconds-before-status-checks": 2,
            "latency-wait": 5,
            "set-resources": {"shard": {"pictures": 700}},
            "set-threads": {"shard": 2},
            "default-resources": {"mem_mb": 500, "runtime": 10},
        }
        (folder / "profile").mkdir()
        (folder / "profile/config.yaml").write_text(yaml.safe_dump(profile))
        for number in range(pictures):
            self.picture(f"{number % 20:02}/{number:04}.jpg", size=(40, 30))

    def command(self, *arguments: str) -> list[str]:
        workflow = ["--snakefile", str(REPOSITORY / "Snakefile"), "--workflow-profile", "profile"]
        return [sys.executable, "-m", "snakemake", *arguments, *workflow]

    def start(self) -> subprocess.Popen:
        """Start a run, for somebody to disturb."""
        return subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=self.slurm.environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "run.log").open("wb"),
        )

    def end(self, process: subprocess.Popen) -> tuple[int, list[str]]:
        """Wait for a started run; return its exit code and its last lines."""
        code = process.wait()
        lines = (self.folder / "run.log").read_text().splitlines()
        return code, [line for line in lines if line.startswith("thumbmill: ")]

    def run_on_cluster(self) -> tuple[int, str, int]:
        """Run to the end; return the exit code, the summary, and how many jobs were submitted."""
        before = len(self.slurm.queue())
        code, lines = self.end(self.start())
        return code, lines[-1], len(self.slurm.queue()) - before

    def made(self) -> dict[str, os.stat_result]:
        """Return the status of each thumbnail that there is.

        A remade one has another date, but so has one that Snakemake touches when its job ends; and it has another
        inode, unless the file system assigns the freed one again at once, as in a run that makes only one.
        """
        found = {}
        for name in self.files():
            if not name.rpartition("/")[2].startswith(".thumbmill-"):
                # A run that is still going on removes an old thumbnail before it makes the new one.
                with contextlib.suppress(FileNotFoundError):
                    found[name] = (self.folder / "thumbnails" / name).stat()
        return found

    def shard_on(self, node: str) -> bool:
        """Whether a shard makes thumbnails on this node."""
        return any("shard_folder=" in command for command in self.slurm.commands(node))


def test_two_thousand_pictures_and_then_the_daily_case(slurm, tmp_path):
    shop = ClusterShop(tmp_path, slurm, 2_000)
    (shop.folder / "images/00/bad.jpg").write_text("no picture")
    assert shop.run_on_cluster() == (1, "thumbmill: 2,000 made, 0 up to date, 1 failed", 3)
    assert list(shop.failures()) == ["images/00/bad.jpg"]
    assert len(shop.files()) == 2_000

    before = shop.made()
    shop.picture("00/bad.jpg")
    assert shop.run_on_cluster() == (0, "thumbmill: 1 made, 2,000 up to date, 0 failed", 1)
    assert shop.failures() == {}
    assert shop.run_on_cluster() == (0, "thumbmill: 0 made, 2,001 up to date, 0 failed", 0)
    shop.picture("07/0007.jpg", "yellow", size=(41, 30))
    assert shop.run_on_cluster() == (0, "thumbmill: 1 made, 2,000 up to date, 0 failed", 1)
    after = shop.made()
    assert {name for name in before if before[name].st_mtime_ns != after[name].st_mtime_ns} == {"thumb/07/0007.jpg"}


def test_the_shard_of_a_node_that_dies_goes_to_another(slurm, tmp_path):
    shop = ClusterShop(tmp_path, slurm, 1_000)
    process = shop.start()
    slurm.wait_until(lambda: len(shop.made()) > 50 and shop.shard_on("n2"), "n2 makes thumbnails")
    slurm.kill_node("n2")
    made = shop.made()
    try:
        code, lines = shop.end(process)
    finally:
        slurm.restart_node("n2")
        slurm.wait_until(lambda: slurm.node_state("n2") == "idle", "n2 is back")
    assert code == 0
    summary = re.match(r"thumbmill: ([\d,]+) made, ([\d,]+) up to date, 0 failed", lines[-1])
    assert sum(int(number.replace(",", "")) for number in summary.groups()) == 1_000
    again = [name for name, now in shop.made().items() if made.get(name, now).st_ino != now.st_ino]
    assert len(again) <= 60, "more than was in flight was made again"


def test_after_the_submitter_is_killed_nothing_is_made_twice(slurm, tmp_path):
    shop = ClusterShop(tmp_path, slurm, 2_000)
    process = shop.start()
    slurm.wait_until(lambda: len(shop.made()) > 50, "thumbnails are made")
    process.kill()
    process.wait()
    seen, twice, done = {}, set(), threading.Event()

    def watch():
        while not done.wait(0.2):
            for name, now in shop.made().items():
                if seen.setdefault(name, now.st_ino) != now.st_ino:
                    twice.add(name)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        code, lines = shop.end(shop.start())
    finally:
        done.set()
        watcher.join()
    assert code == 0, lines
    assert lines[-1].endswith("0 failed")
    assert len(shop.files()) == 2_000
    assert not twice, f"{len(twice)} of {len(seen)}"


def test_an_interrupted_command_cancels_its_jobs(slurm, tmp_path):
    shop = ClusterShop(tmp_path, slurm, 2_000)
    process = shop.start()
    slurm.wait_until(lambda: len(shop.made()) > 20, "thumbnails are made")
    process.send_signal(signal.SIGINT)
    slurm.wait_until(
        lambda: not [job for job in slurm.queue() if job.state in ("RUNNING", "PENDING")], "no job is left"
    )
    assert shop.end(process)[0] != 0
    slurm.wait_until(lambda: not shop.shard_on("n1") and not shop.shard_on("n2"), "no shard is left")
    # SLURM kills the workers, and so a temporary file may stay; what has a thumbnail's name is one.
    assert not [name for name in shop.made() if Image.open(shop.folder / "thumbnails" / name).size != (40, 30)]
    assert shop.run_on_cluster()[0] == 0
    assert len(shop.made()) == 2_000
