"""Shows how far Snakemake is: in a terminal one line with a bar below its messages, elsewhere a line now and then.

Snakemake's messages themselves look as they always do, errors first of all; only the two lines that it writes at the
end of each job give way. `--quiet progress` (or `all`) switches the line off.
"""

import logging
import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

REFRESH_SECONDS = 0.5
RATE_SECONDS = 20  # the rate is that of the last so many seconds

# Where there is no terminal: a line for each tenth, but not more often than this, and not more rarely.
LINE_SECONDS_LEAST = 5
LINE_SECONDS_MOST = 30


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The settings of this plugin, `--logger-progress-...` on the command line."""

    unit: str = field(default="jobs", metadata={"help": "What the jobs are called: 'pictures' gives 'pictures/s'."})
    rules: str = field(
        default="",
        metadata={
            "help": "The rules whose jobs count, separated by commas (default: all). The others should be few: they "
            "are taken to run last, as the target rule does."
        },
    )
    status_from: str = field(
        default="",
        metadata={
            "help": "The name of a logger of Python's `logging`: its messages tell what is happening before there are "
            "jobs, and each takes the place of the last. For Snakefiles in which much is done before the DAG."
        },
    )


class Progress:
    """How far the run is. Plain numbers, written by the thread that logs and read by the one that draws."""

    def __init__(self, unit: str = "jobs", rules: frozenset[str] = frozenset()):
        self.unit = unit
        self.rules = rules
        self.status = ""  # what is happening before there are jobs
        self.total = None  # jobs that count, as the statistics before the first job tell
        self.done = 0
        self.failed: set[int] = set()  # job ids
        self.running = False  # whether jobs that count have been started
        self.samples: deque[tuple[float, int]] = deque()  # (seconds, jobs done)

    def started(self, stats: dict[str, int]) -> None:
        """Jobs are about to start; `stats` are their numbers by rule, and in `total` that of all."""
        self.total = sum(number for rule, number in stats.items() if rule in (self.rules or stats) and rule != "total")
        self.running = bool(self.total)

    def step(self, done: int, total: int, now: float) -> None:
        """So many jobs of so many are done, at the time `now` (seconds)."""
        if self.total is None:
            self.total = total
        self.done = min(done, self.total)
        self.samples.append((now, self.done))
        while len(self.samples) > 2 and now - self.samples[0][0] > RATE_SECONDS:
            self.samples.popleft()

    @property
    def rate(self) -> float:
        """Jobs done in a second, of late; 0 if that is not known yet."""
        if len(self.samples) < 2:
            return 0
        (start, before), (now, done) = self.samples[0], self.samples[-1]
        return (done - before) / (now - start) if now > start else 0

    @property
    def seconds_left(self) -> float | None:
        """How long the others take at this rate; None if that is not known."""
        left = self.total - self.done - len(self.failed)
        return max(0, left) / self.rate if self.rate else None

    @property
    def share(self) -> float:
        """What is done or has failed, from 0 to 1."""
        return min(1, (self.done + len(self.failed)) / self.total) if self.total else 1

    def facts(self) -> list[str]:
        """What there is to say, the most important first: done, failed, rate, time left."""
        facts = [f"{self.done:,}/{self.total:,} {self.unit}"]
        if self.failed:
            facts.append(f"{len(self.failed):,} failed")
        if self.rate:
            facts.append(f"{self.rate:,.0f}/s" if self.rate >= 10 else f"{self.rate:.1f}/s")
            if self.share < 1:
                facts.append(f"{clock(self.seconds_left)} left")
        return facts


def clock(seconds: float) -> str:
    """So many seconds as 0:07, 12:34 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class LogHandler(LogHandlerBase):
    """Writes Snakemake's messages as Snakemake does, and keeps the line with the bar below them."""

    def __post_init__(self):
        # Snakemake's own handler, so that messages and colours are its own.
        from snakemake.logging import ColorizingTextHandler
        from snakemake.settings.enums import Quietness

        settings = self.settings or LogHandlerSettings()
        rules = frozenset(name.strip() for name in settings.rules.split(",") if name.strip())
        quiet = self.common_settings.quiet or ()
        self.progress = Progress(settings.unit, rules)
        self._shown = not ({Quietness.PROGRESS, Quietness.ALL} & set(quiet))
        self._line_time, self._line_share = time.monotonic(), 0.0
        stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self._terminal = None
        if self._shown and stream.isatty() and os.environ.get("TERM") != "dumb":
            self._terminal = Terminal(stream, self.progress, self.common_settings.nocolor)
        self._text = ColorizingTextHandler(self.common_settings.nocolor, self._terminal or stream)
        self._status = None
        if settings.status_from:
            self._status = StatusHandler(settings.status_from, self._set_status)

    def filter(self, record):
        # Before Snakemake's filter: with --quiet rules, failures are not told, but they count.
        if getattr(record, "event", None) == LogEvent.JOB_ERROR:
            self.progress.failed.add(record.jobid)
        return super().filter(record)

    def emit(self, record):
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_FINISHED:
            return
        if event == LogEvent.PROGRESS:
            self.progress.step(record.done, record.total, time.monotonic())  # not the clock, which may be set
            if self.progress.running:
                self._tell(", ".join(self.progress.facts()))
            return
        if event == LogEvent.RUN_INFO and not self.common_settings.dryrun:
            self.progress.started(record.stats)
        elif event is None and record.levelno == logging.INFO and not self.progress.running:
            self.progress.status = str(record.msg or "").split("\n")[0]
        # Set by now, from --quiet and the like.
        self._text.formatter = self.formatter
        self._text.emit(record)

    def _set_status(self, text: str) -> None:
        self.progress.status = text
        self._tell(text)

    def _tell(self, line: str) -> None:
        """Where there is no terminal, write the line if it is time for one."""
        if self._terminal or not self._shown:
            return
        since, share = time.monotonic() - self._line_time, self.progress.share if self.progress.running else 0
        is_tenth = int(share * 10) > int(self._line_share * 10) and since >= LINE_SECONDS_LEAST
        if is_tenth or since >= LINE_SECONDS_MOST:
            self._line_time, self._line_share = time.monotonic(), share
            self._text.stream.write(f"{line}\n")
            self._text.flush()

    def close(self):
        if self._status:
            self._status.remove()
        if self._terminal:
            self._terminal.close()
        super().close()

    writes_to_stream = property(lambda self: True)
    writes_to_file = property(lambda self: False)
    has_filter = property(lambda self: False)  # Snakemake adds its own, which knows --quiet
    has_formatter = property(lambda self: False)
    needs_rulegraph = property(lambda self: False)


class StatusHandler(logging.Handler):
    """Gives each message of the logger `name` to `tell`."""

    def __init__(self, name: str, tell):
        super().__init__()
        self._logger, self._tell = logging.getLogger(name), tell
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)

    def emit(self, record):
        self._tell(record.getMessage())

    def remove(self):
        self._logger.removeHandler(self)


class Terminal:
    """A terminal: messages are written to it as to a file, and the line with the bar stays below them.

    The line is drawn by a thread. It loads the library that draws only when it is first needed, so that a short run
    does without.
    """

    def __init__(self, stream, progress: Progress, nocolor: bool):
        self._stream, self._progress, self._nocolor = stream, progress, nocolor
        self._pending: list[str] = []
        self._bar = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
        self._thread.start()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self._pending.append(text)

    def flush(self) -> None:
        text = "".join(self._pending)
        self._pending.clear()
        with self._lock:
            if self._bar:
                self._bar.write_above(text)
            else:
                self._stream.write(text)
                self._stream.flush()

    def _draw(self) -> None:
        while not self._closed.wait(REFRESH_SECONDS):
            if self._bar is None:
                from .bar import Bar

                with self._lock:
                    if not self._closed.is_set():
                        self._bar = Bar(self._stream, self._progress, self._nocolor)
            with self._lock:
                if self._bar and not self._closed.is_set():
                    self._bar.refresh()

    def close(self) -> None:
        """Take the line away, and leave the terminal as it was."""
        self._closed.set()
        with self._lock:
            if self._bar:
                self._bar.close()
                self._bar = None
