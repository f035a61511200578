"""One run of Snakemake, from its first line to its exit.

session.py       Session: what the Snakefile and its rules talk to
settings.py      complete and check the settings
paths.py         where a run keeps its logs and lists
lock.py          one run at a time for an output folder
preflight.py     whether the run can write where it must
cleanup.py       what killed runs and idle jobs leave behind
job.py           the work of one job, in its worker
limits.py        time and memory of one job
verify.py        thumbnails whose source changed during the run
failures.py      logs/failures.tsv and logs/warnings.tsv
conclude.py      the end of a run: judge, record, summarize
summary.py       the last lines that a run prints
shards.py        large catalogues, as several runs of Snakemake
cgroups.py       the cores and memory that a container may use
snakemake_internals.py   what only Snakemake's private interfaces offer, here and nowhere else
"""
