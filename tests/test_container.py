"""`--cores all` is what a container's CPU quota allows, whichever version of control groups the machine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.utils import available_cpu_count

from scripts.container import cores_within, cpu_quota
from tests.conftest import REPOSITORY


def machine(top: Path, groups: str, **files: str) -> str:
    """A root folder whose process is in `groups`; the names of `files` are paths below sys/fs/cgroup."""
    (top / "proc/self").mkdir(parents=True)
    (top / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = top / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(top)


VERSION_1 = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/system\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        # version 2: in a container, the top is its own group
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        # on the host: the least of the group and those above it
        ("0::/a.slice/b\n", {"a.slice/b/cpu.max": "400000 100000\n", "a.slice/cpu.max": "200000 100000\n"}, 2),
        ("0::/a.slice/b:c\n", {"a.slice/b:c/cpu.max": "50000 100000\n", "a.slice/cpu.max": "max 100000\n"}, 0.5),
        # version 1, on the host, and in a container, where the path is the host's
        (
            VERSION_1,
            {"cpu/docker/abc/cpu.cfs_quota_us": "250000\n", "cpu/docker/abc/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (VERSION_1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/cpu.cfs_period_us": "50000\n"}, 2),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        # what cannot be understood limits nothing
        ("0::/\n", {"cpu.max": ""}, None),
        ("0::/\n", {"cpu.max": "0 0\n"}, None),
        ("", {"cpu.max": "100000 100000\n"}, None),
    ],
)
def test_the_quota_of_control_groups(tmp_path, groups, files, expected):
    assert cpu_quota(machine(tmp_path, groups, **files)) == expected


def test_no_quota_where_there_are_no_control_groups(tmp_path):
    assert cpu_quota(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("quota", "cores", "expected"), [(None, 8, 8), (0.2, 8, 1), (1.5, 8, 2), (2.0, 8, 2), (9.1, 8, 8)]
)
def test_a_quota_is_rounded_up_and_never_adds_cores(quota, cores, expected):
    assert cores_within(quota, cores) == expected


SNAKEFILE = """
from scripts.snakemake_run import all_cores, hold_to_cpu_quota

hold_to_cpu_quota(workflow, "machine")
print(f"all: {all_cores(workflow)}")

rule write:
    output: "out.txt"
    threads: 100
    script: "write.py"
"""


@pytest.mark.skipif(available_cpu_count() == 1, reason="one core cannot be made fewer")
def test_snakemake_takes_all_to_be_what_the_quota_allows_and_a_number_as_it_is(tmp_path):
    """Also what it tells a job."""
    machine(tmp_path / "machine", "0::/\n", **{"cpu.max": "60000 100000\n"})
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "write.py").write_text("open(snakemake.output[0], 'w').write(str(snakemake.threads))")
    counted = available_cpu_count()
    line = f"thumbmill: --cores 1, since a CPU quota allows 0.6 of {counted} cores\n"
    for cores, used in (("all", 1), (counted + 1, counted + 1)):
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--forceall", "--executor", "pool"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        assert f"Provided cores: {used}" in done.stdout
        assert f"all: {used}\n" in done.stdout
        assert (tmp_path / "out.txt").read_text() == str(used)
        assert done.stdout.count(line) == (cores == "all")
