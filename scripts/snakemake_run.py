"""What only Snakemake knows of a run: what was asked of it, what it finds necessary and why, what became of each job.

No public interface tells. Hence its workflow, DAG, scheduler and records are asked in the functions of this file and
nowhere else; tests/test_workflow.py and tests/test_leaving_out.py fail should they answer otherwise one day.
"""

import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from scripts.container import cores_within, cpu_quota

TRIGGERS = {"mtime", "params", "input"}  # by which thumbnails are judged: the default profile's

LOOKING = {"plan", "orphans"}  # rules


class Missing(NamedTuple):
    """A picture that has no thumbnail after the run: its job's log file ("" if it has none), whether the job failed."""

    log: str
    failed: bool


class Outcome(NamedTuple):
    """What became of the pictures that a run looked at, each by what Snakemake calls it."""

    made: list[str]
    made_unrecorded: list[str]  # just before an interruption or with --drop-metadata: Snakemake may make them again
    current: dict[str, list[str]]  # and the paths of their thumbnails, as Snakemake holds them
    missing: dict[str, Missing]


def judges_by_all(workflow) -> bool:
    """Whether this run finds a picture current only if nothing that counts has changed."""
    asked = workflow.dag_settings
    return (
        {str(trigger) for trigger in asked.rerun_triggers} == TRIGGERS
        and asked.force_incomplete
        and not (asked.until or asked.omit_from or asked.batch or asked.allowed_rules)
    )


def runs_jobs(workflow) -> bool:
    """Whether this run makes thumbnails, or would if it were no dry run."""
    return workflow.execution_settings is not None and workflow.executor_plugin is not None and not workflow.touch


def forcing(workflow) -> str:
    """The flag by which this run makes all that it is asked for, needed or not; "" if it has none."""
    if workflow.dag_settings.forceall:
        return "--forceall"
    return "--forcerun thumbnail" if "thumbnail" in workflow.dag_settings.forcerun else ""


def hold_to_cpu_quota(workflow, root: str = "/") -> None:
    """Let `--cores all` mean the cores that a container's CPU quota allows, and say so; for the top of the Snakefile.

    Snakemake counts the host's (`snakemake.utils.available_cpu_count`), and keeps the number, however it was given, in
    the two places set here, from which it and its executors take it. So another number than the host's stays as it is.
    """
    from snakemake.utils import available_cpu_count  # here, since workers import this package without Snakemake

    counted = available_cpu_count()
    if not workflow.is_main_process or workflow.resource_settings.cores != counted:
        return
    quota = cpu_quota(root)
    cores = cores_within(quota, counted)
    if cores < counted:
        workflow.resource_settings.cores = workflow.global_resources["_cores"] = cores
        print(f"thumbmill: --cores {cores}, since a CPU quota allows {quota:g} of {counted} cores", file=sys.stderr)


def all_cores(workflow) -> int:
    """The cores of this machine that the run may use; 1 where its jobs go elsewhere and none are named."""
    return workflow.resource_settings.cores or 1


def only_looks(workflow) -> bool:
    """Whether this run makes nothing but lists of what there is, beside which another may work."""
    return all(job.rule.name in LOOKING for job in workflow.dag.needrun_jobs())


def largest_shard(workflow) -> int:
    """How many pictures a shard holds at most, as a profile says (set-resources); 0 if this run makes no shards."""
    return workflow.get_rule("shard").resources["pictures"].value if runs_jobs(workflow) else 0


def may_leave_out(workflow) -> bool:
    """Whether this run only makes what is to be made, so that what is certainly current need not be in its DAG.

    Not if it makes more than that (--forceall), does something else with all thumbnails (--touch), or does not run
    jobs at all (--summary, --report, --list-..., --delete-all-output): such a run has no executor.
    """
    asked = workflow.dag_settings
    return (
        runs_jobs(workflow)
        and judges_by_all(workflow)
        and not (asked.forceall or asked.forcerun or asked.forcetargets or asked.target_jobs)
    )


def needed(dag) -> tuple[dict[str, str], int]:
    """The pictures whose jobs `dag` finds necessary, each with the reason, and the number of the others."""
    reasons, current = {}, 0
    for job in dag.jobs:
        if "picture" in job.wildcards_dict:
            if dag.needrun(job):
                reasons[job.wildcards_dict["picture"]] = why(dag.reason(job))
            else:
                current += 1
    return reasons, current


def why(reason) -> str:
    """Snakemake's `reason` for a job, in this workflow's words; in its own where it has another."""
    if reason.forced:
        return "asked for"
    if reason.missing_output:
        return "has no thumbnail"
    if reason.updated_input:
        return "is newer than its thumbnail"
    if reason.params_changed or reason.input_changed:
        return "its size in bytes, the settings, the picture script or Pillow changed"
    return str(reason)


def outcome(workflow) -> Outcome:
    """What became of each picture that the DAG of `workflow` holds, after the run."""
    result = Outcome([], [], {}, {})
    dag, failed = workflow.dag, workflow.scheduler.failed
    start = workflow.start_time.timestamp()
    for job in dag.jobs:
        if "picture" not in job.wildcards_dict:
            continue
        picture = job.wildcards_dict["picture"]
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


def recorded_as_made(workflow, paths: Iterable[str]) -> bool:
    """Whether Snakemake's records say that it made the files at `paths` (as it holds them), as they are now."""
    for path in paths:
        if path.is_storage:
            return False  # only orphans are asked about, which are not removed there
        record = workflow.persistence.metadata(path)
        if record is None or record.endtime != mtime(path):
            return False
    return True


def seconds_taken(workflow, path: str) -> float | None:
    """How long the job took that made the file at `path` (as Snakemake holds it); None if there is no record of it."""
    times = job_times(workflow, path)
    return times and max(0.0, times[1] - times[0])


def job_times(workflow, path: str) -> tuple[float, float] | None:
    """When the job began and ended that made the file at `path` (as Snakemake holds it); None if there is no record.

    In seconds since the epoch, by the clock of the disk: dates of files, the former before the job's script began.
    """
    from snakemake.io import IOFile  # here, since workers import this package without Snakemake

    record = workflow.persistence.metadata(IOFile(path))
    if record is None or not record.starttime or not record.endtime:
        return None
    return record.starttime, record.endtime


def mtime(path: str) -> float:
    """When the file at `path` was changed, for Snakemake: of a link, the later of its own and its target's."""
    return max(os.stat(path).st_mtime, os.lstat(path).st_mtime)
