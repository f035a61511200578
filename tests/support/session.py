"""What the reports ask of a session, without Snakemake, for the current directory."""

from types import SimpleNamespace
from typing import Any

from tests.support.runs import open_history
from thumbmill.run.paths import RunPaths


def open_session(**config: Any) -> Any:
    """Return a session of the main process, for these settings."""
    history = open_history(**config)
    return SimpleNamespace(
        catalog=history.catalog,
        history=history,
        settings=history.settings,
        paths=RunPaths(),
        workflow=SimpleNamespace(is_main_process=True),
    )
