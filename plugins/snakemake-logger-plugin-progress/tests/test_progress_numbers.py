"""The numbers of a run, from plain function calls."""

import pytest

from snakemake_logger_plugin_progress.bar import fit_facts, fit_text
from snakemake_logger_plugin_progress.progress import Progress, format_duration


def test_numbers():
    progress = Progress("samples", frozenset({"align"}))
    progress.start({"align": 1000, "all": 1, "total": 1001})
    progress.update(100, 1001, now=0)
    progress.failed = {7, 8}
    progress.update(300, 1001, now=10)
    assert progress.rate == 20
    assert progress.seconds_left == (1000 - 302) / 20
    assert progress.facts() == ["300/1,000 samples", "2 failed", "20/s", "0:35 left"]
    progress.update(1001, 1001, now=20)
    assert progress.done == 1000, "the target rule does not count"


def test_all_rules_count_by_default():
    progress = Progress()
    progress.start({"align": 1000, "all": 1, "total": 1001})
    assert progress.facts() == ["0/1,001 jobs"]


def test_a_run_without_jobs_that_count_shows_no_numbers():
    progress = Progress("samples", frozenset({"align"}))
    progress.start({"index": 3, "all": 1, "total": 4})
    assert not progress.running


def test_jobs_that_a_checkpoint_adds_are_counted():
    progress = Progress("samples", frozenset({"align"}))
    progress.start({"align": 10, "all": 1, "total": 11})
    progress.update(5, 31, now=0)
    assert progress.facts() == ["5/30 samples"]


def test_the_rate_is_a_recent_one():
    progress = Progress()
    progress.start({"one": 100_000, "total": 100_000})
    for second in range(100):
        progress.update(second * (10 if second < 50 else 100), 100_000, now=second)
    assert progress.rate == pytest.approx(100, rel=0.01)


def test_without_a_rate_neither_speed_nor_time_left_is_shown():
    progress = Progress()
    progress.start({"one": 10, "total": 10})
    for now in (5, 6):
        progress.update(0, 10, now=now)
        assert progress.facts() == ["0/10 jobs"]


def test_time_left_is_not_shown_at_the_end():
    progress = Progress()
    progress.start({"one": 10, "total": 10})
    progress.update(2, 10, now=0)
    progress.update(10, 10, now=2)
    assert progress.facts() == ["10/10 jobs", "4.0/s"]


def test_durations():
    durations = [format_duration(seconds) for seconds in (0.6, 61, 3599.6, 86_400)]
    assert durations == ["0:01", "1:01", "1:00:00", "24:00:00"]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (44, "300/1,000 samples  2 failed  20/s  0:35 left"),
        (43, "300/1,000  2 failed  20/s  0:35 left"),
        (35, "300/1,000  2 failed  20/s"),
        (12, "300/1,000"),
        (5, "300/…"),
    ],
)
def test_what_does_not_fit_is_left_out_from_the_end(width, shown):
    facts = ["300/1,000 samples", "2 failed", "20/s", "0:35 left"]
    assert fit_text(fit_facts(facts, width), width).plain == shown
