"""Runs one command to its end and measures it: time, processor time, memory of all its processes."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil

FIRST_INTERVAL = 0.02  # seconds
INTERVAL = 0.1  # seconds between two samples; longer if taking one is slow (SHARE)
SHARE = 0.02  # of one core: what sampling may cost, at most
PSS_INTERVAL = 1.0  # seconds
LIMIT = 600  # seconds after which to stop a run, unless the user says otherwise
SLOW = 60  # seconds: a contender that takes longer in a round runs in no later one


class Measurement(NamedTuple):
    """What a command took, in seconds and bytes."""

    code: int
    wall: float
    user: float
    sys: float
    memory: int  # peak of all its processes at once: PSS, in which a page that n processes share counts as 1/n
    controller: int  # peak of the process started first (RSS)
    sampling: float  # the part of a core that measuring took meanwhile
    others: float  # the cores that everything else on this machine used meanwhile


class Sampler:
    """Watches a process and all its descendants."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.memory = self.controller = 0  # bytes, the peaks
        self.largest_rss = 0  # bytes
        self.next_pss = 0.0  # seconds, on the clock of time.perf_counter
        self.cpu: dict[tuple, tuple[float, float]] = {}  # process -> user, sys seconds when last seen

    def sample(self) -> None:
        """Take one sample."""
        try:
            family = [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        alive, total = [], 0
        for member in family:
            try:
                with member.oneshot():
                    rss, times = member.memory_info().rss, member.cpu_times()
            except psutil.Error:  # it ended meanwhile
                continue
            alive.append(member)
            total += rss
            self.cpu[member.pid, member.create_time()] = (times.user, times.system)
            if member == self.process:
                self.controller = max(self.controller, rss)
        # Resident memory counts a shared page once for each process. The proportional figure does not, but reading it
        # walks every page: so only now and then, and when there is markedly more.
        now = time.perf_counter()
        if now >= self.next_pss or total > 1.05 * self.largest_rss:
            self.next_pss = now + PSS_INTERVAL
            self.memory = max(self.memory, sum(proportional_memory(member) for member in alive))
        self.largest_rss = max(self.largest_rss, total)


def proportional_memory(process: psutil.Process) -> int:
    """Return the bytes of `process`: its own pages and its share of shared ones; if that is unknown, its RSS."""
    try:
        footprint = process.memory_full_info()
    except psutil.Error:
        return 0
    return getattr(footprint, "pss", footprint.rss)


def busy_time() -> float:
    """Return the seconds that all cores of this machine together have worked so far, for whatever process."""
    times = psutil.cpu_times()
    return times.user + times.system


class TookTooLong(Exception):
    """A command took longer than its limit and was stopped."""


def run(command: list[str], folder: str, log: str, own_times: str, limit: float | None = None) -> Measurement:
    """Run `command` in the working directory `folder`, with its messages in the file `log`.

    If it leaves the file `own_times` in its folder ({"wall": , "user": , "sys": } in seconds), those times count
    instead of the command's. Whatever ends this function also ends the command and its processes.

    Raises TookTooLong after `limit` seconds.
    """
    ended = threading.Event()
    result = {}
    busy_before = busy_time()
    with open(log, "wb") as messages:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=messages, stderr=subprocess.STDOUT
        )

    def wait() -> None:
        # In a thread, blocking: polling would find the end late. wait4 returns the processor time of this command with
        # all the children that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        result.update(wall=time.perf_counter() - start, status=status, usage=usage)
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()

    sampler = Sampler(psutil.Process(process.pid))
    threading.Thread(target=wait, daemon=True).start()
    spent = time.thread_time()
    try:
        while not ended.is_set():
            before = time.perf_counter()
            sampler.sample()
            now = time.perf_counter()
            # At first as long again as it has run so far: on a busy machine a sample is slow, and a short command would
            # be over before the second one.
            pause = min(max(INTERVAL, (now - before) / SHARE), max(FIRST_INTERVAL, now - start))
            ended.wait(pause if limit is None else min(pause, max(0, start + limit - now)))
            if limit is not None and not ended.is_set() and time.perf_counter() > start + limit:
                raise TookTooLong(f"after {limit:g} s")
    except BaseException:
        kill_family(process.pid)
        ended.wait(5)
        raise
    spent = time.thread_time() - spent
    busy = busy_time() - busy_before
    # Processes that nobody waited for are missing from the system's account, short-lived ones from the samples.
    user = max(result["usage"].ru_utime, sum(user for user, _ in sampler.cpu.values()))
    system = max(result["usage"].ru_stime, sum(system for _, system in sampler.cpu.values()))
    wall, sampling = result["wall"], spent / result["wall"]
    others = max(0.0, (busy - user - system - spent) / wall)
    times = Path(folder, own_times)
    if times.exists():
        own = json.loads(times.read_text())
        wall, user, system = own["wall"], own["user"], own["sys"]
    return Measurement(process.returncode, wall, user, system, sampler.memory, sampler.controller, sampling, others)


def run_well(command: list[str], folder: str, log: str, own_times: str, limit: float | None = None) -> Measurement:
    """Do what `run` does, and raise RuntimeError with the last line of its messages if the command fails."""
    measured = run(command, folder, log, own_times, limit)
    if measured.code != 0:
        lines = Path(log).read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"exit code {measured.code}; its last line: {lines[-1] if lines else 'none'}")
    return measured


def kill_family(pid: int) -> None:
    """Kill the process `pid` and all its descendants, and wait for these; its parent has to wait for the process."""
    try:
        top = psutil.Process(pid)
        descendants = top.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for member in [*descendants, top]:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(descendants, timeout=5)
