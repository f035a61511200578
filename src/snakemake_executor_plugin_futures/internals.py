"""All that this plugin needs of Snakemake and that its plugin interface does not offer, in one place.

Each function says why. The tests fail when a Snakemake release changes one of them.
"""

import contextlib
import os
import pickle
import signal
import sys
import threading
from functools import partial

import psutil
from snakemake.common import get_snakemake_searchpaths
from snakemake.exceptions import print_exception as _print_exception
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.iocontainers import Snakemake
from snakemake.settings.types import DeploymentMethod
from snakemake.sourcecache import LocalSourceFile, infer_source_file
from snakemake.utils import format as format_path
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from .pool import Task
from .worker import Script


def runs_plain_script(job):
    """Tell whether a job does nothing but run a script with Snakemake's own Python.

    The rule's attributes are not part of the interface, and no interface tells a script from a shell command.
    """
    rule, workflow = job.rule, job.rule.workflow
    methods = workflow.deployment_settings.deployment_method
    return (
        rule.script is not None
        and rule.shadow_depth is None
        and rule.benchmark is None
        and not (workflow.workflow_settings.cache is not None and rule.cache)
        and not (DeploymentMethod.CONDA in methods and rule.conda_env)
        and not (DeploymentMethod.APPTAINER in methods and rule.container_img)
        and not (DeploymentMethod.ENV_MODULES in methods and rule.env_modules)
    )


def has_fixed_script(rule):
    """Tell whether all jobs of a rule run the same script: its path has neither wildcards nor params in it."""
    return "{" not in str(rule.script)


def script_of(job):
    """Return a job's script, or None if it is not a Python script in a local file.

    Follows `snakemake.script.script` and `PythonScript.get_preamble`, which read it anew for each job.
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
    own_path = (os.path.dirname(cached), script_directory(source))
    return Script(
        path=os.path.realpath(source.get_path_or_uri(secret_free=True)),
        source=cached,
        directory=own_path[1],
        # as for a script in an interpreter of its own: first the directory that Snakemake writes it to
        search_path=(os.path.abspath(".snakemake/scripts"), *sys.path[1:], *get_snakemake_searchpaths(), *own_path),
        own_path=own_path,
        # the config that the rule's code sees: that of its module, where it comes from one
        config=pickle.dumps(rule.run_func.__globals__["config"]),
    )


def script_directory(source):
    return source.get_basedir().get_path_or_uri(secret_free=True)


def snakemake_object(job, script):
    """Return the pickled `snakemake` object of a job, without config.

    `Snakemake.__init__` tries to import three data frame libraries each time, to convert params of their types. That is
    dear where they are not installed (0.1 ms), and needless where all params are of built-in types.
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


def task(job, script, seconds):
    """Return a job as a task for a pool; `seconds` is how long it is likely to take."""
    runtime = job.resources.get("runtime")
    return Task(
        job,
        script,
        snakemake_object(job, script),
        threads=job.threads,
        tmpdir=job.resources.get("tmpdir"),
        limit=runtime * 60 if isinstance(runtime, (int, float)) else None,
        fresh=job.attempt > 1,
        seconds=seconds,
    )


PLAIN_TYPES = {type(None), bool, int, float, str, list, tuple, dict, set}


def print_exception(error, workflow):
    """Print an exception as Snakemake prints those of a job, with lines of the Snakefile instead of compiled ones."""
    _print_exception(error, workflow.linemaps)


class BuiltinExecutor(LocalExecutor):
    """The executor that is built into Snakemake, with `ended(job, well, report)` in place of `report()` at a job's end.

    A plugin cannot ask for it, and it has no other hook for the end of a job. It does not report by itself, as a job
    that has failed may be handed out once more, at once, while its cores are not yet known to be free.

    It marks a job as incomplete once it has started it, which is right if the same thread takes the mark away at the
    end. Here that is another one, and a short job may have ended by then: its mark would stay. So it is set before.
    """

    def __init__(self, workflow, logger, ended):
        self._ended = ended
        self._cancelled = False
        super().__init__(workflow, logger)

    def run_job(self, job):
        super().report_job_submission(SubmittedJobInfo(job))
        super().run_job(job)

    def report_job_submission(self, job_info, register_job=True):
        pass  # done

    def report_job_success(self, job_info):
        # an interrupted command may say that it has ended well: bash does, at times
        self._ended(job_info.job, not self._cancelled, partial(super().report_job_success, job_info))

    def report_job_error(self, job_info, msg=None, **kwargs):
        self._ended(job_info.job, False, partial(super().report_job_error, job_info, msg, **kwargs))

    def cancel(self):
        """End what is running, and what is only just starting: its processes may not be there at the first look."""
        self._cancelled = True
        end = threading.Thread(target=self.pool.shutdown)
        end.start()
        end.join(0.1)
        while end.is_alive():
            end_child_processes()
            end.join(0.1)


def end_child_processes(grace=1.0):
    """End the processes that the built-in executor has started: interrupt them, and kill what is left after `grace` s.

    On Ctrl-C the terminal has told them already, but nobody does if Snakemake alone gets a SIGTERM.
    """
    processes = psutil.Process().children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


def scheduler_resting(workflow):
    """Return a context in which the scheduler does not work on finished jobs. No job must be reported in it.

    What prepares and marks a job must not run while Snakemake postprocesses others, or builds anew what hangs on a
    checkpoint: both work on the same DAG and its records.

    It is faster, too: both threads compute, and make some fifty system calls for a job. At work at the same time they
    would pass the interpreter lock to and fro at each of these, which costs a tenth of their time.
    """
    if workflow.remote_execution_settings.immediate_submit:
        return contextlib.nullcontext()  # here, to submit a job is to report it
    return workflow.scheduler._lock


def report_successes(scheduler, jobs):
    """Report jobs as finished, all at once.

    `finish_callback` does it one by one, and makes the scheduler do a round for each. A round copies the set of all
    jobs that were handed out: at 100,000 of them, a third of a millisecond a job.
    """
    with scheduler._lock:
        scheduler._tofinish.extend(jobs)
        scheduler._open_jobs.release()


def take_over_progress(scheduler):
    """Let the scheduler write nothing at the end of each job; tell whether it would have, but for that.

    What it writes are two records for each job: no setting makes them fewer, but --quiet, which means none.
    """
    written, scheduler.print_progress = scheduler.print_progress, False
    return written
