"""Runs Python scripts in workers that stay up for the whole run, instead of a new interpreter for each job."""

import contextlib
import gc
import heapq
import importlib.util
import itertools
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode, ExecutorSettingsBase

common_settings = CommonSettings(
    non_local_exec=False,
    job_deploy_sources=False,
    implies_no_shared_fs=False,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
)

# Jobs are sent to a busy worker only as long as it will get to them within so many seconds.
AHEAD_SECONDS = 0.1

# Jobs that have ended well are reported together, when there are so many, or after so many seconds; at once if nothing
# is waiting, since other jobs may become ready by that. Each report costs Snakemake's scheduler a round.
REPORT_JOBS = 16
REPORT_SECONDS = 0.05

# Files that Snakemake has open now and then during a run, while it reads, records and prepares. Tried: 7 are enough, 3
# are not.
FILES_OF_SNAKEMAKE = 10


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """The settings of this executor, `--futures-...` on the command line.

    Raises WorkflowError, naming setting, value and what is allowed.
    """

    kind: str = field(
        default="process",
        metadata={
            "help": "Where scripts run: 'process' (worker processes, at most one for each core; scripts see nothing of "
            "each other) or 'thread' (threads of Snakemake's own process: for scripts that wait more than they "
            "compute). Threads cannot keep apart the working directory, environment variables, imported modules and "
            "standard streams; a script that crashes ends the whole run, the resource 'runtime' is no limit, and "
            "Ctrl-C waits for scripts to end.",
            "choices": ["process", "thread"],
        },
    )
    prepare_ahead: int = field(
        default=8,
        metadata={
            "help": "Jobs made ready for each worker while it is busy (0 or more); their old output files are deleted "
            "then. More keep workers busy if jobs take less than a few milliseconds. Jobs that take longer than a "
            "tenth of a second are not made ready ahead, whatever the number.",
        },
    )
    jobs_per_worker: int = field(
        default=1000,
        metadata={
            "help": "Jobs that a worker process runs until a new one takes its place, so that memory lost by scripts "
            "does not add up (0: no end).",
        },
    )
    preload: str = field(
        default="",
        metadata={
            "help": "Python modules that scripts import, separated by commas (for example 'numpy,PIL.Image'): worker "
            "processes have them from the start, loaded once for all while the DAG is built.",
        },
    )
    no_empty_logs: bool = field(
        default=False,
        metadata={
            "help": "Leave out the log files that scripts have not written. Snakemake makes an empty one for each; a "
            "tenth of the time of short jobs goes into that.",
        },
    )
    quiet_jobs: bool = field(
        default=False,
        metadata={
            "help": "Do not print what each script's job is about to do (rule, files, wildcards: ten lines). Jobs that "
            "fail are printed in full all the same. Saves a tenth of a millisecond for each job.",
        },
    )
    progress_seconds: float = field(
        default=0.0,
        metadata={
            "help": "Tell how many jobs are done every so many seconds, instead of two lines at the end of each job "
            "(0: those two lines, as Snakemake does). Saves a tenth of a millisecond for each job.",
        },
    )

    stop_without_room: bool = field(
        default=False,
        metadata={
            "help": "End the run, whatever --keep-going says, when a job cannot write because a disk is full, a quota "
            "is used up or a file system is read-only: the others would fail in the same way, one by one. A script "
            "tells by the OSError that it ends with, or that it was handling when it called sys.exit.",
        },
    )

    def __post_init__(self):
        if self.kind not in ("process", "thread"):
            raise setting_error("kind", self.kind, "'process' or 'thread'")
        for name in ("prepare_ahead", "jobs_per_worker", "progress_seconds"):
            if getattr(self, name) < 0:
                raise setting_error(name.replace("_", "-"), getattr(self, name), "0 or more")
        self.modules = [name.strip() for name in self.preload.split(",") if name.strip()]
        for name in self.modules:
            if not can_import(name):
                raise setting_error("preload", name, "the name of a module that can be imported")
        # Snakemake makes the settings long before it has built the DAG: meanwhile, the fork server starts. If there
        # turns out to be nothing to run, it ends together with Snakemake.
        self._server = None
        if self.kind == "process":
            self._server = self._start_server()
        # A DAG is millions of objects that live to the end, and the garbage collector would go through them over and
        # over (a sixth of the time to build it).
        gc.set_threshold(20_000, 50, 100)

    def take_server(self):
        """Return the fork server that has been started, or for a second run a new one."""
        server, self._server = self._server or self._start_server(), None
        return server

    def _start_server(self):
        from .pool import ForkServer

        return ForkServer(self.modules)


def setting_error(name, value, allowed):
    return WorkflowError(f"--futures-{name} is {value!r}, but has to be {allowed}.")


def can_import(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def wildcards_to_print(job):
    """Return what Snakemake shall print of a failed job besides its own, which leaves the wildcards out."""
    wildcards = "" if job.is_group() else ", ".join(f"{name}={value}" for name, value in job.wildcards.items())
    return {"wildcards": wildcards} if wildcards else {}


@contextlib.contextmanager
def undisturbed():
    """Return a context in which another Ctrl-C or SIGTERM does nothing: the first one is being seen to."""
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other may change them
        # a function, not SIG_IGN: child processes would inherit that
        handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def add_to_log(job, reason):
    """Write to a job's (first) log file why it ended, for a script that was killed and could not do so itself."""
    try:
        for path in job.log[:1]:
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{reason}\n")
    except OSError:
        pass  # Snakemake's own log has it too


class Waiting(NamedTuple):
    """A job in the queue, ordered by rank, then by order. `task` is what the pool is to run, once that is prepared."""

    rank: float
    order: int
    job: Any
    task: Any


class Executor(RealExecutor):
    """Queues the jobs it is given and starts them, in order of priority, as cores become free.

    Snakemake calls it on its main thread. A dispatcher thread does the work: it prepares, starts and reports jobs. What
    is no plain Python script is left to the executor that is built into Snakemake.
    """

    # tells the scheduler that it may hand out all jobs that are ready, whatever cores they need
    holds_back_to_cores = True

    def __post_init__(self):
        from . import internals, worker
        from .pool import ProcessPool, ThreadPool

        settings = self.executor_settings or ExecutorSettings()
        if settings.kind == "process":
            self._see_to_open_files()
        self._settings = settings
        self._internals = internals
        self._worker = worker
        self._builtin = internals.BuiltinExecutor(self.workflow, self.logger, self._builtin_ended)
        if settings.kind == "process":
            self._pool = ProcessPool(settings.take_server(), settings.jobs_per_worker)
        else:
            self._pool = ThreadPool(self.cores)
        self._dispatcher = None
        self._closed = False
        self._broken = False  # the dispatcher has come to an error of its own
        # put there by other threads, taken by the dispatcher
        self._arrived = deque()  # jobs to run
        self._ended = deque()  # jobs that the built-in executor has ended, and functions that report them
        # job: whether it has ended well, None before it ends. Here from when its files are first touched until
        # Snakemake has written down how it ended: what an interruption must not leave as it is.
        self._unsettled = {}
        # the dispatcher's own
        self._free_cores = self.cores
        self._waiting = []  # heap of Waiting
        self._order = itertools.count()
        self._running = {}  # job: its cores; also the jobs that have been sent ahead
        self._successes = []  # jobs to report
        self._failed = False  # a job has failed for good, and no others are to be started
        self._no_room = None  # why none of the others could write, in one line
        self._gave_up = False  # Snakemake has been told to end the run
        self._tells_progress = False  # in place of Snakemake
        self._next_progress = 0.0  # time.monotonic() of the next line about it
        self._plain = {}  # rule name: whether its jobs are plain scripts
        self._scripts = {}  # rule name: its script, if that is the same for all its jobs
        self._seconds = {}  # rule name: how long its jobs take; the last ones count most
        gc.freeze()  # the DAG is there

    # -----------------------------------------------------------------------------------------------------------------
    # Called by Snakemake, on its main thread

    @property
    def cores(self):
        return self.workflow.resource_settings.cores

    def _see_to_open_files(self):
        """Allow this process as many open files as it needs: each worker is one. Raises WorkflowError if it may not."""
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = len(os.listdir("/dev/fd")) + self.cores + FILES_OF_SNAKEMAKE
        if resource.RLIM_INFINITY not in (soft, hard) and needed > hard:
            raise WorkflowError(
                f"Only {hard} files may be open at once, and {self.cores} cores need {needed}: allow more "
                f"(`ulimit -Hn`, in a service LimitNOFILE), or use fewer (--cores)."
            )
        if soft != resource.RLIM_INFINITY and needed > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

    def get_exec_mode(self):
        return ExecMode.SUBPROCESS

    def get_python_executable(self):
        return sys.executable

    def run_jobs(self, jobs):
        if self._dispatcher is None:
            self._take_over_sigterm()
            if self._settings.progress_seconds:
                self._tells_progress = self._internals.take_over_progress(self.workflow.scheduler)
            self._dispatcher = threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)
            self._dispatcher.start()
        self._arrived.extend(jobs)
        self._pool.wake()

    def run_job(self, job):
        self.run_jobs([job])

    def handle_job_success(self, job):
        self._unsettled.pop(job, None)

    def handle_job_error(self, job):
        self._unsettled.pop(job, None)
        final = job.restart_times <= job.attempt - 1
        if final and not self.workflow.execution_settings.keep_going:
            self._failed = True
            self._pool.wake()

    def shutdown(self):
        self._stop_dispatcher()
        if self._tells_progress:
            self.workflow.scheduler.progress()
        self._pool.close(at_once=self._broken)
        self._builtin.shutdown()
        self._clean_up()

    def cancel(self):
        with undisturbed():
            self._stop_dispatcher()
            self._pool.close(at_once=True)
            self._builtin.cancel()
            self._clean_up()

    def _take_over_sigterm(self):
        # Snakemake's own handler waits for all jobs that have been handed out; here that is all there are. Who sends a
        # SIGTERM expects what Ctrl-C does.
        def stop(number, frame):
            if callable(signal.getsignal(signal.SIGINT)):
                signal.raise_signal(signal.SIGINT)
            else:
                raise KeyboardInterrupt

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)

    def _stop_dispatcher(self):
        self._closed = True
        self._pool.wake()
        if self._dispatcher is not None:
            self._dispatcher.join(timeout=2)  # not for ever: it may wait for a slow file system

    def _clean_up(self):
        """Leave each job either done and recorded, or as if it had not been started.

        There are such after an interruption, after an error of the dispatcher's, and after a failure, which leaves jobs
        that have been prepared and do not start any more.
        """
        for job, ended_well in list(self._unsettled.items()):
            for error in [False, True] if ended_well else [True]:
                try:
                    self.workflow.async_run(job.postprocess(error=error))
                    break
                except Exception as exception:  # so it is not done; or it cannot be helped, and the others come next
                    self._internals.print_exception(exception, self.workflow)

    def _builtin_ended(self, job, well, report):
        self._unsettled[job] = well
        self._ended.append((job, report))
        self._pool.wake()

    # -----------------------------------------------------------------------------------------------------------------
    # The dispatcher thread

    def _dispatch(self):
        try:
            while not self._closed:
                outcomes, returned = self._pool.wait(REPORT_SECONDS if self._successes else None)
                for task in returned:
                    del self._running[task.job]
                    self._push(task.job, task)
                for outcome in outcomes:
                    self._finish(outcome)
                while self._ended:
                    job, report = self._ended.popleft()
                    self._free_cores += self._running.pop(job)
                    report()
                while self._arrived:
                    self._accept(self._arrived.popleft())
                if len(self._successes) >= REPORT_JOBS or not self._waiting or not outcomes:
                    self._report_successes()
                if self._tells_progress:
                    self._tell_progress()
                if self._failed:
                    self._give_up()
                else:
                    self._start_jobs()
        except Exception as error:
            if not self._closed:
                self._broken = True
                if isinstance(error, ConnectionError):  # no more workers, and nothing that a traceback would explain
                    error = WorkflowError(str(error))
                self.workflow.scheduler.executor_error_callback(error)

    def _accept(self, job):
        if job.is_group() or not job.is_norun:
            self._push(job)
            return
        # Nothing to run and nothing to prepare: that its input files are there has been checked when their jobs ended.
        # (`Job.prepare` looks for each of them among all the others: minutes for a rule `all` with 100,000.)
        if not self._settings.quiet_jobs:
            self.run_job_pre(job)
        self.report_job_submission(SubmittedJobInfo(job))
        self._succeed(job)

    def _push(self, job, task=None):
        """Queue a job; one that is prepared goes before all others of its priority."""
        order = next(self._order)
        heapq.heappush(self._waiting, Waiting(-job.priority, order if task is None else -order, job, task))

    def _start_jobs(self):
        if not self._waiting or not self._has_place(self._waiting[0]):
            return
        failed, builtin = [], []
        with self._internals.scheduler_resting(self.workflow):
            # The first in line gets the next cores that become free, and nothing overtakes it: jobs that need many
            # cores do not starve.
            while self._waiting and self._has_place(self._waiting[0]):
                entry = heapq.heappop(self._waiting)
                try:
                    task = entry.task or self._prepare(entry.job)
                    if task:
                        self._start(task)
                    elif entry.job.threads > self._free_cores:  # no worker can take it next, whatever it seemed
                        heapq.heappush(self._waiting, entry)
                        break
                    else:
                        self._take_cores(entry.job)
                        builtin.append(entry.job)
                except ConnectionError:
                    raise  # no more workers: that concerns all jobs
                except (OSError, WorkflowError) as error:  # its files, and nothing that a traceback would explain
                    reason = self._worker.one_line(f"cannot be started: {error}")
                    if self._worker.found_no_room(error):
                        self._end_without_room(reason)
                    failed.append((entry.job, reason))
                    if self._failed:
                        break
                except Exception as error:
                    self._internals.print_exception(error, self.workflow)
                    failed.append((entry.job, None))
        # not before now, as a job may end, and be reported, as soon as it starts
        for job in builtin:
            try:
                self.run_job_pre(job)
                if self._closed:
                    break
                self._unsettled[job] = None
                self._builtin.run_job(job)
            except Exception as error:
                self._internals.print_exception(error, self.workflow)
                self._free_cores += self._running.pop(job)
                failed.append((job, None))
        for job, reason in failed:
            self._fail(job, reason)

    def _has_place(self, entry):
        """Tell whether cores are free for a job, or a worker will soon have done what it has, and can take it next."""
        job = entry.job
        if job.threads <= self._free_cores:
            return True
        if entry.task or job.is_group() or self._seconds.get(job.rule.name, math.inf) >= AHEAD_SECONDS:
            return False
        worker = self._pool.soonest(job.threads, self._settings.prepare_ahead)
        return worker is not None and worker.seconds < AHEAD_SECONDS

    def _start(self, task):
        if task.threads <= self._free_cores:
            self._pool.start(task)
            self._take_cores(task.job)
        elif self._pool.queue(task, self._settings.prepare_ahead):
            self._running[task.job] = task.threads
        else:
            self._push(task.job, task)

    def _take_cores(self, job):
        self._running[job] = job.threads
        self._free_cores -= job.threads

    def _prepare(self, job):
        """Get everything ready for a job to run; return the task for the pool, or None if it is not for the pool."""
        script = self._script(job)
        if script is None:
            return None
        if not self._settings.quiet_jobs:
            self.run_job_pre(job)
        self._unsettled[job] = None
        self.workflow.async_run(job.prepare())
        task = self._internals.task(job, script, self._seconds.get(job.rule.name, math.inf))
        if self._closed:  # while it was prepared, on a slow file system: all has been cleaned up already
            raise ConnectionError("no more workers")
        self.report_job_submission(SubmittedJobInfo(job))
        return task

    def _script(self, job):
        """Return the script of a job, or None if the job is more, or something else, than a Python script."""
        if not self._is_plain(job) or job.resources.get("shell_exec") is not None:
            return None
        name = job.rule.name
        if name in self._scripts:
            return self._scripts[name]
        script = self._internals.script_of(job)
        if self._internals.has_fixed_script(job.rule):
            self._scripts[name] = script
        return script

    def _is_plain(self, job):
        if job.is_group():
            return False
        name = job.rule.name
        if name not in self._plain:
            self._plain[name] = self._internals.runs_plain_script(job)
        return self._plain[name]

    def _finish(self, outcome):
        task, job = outcome.task, outcome.task.job
        del self._running[job]
        if not outcome.cores_taken_over:
            self._free_cores += task.threads
        if outcome.reason is None:
            name = job.rule.name
            self._seconds[name] = 0.7 * self._seconds.get(name, outcome.seconds) + 0.3 * outcome.seconds
            if self._settings.no_empty_logs and not any(map(os.path.exists, job.log)):
                job.log.clear()
            self._succeed(job)
        else:
            if getattr(outcome.reason, "no_room", False):
                self._end_without_room(outcome.reason)
            if outcome.killed:
                add_to_log(job, outcome.reason)
            self._fail(job, outcome.reason)

    def _succeed(self, job):
        self._unsettled[job] = True
        self._successes.append(job)

    def _fail(self, job, reason):
        self._unsettled[job] = False
        self.report_job_error(SubmittedJobInfo(job), msg=reason, **wildcards_to_print(job))

    def _end_without_room(self, reason):
        if self._settings.stop_without_room:
            self._failed = True
            self._no_room = reason
            self._pool.wake()

    def _report_successes(self):
        if self._successes:
            self._internals.report_successes(self.workflow.scheduler, self._successes)
            self._successes.clear()

    def _tell_progress(self):
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + self._settings.progress_seconds
            self.workflow.scheduler.progress()

    def _give_up(self):
        """After a final failure, end the run once the jobs that are running have ended."""
        if self._waiting and not self._running and not self._gave_up:
            self._gave_up = True
            self._report_successes()
            # To report those that have not been started as failed would delete their old output files.
            why = f"as they could not write either ({self._no_room})" if self._no_room else "as another job has failed"
            self.workflow.scheduler.executor_error_callback(
                WorkflowError(f"Not started, {why}: {len(self._waiting)} jobs.")
            )
