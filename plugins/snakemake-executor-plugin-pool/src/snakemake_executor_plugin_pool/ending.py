"""The end of a job's process: what a script notices of an interpreter's end, without taking all modules apart.

Python's own way destroys every object of every module that was imported ahead, for which the system has to copy nearly
all memory that the process shares with its server: 60 ms with pandas and matplotlib, where a fork takes 4.
"""

import atexit
import ctypes
import gc
import io
import sys
import threading
from types import GeneratorType
from typing import Any

from .interpreter import KnownModules

STREAMS = ("stdin", "stdout", "stderr")
STREAM_TYPES = (
    io.TextIOWrapper,
    io.BufferedReader,
    io.BufferedWriter,
    io.BufferedRandom,
    io.FileIO,
    io.BytesIO,
    io.StringIO,
)


def end_process(status: int, known: KnownModules) -> None:
    """End this process in the order of `Py_FinalizeEx`; `known` are the modules that were there before the script.

    Join threads, run exit functions, flush streams, and destroy the script's modules and all that only they hold.
    Return early if something is left that acts when it is destroyed, such as an open file: in which order that happens
    is best left to the interpreter.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        if threading.active_count() > 1:
            return  # daemon threads, which must not run any more while modules are destroyed
        atexit._run_exitfuncs()
        flush_streams()
        for name in STREAMS:
            setattr(sys, name, getattr(sys, f"__{name}__"))
        if has_finalizers():
            return
        for name in known.new_names():
            del sys.modules[name]
        sys.modules.pop("__main__", None)
        gc.collect()
    except KeyboardInterrupt:
        status = 130
    except Exception:
        return  # the interpreter meets it again, and reports it
    # The exit of the C library, for what C and C++ libraries do at their end. It never gives the interpreter lock back.
    ctypes.PyDLL(None).exit(status)


def flush_streams() -> None:
    """Flush standard output and error, if they are open."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def has_finalizers() -> bool:
    """Return whether there is an object of the script's that does something when it is destroyed.

    What was there before the script is not looked at: the server has frozen it.
    """
    acts: dict[type, bool] = {}
    for each in gc.get_objects():
        kind = type(each)
        if kind not in acts:
            acts[kind] = hasattr(kind, "__del__")
        if acts[kind] and not is_finished(each, kind):
            return True
    return False


def is_finished(each: Any, kind: type) -> bool:
    """Return whether an object that could act at its end has nothing left to do: a closed file, a generator that ended.

    Only of Python's own types: another's `closed` may mean anything.
    """
    if kind in STREAM_TYPES:
        return bool(each.closed)
    return kind is GeneratorType and each.gi_frame is None
