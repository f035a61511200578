"""A logger that shows the progress of a Snakemake run: a bar in a terminal, a line now and then elsewhere.

Snakemake's messages look as they always do, and errors stay visible. Only the two lines that Snakemake writes at the
end of each job are dropped. `--quiet progress` (or `all`) switches the bar and the lines off.

    settings.py   the settings, `--logger-progress-...` on the command line
    handler.py    receives Snakemake's log records; writes messages, and progress lines if there is no terminal
    progress.py   the numbers: how much is done, how fast, how long it will take
    terminal.py   keeps the bar below the messages; refreshes it in a thread
    bar.py        draws the bar with rich
"""

from .handler import LogHandler
from .settings import LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
