"""What Snakemake hears of the jobs, and what it has not recorded yet."""

import time
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor

from . import internals

# Successful jobs are reported together once there are this many, or after this many seconds. Every report costs
# Snakemake's scheduler a round.
REPORT_JOBS = 16
REPORT_SECONDS = 0.05


class Reporter:
    """Reports jobs to Snakemake on behalf of its executor, and knows which of them Snakemake has not yet recorded."""

    def __init__(self, executor: RealExecutor) -> None:
        self._executor = executor
        self._workflow = executor.workflow
        # job: whether it has succeeded, None before it ends. A job is in here from the moment its files are first
        # touched until Snakemake has recorded how it ended: an interruption must not leave it like that.
        self._unsettled: dict[Any, bool | None] = {}
        self._successes: list[Any] = []  # to report together
        self._progress_seconds: float | None = None  # between two lines about progress; None: Snakemake writes them
        self._next_progress = 0.0  # time.monotonic() of the next line

    @property
    def pending(self) -> int:
        """The number of successful jobs that have not been reported."""
        return len(self._successes)

    def announce(self, job: Any) -> None:
        """Print what a job is about to do."""
        self._executor.run_job_pre(job)

    def begin(self, job: Any) -> None:
        """Note that the job's files are about to be touched."""
        self._unsettled[job] = None

    def submitted(self, job: Any) -> None:
        """Mark a job as started and incomplete."""
        self._executor.report_job_submission(SubmittedJobInfo(job))

    def succeeded(self, job: Any) -> None:
        """Note that a job has succeeded, to be reported by the next `flush`."""
        self._unsettled[job] = True
        self._successes.append(job)

    def failed(self, job: Any, reason: str | None) -> None:
        """Report that a job has failed, and print why."""
        self._unsettled[job] = False
        self._executor.report_job_error(SubmittedJobInfo(job), msg=reason, **wildcards_to_print(job))

    def ended(self, job: Any, succeeded: bool) -> None:
        """Note how a job has ended that somebody else reports. May be called from any thread."""
        self._unsettled[job] = succeeded

    def recorded(self, job: Any) -> None:
        """Note that Snakemake has recorded how a job ended. May be called from any thread."""
        self._unsettled.pop(job, None)

    def flush(self) -> None:
        """Report the jobs that have succeeded."""
        if self._successes:
            internals.report_successes(self._workflow.scheduler, self._successes)
            self._successes.clear()

    def abort(self, error: Exception) -> None:
        """End the run with an error."""
        self._workflow.scheduler.executor_error_callback(error)

    def take_over_progress(self, seconds: float) -> None:
        """Print progress every `seconds` seconds, instead of Snakemake after each job."""
        if internals.take_over_progress(self._workflow.scheduler):
            self._progress_seconds = seconds

    def print_progress(self, final: bool = False) -> None:
        """Print how many jobs are done, if that has been taken over and it is time, or `final`."""
        now = time.monotonic()
        if self._progress_seconds is not None and (final or now >= self._next_progress):
            self._next_progress = now + self._progress_seconds
            self._workflow.scheduler.progress()

    def settle(self) -> None:
        """Leave every job either done and recorded, or as if it had not been started.

        Jobs are unsettled after an interruption, after an error of the dispatcher, and after a failure, when some have
        been prepared that will not start.
        """
        for job, succeeded in list(self._unsettled.items()):
            for error in [False, True] if succeeded else [True]:
                try:
                    self._workflow.async_run(job.postprocess(error=error))
                    break
                except Exception as exception:  # then it is not done; or we cannot help it, and go on with the others
                    internals.print_exception(exception, self._workflow)


def wildcards_to_print(job: Any) -> dict[str, str]:
    """Return what Snakemake should print of a failed job besides its usual lines, which leave out the wildcards."""
    wildcards = "" if job.is_group() else ", ".join(f"{name}={value}" for name, value in job.wildcards.items())
    return {"wildcards": wildcards} if wildcards else {}
