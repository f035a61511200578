"""A small executor that accepts any number of jobs, and runs as many at once as there are cores (one core each)."""

from concurrent.futures import ThreadPoolExecutor

from snakemake.executors import local

common_settings = local.common_settings


class Executor(local.Executor):
    """Snakemake's built-in executor, except that its threads are as many as the cores."""

    holds_back_to_cores = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pool = ThreadPoolExecutor(self.cores)
