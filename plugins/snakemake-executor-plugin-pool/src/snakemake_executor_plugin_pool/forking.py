"""The server that forks a process for each job, from an interpreter that has imported what scripts need.

It has a single thread and nothing of the workflow, so forking is safe. It imports little, because each workflow waits
for its start.
"""

import contextlib
import ctypes
import gc
import importlib.util
import mmap
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import NamedTuple

from .ending import end_process
from .interpreter import Job, KnownModules, Report, read_report, run_as_interpreter
from .messages import GRACE, Ended, Event, Load, Loaded, Start, Started, frame, receive
from .preload import import_modules
from .script import Script, compiled

# What the preamble of every script imports, before anything that the script itself does.
IMPORTED_BY_PREAMBLE = ("snakemake.logging", "snakemake.iocontainers")

OPENSSL_INIT_NO_ATEXIT = 0x00080000  # openssl/crypto.h, since version 1.1.1

REPORT_BYTES = 1 << 20  # of address space; memory is only used for what is written


class Running(NamedTuple):
    """A job whose process is running; `report` is the memory shared with it that it leaves its report in."""

    number: int
    report: mmap.mmap
    started: float


class JobServer:
    """What the server knows of its jobs."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.running: dict[int, Running] = {}  # by process id
        self.scripts: dict[int, Script] = {}
        self.spoilt = False  # by a module that must not be imported before a fork
        self.known = KnownModules.now()

    def send(self, event: Event) -> None:
        """Send an event. If Snakemake has died, the next look for a message notices."""
        with contextlib.suppress(OSError):
            self.connection.sendall(frame(event))

    def load(self, modules: list[str]) -> None:
        """Import modules for the jobs to come."""
        rejected = import_modules(modules)
        self.spoilt = self.spoilt or bool(rejected)
        self.known = KnownModules.now()
        gc.collect()
        gc.freeze()  # what is there is shared with all jobs: keep the garbage collector from touching it
        self.send(Loaded(rejected))

    def job_of(self, message: Start) -> Job:
        """Return the job that a message is about, with its whole script, compiled here once for all processes."""
        job = Job(*message.fields)
        job = job._replace(script=self.scripts.setdefault(message.script, job.script))
        with contextlib.suppress(Exception):  # a broken script fails in its process
            compiled(job.script)
        return job

    def fork(self, message: Start) -> tuple[Job, mmap.mmap] | None:
        """Fork the process of a job; return the job and the memory for its report there, and None in the server."""
        job = self.job_of(message)
        started = time.perf_counter()
        report = mmap.mmap(-1, REPORT_BYTES)
        # A SIGINT waits until the script is about to start: the server ignores it, and so would its child until then.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            pid = os.fork()
        except OSError as error:
            self.send(Ended(message.number, 1, 0.0, Report(f"cannot be started: {error}", False, [], [])))
            pid = -1
        if pid == 0:
            return job, report
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        if pid > 0:
            self.running[pid] = Running(message.number, report, started)
            self.send(Started(message.number, pid))
        return None

    def reap(self, report: bool = True) -> None:
        """Collect the processes that have ended, and send an event for each if they are to be reported."""
        for pid in list(self.running):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                job = self.running.pop(pid)
                if report:
                    seconds = time.perf_counter() - job.started
                    code = os.waitstatus_to_exitcode(status)
                    self.send(Ended(job.number, code, seconds, read_report(job.report)))
                job.report.close()

    def end_all(self) -> None:
        """Interrupt all jobs with what they have started, and kill what is left after GRACE seconds.

        Processes that jobs have left behind when they ended go on, as with a new interpreter.
        """
        if not self.running:
            return
        signal_all(self.running, signal.SIGINT)
        deadline = time.monotonic() + GRACE
        while self.running and time.monotonic() < deadline:
            time.sleep(0.005)
            self.reap(report=False)
        signal_all(self.running, signal.SIGKILL)  # which ends this process, too: it is of the same group


def serve(descriptor: int, default_path: list[str], open_files: int) -> int:
    """Fork a process for each job that comes in, and send an event when one ends, until the connection is closed.

    Return in each of these processes, when its script has ended: with the exit status for the interpreter to end with.
    Does not return in the server itself, which ends with Snakemake's process, and takes all jobs with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    wakeup, wake = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a wake-up is written
    signal.set_wakeup_fd(wake)
    keep_openssl_to_the_end()
    for name in IMPORTED_BY_PREAMBLE:
        importlib.import_module(name)
    server = JobServer(socket.socket(fileno=descriptor))
    gc.collect()
    gc.freeze()
    while True:
        ready, _, _ = select.select([descriptor, wakeup], [], [])
        if wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wakeup, 4096)
            server.reap()
        if descriptor in ready:
            message = receive(server.connection)
            if message is None:
                server.end_all()
                os._exit(0)
            elif isinstance(message, Load):
                server.load(message.modules)
            elif not server.spoilt and (forked := server.fork(message)):
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                server.connection.close()
                os.close(wakeup)
                os.close(wake)
                status = run_as_interpreter(*forked, default_path, server.known)
                end_process(status, server.known)
                return status


def keep_openssl_to_the_end() -> None:
    """Let OpenSSL, which `hashlib` uses, free nothing when a process ends.

    It would write to all its tables, and the system copy each page of them: a fifth of what a job's process costs.
    """
    with contextlib.suppress(Exception):
        spec = importlib.util.find_spec("_hashlib")
        if "_hashlib" not in sys.modules and spec and spec.origin:
            library = ctypes.CDLL(spec.origin)  # which depends on OpenSSL's
            library.OPENSSL_init_crypto(ctypes.c_uint64(OPENSSL_INIT_NO_ATEXIT), None)


def signal_all(pids: dict[int, Running], number: int) -> None:
    """Send a signal, once, to these processes and to all of this group, which are theirs.

    A second SIGINT would interrupt what a script does about the first one.
    """
    for pid in pids:
        with contextlib.suppress(OSError):
            if os.getpgid(pid) != os.getpgrp():  # it has left the group
                os.kill(pid, number)
    os.killpg(0, number)
