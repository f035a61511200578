"""Shards: a catalogue made by several Snakemake runs at once, each with warm workers, on one machine or many.

The submitting run divides what is to be made among shards, of which each is one job of the rule `shard`: a Snakemake
run of its own, which knows nothing but its own pictures. A folder for each run (RUNS/<run>/) holds what its shards need
and what they tell; when the submitting run ends, it adds that up and removes the folder.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scripts.catalogue import Catalogue, CatalogueError, Picture, list_catalogue
from scripts.history import History, places, write_history
from scripts.object_storage import StoreError, check, is_remote
from scripts.recipe import ingredients
from scripts.running import RUNS, Running, begin_work, needs_lock_at_once
from scripts.settings import load_validator, read_settings
from scripts.snakemake_run import made_since, only_looks
from scripts.thumbnail import below, remove, write_whole

PATTERN = os.path.join(RUNS, "{run}", "{number}.json")  # what a shard tells at its end
LOG = "logs/shards/{run}-{number}.log"
ENDED_LOG = "logs/shards/{run}.log"
ALL_ENDED = os.path.join(RUNS, "{run}", "ended")


class ShardError(Exception):
    """Shards did not make everything; the message says what to do."""


class Told(NamedTuple):
    """What a shard tells at its end of its pictures, each by what Snakemake calls it."""

    made: list[str]
    current: dict[str, bool]  # and whether thumbmill made their thumbnails
    missing: dict[str, str]  # and why


class Shards:
    """The shards of one submitting run."""

    def __init__(self, catalogue: Catalogue, history: History, running: Running | None):
        """`running` is the lock of the output folder, which names the run; a shard itself has none."""
        self.catalogue = catalogue
        self.history = history
        self.running = running
        self.run = ""
        self.pictures: list[str] = []  # by what Snakemake calls them
        self.number = 0
        self.arguments = ""

    def divide(self, pictures: Iterable[str], largest: int, arguments: str) -> list[str]:
        """Divide `pictures` among as few shards as have at most `largest` each; returns what the DAG is to ask for.

        Neighbours in the catalogue stay together. `arguments` are added to each shard's command line.
        """
        self.pictures = list(pictures)
        self.number = -(-len(self.pictures) // largest)
        self.run = self.running.run
        self.arguments = arguments
        if self.running.held:  # already, since nobody will call begin(): see needs_lock_at_once()
            self.write()
        return [ALL_ENDED.format(run=self.run)]

    def write(self) -> None:
        """Write what each shard needs; the run has to hold the lock. Raises OSError."""
        each = -(-len(self.pictures) // max(1, self.number))
        for number in range(self.number):
            self.write_one(number, self.pictures[number * each : (number + 1) * each])

    def write_one(self, number: int, pictures: list[str]) -> None:
        """Write what a shard of these pictures needs."""
        folder = os.path.join(RUNS, self.run, str(number))
        os.makedirs(folder)
        listed = [self.catalogue.pictures[wildcard] for wildcard in pictures]
        names = [picture.name for picture in listed]
        known = self.history.known
        subset = known._replace(
            places=places(self.history.settings),
            pictures={name: known.pictures[name] for name in names if name in known.pictures},
            strays={},
            folders=[],
        )
        write_history(os.path.join(folder, "history.json"), subset)
        content = {"settings": self.history.settings, "pictures": listed}
        write_whole(os.path.join(folder, "shard.json"), json.dumps(content).encode())
        write_whole(os.path.join(folder, "arguments"), self.arguments.encode())

    def outcomes(self) -> list[str]:
        """The files that the shards write at their end."""
        return [PATTERN.format(run=self.run, number=number) for number in range(self.number)]

    def outcomes_of(self, wildcards) -> list[str]:
        """Those of the run `wildcards.run`: also in the process of a single job, which has divided nothing."""
        if wildcards.run == self.run:
            return self.outcomes()
        folder = os.path.join(RUNS, wildcards.run)
        numbers = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
        return [PATTERN.format(run=wildcards.run, number=number) for number in numbers]

    def made_untold(self, told: Told, start: float) -> list[str]:
        """The pictures of shards that did not tell, whose thumbnails were made since `start` all the same."""
        silent = {*self.pictures} - {*told.made, *told.current, *told.missing}
        return [picture for picture in silent if made_since(self.catalogue.outputs(picture), start)]

    def remove(self) -> None:
        """Remove the run's folder, and the logs of those shards that have told how they ended."""
        for number, outcome in enumerate(self.outcomes()):
            if os.path.exists(outcome):
                remove(LOG.format(run=self.run, number=number))
        if self.run:
            remove(ENDED_LOG.format(run=self.run))
            shutil.rmtree(os.path.join(RUNS, self.run), ignore_errors=True)


def begin(workflow, history: History, shards: Shards, running: Running | None) -> None:
    """What a run does before its first job: takes the lock, removes what killed runs have left, writes its shards.

    A shard does none of it (the run that submitted it has), and what only looks needs no lock.
    Raises RunningError if another run is in the way.
    """
    if running is None:
        return
    if only_looks(workflow):
        running.join()
        return
    running.take()
    history.folders_before = running.sweep()
    shards.write()


def read_shard(folder: str) -> dict:
    """What write() wrote for a shard: its settings and its pictures."""
    with open(os.path.join(folder, "shard.json"), encoding="ascii") as file:
        return json.load(file)


def list_shard(listed: Iterable[list], settings: Mapping) -> Catalogue:
    """The catalogue of a shard: its own pictures, as they are now; objects in a store as they were listed."""
    pictures = []
    for picture in map(Picture._make, listed):
        if not is_remote(settings["source"]):
            path = below(settings["source"], picture.name)
            try:
                status = os.stat(path)
                time = max(status.st_mtime_ns, os.lstat(path).st_mtime_ns)
                picture = picture._replace(bytes=status.st_size, time=time, readable=is_readable(path))
            except OSError:
                picture = picture._replace(readable=False)
        pictures.append(picture)
    return Catalogue(pictures, settings)


def is_readable(path: str) -> bool:
    """Whether the file at `path` can be read; a folder that cannot be listed stands in the catalogue with a slash."""
    return os.access(path, os.R_OK) and not path.endswith("/")


def tell(folder: str, told: Told) -> None:
    """Write what a shard tells at its end. Raises OSError."""
    if told.made:
        os.sync()  # here, where it has written them: the submitting run may be on another machine
    write_whole(f"{folder}.json", json.dumps(told).encode())


def shard_command(workflow) -> str:
    """The shell command of a shard's job, but for what follows from its wildcards.

    Without Snakemake's locks: those of a node that died would have to be removed by hand, and a run that ends removes
    those of all others (Snakemake 9.27, `FilePersistence._delete_locks`). Without a profile of the user's, which may
    say that jobs go to the cluster.
    """
    profile = os.path.join(workflow.basedir, "profiles", "default")
    words = [sys.executable, "-m", "snakemake", "--snakefile", workflow.main_snakefile, "--workflow-profile", profile]
    return shlex.join([*words, "--profile", "none", "--nolock"])


def open_catalogue(config: Mapping, workflow_folder: str) -> tuple[dict, Catalogue, History, Running | None]:
    """The settings, the catalogue, its history and its lock: of the whole, or of the shard `config["shard_folder"]`.

    A shard has no lock of the whole: the run that submitted it has. Raises SettingsError, CatalogueError, RunningError.
    """
    folder = config.get("shard_folder")
    if not folder:
        settings = read_settings(config, load_validator(workflow_folder))
        if is_remote(settings["output"]):
            try:
                check(settings["output"])
            except StoreError as error:
                raise CatalogueError(str(error)) from error
        running = Running(settings["output"])
        if needs_lock_at_once(sys.argv):
            running.take()
        catalogue = Catalogue([], settings) if serves_shards_only(sys.argv) else list_catalogue(settings)
        return settings, catalogue, History(catalogue, ingredients(settings, workflow_folder)), running
    at_work = begin_work(folder)
    shard = read_shard(folder)
    catalogue = list_shard(shard["pictures"], shard["settings"])
    history = History(catalogue, ingredients(shard["settings"], workflow_folder), folder)
    history.at_work = at_work
    return shard["settings"], catalogue, history, None


def read_told(outcomes: Iterable[str]) -> Told:
    """What the shards that ended well tell together, from the files that they wrote."""
    together = Told([], {}, {})
    for path in outcomes:
        try:
            with open(path, encoding="ascii") as file:
                told = Told(*json.load(file))
        except (OSError, ValueError, TypeError):
            continue  # it did not end well: Snakemake says so
        together.made.extend(told.made)
        together.current.update(told.current)
        together.missing.update(told.missing)
    return together


def serves_shards_only(arguments: list[str]) -> bool:
    """Whether a Snakemake with these command line `arguments` runs a single job of a rule about shards.

    An executor starts one or two for each shard. They need not list the catalogue.
    """
    if "--target-jobs" not in arguments:
        return False
    job = arguments[arguments.index("--target-jobs") + 1]
    return job.startswith(("shard:", "shards_ended:"))


def check_all_made(outcomes: Iterable[str]) -> None:
    """Raises ShardError if the shards that wrote the files `outcomes` did not make all that they were to make."""
    if missing := read_told(outcomes).missing:
        raise ShardError(f"{len(missing):,} pictures have no thumbnail: the summary below says why")
