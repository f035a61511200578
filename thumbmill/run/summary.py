"""The last lines that a run prints: what was made, how fast, and what is missing."""

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from thumbmill.catalog.history import History
from thumbmill.catalog.listing import Catalog
from thumbmill.failures import Failure, Kind
from thumbmill.files import disk_usage, nearest_existing
from thumbmill.run.paths import RunPaths
from thumbmill.text import format_bytes, format_duration, plural

MAX_SHOWN = 20  # lines of a list in the terminal


class Summary(NamedTuple):
    """What the last lines of a run say."""

    made: int
    current: int
    missing: Mapping[str, Failure]  # by source
    warned: int = 0  # pictures that have a thumbnail and something wrong with them
    effort: str = ""
    space: str = ""  # what is needed, if the disk is full
    lists_written: bool = True

    def text(self, paths: RunPaths) -> str:
        """Return the lines."""
        failed = {source: each for source, each in self.missing.items() if each.kind != Kind.STOPPED}
        stopped = len(self.missing) - len(failed)
        counts = f"thumbmill: {self.made:,} made, {self.current:,} up to date, {len(failed):,} failed"
        lines = [counts + (f", {stopped:,} not made because the run was stopped" if stopped else "")]
        lines += [f"  {self.effort}"] * bool(self.effort)
        lines += [f"  {source}: {failure.text}" for source, failure in sorted(failed.items())[:MAX_SHOWN]]
        if len(failed) > MAX_SHOWN:
            lines.append(f"  ... and {len(failed) - MAX_SHOWN:,} more")
        lines += [f"  {self.space}"] * bool(self.space)
        if self.missing and self.lists_written:
            lines.append(f"  all of them, with their reasons: {paths.failures}")
        if self.warned:
            lines.append(f"  {plural(self.warned, 'picture')} made despite a problem: {paths.warnings}")
        return "\n".join(lines)


def forecast(reasons: Mapping[str, str], current: int) -> str:
    """Return the last lines of a dry run, from the `reasons` to make each source, and the number of current ones."""
    lines = [f"thumbmill: {len(reasons):,} would be made, {current:,} up to date (dry run)"]
    lines += [f"  {source}: {reason}" for source, reason in list(reasons.items())[:MAX_SHOWN]]
    if len(reasons) > MAX_SHOWN:
        lines.append(f"  ... and {len(reasons) - MAX_SHOWN:,} more, in the list of jobs that `snakemake -n` prints")
    return "\n".join(lines)


def describe_effort(catalog: Catalog, history: History, made: Iterable[str], seconds: float) -> str:
    """Return what making these pictures took: time, speed, bytes read and written; empty if there are none.

    The `seconds` are those of the whole run.
    """
    made = list(made)
    if not made:
        return ""
    read = sum(catalog[wildcard].bytes for wildcard in made)
    speed = len(made) / max(seconds, 0.001)
    effort = f"{format_duration(seconds)}, {speed:,.{0 if speed >= 10 else 1}f} pictures/s, {format_bytes(read)} in"
    if catalog.layout.output.is_remote:
        return effort  # the store would have to be asked how large they are
    return f"{effort}, {format_bytes(sum(thumbnail_bytes(history, made)))} out"


def thumbnail_bytes(history: History, wildcards: Iterable[str]) -> list[int]:
    """Return the size in bytes of each thumbnail of these pictures."""
    return [stamp.bytes for wildcard in wildcards for stamp in history.stamps(wildcard) or ()]


def describe_space(catalog: Catalog, history: History, made: Iterable[str], missing: Mapping[str, Failure]) -> str:
    """Return how much space the `missing` pictures need if the disk is full, else an empty text.

    Estimated from the thumbnails that this run made.
    """
    if not any(failure.kind == Kind.DISK_FULL for failure in missing.values()):
        return ""
    sizes = [] if catalog.layout.output.is_remote else thumbnail_bytes(history, made)
    if not sizes:
        return "free some space: `snakemake --cores 1 plan` estimates how much is needed"
    files = len(missing) * len(catalog.layout.renditions)
    output = catalog.settings["output"]
    disk = os.statvfs(nearest_existing(output))
    needed = files * disk.f_frsize + disk_usage(files, files * sum(sizes) / len(sizes), disk.f_frsize)
    free = format_bytes(disk.f_bavail * disk.f_frsize)
    return f"free some space: the rest needs about {format_bytes(needed)}, and {output} has {free} free"
