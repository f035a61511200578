"""A Python script of a rule, and how to run it to its end in this process.

Every worker imports this module, so it imports little.
"""

import builtins
import errno
import importlib.machinery
import os
import pickle
import sys
import traceback
import types
from dataclasses import dataclass
from typing import Any, Self

# Errors that keep every job from writing, not only one: a full disk, a quota used up, a read-only file system.
UNWRITABLE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

INTERRUPTED = "interrupted"

_PACKAGE = os.path.dirname(__file__)


@dataclass(frozen=True)
class Script:
    """A script, and what all jobs that run it have in common.

    `path` is the file that tracebacks name, `source` the copy to read, `directory` is `snakemake.scriptdir`,
    `search_path` the whole `sys.path` of a script in a worker that is reused, `extra_path` what follows the
    interpreter's own `sys.path` in a new process, `own_path` those entries of it that other scripts do not share, and
    `config` the pickled workflow config.
    """

    path: str
    source: str
    directory: str
    search_path: tuple[str, ...]
    extra_path: tuple[str, ...]
    own_path: tuple[str, ...]
    config: bytes


class Reason(str):
    """Why a script failed, in one line. `disk_full` is whether the cause was an error of UNWRITABLE_ERRNOS."""

    disk_full: bool

    def __new__(cls, text: str, error: BaseException | None = None) -> Self:
        reason = super().__new__(cls, text)
        reason.disk_full = is_disk_full(error)
        return reason


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether an exception, or one that led to it, is an OSError of UNWRITABLE_ERRNOS."""
    seen = set()  # an exception may be its own cause: `raise error from error`
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in UNWRITABLE_ERRNOS:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def run_script(script: Script, payload: bytes, in_own_process: bool = True) -> str | None:
    """Run a script to its end; return None, or in one line why it failed.

    A traceback, or the message of a `sys.exit`, is printed to stderr as the interpreter would. `payload` is the pickled
    `snakemake` object without its config.
    """
    try:
        snakemake = pickle.loads(payload)
        snakemake.config = pickle.loads(script.config)
        main = new_main(script, snakemake)
        if in_own_process:
            sys.modules["__main__"] = main
        exec(compiled(script), vars(main))
    except SystemExit as exit:
        if exit.code is None or exit.code == 0:
            return None
        if isinstance(exit.code, int):
            return Reason(f"exit status {exit.code}", exit)
        print(exit.code, file=sys.stderr)
        return Reason(one_line(str(exit.code)), exit)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:
        print_traceback(error)
        return Reason(one_line("".join(traceback.format_exception_only(error))), error)
    return None


def new_main(script: Script, snakemake: Any) -> types.ModuleType:
    """Return a new `__main__` module with the names that Snakemake gives to a script."""
    from snakemake.iocontainers import Snakemake
    from snakemake.logging import logger

    main = types.ModuleType("__main__")
    vars(main).update(
        __builtins__=builtins,
        __annotations__={},
        __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", script.path),
        __file__=script.path,
        __real_file__=script.path,
        sys=sys,
        pickle=pickle,
        snakemake=snakemake,
        Snakemake=Snakemake,
        logger=logger,
    )
    return main


_compiled: dict[tuple[str, int, int], types.CodeType] = {}


def compiled(script: Script) -> types.CodeType:
    """Return the script's code, compiled once until its source changes."""
    state = os.stat(script.source)
    key = (script.source, state.st_mtime_ns, state.st_size)
    if key not in _compiled:
        with open(script.source, "rb") as file:
            _compiled[key] = compile(file.read(), script.path, "exec", dont_inherit=True)
    return _compiled[key]


def one_line(text: str) -> str:
    """Return a text as one line of at most 1,000 characters."""
    return " ".join(text.split())[:1000]


def print_traceback(error: BaseException) -> None:
    """Print an exception as the interpreter does at its end, from the script's first frame on."""
    trace = error.__traceback__
    while trace and os.path.dirname(trace.tb_frame.f_code.co_filename) == _PACKAGE:
        trace = trace.tb_next
    try:
        if sys.excepthook is sys.__excepthook__:
            # In one write: line by line, the output of other processes could come between.
            sys.stderr.write("".join(traceback.format_exception(type(error), error, trace)))
            sys.stderr.flush()
        else:
            sys.excepthook(type(error), error.with_traceback(trace), trace)
    except BaseException:
        traceback.print_exception(type(error), error, trace, file=sys.__stderr__)
