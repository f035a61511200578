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


class File(str):
    """A file of a job, with Snakemake's flags."""

    def __new__(cls, path, **flags):
        made = super().__new__(cls, path)
        made.flags = flags
        return made

    def is_flagged(self, flag):
        return bool(self.flags.get(flag))


def files_job(name, inputs=(), outputs=(), priority=0):
    return SimpleNamespace(
        name=name, priority=priority, scheduler_resources={"_cores": 1}, input=inputs, output=outputs
    )


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


def test_temporary_files_go_depth_first():
    """As few as possible are there at a time."""
    eager = scheduler_for(SimpleNamespace(holds_back_to_cores=True))
    producers = [files_job(f"a{n}", outputs=[File(f"{n}.tmp", temp=True)]) for n in range(5)]
    assert names(eager.select_jobs(producers, producers, {"_cores": 2}, {})) == ["a0", "a1"]
    consumer = files_job("b1", inputs=[File("1.tmp")], outputs=[File("1.out")])
    ready = [*producers[2:], consumer]
    assert names(eager.select_jobs(ready, ready, {"_cores": 1}, {})) == ["b1"]
    assert names(eager.select_jobs(ready, ready, {"_cores": 2}, {})) == ["b1", "a2"]
    plain = [files_job("c"), files_job("d"), files_job("e")]
    assert names(eager.select_jobs(plain, plain, {"_cores": 2}, {})) == ["c", "d", "e"]


def test_priority_counts_more_than_temporary_files():
    eager = scheduler_for(SimpleNamespace(holds_back_to_cores=True))
    producer = files_job("a", outputs=[File("tmp", temp=True)])
    eager.select_jobs([producer], [producer], {"_cores": 1}, {})
    ready = [files_job("first", outputs=[File("x", temp=True)], priority=1), files_job("b", inputs=[File("tmp")])]
    assert names(eager.select_jobs(ready, ready, {"_cores": 1}, {})) == ["first"]


@pytest.mark.parametrize(("retrieve", "expected"), [(True, ["a"]), (False, ["a", "b"])])
def test_inputs_are_not_all_fetched_at_once(retrieve, expected):
    storage = SimpleNamespace(retrieve=retrieve)
    jobs = [files_job(name, inputs=[File(name, storage_object=storage)]) for name in "ab"]
    eager = scheduler_for(SimpleNamespace(holds_back_to_cores=True))
    assert names(eager.select_jobs(jobs, jobs, {"_cores": 1}, {})) == expected


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


@pytest.mark.slow
def test_no_more_temporary_files_exist_than_needed(tmp_path):
    """In a run of Snakemake, with an executor that takes all jobs at once."""
    (tmp_path / "events.txt").touch()
    (tmp_path / "Snakefile").write_text(
        """
rule all:
    input: expand("{n}.out", n=range(8))
rule a:
    output: temp("{n}.tmp")
    shell: "touch {output}; ls *.tmp | wc -l >> peak.txt"
rule b:
    input: "{n}.tmp"
    output: "{n}.out"
    shell: "ls *.tmp | wc -l >> peak.txt; touch {output}"
"""
    )
    plugins = str(Path(__file__).parent / "executor")
    path = os.pathsep.join(filter(None, [plugins, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--scheduler", "eager", "--executor", "queue"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, check=True, capture_output=True)
    assert max(map(int, (tmp_path / "peak.txt").read_text().split())) == 1
