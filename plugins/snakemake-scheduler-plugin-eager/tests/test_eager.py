"""Which jobs the scheduler hands out: by plain function calls, and in runs of Snakemake."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_scheduler_plugins.tests import TestSchedulerBase

from snakemake_scheduler_plugin_eager import Scheduler, SchedulerSettings, first_fit

WORKFLOW = """
rule all:
    input: expand("{n}.out", n=range(JOBS))
rule work:
    output: "{n}.out"
    resources: mem_mb=400
    shell: "echo start >> events.txt; sleep 0.1; echo end >> events.txt; touch {output}"
"""


def job(name, priority=0, **resources):
    return SimpleNamespace(name=name, priority=priority, scheduler_resources=resources)


def names(jobs):
    return [job.name for job in jobs]


def scheduler_for(executor):
    workflow = SimpleNamespace(executor_plugin=SimpleNamespace(executor=executor))
    return Scheduler(SimpleNamespace(workflow=workflow), None, logging.getLogger("test"))


class TestInterface(TestSchedulerBase):
    """The tests that Snakemake's interface package provides for every scheduler."""

    __test__ = True

    def get_scheduler_cls(self):
        return Scheduler

    def get_scheduler_settings(self):
        return SchedulerSettings()


def test_jobs_come_by_priority_and_equal_ones_in_the_given_order():
    jobs = [job("a"), job("b", priority=5), job("c"), job("d", priority=9), job("e", priority=5)]
    assert names(first_fit(jobs, {})) == ["d", "b", "e", "a", "c"]


def test_a_job_that_does_not_fit_is_skipped_and_smaller_ones_follow():
    jobs = [job("large", 3, mem_mb=800), job("too much", 2, mem_mb=300), job("small", 1, mem_mb=200), job("none")]
    assert names(first_fit(jobs, {"mem_mb": 1000})) == ["large", "small", "none"]


def test_every_limit_counts():
    jobs = [job("a", gpu=1, mem_mb=10), job("b", gpu=1, mem_mb=10), job("c", mem_mb=90), job("d", mem_mb=10)]
    assert names(first_fit(jobs, {"gpu": 1, "mem_mb": 100})) == ["a", "c"]


def test_text_is_no_limit():
    assert names(first_fit([job("a", partition="long")], {"partition": "short", "cores": 1})) == ["a"]


def test_the_limits_are_not_changed():
    limits = {"mem_mb": 100}
    first_fit([job("a", mem_mb=60)], limits)
    assert limits == {"mem_mb": 100}


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (SimpleNamespace(holds_back_to_cores=True), ["wide", "a", "b"]),
        (SimpleNamespace(holds_back_to_cores=False), ["wide"]),
        (SimpleNamespace(), ["wide"]),
        (None, ["wide"]),
    ],
)
def test_cores_are_left_only_to_an_executor_that_counts_them(executor, expected):
    jobs = [job("wide", 1, _cores=2), job("a", _cores=1), job("b", _cores=1)]
    assert names(scheduler_for(executor).select_jobs(jobs, jobs, {"_cores": 2}, {})) == expected


def test_cores_are_respected_if_the_workflow_cannot_be_seen():
    scheduler = Scheduler(SimpleNamespace(), None, logging.getLogger("test"))
    jobs = [job("a", _cores=1), job("b", _cores=1)]
    assert names(scheduler.select_jobs(jobs, jobs, {"_cores": 1}, {})) == ["a"]


def run(folder, *arguments, jobs, executor):
    """Run WORKFLOW with two cores. Return Snakemake's output, and how many jobs ran at once at most."""
    (folder / "Snakefile").write_text(WORKFLOW.replace("JOBS", str(jobs)))
    plugins = str(Path(__file__).parent / "executor")
    path = os.pathsep.join(filter(None, [plugins, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "eager", "--executor", executor]
    done = subprocess.run(
        [*command, "--max-jobs-per-timespan", "1000000/0s", "--latency-wait", "0", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    running = most = 0
    events = (folder / "events.txt").read_text().split()
    assert len(events) == 2 * jobs
    for event in events:
        running += 1 if event == "start" else -1
        most = max(most, running)
    return done.stdout, most


def test_one_round_hands_out_all_ready_jobs(tmp_path):
    output, most = run(tmp_path, jobs=12, executor="queue")
    assert "Execute 12 jobs..." in output, "does Snakemake still keep the executor at dag.workflow.executor_plugin?"
    assert output.count("Select jobs to execute...") == 2
    assert most <= 2


def test_other_resources_limit_the_jobs(tmp_path):
    _, most = run(tmp_path, "--resources", "mem_mb=700", jobs=6, executor="queue")
    assert most == 1


def test_the_built_in_executor_gets_no_more_jobs_than_there_are_cores(tmp_path):
    output, most = run(tmp_path, jobs=6, executor="local")
    assert "Execute 2 jobs..." in output and "Execute 6 jobs..." not in output
    assert most <= 2
