"""The server that forks a process for each job, from an interpreter that has imported what scripts need.

The first half of this file runs in Snakemake's process, the second in the server. Between them is one connection of
pickled messages: jobs in the one direction, (number, ...) events in the other.
"""

import contextlib
import gc
import importlib
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from multiprocessing.connection import Connection, Pipe
from typing import Any, NamedTuple

from .interpreter import Job, Report, job_environment, read_report, run_as_interpreter
from .script import compiled

GRACE = 3.0  # seconds that interrupted scripts have to clean up after themselves


class Ready(NamedTuple):
    """The server has imported its modules; or it has ended, because those in `rejected` must not be imported first."""

    rejected: list[str]


class Started(NamedTuple):
    """The process of a job has started."""

    number: int
    pid: int


class Ended(NamedTuple):
    """The process of a job has ended, with an exit code as of os.waitstatus_to_exitcode(), after `seconds`."""

    number: int
    code: int
    seconds: float
    report: Report | None


Event = Ready | Started | Ended


# In Snakemake's process


class FreshServer:
    """A server as Snakemake's process sees it. It starts in the background, so constructing it does not wait.

    It imports `modules` first, with the environment of a job that has this many `threads`. `open_files` is the soft limit
    that its jobs get.
    """

    def __init__(self, modules: list[str], threads: int, open_files: int) -> None:
        self.ordered = modules
        self.modules = frozenset(modules)
        self.running: set[int] = set()
        self._environment = dict(os.environ)
        self._connection, theirs = Pipe()
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        command = (
            "import sys; del sys.path[0]; path = sys.path[:]; "  # which is the working directory
            f"sys.path.append({package!r}); from {__name__} import serve; "
            f"sys.exit(serve({theirs.fileno()}, {modules!r}, path, {open_files}))"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", command],
            pass_fds=[theirs.fileno()],
            env=self._environment | job_environment(threads, None),
            # A process outside the terminal's foreground group may not read from it.
            stdin=subprocess.DEVNULL if sys.stdin is None or is_terminal(0) else None,
            process_group=0,  # out of reach of the terminal's Ctrl-C, which Snakemake handles
        )
        theirs.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return self._connection.fileno()

    def run(self, number: int, job: Job) -> None:
        """Run a job, which events will call `number`. Raises ConnectionError if the server has died."""
        environment = dict(os.environ)
        if environment != self._environment:
            job = job._replace(environment=environment)
        self.running.add(number)
        try:
            self._connection.send_bytes(pickle.dumps((number, tuple(job))))
        except OSError as error:
            raise ConnectionError("the server that jobs are forked from has died") from error

    def events(self) -> list[Event]:
        """Return what has happened, at least one event. Raises ConnectionError if the server has died."""
        found: list[Event] = []
        try:
            while not found or self._connection.poll():
                event = self._connection.recv()
                found.append(event)
                if isinstance(event, Ended):
                    self.running.discard(event.number)
        except (EOFError, OSError) as error:
            if not found:
                raise ConnectionError("the server that jobs are forked from has died") from error
        return found

    def close(self) -> None:
        """End the server, and the jobs that still run in it."""
        self._connection.close()
        self._process.wait()

    def kill(self) -> None:
        """End what is left of a server that has died: all processes of its group."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._connection.close()
        self._process.wait()


def is_terminal(descriptor: int) -> bool:
    """Return whether a file descriptor is open on a terminal."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


# In the server


class Running(NamedTuple):
    """A job whose process is running; `report` is the descriptor of the file that it leaves its report in."""

    number: int
    report: int
    started: float


def serve(descriptor: int, modules: list[str], default_path: list[str], open_files: int) -> int:
    """Fork a process for each job that comes in, and send an event when one ends, until the connection is closed.

    Return in each of these processes, when its script has ended: with the exit status for the interpreter to end with.
    Does not return in the server itself, which ends with Snakemake's process, and takes all jobs with it.
    """
    connection = Connection(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rejected = preload(modules)
    if rejected:
        send(connection, Ready(rejected))
        os._exit(0)
    wakeup, wake = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a wake-up is written
    signal.set_wakeup_fd(wake)
    gc.collect()
    gc.freeze()  # what is there is shared with all jobs: keep the garbage collector from touching it
    send(connection, Ready([]))
    running: dict[int, Running] = {}
    while True:
        ready, _, _ = select.select([descriptor, wakeup], [], [])
        if wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wakeup, 4096)
            reap(running, connection)
        if descriptor in ready:
            try:
                number, fields = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError):
                end_all(running)
                os._exit(0)
            job = Job(*fields)
            with contextlib.suppress(OSError, SyntaxError, ValueError):
                compiled(job.script)  # once here, not in each process; a broken script fails there
            report = new_report_file()
            started = time.perf_counter()
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                connection.close()
                for other in (wakeup, wake, *(each.report for each in running.values())):
                    os.close(other)
                return run_as_interpreter(job, default_path, report)
            running[pid] = Running(number, report, started)
            send(connection, Started(number, pid))


def preload(modules: list[str]) -> list[str]:
    """Import modules, in their order; return those that must not be imported before a fork.

    That is the first one whose import starts a thread or a process or leaves a file open: a fork would lose the one and
    share the other. Those that cannot be imported are left out, and what an import prints is lost.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    streams = [os.dup(1), os.dup(2)]
    os.dup2(null, 1)
    os.dup2(null, 2)
    before = open_resources()
    try:
        for module in modules:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    importlib.import_module(module)
                except BaseException:
                    continue
            if open_resources() != before:
                return [module.partition(".")[0]]
        return []
    finally:
        for stream, number in zip(streams, (1, 2), strict=True):
            os.dup2(stream, number)
            os.close(stream)
        os.close(null)


def open_resources() -> tuple[int, int, int]:
    """Return how many threads, child processes and open files this process has."""
    try:
        threads = len(os.listdir("/proc/self/task"))
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            children = len(file.read().split())
    except OSError:  # no Linux
        threads, children = threading.active_count(), 0
    return threads, children, len(os.listdir("/dev/fd"))


def new_report_file() -> int:
    """Return the descriptor of a new file without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("report")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def send(connection: Connection, event: Event) -> None:
    """Send an event. If Snakemake has died, the next look for a job notices."""
    with contextlib.suppress(OSError):
        connection.send(event)


def reap(running: dict[int, Running], connection: Connection | None) -> None:
    """Collect the processes that have ended, and send an event for each."""
    for pid in list(running):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            job = running.pop(pid)
            if connection:
                seconds = time.perf_counter() - job.started
                code = os.waitstatus_to_exitcode(status)
                send(connection, Ended(job.number, code, seconds, read_report(job.report)))
            os.close(job.report)


def end_all(running: dict[int, Running]) -> None:
    """Interrupt all jobs with what they have started, and kill what is left after GRACE seconds.

    Processes that jobs have left behind when they ended go on, as with a new interpreter.
    """
    if not running:
        return
    signal_all(running, signal.SIGINT)
    deadline = time.monotonic() + GRACE
    while running and time.monotonic() < deadline:
        time.sleep(0.005)
        reap(running, None)
    signal_all(running, signal.SIGKILL)  # which ends this process, too: it is of the same group


def signal_all(running: dict[int, Any], number: int) -> None:
    """Send a signal to all jobs, and to all processes of this group, which are theirs."""
    for pid in running:
        with contextlib.suppress(OSError):
            os.kill(pid, number)
    os.killpg(0, number)
