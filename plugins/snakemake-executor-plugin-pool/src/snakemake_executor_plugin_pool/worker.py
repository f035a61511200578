"""A worker process: runs one job's script after another."""

import os
import pickle
import time
from multiprocessing.connection import Connection

from .isolation import Isolation
from .script import INTERRUPTED, Script, run_script


def work(connection: Connection) -> None:
    """Run jobs from a connection, one after another, until it is closed.

    The first message is the pickled `(working directory, environment)`. Every other message is the pickled `(Script or
    None, payload, threads, tmpdir)`; the script comes with the first job. The answer is the pickled `(reason of failure
    or None, seconds, reusable)`.
    """
    pid = os.getpid()
    script: Script | None = None
    isolation = None
    while True:
        try:
            if isolation is None:
                directory, environment = pickle.loads(connection.recv_bytes())
                os.chdir(directory)
                os.environ.clear()
                os.environ.update(environment, PWD=directory)
                isolation = Isolation()
            given, payload, threads, tmpdir = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        script = script or given
        assert script
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
