"""Session: one run, as the Snakefile and its rules see it.

It holds what a run works with (settings, catalogue, history, lock, shards) and answers what the rules ask: which
thumbnails to make, from which source, with which parameters.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from thumbmill import failures
from thumbmill.catalog.history import History
from thumbmill.catalog.layout import Layout
from thumbmill.catalog.listing import Catalog, list_catalog
from thumbmill.catalog.recipe import ingredients
from thumbmill.catalog.store import QUERY_SCHEME
from thumbmill.errors import CatalogError, FolderError, StoreError, exit_on_user_error
from thumbmill.progress import Counter, report_status
from thumbmill.run import snakemake_internals as internals
from thumbmill.run.cgroups import worker_memory
from thumbmill.run.cleanup import remove_empty_thumbnails, remove_leftovers
from thumbmill.run.failures import read_failures
from thumbmill.run.lock import OutputLock, join_run, needs_lock_at_once
from thumbmill.run.paths import RunPaths
from thumbmill.run.preflight import check_output, check_working_folder, reset_future_dates
from thumbmill.run.settings import load_validator, read_settings
from thumbmill.run.shards import Shards, check_all_made, read_shard, serves_shards_only, shard_command
from thumbmill.run.verify import remove_outdated

CODE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # where the Snakefile is

InputFunction = Callable[[Any], list[Any]]


class Session:
    """One run of the workflow: of the whole catalogue, or of the shard whose folder the config names."""

    def __init__(self, workflow: Any, config: Mapping[str, Any], storage: Any):
        """Read settings, catalogue and history. Raises UserError.

        `storage` is the Snakefile's global of that name.
        """
        if workflow.is_main_process:
            check_working_folder()
        internals.cap_cores_to_cpu_quota(workflow)
        self.workflow = workflow
        self.storage = storage
        self.folder = os.getcwd()
        self.in_module = internals.is_module(workflow)
        self.shard_folder: str = config.get("shard_folder", "")
        self.skipped: frozenset[str] = frozenset()
        self.folders_before: set[str] | None = None
        self.paths = RunPaths(*(self._moved(path) for path in RunPaths()))
        self._shard_locks: list[IO[str]] = []
        self._started = False
        if self.shard_folder:
            self._shard_locks = join_run(self.shard_folder)
            settings, pictures = read_shard(self.shard_folder)
            self.catalog = Catalog(pictures, settings)
            history_file = os.path.join(self.shard_folder, "history.json")
        else:
            settings = read_settings(config, load_validator(CODE))
            settings |= {key: self._moved(settings[key]) for key in ("source", "output")}
            self.catalog = self._list_catalog(settings)
            history_file = ""
        self.settings = settings
        self.history = History(self.catalog, ingredients(settings), history_file)
        self.shards = Shards(self.catalog, self.history)
        # Snakemake asks for each source as it builds the DAG, then for each identity as it judges what has to be made.
        self._sources_asked = Counter("building the DAG")
        self._identities_asked = Counter("deciding what to make")
        internals.cache_script_path(workflow)
        internals.collect_garbage_less_often()

    @classmethod
    def open(cls, workflow: Any, config: Mapping[str, Any], storage: Any) -> "Session":
        """Return the session of this run.

        Exits with a line on standard error if the settings or the catalogue cannot be used.
        """
        with exit_on_user_error():
            return cls(workflow, config, storage)

    def _list_catalog(self, settings: Mapping[str, Any]) -> Catalog:
        """List the source, and look at the lock first: what changes from now on must not be missed."""
        layout = Layout(settings)
        try:
            layout.output.check()
        except StoreError as error:
            raise CatalogError(str(error)) from error
        self._lock = OutputLock(layout.output)
        if needs_lock_at_once(sys.argv):
            self._lock.acquire()
        return Catalog([], settings) if serves_shards_only(sys.argv) else list_catalog(settings)

    def _moved(self, path: str) -> str:
        """Return where a module's `prefix:` puts `path`."""
        return internals.module_path(self.workflow, path)

    # What the Snakefile reads

    @property
    def config(self) -> dict[str, Any]:
        """The config of every job: the settings, and what the picture script needs besides.

        The memory of a worker is of this machine, which need not be the one that a shard runs on.
        """
        cores = internals.all_cores(self.workflow)
        memory = worker_memory(self.settings["max_memory"], cores)
        return {**self.settings, "worker_memory": memory, "code": CODE}

    @property
    def is_shard(self) -> bool:
        """Whether this run makes one shard of a larger one."""
        return bool(self.shard_folder)

    @property
    def lock(self) -> OutputLock | None:
        """The lock of the output folder; a shard has none, since the run that submitted it holds it."""
        return None if self.is_shard else self._lock

    @property
    def cores(self) -> int:
        """The cores of this machine that the run may use."""
        return internals.all_cores(self.workflow)

    @property
    def patterns(self) -> list[Any]:
        """The output patterns of the rule `thumbnail`."""
        return self._for_snakemake(self.catalog.layout.patterns)

    @functools.cached_property
    def source(self) -> InputFunction:
        """The input function of the rule `thumbnail`."""

        def source(wildcards: Any) -> list[Any]:
            self._sources_asked.step()
            if self.in_module:
                self._start_in_module()
            return self._for_snakemake(self.catalog.input_of(wildcards.picture), retrieve=False)

        return internals.as_input_function(source)

    @functools.cached_property
    def identity(self) -> Callable[[Any], Any]:
        """The parameter that distinguishes a picture from another in its place."""

        def identity(wildcards: Any) -> Any:
            self._identities_asked.step()
            return self.history.identity(wildcards.picture)

        return internals.as_input_function(identity)

    @functools.cached_property
    def recipe(self) -> Callable[[Any], str]:
        """The parameter that stands for everything else that decides a thumbnail's pixels."""
        return internals.as_input_function(lambda wildcards: self.history.recipe(wildcards.picture))

    @functools.cached_property
    def out_of_date(self) -> InputFunction:
        """The input of rule `all`: every thumbnail of the catalogue, without those that are certainly current.

        A function, because Snakemake says only when it builds the DAG what it was asked for.
        """

        @functools.cache
        def thumbnails() -> list[Any]:
            report_status("looking for what has changed")
            wildcards = list(self.catalog)
            if self.settings["skip_unchanged"] and internals.can_skip_unchanged(self.workflow) and not self.is_shard:
                self.skipped = self.history.unchanged()
                wildcards = [wildcard for wildcard in wildcards if wildcard not in self.skipped]
            return self._dag_inputs(wildcards)

        return lambda wildcards: thumbnails()

    @functools.cached_property
    def failed(self) -> InputFunction:
        """The input of rule `retry`: the thumbnails of the pictures in the list of failures."""

        @functools.cache
        def thumbnails() -> list[Any]:
            listed = read_failures(self.paths.failures)
            if not listed:
                print(f"thumbmill: no failure is listed in {self.paths.failures}")
                return []
            return self._dag_inputs([each for each in self.catalog if self.catalog.display_name(each) in listed])

        return lambda wildcards: thumbnails()

    def unless(self, check: Callable[..., Any], *arguments: Any) -> InputFunction:
        """Return the input of a target that takes no files: none, unless `check(*arguments)` raises a UserError.

        Here, before any work, it takes one line. The failure of a `run:` block would take a page of Snakemake's.
        """

        def no_files(wildcards: Any) -> list[Any]:
            with exit_on_user_error():
                check(*arguments)
            return []

        return no_files

    @property
    def shard_command(self) -> str:
        """The shell command of a shard's job."""
        return shard_command(self.workflow.main_snakefile, CODE)

    def shard_results(self, wildcards: Any) -> list[str]:
        """Return the files that the shards of the run `wildcards.run` write at their end."""
        return self.shards.results_of(wildcards.run)

    def check_shards(self, results: Iterable[str]) -> None:
        """Raise ShardError if a shard did not make all its pictures."""
        check_all_made(results)

    # What the DAG is asked for

    def _dag_inputs(self, wildcards: list[str]) -> list[Any]:
        """Return what to ask the DAG for, so that it makes the thumbnails of these pictures: these, or shards."""
        will_write = bool(wildcards) and internals.will_write(self.workflow)
        with exit_on_user_error():
            check_output(self.catalog, wildcards, will_write)
        if will_write and (found := reset_future_dates(self.catalog, wildcards)):
            print(
                f"thumbmill: {found:,} thumbnails are dated in the future (was the clock set back?): "
                "they are checked again",
                file=sys.stderr,
            )
        if will_write and self.lock and not self.catalog.layout.output.is_remote:
            remove_empty_thumbnails((path for each in wildcards for path in self.catalog.thumbnails(each)), self.lock)
        if not wildcards:
            # With one to ask about, Snakemake says by itself that nothing has to be done.
            wildcards = list(self.catalog)[:1]
            self.skipped -= {*wildcards}
        elif self.lock and (largest := internals.largest_shard(self.workflow)):
            for wildcard in wildcards:
                self.history.version(wildcard)  # which depends on thumbnails: now, before they are made
            ends = self.shards.divide(self.lock.run, wildcards, largest, internals.force_flag(self.workflow))
            if self.lock.is_held:  # already, since nobody will call start(): see needs_lock_at_once()
                self.shards.write()
            return ends
        else:
            self._sources_asked.expect(len(wildcards))
            self._identities_asked.expect(len(wildcards))
        return self._for_snakemake(self.catalog.outputs(wildcards))

    def _for_snakemake(self, paths: Iterable[str], retrieve: bool = True) -> list[Any]:
        """Return `paths` for a rule: queries as objects of Snakemake's storage, which copies them if `retrieve`.

        With retrieve=False a job fetches its source itself, in its worker: side by side, and what cannot be fetched
        fails alone. In a module, paths have their prefix already.
        """
        return [self._flagged(path, retrieve) for path in paths]

    def _flagged(self, path: str, retrieve: bool) -> Any:
        if path.startswith(QUERY_SCHEME):
            return self.storage.s3listed(path, retrieve=retrieve)
        if self.in_module:
            from snakemake.io import local  # here, since workers import this package without Snakemake

            return local(path)
        return path

    # From the first job to the exit

    def start(self) -> None:
        """Prepare for the first job: take the lock, remove what killed runs have left, write what shards need.

        A shard does none of it (the run that submitted it has), and what only looks needs no lock. Exits with a line on
        standard error if another run is in the way, or nothing can be written.
        """
        if self.lock is None:
            return
        with exit_on_user_error():
            try:
                if internals.is_read_only(self.workflow):
                    self.lock.join()
                    return
                self._take_lock()
                self.shards.write()
            except OSError as error:
                raise FolderError(failures.not_written(error.filename or ".snakemake", error).text) from error

    def _take_lock(self) -> None:
        """Hold the lock, and remove what killed runs have left. Raises LockError."""
        assert self.lock
        self.lock.acquire()
        self.folders_before = remove_leftovers(self.lock, self.catalog.layout.output, self.paths)

    def _start_in_module(self) -> None:
        """Do what start() does when Snakemake asks about the first picture, since it calls no `onstart` of a module."""
        if not self._started and self.lock and internals.will_write(self.workflow):
            self._started = True
            with exit_on_user_error():
                self._take_lock()

    def may_write(self) -> bool:
        """Whether this run may record how it ended: it has the lock, or had nothing to do and can take it now.

        While another run works, one that had nothing to do has nothing to report that could not wait.
        """
        assert self.lock
        if not self.lock.is_held:
            if not self.lock.try_acquire():
                return False
            self.folders_before = remove_leftovers(self.lock, self.catalog.layout.output, self.paths)
        return True

    def fail_if_outdated(self) -> None:
        """At the end of a run whose jobs all ended well: exit with an error if a thumbnail is no longer right."""
        if outdated := remove_outdated(self.workflow, self.history, internals.outcome(self.workflow)):
            sys.exit(f"thumbmill: changed while their thumbnails were made: {len(outdated):,} pictures; run again")
