"""Receives Snakemake's log records: writes messages as Snakemake does, and keeps track of the progress."""

import logging
import os
import sys
import time
from collections.abc import Callable

from snakemake.logging import ColorizingTextHandler
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from .progress import Progress
from .settings import LogHandlerSettings
from .terminal import Terminal

# Without a terminal: one line for each tenth of the jobs, but at least and at most these times apart.
MIN_SECONDS_BETWEEN_LINES = 5
MAX_SECONDS_BETWEEN_LINES = 30


class LogHandler(LogHandlerBase):
    """Writes Snakemake's messages as Snakemake does, and shows the progress below or between them."""

    def __post_init__(self) -> None:
        settings = self.settings if isinstance(self.settings, LogHandlerSettings) else LogHandlerSettings()
        self.progress = Progress(settings.unit, settings.rule_names)
        self._shown = not ({Quietness.PROGRESS, Quietness.ALL} & set(self.common_settings.quiet or ()))
        self._line_time, self._line_share = time.monotonic(), 0.0
        stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self._terminal: Terminal | None = None
        if self._shown and stream.isatty() and os.environ.get("TERM") != "dumb":
            self._terminal = Terminal(stream, self.progress, self.common_settings.nocolor)
        # Snakemake's own handler, so that messages and colours look as usual.
        self._text = ColorizingTextHandler(self.common_settings.nocolor, self._terminal or stream)
        self._status = StatusHandler(settings.status_from, self._show_status) if settings.status_from else None
        # Ahead of the filter that Snakemake adds: --quiet rules hides failures, but they count.
        self.addFilter(self._count_failures)

    def _count_failures(self, record: logging.LogRecord) -> bool:
        """Note which jobs have failed, and which of them have succeeded since. Let every record pass."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_ERROR:
            self.progress.failed.add(vars(record)["jobid"])
        elif event == LogEvent.JOB_FINISHED:
            self.progress.failed.discard(vars(record)["job_id"])
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as Snakemake would, or show the progress that it reports."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_FINISHED:
            return
        if event == LogEvent.PROGRESS:
            numbers = vars(record)
            self.progress.update(numbers["done"], numbers["total"], time.monotonic())
            if self.progress.running:
                self._write_line(", ".join(self.progress.facts()))
            return
        if event == LogEvent.RUN_INFO and not self.common_settings.dryrun:
            self.progress.start(vars(record)["stats"])
        elif event is None and record.levelno == logging.INFO and not self.progress.running:
            self.progress.status = str(record.msg or "").split("\n")[0]
        # Snakemake sets the formatter after it has made this handler.
        self._text.formatter = self.formatter
        self._text.emit(record)

    def _show_status(self, text: str) -> None:
        self.progress.status = text
        self._write_line(text)

    def _write_line(self, line: str) -> None:
        """Write a progress line if it is time for one and there is no terminal, where the bar shows the same."""
        if self._terminal or not self._shown:
            return
        since = time.monotonic() - self._line_time
        share = self.progress.share if self.progress.running else 0
        reached_tenth = int(share * 10) > int(self._line_share * 10) and since >= MIN_SECONDS_BETWEEN_LINES
        if reached_tenth or since >= MAX_SECONDS_BETWEEN_LINES:
            self._line_time, self._line_share = time.monotonic(), share
            self._text.stream.write(f"{line}\n")
            self._text.flush()

    def close(self) -> None:
        """Remove the bar, and leave the terminal as it was."""
        if self._status:
            self._status.detach()
        if self._terminal:
            self._terminal.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """True: this handler takes the place of Snakemake's own."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """False: Snakemake's log file stays as it is."""
        return False

    @property
    def has_filter(self) -> bool:
        """False: Snakemake adds its own filter, which knows --quiet."""
        return False

    @property
    def has_formatter(self) -> bool:
        """False: Snakemake sets its own formatter."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """False: progress is numbers only."""
        return False


class StatusHandler(logging.Handler):
    """Passes each message of a logger to a function."""

    def __init__(self, name: str, show: Callable[[str], None]) -> None:
        """Attach to the logger `name`, and call `show` with its messages from level INFO on."""
        super().__init__()
        self._logger, self._show = logging.getLogger(name), show
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the message on."""
        self._show(record.getMessage())

    def detach(self) -> None:
        """Stop receiving messages."""
        self._logger.removeHandler(self)
