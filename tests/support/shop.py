"""A catalogue in a folder of its own, and Snakemake run on it as a user would."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml
from PIL import Image

from tests.support.warm_snakemake import OUTPUT, WarmSnakemake

REPOSITORY = Path(__file__).parent.parent.parent

EFFORT = re.compile(r"  .*[0-9] s, [0-9.,]+ pictures/s, [0-9.]+ \w+ in, [0-9.]+ \w+ out$")


class Run(NamedTuple):
    """How a run of Snakemake ended: exit code, the pictures whose jobs ran (by wildcard), everything it printed."""

    code: int
    jobs: set[str]
    text: str

    @property
    def last_lines(self) -> list[str]:
        """The summary, from the line with the counts on, without the line about time and bytes."""
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
        """Return the path of a thumbnail of size `thumb`."""
        return self.folder / "thumbnails" / "thumb" / name

    def files(self, folder: str = "thumbnails") -> set[str]:
        """Return all files below `folder`, relative to it."""
        top = self.folder / folder
        return {os.path.relpath(os.path.join(path, file), top) for path, _, files in os.walk(top) for file in files}

    def failures(self) -> dict[str, str]:
        """Return logs/failures.tsv as a dictionary: source -> reason."""
        return {source: reason for source, (reason, _) in self._failures().items()}

    def failure_kinds(self) -> dict[str, str]:
        """Return logs/failures.tsv as a dictionary: source -> kind."""
        return {source: kind for source, (_, kind) in self._failures().items()}

    def _failures(self) -> dict[str, tuple[str, str]]:
        header, *lines = (self.folder / "logs/failures.tsv").read_text().splitlines()
        assert header == "source\treason\tkind"
        rows = [line.split("\t") for line in lines]
        return {source: (reason, kind) for source, reason, kind in rows}

    def talkative_profile(self) -> Path:
        """Write the default profile without the setting that hides jobs, so that a run's jobs can be counted."""
        profile = yaml.safe_load((self.workflow / "profiles/default/config.yaml").read_text())
        path = self.folder / ".profile" / "config.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({key: profile[key] for key in profile if not key.endswith("-quiet-jobs")}))
        return path

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command line: two cores and the talkative profile, unless `arguments` say otherwise."""
        given = [str(argument) for argument in arguments]
        defaults = []
        if "--snakefile" not in given:
            defaults += ["--snakefile", str(self.workflow / "Snakefile")]
        if "--cores" not in given:
            defaults += ["--cores", "2"]
        if "--workflow-profile" not in given:
            defaults += ["--workflow-profile", str(self.talkative_profile())]
        return [sys.executable, "-m", "snakemake", *given, *defaults]

    def run(self, *arguments: str | Path) -> Run:
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
    """Return the Run that ended with this exit code and printed this text."""
    return Run(code, set(re.findall(r"^ +wildcards: picture=(.*)$", text, re.MULTILINE)), text)


class WarmShop(Shop):
    """A shop whose runs start faster: each is a fork of `snakemake`."""

    def __init__(self, folder: Path, snakemake: WarmSnakemake):
        super().__init__(folder)
        self.snakemake = snakemake

    def run(self, *arguments: str | Path, stop: tuple[float, int] | None = None) -> Run:
        """Run Snakemake to its end, or until it is stopped, see WarmSnakemake.run()."""
        _, _, _, *command = self.command(*arguments)
        code = self.snakemake.run(command, self.folder, stop)
        return ended(code, (self.folder / OUTPUT).read_text(errors="backslashreplace"))
