"""The cores and memory that a container allows, whichever version of control groups the machine has."""

from pathlib import Path

import pytest

from thumbmill.run.cgroups import cap_cores, cpu_quota, memory, worker_memory


def machine(top: Path, groups: str, **files: str) -> str:
    """Return a root folder whose process is in `groups`; the names of `files` are paths below sys/fs/cgroup."""
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


def test_no_quota_without_control_groups(tmp_path):
    assert cpu_quota(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("quota", "cores", "expected"), [(None, 8, 8), (0.2, 8, 1), (1.5, 8, 2), (2.0, 8, 2), (9.1, 8, 8)]
)
def test_a_quota_is_rounded_up_and_never_adds_cores(quota, cores, expected):
    assert cap_cores(quota, cores) == expected


# Memory


MACHINE = memory("/nonexistent")  # without control groups, all that there is


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "67108864\n"}, 67_108_864),
        ("0::/\n", {"memory.max": "max\n"}, MACHINE),
        ("0::/a/b\n", {"a/b/memory.max": "67108864\n", "a/memory.max": "33554432\n"}, 33_554_432),
        (VERSION_1, {"memory/docker/abc/memory.limit_in_bytes": "67108864\n"}, 67_108_864),
        (VERSION_1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),  # no limit
    ],
)
def test_memory_is_that_of_the_machine_or_of_its_control_groups(tmp_path, groups, files, expected):
    assert memory(machine(tmp_path, groups, **files)) == expected


def test_workers_share_three_quarters_of_the_memory(monkeypatch):
    """Or get what the setting allows, if that is less."""
    monkeypatch.setattr("thumbmill.run.cgroups.memory", lambda: 8_000_000_000)
    assert [worker_memory(5_000, cores) for cores in (1, 2, 60_000)] == [5_000, 3_000, 1]
