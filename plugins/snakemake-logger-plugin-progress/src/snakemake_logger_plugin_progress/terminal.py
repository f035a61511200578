"""A terminal with a bar below the messages."""

import threading
from typing import TYPE_CHECKING, TextIO

from .progress import Progress

if TYPE_CHECKING:
    from .bar import Bar

REFRESH_SECONDS = 0.5


class Terminal:
    """Takes messages as a file does, and keeps the line with the bar below them.

    A thread draws the line. It imports the library for drawing when the line is first needed, so that a short run does
    without.
    """

    def __init__(self, stream: TextIO, progress: Progress, nocolor: bool) -> None:
        self._stream, self._progress, self._nocolor = stream, progress, nocolor
        self._pending: list[str] = []
        self._bar: Bar | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
        self._thread.start()

    def isatty(self) -> bool:
        """Return True, so that Snakemake's handler writes in colour."""
        return True

    def write(self, text: str) -> None:
        """Keep the text until it is flushed: a line must not reach the terminal in pieces."""
        self._pending.append(text)

    def flush(self) -> None:
        """Write the text above the bar."""
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
        """Remove the line, and leave the terminal as it was."""
        self._closed.set()
        with self._lock:
            if self._bar:
                self._bar.close()
                self._bar = None
