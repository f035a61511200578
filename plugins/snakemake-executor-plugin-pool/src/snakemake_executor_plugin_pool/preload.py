"""What servers import before they fork: the modules that a rule's jobs have imported, learned and kept from run to run."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable

STATE_FILE = ".snakemake/pool/modules.json"
VERSION = 1

# A script with one of these words may set a variable that a module reads when it is imported: it has to be imported
# after that, so nothing is preloaded.
SETS_ENVIRONMENT = (b"environ", b"putenv", b"sys.modules", b"__real_file__")


class LearnedModules:
    """The installed modules that each rule's jobs import."""

    def __init__(self, path: str = STATE_FILE) -> None:
        self._path = path
        self._interpreter = f"{sys.executable} {sys.version}"
        self._changed = False
        self._rules: dict[str, list[str]] = {}
        self._rejected: set[str] = set()
        self._read()

    def modules(self, rule: str) -> list[str]:
        """Return the modules to import for the jobs of a rule, in the order in which they were imported."""
        return [name for name in self._rules.get(rule, []) if name.partition(".")[0] not in self._rejected]

    def learn(self, rule: str, modules: Iterable[str]) -> None:
        """Add modules that a job of a rule has imported."""
        known = self._rules.setdefault(rule, [])
        seen = set(known)
        new = [name for name in modules if name not in seen]
        if new:
            known.extend(new)
            self._changed = True

    def reject(self, packages: Iterable[str]) -> None:
        """Never import these packages again before a fork."""
        new = set(packages) - self._rejected
        if new:
            self._rejected |= new
            self._changed = True

    def save(self) -> None:
        """Keep what was learned for the next run. What cannot be written is learned again."""
        if not self._changed:
            return
        content = {
            "version": VERSION,
            "interpreter": self._interpreter,
            "rules": self._rules,
            "rejected": sorted(self._rejected),
        }
        with contextlib.suppress(OSError):
            folder = os.path.dirname(self._path)
            os.makedirs(folder, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
                json.dump(content, file)
            os.replace(file.name, self._path)

    def _read(self) -> None:
        try:
            with open(self._path, encoding="utf-8") as file:
                content = json.load(file)
            if content["version"] == VERSION and content["interpreter"] == self._interpreter:
                self._rules = {rule: list(modules) for rule, modules in content["rules"].items()}
                self._rejected = set(content["rejected"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            pass  # nothing has been learned


def sets_environment(source: bytes) -> bool:
    """Return whether a script may change what modules see when they are imported."""
    return any(word in source for word in SETS_ENVIRONMENT)
