"""The pool that runs each job in a process of its own, forked from a server that has imported what it needs."""

import math
import os
import resource
import selectors
import signal
import time
from collections import Counter
from dataclasses import dataclass

import psutil

from .fresh_server import GRACE, Ended, FreshServer, Ready, Started
from .interpreter import Job
from .pool import Pool, describe
from .preload import LearnedModules, sets_environment
from .script import Reason, Script
from .tasks import Outcome, Task

# A server with modules is started if at least this many jobs want them: importing takes as long as in one of them.
WORTH_PRELOADING = 3  # jobs

# A message that fits into the buffer of a connection: sending it to a server that is still importing does not wait.
MAX_WAITING_BYTES = 60_000

SERVER_DIED = "the server that its process was forked from has died"


@dataclass(eq=False)
class RunningJob:
    """A job that was given to a server."""

    task: Task
    server: FreshServer
    pid: int = 0
    deadline: float | None = None  # time.monotonic() at which it is interrupted
    overdue: bool = False


class FreshPool(Pool):
    """Runs each task in a process of its own.

    `modules` are imported by every server, and all jobs have the limit of open files that this process has now; `remaining` counts the jobs of each rule that have not been started yet;
    `learned` are the modules that rules import.
    """

    def __init__(self, modules: list[str], remaining: Counter[str], learned: LearnedModules) -> None:
        super().__init__()
        self._always = modules
        self._remaining = remaining
        self._learned = learned
        self._bare: dict[int, FreshServer] = {}  # by the number of threads of the jobs
        self._loaded: dict[int, FreshServer] = {}  # with learned modules
        self._retired: set[FreshServer] = set()  # replaced, with jobs that are still running
        self._running: dict[int, RunningJob] = {}  # by number
        self._number = 0
        self._open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._sources: dict[Script, bool] = {}  # whether a script may change the environment
        self._returned: list[Task] = []

    def start(self, task: Task) -> None:
        self._remaining[task.rule] -= 1
        server = self._server_for(task)
        job = Job(task.script, task.payload, task.threads, task.tmpdir, os.getcwd(), None, learn=True)
        self._number += 1
        self._running[self._number] = RunningJob(task, server)
        try:
            server.run(self._number, job)
        except ConnectionError:
            pass  # the next wait notices

    def queue(self, task: Task, ahead: int) -> bool:
        return False  # nothing waits behind a process that ends

    def next_free_worker(self, script: Script, threads: int, ahead: int) -> None:
        return None

    def wait(self, timeout: float | None = None) -> tuple[list[Outcome], list[Task]]:
        outcomes: list[Outcome] = []
        for server in self._select(self._shorten(timeout)):
            try:
                for event in server.events():
                    outcomes += self._handle(server, event)
            except ConnectionError:
                outcomes += self._bury(server)
        self._end_overdue()
        returned, self._returned = self._returned, []
        return outcomes, returned

    def deadlines(self) -> list[float]:
        return [job.deadline for job in self._running.values() if job.deadline]

    def prestart(self) -> None:
        """Start the server of most jobs, while Snakemake prepares the first ones."""
        self._bare[1] = self._open(self._always, 1)

    def close(self, at_once: bool = False) -> None:
        for server in {*self._bare.values(), *self._loaded.values(), *self._retired}:
            server.close()
        self._learned.save()

    # Servers

    def _server_for(self, task: Task) -> FreshServer:
        """Return the server to run a task in."""
        wanted = [] if self._changes_environment(task.script) else self._learned.modules(task.rule)
        if wanted and len(task.payload) + len(task.script.config) < MAX_WAITING_BYTES:
            loaded = self._loaded.get(task.threads)
            if loaded and loaded.modules.issuperset(wanted):
                return loaded
            if self._remaining[task.rule] + 1 >= WORTH_PRELOADING:
                return self._load(task.threads, wanted)
        if task.threads not in self._bare:
            self._bare[task.threads] = self._open(self._always, task.threads)
        return self._bare[task.threads]

    def _load(self, threads: int, modules: list[str]) -> FreshServer:
        """Start a server with these modules, and those of the one that it replaces."""
        old = self._loaded.pop(threads, None)
        kept = old.ordered if old else self._always
        if old:
            self._retire(old)
        self._loaded[threads] = self._open(list(dict.fromkeys([*kept, *modules])), threads)
        return self._loaded[threads]

    def _open(self, modules: list[str], threads: int) -> FreshServer:
        server = FreshServer(modules, threads, self._open_files)
        self._selector.register(server, selectors.EVENT_READ, server)
        return server

    def _retire(self, server: FreshServer) -> None:
        """End a server as soon as its last job has ended."""
        if server.running:
            self._retired.add(server)
        else:
            self._discard(server)
            server.close()

    def _discard(self, server: FreshServer) -> None:
        self._selector.unregister(server)
        self._retired.discard(server)
        for servers in (self._bare, self._loaded):
            for threads in [threads for threads, each in servers.items() if each is server]:
                del servers[threads]

    def _bury(self, server: FreshServer) -> list[Outcome]:
        """Fail the jobs of a server that has died, and let a new one take its place when it is needed."""
        self._discard(server)
        server.kill()
        lost = [number for number, job in self._running.items() if job.server is server]
        return [Outcome(self._running.pop(number).task, SERVER_DIED, 0, killed=True) for number in lost]

    # Events

    def _handle(self, server: FreshServer, event: Ready | Started | Ended) -> list[Outcome]:
        if isinstance(event, Ready):
            if event.rejected:
                self._replace_rejected(server, event.rejected)
            return []
        job = self._running.get(event.number)
        if job is None:
            return []
        if isinstance(event, Started):
            job.pid = event.pid
            if job.task.limit:
                job.deadline = time.monotonic() + job.task.limit
            return []
        del self._running[event.number]
        if server in self._retired and not server.running:
            self._retire(server)
        if event.report:
            self._learned.learn(job.task.rule, event.report.modules)
        return [outcome_of(job, event)]

    def _replace_rejected(self, server: FreshServer, rejected: list[str]) -> None:
        """Give the jobs of a server that must not fork to another one, without the modules that keep it from that."""
        self._learned.reject(rejected)
        self._discard(server)
        server.kill()
        for number in [number for number, job in self._running.items() if job.server is server]:
            self._returned.append(self._running.pop(number).task)

    def _end_overdue(self) -> None:
        """Interrupt the jobs that have exceeded their time limit, and kill those that go on for GRACE seconds."""
        now = time.monotonic()
        for job in self._running.values():
            if job.deadline and job.deadline <= now:
                signal_tree(job.pid, signal.SIGKILL if job.overdue else signal.SIGINT)
                job.deadline = math.inf if job.overdue else now + GRACE
                job.overdue = True

    def _changes_environment(self, script: Script) -> bool:
        if script not in self._sources:
            try:
                with open(script.source, "rb") as file:
                    self._sources[script] = sets_environment(file.read())
            except OSError:
                self._sources[script] = True
        return self._sources[script]


def outcome_of(job: RunningJob, event: Ended) -> Outcome:
    """Return what became of a job, from the end of its process: the exit code alone decides whether it has failed."""
    if job.overdue:
        minutes = (job.task.limit or 0) / 60
        reason = f"killed: exceeded its time limit (runtime) of {minutes:g} min"
        return Outcome(job.task, reason, event.seconds, killed=True)
    if event.code == 0:
        return Outcome(job.task, None, event.seconds)
    if event.code < 0:
        return Outcome(job.task, f"worker died: {describe(event.code)}", event.seconds, killed=True)
    report = event.report
    reason = Reason(report.reason if report and report.reason else f"exit status {event.code}")
    reason.disk_full = bool(report and report.disk_full)
    return Outcome(job.task, reason, event.seconds)


def signal_tree(pid: int, number: int) -> None:
    """Send a signal to a process and all its descendants."""
    try:
        process = psutil.Process(pid)
        processes = [*process.children(recursive=True), process]
    except psutil.Error:
        return
    for each in processes:
        try:
            each.send_signal(number)
        except psutil.Error:
            pass
