"""Snakemake's own command line in a process that has imported it already: a start costs 0.4 s instead of 1.3.

Run as a script, this file is that process: it reads requests from its standard input, one line each, and forks for
each; the fork becomes `snakemake`, which ends as it always does.
"""

import json
import os
import signal
import subprocess
import sys
import time

import psutil

PATIENCE = 60  # seconds until everything that a killed Snakemake leaves behind must have ended
OUTPUT = ".output"


class WarmSnakemake:
    """The process that becomes `snakemake`, once for each run."""

    def __init__(self):
        command = [sys.executable, "-P", __file__]  # -P: what is imported is the workflow's, not this folder's
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, arguments: list[str], folder: str, stop: tuple[float, int] | None = None) -> int:
        """Run `snakemake ARGUMENTS` in `folder`, its output in the file OUTPUT there; return its exit code.

        `stop` is (seconds after its start, signal) to stop it with; this then returns when all its processes are gone.
        """
        print(json.dumps([arguments, str(folder), stop]), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve() -> list[str]:
    """Answer requests until there are no more; return only in a fork, with the arguments of `snakemake`."""
    for line in sys.stdin:
        arguments, folder, stop = json.loads(line)
        child = os.fork()
        if not child:
            become_another(folder)
            return arguments
        print(end_of(child, stop), flush=True)
    sys.exit()


def become_another(folder: str) -> None:
    """Give this process a session, a working directory and standard streams of its own."""
    os.setsid()
    os.chdir(folder)
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(file, stream)


def end_of(child: int, stop: tuple[float, int] | None) -> int:
    """Return the exit code of the process `child`; after a `stop`, wait until its whole session has ended."""
    if stop:
        time.sleep(stop[0])
        os.kill(child, stop[1])  # does no harm if it has ended: it is a zombie until the next line
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    patient = time.monotonic() + PATIENCE
    while stop and any(session(process) == child for process in psutil.pids()):
        if time.monotonic() > patient:
            raise TimeoutError(f"processes are left after `snakemake` ended with {code}")
        time.sleep(0.01)
    return code


def session(process: int) -> int | None:
    """Return the session of a process; None if there is no such process."""
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return None


if __name__ == "__main__":
    from snakemake.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if this was started in the background
    sys.argv[1:] = serve()
    main()
