"""What runs in the warm processes: the fork server, its workers, and a script in one of them.

The fork server is a small process started by Snakemake's. It imports once what scripts need, and forks a worker from
itself when asked, in a millisecond. It has one thread, and nothing of the workflow, so that forking is safe.

This module imports little, and nothing of Snakemake but what a script sees.
"""

import atexit
import errno
import importlib
import io
import logging
import os
import pickle
import random
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import types
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection

GRACE = 3.0  # seconds that an interrupted process gets to clean up after itself

# ---------------------------------------------------------------------------------------------------------------------
# A script


@dataclass(frozen=True)
class Script:
    """A script as its jobs share it.

    `path` is the file that tracebacks name, `source` the copy of it to read, `directory` is `snakemake.scriptdir`,
    `search_path` the whole `sys.path` of the
    script, `own_path` those entries of it that other scripts do not share, `config` the pickled workflow config.
    """

    path: str
    source: str
    directory: str
    search_path: tuple
    own_path: tuple
    config: bytes


INTERRUPTED = "interrupted"

# What keeps all jobs from writing, not one of them: a full disk, a quota used up, a read-only file system.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class Reason(str):
    """Why a script failed, in one line. `no_room` says that it, or what it comes from, was an error of NO_ROOM."""

    def __new__(cls, text, error=None):
        reason = super().__new__(cls, text)
        reason.no_room = found_no_room(error)
        return reason


def found_no_room(error):
    """Tell whether an exception, or one that it comes from, is an OSError of NO_ROOM."""
    seen = set()  # an exception may come from itself: `raise error from error`
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


_compiled = {}


def compiled(script):
    """Return the script's code, read and compiled once as long as its source does not change."""
    state = os.stat(script.source)
    key = (script.source, state.st_mtime_ns, state.st_size)
    if key not in _compiled:
        with open(script.source, "rb") as file:
            _compiled[key] = compile(file.read(), script.path, "exec", dont_inherit=True)
    return _compiled[key]


def new_main(script, snakemake):
    """Return a fresh `__main__` module with the names that Snakemake gives to a script."""
    from snakemake.iocontainers import Snakemake
    from snakemake.logging import logger

    main = types.ModuleType("__main__")
    vars(main).update(
        __builtins__=__builtins__,
        __file__=script.path,
        __real_file__=script.path,
        sys=sys,
        pickle=pickle,
        snakemake=snakemake,
        Snakemake=Snakemake,
        logger=logger,
    )
    return main


def run_script(script, payload, in_own_process=True):
    """Run a script to its end, and return why it failed in one line (a Reason), or None.

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


def one_line(text):
    return " ".join(text.split())[:1000]


def print_traceback(error):
    """Print an exception as the interpreter does at its end, from the script's first frame on."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    try:
        if sys.excepthook is sys.__excepthook__:
            # At once: it would print line by line, and other processes' lines between them.
            sys.stderr.write("".join(traceback.format_exception(type(error), error, trace)))
            sys.stderr.flush()
        else:
            sys.excepthook(type(error), error.with_traceback(trace), trace)
    except BaseException:
        traceback.print_exception(type(error), error, trace, file=sys.__stderr__)


# ---------------------------------------------------------------------------------------------------------------------
# Isolation of the scripts that run in one process after another

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGUSR2")
]
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


class Isolation:
    """The state of a process as a script finds it, and its restoration when the script has ended."""

    def __init__(self):
        self.directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self.umask = os.umask(0o22)
        os.umask(self.umask)
        self.environment = os.environ.copy()
        self.modules = set(sys.modules)
        self.signals = [(number, signal.getsignal(number)) for number in _SIGNALS]
        self.warnings = list(warnings.filters), warnings.showwarning
        self.loggers = {}
        self.adopt_loggers()
        self.hooks = sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook
        self.descriptors = [(os.dup(number), number) for number in (0, 1, 2)]
        self.base_path = set()
        self.irrevocable = irrevocable_state()
        self.exit_functions = []
        self.register = atexit.register
        self.unregister = atexit.unregister
        # What a script registers has to run at the job's end, what a library registers (once, when it is imported) at
        # the worker's. The interpreter keeps one list and does not show it, hence these two functions in its place.
        atexit.register = self.register_exit_function
        atexit.unregister = self.unregister_exit_function

    def enter(self, script, threads, tmpdir):
        """Set up what is different for each job."""
        self.base_path = set(script.search_path).difference(script.own_path)
        sys.path[:] = script.search_path
        sys.argv[:] = [script.path]
        # the variables that Snakemake sets for a script; written only when they change, as each write is dear
        job = dict.fromkeys(THREAD_VARIABLES, str(threads))
        if tmpdir:
            job.update(dict.fromkeys(("TMPDIR", "TMP", "TEMP", "TEMPDIR"), tmpdir))
        if any(self.environment.get(name) != value for name, value in job.items()):
            os.environ.update(job)
            self.environment.update(job)

    def leave(self, script):
        """Undo what the script did to its process.

        Return whether the process may go on: False if something cannot be undone.
        """
        reusable = self.end_threads()
        self.run_exit_functions()
        self.restore_streams()
        main = sys.modules.get("__main__")
        if main is not None and hasattr(main, "snakemake"):
            # breaks the cycles between the functions of a script and its globals, so that its files are closed now
            vars(main).clear()
        self.drop_modules(script)
        os.fchdir(self.directory)
        os.umask(self.umask)
        if os.environ.copy() != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self.signals:
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)
        warnings.resetwarnings()  # also makes each module forget what it has warned of
        warnings.filters[:], warnings.showwarning = self.warnings
        self.restore_loggers()
        sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook = self.hooks
        sys.settrace(None)
        sys.setprofile(None)
        random.seed()
        if "tempfile" in sys.modules:
            sys.modules["tempfile"].tempdir = None
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        return reusable and irrevocable_state() == self.irrevocable

    def end_threads(self):
        """Wait for the script's threads and processes as the interpreter does at its end.

        Return False if a daemon thread is left: it would see the next script.
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

    def register_exit_function(self, function, *args, **kwargs):
        caller = sys._getframe(1).f_globals.get("__name__")
        if caller == "__main__" or (caller not in self.modules and not self.is_shared(caller)):
            self.exit_functions.append((function, args, kwargs))
            return function
        return self.register(function, *args, **kwargs)

    def unregister_exit_function(self, function):
        self.exit_functions[:] = [entry for entry in self.exit_functions if entry[0] != function]
        self.unregister(function)

    def run_exit_functions(self):
        while self.exit_functions:
            function, args, kwargs = self.exit_functions.pop()
            try:
                function(*args, **kwargs)
            except BaseException as error:
                print_traceback(error)

    def restore_streams(self):
        for name in ("stdout", "stderr"):
            try:
                getattr(sys, name).flush()
            except Exception:
                pass  # closed, replaced by something else, or its file is gone: the script's own affair
        for saved, number in self.descriptors:
            os.dup2(saved, number)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            stream = getattr(sys, f"__{name}__")
            if stream is None or stream.closed:
                stream = open_stream(number)
                setattr(sys, f"__{name}__", stream)
            setattr(sys, name, stream)

    def is_shared(self, name):
        """Tell whether every script would import this module from the same place."""
        top = sys.modules.get(name.partition(".")[0])
        spec = getattr(top, "__spec__", None)
        origin = spec and spec.origin
        if origin in ("built-in", "frozen"):
            return True
        if not origin and spec and spec.submodule_search_locations:
            origin = os.path.join(next(iter(spec.submodule_search_locations)), "__init__.py")
        if not origin:
            return False
        root = os.path.dirname(origin)
        if spec.submodule_search_locations is not None:
            root = os.path.dirname(root)
        return root in self.base_path

    def drop_modules(self, script):
        """Forget the modules that belong to the script, lest another script's of the same name are taken for them."""
        for name in sys.modules.keys() - self.modules:
            if self.is_shared(name):
                self.modules.add(name)
            else:
                del sys.modules[name]

    def adopt_loggers(self):
        for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
            if isinstance(logger, logging.Logger) and logger not in self.loggers:
                self.loggers[logger] = list(logger.handlers), logger.level, logger.propagate, logger.disabled

    def restore_loggers(self):
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


THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def irrevocable_state():
    """What a process can give away for good: its resource limits and its niceness."""
    return [resource.getrlimit(limit) for limit in _LIMITS], os.getpriority(os.PRIO_PROCESS, 0)


def open_stream(number):
    """Return a text stream on a standard descriptor, like the one that the interpreter opens."""
    raw = open(number, "rb" if number == 0 else "wb", closefd=False)  # noqa: SIM115 (it stays open)
    return io.TextIOWrapper(raw, errors="backslashreplace" if number == 2 else None, line_buffering=number == 2)


# ---------------------------------------------------------------------------------------------------------------------
# A worker


def work(connection):
    """Run jobs from a connection, one after another, until it is closed.

    The first message is the pickled `(working directory, environment)`, as the server was started before Snakemake had
    read the workflow, which may set both. Each other is the pickled `(script number, Script or None, payload, threads,
    tmpdir)`; a script comes along with the first job that needs it. The answer is the pickled `(reason of failure or
    None, seconds, goes on)`.
    """
    pid, isolation, scripts = os.getpid(), None, {}
    while True:
        try:
            if isolation is None:
                directory, environment = pickle.loads(connection.recv_bytes())
                os.chdir(directory)
                os.environ.clear()
                os.environ.update(environment, PWD=directory)
                isolation = Isolation()
            number, script, payload, threads, tmpdir = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        script = scripts.setdefault(number, script)
        start = time.perf_counter()
        isolation.enter(script, threads, tmpdir)
        reason = run_script(script, payload)
        if os.getpid() != pid:  # the script has forked, and this is the child: here it ends
            isolation.run_exit_functions()
            isolation.restore_streams()
            os._exit(0 if reason is None else 1)
        goes_on = isolation.leave(script) and reason != INTERRUPTED
        try:
            connection.send_bytes(pickle.dumps((reason, time.perf_counter() - start, goes_on)))
        except OSError:
            return  # Snakemake has died
        if not goes_on:
            return


# ---------------------------------------------------------------------------------------------------------------------
# The fork server

REQUEST = struct.Struct("=cii")  # what, process id, signal
ANSWER = struct.Struct("=i")
FORK, RETIRE, END, QUIT = b"F", b"R", b"E", b"Q"


def serve(control):
    """Fork a worker for each request, and answer for the workers' ends, until the control socket is closed.

    Returns in each worker, with its connection. Does not return in the server itself: it ends with its Snakemake
    process, whatever becomes of that one, and takes all workers and their child processes with it.
    """
    workers, retired = set(), set()
    while True:
        retired -= {pid for pid in retired if os.waitpid(pid, os.WNOHANG)[0]}
        try:
            message, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        except ConnectionError:
            message = b""  # Snakemake has died, with an answer unread
        what, pid, number = REQUEST.unpack(message) if len(message) == REQUEST.size else (None, 0, 0)
        if what == FORK:
            pid = os.fork()
            if pid == 0:
                # a group of its own: the terminal's Ctrl-C goes to Snakemake alone, and it can be ended as a whole
                os.setpgid(0, 0)
                control.close()
                return Connection(descriptors[0])
            workers.add(pid)
            os.close(descriptors[0])
            answer(control, pid)
        elif what == RETIRE:  # it ends by itself
            workers.discard(pid)
            retired.add(pid)
        elif what == END:
            workers.discard(pid)
            answer(control, end([pid], number)[pid])
        else:
            workers |= retired
            if what == QUIT:
                wait_for(workers, GRACE)
            end(workers, signal.SIGINT)
            os._exit(0)


def answer(control, number):
    """Answer a request. If Snakemake has died meanwhile, the next look for a request tells."""
    try:
        control.sendall(ANSWER.pack(number))
    except ConnectionError:
        pass


def end(pids, number):
    """End workers and all their child processes; return a dict of exit codes, negative for a signal.

    With a signal number, they get that first, and time to clean up.
    """
    if number:
        for pid in pids:
            signal_group(pid, number)
    wait_for(pids, GRACE)
    codes = {}
    for pid in pids:
        signal_group(pid, signal.SIGKILL)
        codes[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return codes


def wait_for(pids, seconds):
    """Wait until processes have ended, at most so long. They keep their ids, for `os.waitpid`."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) and time.monotonic() < deadline:
            time.sleep(0.002)


def signal_group(pid, number):
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # all have ended (macOS: PermissionError), or it had no time yet to make its group


def main(descriptor, modules):
    """Be a fork server on a socket; import modules first, and ignore those that cannot be imported."""
    control = socket.socket(fileno=int(descriptor))
    for module in ["snakemake.iocontainers", "snakemake.logging", *modules]:
        if select.select([control], [], [], 0)[0] and not control.recv(1, socket.MSG_PEEK):
            return  # Snakemake has ended meanwhile
        try:
            importlib.import_module(module)
        except Exception:
            traceback.print_exc()
    try:
        connection = serve(control)
        work(connection)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter would print a traceback at its end
    except KeyboardInterrupt:
        os._exit(130)
