"""What a run of thumbmill shows of its progress."""

import logging
import time

from scripts.status import LOGGER, Counter


def test_counter_shows_the_progress(caplog, monkeypatch):
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


def test_log_without_a_terminal(small_shop):
    run = small_shop.run()
    assert "\x1b" not in run.text
    assert "Finished jobid" not in run.text
