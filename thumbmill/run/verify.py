"""Thumbnails whose source changed after it was read and before its job ended."""

import math
import os
from collections.abc import Iterable

from thumbmill.catalog.history import History
from thumbmill.catalog.picture import Picture
from thumbmill.files import remove_file
from thumbmill.run.snakemake_internals import Outcome, job_times


def remove_outdated(workflow: object, history: History, outcome: Outcome) -> set[str]:
    """Remove thumbnails whose source changed after it was read and before the job's end; return their pictures.

    At a job's end Snakemake gives its thumbnails a new date, so that they are newer than such a source, and would stay.
    Examined are the sources of what this run made that have another date or size now than when the catalogue was
    listed, and those of what an earlier run made that was killed before it came to this. Asked again, the answer is the
    same.
    """
    catalog = history.catalog
    if catalog.layout.source.is_remote or catalog.layout.output.is_remote:
        return set()
    outdated = set()
    for wildcard in (*outcome.made, *outcome.made_unrecorded, *outcome.current):
        from_earlier_run = wildcard in outcome.current
        if from_earlier_run and history.has_seen(wildcard):
            continue
        source = catalog.source_path(wildcard)
        try:
            status, link = os.stat(source), os.lstat(source)
        except OSError:
            continue  # removed: its thumbnails are orphans now
        if not from_earlier_run and is_as_listed(catalog[wildcard], status, link):
            continue
        start, end = job_times(workflow, catalog.layout.outputs(wildcard)[0]) or (0, math.inf)
        if not from_earlier_run:
            end = math.inf
        elif not start:
            continue  # not made by Snakemake
        if changed_between(start, end, (status, link)):
            outdated.add(wildcard)
            for path in catalog.thumbnails(wildcard):
                remove_file(path)
    return outdated


def is_as_listed(picture: Picture, status: os.stat_result, link: os.stat_result) -> bool:
    """Whether a source, and the link to it if it is one, are still as the listing found them."""
    return (status.st_size, max(status.st_mtime_ns, link.st_mtime_ns)) == (picture.bytes, picture.time)


def changed_between(start: float, end: float, statuses: Iterable[os.stat_result]) -> bool:
    """Whether one of the files changed between two times, in seconds since the epoch.

    One that is moved into the place of another has an old date, but is marked as changed now.
    """
    return any(start <= date <= end for status in statuses for date in (status.st_mtime, status.st_ctime))
