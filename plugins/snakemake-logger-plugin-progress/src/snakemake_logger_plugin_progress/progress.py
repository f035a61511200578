"""The numbers of a run: how much is done, how fast, how long the rest will take."""

from collections import deque
from collections.abc import Mapping

RATE_SECONDS = 20  # the rate is an average over this time


class Progress:
    """The progress of a run. The thread that logs writes it, and the one that draws reads it."""

    def __init__(self, unit: str = "jobs", rules: frozenset[str] = frozenset()) -> None:
        """Count the jobs of these `rules`, or of all if there are none, and call them `unit`."""
        self.unit = unit
        self.rules = rules
        self.status = ""  # what is happening before the first job starts
        self.total = 0  # jobs that count
        self.others = 0  # jobs that do not
        self.done = 0
        self.failed: set[int] = set()  # job ids
        self.running = False  # whether jobs that count have started
        self.samples: deque[tuple[float, int]] = deque()  # (seconds, jobs done)

    def start(self, stats: Mapping[str, int]) -> None:
        """Note that jobs are about to start. `stats` has the number of jobs of each rule, and of all as `total`."""
        counts = {rule: number for rule, number in stats.items() if rule != "total"}
        self.total = sum(number for rule, number in counts.items() if not self.rules or rule in self.rules)
        self.others = sum(counts.values()) - self.total
        self.running = bool(self.total)

    def update(self, done: int, total: int, now: float) -> None:
        """Note that `done` of `total` jobs of all rules are done at the time `now`, in seconds.

        `total` grows during a run if the workflow has checkpoints.
        """
        self.total = max(self.total, total - self.others)
        self.done = min(done, self.total)
        self.samples.append((now, self.done))
        while len(self.samples) > 2 and now - self.samples[0][0] > RATE_SECONDS:
            self.samples.popleft()

    @property
    def rate(self) -> float:
        """Jobs per second, recently; 0 if not known yet."""
        if len(self.samples) < 2:
            return 0
        (start, before), (now, done) = self.samples[0], self.samples[-1]
        return (done - before) / (now - start) if now > start else 0

    @property
    def seconds_left(self) -> float | None:
        """How long the remaining jobs take at this rate; None if not known yet."""
        left, rate = self.total - self.done - len(self.failed), self.rate
        return max(0, left) / rate if rate else None

    @property
    def share(self) -> float:
        """The share of jobs that are done or have failed, from 0 to 1."""
        return min(1, (self.done + len(self.failed)) / self.total) if self.total else 1

    def facts(self) -> list[str]:
        """Return what to show, the most important first: done, failed, rate, time left."""
        rate, seconds_left = self.rate, self.seconds_left
        facts = [f"{self.done:,}/{self.total:,} {self.unit}"]
        if self.failed:
            facts.append(f"{len(self.failed):,} failed")
        if rate:
            facts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if seconds_left is not None and self.share < 1:
            facts.append(f"{format_duration(seconds_left)} left")
        return facts


def format_duration(seconds: float) -> str:
    """Return a number of seconds as 0:07, 12:34 or 1:02:03."""
    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole_seconds:02}" if hours else f"{minutes}:{whole_seconds:02}"
