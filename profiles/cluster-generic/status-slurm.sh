#!/bin/sh
# Prints what Snakemake asks of a SLURM job: running, success or failed. Needs no accounting database.
state=$(squeue --noheader --states=all --format=%T --jobs="$1") || {
  # Squeue does not know the job (any more), or the controller does not answer: the one is a lost job, the other is not.
  scontrol ping >/dev/null 2>&1 && echo failed || echo running
  exit 0
}
case "$state" in
  COMPLETED) echo success ;;
  PENDING | RUNNING | CONFIGURING | COMPLETING | SUSPENDED | REQUEUED | RESIZING | STAGE_OUT | SIGNALING | STOPPED) echo running ;;
  *) echo failed ;;
esac
