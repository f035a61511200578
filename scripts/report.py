"""Tell how a run ended: the summary in the terminal, and the list of failures in a file."""

import contextlib
import errno
import math
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping

from scripts.catalogue import Catalogue
from scripts.folders import FolderError, check_writable, existing
from scripts.history import History, stat_files
from scripts.object_storage import is_remote
from scripts.running import Running, RunningError
from scripts.shards import Shards, Told, read_told, tell
from scripts.snakemake_run import Missing, job_times, judges_by_all, needed, outcome, recorded_as_made
from scripts.thumbnail import below, cannot_write, printable, remove, thumbnail_paths, write_whole

FAILURES = "logs/failures.tsv"
WARNINGS = "logs/warnings.tsv"
LOG_FOLDERS = ("logs/thumbnail", "logs/odd-names")  # as the Snakefile names them
HEADER = "source\treason"
WARNINGS_HEADER = "source\twarning"
SHOWN = 20  # lines of a list in the terminal
STOPPED = "not made: the run was stopped before its turn"
SHARD_DIED = "not made: its shard ended before its turn, and logs/shards/ may say why"
IN_SHARD = "has no thumbnail, or something about it changed"
CHANGED_MEANWHILE = "changed while its thumbnail was made (still being copied?): run again"
UNKNOWN = (
    "its process ended without a word: it crashed, was killed, or took longer than max_seconds allows; "
    "Snakemake's own log, named above, says which"
)

# What the executor writes into the log of a job whose worker died, and what that says to the owner of the picture.
DEATH = re.compile(r"worker died: (.*)")
OUT_OF_TIME = "signal 14 (SIGALRM)"  # scripts.thumbnail.limited
KILLED = "signal 9 (SIGKILL)"
TOOK_TOO_LONG = "took longer than max_seconds allows"
WORKER_KILLED = "its worker was killed"
DECODER_CRASHED = "its decoder crashed"

# How the reasons begin of pictures that a process did not survive: the controller must not open them itself.
DEADLY = (UNKNOWN, TOOK_TOO_LONG, WORKER_KILLED, DECODER_CRASHED)


def stopwatch(start: float) -> Callable[[], float]:
    """Tells the seconds since `start` (seconds since the epoch), whatever becomes of the clock from now on."""
    begun = time.monotonic() - max(0, time.time() - start)
    return lambda: time.monotonic() - begun


def report(
    workflow,
    catalogue: Catalogue,
    history: History,
    shards: Shards,
    running: Running | None,
    folder: str,
    seconds: Callable[[], float],
) -> None:
    """Tell how a run in the working directory `folder` ended, as the last thing that the process does.

    `seconds` tells how long it has taken.

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
        reasons = {picture: reason_for(job, catalogue, picture) for picture, job in ended.missing.items()}
        told = read_told(shards.outcomes())
        made = [*ended.made, *told.made]
        unrecorded = [*ended.made_unrecorded, *shards.made_untold(told, workflow.start_time.timestamp())]
        current = [*ended.current, *told.current, *history.left_out]
        reasons |= told.missing
        if not (made or unrecorded or current or reasons or shards.pictures):
            return
        writes = bool(history.shard_folder) or may_write(running, history)
        outdated = remove_outdated(workflow, catalogue, history) if writes else set()
        reasons |= dict.fromkeys(outdated, CHANGED_MEANWHILE)
        made, unrecorded, current = (
            [each for each in some if each not in outdated] for some in (made, unrecorded, current)
        )
        reasons |= dict.fromkeys({*shards.pictures} - {*made, *unrecorded, *told.current, *reasons}, SHARD_DIED)
        ours = told.current | {
            picture: recorded_as_made(workflow, paths)
            for picture, paths in ended.current.items()
            if picture not in outdated
        }
        missing = {name_of(catalogue, picture): reason for picture, reason in reasons.items()}
        warned, written = 0, True
        try:
            if history.shard_folder:
                if STOPPED not in reasons.values():
                    tell(history.shard_folder, Told(made, ours, reasons))
            elif writes:
                warned = keep_lists(catalogue, [*made, *unrecorded, *current], missing)
                if not workflow.touch:
                    history.update(made, ours if judges_by_all(workflow) else {}, seconds())
                shards.remove()
        except OSError as error:
            written = False
            print(
                f"thumbmill: what happened is only told here: {cannot_write(error.filename or FAILURES, error)}",
                file=sys.stderr,
            )
        facts = effort(catalogue, [*made, *unrecorded], seconds())
        room = room_needed(catalogue, [*made, *unrecorded], missing.values())
    told = summary(len(made) + len(unrecorded), len(current), missing, warned, facts, room, written)
    print(told, file=sys.stderr)


def fail_if_outdated(workflow, catalogue: Catalogue, history: History) -> None:
    """At the end of a run whose jobs all ended well: end it with an error if a thumbnail is no longer right."""
    if outdated := remove_outdated(workflow, catalogue, history):
        sys.exit(f"thumbmill: changed while their thumbnails were made: {len(outdated):,} pictures; run again")


def remove_outdated(workflow, catalogue: Catalogue, history: History) -> set[str]:
    """Remove thumbnails whose source was changed after it was read and before the job's end; returns their pictures.

    At a job's end Snakemake dates its thumbnails anew, so that they are newer than such a source, and would stay for
    ever. What is asked about are the sources of what was made by this run, and has another date or size now than when
    the catalogue was listed; and of what an earlier run made that was killed before it came to this. Asked again, the
    answer is the same.
    """
    settings = catalogue.settings
    if is_remote(settings["source"]) or is_remote(settings["output"]):
        return set()
    outdated, ended = set(), outcome(workflow)
    for wildcard in (*ended.made, *ended.made_unrecorded, *ended.current):
        picture = catalogue.pictures[wildcard]
        if wildcard in ended.current and history.has_seen(wildcard):
            continue
        try:
            status, link = (ask(below(settings["source"], picture.name)) for ask in (os.stat, os.lstat))
        except OSError:
            continue  # removed: its thumbnails are orphans now
        unchanged = (status.st_size, max(status.st_mtime_ns, link.st_mtime_ns)) == (picture.bytes, picture.time)
        if unchanged and wildcard not in ended.current:
            continue
        # One that is moved into the place of another has an old date, but is marked as changed now.
        dates = [date for each in (status, link) for date in (each.st_mtime, each.st_ctime)]
        start, end = job_times(workflow, catalogue.outputs(wildcard)[0]) or (0, math.inf)
        if wildcard not in ended.current:
            end = math.inf
        elif not start:
            continue  # not made by Snakemake
        if any(start <= date <= end for date in dates):
            outdated.add(wildcard)
            for path in (*catalogue.outputs(wildcard), *thumbnail_paths(picture.name, settings)):
                remove(path)
    return outdated


def room_needed(catalogue: Catalogue, made: Iterable[str], reasons: Collection[str]) -> str:
    """How much room what is `missing` needs, where one of the reasons is that there was none; else empty.

    By what was made by this run.
    """
    if not any(os.strerror(number) in reason for reason in reasons for number in (errno.ENOSPC, errno.EDQUOT)):
        return ""
    sizes = [size for wildcard in made for _, size in stat_files(catalogue.outputs(wildcard)) or ()]
    if not sizes:
        return "make room: `snakemake --cores 1 plan` tells how much is needed"
    files = len(reasons) * len(catalogue.patterns)
    disk = os.statvfs(existing(catalogue.settings["output"]))
    needed = files * disk.f_frsize + sum_of_blocks(files, files * sum(sizes) / len(sizes), disk.f_frsize)
    free = in_words(disk.f_bavail * disk.f_frsize)
    return f"make room: the rest needs about {in_words(needed)}, and {free} are free in {catalogue.settings['output']}"


def sum_of_blocks(files: int, bytes: float, block: int) -> float:
    """Bytes that so many files with so many `bytes` in all take on a disk: each half a `block` more, on average."""
    return bytes + files * block / 2


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


def reason_for(job: Missing, catalogue: Catalogue, wildcard: str) -> str:
    """Why the `job` of a picture made nothing."""
    return read_reason(job.log) or (find_reason(catalogue, wildcard) if job.failed else STOPPED)


def find_reason(catalogue: Catalogue, wildcard: str) -> str:
    """Why a job failed that has left no word: what is wrong with its files, as far as that is still to be seen."""
    name, settings = catalogue.pictures[wildcard].name, catalogue.settings
    if not is_remote(settings["source"]):
        try:
            date = os.stat(below(settings["source"], name)).st_mtime
        except FileNotFoundError:
            return "removed after the catalogue was listed"
        except OSError:
            return UNKNOWN
        if date > time.time():
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(date))
            return f"dated in the future ({when}), which Snakemake refuses: `touch` it, or set the clock, and run again"
    if not is_remote(settings["output"]):
        try:
            for path in thumbnail_paths(name, settings):
                check_writable(os.path.dirname(path))
        except FolderError as error:
            return str(error)
    return UNKNOWN


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
            reason = file.readline().strip()
    except OSError:
        return ""
    return explain_death(reason)


def explain_death(reason: str) -> str:
    """What the executor's `reason` for a failure says to the owner of the picture; itself, if no worker died."""
    death = DEATH.fullmatch(reason)
    if not death:
        return reason
    if death[1] == OUT_OF_TIME:
        return f"{TOOK_TOO_LONG}: if the picture is sound, raise that"
    if death[1] == KILLED:
        return f"{WORKER_KILLED}, {KILLED}: by the system, if that ran out of memory (then lower max_memory)"
    return f"{DECODER_CRASHED}, {death[1]}: the file is broken, or made to do harm"


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


def summary(
    made: int,
    current: int,
    missing: Mapping[str, str],
    warned: int = 0,
    effort: str = "",
    room: str = "",
    written: bool = True,
) -> str:
    """The last lines of a run.

    `warned` counts the pictures that have a thumbnail and something wrong with them; `effort` is what it took; `room`
    says what is needed where there was none; `written` whether the list of failures could be.
    """
    failed = {source: reason for source, reason in missing.items() if reason != STOPPED}
    stopped = len(missing) - len(failed)
    counts = f"thumbmill: {made:,} made, {current:,} up to date, {len(failed):,} failed"
    lines = [counts + (f", {stopped:,} not made because the run was stopped" if stopped else "")]
    lines += [f"  {effort}"] * bool(effort)
    lines += [f"  {source}: {reason}" for source, reason in sorted(failed.items())[:SHOWN]]
    if len(failed) > SHOWN:
        lines.append(f"  ... and {len(failed) - SHOWN:,} more")
    lines += [f"  {room}"] * bool(room)
    if missing and written:
        lines.append(f"  all of them, with their reasons: {FAILURES}")
    if warned:
        verb = "thumbnail has" if warned == 1 else "thumbnails have"
        lines.append(f"  {warned:,} {verb} a warning, of a picture with something wrong: {WARNINGS}")
    return "\n".join(lines)


def forecast(reasons: Mapping[str, str], current: int) -> str:
    """The last lines of a dry run, from the `reasons` to make each source, and the number of those that are current."""
    lines = [f"thumbmill: {len(reasons):,} would be made, {current:,} up to date (dry run)"]
    lines += [f"  {source}: {reason}" for source, reason in list(reasons.items())[:SHOWN]]
    if len(reasons) > SHOWN:
        lines.append(f"  ... and {len(reasons) - SHOWN:,} more, in the list of jobs that `snakemake -n` prints")
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
