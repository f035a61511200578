"""The CPU quota of a container: how many cores' worth of time the control groups of a process leave it (Linux).

A quota hides no core: 64 are counted where two may be used, and 64 workers would take two cores in turns and the memory
of 64. (What a cpuset or `taskset` takes away is not counted in the first place, by Snakemake either.)
"""

import math
import os


def cpu_quota(root: str = "/") -> float | None:
    """The cores that this process may keep busy, the least of its control group and those above; None for no limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max) and
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, version 1). `root` is where proc and sys are.
    """
    try:
        with open(os.path.join(root, "proc/self/cgroup"), encoding="utf-8", errors="surrogateescape") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None  # no Linux
    limits = []
    for _, controllers, path in groups:
        if not controllers:
            mounts = [""]  # version 2
        elif "cpu" in controllers.split(","):
            mounts = [controllers, "cpu"]
        else:
            continue
        for mount in mounts:
            top = os.path.join(root, "sys/fs/cgroup", mount)
            # Inside a container the path may be the host's, and what is mounted the container's own group.
            for folder in ancestors(path):
                limits.append(limit_of(os.path.join(top, folder)))
    return min((limit for limit in limits if limit), default=None)


def ancestors(path: str) -> list[str]:
    """`path` without its first slash, the folders above it, and "" for the top."""
    parts = [part for part in path.split("/") if part]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def limit_of(folder: str) -> float | None:
    """The cores that the control group `folder` allows; None if it sets no limit, or is none."""
    words = (read_words(folder, "cpu.max") or read_words(folder, "cpu.cfs_quota_us"))[:2]
    if len(words) == 1:
        words += read_words(folder, "cpu.cfs_period_us")
    try:
        quota, period = map(int, words)
    except ValueError:
        return None  # "max", or not there
    return quota / period if quota > 0 and period > 0 else None


def read_words(folder: str, name: str) -> list[str]:
    """The words of a file of a control group; none if it is not there."""
    try:
        with open(os.path.join(folder, name), encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


def cores_within(quota: float | None, cores: int) -> int:
    """How many of `cores` to use under a quota: it is rounded up, so that none of it is left."""
    return cores if quota is None else min(cores, math.ceil(quota))
