"""The plan: what the next run would make, how much that is, how long it takes and whether it fits on the disk."""

import os
from collections.abc import Container, Mapping
from typing import NamedTuple

from thumbmill.catalog.history import History, magnitude
from thumbmill.catalog.history_file import UNKNOWN_TIME
from thumbmill.catalog.listing import Catalog
from thumbmill.failures import Failure, Kind
from thumbmill.files import disk_usage, nearest_existing, write_lines
from thumbmill.run.failures import read_failures
from thumbmill.run.session import Session
from thumbmill.text import format_bytes, format_duration, plural

CHECKSUM_LIMIT = 1_000_000  # bytes, Snakemake's default: of smaller sources it compares the content


class Plan(NamedTuple):
    """The wildcards of a catalogue by what the next run would do."""

    new: list[str]
    changed: list[str]
    touched: list[str]  # newer, of the same size: Snakemake compares the content, and makes them only if it differs
    failed: list[str]
    current: list[str]

    @property
    def to_make(self) -> list[str]:
        """What the next run may make."""
        return [*self.new, *self.changed, *self.touched, *self.failed]


class Cost(NamedTuple):
    """What one picture costs, from earlier runs: bytes of all its thumbnails, and seconds of the run."""

    bytes: float
    seconds: float
    run_size: int  # pictures made by the run that this was measured in


def make_plan(history: History, failures: Mapping[str, Failure]) -> Plan:
    """Sort the catalogue by what the next run would do; `failures` are those of the last runs, by source."""
    plan = Plan([], [], [], [], [])
    deleted = history.deleted(history.saved.pictures)
    of_deleted = {path for name in deleted for path in history.layout.thumbnails(name)}
    for wildcard in history.catalog:
        getattr(plan, judge(wildcard, history, failures, of_deleted)).append(wildcard)
    return plan


def judge(wildcard: str, history: History, failures: Mapping[str, Failure], of_deleted: Container[str] = ()) -> str:
    """Return the field of Plan in which a picture belongs; `of_deleted` are the thumbnails of deleted pictures."""
    if history.is_current(wildcard):
        return "current"
    catalog = history.catalog
    picture, entry = catalog[wildcard], history.entry(wildcard)
    stamps = history.stamps(wildcard)
    if stamps is None:
        failure = failures.get(catalog.display_name(wildcard))
        if failure and failure.kind != Kind.STOPPED:
            return "failed"
        return "changed" if entry else "new"
    newer = picture.time > min(stamp.time for stamp in stamps)
    if not picture.readable:
        return "changed"
    if not entry:
        renamed = catalog.thumbnails(wildcard)[0] in of_deleted
        return "changed" if newer or renamed else "current"
    if picture.bytes != entry.bytes or history.recipe(wildcard) != entry.recorded:
        return "changed"
    if history.version(wildcard) != entry.version:
        return "changed"
    if newer:
        is_compared = picture.bytes <= CHECKSUM_LIMIT and not catalog.layout.source.is_remote
        return "touched" if is_compared and catalog.input_of(wildcard) else "changed"
    # Without a known date, and not newer: it comes from another source folder than the one it was made from.
    return "changed" if entry.time == UNKNOWN_TIME else "current"


def cost(pictures: int, history: History) -> Cost | None:
    """Return what each of this many pictures costs, as in an earlier run of about as many; None if there was none."""
    entries = history.saved.pictures.values()
    sizes = [
        sum(stamp.bytes for stamp in entry.files)
        for entry in entries
        if all(stamp.time != UNKNOWN_TIME for stamp in entry.files)
    ]
    runs = history.saved.runs
    run = runs.get(magnitude(pictures)) or max(runs.values(), default=None)
    if not sizes or not run:
        return None
    made, seconds = run
    return Cost(sum(sizes) / len(sizes), seconds / made, round(made))


def print_plan(session: Session, log: str) -> None:
    """Print the plan, and write it to the file `log`."""
    catalog, history = session.catalog, session.history
    plan = make_plan(history, read_failures(session.paths.failures))
    lines = [
        f"thumbmill: {len(catalog):,} pictures in {catalog.settings['source']}",
        f"  {len(plan.new):,} new",
        f"  {len(plan.changed):,} changed, have changed settings, or lack a thumbnail",
        f"  {len(plan.failed):,} failed last time",
        f"  {len(plan.current):,} up to date",
    ]
    if plan.touched:
        lines.insert(3, f"  {len(plan.touched):,} newer: made if their content differs, which Snakemake compares")
    if plan.to_make:
        lines += estimate(len(plan.to_make), catalog, cost(len(plan.to_make), history))
    write_lines(log, lines)
    print("\n".join(lines))


def estimate(pictures: int, catalog: Catalog, each: Cost | None) -> list[str]:
    """Return what making this many pictures takes: files, time and disk space, one line for each."""
    files = pictures * len(catalog.layout.renditions)
    if each is None:
        return [f"  to be written: {plural(files, 'thumbnail')}", "  time and space: unknown before the first run"]
    total = pictures * each.bytes
    lines = [
        f"  to be written: {plural(files, 'thumbnail')}, {format_bytes(total)}",
        f"  time: {format_duration(pictures * each.seconds)} (as in the run that made {each.run_size:,})",
    ]
    if catalog.layout.output.is_remote:
        return [*lines, "  space: unknown, in object storage"]
    # A thumbnail takes whole blocks, and so does Snakemake's record of it.
    disk = os.statvfs(nearest_existing(catalog.settings["output"]))
    needed = files * disk.f_frsize + disk_usage(files, total, disk.f_frsize)
    free = disk.f_bavail * disk.f_frsize
    enough = needed <= free and (not disk.f_files or 2 * files <= disk.f_favail)
    return [
        *lines,
        f"  space: {format_bytes(needed)} needed, {format_bytes(free)} free" + ("" if enough else ": NOT ENOUGH"),
    ]
