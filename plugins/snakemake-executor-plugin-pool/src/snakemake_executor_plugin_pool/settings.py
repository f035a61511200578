"""The settings of the executor: `--pool-...` on the command line, `pool-...` in a profile."""

import importlib.util
from dataclasses import dataclass, field
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """The settings, checked when they are constructed.

    Raises WorkflowError with the setting, its value, and what is allowed.
    """

    kind: str = field(
        default="process",
        metadata={
            "help": "Where scripts run: 'process' (processes of their own) or 'thread' (threads of Snakemake's own "
            "process, for scripts that wait more than they compute). Threads share the working directory, environment "
            "variables, imported modules and standard "
            "streams; a script that crashes ends the whole run, the resource 'runtime' sets no limit, and Ctrl-C "
            "waits for running scripts to end.",
            "choices": ["process", "thread"],
        },
    )
    prepare_ahead: int = field(
        default=8,
        metadata={
            "help": "How many jobs to prepare for each reused worker while it is busy (0 or more). Preparing a job "
            "deletes its old output files. Raise it if workers run idle because jobs take less than a few "
            "milliseconds. Jobs that take longer than a tenth of a second are never prepared ahead.",
        },
    )
    jobs_per_worker: int = field(
        default=1000,
        metadata={
            "help": "How many jobs a reused worker runs before a new one replaces it, so that memory leaked by "
            "scripts does not add up (0: no limit).",
        },
    )
    preload: str = field(
        default="",
        metadata={
            "help": "Python modules that scripts import, separated by commas (for example 'numpy,PIL.Image'), to "
            "import once for all jobs, from the first one on. What else scripts import is learned from their jobs.",
        },
    )
    reuse: str = field(
        default="",
        metadata={
            "help": "Rules, separated by commas, whose jobs run one after another in workers that stay up, instead of "
            "each in a process of its own. For many jobs of milliseconds whose script is written for it.",
        },
    )
    ignore_runtime: bool = field(
        default=False,
        metadata={
            "help": "Let scripts run on when they exceed the resource 'runtime' (minutes), as the built-in executor "
            "does, instead of ending them.",
        },
    )
    no_empty_logs: bool = field(
        default=False,
        metadata={
            "help": "Do not create log files for scripts that log nothing. Snakemake creates an empty file for each, "
            "which takes a tenth of the time of short jobs.",
        },
    )
    quiet_jobs: bool = field(
        default=False,
        metadata={
            "help": "Do not print what each script's job is about to do (rule, files, wildcards: ten lines). Jobs that "
            "fail are still printed in full. Saves a tenth of a millisecond per job.",
        },
    )
    progress_seconds: float = field(
        default=0.0,
        metadata={
            "help": "Print how many jobs are done at most every this many seconds, instead of two lines at the end of "
            "each job (0: print those two lines, as Snakemake does). Saves a tenth of a millisecond per job.",
        },
    )
    stop_on_disk_full: bool = field(
        default=False,
        metadata={
            "help": "End the run, even with --keep-going, when a job cannot write because a disk is full, a quota is "
            "used up or a file system is read-only: all other jobs would fail in the same way. A script reports this "
            "by the OSError that it ends with, or that it was handling when it called sys.exit.",
        },
    )

    def __post_init__(self) -> None:
        if self.kind not in ("process", "thread"):
            raise setting_error("kind", self.kind, "'process' or 'thread'")
        for name in ("prepare_ahead", "jobs_per_worker", "progress_seconds"):
            if getattr(self, name) < 0:
                raise setting_error(name.replace("_", "-"), getattr(self, name), "0 or more")
        for name in self.modules:
            if not can_import(name):
                raise setting_error("preload", name, "the name of a module that can be imported")

    @property
    def reuse_rules(self) -> set[str]:
        """The names of the rules whose jobs may run in one worker."""
        return {name.strip() for name in self.reuse.split(",") if name.strip()}

    @property
    def modules(self) -> list[str]:
        """The names of the modules to preload."""
        return [name.strip() for name in self.preload.split(",") if name.strip()]


def setting_error(name: str, value: Any, allowed: str) -> WorkflowError:
    return WorkflowError(f"--pool-{name} is {value!r}, but has to be {allowed}.")


def can_import(name: str) -> bool:
    """Return whether a module of this name can be found. Imports its parent packages."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
