"""What thumbmill says of its progress before there are jobs."""

import logging
import time

from thumbmill.progress import LOGGER, Counter


def test_a_counter_reports_now_and_then(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, LOGGER)
    counter = Counter("listing photos")
    for _ in range(1000):
        counter.step()
    assert not caplog.messages, "it is too early to say anything"
    now[0] = 1
    for _ in range(100):
        counter.step()
    counter.expect(5000)
    now[0] = 2
    for _ in range(150):
        counter.step()
    assert caplog.messages == ["listing photos: 1,100 pictures", "listing photos: 1,200 of 5,000 pictures"]


def test_nothing_is_printed_if_nobody_listens(capfd):
    counter = Counter("listing photos")
    counter.expect(10)
    counter.step()
    assert capfd.readouterr() == ("", "")
