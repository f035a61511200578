"""A pytest plugin (`pytest -p pool_in_place`) that records results, and puts `pool` in the built-in executor's place.

snakemake_suite.py passes its options in environment variables, because pytest imports this file by itself:

    POOL_SUITE_EXECUTOR   `local` changes nothing; `pool` replaces `local` wherever a test asks for it
    POOL_SUITE_RESULTS    the file that a line of JSON is added to when a test starts, and when it has ended
"""

import functools
import json
import os
import time
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if os.environ["POOL_SUITE_EXECUTOR"] == "pool":
        replace_local_executor()


def replace_local_executor() -> None:
    """Let Snakemake's API use `pool` where it is asked for `local`: most tests call it rather than the command line.

    The tests that start Snakemake by a command line get a profile from snakemake_suite.py.
    """
    from snakemake.api import DAGApi

    from snakemake_executor_plugin_pool import ExecutorSettings

    execute_workflow = DAGApi.execute_workflow

    @functools.wraps(execute_workflow)
    def with_pool(self: DAGApi, executor: str = "local", **arguments: Any) -> Any:
        if executor == "local":
            executor = "pool"
            arguments["executor_settings"] = ExecutorSettings()
        return execute_workflow(self, executor=executor, **arguments)

    DAGApi.execute_workflow = with_pool


def pytest_runtest_logstart(nodeid: str) -> None:
    record(nodeid, "running")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":  # a fixture may fail or skip a test, too
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        record(report.nodeid, outcome, report.duration, report.longreprtext if report.failed else "")


def record(test: str, outcome: str, seconds: float = 0.0, text: str = "") -> None:
    """Add a line to the file of results."""
    line = {
        "executor": os.environ["POOL_SUITE_EXECUTOR"],
        "test": test,
        "outcome": outcome,
        "seconds": round(seconds, 2),
        "time": time.time(),
    }
    if text:
        line["text"] = text[-4000:]
    with open(os.environ["POOL_SUITE_RESULTS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
