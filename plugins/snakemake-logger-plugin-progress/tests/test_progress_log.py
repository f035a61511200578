"""The handler without a terminal: which lines it writes, and when."""

import logging
import subprocess
import sys
import time

import pytest
from snakemake.logging import DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

from snakemake_logger_plugin_progress import LogHandler, LogHandlerSettings


class TestInterface(TestLogHandlerBase):
    """The tests that Snakemake's interface package provides for every logger."""

    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return LogHandlerSettings()


class Clock:
    """A clock that is set by hand, in seconds."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def make_handler(*quiet, **settings) -> LogHandler:
    """Return a handler set up as Snakemake does it. pytest's standard error is no terminal."""
    handler = LogHandler(OutputSettings(quiet=set(quiet)), LogHandlerSettings(**settings))
    handler.addFilter(DefaultFilter(set(quiet), False, False, False, False))
    handler.setFormatter(DefaultFormatter(set(quiet)))
    return handler


def record(message=None, level=logging.INFO, **extra) -> logging.LogRecord:
    made = logging.LogRecord("snakemake.logging", level, "", 0, message, None, None)
    vars(made).update(extra)
    return made


def run(handler, clock, seconds: int) -> None:
    """Send the handler what Snakemake logs in a run of 1,000 jobs that takes this long."""
    handler.handle(record("Job stats: ...", event=LogEvent.RUN_INFO, stats={"one": 1000, "total": 1000}))
    for second in range(1, seconds + 1):
        clock.now += 1
        handler.handle(record("Finished jobid", event=LogEvent.JOB_FINISHED, job_id=second))
        handler.handle(record(event=LogEvent.PROGRESS, done=1000 * second // seconds, total=1000))


def test_a_quick_run_has_ten_lines(clock, capsys):
    run(make_handler(), clock, seconds=100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Job stats: ..."
    assert lines[1:3] == ["100/1,000 jobs, 10/s, 1:30 left", "200/1,000 jobs, 10/s, 1:20 left"]
    assert lines[-1] == "1,000/1,000 jobs, 10/s"
    assert len(lines) == 11


def test_a_long_run_has_a_line_every_half_minute(clock, capsys):
    run(make_handler(), clock, seconds=3000)
    assert 90 <= len(capsys.readouterr().err.splitlines()) <= 111


@pytest.mark.parametrize("quiet", [Quietness.PROGRESS, Quietness.ALL])
def test_quiet_progress_switches_all_of_it_off(quiet, clock, capsys):
    handler = make_handler(quiet, status_from="test.status")
    clock.now = 100
    logging.getLogger("test.status").info("reading the sample sheet")
    run(handler, clock, seconds=100)
    handler.close()
    assert capsys.readouterr().err == ""


def test_failures_count_even_if_they_are_hidden(clock, capsys):
    handler = make_handler(Quietness.RULES)
    handler.handle(record("Error in rule one", logging.ERROR, event=LogEvent.JOB_ERROR, jobid=1001))
    run(handler, clock, seconds=20)
    text = capsys.readouterr().err
    assert "Error in rule" not in text
    assert "1 failed" in text


def test_a_job_that_succeeds_at_a_later_attempt_has_not_failed(clock):
    handler = make_handler(Quietness.RULES)
    for job in (5, 1001):
        handler.handle(record("Error in rule one", logging.ERROR, event=LogEvent.JOB_ERROR, jobid=job))
    run(handler, clock, seconds=20)
    assert handler.progress.failed == {1001}


def test_errors_and_warnings_are_written(capsys):
    handler = make_handler()
    handler.handle(record("something is odd", logging.WARNING))
    handler.handle(record("something is wrong", logging.ERROR))
    assert capsys.readouterr().err == "something is odd\nsomething is wrong\n"


def test_the_status_of_another_logger_is_shown_now_and_then(clock, capsys):
    handler = make_handler(status_from="test.status")
    logger = logging.getLogger("test.status")
    for second in range(61):
        clock.now = second
        logger.info("read %d samples", second)
    handler.close()
    clock.now = 100
    logger.info("nobody listens")
    assert capsys.readouterr().err.splitlines() == ["read 30 samples", "read 60 samples"]


def test_importing_the_plugin_does_not_import_the_drawing_library():
    code = "import sys, snakemake_logger_plugin_progress; sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
