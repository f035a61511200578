"""Tell how a run ended: the summary in the terminal, and the list of failures in a file."""

import contextlib
import os
import sys
import time
from collections.abc import Container, Iterable, Mapping

from scripts.catalogue import Catalogue
from scripts.history import History, stat_files
from scripts.object_storage import is_remote
from scripts.running import Running, RunningError
from scripts.shards import Shards, Told, read_told, tell
from scripts.snakemake_run import Missing, judges_by_all, needed, outcome, recorded_as_made
from scripts.thumbnail import below, printable, remove, write_whole

FAILURES = "logs/failures.tsv"
WARNINGS = "logs/warnings.tsv"
LOG_FOLDERS = ("logs/thumbnail", "logs/odd-names")  # as the Snakefile names them
HEADER = "source\treason"
WARNINGS_HEADER = "source\twarning"
SHOWN = 20  # lines of a list in the terminal
STOPPED = "not made: the run was stopped before its turn"
SHARD_DIED = "not made: its shard ended before its turn, and logs/shards/ may say why"
IN_SHARD = "has no thumbnail, or something about it changed"
UNKNOWN = "its job ended without a word: Snakemake's own log, named above, says how"


def report(
    workflow, catalogue: Catalogue, history: History, shards: Shards, running: Running | None, folder: str
) -> None:
    """Tell how a run in the working directory `folder` ended, as the last thing that the process does.

    Snakemake's hooks (onsuccess, onerror) do not run when there is nothing to do, and Snakemake writes more lines
    after them; so this is called as the interpreter exits. Says nothing where nothing was run: in the processes of
    single jobs, after an error in the settings, for other targets. After a dry run it says what would be done.
    """
    if not workflow.is_main_process or workflow.scheduler is None or (running and running.refused):
        return
    with contextlib.chdir(folder):  # Snakemake has gone back to where it was started.
        if workflow.dryrun:
            reasons, current = needed(workflow.dag)
            reasons = {name_of(catalogue, picture): reason for picture, reason in reasons.items()}
            reasons |= {name_of(catalogue, picture): IN_SHARD for picture in shards.pictures}
            if reasons or current:
                print(forecast(reasons, current + len(history.left_out)))
            return
        ended = outcome(workflow)
        reasons = {picture: reason_for(job) for picture, job in ended.missing.items()}
        told = read_told(shards.outcomes())
        made = [*ended.made, *told.made]
        unrecorded = [*ended.made_unrecorded, *shards.made_untold(told, workflow.start_time.timestamp())]
        current = [*ended.current, *told.current, *history.left_out]
        reasons |= told.missing
        reasons |= dict.fromkeys({*shards.pictures} - {*made, *unrecorded, *told.current, *reasons}, SHARD_DIED)
        if not (made or unrecorded or current or reasons):
            return
        ours = {picture: recorded_as_made(workflow, paths) for picture, paths in ended.current.items()} | told.current
        missing = {name_of(catalogue, picture): reason for picture, reason in reasons.items()}
        warned = 0
        try:
            if history.shard_folder:
                if STOPPED not in reasons.values():
                    tell(history.shard_folder, Told(made, ours, reasons))
            elif may_write(running, history):
                warned = keep_lists(catalogue, [*made, *unrecorded, *current], missing)
                if not workflow.touch:
                    seconds = time.time() - workflow.start_time.timestamp()
                    history.update(made, ours if judges_by_all(workflow) else {}, seconds)
                shards.remove()
        except OSError as error:
            print(f"thumbmill: what happened cannot be written down: {error}", file=sys.stderr)
        facts = effort(catalogue, [*made, *unrecorded], time.time() - workflow.start_time.timestamp())
    print(summary(len(made) + len(unrecorded), len(current), missing, warned, facts), file=sys.stderr)


def may_write(running: Running, history: History) -> bool:
    """Whether this run may write down how it ended: it has the lock, or had nothing to do and can take it now.

    While another run works, one that had nothing to do has nothing to tell either that could not wait.
    """
    if not running.held:
        try:
            running.take()
        except RunningError:
            return False
        history.folders_before = running.sweep()
    return True


def name_of(catalogue: Catalogue, wildcard: str) -> str:
    """What the user calls the picture that Snakemake calls `wildcard`."""
    return printable(below(catalogue.settings["source"], catalogue.pictures[wildcard].name))


def reason_for(job: Missing) -> str:
    """Why a job made nothing."""
    return read_reason(job.log) or (UNKNOWN if job.failed else STOPPED)


def keep_lists(catalogue: Catalogue, present: Iterable[str], missing: Mapping[str, str]) -> int:
    """Bring the logs and the lists of failures and warnings up to date after a run; returns the number of warnings.

    `present` are the pictures (by what Snakemake calls them) that have their thumbnails, `missing` (by what the user
    calls them) those that have not, and why. Raises OSError.
    """
    for logs in LOG_FOLDERS:
        remove_idle_logs(logs, catalogue.pictures)
    before = read_failures(FAILURES)
    looked_at = {*missing, *(name_of(catalogue, picture) for picture in (present if before else ()))}
    known = {name_of(catalogue, picture) for picture in (catalogue.pictures if before else ())}
    after = update_failures(before, looked_at, missing, known)
    if after != before or not os.path.exists(FAILURES):
        write_failures(FAILURES, after)
    notes = {picture: text for logs in LOG_FOLDERS for picture, text in read_notes(logs, catalogue.pictures).items()}
    warned = {name: text for picture, text in notes.items() if (name := name_of(catalogue, picture)) not in after}
    if warned:
        write_failures(WARNINGS, warned, WARNINGS_HEADER)
    else:
        remove(WARNINGS)
    return len(warned)


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


def effort(catalogue: Catalogue, made: Iterable[str], seconds: float) -> str:
    """What it took to make the thumbnails of these pictures: time, speed, bytes read and written; empty if none.

    The `seconds` are those of the whole run.
    """
    pictures = [catalogue.pictures[wildcard] for wildcard in made]
    if not pictures:
        return ""
    read = sum(picture.bytes for picture in pictures)
    speed = len(pictures) / max(seconds, 0.001)
    told = f"{duration(seconds)}, {speed:,.{0 if speed >= 10 else 1}f} pictures/s, {in_words(read)} in"
    if is_remote(catalogue.settings["output"]):
        return told  # how large they are, the store would have to be asked
    written = sum(size for wildcard in made for _, size in stat_files(catalogue.outputs(wildcard)) or ())
    return f"{told}, {in_words(written)} out"


def summary(made: int, current: int, missing: Mapping[str, str], warned: int = 0, effort: str = "") -> str:
    """The last lines of a run.

    `warned` counts the pictures that have a thumbnail and something wrong with them; `effort` is what it took.
    """
    failed = {source: reason for source, reason in missing.items() if reason != STOPPED}
    stopped = len(missing) - len(failed)
    counts = f"thumbmill: {made:,} made, {current:,} up to date, {len(failed):,} failed"
    lines = [counts + (f", {stopped:,} not made because the run was stopped" if stopped else "")]
    lines += [f"  {effort}"] * bool(effort)
    lines += [f"  {source}: {reason}" for source, reason in sorted(failed.items())[:SHOWN]]
    if len(failed) > SHOWN:
        lines.append(f"  ... and {len(failed) - SHOWN:,} more")
    if missing:
        lines.append(f"  all of them, with their reasons: {FAILURES}")
    if warned:
        verb = "thumbnail has" if warned == 1 else "thumbnails have"
        lines.append(f"  {warned:,} {verb} a warning, of a picture with something wrong: {WARNINGS}")
    return "\n".join(lines)


def forecast(reasons: Mapping[str, str], current: int) -> str:
    """The last lines of a dry run, from the `reasons` to make each source, and the number of those that are current."""
    lines = [f"thumbmill: {len(reasons):,} would be made, {current:,} are up to date (dry run)"]
    lines += [f"  {source}: {reason}" for source, reason in list(reasons.items())[:SHOWN]]
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


def in_words(bytes: float) -> str:
    """So many bytes, in the unit that suits."""
    power = min(4, max(0, (len(str(round(bytes))) - 1) // 3))
    value = bytes / 1000**power
    return f"{value:,.{1 if power and value < 100 else 0}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def duration(seconds: float) -> str:
    """So many seconds, in the units that suit."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{max(seconds, 1)} s"
