"""What is happening before there are jobs: messages of a logger that the progress display listens to."""

import logging
import time

LOGGER = "thumbmill"
INTERVAL = 0.5  # seconds between two messages of a counter


def report_status(text: str) -> None:
    """Say what is happening now. No-op unless a handler is attached."""
    logging.getLogger(LOGGER).info(text)


class Counter:
    """Counts pictures, and reports the count from time to time."""

    def __init__(self, activity: str):
        self.activity = activity
        self.total: int | None = None
        self.count = 0
        self._next_report = time.monotonic() + INTERVAL

    def expect(self, total: int) -> None:
        """Report counts as a share of `total` from now on."""
        self.total = total

    def step(self) -> None:
        """Count one more."""
        self.count += 1
        if not self.count % 100 and time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + INTERVAL
            share = "" if self.total is None else f"of {self.total:,} "
            report_status(f"{self.activity}: {self.count:,} {share}pictures")
