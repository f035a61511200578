"""Real Snakemake runs of tiny workflows."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

FUTURES = ["--executor", "futures", "--scheduler", "eager"]
BUILT_IN = ["--executor", "local", "--scheduler", "greedy"]


class Project:
    """A workflow in a directory of its own."""

    def __init__(self, directory: Path):
        self.directory = directory

    def write(self, **files):
        """Write files; `Snakefile=...`, `a_py=...` for `a.py`."""
        for name, text in files.items():
            path = self.directory / name.replace("_py", ".py")
            path.write_text(textwrap.dedent(text))

    def command(self, *arguments, executor=FUTURES, cores=2):
        return [
            *(sys.executable, "-m", "snakemake", "--cores", str(cores), "--nocolor"),
            *("--max-jobs-per-timespan", "1000000/0s", "--latency-wait", "0"),
            *executor,
            *arguments,
        ]

    def run(self, *arguments, check=True, **options):
        """Run Snakemake to its end; return its output. `check` is whether it has to succeed; None for either."""
        result = subprocess.run(
            self.command(*arguments, **options),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        if check is not None:
            assert (result.returncode == 0) == check, result.stdout
        return result.stdout

    def start(self, *arguments, **options):
        """Start Snakemake in a session of its own, and return the process."""
        return subprocess.Popen(
            self.command(*arguments, **options),
            cwd=self.directory,
            stdout=(self.directory / "output.txt").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def read(self, name):
        return (self.directory / name).read_text()

    def names(self, pattern):
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.glob(pattern))


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def wait_until(condition, seconds=120):
    """Wait for something to come true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


@pytest.fixture
def processes_in(tmp_path):
    """Return a function that lists the processes whose working directory is the project's."""

    def processes():
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == tmp_path:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    yield processes
    for process in processes():
        with contextlib.suppress(psutil.Error):
            process.kill()


def interrupt(process):
    """Do what Ctrl-C does in a terminal: signal the whole foreground process group."""
    os.killpg(process.pid, signal.SIGINT)
