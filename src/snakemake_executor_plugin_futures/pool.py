"""Pools that run scripts: worker processes that stay up, or threads.

Both are used from one thread, but for `wake`. A pool does not count cores: whoever submits a task sees to it that they
are free.
"""

import contextlib
import math
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from . import worker


@dataclass(eq=False)
class Task:
    """A script to run with one job's `snakemake` object (pickled, without config).

    `limit` is in seconds, None for none; `fresh` asks for a worker that has run nothing yet; `seconds` is how long the
    script is likely to take.
    """

    job: object
    script: worker.Script
    payload: bytes
    threads: int
    tmpdir: str | None = None
    limit: float | None = None
    fresh: bool = False
    seconds: float = math.inf


@dataclass
class Outcome:
    """A task that has ended: `reason` says in one line why it failed, None if it did not; `seconds` how long it ran.

    `cores_taken_over` says that the task waiting behind it is running now, `killed` that the script could not say
    anything itself.
    """

    task: Task
    reason: str | None
    seconds: float
    cores_taken_over: bool = False
    killed: bool = False


@dataclass(eq=False)
class Worker:
    """A worker process. The first of its tasks is running, the others wait in its connection.

    `seconds` is how long all of them are likely to take.
    """

    pid: int
    connection: Connection
    tasks: deque = field(default_factory=deque)
    scripts: set = field(default_factory=set)  # the numbers of those that it knows
    seconds: float = 0.0
    done: int = 0
    deadline: float | None = None
    last: bool = False  # takes no more tasks: it is to be replaced

    def send(self, message):
        try:
            self.connection.send_bytes(message)
        except OSError:
            pass  # it has died: the next wait sees that

    def start_next(self):
        limit = self.tasks[0].limit if self.tasks else None
        self.deadline = limit and time.monotonic() + limit
        self.seconds = sum([task.seconds for task in self.tasks])


SERVER_DIED = "the server that worker processes are forked from has died: run again"


class ForkServer:
    """The process that all workers are forked from. It starts in the background, and so costs no waiting.

    `fork`, `retire` and `end` raise ConnectionError if it has died.
    """

    def __init__(self, modules=()):
        self._control, theirs = socket.socketpair()
        path = [entry for entry in sys.path if entry]
        command = (
            f"import sys; sys.path[:] = {path!r}\n"
            f"from {worker.__name__} import main; main({theirs.fileno()}, {list(modules)!r})"
        )
        self._process = subprocess.Popen(
            # -P: a file in the working directory must not be taken for a module of the standard library
            [sys.executable, "-P", "-c", command],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # out of reach of the terminal's Ctrl-C, which is for Snakemake to handle
        )
        theirs.close()

    def fork(self):
        """Start a worker."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._ask(worker.FORK, descriptors=[theirs.fileno()])
            pid = self._answer()
        return Worker(pid, Connection(ours.detach()))

    def retire(self, process):
        """Let a worker end by itself, now that its connection is closed."""
        self._ask(worker.RETIRE, process.pid)

    def end(self, process, number=0):
        """End a worker and its child processes, after a signal if a number is given; return its exit code."""
        self._ask(worker.END, process.pid, number)
        return self._answer()

    def has_died(self):
        return self._process.poll() is not None

    def close(self, at_once=False):
        """End the server and all workers; at once: whatever they are doing."""
        if not at_once:
            with contextlib.suppress(ConnectionError):
                self._ask(worker.QUIT)
        self._control.close()
        self._process.wait()

    def _ask(self, what, pid=0, number=0, descriptors=()):
        try:
            socket.send_fds(self._control, [worker.REQUEST.pack(what, pid, number)], descriptors)
        except OSError as error:
            raise ConnectionError(SERVER_DIED) from error

    def _answer(self):
        answer = b""
        while len(answer) < worker.ANSWER.size:
            try:
                part = self._control.recv(worker.ANSWER.size - len(answer))
            except OSError as error:
                raise ConnectionError(SERVER_DIED) from error
            if not part:
                raise ConnectionError(SERVER_DIED)
            answer += part
        return worker.ANSWER.unpack(answer)[0]


class Pool:
    """What both pools share: waiting for what happens next."""

    def __init__(self):
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reader, selectors.EVENT_READ)

    def wake(self):
        """Make a call to `wait` return. May be called from any thread."""
        try:
            os.write(self._writer, b"w")
        except BlockingIOError:
            pass  # full of wake-ups

    def _select(self, timeout):
        events = self._selector.select(timeout)
        ready = [key.data for key, _ in events if key.data is not None]
        if len(ready) < len(events):
            os.read(self._reader, 4096)
        return ready


class ThreadPool(Pool):
    """Threads of this process, one for each core."""

    def __init__(self, cores):
        super().__init__()
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="script")
        self._outcomes = deque()

    def start(self, task):
        """Run a task now."""
        self._threads.submit(self._run, task)

    def queue(self, task, ahead):
        """Return False: no tasks wait in threads."""
        return False

    def soonest(self, threads, ahead):
        return None

    def wait(self, timeout=None):
        """Wait for tasks to end, or `wake`, or so many seconds. Return the outcomes, and no task to submit again."""
        self._select(timeout)
        return [self._outcomes.popleft() for _ in range(len(self._outcomes))], []

    def close(self, at_once=False):
        """Wait for the tasks that are running, at once or not: a thread cannot be ended."""
        self._threads.shutdown(cancel_futures=True)

    def _run(self, task):
        start = time.perf_counter()
        for entry in task.script.own_path:
            if entry not in sys.path:
                sys.path.append(entry)
        reason = worker.run_script(task.script, task.payload, in_own_process=False)
        self._outcomes.append(Outcome(task, reason, time.perf_counter() - start))
        self.wake()


class ProcessPool(Pool):
    """Worker processes that stay up and are replaced when they crash, outlive a time limit, or have done their share.

    `tasks_per_worker` is that share, 0 for no end.
    """

    # A task is sent to a busy worker only if it fits into its connection's buffer: sending must never wait.
    LARGEST_AHEAD = 16_000

    def __init__(self, server, tasks_per_worker):
        super().__init__()
        self._server = server
        self._tasks_per_worker = tasks_per_worker
        self._workers = set()
        self._numbers = {}
        self._returned = []

    def start(self, task):
        """Run a task now, on an idle worker or a new one."""
        if task.fresh:
            for idle in [process for process in self._workers if not process.tasks]:
                self._replace(idle)
            process = self._fork()
        else:
            process = next((process for process in self._workers if not process.tasks), None) or self._fork()
        self._send(process, task)

    def queue(self, task, ahead):
        """Let a task wait in a busy worker, at most `ahead` of them, to take over its cores.

        Return False if there is no such worker.
        """
        process = None if task.fresh else self.soonest(task.threads, ahead)
        return process is not None and self._send(process, task, self.LARGEST_AHEAD)

    def soonest(self, threads, ahead):
        """Return the busy worker that is likely to be free first, if all its tasks have so many threads, or None."""
        soonest = None
        for process in self._workers:
            if (
                process.tasks
                and (soonest is None or process.seconds < soonest.seconds)
                and len(process.tasks) <= ahead
                and process.tasks[0].threads == threads
                and not process.last
            ):
                soonest = process
        return soonest

    def wait(self, timeout=None):
        """Wait for tasks to end, or `wake`, or so many seconds. Return the outcomes and the tasks to submit again.

        The latter were waiting in a worker that has ended before their turn.
        """
        deadlines = [process.deadline for process in self._workers if process.deadline]
        if deadlines:
            left = max(0, min(deadlines) - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        outcomes = []
        for process in self._select(timeout):
            self._receive(process, outcomes)
        if deadlines:
            now = time.monotonic()
            for process in [process for process in self._workers if process.deadline and process.deadline <= now]:
                task = process.tasks.popleft()
                minutes = task.limit / 60
                self._remove(process)
                self._server.end(process, signal.SIGINT)
                reason = f"killed: exceeded its time limit (runtime) of {minutes:g} min"
                outcomes.append(Outcome(task, reason, task.limit, killed=True))
        returned, self._returned = self._returned, []
        return outcomes, returned

    def close(self, at_once=False):
        """End all workers, at once or when they have done what they are doing."""
        for process in self._workers:
            if not at_once:
                process.connection.close()
            elif self._server.has_died():  # else it ends them
                worker.signal_group(process.pid, signal.SIGKILL)
        self._workers.clear()
        self._server.close(at_once)

    def _fork(self):
        process = self._server.fork()
        process.send(pickle.dumps((os.getcwd(), dict(os.environ))))
        self._workers.add(process)
        self._selector.register(process.connection.fileno(), selectors.EVENT_READ, process)
        return process

    def _send(self, process, task, largest=math.inf):
        """Send a task to a worker; return False, and do not, if that is more than so many bytes."""
        number = self._numbers.setdefault(task.script, len(self._numbers))
        script = None if number in process.scripts else task.script
        message = pickle.dumps((number, script, task.payload, task.threads, task.tmpdir))
        if len(message) > largest:
            return False
        process.scripts.add(number)
        process.tasks.append(task)
        process.seconds += task.seconds
        process.last = 0 < self._tasks_per_worker <= process.done + len(process.tasks)
        if len(process.tasks) == 1:
            process.start_next()
        process.send(message)
        return True

    def _receive(self, process, outcomes):
        try:
            reason, seconds, goes_on = pickle.loads(process.connection.recv_bytes())
        except (EOFError, OSError):
            if process.tasks:
                task = process.tasks.popleft()
                self._remove(process)
                reason = f"worker died: {describe(self._server.end(process))}"
                outcomes.append(Outcome(task, reason, 0, killed=True))
            else:
                self._remove(process)
                self._server.end(process)
            return
        task = process.tasks.popleft()
        process.done += 1
        if not goes_on or (process.last and not process.tasks):
            self._replace(process)
        process.start_next()
        outcomes.append(Outcome(task, reason, seconds, cores_taken_over=bool(process.tasks)))

    def _replace(self, process):
        self._remove(process)
        self._server.retire(process)

    def _remove(self, process):
        self._workers.discard(process)
        self._selector.unregister(process.connection.fileno())
        process.connection.close()
        self._returned.extend(process.tasks)
        process.tasks.clear()


def describe(code):
    """Say in words how a process ended, from its exit code (negative: the signal that killed it)."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
