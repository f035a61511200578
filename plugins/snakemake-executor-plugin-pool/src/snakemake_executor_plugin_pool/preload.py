"""What servers import before they fork: modules that a rule's jobs have imported, kept from run to run."""

import contextlib
import importlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

STATE_FILE = ".snakemake/pool/modules.json"
VERSION = 2

# A source with one of these may change what a module does when it is imported: variables that it reads, other modules
# that it finds, or a back end of matplotlib that needs a display (which fails at once if pyplot has been imported).
IMPORT_ORDER_MATTERS = re.compile(
    rb"environ|putenv|unsetenv|sys\.modules|meta_path|path_hooks|monkey|setdlopenflags"
    rb"|\buse\(\s*[\"'](?!agg|cairo|pdf|pgf|ps|svg|template)",
    re.IGNORECASE,
)

# What only reads the environment.
ENVIRONMENT_READ = re.compile(
    rb"(?<!del\s)\bos\.environ(\.(get|copy|items|keys|values)\(|\[[^\]\n]*\](?!\s*[-+|]?=(?!=)))|\bin os\.environ\b"
)

# Threads, by name, whose libraries prepare for a fork and start them again after it. jemalloc comes with pyarrow, which
# pandas imports if it is installed (background_thread_postfork_child in jemalloc's src/background_thread.c).
RESTARTED_THREADS = {"jemalloc_bg_thd"}


@dataclass
class RuleModules:
    """What the jobs of a rule have imported.

    `own` are the top-level names of the workflow's own modules; `nothing` forbids to import anything ahead.
    """

    modules: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    nothing: bool = False


class LearnedModules:
    """The modules that each rule's jobs import."""

    def __init__(self, path: str = STATE_FILE) -> None:
        self._path = path
        self._interpreter = f"{sys.executable} {sys.version}"
        self._changed = False
        self._rules: dict[str, RuleModules] = {}
        self._rejected: set[str] = set()
        self._sources: dict[str, bool] = {}  # whether the order of imports matters in a file
        self._read()

    def modules(self, rule: str) -> list[str]:
        """Return the modules to import for the jobs of a rule, in the order in which they were imported."""
        known = self._rules.get(rule)
        if known is None or known.nothing:
            return []
        return [name for name in self.allowed(known.modules) if name.partition(".")[0] not in known.own]

    def own(self, rule: str) -> list[str]:
        """Return the top-level names of the workflow's own modules that the jobs of a rule import."""
        return self._rules[rule].own if rule in self._rules else []

    def allowed(self, modules: Iterable[str]) -> list[str]:
        """Return the modules that have not been rejected."""
        return [name for name in modules if name.partition(".")[0] not in self._rejected]

    def learn(self, rule: str, modules: Iterable[str], own: Iterable[tuple[str, str]]) -> None:
        """Add modules that a job of a rule has imported, and the names and files of the workflow's own."""
        known = self._rules.setdefault(rule, RuleModules())
        own = list(own)
        nothing = known.nothing or any(self.order_matters(file) for _, file in own if file)
        names = list(dict.fromkeys([*known.own, *(name.partition(".")[0] for name, _ in own)]))
        new = RuleModules(list(dict.fromkeys([*known.modules, *modules])), names, nothing)
        if new != known or not self._rules[rule].modules:
            self._rules[rule] = new
            self._changed = True

    def reject(self, packages: Iterable[str]) -> None:
        """Never import these packages again before a fork."""
        new = set(packages) - self._rejected
        if new:
            self._rejected |= new
            self._changed = True

    def order_matters(self, file: str) -> bool:
        """Return whether a source file may change what modules do when they are imported after that."""
        if file not in self._sources:
            try:
                with open(file, "rb") as source:
                    content = ENVIRONMENT_READ.sub(b"", source.read())
                self._sources[file] = bool(IMPORT_ORDER_MATTERS.search(content))
            except OSError:
                self._sources[file] = True
        return self._sources[file]

    def save(self) -> None:
        """Keep what was learned for the next run. What cannot be written is learned again."""
        if not self._changed:
            return
        content = {
            "version": VERSION,
            "interpreter": self._interpreter,
            "rules": {rule: asdict(known) for rule, known in self._rules.items()},
            "rejected": sorted(self._rejected),
        }
        with contextlib.suppress(OSError):
            folder = os.path.dirname(self._path)
            os.makedirs(folder, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
                json.dump(content, file)
            os.replace(file.name, self._path)
            self._changed = False

    def _read(self) -> None:
        try:
            with open(self._path, encoding="utf-8") as file:
                content = json.load(file)
            if content["version"] == VERSION and content["interpreter"] == self._interpreter:
                self._rules = {rule: RuleModules(**known) for rule, known in content["rules"].items()}
                self._rejected = set(content["rejected"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            pass  # nothing has been learned


# In the server


def import_modules(modules: list[str]) -> list[str]:
    """Import modules, in their order; return the package of the first that must not be imported before a fork.

    Importing it starts a thread or a process or leaves a file open, of which a fork would lose the one and share the
    other, or it prints something, as it has to do in each job. Modules that cannot be imported are left out.
    """
    with captured_output() as output:
        before = open_resources()
        for module in modules:
            try:
                importlib.import_module(module)
            except BaseException:
                continue
            finally:
                flush()
            if os.fstat(output).st_size or (open_resources() != before and resources_after_fork() != before):
                for pid in open_resources()[1] - before[1]:
                    os.kill(pid, signal.SIGKILL)
                return [module.partition(".")[0]]
    return []


@contextlib.contextmanager
def captured_output() -> Iterator[int]:
    """Redirect standard output and error to a file; yield its descriptor."""
    flush()
    saved = [(os.dup(number), number) for number in (1, 2)]
    with tempfile.TemporaryFile() as file:
        for _, number in saved:
            os.dup2(file.fileno(), number)
        try:
            yield file.fileno()
        finally:
            flush()
            for copy, number in saved:
                os.dup2(copy, number)
                os.close(copy)


def flush() -> None:
    """Write out what has been printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def is_lost_by_fork(thread: str) -> bool:
    """Return whether a process that is forked would miss a thread of this one (by its id)."""
    try:
        with open(f"/proc/self/task/{thread}/comm") as file:
            return file.read().strip() not in RESTARTED_THREADS
    except FileNotFoundError:  # it has just ended
        return False


def open_resources() -> tuple[int, frozenset[int], int]:
    """Return the number of threads, the child processes, and the number of open files of this process."""
    try:
        threads = sum(map(is_lost_by_fork, os.listdir("/proc/self/task")))
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            children = frozenset(map(int, file.read().split()))
        return threads, children, len(os.listdir("/proc/self/fd"))
    except OSError:  # no Linux
        import psutil

        process = psutil.Process()
        return process.num_threads(), frozenset(child.pid for child in process.children()), process.num_fds()


def resources_after_fork() -> tuple[int, frozenset[int], int]:
    """Fork once, and count again: OpenBLAS ends its threads before a fork, and starts new ones after it."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return open_resources()
