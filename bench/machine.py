"""The machine and the versions that the figures come from."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata

import psutil


def describe_machine() -> dict[str, str | int | float]:
    """Return what matters of the machine for the figures. Memory in bytes."""
    return {
        "cpu": processor_name(),
        "cores": usable_cores(),
        "memory": psutil.virtual_memory().total,
        "load": os.getloadavg()[0],
        "pss": sys.platform == "linux",  # whether shared memory can be divided among processes
        "system": f"{platform.system()} {platform.release()}",
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """Return the processor's model, as Linux names it, or what Python knows."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe_versions(repository: str) -> dict[str, str]:
    """Return the versions of what is compared; thumbmill's is the commit of the `repository`."""
    git = ["git", "-C", repository, "describe", "--always", "--dirty", "--tags"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {
        "thumbmill": commit,
        "Snakemake": metadata.version("snakemake"),
        "Pillow": metadata.version("Pillow"),
        "Python": platform.python_version(),
    }


def describe_shortly(machine: Mapping) -> str:
    """Return the machine in one line."""
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 1e9:.0f} GB, {machine['system']}"
