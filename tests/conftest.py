"""A catalogue in a folder of its own, and Snakemake run on it as a user would."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from PIL import Image

from tests.warm_snakemake import OUTPUT, WarmSnakemake

REPOSITORY = Path(__file__).parent.parent

# A shell starts what it runs in the background with SIGINT ignored, and the runs that are interrupted inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

EFFORT = re.compile(r"  .*[0-9] s, [0-9.,]+ pictures/s, [0-9.]+ \w+ in, [0-9.]+ \w+ out$")


class Run(NamedTuple):
    """What a run of Snakemake came to: exit code, the pictures whose jobs ran (by wildcard), all that it printed."""

    code: int
    jobs: set[str]
    text: str

    @property
    def last_lines(self) -> list[str]:
        """The summary: from the line that counts, without the one that tells time and bytes."""
        lines = self.text.rstrip().splitlines()
        start = max(number for number, line in enumerate(lines) if line.startswith("thumbmill: "))
        return [line for line in lines[start:] if not EFFORT.match(line)]


class Shop:
    """A working directory with a source folder `images`, and the workflow to run in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.workflow = REPOSITORY

    def picture(self, name: str, colour: str = "red", size: tuple[int, int] = (60, 40)) -> Path:
        """Draw a picture under `images`, in the format that its extension says."""
        path = self.folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    def thumbnail(self, name: str) -> Path:
        """The path of a thumbnail of size `thumb`."""
        return self.folder / "thumbnails" / "thumb" / name

    def files(self, folder: str = "thumbnails") -> set[str]:
        """All files below `folder`, relative to it."""
        top = self.folder / folder
        return {os.path.relpath(os.path.join(path, file), top) for path, _, files in os.walk(top) for file in files}

    def failures(self) -> dict[str, str]:
        """logs/failures.tsv as a dictionary."""
        header, *lines = (self.folder / "logs/failures.tsv").read_text().splitlines()
        assert header == "source\treason"
        return dict(line.split("\t") for line in lines)

    def talkative_profile(self) -> Path:
        """The default profile, but that it prints the jobs, so that they can be counted."""
        profile = yaml.safe_load((self.workflow / "profiles/default/config.yaml").read_text())
        del profile["pool-quiet-jobs"]
        path = self.folder / ".profile" / "config.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(profile))
        return path

    def command(self, *arguments: str) -> list[str]:
        """The command line: two cores and the talkative profile, unless `arguments` say otherwise."""
        given = [str(argument) for argument in arguments]
        defaults = ["--snakefile", str(self.workflow / "Snakefile")]
        if "--cores" not in given:
            defaults += ["--cores", "2"]
        if "--workflow-profile" not in given:
            defaults += ["--workflow-profile", str(self.talkative_profile())]
        return [sys.executable, "-m", "snakemake", *given, *defaults]

    def run(self, *arguments: str) -> Run:
        """Run Snakemake to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        return ended(done.returncode, done.stdout)


def ended(code: int, text: str) -> Run:
    """The Run that ended with this exit code and printed this text."""
    return Run(code, set(re.findall(r"^ +wildcards: picture=(.*)$", text, re.MULTILINE)), text)


class WarmShop(Shop):
    """A shop whose runs start faster: each is a fork of `snakemake`."""

    def __init__(self, folder: Path, snakemake: WarmSnakemake):
        super().__init__(folder)
        self.snakemake = snakemake

    def run(self, *arguments: str, stop: tuple[float, int] | None = None) -> Run:
        """Run Snakemake to its end, or until it is stopped, see WarmSnakemake.run()."""
        _, _, _, *command = self.command(*arguments)
        code = self.snakemake.run(command, self.folder, stop)
        return ended(code, (self.folder / OUTPUT).read_text(errors="backslashreplace"))


@pytest.fixture(scope="session")
def warm_snakemake() -> WarmSnakemake:
    """The process behind every WarmShop."""
    process = WarmSnakemake()
    yield process
    process.close()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty shop."""
    (tmp_path / "images").mkdir()
    return Shop(tmp_path)


@pytest.fixture
def warm_shop(tmp_path: Path, warm_snakemake: WarmSnakemake) -> WarmShop:
    """An empty shop whose runs start faster, for modules with many of them: these call it `shop`."""
    (tmp_path / "images").mkdir()
    return WarmShop(tmp_path, warm_snakemake)


@pytest.fixture
def small_shop(shop: Shop) -> Shop:
    """A shop with three pictures: a.jpg, b.png, sub/c.webp."""
    shop.picture("a.jpg", "red")
    shop.picture("b.png", "green")
    shop.picture("sub/c.webp", "blue")
    return shop
