"""The figures of one command."""

import json
import sys
import time

import psutil
import pytest

from bench.measure import TookTooLong, run, run_well

BUSY = """
import subprocess, sys, time
block = bytearray(b"1") * 60_000_000
child = subprocess.Popen([sys.executable, "-c", '''
import time
block = bytearray(b"1") * 40_000_000
while time.process_time() < 0.3: pass
time.sleep(0.4)
'''])
child.wait()
time.sleep(0.2)
"""


def test_time_and_memory_are_those_of_all_processes(tmp_path):
    begin = time.perf_counter()
    measured = run([sys.executable, "-c", BUSY], str(tmp_path), str(tmp_path / "log"), "times.json")
    elapsed = time.perf_counter() - begin
    assert measured.code == 0
    assert 0.9 < measured.wall <= elapsed
    assert 0.3 <= measured.user + measured.sys < measured.wall + 0.1
    assert 100e6 < measured.memory < 150e6
    assert 60e6 < measured.controller < 100e6


def test_a_command_that_times_itself_is_taken_at_its_word(tmp_path):
    times = {"wall": 1.5, "user": 2.5, "sys": 0.5}
    program = f"open('times.json', 'w').write({json.dumps(times)!r})"
    measured = run([sys.executable, "-c", program], str(tmp_path), str(tmp_path / "log"), "times.json")
    assert (measured.wall, measured.user, measured.sys) == (1.5, 2.5, 0.5)


def test_a_command_that_fails_is_an_error_with_its_last_line(tmp_path):
    program = "print('first'); raise SystemExit('last')"
    with pytest.raises(RuntimeError, match="exit code 1; its last line: last"):
        run_well([sys.executable, "-c", program], str(tmp_path), str(tmp_path / "log"), "times.json")


def test_a_command_over_its_limit_ends_with_its_children(tmp_path):
    program = "import subprocess; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    log = tmp_path / "log"
    with pytest.raises(TookTooLong):
        run([sys.executable, "-c", program], str(tmp_path), str(log), "times.json", limit=0.5)
    child = int(log.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
