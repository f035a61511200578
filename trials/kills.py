"""kill -9 at random moments, and how the next run copes: python -m trials.kills [--kills 200]

Each round changes some pictures, starts a run, and kills one of its processes or all of them. Then every thumbnail must
be whole: the bytes that the picture function makes of the old or the new picture. The next run must succeed without
help, finish the rest, leave no temporary file anywhere in the working directory, and make again no more than was in
flight. A table counts the violations. About ten seconds per round on an idle machine with two cores.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
from PIL import Image

from thumbmill.files import TEMPORARY_PREFIX
from thumbmill.imaging.geometry import Size
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails
from trials import REPOSITORY

KINDS = ("all processes", "Snakemake alone", "a worker", "the fork server")
CORES = 2
# What may be made again: what each worker is working on, the eight jobs that wait for it (--pool-prepare-ahead), and
# those that have ended but are not recorded yet (the pool reports 16 at once, and as many are being recorded).
IN_FLIGHT = CORES * (1 + 8) + 2 * 16
PATIENCE = 300  # seconds after which a run counts as hanging
FORK_SERVER = "snakemake_executor_plugin_pool.fork_server"  # in its command line
SIZE: Size = {"width": 256, "height": 256, "fit": "contain"}


class Round(NamedTuple):
    """What one kill led to: all numbers from `partial` to `leftovers` are violations of a promise, and should be 0."""

    kind: str
    seconds: float  # until all its processes had ended
    temporary: int  # files that the kill left behind
    partial: int  # thumbnails that are not whole
    left: int  # processes that did not end
    failed: int  # 1 if the next run did not end well
    wrong: int  # thumbnails that are not right after it, or not there
    leftovers: int  # temporary files that are left after it
    redone: int  # whole thumbnails that it made again; a violation above IN_FLIGHT
    text: str  # what the runs printed, if anything was violated


class Trial:
    """A catalogue in `folder`, which must be empty, and what its thumbnails must be."""

    def __init__(self, folder: Path, pictures: int, seed: int) -> None:
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.log"  # of all runs of a round
        self.random = random.Random(seed)
        self.names = [f"{number % 7}/{number:04}" for number in range(pictures)]
        self.old: dict[str, bytes] = {}  # the right thumbnails before the pictures changed
        self.right: dict[str, bytes] = {}  # the right thumbnails
        self.links = folder.parent / f"{folder.name}-links"
        self.links.mkdir()
        self.seconds = 5.0  # that the last run took
        self.making = 2.0  # of them since its first worker

    def change(self, names: list[str]) -> None:
        """Replace the pictures `names`, each by one that looks different."""
        self.old = dict(self.right)
        for name in names:
            size = (self.random.randint(300, 700), self.random.randint(300, 700))
            path = self.folder / "images" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise(size, 60).save(path)
            made = self.links / "right.jpg"
            make_thumbnails(str(path), [Thumbnail(str(made), SIZE, "jpeg")], quality={"jpeg": 80})
            with Image.open(made) as thumbnail:
                thumbnail.load()
            self.right[name] = made.read_bytes()
            made.unlink()

    def path(self, name: str) -> Path:
        """Return the path of a picture's thumbnail."""
        return self.folder / "thumbnails/thumb" / f"{name}.jpg"

    def start(self) -> subprocess.Popen:
        """Start a run as a user does, in a session of its own."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        command += ["--cores", str(CORES)]
        with self.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def run(self) -> int | None:
        """Run to the end, without a kill; return the exit code, None if the run hangs."""
        begin = time.monotonic()
        process = self.start()
        first = None
        while process.poll() is None:
            if first is None and workers_of(process.pid):
                first = time.monotonic()
            if time.monotonic() - begin > PATIENCE:
                kill(members(process.pid))
                process.wait()
                return None
            time.sleep(0.01)
        if first is not None:
            self.seconds, self.making = time.monotonic() - begin, max(0.2, time.monotonic() - first)
        return process.returncode

    def round(self, kind: str) -> Round:
        """Change pictures, kill a run that makes them, and check what the next one does."""
        self.log.write_text("")
        self.change(self.random.sample(self.names, self.random.randint(len(self.names) // 3, len(self.names))))
        process = self.start()
        while not self.strike(kind, process):
            process.wait()
            self.change(self.random.sample(self.names, len(self.names) // 2))
            process = self.start()
        at_once = kind in KINDS[:2] and self.random.random() < 0.5
        left, seconds = 0, 0.0
        if not at_once:
            left, seconds = self.wait_for_end(kind, process)
        whole = self.link_whole()
        partial = 0 if at_once else self.count_wrong()
        temporary = len(self.temporary())
        if self.random.random() < 0.3:
            second = self.start()
            time.sleep(self.random.uniform(0, self.seconds))
            kill(members(second.pid))
            second.wait()
            partial += 0 if at_once else self.count_wrong()
        code = self.run()
        if at_once:
            left, seconds = self.wait_for_end(kind, process)
        wrong = self.count_wrong(finished=True)
        leftovers = len(self.temporary())
        redone = self.count_remade(whole)
        text = self.log.read_text()
        failed = int(code != 0 or "--unlock" in text or "Traceback" in text)
        broken = partial or left or failed or wrong or leftovers or redone > IN_FLIGHT
        return Round(kind, seconds, temporary, partial, left, failed, wrong, leftovers, redone, text if broken else "")

    def strike(self, kind: str, process: subprocess.Popen) -> bool:
        """Kill what `kind` says of a run that has just started, sooner or later; return whether it was still there."""
        if kind in KINDS[:2]:
            time.sleep(self.random.uniform(0, self.seconds))
            if process.poll() is not None:
                return False
            kill([process.pid] if kind == "Snakemake alone" else members(process.pid))
            return True
        while not workers_of(process.pid):
            if process.poll() is not None:
                return False
            time.sleep(0.005)
        time.sleep(self.random.uniform(0, self.making))
        victims = workers_of(process.pid) if kind == "a worker" else servers_of(process.pid)
        if not victims:
            return False
        kill([self.random.choice(victims)])
        return True

    def wait_for_end(self, kind: str, process: subprocess.Popen) -> tuple[int, float]:
        """Return how many processes of the run do not end by themselves, and the seconds until all others have.

        A run that loses a worker goes on: its seconds do not count.
        """
        begin = time.monotonic()
        limit = 30 if kind in KINDS[:2] else PATIENCE
        while members(process.pid) and time.monotonic() - begin < limit:
            process.poll()
            time.sleep(0.01)
        left = members(process.pid)
        seconds = time.monotonic() - begin
        kill(left)
        process.wait()
        return len(left), seconds if kind in KINDS[:2] else 0.0

    def count_wrong(self, finished: bool = False) -> int:
        """Return how many thumbnails are neither the old nor the new one nor absent; if `finished`, not the new one."""
        wrong = 0
        for name in self.names:
            allowed = {self.right[name]} if finished else {self.right[name], self.old.get(name), None}
            try:
                wrong += self.path(name).read_bytes() not in allowed
            except FileNotFoundError:
                wrong += None not in allowed
        return wrong

    def link_whole(self) -> dict[str, int]:
        """Return the inodes of the thumbnails that are right already. A link keeps each inode from being reused."""
        whole = {}
        for name in self.names:
            link = self.links / name.replace("/", "-")
            with contextlib.suppress(FileNotFoundError):
                if self.path(name).read_bytes() == self.right[name]:
                    link.hardlink_to(self.path(name))
                    whole[name] = link.stat().st_ino
        return whole

    def count_remade(self, whole: dict[str, int]) -> int:
        """Return how many of these thumbnails are other files now; delete the links."""
        remade = sum(self.path(name).exists() and self.path(name).stat().st_ino != whole[name] for name in whole)
        for link in self.links.iterdir():
            link.unlink()
        return remade

    def temporary(self) -> list[Path]:
        """Return the temporary files anywhere in the working directory."""
        return [
            Path(folder, file)
            for folder, _, files in os.walk(self.folder)
            for file in files
            if file.startswith(TEMPORARY_PREFIX)
        ]


def members(session: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def servers_of(snakemake: int) -> list[int]:
    """Return the fork server of a Snakemake process, if it is there."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(snakemake).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if FORK_SERVER in " ".join(child.cmdline()):
                    found.append(child.pid)
    return found


def workers_of(snakemake: int) -> list[int]:
    """Return the workers of a Snakemake process."""
    found = []
    for server in servers_of(snakemake):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child.pid for child in psutil.Process(server).children()]
    return found


def kill(pids: list[int]) -> None:
    """Send these processes SIGKILL."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run_trial(
    folder: Path, kills: int, pictures: int, seed: int, report: Callable[[str], None] = lambda text: None
) -> list[Round]:
    """Run `kills` rounds in the empty working directory `folder`, the kinds of kill in turn.

    Call `report` with the rounds that violate a promise, and with the progress. Raises RuntimeError if the first run,
    without a kill, fails.
    """
    trial = Trial(folder, pictures, seed)
    trial.change(trial.names)
    if trial.run() != 0:
        raise RuntimeError("the first run failed, without a kill")
    rounds = []
    for number in range(kills):
        rounds.append(trial.round(KINDS[number % len(KINDS)]))
        if rounds[-1].text:
            report(f"{number + 1}: {rounds[-1]._replace(text='')}\n{rounds[-1].text}")
        elif (number + 1) % 10 == 0:
            report(f"{number + 1} of {kills} kills")
    return rounds


def table(rounds: list[Round]) -> str:
    """Return the outcome as Markdown, one line for each kind of kill."""
    columns = ("killed", "times", "left behind", "partial", "still running", "next run failed", "wrong", "leftovers")
    lines = ["| " + " | ".join((*columns, "most redone", "gone after, s")) + " |", "|---" + "|---:" * 9 + "|"]
    for kind in KINDS:
        those = [each for each in rounds if each.kind == kind]
        if those:
            sums = [sum(each[column] for each in those) for column in range(2, 8)]
            slowest = f"{max(each.seconds for each in those):.2f}" if kind in KINDS[:2] else ""
            cells = (kind, len(those), *sums, max(each.redone for each in those), slowest)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the trial and print its table; return 1 if a promise was violated."""
    parser = argparse.ArgumentParser(prog="python -m trials.kills", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="how many rounds (%(default)s)")
    parser.add_argument("--pictures", type=int, default=200, help="in the catalogue (%(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of all chance (random)")
    given = parser.parse_args(arguments)
    print(f"{given.kills} kills, {given.pictures} pictures, seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "work")
        work.mkdir()
        rounds = run_trial(work, given.kills, given.pictures, given.seed, lambda text: print(text, flush=True))
    print(table(rounds))
    print(f"Up to {IN_FLIGHT} may be in flight, and are redone. The next run removes the temporary files left behind.")
    return int(any(each.text for each in rounds))


if __name__ == "__main__":
    sys.exit(main())
