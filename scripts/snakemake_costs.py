"""Answers that Snakemake works out anew for each job though they never change, worked out once for all jobs.

Without these a run of 10,000 pictures takes a fifth longer; nothing else depends on them.
"""

import functools
import gc
import inspect
from collections.abc import Callable


def as_input_function(method: Callable) -> Callable:
    """`method` (of one argument, `wildcards`) as a function whose signature is written down.

    Snakemake asks each input and params function for its signature some eight times a job: 10 microseconds for a
    method, one for a function that carries the answer.
    """

    def function(wildcards):
        return method(wildcards)

    function.__signature__ = inspect.signature(function)
    return function


def collect_garbage_less_often() -> None:
    """Raise the thresholds of Python's garbage collector.

    A DAG is millions of objects that live until the end, and the collector would go through them over and over: up to a
    sixth of the time to build it.
    """
    gc.set_threshold(20_000, 50, 100)


def remember_script_path(workflow) -> None:
    """Let Snakemake look up once, and not three times a job, where its copy of the rule's script lies.

    The answer depends on nothing but the script's path, and costs 0.2 milliseconds a job: a third of building the DAG.
    There is no public way to give it; tests/test_project.py fails when Snakemake no longer asks in this way.
    """
    sourcecache = workflow.sourcecache
    sourcecache._cache_entry = functools.cache(sourcecache._cache_entry)
