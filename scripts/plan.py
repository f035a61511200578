"""The plan: what the next run would make, how much that is, how long it takes and whether the disk has room."""

import os
import tempfile
import time
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from scripts.catalogue import Catalogue
from scripts.folders import existing
from scripts.history import UNKNOWN, Entry, History, magnitude
from scripts.object_storage import StoreError, is_remote, local_copy
from scripts.report import FAILURES, STOPPED, duration, in_words, name_of, read_failures, sum_of_blocks
from scripts.thumbnail import PictureError, below, make_as_set, thumbnail_paths, write_lines

CHECKSUM_LIMIT = 1_000_000  # bytes, Snakemake's default: of smaller sources it compares the content
SAMPLE = 12  # pictures that are tried where nothing has been measured yet


class Plan(NamedTuple):
    """The pictures of a catalogue by what the next run would do, each by what Snakemake calls it."""

    new: list[str]
    changed: list[str]
    touched: list[str]  # newer, of the same size: Snakemake compares the content, and makes them only if it differs
    failed: list[str]
    current: list[str]


class Cost(NamedTuple):
    """What one picture comes to: bytes of all its thumbnails, and seconds of the run, or of one core."""

    bytes: float
    seconds: float
    measured: str  # where from, for the user


def make_plan(catalogue: Catalogue, history: History, failures: Mapping[str, str]) -> Plan:
    """Sort the catalogue by what the next run would do; `failures` are those of the last runs, source to reason."""
    plan = Plan([], [], [], [], [])
    gone = history.gone(history.known.pictures)
    of_gone = {path for name in gone for path in thumbnail_paths(name, catalogue.settings)}
    for wildcard in catalogue.pictures:
        getattr(plan, judge(wildcard, catalogue, history, failures, of_gone)).append(wildcard)
    return plan


def judge(
    wildcard: str, catalogue: Catalogue, history: History, failures: Mapping[str, str], of_gone: Container[str] = ()
) -> str:
    """The field of Plan in which a picture belongs; `of_gone` are the thumbnails of pictures that are gone."""
    if history.is_current(wildcard):
        return "current"
    picture = catalogue.pictures[wildcard]
    entry = history.known.pictures.get(picture.name)
    files = history.stat(wildcard)
    if files is None:
        if failures.get(name_of(catalogue, wildcard), STOPPED) != STOPPED:
            return "failed"
        return "changed" if entry else "new"
    newer = picture.time > min(time for time, _ in files)
    if not picture.readable:
        return "changed"
    if not entry:
        renamed = thumbnail_paths(picture.name, catalogue.settings)[0] in of_gone
        return "changed" if newer or renamed else "current"
    entry = Entry(*entry)
    if picture.bytes != entry.bytes or history.recipe_of(wildcard) != entry.recorded:
        return "changed"
    if newer:
        compared = picture.bytes <= CHECKSUM_LIMIT and not is_remote(catalogue.settings["source"])
        return "touched" if compared else "changed"
    # Without a known date, and not newer: it comes from another source folder than the one it was made from.
    return "changed" if entry.time == UNKNOWN else "current"


def cost(pictures: list[str], catalogue: Catalogue, history: History) -> Cost:
    """What a picture of these comes to: as in earlier runs, or else as a sample of them does now."""
    known = [Entry(*fields) for fields in history.known.pictures.values()]
    sizes = [sum(size for _, size in entry.files) for entry in known if all(time != UNKNOWN for time, _ in entry.files)]
    run = history.known.runs.get(magnitude(len(pictures))) or max(history.known.runs.values(), default=None)
    if sizes and run and len(pictures) <= 10 * run[0]:  # of a smaller one, most was Snakemake's start
        made, seconds = run
        return Cost(sum(sizes) / len(sizes), seconds / made, f"as in the run that made {made:,.0f}")
    step = max(1, len(pictures) // SAMPLE)
    return try_out([catalogue.pictures[wildcard].name for wildcard in pictures[::step][:SAMPLE]], catalogue.settings)


def try_out(names: Iterable[str], settings: Mapping) -> Cost:
    """Make the thumbnails of these pictures in a temporary folder, to see what they come to."""
    written, made = 0, 0
    start = time.process_time()
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, str(number)) for number in range(len(thumbnail_paths(name, settings)))]
            try:
                with local_copy(below(settings["source"], name)) as source:
                    make_as_set(source, paths, settings)
            except (PictureError, StoreError):
                continue
            written += sum(map(os.path.getsize, paths))
            made += 1
    if not made:
        return Cost(0, 0, "unknown: none of those that were tried can be read")
    return Cost(written / made, (time.process_time() - start) / made, f"on one core, tried on {made} of them")


def tell_plan(catalogue: Catalogue, history: History, log: str) -> None:
    """Print the plan, and write it to the file `log`."""
    plan = make_plan(catalogue, history, read_failures(FAILURES))
    lines = [
        f"thumbmill: {len(catalogue.pictures):,} pictures in {catalogue.settings['source']}",
        f"  {len(plan.new):,} new",
        f"  {len(plan.changed):,} changed, or their settings did, or they lack a thumbnail",
        f"  {len(plan.failed):,} failed last time",
        f"  {len(plan.current):,} up to date",
    ]
    if plan.touched:
        lines.insert(3, f"  {len(plan.touched):,} newer: made if their content differs, which Snakemake looks up")
    pictures = [*plan.new, *plan.changed, *plan.touched, *plan.failed]
    if pictures:
        lines += outlook(len(pictures), len(catalogue.patterns), cost(pictures, catalogue, history), catalogue.settings)
    write_lines(log, lines)
    print("\n".join(lines))


def outlook(pictures: int, thumbnails: int, each: Cost, settings: Mapping) -> list[str]:
    """What making the `thumbnails` of each of so many `pictures` comes to, a line for each of files, time and room."""
    files, bytes = pictures * thumbnails, pictures * each.bytes
    lines = [
        f"  to be written: {files:,} thumbnails, {in_words(bytes)}",
        f"  time: {duration(pictures * each.seconds)} ({each.measured})",
    ]
    if is_remote(settings["output"]):
        return [*lines, "  room: unknown, in object storage"]
    # A thumbnail takes whole blocks, and so does Snakemake's record of it.
    disk = os.statvfs(existing(settings["output"]))
    needed = files * disk.f_frsize + sum_of_blocks(files, bytes, disk.f_frsize)
    free = disk.f_bavail * disk.f_frsize
    enough = needed <= free and (not disk.f_files or 2 * files <= disk.f_favail)
    return [
        *lines,
        f"  room: {in_words(needed)} needed, {in_words(free)} free" + ("" if enough else ": NOT ENOUGH"),
    ]
