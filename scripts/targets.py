"""What the targets of the workflow ask for."""

import functools
import os
import sys
from collections.abc import Callable, Iterable

from scripts.catalogue import Catalogue
from scripts.folders import FolderError, check_output, date_back
from scripts.history import History
from scripts.inventory import InventoryError
from scripts.orphans import OrphansError
from scripts.report import FAILURES, name_of, read_failures
from scripts.running import Running, RunningError
from scripts.shards import Shards
from scripts.snakemake_run import forcing, largest_shard, may_leave_out, runs_jobs
from scripts.status import say
from scripts.thumbnail import remove


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


def unless_refused(check: Callable, *arguments) -> Callable:
    """The input of a target that takes no files: none, unless `check(*arguments)` refuses it, with an error.

    Here, before any work, that is told in a line. The failure of a `run:` block would be told by Snakemake, in a page.
    """

    def no_files(wildcards) -> list[str]:
        try:
            check(*arguments)
        except (InventoryError, OrphansError) as error:
            sys.exit(f"thumbmill: {error}")
        return []

    return no_files


def ask_for(pictures: list[str], workflow, catalogue: Catalogue, history: History, shards: Shards) -> list[str]:
    """What the DAG is to be asked for, so that it makes the thumbnails of `pictures`: these, or shards of them."""
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
    if will_write and shards.running:
        remove_empty((path for picture in pictures for path in catalogue.outputs(picture)), shards.running)
    if not pictures:
        # With one to ask about, Snakemake says by itself that nothing is to be done.
        pictures = list(catalogue.pictures)[:1]
        history.left_out -= {*pictures}
        return catalogue.thumbnails(pictures)
    if (largest := largest_shard(workflow)) and not history.shard_folder:
        return shards.divide(pictures, largest, forcing(workflow))
    catalogue.expect(len(pictures))
    return catalogue.thumbnails(pictures)


def remove_empty(paths: Iterable[str], running: Running) -> None:
    """Remove those of the thumbnails at `paths` that have no bytes, which Snakemake would take for current.

    A power cut leaves them: a file's name may reach the disk before its content does. History has none, since it is
    written when all content is on the disk; so only what it does not know is asked about.
    """
    empty = [path for path in paths if is_empty(path)]
    if empty:
        try:
            running.take()
        except RunningError:
            running.refused = False  # begin() will say so, if there is anything to do
            return
        for path in empty:
            remove(path)


def is_empty(path: str) -> bool:
    """Whether there is a file of no bytes at `path`."""
    try:
        return os.stat(path).st_size == 0
    except (OSError, ValueError):
        return False
