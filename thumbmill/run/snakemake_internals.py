"""What only Snakemake's private interfaces offer: what a run was asked for, why, and what became of each job.

Snakemake's workflow, DAG, scheduler and records are asked in the functions of this file and nowhere else.
tests/run/test_snakemake_internals.py and tests/workflow fail should they answer otherwise one day.
"""

import functools
import gc
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from thumbmill.run.cgroups import cap_cores, cpu_quota

TRIGGERS = {"mtime", "params", "input"}  # by which thumbnails are judged: the default profile's
READ_ONLY_RULES = {"plan", "orphans"}
SCRIPT = "scripts/thumbnail.py"

Workflow = Any  # snakemake.workflow.Workflow, which has no public type


class Missing(NamedTuple):
    """A picture that has no thumbnail after the run: its job's log file ("" if it has none), whether the job failed."""

    log: str
    failed: bool


class Outcome(NamedTuple):
    """What became of the pictures that a run looked at, each by its wildcard."""

    made: list[str]
    made_unrecorded: list[str]  # just before an interruption or with --drop-metadata: Snakemake may make them again
    current: dict[str, list[Any]]  # and the paths of their thumbnails, as Snakemake holds them
    missing: dict[str, Missing]


# What a run was asked for


def judges_by_all_triggers(workflow: Workflow) -> bool:
    """Whether this run finds a picture current only if nothing that counts has changed."""
    asked = workflow.dag_settings
    return (
        {str(trigger) for trigger in asked.rerun_triggers} == TRIGGERS
        and asked.force_incomplete
        and not (asked.until or asked.omit_from or asked.batch or asked.allowed_rules)
    )


def runs_jobs(workflow: Workflow) -> bool:
    """Whether this run makes thumbnails, or would if it were no dry run."""
    return workflow.execution_settings is not None and workflow.executor_plugin is not None and not workflow.touch


def will_write(workflow: Workflow) -> bool:
    """Whether this process runs jobs that write thumbnails."""
    return workflow.is_main_process and runs_jobs(workflow) and not workflow.dryrun


def can_skip_unchanged(workflow: Workflow) -> bool:
    """Whether this run only makes what has to be made, so that what is certainly current need not be in its DAG.

    Not if it makes more than that (--forceall), does something else with all thumbnails (--touch), or does not run
    jobs at all (--summary, --report, --list-..., --delete-all-output): such a run has no executor.
    """
    asked = workflow.dag_settings
    return (
        runs_jobs(workflow)
        and judges_by_all_triggers(workflow)
        and not (asked.forceall or asked.forcerun or asked.forcetargets or asked.target_jobs)
    )


def force_flag(workflow: Workflow) -> str:
    """Return the flag by which this run makes all that it is asked for, needed or not; "" if it has none."""
    if workflow.dag_settings.forceall:
        return "--forceall"
    return "--forcerun thumbnail" if "thumbnail" in workflow.dag_settings.forcerun else ""


def is_read_only(workflow: Workflow) -> bool:
    """Whether this run makes nothing but lists of what there is, beside which another may work."""
    return all(job.rule.name in READ_ONLY_RULES for job in workflow.dag.needrun_jobs())


def largest_shard(workflow: Workflow) -> int:
    """Return how many pictures a shard holds at most, as a profile says (set-resources); 0 if this run makes no shards.

    A Snakemake module makes none.
    """
    if not runs_jobs(workflow) or not workflow.is_rule("shard"):
        return 0
    return workflow.get_rule("shard").resources["pictures"].value


def all_cores(workflow: Workflow) -> int:
    """Return the cores of this machine that the run may use; 1 if its jobs go elsewhere and none are named."""
    return workflow.resource_settings.cores or 1


def cap_cores_to_cpu_quota(workflow: Workflow, root: str = "/") -> None:
    """Let `--cores all` mean the cores that a container's CPU quota allows, and say so; for the top of the Snakefile.

    Snakemake counts the host's (`snakemake.utils.available_cpu_count`), and keeps the number, however it was given, in
    the two places set here, from which it and its executors take it. So any number but the host's stays as it is.
    """
    from snakemake.utils import available_cpu_count  # here, since workers import this package without Snakemake

    counted = available_cpu_count()
    if not workflow.is_main_process or workflow.resource_settings.cores != counted:
        return
    quota = cpu_quota(root)
    cores = cap_cores(quota, counted)
    if cores < counted:
        workflow.resource_settings.cores = workflow.global_resources["_cores"] = cores
        print(f"thumbmill: --cores {cores}, since a CPU quota allows {quota:g} of {counted} cores", file=sys.stderr)


# Snakemake modules


def is_module(workflow: Workflow) -> bool:
    """Whether the Snakefile being read is used by another workflow's `module` statement. Call while it is read."""
    return not workflow.modifier.is_main_snakefile()


def module_path(workflow: Workflow, path: str) -> str:
    """Return where a module's `prefix:` (or `replace_prefix:`) moves a `path` of a rule. Call while it is read."""
    return workflow.modifier.path_modifier.replace_prefix(path)


# What became of the jobs


def picture_jobs(dag: Any) -> Iterator[tuple[str, Any]]:
    """Yield (wildcard, job) of each job of the rule `thumbnail`, whatever a module calls that rule."""
    for job in dag.jobs:
        if "picture" in job.wildcards_dict and str(job.rule.script or "").endswith(SCRIPT):
            yield job.wildcards_dict["picture"], job


def needed(dag: Any) -> tuple[dict[str, str], int]:
    """Return the pictures whose jobs `dag` finds necessary, each with the reason, and the number of the others."""
    reasons, current = {}, 0
    for picture, job in picture_jobs(dag):
        if dag.needrun(job):
            reasons[picture] = describe_reason(dag.reason(job))
        else:
            current += 1
    return reasons, current


def describe_reason(reason: Any) -> str:
    """Return Snakemake's `reason` for a job, in this workflow's words; in its own if it has another."""
    if reason.forced:
        return "asked for"
    if reason.missing_output:
        return "has no thumbnail"
    if reason.updated_input:
        return "is newer than its thumbnail"
    if reason.params_changed or reason.input_changed:
        return "its content, the settings, thumbmill's imaging code or Pillow changed"
    return str(reason)


def outcome(workflow: Workflow) -> Outcome:
    """Return what became of each picture that the DAG of `workflow` holds, after the run."""
    result = Outcome([], [], {}, {})
    dag, failed = workflow.dag, workflow.scheduler.failed
    start = workflow.start_time.timestamp()
    for picture, job in picture_jobs(dag):
        if dag.finished(job):
            (result.made if workflow.execution_settings.keep_metadata else result.made_unrecorded).append(picture)
        elif not dag.needrun(job):
            result.current[picture] = job.output
        elif job not in failed and not job.output[0].is_storage and made_since(job.output, start):
            result.made_unrecorded.append(picture)
        else:
            # An executor may leave out empty logs.
            result.missing[picture] = Missing(job.log[0] if job.log else "", job in failed)
    return result


def made_since(paths: Iterable[str], start: float) -> bool:
    """Whether all `paths` are files written at `start` (seconds since the epoch) or later."""
    try:
        return all(os.path.getmtime(path) >= start for path in paths)
    except OSError:
        return False


def was_run(workflow: Workflow) -> bool:
    """Whether this process got as far as scheduling jobs, rather than ending with an error or serving a single job."""
    return workflow.is_main_process and workflow.scheduler is not None


def recorded_as_made(workflow: Workflow, paths: Iterable[Any]) -> bool:
    """Whether Snakemake's records say that it made the files at `paths` (as it holds them), as they are now."""
    for path in paths:
        if path.is_storage:
            return False  # only orphans are asked about, which are not removed there
        record = workflow.persistence.metadata(path)
        if record is None or record.endtime != mtime(path):
            return False
    return True


def job_times(workflow: Workflow, path: str) -> tuple[float, float] | None:
    """Return when the job began and ended that made the file at `path` (as Snakemake calls it); None without a record.

    In seconds since the epoch, by the clock of the disk: dates of files, the former before the job's script began.
    """
    from snakemake.io import IOFile  # here, since workers import this package without Snakemake

    record = workflow.persistence.metadata(IOFile(path))
    if record is None or not record.starttime or not record.endtime:
        return None
    return record.starttime, record.endtime


def mtime(path: str) -> float:
    """Return when the file at `path` changed, for Snakemake: of a link, the later of its own and its target's."""
    return max(os.stat(path).st_mtime, os.lstat(path).st_mtime)


# Per-job lookups whose answer never changes. Without these a run of 10,000 pictures takes a fifth longer; nothing else
# depends on them.


def as_input_function(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `function` (of one argument, `wildcards`) with its signature written down.

    Snakemake asks each input and params function for its signature some eight times for each job: 10 microseconds for a
    method, one for a function that carries the answer.
    """

    def with_signature(wildcards: Any) -> Any:
        return function(wildcards)

    with_signature.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("wildcards", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    return with_signature


def collect_garbage_less_often() -> None:
    """Tune Python's garbage collector for a process that builds a large DAG.

    That is millions of objects that live to the end, and the collector would go through them again and again: a sixth
    of the time to build it.
    """
    gc.set_threshold(20_000, 50, 100)


def cache_script_path(workflow: Workflow) -> None:
    """Let Snakemake look up once, and not three times for each job, where its copy of the rule's script is.

    The answer depends on nothing but the script's path, and costs 0.2 milliseconds for each job: a third of building
    the DAG. Without such a lookup nothing is cached.
    """
    sourcecache = workflow.sourcecache
    look_up = getattr(sourcecache, "_cache_entry", None)
    if look_up is not None:
        sourcecache._cache_entry = functools.cache(look_up)
