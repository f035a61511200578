"""One run at a time for an output folder, and no temporary file of one that was killed.

The locks are flocks: they end with the process that holds them, however it ends, so that nobody has to remove one by
hand. Python opens files so that no other program inherits them: a worker does not keep the lock of its run.
"""

import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import sys
import time
from typing import IO

from scripts.history import FOLDER
from scripts.object_storage import is_remote
from scripts.thumbnail import TEMPORARY_PREFIX, printable

RUNS = os.path.join(FOLDER, "shards")  # a folder in it for each run that makes shards
ALL = os.path.join(FOLDER, "running.lock")  # each run at work holds a share of it, whatever its output folder
# Where write_whole() writes besides the output folder, and whether in folders below too.
PLACES = {FOLDER: False, "logs": True, "manifest": False, "gallery": False}
STORED = ".snakemake/storage"  # Snakemake's copies of objects
TEMPORARY = re.compile(re.escape(TEMPORARY_PREFIX) + "[0-9]+-[0-9a-f]{16}")  # as write_whole() names them
DRY = re.compile("-[A-Za-z]*n[A-Za-z]*")  # -n, also among other short options
PATIENCE = 0.5  # seconds: a run that only looks whether another works holds the lock for a moment


class RunningError(Exception):
    """Another run is in the way; the message says which, and what to do."""


class Running:
    """The lock of an output folder, and what was known of it when this process began.

    Two runs may look for what is to be made at the same time, and a run that finds nothing needs no lock. It is taken
    before the first job, and refused as well if another run has worked since this one began: it has made part of what
    this one would make.
    """

    def __init__(self, output: str):
        """`output` is the folder as the settings have it. Changes nothing."""
        self.output = output
        place = output if is_remote(output) else os.path.realpath(output)
        self.name = hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
        self.run = f"{self.name}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        self.held: list[IO] = []
        self.refused = False
        self.before, self.busy = look(lock_path(self.name))

    def take(self) -> None:
        """Hold the lock from now on, as long as this process lives. Waits for shards of a killed run that still work.

        Raises RunningError.
        """
        if self.held:
            return
        try:
            os.makedirs(FOLDER, exist_ok=True)
            lock = open_lock(lock_path(self.name))
            try:
                self.check(lock)
                lock.truncate(0)
                lock.seek(0)
                since = time.strftime("%Y-%m-%d %H:%M:%S")
                json.dump({"run": self.run, "pid": os.getpid(), "host": socket.gethostname(), "since": since}, lock)
                lock.flush()
                os.fsync(lock.fileno())  # for shards on other machines
            except BaseException:
                lock.close()
                raise
        except RunningError:
            self.refused = True
            raise
        except OSError as error:
            self.refused = True
            raise RunningError(
                f"{lock_path(self.name)} cannot be locked ({error.strerror}). The working directory must be writable, "
                "on a file system that has flock (NFS has it, Lustre with the mount option flock)"
            ) from error
        self.held.append(lock)
        self.join()
        wait_for_shards(shards_path(self.name))

    def check(self, lock: IO) -> None:
        """Lock the open file `lock`. Raises RunningError if another run holds it, or has since this one began."""
        if not try_lock(lock, PATIENCE):
            raise RunningError(
                f"{who(lock.read())} is making thumbnails in {printable(self.output)}: nothing was changed, start this "
                "again when it has ended"
            )
        text = lock.read()
        if self.busy or text != self.before:
            raise RunningError(
                f"{who(text)} has made thumbnails in {printable(self.output)} while this run looked for what is to be "
                "made: nothing was changed, start this again"
            )

    def join(self) -> None:
        """Be one of the runs at work in this directory: as long as there are several, none sweeps what they share."""
        if len(self.held) < 2:
            os.makedirs(FOLDER, exist_ok=True)
            shared = open_lock(ALL)
            fcntl.flock(shared, fcntl.LOCK_SH)
            self.held.append(shared)

    def sweep(self) -> set[str]:
        """Remove what killed runs have left: temporary files, and the folders of their shards.

        Needs the lock. What cannot be removed stays. Returns the folders below the output folder (a store has none).
        """
        for folder in glob.glob(os.path.join(RUNS, f"{self.name}-*")):
            if os.path.basename(folder) != self.run:
                shutil.rmtree(folder, ignore_errors=True)
        *_, shared = self.held
        if try_lock(shared):  # else another run may be writing there, which has another output folder
            for place, deep in PLACES.items():
                remove_strays(place, deep)
            fcntl.flock(shared, fcntl.LOCK_SH)
        if is_remote(self.output):
            remove_strays(STORED)
            return set()
        return remove_strays(self.output)


def lock_path(name: str) -> str:
    """The file that the run at work for an output folder holds locked, and that tells who that is."""
    return os.path.join(FOLDER, f"running-{name}.lock")


def shards_path(name: str) -> str:
    """The file of which each working shard for an output folder holds a share."""
    return os.path.join(FOLDER, f"shards-{name}.lock")


def open_lock(path: str) -> IO:
    """Open a lock file, whatever is in it; made if there is none. Raises OSError."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8", errors="replace")


def look(path: str) -> tuple[str, bool]:
    """What a lock file says of its last holder, and whether it holds it now. Changes nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read(), True
            return lock.read(), False
    except OSError:
        return "", False


def try_lock(lock: IO, patience: float = 0) -> bool:
    """Lock an open file for this process alone, within so many seconds; returns whether it could. Raises OSError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)


def who(text: str) -> str:
    """The run that a lock file's `text` tells of, in words."""
    try:
        told = json.loads(text)
        return f"another run (process {told['pid']} on {told['host']}, since {told['since']})"
    except (ValueError, TypeError, KeyError):
        return "another run"  # it has just begun, and not yet said who it is


def wait_for_shards(path: str) -> None:
    """Return when no shard of a killed run works any more. Those that have not begun will not: see begin_work()."""
    with open_lock(path) as lock:
        if not try_lock(lock):
            print("thumbmill: waiting for shards of an earlier run that are still at work", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)


def begin_work(folder: str) -> list[IO]:
    """What the shard in `folder` does first. Returns files that must stay open as long as it works.

    Raises RunningError if its run is no longer the current one: a job that waited in a queue until after its submitter
    was killed must not make what a later run makes.
    """
    run = os.path.basename(os.path.dirname(folder))
    name = run.split("-")[0]
    at_work = open_lock(shards_path(name))
    fcntl.flock(at_work, fcntl.LOCK_SH)
    with open(lock_path(name), encoding="utf-8") as file:
        text = file.read()
    try:
        current = json.loads(text)["run"]
    except (ValueError, TypeError, KeyError):
        current = "another"  # which is writing its name at this moment
    if run != current:
        at_work.close()
        raise RunningError(f"this shard belongs to run {run}, and {current} has taken over: nothing is made")
    # An earlier attempt may still work, where its node was only thought to be dead.
    own = open_lock(os.path.join(folder, "lock"))
    fcntl.flock(own, fcntl.LOCK_EX)
    return [at_work, own]


def needs_lock_at_once(arguments: list[str]) -> bool:
    """Whether a Snakemake with these command line `arguments` changes files without a word to the Snakefile.

    It has a hook (`onstart`) for a run, but none for --delete-all-output, or with --no-hooks.
    """
    if {"--target-jobs", "--dry-run", "--dryrun"} & {*arguments} or any(map(DRY.fullmatch, arguments)):
        return False
    given = [argument.partition("=")[0] for argument in arguments]
    # An option may be cut short.
    deletes = any(len(word) > len("--delete-") and "--delete-all-output".startswith(word) for word in given)
    return deletes or any(len(word) > len("--no-h") and "--no-hooks".startswith(word) for word in given)


def remove_strays(folder: str, deep: bool = True) -> set[str]:
    """Delete the temporary files in `folder`, which need not exist, and in those below it if `deep`.

    Only plain files with a name as write_whole() gives it, and nothing beyond a link. Returns the folders below.
    """
    found = set()
    for path, folders, files in os.walk(folder):
        for name in files:
            if name.startswith(TEMPORARY_PREFIX) and TEMPORARY.fullmatch(name):
                remove_plain(os.path.join(path, name))
        if not deep:
            break
        found.update(os.path.join(path, name) for name in folders)
    return found


def remove_plain(path: str) -> None:
    """Delete a plain file, if it can be deleted."""
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)
    except OSError:
        pass  # gone meanwhile, or not ours to delete
