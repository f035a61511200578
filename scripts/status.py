"""What is happening before there are jobs: messages of a logger, which whoever shows progress can listen to."""

import logging
import time

LOGGER = "thumbmill"
SECONDS = 0.5  # between two messages of a counter


def say(text: str) -> None:
    """Say what is happening now. Nothing comes of it where nobody listens."""
    logging.getLogger(LOGGER).info(text)


class Counter:
    """Counts pictures, and says now and then how many there have been, of how many if `total` is set meanwhile."""

    def __init__(self, what: str):
        self.what = what
        self.total: int | None = None
        self.count = 0
        self.next = time.monotonic() + SECONDS

    def step(self) -> None:
        """Count one more."""
        self.count += 1
        if not self.count % 100 and time.monotonic() >= self.next:
            self.next = time.monotonic() + SECONDS
            say(f"{self.what}: {self.count:,} {'' if self.total is None else f'of {self.total:,} '}pictures")
