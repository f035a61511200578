"""The settings of the logger."""

from dataclasses import dataclass, field

from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The settings, `--logger-progress-...` on the command line."""

    unit: str = field(
        default="jobs",
        metadata={"help": "What the jobs are called on the progress line: 'pictures' gives '300/1,000 pictures'."},
    )
    rules: str = field(
        default="",
        metadata={
            "help": "Names of the rules whose jobs count, separated by commas (default: all rules). Leave out only "
            "rules with few jobs that run last, such as the target rule."
        },
    )
    status_from: str = field(
        default="",
        metadata={
            "help": "Name of a Python logger whose messages are shown as the status until the first job starts, each "
            "replacing the one before. For Snakefiles that do much work before Snakemake builds the DAG."
        },
    )

    @property
    def rule_names(self) -> frozenset[str]:
        """The names in `rules`; empty means all rules."""
        return frozenset(name.strip() for name in self.rules.split(",") if name.strip())
