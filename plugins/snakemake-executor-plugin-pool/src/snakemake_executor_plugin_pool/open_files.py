"""The limit of open files: each worker process is one."""

import os
import resource

from snakemake_interface_common.exceptions import WorkflowError

# Files that Snakemake itself opens now and then during a run, to read, record and prepare. 7 have been found to be
# enough, and 3 not to be.
FILES_OF_SNAKEMAKE = 10

# Three for each of the three pools (its wake-up pipe and its selector), and one for each server, of which there is one
# for each number of threads that jobs have.
FILES_OF_POOLS = 20


def raise_open_file_limit(cores: int) -> None:
    """Allow this process as many open files as it needs for a worker per core.

    Raises WorkflowError if the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(os.listdir("/dev/fd")) + cores + FILES_OF_SNAKEMAKE + FILES_OF_POOLS
    if resource.RLIM_INFINITY not in (soft, hard) and needed > hard:
        raise WorkflowError(
            f"Open-file limit is {hard}; --cores {cores} needs {needed}. Raise it with ulimit -Hn (LimitNOFILE in a "
            "systemd service), or use fewer cores."
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
