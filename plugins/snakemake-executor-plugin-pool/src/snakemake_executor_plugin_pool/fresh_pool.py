"""The pool that runs each job in a process of its own, forked from a server that has imported what it needs."""

import os
import selectors
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import psutil
from snakemake.logging import logger

from .fresh_server import FreshServer
from .interpreter import Job
from .messages import GRACE, Ended, Event, Loaded, Started
from .pool import Pool, describe
from .preload import LearnedModules
from .script import Reason, Script
from .tasks import Outcome, Task

# Modules are imported ahead if a rule has at least this many jobs: it takes as long as in one of them.
WORTH_PRELOADING = 3

SERVER_DIED = "the server that its process was forked from has died"


@dataclass(eq=False)
class RunningJob:
    """A job that was given to a server. `overdue` are its processes once it has exceeded its time limit."""

    task: Task
    server: FreshServer
    deadline: float | None = None  # time.monotonic() at which it is interrupted, then killed
    overdue: list[psutil.Process] = field(default_factory=list)


class FreshPool(Pool):
    """Runs each task in a process of its own.

    Every server imports `modules`. `remaining` counts the jobs of each rule that have not been started yet, and
    `learned` are the modules that rules import. `open_files` is the soft limit that all jobs get.
    """

    def __init__(self, modules: list[str], remaining: Counter[str], learned: LearnedModules, open_files: int) -> None:
        super().__init__()
        self._always = modules
        self._remaining = remaining
        self._started: Counter[str] = Counter()  # jobs of each rule
        self._learned = learned
        # The servers for new jobs by the jobs' number of threads, which libraries for linear algebra read when they are
        # imported. A server without modules serves all.
        self._bare: dict[int, FreshServer] = {}
        self._loaded: dict[int, FreshServer] = {}  # with learned modules
        self._retired: set[FreshServer] = set()  # replaced, with jobs that are still running
        self._running: dict[int, RunningJob] = {}  # by number
        self._number = 0
        self._environment = interpreter_environment()
        self._open_files = open_files

    def prestart(self, threads: dict[str, int]) -> None:
        """Start the servers that jobs are going to need, while Snakemake prepares the first ones.

        `threads` are the numbers of threads of rules' jobs, as far as they are known.
        """
        for rule, count in self._remaining.items():
            wanted = self._learned.modules(rule)
            if not wanted or count < WORTH_PRELOADING:
                self._bare_server(threads.get(rule, 1))
            elif rule in threads:
                self._load(threads[rule], wanted)

    def start(self, task: Task) -> None:
        environment = interpreter_environment()
        if environment != self._environment:  # Python or a library may read it when it starts
            self._environment = environment
            for server in [*self._bare.values(), *self._loaded.values()]:
                self._retire(server)
        self._remaining[task.rule] -= 1
        self._started[task.rule] += 1
        self._number += 1
        self._launch(self._number, task)

    def queue(self, task: Task, ahead: int) -> bool:
        return False  # nothing waits behind a process that ends

    def next_free_worker(self, script: Script, threads: int, ahead: int) -> None:
        return None

    def wait(self, timeout: float | None = None) -> tuple[list[Outcome], list[Task]]:
        outcomes: list[Outcome] = []
        for server in self._select(self._shorten(timeout)):
            server.flush()
            try:
                for event in server.events():
                    outcomes += self._handle(server, event)
            except ConnectionError:
                outcomes += self._bury(server)
            else:
                self._watch(server)
        self._end_overdue()
        return outcomes, []

    def deadlines(self) -> list[float]:
        return [job.deadline for job in self._running.values() if job.deadline]

    def close(self, at_once: bool = False) -> None:
        servers = {*self._bare.values(), *self._loaded.values(), *self._retired}
        for server in servers:
            server.end(at_once)
        for server in servers:
            server.wait()
        self._learned.save()

    # Servers

    def _launch(self, number: int, task: Task) -> None:
        server = self._server_for(task)
        self._running[number] = RunningJob(task, server)
        learn = not self._learned.order_matters(task.script.source)
        server.run(number, Job(task.script, task.payload, task.threads, task.tmpdir, os.getcwd(), learn))
        self._watch(server)

    def _server_for(self, task: Task) -> FreshServer:
        """Return the server to run a task in."""
        wanted = self._learned.modules(task.rule)
        if not wanted or task.fresh or self._learned.order_matters(task.script.source):
            return self._bare_server(task.threads)
        loaded = self._loaded.get(task.threads)
        if loaded is None and max(self._remaining[task.rule] + 1, self._started[task.rule]) < WORTH_PRELOADING:
            return self._bare_server(task.threads)
        if loaded and not loaded.modules.isdisjoint(self._learned.own(task.rule)):
            return self._bare_server(task.threads)
        return self._load(task.threads, wanted)

    def _bare_server(self, threads: int) -> FreshServer:
        """Return the server without learned modules."""
        key = threads if self._always else 0
        if key not in self._bare:
            self._bare[key] = self._open(threads)
        return self._bare[key]

    def _load(self, threads: int, modules: Iterable[str]) -> FreshServer:
        """Return the server with learned modules, after letting it import those that it has not got yet."""
        if threads not in self._loaded:
            self._loaded[threads] = self._open(threads)
        server = self._loaded[threads]
        missing = [name for name in modules if name not in server.modules]
        if missing:
            server.load(missing)
            self._watch(server)
        return server

    def _open(self, threads: int) -> FreshServer:
        server = FreshServer(self._environment, threads, self._open_files)
        if self._always:
            server.load(self._always)
        self._selector.register(server, selectors.EVENT_READ, server)
        self._watch(server)
        return server

    def _watch(self, server: FreshServer) -> None:
        """Wait for what a server says, and until it takes what has not been sent yet."""
        if server.fileno() >= 0:  # not ended
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if server.unsent else 0)
            if self._selector.get_key(server.fileno()).events != events:
                self._selector.modify(server, events, server)

    def _retire(self, server: FreshServer) -> None:
        """Give a server no more jobs, and end it as soon as its last one has ended."""
        for servers in (self._bare, self._loaded):
            for threads in [threads for threads, each in servers.items() if each is server]:
                del servers[threads]
        self._retired.add(server)
        if not server.running:
            self._retired.remove(server)
            self._selector.unregister(server)
            server.end()
            server.wait()

    def _bury(self, server: FreshServer) -> list[Outcome]:
        """Fail the jobs of a server that has died, and let a new one take its place when it is needed."""
        lost = list(server.running)
        server.running.clear()
        server.kill()
        self._retire(server)
        return [Outcome(self._running.pop(number).task, SERVER_DIED, 0, killed=True) for number in lost]

    # Events

    def _handle(self, server: FreshServer, event: Event) -> list[Outcome]:
        if isinstance(event, Loaded):
            if event.rejected:
                self._replace(server, event.rejected)
            return []
        job = self._running[event.number]
        if isinstance(event, Started):
            if job.task.limit:
                job.deadline = time.monotonic() + job.task.limit
            return []
        del self._running[event.number]
        send_signal(job.overdue, signal.SIGKILL)
        if server in self._retired and not server.running:
            self._retire(server)
        if event.report and (event.report.modules or event.report.own_modules):
            self._learned.learn(job.task.rule, event.report.modules, event.report.own_modules)
        return [outcome_of(job, event)]

    def _replace(self, server: FreshServer, rejected: list[str]) -> None:
        """Give the jobs that a server has not started to another one, without the modules that keep it from forking."""
        self._learned.reject(rejected)
        if len(self._learned.allowed(self._always)) < len(self._always):
            logger.warning(
                f"--pool-preload: importing {', '.join(rejected)} starts a thread or a process, opens a file or prints "
                "something, so each job does that by itself."
            )
            self._always = self._learned.allowed(self._always)
        waiting = [number for number, pid in server.running.items() if not pid]
        for number in waiting:
            del server.running[number]
        self._retire(server)
        for number in waiting:
            self._launch(number, self._running[number].task)

    def _end_overdue(self) -> None:
        """Interrupt the jobs that have exceeded their time limit, and kill those that go on for GRACE seconds."""
        now = time.monotonic()
        for number, job in self._running.items():
            if job.deadline and job.deadline <= now:
                if job.overdue:
                    send_signal([*process_tree(job.server.running[number]), *job.overdue], signal.SIGKILL)
                    job.deadline = None
                else:
                    job.overdue = process_tree(job.server.running[number])
                    send_signal(job.overdue, signal.SIGINT)
                    job.deadline = now + GRACE if job.overdue else None  # without processes, it has just ended


def interpreter_environment() -> dict[str, str]:
    """Return the environment of this process, with its working directory in PWD as bash sets it for each job."""
    environment, directory = os.environ.copy(), os.getcwd()
    given = environment.get("PWD", "")
    if given != directory and not (given.startswith("/") and os.path.exists(given) and os.path.samefile(given, ".")):
        environment["PWD"] = directory
    return environment


def outcome_of(job: RunningJob, event: Ended) -> Outcome:
    """Return what became of a job, from the end of its process: the exit code alone decides whether it has failed."""
    if job.overdue:
        minutes = (job.task.limit or 0) / 60
        reason = f"killed: exceeded its time limit (runtime) of {minutes:g} min"
        return Outcome(job.task, reason, event.seconds, killed=True)
    if event.code == 0:
        return Outcome(job.task, None, event.seconds)
    if event.code < 0:
        return Outcome(job.task, f"script died: {describe(event.code)}", event.seconds, killed=True)
    report = event.report
    reason = Reason(report.reason if report and report.reason else f"exit status {event.code}")
    reason.disk_full = bool(report and report.disk_full)
    return Outcome(job.task, reason, event.seconds)


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants, those first; none if it has ended."""
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.Error:
        return []


def send_signal(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to the processes that are still there."""
    for each in processes:
        try:
            each.send_signal(number)
        except psutil.Error:
            pass
