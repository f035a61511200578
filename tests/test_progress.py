"""How far a run is: the plugin's numbers, its lines in a log, its bar in a terminal."""

import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import pytest
from snakemake.logging import DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from scripts.status import LOGGER, Counter
from snakemake_logger_plugin_progress import LogHandler, LogHandlerSettings, Progress, clock

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(command: list[str], folder, columns: int, interrupt_at: str = "") -> tuple[int, str]:
    """Run a command in a terminal so many `columns` wide, and press Ctrl-C when `interrupt_at` appears."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    text = b""
    while True:
        try:
            text += os.read(controller, 10_000)
        except OSError:  # the terminal's other end is closed
            break
        if interrupt_at and interrupt_at.encode() in text:
            interrupt_at = ""
            os.write(controller, b"\x03")
    os.close(controller)
    return process.wait(), text.decode()


def bars(text: str) -> list[str]:
    """The states of the line with the bar that were drawn, without escape sequences."""
    lines = re.split(r"[\r\n]+", ESCAPE.sub("", text))
    return [line for line in lines if re.match(r"[━╸╺ ]*\d+/30\b", line)]


@pytest.fixture
def workflow(tmp_path):
    """Thirty jobs of half a second, of which two fail."""
    (tmp_path / "Snakefile").write_text(
        "rule all:\n    input: expand('{n}.txt', n=range(30))\nrule one:\n    output: '{n}.txt'\n    script: 'one.py'\n"
    )
    (tmp_path / "one.py").write_text(
        "import time\ntime.sleep(0.5)\nassert snakemake.wildcards.n not in ('3', '4')\n"
        "open(snakemake.output[0], 'w').close()\n"
    )
    return tmp_path


def command(*arguments: str) -> list[str]:
    fixed = "--executor pool --scheduler allready --max-jobs-per-timespan 1000000/0s --latency-wait 0 --keep-going"
    logger = "--logger progress --logger-progress-rules one --pool-quiet-jobs --pool-progress-seconds 0.1"
    return [sys.executable, "-m", "snakemake", "--cores", "2", *fixed.split(), *logger.split(), *arguments]


def test_numbers():
    progress = Progress("pictures", frozenset({"thumbnail"}))
    progress.started({"thumbnail": 1000, "all": 1, "total": 1001})
    progress.step(100, 1001, now=0)
    progress.failed = {7, 8}
    progress.step(300, 1001, now=10)
    assert progress.rate == 20
    assert progress.seconds_left == (1000 - 302) / 20
    assert progress.facts() == ["300/1,000 pictures", "2 failed", "20/s", "0:35 left"]
    progress.step(1001, 1001, now=20)
    assert progress.done == 1000, "the target rule is no picture"


def test_a_run_without_jobs_that_count_tells_nothing_of_them():
    progress = Progress("pictures", frozenset({"thumbnail"}))
    progress.started({"shard": 3, "all": 1, "total": 4})
    assert not progress.running


def test_rate_is_that_of_late():
    progress = Progress()
    progress.started({"one": 100_000, "total": 100_000})
    for second in range(100):
        progress.step(second * (10 if second < 50 else 100), 100_000, now=second)
    assert progress.rate == pytest.approx(100, rel=0.01)


def test_no_rate_yet():
    progress = Progress()
    progress.started({"one": 10, "total": 10})
    progress.step(0, 10, now=5)
    assert progress.facts() == ["0/10 jobs"]
    progress.step(0, 10, now=6)
    assert progress.facts() == ["0/10 jobs"], "no division by zero"


def test_clock():
    assert [clock(seconds) for seconds in (0.6, 61, 3599.6, 86_400)] == ["0:01", "1:01", "1:00:00", "24:00:00"]


def test_counter_tells_how_far(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, LOGGER)
    counter = Counter("listing photos")
    for _ in range(1000):
        counter.step()
    assert not caplog.messages, "it is too early to say anything"
    now[0], counter.total = 1, 5000
    for _ in range(150):
        counter.step()
    assert caplog.messages == ["listing photos: 1,100 of 5,000 pictures"]


@pytest.mark.slow
def test_bar_in_a_terminal(workflow):
    code, text = in_terminal(command(), workflow, columns=80)
    assert code == 1
    drawn = bars(text)
    assert len(drawn) > 2
    assert any("━" in line and " failed" in line and "/s" in line and "left" in line for line in drawn)
    assert all(len(line) < 80 for line in drawn)
    assert text.count("Error in rule one") == 2, "errors are told"
    assert "Finished jobid" not in text
    assert "steps" not in text
    log = max((workflow / ".snakemake/log").iterdir()).read_text()
    assert "\x1b" not in log
    assert "of 31 steps" in log


@pytest.mark.slow
def test_narrow_terminal(workflow):
    _, text = in_terminal(command(), workflow, columns=20)
    drawn = bars(text)
    assert drawn
    assert all(len(line) < 20 for line in drawn)
    assert "Error in rule one" in text, "messages are not cut off, whatever the width"
    assert "(check log file(s) for error details)" in text or "wildcards: n=3" in text


@pytest.mark.slow
def test_what_is_printed_goes_where_it_is_meant_to(workflow):
    with (workflow / "Snakefile").open("a") as file:
        file.write("import time\ntime.sleep(1.5)\nprint('x' * 300, flush=True)\ntime.sleep(0.7)\n")
    line = " ".join(command("--summary"))
    _, text = in_terminal(["sh", "-c", f"{line} > summary.txt"], workflow, columns=80)
    assert "\x1b" in text, "the line with the status was there"
    lines = (workflow / "summary.txt").read_text().splitlines()
    assert lines[0] == "x" * 300
    assert len(lines) == 32


@pytest.mark.slow
def test_ctrl_c_leaves_the_terminal_as_it_was(workflow):
    code, text = in_terminal(command(), workflow, columns=80, interrupt_at=" left")
    assert code != 0
    assert "Terminating processes on user request" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is shown"
    assert text.endswith("\x1b[2K"), "the last thing is to remove the line"


def in_a_log(*quiet: Quietness) -> LogHandler:
    """A handler as Snakemake makes it, where there is no terminal."""
    handler = LogHandler(OutputSettings(quiet=set(quiet)), LogHandlerSettings())
    handler.addFilter(DefaultFilter(set(quiet), False, False, False, False))
    handler.setFormatter(DefaultFormatter(set(quiet)))
    return handler


def record(message=None, level=logging.INFO, **extra) -> logging.LogRecord:
    made = logging.LogRecord("snakemake.logging", level, "", 0, message, None, None)
    vars(made).update(extra)
    return made


def run_of(handler, monkeypatch, seconds: int) -> None:
    """What Snakemake says in a run of 1,000 jobs that takes so many seconds."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    handler._line_time = 0
    handler.handle(record("Job stats: ...", event=LogEvent.RUN_INFO, stats={"one": 1000, "total": 1000}))
    for second in range(1, seconds + 1):
        now[0] = second
        handler.handle(record(event=LogEvent.JOB_FINISHED, message="Finished"))
        handler.handle(record(event=LogEvent.PROGRESS, done=1000 * second // seconds, total=1000))


def test_log_of_a_quick_run_has_ten_lines(monkeypatch, capsys):
    run_of(in_a_log(), monkeypatch, seconds=100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Job stats: ..."
    assert lines[1:3] == ["100/1,000 jobs, 10/s, 1:30 left", "200/1,000 jobs, 10/s, 1:20 left"]
    assert lines[-1] == "1,000/1,000 jobs, 10/s"
    assert len(lines) == 11


def test_log_of_a_long_run_has_a_line_each_half_minute(monkeypatch, capsys):
    run_of(in_a_log(), monkeypatch, seconds=3000)
    assert 90 <= len(capsys.readouterr().err.splitlines()) <= 111


@pytest.mark.parametrize("quiet", [Quietness.PROGRESS, Quietness.ALL])
def test_quiet_progress(quiet, monkeypatch, capsys):
    handler = in_a_log(quiet)
    run_of(handler, monkeypatch, seconds=100)
    handler._set_status("listing")
    assert capsys.readouterr().err == ""


def test_failures_count_even_if_they_are_not_told(monkeypatch, capsys):
    handler = in_a_log(Quietness.RULES)
    handler.handle(record("Error in rule one", logging.ERROR, event=LogEvent.JOB_ERROR, jobid=5))
    run_of(handler, monkeypatch, seconds=20)
    text = capsys.readouterr().err
    assert "Error in rule" not in text
    assert "1 failed" in text


def test_errors_and_warnings_are_written(capsys):
    handler = in_a_log()
    handler.handle(record("something is odd", logging.WARNING))
    handler.handle(record("something is wrong", logging.ERROR))
    text = capsys.readouterr().err
    assert text == "something is odd\nsomething is wrong\n"


def test_log_without_a_terminal(small_shop):
    run = small_shop.run()
    assert "\x1b" not in run.text
    assert "Finished jobid" not in run.text


def test_drawing_library_is_not_loaded_at_the_start():
    code = "import sys, snakemake_logger_plugin_progress; sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
