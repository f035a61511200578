"""The end of a run: judge what it made, record it, and print the summary."""

import atexit
import contextlib
import sys
import time
from collections.abc import Iterable

from thumbmill import failures
from thumbmill.catalog.history import RunResult
from thumbmill.failures import Failure, Kind
from thumbmill.run.failures import find_reason, read_job_log, update_lists
from thumbmill.run.session import Session
from thumbmill.run.shards import ShardResult, read_results, write_result
from thumbmill.run.snakemake_internals import (
    Missing,
    judges_by_all_triggers,
    needed,
    outcome,
    recorded_as_made,
    was_run,
)
from thumbmill.run.summary import Summary, describe_effort, describe_space, forecast
from thumbmill.run.verify import remove_outdated

NEEDED_IN_SHARD = "has no thumbnail, or something about it changed"


def summarize_at_exit(session: Session) -> None:
    """Have the run judged, recorded and summarized when the process exits.

    Snakemake's hooks (onsuccess, onerror) do not run when there is nothing to do, and Snakemake prints more lines after
    them.
    """
    begun = time.monotonic() - max(0.0, time.time() - session.workflow.start_time.timestamp())
    atexit.register(finish, session, begun)


def finish(session: Session, begun: float) -> None:
    """Print the summary of a run that began at `begun` (of time.monotonic()), as the process's last act.

    Says nothing if nothing was run: in the processes of single jobs, after an error in the settings, for other targets.
    After a dry run it says what would be done.
    """
    if not was_run(session.workflow) or (session.lock and session.lock.refused):
        return
    with contextlib.chdir(session.folder):  # Snakemake has gone back to where it was started
        if session.workflow.dryrun:
            print_forecast(session)
        else:
            conclude(session, time.monotonic() - begun)


def print_forecast(session: Session) -> None:
    """Print what a dry run would make."""
    catalog = session.catalog
    reasons, current = needed(session.workflow.dag)
    reasons |= dict.fromkeys(session.shards.wildcards, NEEDED_IN_SHARD)
    if reasons or current:
        named = {catalog.display_name(wildcard): reason for wildcard, reason in reasons.items()}
        print(forecast(named, current + len(session.skipped)))


def conclude(session: Session, seconds: float) -> None:
    """Judge, record and summarize a run that took `seconds`, in its working directory."""
    workflow, catalog, history, shards = session.workflow, session.catalog, session.history, session.shards
    ended = outcome(workflow)
    reported = read_results(shards.results())
    start = workflow.start_time.timestamp()
    made = [*ended.made, *reported.made]
    unrecorded = [*ended.made_unrecorded, *shards.made_unreported(reported, start)]
    current = [*ended.current, *reported.current, *session.skipped]
    missing = {wildcard: reason_of(session, wildcard, job) for wildcard, job in ended.missing.items()}
    missing |= reported.missing
    if not (made or unrecorded or current or missing or shards.wildcards):
        return
    writes = session.is_shard or session.may_write()
    outdated = remove_outdated(workflow, history, ended) if writes else set()
    missing |= dict.fromkeys(outdated, failures.modified())
    made, unrecorded, current = (without(outdated, wildcards) for wildcards in (made, unrecorded, current))
    accounted_for = {*made, *unrecorded, *reported.current, *missing}
    missing |= dict.fromkeys({*shards.wildcards} - accounted_for, failures.shard_died())
    judged = reported.current | {
        wildcard: recorded_as_made(workflow, paths)
        for wildcard, paths in ended.current.items()
        if wildcard not in outdated
    }
    named = {catalog.display_name(wildcard): failure for wildcard, failure in missing.items()}
    warned, lists_written = 0, True
    try:
        if session.is_shard:
            if all(failure.kind != Kind.STOPPED for failure in missing.values()):
                write_result(session.shard_folder, ShardResult(made, judged, missing))
        elif writes:
            warned = update_lists(catalog, session.paths, [*made, *unrecorded, *current], named)
            if not workflow.touch:
                complete = judged if judges_by_all_triggers(workflow) else {}
                history.update(RunResult(made, complete, seconds, session.folders_before), session.skipped)
            shards.remove()
    except OSError as error:
        lists_written = False
        failure = failures.not_written(error.filename or session.paths.failures, error)
        print(f"thumbmill: what happened is only reported here: {failure.text}", file=sys.stderr)
    summary = Summary(
        made=len(made) + len(unrecorded),
        current=len(current),
        missing=named,
        warned=warned,
        effort=describe_effort(catalog, history, [*made, *unrecorded], seconds),
        space=describe_space(catalog, history, [*made, *unrecorded], named),
        lists_written=lists_written,
    )
    print(summary.text(session.paths), file=sys.stderr)


def reason_of(session: Session, wildcard: str, job: Missing) -> Failure:
    """Return why the `job` of a picture made nothing."""
    failure = read_job_log(job.log)
    if failure:
        return failure
    return find_reason(session.catalog, wildcard) if job.failed else failures.stopped()


def without(unwanted: set[str], wildcards: Iterable[str]) -> list[str]:
    """Return those of the `wildcards` that are not `unwanted`."""
    return [wildcard for wildcard in wildcards if wildcard not in unwanted]
