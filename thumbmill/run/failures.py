"""Why pictures have no thumbnail: from the jobs' logs to logs/failures.tsv, and logs/warnings.tsv beside it."""

import os
import re
import time
from collections.abc import Container, Iterable, Mapping

from thumbmill import failures
from thumbmill.catalog.listing import Catalog
from thumbmill.errors import FolderError
from thumbmill.failures import Failure, Kind, parse_log_line
from thumbmill.files import remove_file, write_atomically
from thumbmill.run.cleanup import remove_idle_logs
from thumbmill.run.paths import RunPaths
from thumbmill.run.preflight import check_writable

FAILURES_HEADER = "source\treason\tkind"
WARNINGS_HEADER = "source\twarning"

# What snakemake-executor-plugin-pool writes into the log of a job whose worker died.
WORKER_DIED = re.compile(r"worker died: (.*)")
OUT_OF_TIME = "signal 14 (SIGALRM)"  # run.limits.limited
KILLED = "signal 9 (SIGKILL)"

FailureList = dict[str, Failure]  # by source, as the user calls it


def read_job_log(log: str) -> Failure | None:
    """Return why a picture was not made, from its job's log; None if that has nothing to say."""
    try:
        with open(log, encoding="utf-8") as file:
            line = file.readline().strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not line:
        return None
    return parse_log_line(line) or failure_of_worker(line) or Failure(Kind.UNKNOWN, line)


def failure_of_worker(line: str) -> Failure | None:
    """Return what the executor's report of a worker's death means to the owner of the picture; None if it is none."""
    death = WORKER_DIED.fullmatch(line)
    if not death:
        return None
    if death[1] == OUT_OF_TIME:
        return failures.timed_out()
    return failures.killed(KILLED) if death[1] == KILLED else failures.crashed(death[1])


def find_reason(catalog: Catalog, wildcard: str) -> Failure:
    """Return why a job failed that left no reason: what is wrong with its files, as far as that can still be seen."""
    if not catalog.layout.source.is_remote:
        try:
            date = os.stat(catalog.source_path(wildcard)).st_mtime
        except FileNotFoundError:
            return failures.removed()
        except OSError:
            return failures.unknown()
        if date > time.time():
            return failures.future_date(time.strftime("%Y-%m-%d %H:%M", time.localtime(date)))
    if not catalog.layout.output.is_remote:
        try:
            for path in catalog.thumbnails(wildcard):
                check_writable(os.path.dirname(path))
        except FolderError as error:
            return Failure(Kind.NOT_WRITTEN, str(error))
    return failures.unknown()


def read_failures(path: str) -> FailureList:
    """Return the failures file. Empty if there is none, and without the lines that are not whole."""
    found = {}
    for fields in read_table(path):
        if len(fields) >= 2:
            kind = fields[2] if len(fields) > 2 and fields[2] in set(Kind) else Kind.UNKNOWN
            found[fields[0]] = Failure(Kind(kind), fields[1])
    return found


def read_table(path: str) -> list[list[str]]:
    """Return the fields of each line of a tab-separated file, without its header; nothing if there is no file."""
    try:
        with open(path, encoding="utf-8") as file:
            return [line.split("\t") for line in file.read().splitlines()[1:]]
    except FileNotFoundError:
        return []


def write_failures(path: str, found: Mapping[str, Failure]) -> None:
    """Write the failures file, sorted by source. Raises OSError."""
    lines = (f"{source}\t{failure.text}\t{failure.kind}" for source, failure in sorted(found.items()))
    write_table(path, FAILURES_HEADER, lines)


def write_table(path: str, header: str, lines: Iterable[str]) -> None:
    """Write a tab-separated file atomically. Raises OSError."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_atomically(path, "".join(f"{line}\n" for line in (header, *lines)).encode())


def merge_failures(
    before: Mapping[str, Failure], examined: Container[str], missing: Mapping[str, Failure], sources: Iterable[str]
) -> FailureList:
    """Return the failures after a run, from those `before` it.

    Only pictures that the run `examined` change their lines: they stay while they are `missing`. The others stay as
    they were, as long as they are among the `sources` of the catalogue at all.
    """
    known = set(sources)
    kept = {source: failure for source, failure in before.items() if source in known and source not in examined}
    return kept | dict(missing)


def update_lists(catalog: Catalog, paths: RunPaths, present: Iterable[str], missing: Mapping[str, Failure]) -> int:
    """Bring the logs and the lists of failures and warnings up to date after a run; return the number of warnings.

    `present` are the wildcards of pictures that have their thumbnails, `missing` (by source) those that have not.

    Raises OSError.
    """
    remove_idle_logs(paths.job_logs, catalog.pictures)
    before = read_failures(paths.failures)
    examined = {*missing, *map(catalog.display_name, present if before else ())}
    after = merge_failures(before, examined, missing, map(catalog.display_name, catalog if before else ()))
    if after != before or not os.path.exists(paths.failures):
        write_failures(paths.failures, after)
    notes = read_notes(paths.job_logs, catalog.pictures)
    warned = {
        source: text for wildcard, text in notes.items() if (source := catalog.display_name(wildcard)) not in after
    }
    if warned:
        write_table(paths.warnings, WARNINGS_HEADER, (f"{source}\t{text}" for source, text in sorted(warned.items())))
    else:
        remove_file(paths.warnings)
    return len(warned)


def read_notes(folder: str, wildcards: Container[str]) -> dict[str, str]:
    """Return what the jobs' logs below `folder` say of the pictures `wildcards`, each on one line."""
    notes = {}
    for path, _, files in os.walk(folder):
        for file in files:
            log = os.path.join(path, file)
            wildcard, extension = os.path.splitext(os.path.relpath(log, folder))
            if extension == ".log" and wildcard in wildcards:
                with open(log, encoding="utf-8", errors="replace") as text:
                    notes[wildcard] = "; ".join(line.strip() for line in text)
    return notes
