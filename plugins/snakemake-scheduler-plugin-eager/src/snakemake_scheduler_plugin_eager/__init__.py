"""A scheduler that hands out every ready job in one round.

Snakemake's own schedulers select only as many jobs as there are free cores, so each job that ends starts another round.
A round takes time in proportion to the number of ready jobs: many short jobs take quadratic time. This scheduler leaves
the cores to an executor that keeps to `--cores` itself. One round then hands out everything, in linear time, and later
rounds find nothing to do.

All other limited resources are respected. Jobs are taken by priority, and a job that does not fit into what is left of
a resource is passed over until it does (first fit).

Where jobs write temporary files or need inputs fetched from a storage, handing out all of them would fill the disk:
they are handed out as cores become free, those first that use up temporary files.
"""

from collections.abc import Iterable, Mapping, Sequence

from snakemake_interface_common.io import AnnotatedStringInterface
from snakemake_interface_scheduler_plugins.base import SchedulerBase
from snakemake_interface_scheduler_plugins.interfaces.jobs import JobSchedulerInterface
from snakemake_interface_scheduler_plugins.settings import SchedulerSettingsBase

# An executor class that queues jobs and counts cores itself sets this attribute to True.
HOLDS_BACK = "holds_back_to_cores"


class SchedulerSettings(SchedulerSettingsBase):
    """There are no settings."""


class Scheduler(SchedulerBase):
    """Selects every ready job that the limited resources allow."""

    def __post_init__(self) -> None:
        self._temporary: set[str] = set()  # the temporary files of the jobs that have been handed out

    def select_jobs(
        self,
        selectable_jobs: Sequence[JobSchedulerInterface],
        remaining_jobs: Sequence[JobSchedulerInterface],
        available_resources: Mapping[str, int | str],
        input_sizes: dict[AnnotatedStringInterface, int],
    ) -> list[JobSchedulerInterface]:
        """Return the jobs to hand out now, the highest priority first."""
        limits = dict(available_resources)
        bulky = {id(job) for job in selectable_jobs if takes_space(job)}
        if not bulky and self._executor_holds_back():
            # Snakemake lets the number of free cores go below zero, and adds the cores back as jobs end.
            limits.pop("_cores", None)
        selected = first_fit(depth_first(selectable_jobs, self._temporary), limits)
        self._temporary.update(path for job in selected if id(job) in bulky for path in temporary_outputs(job))
        return selected

    def _executor_holds_back(self) -> bool:
        # The interface gives a scheduler no access to the executor; the workflow's choice is the only place to look.
        # With any other executor (or if Snakemake moves the attribute), cores are respected like every other resource.
        plugin = getattr(getattr(self.dag, "workflow", None), "executor_plugin", None)
        return bool(getattr(getattr(plugin, "executor", None), HOLDS_BACK, False))


def takes_space(job: JobSchedulerInterface) -> bool:
    """Return whether a job writes temporary files, or needs inputs fetched from a storage before it starts."""
    fetched = (path.flags.get("storage_object") for path in getattr(job, "input", ()))
    return any(storage is not None and storage.retrieve for storage in fetched) or bool(temporary_outputs(job))


def temporary_outputs(job: JobSchedulerInterface) -> list[str]:
    """Return the output files of a job that Snakemake deletes when they are no longer needed."""
    return [str(path) for path in getattr(job, "output", ()) if path.is_flagged("temp")]


def depth_first(jobs: Iterable[JobSchedulerInterface], temporary: set[str]) -> list[JobSchedulerInterface]:
    """Return `jobs` with those first that need one of the `temporary` files, which can be deleted after them."""
    jobs = list(jobs)
    if not temporary:
        return jobs
    return sorted(jobs, key=lambda job: temporary.isdisjoint(map(str, getattr(job, "input", ()))))


def first_fit(jobs: Iterable[JobSchedulerInterface], limits: Mapping[str, int | str]) -> list[JobSchedulerInterface]:
    """Return the jobs that fit into `limits` together, by priority; skip each one that no longer fits.

    A limit is the amount of a resource that is free. Resources with text as their value cannot be limited, and are
    ignored.
    """
    free = {name: amount for name, amount in limits.items() if not isinstance(amount, str)}
    selected = []
    for job in sorted(jobs, key=lambda job: -job.priority):
        needs = {name: amount for name, amount in job.scheduler_resources.items() if not isinstance(amount, str)}
        if all(needs.get(name, 0) <= amount for name, amount in free.items()):
            selected.append(job)
            for name in free:
                free[name] -= needs.get(name, 0)
    return selected
