"""The line with the bar, drawn by rich. A module of its own, because importing rich takes 50 ms."""

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .progress import Progress

MAX_WIDTH = 40  # columns
MIN_WIDTH = 10  # columns; a bar narrower than this is left out


class Bar:
    """One line at the bottom of a terminal, at most as wide as that, which shows a `Progress`."""

    def __init__(self, stream: TextIO, progress: Progress, nocolor: bool) -> None:
        self._progress = progress
        self._console = Console(file=stream, force_terminal=True, no_color=nocolor or None, highlight=False)
        self._spinner = Spinner("dots" if self._console.encoding.startswith("utf") else "line", style="cyan")
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            get_renderable=self._line,
            vertical_overflow="crop",
            # Standard output may go to a file (snakemake --summary > file), and must not be wrapped at the terminal's
            # width.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        # Live hides the cursor, which would stay hidden if the process were killed.
        self._console.show_cursor(True)

    def refresh(self) -> None:
        """Redraw the line."""
        self._live.refresh()
        self._return()

    def write_above(self, text: str) -> None:
        """Write lines of text above the bar, unwrapped, and with the escape sequences for colour that they have."""
        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)
        self._return()

    def _return(self) -> None:
        # Whatever another process writes next then overwrites the line, instead of being appended to it.
        self._console.file.write("\r")
        self._console.file.flush()

    def close(self) -> None:
        """Remove the line."""
        self._live.stop()

    def _line(self) -> Table:
        progress = self._progress
        width = self._console.width - 1  # a terminal may wrap a line that fills it
        line = Table.grid(padding=(0, 1))
        if not progress.running:
            line.add_row(self._spinner, fit_text([progress.status], width - 2))
            return line
        text = fit_text(fit_facts(progress.facts(), width), width)
        space = min(MAX_WIDTH, width - text.cell_len - 1)
        if space >= MIN_WIDTH:
            line.add_row(ProgressBar(total=1, completed=progress.share, width=space), text)
        else:
            line.add_row(text)
        return line


def fit_facts(facts: Sequence[str], width: int) -> list[str]:
    """Return the facts that fit into `width` columns: first drop the unit, then facts from the end, never the first."""
    facts = list(facts)
    if facts_width(facts) > width:
        facts[0] = facts[0].rsplit(" ", 1)[0]
    while len(facts) > 1 and facts_width(facts) > width:
        facts.pop()
    return facts


def facts_width(facts: Sequence[str]) -> int:
    """Return how many columns the facts take, including the space between them."""
    return sum(map(len, facts)) + 2 * (len(facts) - 1)


def fit_text(facts: Sequence[str], width: int) -> Text:
    """Return the facts as one line, truncated to `width` columns."""
    text = Text("  ").join(Text(fact, "bold red" if fact.endswith("failed") else "") for fact in facts)
    text.no_wrap = True
    text.truncate(max(1, width), overflow="ellipsis")
    return text
