"""How much memory a worker may use, so that all of them together fit into what the machine or its container has."""

import os
from collections.abc import Iterator

# What is left to the controller, to the system and to files in memory. The controller takes 17 kB a picture to be made.
FOR_WORKERS = 0.75


def worker_memory(max_memory: int, cores: int) -> int:
    """The memory that each of `cores` workers may use, in MB: `max_memory`, or less where that is more than its share.

    So no number of pictures that are made to fill the memory brings the machine to swap.
    """
    return max(1, min(max_memory, int(machine_memory() * FOR_WORKERS / cores / 1_000_000)))


def machine_memory(root: str = "/") -> int:
    """The memory of this machine in bytes, or of the container (control group) that this process is in.

    `root` is the folder in which /proc and /sys are.
    """
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *group_limits(root)])


def group_limits(root: str) -> Iterator[int]:
    """The limits of memory, in bytes, of the control groups (Linux; version 2 or 1) that this process is in."""
    try:
        with open(os.path.join(root, "proc/self/cgroup")) as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:  # "0::/path" is version 2, "9:memory:/path" version 1; cgroups(7)
        number, controllers, path = line.split(":", 2)
        if number == "0":
            folder, name = "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # A group is limited by those around it, too. In a container its own path may be one that only the host knows.
        while True:
            try:
                with open(os.path.join(root, folder, path.strip("/"), name)) as file:
                    yield int(file.read())
            except (OSError, ValueError):  # not there, or "max"
                pass
            if path in ("", "/"):
                break
            path = os.path.dirname(path)
