"""The pool of worker processes by itself, without Snakemake."""

import os
import pickle
import select
import socket
import time

import psutil
import pytest
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Snakemake, Wildcards

from snakemake_executor_plugin_pool import fork_server
from snakemake_executor_plugin_pool.fork_server import ForkServer
from snakemake_executor_plugin_pool.pool import ReusePool
from snakemake_executor_plugin_pool.script import Script
from snakemake_executor_plugin_pool.tasks import Task


@pytest.fixture
def pool():
    pool = ReusePool(ForkServer(), tasks_per_worker=0)
    yield pool
    pool.close(at_once=True)


@pytest.fixture
def task(tmp_path):
    def make(code, script=None, **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.py"
        path.write_text(code)
        script = script or Script(str(path), str(path), str(tmp_path), (), (), (), pickle.dumps({}))
        files = InputFiles(), OutputFiles(), Params(), Wildcards(), 1, ResourceList(), Log()
        return Task(None, script, pickle.dumps(Snakemake(*files, None, "rule", None, None)), threads=1, **options)

    return make


def outcomes_of(pool, count):
    outcomes = []
    while len(outcomes) < count:
        outcomes += pool.wait(60)[0]
    return outcomes


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        pytest.param(
            "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", marks=pytest.mark.slow
        ),
        "import subprocess\nsubprocess.run(['sleep', '1000'])",
    ],
)
def test_time_limit(pool, task, code):
    first = task(code, limit=0.3)
    pool.start(first)
    assert pool.queue(task("", first.script), ahead=1)
    (outcome,) = outcomes_of(pool, 1)
    assert outcome.reason == "killed: exceeded its time limit (runtime) of 0.005 min"
    children = psutil.Process().children(recursive=True)
    assert not any("sleep" in child.cmdline() for child in children)


def test_tasks_behind_one_that_kills_its_worker_are_returned(pool, task):
    first = task("import os, time\ntime.sleep(0.2)\nos.kill(os.getpid(), 9)")
    pool.start(first)
    second = task("", first.script)
    assert pool.queue(second, ahead=1)
    assert not pool.queue(task("", first.script), ahead=1)
    outcomes, returned = pool.wait(60)
    assert [outcome.reason for outcome in outcomes] == ["worker died: signal 9 (SIGKILL)"]
    assert not outcomes[0].cores_taken_over
    assert returned == [second]


def test_tasks_wait_in_the_worker_that_is_likely_to_be_free_first(pool, task):
    script = task("import time; time.sleep(10)").script
    for seconds in (1.0, 1.0, 0.1):
        pool.start(task("", script, seconds=seconds))
    queued = [task("", script, seconds=0.2) for _ in range(3)]
    assert all(pool.queue(waiting, ahead=3) for waiting in queued)
    assert queued in [list(process.tasks)[1:] for process in pool._workers]
    assert pool.next_free_worker(script, 1, ahead=4).seconds == pytest.approx(0.7)


def test_a_script_is_sent_ahead_only_if_that_does_not_wait(pool, task):
    first = task("import time; time.sleep(10)")
    pool.start(first)
    large = task("", first.script)
    large.payload = bytes(1_000_000)
    assert not pool.queue(large, ahead=1)
    assert pool.queue(task("", first.script), ahead=1)


def test_a_worker_runs_only_one_script(pool, task):
    first = task("import os; os.getpid()")
    for each in (first, task("", first.script), task("pass")):
        pool.start(each)
        assert [outcome.reason for outcome in outcomes_of(pool, 1)] == [None]
    assert [worker.done for worker in pool._workers] == [1]
    first = task("import time; time.sleep(10)")
    pool.start(first)
    assert not pool.queue(task("pass"), ahead=1)


def test_many_replaced_workers_leave_no_zombies(pool, task):
    pool._tasks_per_worker = 1
    for _ in range(20):
        pool.start(task(""))
        outcomes_of(pool, 1)
    server = psutil.Process(pool._server.pid)
    deadline = time.monotonic() + 60
    while len(server.children()) >= 5 and time.monotonic() < deadline:  # each takes a moment to end
        time.sleep(0.5)
        pool.start(task(""))
        outcomes_of(pool, 1)
    assert len(server.children()) < 5


def test_a_worker_that_dies_at_once_fails_its_task_alone(pool, task, monkeypatch):
    def fork():
        pid, connection = ForkServer.fork(pool._server)
        os.kill(pid, 9)
        assert connection.poll(60)  # its end has been closed
        return pid, connection

    monkeypatch.setattr(pool._server, "fork", fork)
    pool.start(task(""))
    assert [outcome.reason for outcome in outcomes_of(pool, 1)] == ["worker died: signal 9 (SIGKILL)"]


def test_a_dead_fork_server_is_reported(pool, task):
    pool._server._process.kill()
    with pytest.raises(ConnectionError):
        for _ in range(3):
            pool.start(task("import time; time.sleep(10)"))


def test_when_snakemake_has_died_the_server_ends_all_workers(capfd):
    """Also if it has just answered, and nobody has read that."""
    server = ForkServer()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(server._control, [fork_server.REQUEST.pack(fork_server.FORK, 0, 0)], [theirs.fileno()])
        assert select.select([server._control], [], [], 60)[0]
        (process,) = psutil.Process(server.pid).children()
        server._control.close()
        assert server._process.wait(60) == 0
        assert not process.is_running()
    assert capfd.readouterr().err == ""


def test_a_worker_whose_snakemake_has_died_says_nothing(task, capfd):
    server, one = ForkServer(), task("pass")
    _, connection = server.fork()
    connection.send_bytes(pickle.dumps((os.getcwd(), dict(os.environ))))
    connection.send_bytes(pickle.dumps((one.script, one.payload, 1, None)))
    connection.close()
    server.close()
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_a_worker_that_is_interrupted_while_it_ends_says_nothing(tmp_path, monkeypatch, capfd):
    (tmp_path / "slow_to_end.py").write_text("import atexit, time\natexit.register(time.sleep, 60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    server = ForkServer(["slow_to_end"])
    _, connection = server.fork()
    connection.close()
    time.sleep(0.5)
    server.close(at_once=True)
    assert capfd.readouterr().err == ""
