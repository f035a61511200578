"""A server that forks a process for each job, as Snakemake's process sees it: see `forking.py` for its other side."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace

from .interpreter import Job, job_environment
from .messages import GRACE, Ended, Event, Load, Reader, Start, Started, frame
from .script import Script


class FreshServer:
    """A server process, its modules, and its jobs. It starts in the background, so constructing it does not wait.

    Its interpreter starts with `environment` and with what Snakemake sets for a job with this many `threads`.
    `open_files` is the soft limit that its jobs get. Sending to it never waits, because it may be busy importing:
    `unsent` says that `flush` has to be called when its socket is writable.
    """

    def __init__(self, environment: dict[str, str], threads: int, open_files: int) -> None:
        self.modules: set[str] = set()
        self.running: dict[int, int] = {}  # number of each job: its process id, 0 until it has started
        self._scripts: dict[Script, int] = {}  # that the server knows, and their numbers there
        self._outgoing = bytearray()
        self._incoming = Reader()
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        command = (
            "import sys\n"
            "if not sys.flags.safe_path: del sys.path[0]\n"  # the working directory
            f"path = sys.path[:]; sys.path.append({package!r})\n"
            f"from {__package__}.forking import serve\n"
            f"sys.exit(serve({theirs.fileno()}, path, {open_files}))"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", command],
            pass_fds=[theirs.fileno()],
            env=environment | job_environment(threads, None),
            # A process outside the terminal's foreground group may not read from it.
            stdin=subprocess.DEVNULL if sys.stdin is None or is_terminal(0) else None,
            process_group=0,  # out of reach of the terminal's Ctrl-C, which Snakemake handles
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def unsent(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outgoing)

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return self._socket.fileno()

    def load(self, modules: Iterable[str]) -> None:
        """Import modules, in their order, before the next job. An event `Loaded` follows."""
        modules = list(modules)
        self.modules.update(modules)
        self._send(Load(modules))

    def run(self, number: int, job: Job) -> None:
        """Run a job, which events will call `number`."""
        known = self._scripts.get(job.script)
        script = self._scripts.setdefault(job.script, len(self._scripts))
        if known is not None:  # it may hold a large config
            job = job._replace(script=replace(job.script, config=b""))
        self.running[number] = 0
        self._send(Start(number, script, tuple(job)))

    def flush(self) -> None:
        """Send what the socket takes. If the server has died, `events` notices."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing.clear()

    def events(self) -> list[Event]:
        """Return what has happened. Raises ConnectionError if the server has died, and nothing else has happened."""
        found: list[Event] = []
        try:
            while data := self._socket.recv(1 << 18):
                self._incoming.feed(data)
            ended = True
        except BlockingIOError:
            ended = False
        except OSError:
            ended = True
        for event in self._incoming.messages():
            found.append(event)
            if isinstance(event, Started):
                self.running[event.number] = event.pid
            elif isinstance(event, Ended):
                self.running.pop(event.number, None)
        if ended and not found:
            raise ConnectionError("the server that jobs are forked from has died")
        return found

    def end(self, at_once: bool = False) -> None:
        """Let the server end, `at_once` with the jobs that are running in it. `wait` has to follow."""
        self._socket.close()
        if at_once and any(self.running.values()):
            return  # it interrupts them when it finds the socket closed
        if at_once or self.running:
            self.kill()
        else:
            self._process.kill()  # it may be importing; processes that jobs have left behind go on

    def wait(self) -> None:
        """Wait until the server has ended."""
        try:
            self._process.wait(GRACE + 2)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """End all processes of the server's group: the server, if it still lives, and what has been forked from it."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _send(self, message: Load | Start) -> None:
        self._outgoing += frame(message)
        self.flush()


def is_terminal(descriptor: int) -> bool:
    """Return whether a file descriptor is open on a terminal."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
