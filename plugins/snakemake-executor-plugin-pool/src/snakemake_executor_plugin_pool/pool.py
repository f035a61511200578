"""Pools that run scripts: worker processes that stay up, or threads.

A pool is used from a single thread, except for `wake`. It does not count cores: the dispatcher makes sure that they are
free.
"""

import math
import os
import pickle
import selectors
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from .fork_server import ForkServer, signal_group
from .script import Script, run_script
from .tasks import Outcome, Task


@dataclass(eq=False)
class WorkerProcess:
    """A worker process as the pool sees it. Its first task is running, the others wait in its connection.

    `seconds` is how long all of them together are expected to take.
    """

    pid: int
    connection: Connection
    script: Script  # the only one that it runs
    knows_script: bool = False
    tasks: deque[Task] = field(default_factory=deque)
    seconds: float = 0.0
    done: int = 0
    deadline: float | None = None  # time.monotonic() at which its first task is killed
    last: bool = False  # it takes no more tasks and will be replaced

    def send(self, message: bytes) -> None:
        """Send a message. If the worker has died, the pool's next wait notices."""
        try:
            self.connection.send_bytes(message)
        except OSError:
            pass

    def start_next(self) -> None:
        """Reckon with the first task running from now on."""
        limit = self.tasks[0].limit if self.tasks else None
        self.deadline = time.monotonic() + limit if limit else None
        self.seconds = sum([task.seconds for task in self.tasks])


def new_selector() -> Any:
    """Return a selector that can itself be waited for: epoll and kqueue have a file descriptor."""
    return selectors.DefaultSelector()


class Pool(ABC):
    """What the dispatcher needs of a pool, and how both kinds wait for what happens next."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self._selector = new_selector()
        self._selector.register(self._reader, selectors.EVENT_READ)

    def fileno(self) -> int:
        """Return a file descriptor that becomes readable when there is something to wait for."""
        return int(self._selector.fileno())

    @abstractmethod
    def start(self, task: Task) -> None:
        """Run a task now."""

    @abstractmethod
    def queue(self, task: Task, ahead: int) -> bool:
        """Let a task wait in a busy worker, at most `ahead` in each, to take over its cores.

        Return False if no worker can take it.
        """

    @abstractmethod
    def next_free_worker(self, script: Script, threads: int, ahead: int) -> WorkerProcess | None:
        """Return the busy worker that is expected to be free first, or None if no task can be queued behind its own.

        Its tasks have to run this script with this many threads, and at most `ahead` may be waiting in it.
        """

    @abstractmethod
    def wait(self, timeout: float | None = None) -> tuple[list[Outcome], list[Task]]:
        """Wait until a task ends, another thread calls `wake`, or `timeout` seconds have passed.

        Return the outcomes, and the tasks to submit again because the worker that they waited in has ended.
        """

    @abstractmethod
    def close(self, at_once: bool = False) -> None:
        """End the pool, `at_once` without waiting for the tasks that are running."""

    def deadlines(self) -> list[float]:
        """Return the times, as of time.monotonic(), at which a task exceeds its time limit."""
        return []

    def _shorten(self, timeout: float | None) -> float | None:
        """Return a timeout that is no later than the next deadline."""
        deadlines = self.deadlines()
        if not deadlines:
            return timeout
        left = max(0.0, min(deadlines) - time.monotonic())
        return left if timeout is None else min(timeout, left)

    def wake(self) -> None:
        """Make `wait` return. May be called from any thread."""
        try:
            os.write(self._writer, b"w")
        except BlockingIOError:
            pass  # full of wake-ups that `wait` has not read yet

    def _select(self, timeout: float | None) -> list[Any]:
        """Wait; return the data of what is ready, of which `wait` knows the type."""
        events = self._selector.select(timeout)
        ready = [key.data for key, _ in events if key.data is not None]
        if len(ready) < len(events):
            os.read(self._reader, 4096)
        return ready


class ThreadPool(Pool):
    """Threads of this process, one per core."""

    def __init__(self, cores: int) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="script")
        self._outcomes: deque[Outcome] = deque()

    def start(self, task: Task) -> None:
        self._threads.submit(self._run, task)

    def queue(self, task: Task, ahead: int) -> bool:
        return False

    def next_free_worker(self, script: Script, threads: int, ahead: int) -> None:
        return None

    def wait(self, timeout: float | None = None) -> tuple[list[Outcome], list[Task]]:
        self._select(timeout)
        return [self._outcomes.popleft() for _ in range(len(self._outcomes))], []

    def close(self, at_once: bool = False) -> None:
        """Wait for the tasks that are running, even if `at_once`: a thread cannot be ended."""
        self._threads.shutdown(cancel_futures=True)

    def _run(self, task: Task) -> None:
        start = time.perf_counter()
        for entry in task.script.own_path:
            if entry not in sys.path:
                sys.path.append(entry)
        reason = run_script(task.script, task.payload, in_own_process=False)
        self._outcomes.append(Outcome(task, reason, time.perf_counter() - start))
        self.wake()


class ReusePool(Pool):
    """Worker processes that run the jobs of one script after another.

    They are replaced when they crash, exceed a time limit, or have done their share: `tasks_per_worker`, 0 for no
    limit.
    """

    # A task is only sent to a busy worker if it fits into the buffer of its connection: sending must never wait.
    LARGEST_AHEAD = 16_000  # bytes

    def __init__(self, server: ForkServer, tasks_per_worker: int) -> None:
        super().__init__()
        self._server = server
        self._tasks_per_worker = tasks_per_worker
        self._workers: set[WorkerProcess] = set()
        self._returned: list[Task] = []

    def start(self, task: Task) -> None:
        """Run a task now, on an idle worker or a new one."""
        idle = [worker for worker in self._workers if not worker.tasks]
        fitting = [worker for worker in idle if worker.script == task.script and not task.fresh]
        if not fitting:
            for worker in idle:  # it has the cores that this one needs
                self._replace(worker)
        self._send(fitting[0] if fitting else self._fork(task.script), task)

    def queue(self, task: Task, ahead: int) -> bool:
        worker = None if task.fresh else self.next_free_worker(task.script, task.threads, ahead)
        return worker is not None and self._send(worker, task, self.LARGEST_AHEAD)

    def next_free_worker(self, script: Script, threads: int, ahead: int) -> WorkerProcess | None:
        # A plain loop: this runs once or twice for each job.
        first = None
        for worker in self._workers:
            if (
                worker.tasks
                and (first is None or worker.seconds < first.seconds)
                and len(worker.tasks) <= ahead
                and worker.tasks[0].threads == threads
                and worker.script == script
                and not worker.last
            ):
                first = worker
        return first

    def wait(self, timeout: float | None = None) -> tuple[list[Outcome], list[Task]]:
        outcomes = [outcome for worker in self._select(self._shorten(timeout)) for outcome in self._receive(worker)]
        outcomes += self._kill_overdue()
        returned, self._returned = self._returned, []
        return outcomes, returned

    def deadlines(self) -> list[float]:
        return [worker.deadline for worker in self._workers if worker.deadline]

    def close(self, at_once: bool = False) -> None:
        workers = list(self._workers)
        self._workers.clear()
        if not at_once:
            for worker in workers:
                worker.connection.close()
        if self._server.close(at_once) != 0:  # it was killed: otherwise it has ended them
            for worker in workers:
                signal_group(worker.pid, signal.SIGKILL)

    def _fork(self, script: Script) -> WorkerProcess:
        worker = WorkerProcess(*self._server.fork(), script)
        worker.send(pickle.dumps((os.getcwd(), dict(os.environ))))
        self._workers.add(worker)
        self._selector.register(worker.connection.fileno(), selectors.EVENT_READ, worker)
        return worker

    def _send(self, worker: WorkerProcess, task: Task, largest: float = math.inf) -> bool:
        """Send a task to a worker, unless its message has more than `largest` bytes; return whether it was sent."""
        script = None if worker.knows_script else task.script
        message = pickle.dumps((script, task.payload, task.threads, task.tmpdir))
        if len(message) > largest:
            return False
        worker.knows_script = True
        worker.tasks.append(task)
        worker.seconds += task.seconds
        worker.last = 0 < self._tasks_per_worker <= worker.done + len(worker.tasks)
        if len(worker.tasks) == 1:
            worker.start_next()
        worker.send(message)
        return True

    def _receive(self, worker: WorkerProcess) -> list[Outcome]:
        """Read what a worker has to say: the outcome of its task, or that it has died, perhaps without a task."""
        try:
            reason, seconds, reusable = pickle.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            task = worker.tasks.popleft() if worker.tasks else None
            self._remove(worker)
            code = self._server.end(worker.pid)
            return [Outcome(task, f"worker died: {describe(code)}", 0, killed=True)] if task else []
        task = worker.tasks.popleft()
        worker.done += 1
        if not reusable or (worker.last and not worker.tasks):
            self._replace(worker)
        worker.start_next()
        return [Outcome(task, reason, seconds, cores_taken_over=bool(worker.tasks))]

    def _kill_overdue(self) -> list[Outcome]:
        """Kill the workers whose task has exceeded its time limit."""
        now = time.monotonic()
        outcomes = []
        for worker in [worker for worker in self._workers if worker.deadline and worker.deadline <= now]:
            task = worker.tasks.popleft()
            limit = task.limit or 0
            self._remove(worker)
            self._server.end(worker.pid, signal.SIGINT)
            reason = f"killed: exceeded its time limit (runtime) of {limit / 60:g} min"
            outcomes.append(Outcome(task, reason, limit, killed=True))
        return outcomes

    def _replace(self, worker: WorkerProcess) -> None:
        self._remove(worker)
        self._server.retire(worker.pid)

    def _remove(self, worker: WorkerProcess) -> None:
        self._workers.discard(worker)
        self._selector.unregister(worker.connection.fileno())
        worker.connection.close()
        self._returned.extend(worker.tasks)
        worker.tasks.clear()


class CombinedPool(Pool):
    """Two pools as one: tasks that may reuse a worker go to the one, all others to the other."""

    def __init__(self, fresh: Pool, reuse: Pool) -> None:
        super().__init__()
        self._fresh, self._reuse = fresh, reuse
        for pool in (fresh, reuse):
            self._selector.register(pool, selectors.EVENT_READ, pool)

    def start(self, task: Task) -> None:
        self._pool_of(task).start(task)

    def queue(self, task: Task, ahead: int) -> bool:
        return self._pool_of(task).queue(task, ahead)

    def next_free_worker(self, script: Script, threads: int, ahead: int) -> WorkerProcess | None:
        return self._reuse.next_free_worker(script, threads, ahead)

    def wait(self, timeout: float | None = None) -> tuple[list[Outcome], list[Task]]:
        self._select(self._shorten(timeout))
        (outcomes, returned), (more_outcomes, more_returned) = self._fresh.wait(0), self._reuse.wait(0)
        return outcomes + more_outcomes, returned + more_returned

    def deadlines(self) -> list[float]:
        return self._fresh.deadlines() + self._reuse.deadlines()

    def close(self, at_once: bool = False) -> None:
        self._reuse.close(at_once)
        self._fresh.close(at_once)

    def _pool_of(self, task: Task) -> Pool:
        return self._reuse if task.reuse else self._fresh


def describe(code: int) -> str:
    """Say in words how a process ended, given its exit code (negative: the signal that killed it)."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
