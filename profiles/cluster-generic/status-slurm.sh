#!/bin/sh
# Prints what Snakemake asks of a SLURM job: running, success or failed. Needs no accounting database.
state=$(squeue --noheader --states=all --format=%T --jobs="$1") || {
  # squeue no longer knows the job, or the controller does not answer: only the former is a lost job.
  scontrol ping >/dev/null 2>&1 && echo failed || echo running
  exit 0
}
case "$state" in
  COMPLETED) echo success ;;
  PENDING | RUNNING | CONFIGURING | COMPLETING | SUSPENDED | REQUEUED | RESIZING | STAGE_OUT | SIGNALING | STOPPED) echo running ;;
  *) echo failed ;;
esac
