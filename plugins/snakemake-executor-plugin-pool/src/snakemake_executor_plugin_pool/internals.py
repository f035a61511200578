"""Everything that this plugin uses of Snakemake beyond its plugin interface, in one place.

Each function says why. The tests fail when a Snakemake release changes one of them.
"""

import contextlib
import os
import pickle
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import psutil
from snakemake import PIP_DEPLOYMENTS_PATH
from snakemake.common import get_snakemake_searchpaths
from snakemake.exceptions import print_exception as _print_exception
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.iocontainers import Snakemake
from snakemake.settings.types import DeploymentMethod
from snakemake.shell import shell
from snakemake.sourcecache import LocalSourceFile, infer_source_file
from snakemake.utils import format as format_path
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from .script import Script
from .tasks import Task

PLAIN_TYPES = {type(None), bool, int, float, str, list, tuple, dict, set}


class ScriptLookup:
    """Finds the script of a job, once for all jobs of a rule if they share it."""

    def __init__(self) -> None:
        self._plain: dict[str, bool] = {}  # rule name: whether its jobs are plain scripts
        self._scripts: dict[str, Script | None] = {}  # rule name: its script, if all its jobs have the same

    def find(self, job: Any) -> Script | None:
        """Return the script of a job, or None if the job is anything but a plain Python script."""
        if job.is_group() or job.resources.get("shell_exec") is not None:
            return None
        name = job.rule.name
        if name not in self._plain:
            self._plain[name] = runs_plain_script(job)
        if not self._plain[name]:
            return None
        if name in self._scripts:
            return self._scripts[name]
        script = script_of(job)
        if has_fixed_script(job.rule):
            self._scripts[name] = script
        return script


def runs_plain_script(job: Any) -> bool:
    """Return whether a job does nothing but run a script with Snakemake's own Python.

    The rule's attributes are not part of the interface, which does not distinguish a script from a shell command.
    """
    rule, workflow = job.rule, job.rule.workflow
    methods = workflow.deployment_settings.deployment_method
    return (
        rule.script is not None
        and rule.shadow_depth is None
        and rule.benchmark is None
        # the built-in executor leaves a copy of the script if it is asked to
        and workflow.execution_settings.cleanup_scripts
        # what runs in a shell before and after each script
        and not (shell._process_prefix or shell._process_suffix)
        and not (workflow.workflow_settings.cache is not None and rule.cache)
        and not (DeploymentMethod.CONDA in methods and rule.conda_env)
        and not (DeploymentMethod.APPTAINER in methods and rule.container_img)
        and not (DeploymentMethod.ENV_MODULES in methods and rule.env_modules)
    )


def has_fixed_script(rule: Any) -> bool:
    """Return whether all jobs of a rule run the same script: its path contains neither wildcards nor params."""
    return "{" not in str(rule.script)


def script_of(job: Any) -> Script | None:
    """Return a job's script, or None if it is not a Python script in a local file.

    Follows `snakemake.script.script` and `PythonScript.get_preamble`, which would read it again for each job.
    """
    rule, sourcecache = job.rule, job.rule.workflow.sourcecache
    path = rule.script
    if hasattr(path, "get_path_or_uri"):
        path = path.format(wildcards=job.wildcards, params=job.params)
    else:
        path = infer_source_file(format_path(str(path), wildcards=job.wildcards, params=job.params))
    source = infer_source_file(path, infer_source_file(rule.basedir) if rule.basedir is not None else None)
    if not isinstance(source, LocalSourceFile) or not source.get_filename().endswith(".py"):
        return None
    cached = sourcecache.get_path(source)
    with open(cached, "rb") as file:
        if b"__real_file__" in file.read():
            return None  # the name of the temporary copy that the built-in executor runs
    directory = source.get_basedir().get_path_or_uri(secret_free=True)
    own_path = (os.path.dirname(cached), directory)
    return Script(
        path=os.path.realpath(source.get_path_or_uri(secret_free=True)),
        source=cached,
        directory=directory,
        # as for a script in an interpreter of its own: first the directory that Snakemake writes it to
        search_path=(os.path.abspath(".snakemake/scripts"), *sys.path[1:], *get_snakemake_searchpaths(), *own_path),
        extra_path=(*get_snakemake_searchpaths(), *own_path, PIP_DEPLOYMENTS_PATH),  # importing Snakemake adds the last
        own_path=own_path,
        # the config that the rule's code sees: that of its module, if it comes from one
        config=pickle.dumps(rule.run_func.__globals__["config"]),
    )


def snakemake_object(job: Any, script: Script) -> bytes:
    """Return the pickled `snakemake` object of a job, without config.

    `Snakemake.__init__` tries to import three data frame libraries each time, to convert params of their types. That is
    costly when they are missing (0.1 ms), and unnecessary when all params are of built-in types.
    """
    params = job.params
    if all(type(value) in PLAIN_TYPES for value in params):
        snakemake = Snakemake.__new__(Snakemake)
        vars(snakemake).update(
            input=job.input._plainstrings(),
            output=job.output._plainstrings(),
            _params_store=params,
            _params_types={},
            wildcards=job.wildcards,
            threads=job.threads,
            resources=job.resources,
            log=job.log._plainstrings(),
            config=None,
            rule=job.rule.name,
            bench_iteration=None,
            scriptdir=script.directory,
        )
    else:
        snakemake = Snakemake(
            job.input,
            job.output,
            params,
            job.wildcards,
            job.threads,
            job.resources,
            job.log,
            None,
            job.rule.name,
            None,
            script.directory,
        )
    return pickle.dumps(snakemake, protocol=pickle.HIGHEST_PROTOCOL)


def make_task(job: Any, script: Script, seconds: float, reuse: bool, enforce_runtime: bool) -> Task:
    """Return a job as a task for a pool; `seconds` is how long it is expected to take.

    It may `reuse` a worker, and is ended when it has run for the resource `runtime` if `enforce_runtime`.
    """
    runtime = job.resources.get("runtime") if enforce_runtime else None
    return Task(
        job,
        script,
        snakemake_object(job, script),
        threads=job.threads,
        tmpdir=job.resources.get("tmpdir"),
        limit=runtime * 60 if isinstance(runtime, (int, float)) else None,
        fresh=job.attempt > 1,
        seconds=seconds,
        rule=job.rule.name,
        reuse=reuse,
    )


def script_jobs_by_rule(workflow: Any) -> Counter[str]:
    """Return how many jobs with a script each rule has left, as far as the DAG is known yet.

    An executor is handed a few jobs at a time, and does not learn what follows.
    """
    return Counter(job.rule.name for job in workflow.dag.needrun_jobs() if job.rule.script)


def fixed_threads(workflow: Any, rule: str) -> int | None:
    """Return the number of threads of all jobs of a rule, or None if a function decides that."""
    threads = workflow.get_rule(rule).resources["_cores"]
    return None if threads.is_evaluable() else min(int(threads.value), workflow.resource_settings.cores)


def print_exception(error: BaseException, workflow: Any) -> None:
    """Print an exception as Snakemake prints those of a job, with lines of the Snakefile instead of compiled ones."""
    _print_exception(error, workflow.linemaps)


class BuiltinExecutor(LocalExecutor):
    """The executor built into Snakemake, except that it calls `ended(job, succeeded, report)` at the end of a job.

    A plugin cannot ask for the built-in executor, and it has no other hook for the end of a job. It does not report by
    itself here: Snakemake may hand out a failed job again as soon as it is reported, before its cores are known to be
    free. Calling `report()` reports the job. Call it on the thread that calls `run_job`, which marks the job as
    incomplete only after starting it: reported earlier, a short job would keep its mark.
    """

    def __init__(self, workflow: Any, logger: Any, ended: Callable[[Any, bool, Callable[[], None]], None]) -> None:
        self._ended = ended
        self._cancelled = False
        super().__init__(workflow, logger)

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        # an interrupted command may claim success: bash sometimes does
        self._ended(job_info.job, not self._cancelled, partial(super().report_job_success, job_info))

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        self._ended(job_info.job, False, partial(super().report_job_error, job_info, msg, **kwargs))

    def cancel(self) -> None:
        """End what is running, and what is just starting: its processes may not be there at the first look."""
        self._cancelled = True
        end = threading.Thread(target=self.pool.shutdown)
        end.start()
        end.join(0.1)
        while end.is_alive():
            end_child_processes()
            end.join(0.1)


def end_child_processes(grace: float = 1.0) -> None:
    """End the processes that the built-in executor has started: interrupt them, and kill what is left after `grace` s.

    On Ctrl-C the terminal has interrupted them already, but nobody has if only Snakemake gets a SIGTERM.
    """
    processes = psutil.Process().children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


def scheduler_paused(workflow: Any) -> AbstractContextManager[Any]:
    """Return a context in which the scheduler does not work on finished jobs. Never report a job inside it.

    Jobs must not be prepared and marked while Snakemake postprocesses others, or rebuilds what depends on a checkpoint:
    both work on the same DAG and its records.

    It is also faster: both threads compute, and make some fifty system calls per job. Working at the same time, they
    would hand the interpreter lock back and forth at each of these, which takes a tenth of their time.
    """
    if workflow.remote_execution_settings.immediate_submit:
        return contextlib.nullcontext()  # in this mode, submitting a job reports it
    lock: AbstractContextManager[Any] = workflow.scheduler._lock
    return lock


def report_successes(scheduler: Any, jobs: list[Any]) -> None:
    """Report jobs as finished, all at once.

    `finish_callback` does it one by one, and makes the scheduler do a round for each. A round copies the set of all
    jobs that were handed out: with 100,000 of them, a third of a millisecond per job.
    """
    with scheduler._lock:
        scheduler._tofinish.extend(jobs)
        scheduler._open_jobs.release()


def take_over_progress(scheduler: Any) -> bool:
    """Stop the scheduler from writing at the end of each job; return whether it would have.

    It writes two records per job. The only setting that avoids them is --quiet, which silences progress altogether.
    """
    written, scheduler.print_progress = scheduler.print_progress, False
    return bool(written)
