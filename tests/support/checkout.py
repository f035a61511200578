"""A copy of the workflow, to change something in it."""

import shutil
from pathlib import Path

from tests.support.shop import REPOSITORY

PARTS = ("Snakefile", "config.yaml", "rules", "scripts", "thumbmill", "schemas", "profiles", "envs")


def copy_workflow(target: Path) -> Path:
    """Copy the workflow to the new folder `target`, as a fresh checkout: with today's dates. Return the folder."""
    target.mkdir()
    for part in PARTS:
        if (REPOSITORY / part).is_dir():
            shutil.copytree(
                REPOSITORY / part,
                target / part,
                copy_function=shutil.copyfile,
                ignore=shutil.ignore_patterns("__pycache__"),  # where other tests are writing
            )
        else:
            shutil.copyfile(REPOSITORY / part, target / part)
    return target
