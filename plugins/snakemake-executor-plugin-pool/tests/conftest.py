"""Real Snakemake runs of tiny workflows."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

# The scheduler that this executor is made for, if it is installed. With Snakemake's own, few jobs wait in the executor.
SCHEDULER = "eager" if find_spec("snakemake_scheduler_plugin_eager") else "greedy"


class SnakemakeServer:
    """The process behind all runs, see snakemake_server.py."""

    def __init__(self) -> None:
        # -P: modules are not to be looked for beside the script
        command = [sys.executable, "-P", str(Path(__file__).with_name("snakemake_server.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *request: object) -> int:
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Run:
    """A running Snakemake, in a session of its own."""

    def __init__(self, server: SnakemakeServer, pid: int, output: Path):
        self._server = server
        self._output = output
        self.pid = pid

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self._output.read_text(errors="backslashreplace")

    def interrupt(self) -> None:
        """Do what Ctrl-C does in a terminal: signal the whole foreground process group."""
        os.killpg(self.pid, signal.SIGINT)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for it to end; return its exit code."""
        return self._server.ask("wait", self.pid)


class Project:
    """A workflow in a directory of its own."""

    def __init__(self, directory: Path, output: Path, server: SnakemakeServer):
        self.directory = directory
        self._output = output
        self._server = server

    def write(self, **files: str) -> None:
        """Write files: `Snakefile=...`, `work_py=...` for `work.py`."""
        for name, text in files.items():
            extension = name.rpartition("_")[2]
            path = self.directory / (name.removesuffix(f"_{extension}") + f".{extension}" if "_" in name else name)
            path.write_text(textwrap.dedent(text))

    def write_jobs(self, count: int, script: str, *rule: str) -> None:
        """Write a workflow of `count` jobs, `0.out` to `<count - 1>.out`, of the rule `work`, which runs `script`.

        `rule` are further lines of the rule.
        """
        lines = "".join(f"    {line}\n" for line in rule)
        self.write(
            Snakefile=f"rule all:\n    input: expand('{{n}}.out', n=range({count}))\n"
            f"rule work:\n    output: '{{n}}.out'\n{lines}    script: 'work.py'\n",
            work_py=script,
        )

    def run(self, *arguments: str, check: bool | None = True, **options) -> str:
        """Run Snakemake to its end; return its output. `check` is whether it has to succeed; None for either."""
        run = self.start(*arguments, **options)
        code = run.wait()
        if check is not None:
            assert (code == 0) == check, run.output
        return run.output

    def start(
        self,
        *arguments: str,
        executor: str = "pool",
        scheduler: str | None = None,
        cores: int = 2,
        environment: dict[str, str] | None = None,
        open_files: tuple[int, int] | None = None,
    ) -> Run:
        """Start Snakemake, with changes to its environment, and a soft and a hard limit of open files."""
        command = [
            *("--cores", str(cores), "--nocolor", "--max-jobs-per-timespan", "1000000/0s", "--latency-wait", "0"),
            *("--executor", executor, "--scheduler", scheduler or (SCHEDULER if executor == "pool" else "greedy")),
            *arguments,
        ]
        pid = self._server.ask("start", command, str(self.directory), str(self._output), environment or {}, open_files)
        return Run(self._server, pid, self._output)

    def read(self, name: str) -> str:
        return (self.directory / name).read_text()

    def names(self, pattern: str) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.glob(pattern))

    def wait_until(self, condition: Callable[[], object]) -> object:
        """Wait for something to come true; return its value."""
        deadline = time.monotonic() + 120
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited in vain: {self._output.read_text()}"
            time.sleep(0.02)
        return value

    def processes(self) -> list[psutil.Process]:
        """The processes whose working directory is the project's."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self.directory:
                    found.append(process)
        return found

    def wait_for_no_processes(self) -> None:
        self.wait_until(lambda: not self.processes())


@pytest.fixture(scope="session")
def snakemake_server() -> Iterator[SnakemakeServer]:
    server = SnakemakeServer()
    yield server
    server.close()


@pytest.fixture
def project(tmp_path: Path, snakemake_server: SnakemakeServer) -> Iterator[Project]:
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project", tmp_path / "output.txt", snakemake_server)
    yield project
    for process in project.processes():  # of a test that has failed
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.fixture
def eager_scheduler() -> str:
    """The name of the scheduler that hands out all ready jobs at once; skips the test if it is not installed."""
    if SCHEDULER == "greedy":
        pytest.skip("needs snakemake-scheduler-plugin-eager")
    return SCHEDULER
