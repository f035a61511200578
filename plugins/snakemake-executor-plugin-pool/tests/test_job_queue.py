"""The order in which jobs leave the queue."""

from types import SimpleNamespace

import pytest

from snakemake_executor_plugin_pool.job_queue import JobQueue


@pytest.fixture
def queue():
    return JobQueue()


def job(name, priority=0):
    return SimpleNamespace(name=name, priority=priority)


def names(queue):
    return [queue.pop().job.name for _ in range(len(queue))]


def test_by_priority_then_first_come_first_served(queue):
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        queue.push(job(name, priority))
    assert names(queue) == ["b", "d", "a", "c"]


def test_prepared_jobs_come_first_within_their_priority(queue):
    queue.push(job("a"))
    queue.push(job("urgent", 1))
    queue.push(job("prepared"), task=object())
    assert names(queue) == ["urgent", "prepared", "a"]


def test_a_job_that_is_put_back_keeps_its_place(queue):
    for name in "abc":
        queue.push(job(name))
    queue.put_back(queue.pop())
    assert queue.first().job.name == "a"
    assert names(queue) == ["a", "b", "c"]
