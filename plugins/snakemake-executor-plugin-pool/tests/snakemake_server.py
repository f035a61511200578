"""A process that has imported Snakemake and becomes it when asked: a start takes 0.1 s instead of a second.

It reads requests from its standard input, one JSON list per line, and answers each with a number:
["start", arguments, folder, output, environment, open_files] forks a `snakemake` and answers with its process id;
["wait", process id] answers with its exit code, once it has ended.
"""

import importlib
import json
import os
import resource
import signal
import sys

from snakemake.cli import get_argument_parser, main


def serve() -> list[str]:
    """Answer requests until there are no more. Returns in each fork, with the arguments for Snakemake."""
    for line in sys.stdin:
        match json.loads(line):
            case ["start", arguments, folder, output, environment, open_files]:
                pid = os.fork()
                if pid == 0:
                    detach(folder, output)
                    os.environ.update(environment)
                    if open_files:
                        resource.setrlimit(resource.RLIMIT_NOFILE, open_files)
                    return arguments
                print(pid, flush=True)
            case ["wait", pid]:
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    sys.exit()


def detach(folder: str, output: str) -> None:
    """Give this process a session, a working directory and standard streams of its own."""
    os.setsid()
    os.chdir(folder)
    sys.path.insert(0, folder)  # as `python -m snakemake` does
    with open(os.devnull) as nothing, open(output, "w") as file:
        for number, source in enumerate((nothing, file, file)):
            os.dup2(source.fileno(), number)


def import_snakemake() -> None:
    """Import what a run needs. Building the argument parser imports all plugins."""
    for module in ("snakemake_executor_plugin_pool.dispatcher", "nbformat", "smart_open", "yte"):
        importlib.import_module(module)
    get_argument_parser()


if __name__ == "__main__":
    # A shell starts what it runs in the background with SIGINT ignored, which the runs would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import_snakemake()
    sys.argv[1:] = serve()
    main()
