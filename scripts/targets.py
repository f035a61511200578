"""What the targets of the workflow ask for."""

import functools
import sys
from collections.abc import Callable

from scripts.catalogue import Catalogue
from scripts.folders import FolderError, check_output, date_back
from scripts.history import History
from scripts.report import FAILURES, name_of, read_failures
from scripts.shards import Shards
from scripts.snakemake_run import forcing, largest_shard, may_leave_out, runs_jobs
from scripts.status import say


def every_thumbnail(workflow, catalogue: Catalogue, history: History, shards: Shards) -> Callable:
    """The input of rule `all`: every thumbnail of the catalogue, without those that are certainly current.

    A function, because Snakemake says only when it builds the DAG what is asked of it.
    """

    @functools.cache
    def thumbnails() -> list[str]:
        say("looking for what has changed")
        pictures = list(catalogue.pictures)
        if catalogue.settings["leave_out"] and may_leave_out(workflow) and not history.shard_folder:
            left_out = history.leave_out()
            pictures = [picture for picture in pictures if picture not in left_out]
        return ask_for(pictures, workflow, catalogue, history, shards)

    return lambda wildcards: thumbnails()


def every_failure(workflow, catalogue: Catalogue, history: History, shards: Shards) -> Callable:
    """The input of rule `retry`: the thumbnails of the pictures in the list of failures."""

    @functools.cache
    def thumbnails() -> list[str]:
        failures = read_failures(FAILURES)
        if not failures:
            print(f"thumbmill: no failure is listed in {FAILURES}")
            return []
        pictures = [picture for picture in catalogue.pictures if name_of(catalogue, picture) in failures]
        return ask_for(pictures, workflow, catalogue, history, shards)

    return lambda wildcards: thumbnails()


def ask_for(pictures: list[str], workflow, catalogue: Catalogue, history: History, shards: Shards) -> list[str]:
    """What the DAG is to be asked for, so that it makes the thumbnails of `pictures`: these, or shards of them."""
    history.see_folders()
    will_write = bool(pictures) and runs_jobs(workflow) and not workflow.dryrun
    try:
        check_output(catalogue, pictures, will_write)
    except FolderError as error:
        sys.exit(f"thumbmill: {error}")
    if will_write and (found := date_back(catalogue, pictures)):
        print(
            f"thumbmill: {found:,} thumbnails are dated in the future (was the clock set back?): they are judged anew",
            file=sys.stderr,
        )
    if not pictures:
        # With one to ask about, Snakemake says by itself that nothing is to be done.
        pictures = list(catalogue.pictures)[:1]
        history.left_out -= {*pictures}
        return catalogue.thumbnails(pictures)
    if (largest := largest_shard(workflow)) and not history.shard_folder:
        return shards.divide(pictures, largest, forcing(workflow), workflow.dryrun)
    catalogue.expect(len(pictures))
    return catalogue.thumbnails(pictures)
