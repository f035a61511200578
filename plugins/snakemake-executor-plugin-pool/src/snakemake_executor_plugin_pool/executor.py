"""The executor: the adapter between Snakemake and the dispatcher.

How a job flows through this package:

    Snakemake's main thread         dispatcher's thread                         other processes
    +---------------------+
    | scheduler           |
    +---------------------+
       |             ^
       | run_jobs    | finished, failed (in batches)
       v             |
    +----------+     |   +--------------------------+
    | Executor |     +---| Reporter                 |
    +----------+         +--------------------------+
       | submit                      ^
       v                             |
    +--------------------------------------+  start, queue (Task)   +--------------------------+
    | Dispatcher                           | ---------------------> | FreshPool  (the default) |
    |   JobQueue: by priority              |                        | ReusePool  (--pool-reuse)|
    |   free cores, seconds of each rule   | <--------------------- | ThreadPool (--pool-kind) |
    |   prepares: ScriptLookup, make_task  |     wait (Outcome)     +--------------------------+
    +--------------------------------------+                          |                  |
       | anything but a plain Python script   Load, Start;            |                  | fork, end: one socket;
       v                              Started, Ended: one socket each |                  | jobs: one socket per worker
    +-----------------+                                               v                  v
    | BuiltinExecutor | --> one process per job     +--------------------+           +-------------+
    | (Snakemake's)   |                             | FreshServer        |           | ForkServer  |
    +-----------------+                             |   bare             |           +-------------+
                                                    |   learned modules  |                  | os.fork
                                                    +--------------------+                  v
                                                       | os.fork for each job       +--------------+
                                                       v                            | worker: jobs |
                                                    +--------------------+          | of one script|
                                                    | interpreter: a job |          +--------------+
                                                    +--------------------+

The first servers start when Snakemake constructs the executor, which is after it has built the DAG. A bare server needs
0.1 s, one with modules as long as it takes to import them. The only earlier moment at which Snakemake calls a plugin is
the construction of the settings, and that also happens in runs that start no job at all.
"""

import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.settings import ExecMode

from .settings import ExecutorSettings

if TYPE_CHECKING:
    from .pool import Pool


class Executor(RealExecutor):
    """Queues the jobs that Snakemake hands out, and starts them in order of priority as cores become free.

    Snakemake calls it on its main thread, and constructs it once the DAG is there.
    """

    # A scheduler may hand out all jobs that are ready, whatever cores they need: see docs/further.md.
    holds_back_to_cores = True

    def __post_init__(self) -> None:
        if sys.platform == "win32":
            raise WorkflowError("--executor pool does not work on Windows, where processes cannot be forked.")
        # Not at the top of the file: Snakemake imports every installed plugin at every start, and the fork server
        # imports this package; neither needs what these modules import.
        from .dispatcher import Dispatcher
        from .internals import BuiltinExecutor
        from .pool import ThreadPool
        from .reporter import Reporter

        self._settings: ExecutorSettings = self.executor_settings or ExecutorSettings()
        self._pool: Pool
        if self._settings.kind == "process":
            self._pool = self._process_pool()
        else:
            self._pool = ThreadPool(self.cores)
        self._reporter = Reporter(self)
        self._builtin = BuiltinExecutor(self.workflow, self.logger, self._builtin_job_ended)
        self._dispatcher = Dispatcher(
            self.workflow, self._settings, self.cores, self._pool, self._builtin, self._reporter
        )
        self._started = False
        # A large DAG is millions of objects that live to the end: keep the garbage collector from going through them.
        gc.freeze()

    def _process_pool(self) -> "Pool":
        """Return the pool of processes: fresh ones, workers for rules that ask for them, or both."""
        import resource  # which Windows does not have

        from .fork_server import ForkServer
        from .fresh_pool import FreshPool
        from .internals import fixed_threads, script_jobs_by_rule
        from .open_files import raise_open_file_limit
        from .pool import CombinedPool, ReusePool
        from .preload import LearnedModules

        remaining = script_jobs_by_rule(self.workflow)
        reuse = remaining.keys() & self._settings.reuse_rules
        for rule in reuse:
            del remaining[rule]
        open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # scripts keep the limit that the user has set
        if reuse:  # each worker is an open file
            raise_open_file_limit(self.cores)
        fresh = FreshPool(self._settings.modules, remaining, LearnedModules(), open_files)
        fresh.prestart({rule: threads for rule in remaining if (threads := fixed_threads(self.workflow, rule))})
        if not reuse:
            return fresh
        server = ForkServer(self._settings.modules, open_files)
        return CombinedPool(fresh, ReusePool(server, self._settings.jobs_per_worker))

    @property
    def cores(self) -> int:
        cores: int = self.workflow.resource_settings.cores
        return cores

    def get_exec_mode(self) -> ExecMode:
        return ExecMode.SUBPROCESS

    def get_python_executable(self) -> str:
        return sys.executable

    def run_jobs(self, jobs: list[Any]) -> None:
        if not self._started:
            self._started = True
            stop_on_sigterm()
            if self._settings.progress_seconds:
                self._reporter.take_over_progress(self._settings.progress_seconds)
        self._dispatcher.submit(jobs)

    def run_job(self, job: Any) -> None:
        self.run_jobs([job])

    def handle_job_success(self, job: Any) -> None:
        self._reporter.recorded(job)

    def handle_job_error(self, job: Any) -> None:
        self._reporter.recorded(job)
        final = job.restart_times <= job.attempt - 1
        if final and not self.workflow.execution_settings.keep_going:
            self._dispatcher.start_no_more()

    def shutdown(self) -> None:
        self._dispatcher.stop()
        self._reporter.print_progress(final=True)
        self._pool.close(at_once=self._dispatcher.broken)
        self._builtin.shutdown()
        self._reporter.settle()

    def cancel(self) -> None:
        with ignore_interrupts():
            self._dispatcher.stop()
            self._pool.close(at_once=True)
            self._builtin.cancel()
            self._reporter.settle()

    def _builtin_job_ended(self, job: Any, succeeded: bool, report: Callable[[], None]) -> None:
        self._dispatcher.builtin_job_ended(job, succeeded, report)


def stop_on_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does.

    Snakemake's own handler waits for all jobs that have been handed out, which here are all that are ready.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if callable(signal.getsignal(signal.SIGINT)):
            signal.raise_signal(signal.SIGINT)
        else:
            raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)


@contextlib.contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Ignore further Ctrl-C and SIGTERM while the first one is being handled."""
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other thread may change handlers
        # a function, not SIG_IGN, which child processes would inherit
        handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
