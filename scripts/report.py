"""Tell how a run ended: the summary in the terminal, and the list of failures in a file."""

import contextlib
import os
import sys
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from scripts.catalogue import Catalogue
from scripts.thumbnail import below, printable, remove, write_whole

FAILURES = "logs/failures.tsv"
WARNINGS = "logs/warnings.tsv"
LOG_FOLDERS = ("logs/thumbnail", "logs/odd-names")  # as the Snakefile names them
HEADER = "source\treason"
WARNINGS_HEADER = "source\twarning"
SHOWN = 20  # lines of a list in the terminal
STOPPED = "not made: the run was stopped before its turn"
UNKNOWN = "its job ended without a word: Snakemake's own log, named above, says how"


class Outcome(NamedTuple):
    """What became of the pictures that a run looked at, each by what Snakemake calls it."""

    made: list[str]
    current: list[str]
    missing: dict[str, str]  # and why


def report(workflow, catalogue: Catalogue, folder: str) -> None:
    """Tell how a run in the working directory `folder` ended, as the last thing that the process does.

    Snakemake's hooks (onsuccess, onerror) do not run when there is nothing to do, and Snakemake writes more lines
    after them; so this is called as the interpreter exits. Says nothing where nothing was run: in the processes of
    single jobs, after an error in the settings. After a dry run it says what would be done.
    """
    if not workflow.is_main_process or workflow.scheduler is None:
        return
    if workflow.dryrun:
        print(forecast(*needed(workflow.dag), source_names(catalogue)))
        return
    source = source_names(catalogue)
    with contextlib.chdir(folder):  # Snakemake has gone back to where it was started.
        ended = outcome(workflow)
        missing = {source[picture]: reason for picture, reason in ended.missing.items()}
        warned: dict[str, str] = {}
        looked_at = {source[picture] for picture in (*ended.made, *ended.current, *ended.missing)}
        try:
            for logs in LOG_FOLDERS:
                remove_idle_logs(logs, catalogue.pictures)
            failures = update_failures(read_failures(FAILURES), looked_at, missing, set(source.values()))
            write_failures(FAILURES, failures)
            for logs in LOG_FOLDERS:
                notes = {source[picture]: text for picture, text in read_notes(logs, source).items()}
                warned |= {name: text for name, text in notes.items() if name not in failures}
            if warned:
                write_failures(WARNINGS, warned, WARNINGS_HEADER)
            else:
                remove(WARNINGS)
        except OSError as error:
            print(f"thumbmill: {FAILURES} cannot be brought up to date: {error}", file=sys.stderr)
    print(summary(len(ended.made), len(ended.current), missing, len(warned)), file=sys.stderr)


def source_names(catalogue: Catalogue) -> dict[str, str]:
    """What the user calls each picture, by what Snakemake calls it."""
    folder = catalogue.settings["source"]
    return {wildcard: printable(below(folder, picture.name)) for wildcard, picture in catalogue.pictures.items()}


# No public interface of Snakemake lists the jobs of a run, why they are needed and what became of them: hence its DAG
# and scheduler are asked, in the three functions that follow and nowhere else. tests/test_workflow.py fails should they
# answer otherwise one day.


def needed(dag) -> tuple[dict[str, str], int]:
    """The pictures whose jobs `dag` finds necessary, each with the reason, and the number of the others."""
    reasons, current = {}, 0
    for job in dag.jobs:
        if "picture" in job.wildcards_dict:
            if dag.needrun(job):
                reasons[job.wildcards_dict["picture"]] = why(dag.reason(job))
            else:
                current += 1
    return reasons, current


def why(reason) -> str:
    """Snakemake's `reason` for a job, in this workflow's words; in its own where it has another."""
    if reason.forced:
        return "asked for"
    if reason.missing_output:
        return "has no thumbnail"
    if reason.updated_input:
        return "is newer than its thumbnail"
    if reason.params_changed or reason.input_changed:
        return "its size in bytes, the settings, the picture script or Pillow changed"
    return str(reason)


def outcome(workflow) -> Outcome:
    """What became of each picture that the DAG of `workflow` holds, after the run."""
    result = Outcome([], [], {})
    dag, failed = workflow.dag, workflow.scheduler.failed
    for job in dag.jobs:
        if "picture" not in job.wildcards_dict:
            continue
        picture = job.wildcards_dict["picture"]
        if dag.finished(job):
            result.made.append(picture)
        elif dag.needrun(job):
            # What was made just before an interruption is recorded on disk, but not in the DAG.
            if job not in failed and made_since(job.output, workflow.start_time.timestamp()):
                result.made.append(picture)
                continue
            reason = read_reason(job.log[0]) if job.log else ""  # an executor may leave out empty logs
            result.missing[picture] = reason or (UNKNOWN if job in failed else STOPPED)
        else:
            result.current.append(picture)
    return result


def made_since(paths: Iterable[str], start: float) -> bool:
    """Whether all `paths` are files written at `start` (seconds since the epoch) or later."""
    try:
        return all(os.path.getmtime(path) >= start for path in paths)
    except OSError:
        return False


def read_reason(log: str) -> str:
    """Why a picture was not made, from its log file; empty if that has nothing to say."""
    try:
        with open(log, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""


def read_failures(path: str) -> dict[str, str]:
    """The failures file: source to reason. Empty if there is none, and without the lines that are not whole."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()[1:]
    except FileNotFoundError:
        return {}
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def write_failures(path: str, failures: Mapping[str, str], header: str = HEADER) -> None:
    """Write the failures file (or that of warnings), whole, sorted by source. Raises OSError."""
    lines = [header, *(f"{source}\t{reason}" for source, reason in sorted(failures.items()))]
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def update_failures(
    before: Mapping[str, str], looked_at: set[str], missing: Mapping[str, str], catalogue: set[str]
) -> dict[str, str]:
    """The failures after a run, from those `before` it, each source to reason.

    Only pictures that the run `looked_at` change their lines: they stay while they are `missing`. The others stay as
    they were, as long as they are in the `catalogue` at all.
    """
    kept = {source: reason for source, reason in before.items() if source in catalogue - looked_at}
    return kept | dict(missing)


def read_notes(folder: str, pictures: Container[str]) -> dict[str, str]:
    """What the logs below `folder` say of the `pictures`, by what Snakemake calls them, each on a line."""
    notes = {}
    for path, _, files in os.walk(folder):
        for file in files:
            log = os.path.join(path, file)
            picture, extension = os.path.splitext(os.path.relpath(log, folder))
            if extension == ".log" and picture in pictures:
                with open(log, encoding="utf-8", errors="replace") as text:
                    notes[picture] = "; ".join(line.strip() for line in text)
    return notes


def summary(made: int, current: int, missing: Mapping[str, str], warned: int = 0) -> str:
    """The last lines of a run; `warned` counts the pictures that have a thumbnail and something wrong with them."""
    failed = {source: reason for source, reason in missing.items() if reason != STOPPED}
    stopped = len(missing) - len(failed)
    counts = f"thumbmill: {made:,} made, {current:,} up to date, {len(failed):,} failed"
    lines = [counts + (f", {stopped:,} not made because the run was stopped" if stopped else "")]
    lines += [f"  {source}: {reason}" for source, reason in sorted(failed.items())[:SHOWN]]
    if len(failed) > SHOWN:
        lines.append(f"  ... and {len(failed) - SHOWN:,} more")
    if missing:
        lines.append(f"  all of them, with their reasons: {FAILURES}")
    if warned:
        verb = "thumbnail has" if warned == 1 else "thumbnails have"
        lines.append(f"  {warned:,} {verb} a warning, of a picture with something wrong: {WARNINGS}")
    return "\n".join(lines)


def forecast(reasons: Mapping[str, str], current: int, source: Mapping[str, str]) -> str:
    """The last lines of a dry run, from the `reasons` to make pictures, and the names of their `source` files."""
    lines = [f"thumbmill: {len(reasons):,} would be made, {current:,} are up to date (dry run)"]
    lines += [f"  {source.get(picture, picture)}: {reason}" for picture, reason in list(reasons.items())[:SHOWN]]
    if len(reasons) > SHOWN:
        lines.append(f"  ... and {len(reasons) - SHOWN:,} more: snakemake -n --quiet host lists every job")
    return "\n".join(lines)


def remove_idle_logs(folder: str, pictures: Container[str]) -> None:
    """Remove the logs below `folder` that have nothing to say, and the folders that this empties.

    Snakemake makes an empty log for each job that wrote none; others belong to pictures that are no longer among the
    `pictures`, by what Snakemake calls them.
    """
    for path, _, files in os.walk(folder, topdown=False):
        for file in files:
            log = os.path.join(path, file)
            picture, extension = os.path.splitext(os.path.relpath(log, folder))
            if extension == ".log" and (picture not in pictures or os.path.getsize(log) == 0):
                os.unlink(log)
        try:
            os.rmdir(path)
        except OSError:
            pass  # something is left in it
