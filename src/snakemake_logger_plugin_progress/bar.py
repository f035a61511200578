"""The line with the bar, drawn by `rich`. A module of its own, since that takes 50 ms to load."""

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

WIDTH = 40  # characters of the bar, at most
NARROWEST = 10  # a bar that would be narrower than this is left out


class Bar:
    """One line at the bottom of a terminal, as wide as that or narrower, which shows a `Progress`."""

    def __init__(self, stream, progress, nocolor: bool):
        self._progress = progress
        self._console = Console(file=stream, force_terminal=True, no_color=nocolor or None, highlight=False)
        self._spinner = Spinner("dots" if self._console.encoding.startswith("utf") else "line", style="cyan")
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            get_renderable=self._line,
            vertical_overflow="crop",
            # What is printed is not for this terminal alone: it may go to a file (snakemake --summary > file), and must
            # not be broken into lines as wide as the terminal.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        # It hides the cursor, which would stay hidden if the process were killed.
        self._console.show_cursor(True)

    def refresh(self) -> None:
        """Draw the line anew."""
        self._live.refresh()
        self._return()

    def write_above(self, text: str) -> None:
        """Write lines of text, with escape sequences for colour, as they are, however long."""
        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)
        self._return()

    def _return(self) -> None:
        # What other processes write goes over the line then, and is not appended to it.
        self._console.file.write("\r")
        self._console.file.flush()

    def close(self) -> None:
        """Remove the line."""
        self._live.stop()

    def _line(self):
        progress = self._progress
        width = self._console.width - 1  # a terminal may wrap a line that fills it
        if not progress.running:
            line = Table.grid(padding=(0, 1))
            line.add_row(self._spinner, fitting([progress.status], width - 2))
            return line
        facts = progress.facts()
        if facts_width(facts) > width:
            facts[0] = facts[0].rsplit(" ", 1)[0]  # without the unit
        while len(facts) > 1 and facts_width(facts) > width:
            facts.pop()
        line = Table.grid(padding=(0, 1))
        text = fitting(facts, width)
        space = min(WIDTH, width - text.cell_len - 1)
        if space >= NARROWEST:
            line.add_row(ProgressBar(total=1, completed=progress.share, width=space), text)
        else:
            line.add_row(text)
        return line


def facts_width(facts: list[str]) -> int:
    """How many columns these take, with what stands between them."""
    return sum(map(len, facts)) + 2 * (len(facts) - 1)


def fitting(facts: list[str], width: int) -> Text:
    """The facts in one line, cut off where there is no more room."""
    text = Text("  ").join(Text(fact, "bold red" if fact.endswith("failed") else "") for fact in facts)
    text.no_wrap = True
    text.truncate(max(1, width), overflow="ellipsis")
    return text
