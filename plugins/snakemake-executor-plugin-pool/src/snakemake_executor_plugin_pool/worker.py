"""A worker process: runs one job's script after another."""

import os
import pickle
import time
from multiprocessing.connection import Connection

from .isolation import Isolation
from .script import INTERRUPTED, Script, run_script


def work(connection: Connection) -> None:
    """Run jobs from a connection, one after another, until it is closed.

    The first message is the pickled `(working directory, environment)`, because the fork server may have started before
    Snakemake read the workflow, which can change both. Every other message is the pickled `(script number, Script or
    None, payload, threads, tmpdir)`; a script comes with the first job that needs it. The answer is the pickled
    `(reason of failure or None, seconds, reusable)`.
    """
    pid = os.getpid()
    scripts: dict[int, Script] = {}
    isolation = None
    while True:
        try:
            if isolation is None:
                directory, environment = pickle.loads(connection.recv_bytes())
                os.chdir(directory)
                os.environ.clear()
                os.environ.update(environment, PWD=directory)
                isolation = Isolation()
            number, script, payload, threads, tmpdir = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        script = scripts.setdefault(number, script)
        start = time.perf_counter()
        isolation.enter(script, threads, tmpdir)
        reason = run_script(script, payload)
        if os.getpid() != pid:  # the script has forked, and this is the child, which ends here
            isolation.run_exit_functions()
            isolation.restore_streams()
            os._exit(0 if reason is None else 1)
        reusable = isolation.leave() and reason != INTERRUPTED
        try:
            connection.send_bytes(pickle.dumps((reason, time.perf_counter() - start, reusable)))
        except OSError:
            return  # Snakemake has died
        if not reusable:
            return
