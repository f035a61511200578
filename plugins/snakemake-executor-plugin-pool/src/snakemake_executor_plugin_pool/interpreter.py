"""A script in a process of its own, which was forked from a server and lives and ends like a new interpreter.

Every server imports this module, so it imports little.
"""

import mmap
import os
import pickle
import signal
import sys
import traceback
from itertools import takewhile
from types import ModuleType
from typing import Any, NamedTuple

from .script import Script, compiled, is_disk_full, new_main, one_line, print_traceback

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
TMPDIR_VARIABLES = ("TMPDIR", "TMP", "TEMP", "TEMPDIR")


class Job(NamedTuple):
    """What a server needs to run the script of one job.

    `payload` is the pickled `snakemake` object, without its config; `learn` asks for the modules that the script has
    imported at its end.
    """

    script: Script
    payload: bytes
    threads: int
    tmpdir: str | None
    directory: str
    learn: bool


class KnownModules(NamedTuple):
    """The modules that a server has imported: their names, and name and module of the last one."""

    names: frozenset[str]
    last: str
    module: ModuleType | None

    @classmethod
    def now(cls) -> "KnownModules":
        """Return those of this process."""
        last = next(reversed(sys.modules))
        return cls(frozenset(sys.modules), last, sys.modules[last])

    def new_names(self) -> list[str]:
        """Return the names of the modules that have been imported since, in their order.

        It goes back to the last of the known ones. To look at all of them would copy the memory of each: they are
        shared with the server as long as nobody touches their reference counts.
        """
        if sys.modules.get(self.last) is not self.module:  # a script has taken it out
            return [name for name in sys.modules if name not in self.names]
        names = list(takewhile(lambda name: name != self.last, reversed(sys.modules)))
        return names[::-1]


class Report(NamedTuple):
    """What a script's process leaves behind.

    `reason` is why it failed (None if it did not), `modules` are those that it imported and that other scripts would
    find as well, `own_modules` the names and files of those that they might not.
    """

    reason: str | None
    disk_full: bool
    modules: list[str]
    own_modules: list[tuple[str, str]]


def job_environment(threads: int, tmpdir: str | None) -> dict[str, str]:
    """Return the environment variables that Snakemake sets for a script (`snakemake.shell.shell.__new__`)."""
    temporary = dict.fromkeys(TMPDIR_VARIABLES, tmpdir) if tmpdir else {}
    return dict.fromkeys(THREAD_VARIABLES, str(threads)) | temporary


def run_as_interpreter(job: Job, report: mmap.mmap, default_path: list[str], known: KnownModules) -> int:
    """Run a script as `__main__`; return the exit status, with which the caller has to end the interpreter.

    `default_path` is the interpreter's own `sys.path`, and `known` are the server's modules. A Report is written to the
    memory `report`.
    """
    pid, status, reason = os.getpid(), 0, None
    error: BaseException | None = None
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        become_new(job, default_path)
        snakemake = pickle.loads(job.payload)
        snakemake.config = pickle.loads(job.script.config)
        main = new_main(job.script, snakemake)
        sys.modules["__main__"] = main
        exec(compiled(job.script), vars(main))
    except SystemExit as exit:
        status, reason, error = exit_status(exit), exit_reason(exit), exit
    except KeyboardInterrupt:
        status, reason = 128 + signal.SIGINT, "interrupted"
    except BaseException as exception:
        print_traceback(exception)
        status, reason, error = 1, one_line("".join(traceback.format_exception_only(exception))), exception
    if os.getpid() == pid:  # otherwise the script has forked, and this is the child, which has nothing to report
        modules, own_modules = imported_modules(known.new_names(), default_path) if job.learn else ([], [])
        write_report(report, Report(reason, is_disk_full(error), modules, own_modules))
    return status


def become_new(job: Job, default_path: list[str]) -> None:
    """Give this process what differs between a forked one and a new interpreter that runs the script."""
    os.environ.update(job_environment(job.threads, job.tmpdir))
    os.chdir(job.directory)
    # as for a script in an interpreter of its own: first the directory that Snakemake writes it to
    first = [] if sys.flags.safe_path else [os.path.join(job.directory, ".snakemake/scripts")]
    sys.path[:] = [*first, *default_path, *job.script.extra_path]
    sys.argv[:] = [job.script.path]
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # Python's own generator is seeded again by itself


def exit_status(exit: SystemExit) -> int:
    """Return the exit status of a script that called `sys.exit`; print its message as the interpreter does."""
    if exit.code is None:
        return 0
    if isinstance(exit.code, int):
        return exit.code & 0xFF
    try:
        print(exit.code, file=sys.stderr)
    except Exception:
        pass  # the script has closed it
    return 1


def exit_reason(exit: SystemExit) -> str | None:
    """Return in one line why a script that called `sys.exit` has failed; None if it has not."""
    if exit.code is None or exit.code == 0:
        return None
    return f"exit status {exit.code}" if isinstance(exit.code, int) else one_line(str(exit.code))


def imported_modules(names: list[str], default_path: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return which of the modules with these `names` any script would find, and names and files of all others.

    The others are the workflow's own, of which another script may have one of the same name. Modules without a file,
    as extensions make them, are neither unless they are built in.
    """
    names = [name for name in names if name not in ("__main__", "__mp_main__")]
    roots = {os.path.realpath(entry) + os.sep for entry in default_path} if names else set()
    folders: dict[str, bool] = {}
    shared, own = [], []
    for name in names:
        spec = getattr(sys.modules.get(name), "__spec__", None)
        file = file_of(sys.modules.get(name))
        if file:
            folder = os.path.dirname(file)
            if folder not in folders:
                folders[folder] = (os.path.realpath(folder) + os.sep).startswith(tuple(roots))
            if not folders[folder]:
                own.append((name, file))
            elif spec is not None:
                shared.append(name)
        elif getattr(spec, "origin", None) in ("built-in", "frozen"):
            shared.append(name)
    return shared, own


def file_of(module: Any) -> str:
    """Return the file of a module, that of its first folder if it is a namespace package, or "" if it has none."""
    try:
        file = module.__file__ or os.path.join(next(iter(module.__path__)), "__init__.py")
        return file if isinstance(file, str) else ""
    except Exception:  # it has neither, or it is whatever a script has put in the place of a module
        return ""


def write_report(memory: mmap.mmap, report: Report) -> None:
    """Write a report, without modules if it would be too long."""
    content = pickle.dumps(tuple(report))
    if len(content) > len(memory):
        content = pickle.dumps(tuple(report._replace(modules=[], own_modules=[])))
    memory[: len(content)] = content


def read_report(memory: mmap.mmap) -> Report | None:
    """Return the report in a memory, or None if there is none, since the script's process has ended in another way."""
    return Report(*pickle.loads(memory)) if memory[:1] != b"\0" else None
