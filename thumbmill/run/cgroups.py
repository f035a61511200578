"""The cores and memory that this machine, or the container that this process is in, allows (Linux's control groups).

A quota hides no core: 64 are counted though only two may be busy, and 64 workers would take turns on two cores with the
memory of 64. (What a cpuset or `taskset` takes away is not counted in the first place, by Snakemake either.)
"""

import math
import os
from collections.abc import Iterator

# The share of memory that workers get. The rest is left to the controller (17 kB for each picture to be made), to the
# system and to files in memory.
WORKER_SHARE = 0.75


def cpu_quota(root: str = "/") -> float | None:
    """Return the cores that this process may keep busy: the least of its control groups; None for no limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max) and
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, version 1). `root` is where proc and sys are.
    """
    limits = []
    for folder in group_folders("cpu", root):
        words = (read_words(folder, "cpu.max") or read_words(folder, "cpu.cfs_quota_us"))[:2]
        if len(words) == 1:
            words += read_words(folder, "cpu.cfs_period_us")
        try:
            quota, period = map(int, words)
        except ValueError:
            continue  # "max", or not there
        if quota > 0 and period > 0:
            limits.append(quota / period)
    return min(limits, default=None)


def cap_cores(quota: float | None, cores: int) -> int:
    """Return how many of `cores` to use under a quota, rounded up so that none of it is left."""
    return cores if quota is None else min(cores, math.ceil(quota))


def memory(root: str = "/") -> int:
    """Return the memory of this machine in bytes, or of the container that this process is in.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max) and
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes). `root` as in cpu_quota().
    """
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for folder in group_folders("memory", root):
        for word in (read_words(folder, "memory.max") or read_words(folder, "memory.limit_in_bytes"))[:1]:
            if word.isdecimal():  # not "max"
                found.append(int(word))
    return min(found)


def worker_memory(max_memory: int, cores: int) -> int:
    """Return the memory that each of `cores` workers may use, in MB: `max_memory`, or its share if that is less.

    So no number of pictures that are built to fill the memory makes the machine swap.
    """
    return max(1, min(max_memory, int(memory() * WORKER_SHARE / cores / 1_000_000)))


def group_folders(controller: str, root: str) -> Iterator[str]:
    """Yield the folders of the control groups with this `controller` that this process is in, and of all above them.

    Each line of the process's list is "0::/path" in version 2, "9:cpu,cpuacct:/path" in version 1 (man 7 cgroups).
    """
    try:
        with open(os.path.join(root, "proc/self/cgroup"), encoding="utf-8", errors="surrogateescape") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return  # no Linux
    for _, controllers, path in groups:
        if not controllers:
            mounts = [""]  # version 2
        elif controller in controllers.split(","):
            mounts = [controllers, controller]
        else:
            continue
        # Inside a container the path may be the host's, and what is mounted the container's own group.
        parts = [part for part in path.split("/") if part]
        for mount in mounts:
            for count in range(len(parts), -1, -1):
                yield os.path.join(root, "sys/fs/cgroup", mount, *parts[:count])


def read_words(folder: str, name: str) -> list[str]:
    """Return the words of a file of a control group; none if it is not there."""
    try:
        with open(os.path.join(folder, name), encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []
