"""The fork server: a small process that imports what scripts need, and forks workers from itself in a millisecond.

It has a single thread and none of the workflow, so forking is safe. The first half of this file runs in Snakemake's
process, the second in the server. They talk over a socket: requests of a fixed size, each answered by a number or not
at all.
"""

import contextlib
import importlib
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Collection, Iterable, Sequence
from multiprocessing.connection import Connection

from .worker import work

REQUEST = struct.Struct("=cii")  # what, process id, signal
ANSWER = struct.Struct("=i")
FORK, RETIRE, END, QUIT = b"F", b"R", b"E", b"Q"

GRACE = 3.0  # seconds that an interrupted process has to clean up after itself

SERVER_DIED = "the server that worker processes are forked from has died: run again"

# ---------------------------------------------------------------------------------------------------------------------
# In Snakemake's process


class ForkServer:
    """The fork server as Snakemake's process sees it. It starts in the background, so constructing it does not wait.

    `open_files` is the soft limit that workers get; without it, they get that of this process.
    `fork`, `retire` and `end` raise ConnectionError if the server has died.
    """

    def __init__(self, modules: Iterable[str] = (), open_files: int | None = None) -> None:
        self._control, theirs = socket.socketpair()
        path = [entry for entry in sys.path if entry]
        command = (
            f"import sys; sys.path[:] = {path!r}\n"
            f"from {__name__} import main; main({theirs.fileno()}, {list(modules)!r}, {open_files})"
        )
        self._process = subprocess.Popen(
            # -P: a file in the working directory must not be taken for a module of the standard library
            [sys.executable, "-P", "-c", command],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # out of reach of the terminal's Ctrl-C, which Snakemake handles
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def fork(self) -> tuple[int, Connection]:
        """Start a worker; return its process id and the connection to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._ask(FORK, descriptors=[theirs.fileno()])
            pid = self._answer()
        return pid, Connection(ours.detach())

    def retire(self, pid: int) -> None:
        """Let a worker end by itself. Its connection must be closed."""
        self._ask(RETIRE, pid)

    def end(self, pid: int, number: int = 0) -> int:
        """End a worker and its child processes, after a signal if a number is given; return its exit code."""
        self._ask(END, pid, number)
        return self._answer()

    def close(self, at_once: bool = False) -> int:
        """End the server and all workers, `at_once` without waiting for what they are doing; return its exit code.

        If that is not 0, the server has died before, and left its workers alone.
        """
        if not at_once:
            with contextlib.suppress(ConnectionError):
                self._ask(QUIT)
        self._control.close()
        return self._process.wait()

    def _ask(self, what: bytes, pid: int = 0, number: int = 0, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._control, [REQUEST.pack(what, pid, number)], descriptors)
        except OSError as error:
            raise ConnectionError(SERVER_DIED) from error

    def _answer(self) -> int:
        answer = b""
        while len(answer) < ANSWER.size:
            try:
                part = self._control.recv(ANSWER.size - len(answer))
            except OSError as error:
                raise ConnectionError(SERVER_DIED) from error
            if not part:
                raise ConnectionError(SERVER_DIED)
            answer += part
        (number,) = ANSWER.unpack(answer)
        return int(number)


# ---------------------------------------------------------------------------------------------------------------------
# In the server


def main(descriptor: int, modules: Iterable[str], open_files: int | None) -> None:
    """Serve the socket with this file descriptor, after importing modules. One that cannot be imported is skipped."""
    control = socket.socket(fileno=descriptor)
    if open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for module in ["snakemake.iocontainers", "snakemake.logging", *modules]:
        if select.select([control], [], [], 0)[0] and not control.recv(1, socket.MSG_PEEK):
            return  # Snakemake has ended
        try:
            importlib.import_module(module)
        except Exception:
            traceback.print_exc()
    try:
        connection = serve(control)
        work(connection)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter would print a traceback at its end
    except KeyboardInterrupt:
        os._exit(130)


def serve(control: socket.socket) -> Connection:
    """Fork a worker for each request and report how workers ended, until the control socket is closed.

    Returns in each worker, with its connection. Never returns in the server itself, which ends when Snakemake's process
    does, however that ends, and takes all workers and their child processes with it.
    """
    workers: set[int] = set()
    retired: set[int] = set()
    while True:
        retired -= {pid for pid in retired if os.waitpid(pid, os.WNOHANG)[0]}
        try:
            message, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        except ConnectionError:
            message, descriptors = b"", []  # Snakemake has died without reading an answer
        what, pid, number = REQUEST.unpack(message) if len(message) == REQUEST.size else (None, 0, 0)
        if what == FORK:
            pid = fork_into_group()
            if pid == 0:
                control.close()
                return Connection(descriptors[0])
            workers.add(pid)
            os.close(descriptors[0])
            answer(control, pid)
        elif what == RETIRE:
            workers.discard(pid)
            retired.add(pid)
        elif what == END:
            workers.discard(pid)
            answer(control, end([pid], number)[pid])
        else:
            workers |= retired
            if what == QUIT:
                wait_for(workers, GRACE)
            end(workers, signal.SIGINT)
            os._exit(0)


def fork_into_group() -> int:
    """Fork, with the child in a process group of its own; return what `os.fork` returns.

    The group can be ended as a whole, and the terminal's Ctrl-C only reaches Snakemake. A SIGINT reaches the child from
    the first moment on: it waits while the child is set up, because Python would drop it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        pid = os.fork()
        with contextlib.suppress(OSError):  # both processes do this, and the child may already have ended
            os.setpgid(pid, pid)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def answer(control: socket.socket, number: int) -> None:
    """Answer a request. If Snakemake has died, the next attempt to read a request notices."""
    try:
        control.sendall(ANSWER.pack(number))
    except ConnectionError:
        pass


def end(pids: Collection[int], number: int) -> dict[int, int]:
    """End workers and all their child processes; return their exit codes, negative for a signal.

    If a signal number is given, they get that signal first, and GRACE seconds to clean up.
    """
    if number:
        for pid in pids:
            signal_group(pid, number)
    wait_for(pids, GRACE)
    codes = {}
    for pid in pids:
        signal_group(pid, signal.SIGKILL)
        codes[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return codes


def wait_for(pids: Iterable[int], seconds: float) -> None:
    """Wait at most this many seconds for processes to end. They remain to be collected by `os.waitpid`."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) and time.monotonic() < deadline:
            time.sleep(0.002)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a worker and its child processes."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # all have ended (on macOS: PermissionError)
