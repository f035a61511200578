"""One run at a time for an output folder.

The locks are flocks: they end with the process that holds them, however it ends, so that nobody has to remove one by
hand. Python opens files so that no other program inherits them: a worker does not keep the lock of its run.
"""

import fcntl
import hashlib
import json
import os
import re
import socket
import sys
import time
from typing import IO

from thumbmill.catalog.history_file import STATE_FOLDER
from thumbmill.catalog.store import Store
from thumbmill.errors import LockError
from thumbmill.text import printable

SHARED_LOCK = os.path.join(STATE_FOLDER, "running.lock")  # each run holds a share of it, whatever its output folder
SHORT_DRY_RUN = re.compile("-[A-Za-z]*n[A-Za-z]*")  # -n, also among other short options
PATIENCE = 0.5  # seconds: a run that only checks whether another works holds the lock for a moment


class OutputLock:
    """The lock of an output folder, and what was known of it when this process began.

    Two runs may look for what has to be made at the same time, and a run that finds nothing needs no lock. It is
    acquired before the first job, and also refused if another run has worked since this one began: that has made part
    of what this one would make.
    """

    def __init__(self, output: Store):
        """Look at the lock of the `output`. Changes nothing."""
        self.output = output
        self.name = hashlib.sha256(os.fsencode(output.identity())).hexdigest()[:16]
        self.run = f"{self.name}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        self.refused = False
        self._lock: IO[str] | None = None
        self._share: IO[str] | None = None
        self._before, self._busy = read_lock(lock_path(self.name))

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock is not None

    def acquire(self) -> None:
        """Hold the lock from now on, as long as this process lives. Waits for shards of a killed run that still work.

        Raises LockError.
        """
        if self._lock:
            return
        try:
            os.makedirs(STATE_FOLDER, exist_ok=True)
            lock = open_lock(lock_path(self.name))
            try:
                self._check(lock)
                self._sign(lock)
            except BaseException:
                lock.close()
                raise
        except LockError:
            self.refused = True
            raise
        except OSError as error:
            self.refused = True
            raise LockError(
                f"{lock_path(self.name)} cannot be locked ({error.strerror}). The working directory must be writable, "
                "on a file system that has flock (NFS has it, Lustre with the mount option flock)"
            ) from error
        self._lock = lock
        self.join()
        wait_for_shards(shards_lock_path(self.name))

    def try_acquire(self) -> bool:
        """Acquire the lock if nobody is in the way; return whether it is held."""
        try:
            self.acquire()
        except LockError:
            self.refused = False  # acquire() says why when it has to be held
        return self.is_held

    def _check(self, lock: IO[str]) -> None:
        """Lock the open file `lock`. Raises LockError if another run holds it, or has since this one began."""
        output = printable(self.output.location)
        if not try_lock(lock, PATIENCE):
            raise LockError(
                f"{describe_holder(lock.read())} is making thumbnails in {output}: nothing was changed; "
                "run this again when it has ended"
            )
        text = lock.read()
        if self._busy or text != self._before:
            raise LockError(
                f"{describe_holder(text)} made thumbnails in {output} while this run was looking for what to make: "
                "nothing was changed; run this again"
            )

    def _sign(self, lock: IO[str]) -> None:
        """Write into the locked file who holds it."""
        lock.truncate(0)
        lock.seek(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        json.dump({"run": self.run, "pid": os.getpid(), "host": socket.gethostname(), "since": since}, lock)
        lock.flush()
        os.fsync(lock.fileno())  # for shards on other machines

    def join(self) -> None:
        """Be one of the runs at work in this directory: as long as there are several, none cleans what they share."""
        if not self._share:
            os.makedirs(STATE_FOLDER, exist_ok=True)
            share = open_lock(SHARED_LOCK)
            fcntl.flock(share, fcntl.LOCK_SH)
            self._share = share

    def is_alone(self) -> bool:
        """Whether no other run is at work in this directory, as long as nobody joins. Needs the lock."""
        return self._share is not None and try_lock(self._share)

    def share(self) -> None:
        """Let other runs join again after is_alone()."""
        if self._share:
            fcntl.flock(self._share, fcntl.LOCK_SH)


def lock_path(name: str) -> str:
    """Return the file that the run for an output folder holds locked, and that says who that is."""
    return os.path.join(STATE_FOLDER, f"running-{name}.lock")


def shards_lock_path(name: str) -> str:
    """Return the file of which each working shard for an output folder holds a share."""
    return os.path.join(STATE_FOLDER, f"shards-{name}.lock")


def open_lock(path: str) -> IO[str]:
    """Open a lock file, whatever is in it, and create it if there is none. Raises OSError."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8", errors="replace")


def read_lock(path: str) -> tuple[str, bool]:
    """Return what a lock file says of its last holder, and whether it is held now. Changes nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read(), True
            return lock.read(), False
    except OSError:
        return "", False


def try_lock(lock: IO[str], patience: float = 0) -> bool:
    """Lock an open file for this process alone, within `patience` seconds; return whether it could. Raises OSError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)


def describe_holder(text: str) -> str:
    """Return the run that a lock file's `text` names, in words."""
    try:
        holder = json.loads(text)
        return f"another run (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (ValueError, TypeError, KeyError):
        return "another run"  # it has just begun, and has not signed yet


def wait_for_shards(path: str) -> None:
    """Return when no shard of a killed run works any more. Those still in a queue will not begin: see join_run()."""
    with open_lock(path) as lock:
        if not try_lock(lock):
            print("thumbmill: waiting for shards of an earlier run that still work", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)


def join_run(folder: str) -> list[IO[str]]:
    """Begin the work of the shard in `folder`. Return files that must stay open as long as it works.

    Raises LockError if its run is no longer the current one: a job that waited in a queue until after its submitter
    was killed must not make what a later run makes.
    """
    run = os.path.basename(os.path.dirname(folder))
    name = run.split("-")[0]
    share = open_lock(shards_lock_path(name))
    fcntl.flock(share, fcntl.LOCK_SH)
    with open(lock_path(name), encoding="utf-8") as file:
        text = file.read()
    try:
        current = json.loads(text)["run"]
    except (ValueError, TypeError, KeyError):
        current = "another"  # which is writing its name at this moment
    if run != current:
        share.close()
        raise LockError(f"this shard belongs to run {run}, and {current} has taken over: nothing is made")
    # An earlier attempt may still work, if its node was only thought to be dead.
    own = open_lock(os.path.join(folder, "lock"))
    fcntl.flock(own, fcntl.LOCK_EX)
    return [share, own]


def needs_lock_at_once(arguments: list[str]) -> bool:
    """Whether a Snakemake with these command line `arguments` changes files without calling the Snakefile's hooks.

    It has a hook (`onstart`) for a run, but none for --delete-all-output, or with --no-hooks.
    """
    if {"--target-jobs", "--dry-run", "--dryrun"} & {*arguments} or any(map(SHORT_DRY_RUN.fullmatch, arguments)):
        return False
    given = [argument.partition("=")[0] for argument in arguments]
    # An option may be abbreviated.
    deletes = any(len(word) > len("--delete-") and "--delete-all-output".startswith(word) for word in given)
    return deletes or any(len(word) > len("--no-h") and "--no-hooks".startswith(word) for word in given)
