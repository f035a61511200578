"""Isolation of the scripts that run in one worker process one after another."""

import atexit
import io
import logging
import os
import random
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from .script import Script, print_traceback

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGUSR2")
]
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


class Isolation:
    """The state of a process as a script finds it, and its restoration when the script has ended."""

    def __init__(self) -> None:
        self.directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self.umask = os.umask(0o22)
        os.umask(self.umask)
        self.environment = os.environ.copy()
        self.modules = set(sys.modules)
        self.signals = [(number, signal.getsignal(number)) for number in _SIGNALS]
        self.warnings = list(warnings.filters), warnings.showwarning
        self.loggers: dict[logging.Logger, tuple[list[logging.Handler], int, bool, bool]] = {}
        self.adopt_loggers()
        self.hooks = sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook
        self.descriptors = [(os.dup(number), number) for number in (0, 1, 2)]
        self.base_path: set[str] = set()
        self.irrevocable = irrevocable_state()
        self.exit_functions: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        self.register = atexit.register
        self.unregister = atexit.unregister
        # What a script registers has to run at the end of the job; what a library registers (once, when it is imported)
        # at the end of the worker. The interpreter keeps a single list that cannot be read, so its functions are
        # replaced.
        atexit.register = self.register_exit_function  # type: ignore[assignment]
        atexit.unregister = self.unregister_exit_function

    def enter(self, script: Script, threads: int, tmpdir: str | None) -> None:
        """Set up what differs from job to job."""
        self.base_path = set(script.search_path).difference(script.own_path)
        sys.path[:] = script.search_path
        sys.argv[:] = [script.path]
        # the variables that Snakemake sets for a script; only written when they change, because each write is costly
        job = dict.fromkeys(THREAD_VARIABLES, str(threads))
        if tmpdir:
            job.update(dict.fromkeys(("TMPDIR", "TMP", "TEMP", "TEMPDIR"), tmpdir))
        if any(self.environment.get(name) != value for name, value in job.items()):
            os.environ.update(job)
            self.environment.update(job)

    def leave(self) -> bool:
        """Undo what the script did to its process; return whether another script can use it.

        It cannot if the script did something that cannot be undone.
        """
        reusable = self.end_threads()
        self.run_exit_functions()
        self.restore_streams()
        main = sys.modules.get("__main__")
        if main is not None and hasattr(main, "snakemake"):
            # break the cycles between a script's functions and its globals, so that its files are closed now
            vars(main).clear()
        self.drop_modules()
        os.fchdir(self.directory)
        os.umask(self.umask)
        if os.environ.copy() != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self.signals:
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)
        warnings.resetwarnings()  # also makes every module forget which warnings it has shown
        warnings.filters[:], warnings.showwarning = self.warnings  # type: ignore[index]
        self.restore_loggers()
        sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook = self.hooks
        sys.settrace(None)
        sys.setprofile(None)
        random.seed()
        if "tempfile" in sys.modules:
            sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        return reusable and irrevocable_state() == self.irrevocable

    def end_threads(self) -> bool:
        """Wait for the script's threads and processes, as the interpreter does at its end.

        Return False if a daemon thread is left, because it would share the process with the next script.
        """
        while others := [
            thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon
        ]:
            others[0].join()
        if "multiprocessing.process" in sys.modules:
            for process in sys.modules["multiprocessing.process"].active_children():
                if process.daemon:
                    process.terminate()
                process.join()
        return threading.active_count() == 1

    def register_exit_function(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Replace `atexit.register` while scripts run."""
        caller = sys._getframe(1).f_globals.get("__name__") or ""
        if caller == "__main__" or (caller not in self.modules and not self.is_shared(caller)):
            self.exit_functions.append((function, args, kwargs))
            return function
        return self.register(function, *args, **kwargs)

    def unregister_exit_function(self, function: Callable[..., Any]) -> None:
        """Replace `atexit.unregister` while scripts run."""
        self.exit_functions[:] = [entry for entry in self.exit_functions if entry[0] != function]
        self.unregister(function)

    def run_exit_functions(self) -> None:
        """Run what the script registered with `atexit`, last in, first out."""
        while self.exit_functions:
            function, args, kwargs = self.exit_functions.pop()
            try:
                function(*args, **kwargs)
            except BaseException as error:
                print_traceback(error)

    def restore_streams(self) -> None:
        """Flush the script's standard streams, and put the original ones back."""
        for name in ("stdout", "stderr"):
            try:
                getattr(sys, name).flush()
            except Exception:
                pass  # closed, replaced by something else, or its file is gone: the script's own business
        for saved, number in self.descriptors:
            os.dup2(saved, number)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            stream = getattr(sys, f"__{name}__")
            if stream is None or stream.closed:
                stream = open_stream(number)
                setattr(sys, f"__{name}__", stream)
            setattr(sys, name, stream)

    def is_shared(self, name: str) -> bool:
        """Return whether every script would import this module from the same place."""
        top = sys.modules.get(name.partition(".")[0])
        spec = getattr(top, "__spec__", None)
        if spec is None:
            return False
        origin = spec.origin
        if origin in ("built-in", "frozen"):
            return True
        if not origin and spec.submodule_search_locations:
            origin = os.path.join(next(iter(spec.submodule_search_locations)), "__init__.py")
        if not origin:
            return False
        root = os.path.dirname(origin)
        if spec.submodule_search_locations is not None:
            root = os.path.dirname(root)
        return root in self.base_path

    def drop_modules(self) -> None:
        """Forget the script's own modules, because the next script may have others of the same names."""
        for name in sys.modules.keys() - self.modules:
            if self.is_shared(name):
                self.modules.add(name)
            else:
                del sys.modules[name]

    def adopt_loggers(self) -> None:
        """Note how all loggers are configured now."""
        for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
            if isinstance(logger, logging.Logger) and logger not in self.loggers:
                self.loggers[logger] = list(logger.handlers), logger.level, logger.propagate, logger.disabled

    def restore_loggers(self) -> None:
        """Configure all loggers as they were. New ones of shared modules keep what those modules have set."""
        logging.disable(logging.NOTSET)
        for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
            if isinstance(logger, logging.PlaceHolder):
                continue
            if logger not in self.loggers:
                shared = self.is_shared(logger.name)
                handlers = list(logger.handlers) if shared else []
                self.loggers[logger] = handlers, logger.level if shared else logging.NOTSET, True, False
            handlers, level, propagate, disabled = self.loggers[logger]
            if logger.handlers != handlers:
                for handler in logger.handlers:
                    if handler not in handlers:
                        handler.close()
                logger.handlers[:] = handlers
            if logger.level != level:
                logger.setLevel(level)
            logger.propagate, logger.disabled = propagate, disabled


def irrevocable_state() -> tuple[list[tuple[int, int]], int]:
    """Return what a process can only give up, never regain: its resource limits and its niceness."""
    return [resource.getrlimit(limit) for limit in _LIMITS], os.getpriority(os.PRIO_PROCESS, 0)


def open_stream(number: int) -> io.TextIOWrapper:
    """Return a text stream on a standard file descriptor, like the one that the interpreter opens."""
    raw = open(number, "rb" if number == 0 else "wb", closefd=False)  # noqa: SIM115 (it stays open)
    return io.TextIOWrapper(raw, errors="backslashreplace" if number == 2 else None, line_buffering=number == 2)
