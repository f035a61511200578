"""Shards: a catalogue made by several Snakemake runs at once, each with warm workers, on one machine or many.

The submitting run divides what has to be made among shards. Each is one job of the rule `shard`: a Snakemake run of its
own, which knows nothing but its own pictures. A folder for each run (SHARDS_FOLDER/<run>/) holds what its shards need
and their results; when the submitting run ends, it adds these up and removes the folder.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from thumbmill.catalog.history import History
from thumbmill.catalog.history_file import write_history
from thumbmill.catalog.layout import layout_of
from thumbmill.catalog.listing import Catalog
from thumbmill.catalog.picture import Picture
from thumbmill.catalog.store import open_store
from thumbmill.errors import ShardError
from thumbmill.failures import Failure, Kind
from thumbmill.files import remove_file, write_atomically
from thumbmill.run.cleanup import SHARDS_FOLDER
from thumbmill.run.snakemake_internals import made_since

RESULT_PATTERN = os.path.join(SHARDS_FOLDER, "{run}", "{number}.json")
LOG_PATTERN = "logs/shards/{run}-{number}.log"
ALL_ENDED_LOG = "logs/shards/{run}.log"
ALL_ENDED = os.path.join(SHARDS_FOLDER, "{run}", "ended")


class ShardResult(NamedTuple):
    """What a shard reports at its end of its pictures, each by its wildcard."""

    made: list[str]
    current: dict[str, bool]  # and whether thumbmill made their thumbnails
    missing: dict[str, Failure]

    @classmethod
    def empty(cls) -> "ShardResult":
        """Return a result without pictures."""
        return cls([], {}, {})

    @classmethod
    def from_json(cls, content: list[Any]) -> "ShardResult":
        """Return the result that a shard's result file holds as a list."""
        made, current, missing = content
        return cls(made, current, {wildcard: Failure(Kind(kind), text) for wildcard, (kind, text) in missing.items()})


class Shards:
    """The shards of one submitting run."""

    def __init__(self, catalog: Catalog, history: History):
        self.catalog = catalog
        self.history = history
        self.run = ""
        self.wildcards: list[str] = []
        self.count = 0
        self.arguments = ""

    def divide(self, run: str, wildcards: Iterable[str], largest: int, arguments: str) -> list[str]:
        """Divide pictures among as few shards as have at most `largest` each; return what the DAG has to ask for.

        Neighbours in the catalogue stay together. `arguments` are added to each shard's command line.
        """
        self.run = run
        self.wildcards = list(wildcards)
        self.count = -(-len(self.wildcards) // largest)
        self.arguments = arguments
        return [ALL_ENDED.format(run=run)]

    def write(self) -> None:
        """Write what each shard needs; the run has to hold the lock. Raises OSError."""
        each = -(-len(self.wildcards) // max(1, self.count))
        for number in range(self.count):
            self._write_one(number, self.wildcards[number * each : (number + 1) * each])

    def _write_one(self, number: int, wildcards: list[str]) -> None:
        """Write what a shard of these pictures needs."""
        folder = os.path.join(SHARDS_FOLDER, self.run, str(number))
        os.makedirs(folder)
        pictures = [self.catalog[wildcard] for wildcard in wildcards]
        names = [picture.name for picture in pictures]
        saved = self.history.saved
        known = saved.deleted | saved.pictures
        subset = saved._replace(
            layout=layout_of(self.history.settings),
            pictures={name: known[name] for name in names if name in known},
            orphans={},
            folders=[],
            deleted={},
        )
        write_history(os.path.join(folder, "history.json"), subset)
        content = {"settings": self.history.settings, "pictures": pictures}
        write_atomically(os.path.join(folder, "shard.json"), json.dumps(content).encode())
        write_atomically(os.path.join(folder, "arguments"), self.arguments.encode())

    def results(self) -> list[str]:
        """Return the files that the shards write at their end."""
        return [RESULT_PATTERN.format(run=self.run, number=number) for number in range(self.count)]

    def results_of(self, run: str) -> list[str]:
        """Return those of any `run`: the process of a single job has divided nothing itself."""
        if run == self.run:
            return self.results()
        folder = os.path.join(SHARDS_FOLDER, run)
        numbers = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
        return [RESULT_PATTERN.format(run=run, number=number) for number in numbers]

    def made_unreported(self, result: ShardResult, start: float) -> list[str]:
        """Return the pictures of shards without a result whose thumbnails were made since `start` all the same."""
        silent = {*self.wildcards} - {*result.made, *result.current, *result.missing}
        return [wildcard for wildcard in silent if made_since(self.catalog.layout.outputs(wildcard), start)]

    def remove(self) -> None:
        """Remove the run's folder, and the logs of those shards that have reported how they ended."""
        for number, result in enumerate(self.results()):
            if os.path.exists(result):
                remove_file(LOG_PATTERN.format(run=self.run, number=number))
        if self.run:
            remove_file(ALL_ENDED_LOG.format(run=self.run))
            shutil.rmtree(os.path.join(SHARDS_FOLDER, self.run), ignore_errors=True)


def read_shard(folder: str) -> tuple[dict[str, Any], list[Picture]]:
    """Return the settings and the pictures of the shard in `folder`; pictures as they are now."""
    with open(os.path.join(folder, "shard.json"), encoding="ascii") as file:
        content: Mapping[str, Any] = json.load(file)
    source = open_store(content["settings"]["source"])
    return content["settings"], [source.refresh(Picture(*fields)) for fields in content["pictures"]]


def write_result(folder: str, result: ShardResult) -> None:
    """Write what the shard in `folder` reports at its end. Raises OSError."""
    if result.made:
        os.sync()  # here, where it has written them: the submitting run may be on another machine
    write_atomically(f"{folder}.json", json.dumps(result).encode())


def read_results(paths: Iterable[str]) -> ShardResult:
    """Return what the shards that ended well report together, from the files that they wrote."""
    together = ShardResult.empty()
    for path in paths:
        try:
            with open(path, encoding="ascii") as file:
                result = ShardResult.from_json(json.load(file))
        except (OSError, ValueError, TypeError):
            continue  # it did not end well: Snakemake says so
        together.made.extend(result.made)
        together.current.update(result.current)
        together.missing.update(result.missing)
    return together


def check_all_made(paths: Iterable[str]) -> None:
    """Raise ShardError if the shards that wrote the result files `paths` did not make all their pictures."""
    if missing := read_results(paths).missing:
        raise ShardError(f"{len(missing):,} pictures have no thumbnail: the summary below says why")


def shard_command(snakefile: str, code: str) -> str:
    """Return the shell command of a shard's job, without what follows from its wildcards.

    Without Snakemake's locks: those of a node that died would have to be removed by hand, and a run that ends removes
    those of all others (Snakemake 9.27, `FilePersistence._delete_locks`). Without a profile of the user's, which may
    say that jobs go to the cluster.
    """
    profile = os.path.join(code, "profiles", "default")
    words = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--workflow-profile", profile]
    return shlex.join([*words, "--profile", "none", "--nolock"])


def serves_shards_only(arguments: list[str]) -> bool:
    """Whether a Snakemake with these command line `arguments` runs a single job of a rule about shards.

    An executor starts one or two for each shard. They need not list the catalogue.
    """
    if "--target-jobs" not in arguments:
        return False
    job = arguments[arguments.index("--target-jobs") + 1]
    return job.startswith(("shard:", "shards_ended:"))
