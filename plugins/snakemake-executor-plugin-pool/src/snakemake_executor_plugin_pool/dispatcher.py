"""The dispatcher: decides which job starts when, and on which worker."""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from . import internals
from .job_queue import JobQueue, QueuedJob
from .pool import Pool
from .reporter import REPORT_JOBS, REPORT_SECONDS, Reporter
from .script import is_disk_full, one_line
from .settings import ExecutorSettings
from .tasks import Outcome, Task

# A job is sent to a busy worker only if the worker is expected to get to it within this many seconds.
AHEAD_SECONDS = 0.1


class Dispatcher:
    """Prepares, starts and reports jobs, in order of priority, as cores become free.

    The public methods may be called from any thread; all work happens on a thread of the dispatcher's own.
    """

    def __init__(
        self,
        workflow: Any,
        settings: ExecutorSettings,
        cores: int,
        pool: Pool,
        builtin: internals.BuiltinExecutor,
        reporter: Reporter,
    ) -> None:
        self._workflow = workflow
        self._settings = settings
        self._reuse = settings.reuse_rules
        self._pool = pool
        self._builtin = builtin
        self._reporter = reporter
        self._scripts = internals.ScriptLookup()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.broken = False  # an error of the dispatcher's own has ended it
        # what other threads hand over
        self._arrived: deque[Any] = deque()  # jobs to run
        self._builtin_ended: deque[tuple[Any, Callable[[], None]]] = deque()  # jobs, and functions that report them
        # what only the dispatcher's thread uses
        self._queue = JobQueue()
        self._free_cores = cores
        self._running: dict[Any, int] = {}  # job: its cores; includes the jobs that have been sent ahead
        self._seconds: dict[str, float] = {}  # rule name: how long its jobs take, recent ones counting most
        self._last_end = 0.0  # time.monotonic() at which a job last ended
        self._reported: float | None = None  # time.monotonic() of a report that no job has followed yet
        self._round_seconds = 0.0  # how long Snakemake last took from a report to the next jobs
        # how the run ends early
        self._failed = False  # a job has failed for good, and no others are to be started
        self._disk_full: str | None = None  # why no other job could write either, in one line
        self._gave_up = False  # Snakemake has been asked to end the run

    # -----------------------------------------------------------------------------------------------------------------
    # Called from other threads

    def submit(self, jobs: list[Any]) -> None:
        """Queue jobs. The first call starts the dispatcher."""
        self._arrived.extend(jobs)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
            self._thread.start()
        self._pool.wake()

    def builtin_job_ended(self, job: Any, succeeded: bool, report: Callable[[], None]) -> None:
        """Note that a job of the built-in executor has ended; its `report` is called once its cores are free."""
        self._reporter.ended(job, succeeded)
        self._builtin_ended.append((job, report))
        self._pool.wake()

    def start_no_more(self) -> None:
        """Start no other jobs, and end the run when those that are running have ended."""
        self._failed = True
        self._pool.wake()

    def stop(self) -> None:
        """End the dispatcher's thread."""
        self._closed = True
        self._pool.wake()
        if self._thread is not None:
            self._thread.join(timeout=2)  # no longer: it may be waiting for a slow file system

    # -----------------------------------------------------------------------------------------------------------------
    # The dispatcher's thread

    def _run(self) -> None:
        try:
            while not self._closed:
                outcomes, returned = self._pool.wait(self._seconds_to_report())
                for task in returned:
                    del self._running[task.job]
                    self._queue.push(task.job, task)
                for outcome in outcomes:
                    self._finish(outcome)
                while self._builtin_ended:
                    job, report = self._builtin_ended.popleft()
                    self._free_cores += self._running.pop(job)
                    report()
                while self._arrived:
                    self._accept(self._arrived.popleft())
                if outcomes:
                    self._last_end = time.monotonic()
                if self._seconds_to_report() == 0:
                    self._report()
                self._reporter.print_progress()
                if self._failed:
                    self._give_up()
                else:
                    self._start_jobs()
        except Exception as error:
            if not self._closed:
                self.broken = True
                if isinstance(error, ConnectionError):  # no more workers, and nothing that a traceback would explain
                    error = WorkflowError(str(error))
                self._reporter.abort(error)

    def _seconds_to_report(self) -> float | None:
        """Return how long the jobs that have succeeded may wait to be reported with others; None if there are none.

        With nothing in the queue, the report may make jobs ready. But if Snakemake's scheduler takes longer for a round
        than the jobs that are running, it is best to report all of them together; and also with those that the round
        hands out that the last report has begun.
        """
        if not self._reporter.pending:
            return None
        if self._reporter.pending >= REPORT_JOBS:
            return 0
        if self._queue:
            delay = REPORT_SECONDS
        elif self._running or self._reported is not None:
            delay = max(self._round_seconds, 0 if self._reported is None else REPORT_SECONDS)
            if any(self._expected_seconds(job) > delay for job in self._running):
                delay = 0
        else:
            delay = 0
        return max(0, self._last_end + delay - time.monotonic())

    def _report(self) -> None:
        self._reporter.flush()
        self._reported = None if self._queue else time.monotonic()

    def _accept(self, job: Any) -> None:
        if self._reported is not None:
            self._round_seconds, self._reported = time.monotonic() - self._reported, None
        if job.is_group() or not job.is_norun:
            self._queue.push(job)
            return
        # Nothing to run and nothing to prepare: its input files were checked when the jobs that made them ended.
        # (`Job.prepare` compares every input file with all others: minutes for a rule `all` with 100,000.)
        if not self._settings.quiet_jobs:
            self._reporter.announce(job)
        self._reporter.submitted(job)
        self._reporter.succeeded(job)

    def _start_jobs(self) -> None:
        """Start jobs while there is room for them.

        The first in line gets the next cores that become free, and nothing overtakes it, so that jobs that need many
        cores do not starve.
        """
        if not self._queue or not self._has_room(self._queue.first()):
            return
        failed: list[tuple[Any, str | None]] = []
        builtin: list[Any] = []
        with internals.scheduler_paused(self._workflow):
            while self._queue and not self._failed and self._has_room(self._queue.first()):
                entry = self._queue.pop()
                try:
                    task = entry.task or self._prepare(entry.job)
                    if task:
                        self._start(task)
                    elif cores_of(entry.job) > self._free_cores:  # not a script after all, so it cannot be sent ahead
                        self._queue.put_back(entry)
                        break
                    else:
                        self._take_cores(entry.job)
                        builtin.append(entry.job)
                except ConnectionError:
                    raise  # no more workers, which concerns all jobs
                except (OSError, WorkflowError) as error:  # about its files, and nothing that a traceback would explain
                    reason = one_line(f"cannot be started: {error}")
                    if is_disk_full(error):
                        self._stop_on_disk_full(reason)
                    failed.append((entry.job, reason))
                except Exception as error:
                    internals.print_exception(error, self._workflow)
                    failed.append((entry.job, None))
        # only now, because a job may end, and be reported, as soon as it starts
        failed += self._start_builtin(builtin)
        for job, why in failed:
            self._reporter.failed(job, why)

    def _start_builtin(self, jobs: list[Any]) -> list[tuple[Any, None]]:
        """Start jobs on the built-in executor; return those that failed to start."""
        failed = []
        for job in jobs:
            try:
                self._reporter.announce(job)
                if self._closed:
                    break
                self._reporter.begin(job)
                self._builtin.run_job(job)
            except Exception as error:
                internals.print_exception(error, self._workflow)
                self._free_cores += self._running.pop(job)
                failed.append((job, None))
        return failed

    def _has_room(self, entry: QueuedJob) -> bool:
        """Return whether cores are free for a job, or a worker will soon be free to take it next."""
        job = entry.job
        if cores_of(job) <= self._free_cores:
            return True
        if entry.task or job.is_group() or self._expected_seconds(job) >= AHEAD_SECONDS:
            return False
        script = self._scripts.find(job)
        if script is None or job.rule.name not in self._reuse:
            return False
        worker = self._pool.next_free_worker(script, job.threads, self._settings.prepare_ahead)
        return worker is not None and worker.seconds < AHEAD_SECONDS

    def _prepare(self, job: Any) -> Task | None:
        """Get everything ready for a job to run; return its task, or None if the built-in executor has to run it."""
        script = self._scripts.find(job)
        if script is None:
            return None
        if not self._settings.quiet_jobs:
            self._reporter.announce(job)
        self._reporter.begin(job)
        self._workflow.async_run(job.prepare())
        reuse = job.rule.name in self._reuse
        enforce_runtime = not self._settings.ignore_runtime
        task = internals.make_task(job, script, self._expected_seconds(job), reuse, enforce_runtime)
        if self._closed:  # while it was prepared, on a slow file system: everything has been cleaned up already
            raise ConnectionError("no more workers")
        self._reporter.submitted(job)
        return task

    def _start(self, task: Task) -> None:
        if cores_of(task.job) <= self._free_cores:
            self._pool.start(task)
            self._take_cores(task.job)
        elif self._pool.queue(task, self._settings.prepare_ahead):
            self._running[task.job] = cores_of(task.job)
        else:
            self._queue.push(task.job, task)

    def _take_cores(self, job: Any) -> None:
        self._running[job] = cores_of(job)
        self._free_cores -= cores_of(job)

    def _finish(self, outcome: Outcome) -> None:
        job = outcome.task.job
        del self._running[job]
        if not outcome.cores_taken_over:
            self._free_cores += cores_of(job)
        if outcome.reason is None:
            self._learn_seconds(job, outcome.seconds)
            if self._settings.no_empty_logs and not any(map(os.path.exists, job.log)):
                job.log.clear()
            self._reporter.succeeded(job)
        else:
            if getattr(outcome.reason, "disk_full", False):
                self._stop_on_disk_full(outcome.reason)
            if outcome.killed:
                add_to_log(job, outcome.reason)
            self._reporter.failed(job, outcome.reason)

    def _expected_seconds(self, job: Any) -> float:
        return self._seconds.get(job.rule.name, math.inf)

    def _learn_seconds(self, job: Any, seconds: float) -> None:
        name = job.rule.name
        self._seconds[name] = 0.7 * self._seconds.get(name, seconds) + 0.3 * seconds

    def _stop_on_disk_full(self, reason: str) -> None:
        if self._settings.stop_on_disk_full:
            self._disk_full = reason
            self.start_no_more()

    def _give_up(self) -> None:
        """After a final failure, end the run once the jobs that are running have ended."""
        if self._queue and not self._running and not self._gave_up:
            self._gave_up = True
            self._reporter.flush()
            # Not by reporting them as failed, which would delete their old output files.
            why = "as they could not write either" if self._disk_full else "as another job has failed"
            detail = f" ({self._disk_full})" if self._disk_full else ""
            self._reporter.abort(WorkflowError(f"Not started, {why}{detail}: {len(self._queue)} jobs."))


def cores_of(job: Any) -> int:
    """Return how many cores a job counts for: `threads: 0` does not mean that all its jobs run at once."""
    return max(1, int(job.threads))


def add_to_log(job: Any, reason: str) -> None:
    """Write to a job's (first) log file why it ended, on behalf of a script that was killed."""
    try:
        for path in job.log[:1]:
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{reason}\n")
    except OSError:
        pass  # Snakemake's own log has it too
