"""What the targets of the workflow ask for."""

import functools
from collections.abc import Callable

from scripts.catalogue import Catalogue
from scripts.history import History
from scripts.report import FAILURES, name_of, read_failures
from scripts.snakemake_run import may_leave_out
from scripts.status import say


def every_thumbnail(workflow, catalogue: Catalogue, history: History) -> Callable:
    """The input of rule `all`: every thumbnail of the catalogue, without those that are certainly current.

    A function, because Snakemake says only when it builds the DAG what is asked of it.
    """

    @functools.cache
    def function(wildcards=None) -> list[str]:
        say("looking for what has changed")
        history.see_folders()
        left_out = frozenset()
        if catalogue.settings["leave_out"] and may_leave_out(workflow):
            left_out = history.leave_out()
        catalogue.expect(len(catalogue.pictures) - len(left_out))
        return catalogue.thumbnails(wildcard for wildcard in catalogue.pictures if wildcard not in left_out)

    return lambda wildcards: function()


def every_failure(catalogue: Catalogue) -> Callable:
    """The input of rule `retry`: the thumbnails of the pictures in the list of failures."""

    def function(wildcards) -> list[str]:
        failures = read_failures(FAILURES)
        if not failures:
            print(f"thumbmill: no failure is listed in {FAILURES}")
        return catalogue.thumbnails(
            wildcard for wildcard in catalogue.pictures if name_of(catalogue, wildcard) in failures
        )

    return function
