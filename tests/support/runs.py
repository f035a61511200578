"""What a run does to the current directory, by function calls and without Snakemake."""

import os
from typing import Any

from tests.support.settings import settings
from thumbmill.catalog.history import History, RunResult
from thumbmill.catalog.listing import list_catalog
from thumbmill.catalog.recipe import ingredients
from thumbmill.errors import PictureError
from thumbmill.files import remove_file, remove_temporary_files
from thumbmill.run.failures import update_lists
from thumbmill.run.job import run_job
from thumbmill.run.paths import RunPaths


def open_history(**config: Any) -> History:
    """Return what earlier runs made of the catalogue in the current directory, for these settings."""
    complete = settings(**config)
    return History(list_catalog(complete), ingredients(complete))


def make(**config: Any) -> set[str]:
    """Make what the history does not call current, and record how that ended; return the pictures made.

    What a run of Snakemake does, if its DAG finds everything necessary that it is asked about.
    """
    history = open_history(**config)
    catalog, paths = history.catalog, RunPaths()
    skipped = history.unchanged()
    folders_before = remove_temporary_files(history.settings["output"])
    made, missing = [], {}
    for wildcard in catalog:
        if wildcard in skipped:
            continue
        outputs, log = catalog.thumbnails(wildcard), paths.job_log(wildcard)
        for path in (*outputs, log):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            remove_file(path)  # as Snakemake does before a job
        job_config = {**history.settings, "worker_memory": history.settings["max_memory"]}
        try:
            run_job(history.identity(wildcard) or (), catalog.input_of(wildcard), outputs, log, job_config)
            made.append(wildcard)
        except PictureError as error:
            missing[catalog.display_name(wildcard)] = error.failure
    update_lists(catalog, paths, [*made, *skipped], missing)
    history.update(RunResult(made, {}, 1.0, folders_before), skipped)
    return set(made)
