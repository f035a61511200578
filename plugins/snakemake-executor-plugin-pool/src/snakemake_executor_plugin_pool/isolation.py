"""What is reset between the jobs of one script that run in the same worker process one after another.

A short list, for scripts that are written for it: working directory, environment, arguments, search path, standard
streams, and exit handlers. Everything else stays as the job before has left it.
"""

import atexit
import io
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

from .interpreter import job_environment
from .script import Script, print_traceback

_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]

ExitFunction = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Isolation:
    """The state of a process as a script finds it, and its restoration when a job has ended."""

    def __init__(self) -> None:
        self.directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self.environment = os.environ.copy()
        self.descriptors = [(os.dup(number), number) for number in (0, 1, 2)]
        self.limits = resource_limits()
        self.exit_functions: list[ExitFunction] = []
        self.register = atexit.register
        self.unregister = atexit.unregister
        # What a script registers has to run at the end of the job; what a library registers (once, when it is imported)
        # at the end of the worker. The interpreter keeps a single list that cannot be read, so its functions are
        # replaced.
        atexit.register = self.register_exit_function  # type: ignore[assignment]
        atexit.unregister = self.unregister_exit_function

    def enter(self, script: Script, threads: int, tmpdir: str | None) -> None:
        """Set up what differs from job to job."""
        sys.path[:] = script.search_path
        sys.argv[:] = [script.path]
        # only written when they change, because each write is costly
        job = job_environment(threads, tmpdir)
        if any(self.environment.get(name) != value for name, value in job.items()):
            os.environ.update(job)
            self.environment.update(job)

    def leave(self) -> bool:
        """Undo what the job did to its process; return whether another one can use it.

        It cannot if the script has changed a resource limit, which it does to say so.
        """
        self.run_exit_functions()
        self.restore_streams()
        main = sys.modules.get("__main__")
        if main is not None and hasattr(main, "snakemake"):
            # break the cycles between a script's functions and its globals, so that its files are closed now
            vars(main).clear()
        os.fchdir(self.directory)
        if os.environ.copy() != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        return resource_limits() == self.limits

    def register_exit_function(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Replace `atexit.register` while scripts run."""
        if sys._getframe(1).f_globals.get("__name__") == "__main__":
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


def resource_limits() -> list[tuple[int, int]]:
    """Return the soft and hard limit of each resource."""
    return [resource.getrlimit(limit) for limit in _LIMITS]


def open_stream(number: int) -> io.TextIOWrapper:
    """Return a text stream on a standard file descriptor, like the one that the interpreter opens."""
    raw = open(number, "rb" if number == 0 else "wb", closefd=False)  # noqa: SIM115 (it stays open)
    return io.TextIOWrapper(raw, errors="backslashreplace" if number == 2 else None, line_buffering=number == 2)
