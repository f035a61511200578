"""A scheduler that hands out every ready job in one round.

Snakemake's own schedulers select as many jobs as cores are free. Each round costs time in proportion to all ready
jobs, and there is a round at each job's end, so that many short jobs cost quadratic time. This one leaves the cores to
an executor that holds back to `--cores` itself: one round, linear time, and the next rounds find nothing to do.

Every other limited resource is respected: jobs are taken by priority, and one that does not fit into what is left of a
resource is passed over until it does (first fit).
"""

from snakemake_interface_scheduler_plugins.base import SchedulerBase
from snakemake_interface_scheduler_plugins.settings import SchedulerSettingsBase

# An executor that queues the jobs it is given and counts their cores itself says so with this attribute.
HOLDS_BACK = "holds_back_to_cores"


class SchedulerSettings(SchedulerSettingsBase):
    """No settings."""


class Scheduler(SchedulerBase):
    def select_jobs(self, selectable_jobs, remaining_jobs, available_resources, input_sizes):
        """Return the jobs to hand out now, the highest priority first."""
        limits = dict(available_resources)
        if self._executor_holds_back():
            # Snakemake lets the count of free cores go below zero and adds them back as the jobs end.
            limits.pop("_cores", None)
        selected = []
        for job in sorted(selectable_jobs, key=lambda job: -job.priority):
            needs = job.scheduler_resources
            if all(needs.get(name, 0) <= free for name, free in limits.items()):
                selected.append(job)
                for name in limits:
                    limits[name] -= needs.get(name, 0)
        return selected

    def _executor_holds_back(self):
        # The interface does not tell a scheduler its executor; the workflow's choice is the only place to look.
        # With any other executor (or should the attribute move) cores are respected like everything else.
        plugin = getattr(getattr(self.dag, "workflow", None), "executor_plugin", None)
        return getattr(getattr(plugin, "executor", None), HOLDS_BACK, False)
