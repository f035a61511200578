#!/usr/bin/env python3
"""Run Snakemake's own test suite with this plugin in the built-in executor's place, and print what only ours fails.

    pip install pytest pytest-mock snakemake-executor-plugin-cluster-generic snakemake-storage-plugin-{fs,http}
    python snakemake_suite.py path/to/snakemake -k script

Takes the folder of Snakemake's source, of the version that is installed: a checkout, or an unpacked sdist. Runs each
test with the built-in executor first, then those that passed with ours, and those that then fail once more, one by one,
with both. Tests that need the network, conda or a container fail or are skipped with both, and do not count.

Results are kept in a file, so that a run that was interrupted goes on where it was. Ends with 1 if a test fails only
with ours.
"""

import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TEST_FILES = ("tests/tests.py", "tests/test_api.py", "tests/test_args.py", "tests/test_logging.py")
BUILTIN, OURS = "local", "pool"

stopping = threading.Event()  # set when the run is to end early

Results = dict[str, dict[str, str]]  # executor: test: outcome


def main() -> int:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    checkout, results_file = options.checkout.resolve(), options.results.resolve()
    if options.fresh:
        results_file.unlink(missing_ok=True)
    tests = collect(checkout, options.k)
    print(f"{len(tests)} tests")

    def run(executor: str, selected: Sequence[str], processes: int) -> Results:
        run_all(checkout, executor, selected, results_file, options.timeout, processes)
        return read_results(results_file)

    results = read_results(results_file)
    results = run(BUILTIN, [test for test in tests if test not in results[BUILTIN]], options.processes)
    passed = [test for test in tests if results[BUILTIN].get(test) == "passed"]
    print(f"built-in: {summary(results[BUILTIN], tests)}")
    results = run(OURS, [test for test in passed if test not in results[OURS]], options.processes)
    suspects = [test for test in passed if results[OURS].get(test) != "passed"]
    for test in suspects:  # a busy machine fails some tests now and then
        for executor in (BUILTIN, OURS):
            results = run(executor, [test], 1)
    only_ours = [test for test in suspects if results[BUILTIN][test] == "passed" and results[OURS][test] != "passed"]
    print(f"ours, of those that pass: {summary(results[OURS], passed)}")
    for test in only_ours:
        print(f"only with ours: {test} ({results[OURS][test]})")
    return 1 if only_ours else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path, help="folder of Snakemake's source, with tests/")
    parser.add_argument("-k", default="", help="only tests that match this expression (as of pytest)")
    parser.add_argument("--results", type=Path, default=Path("suite_results.jsonl"), help="file to keep results in")
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    parser.add_argument("--timeout", type=float, default=120, help="seconds that a test may take (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="tests to run at the same time (%(default)s)")
    return parser.parse_args()


def collect(checkout: Path, expression: str) -> list[str]:
    """Return the ids of the tests that match an expression. Raises SystemExit if there are none."""
    files = [file for file in TEST_FILES if (checkout / file).exists()]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-o", "addopts=", "-q"]
    listed = subprocess.run(
        [*command, *files, "-k", expression], cwd=checkout, env=offline(), stdout=subprocess.PIPE, text=True
    )
    tests = [line for line in listed.stdout.splitlines() if "::" in line]
    if not tests or listed.returncode:
        raise SystemExit(f"no tests found in {checkout}:\n{listed.stdout}")
    return tests


def read_results(path: Path) -> Results:
    """Return the last outcome of each test. A test that was running when an earlier run ended has none."""
    results: Results = {BUILTIN: {}, OURS: {}}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["outcome"] == "running":
                results[record["executor"]].pop(record["test"], None)
            else:
                results[record["executor"]][record["test"]] = record["outcome"]
    return results


def summary(outcomes: dict[str, str], tests: Sequence[str]) -> str:
    """Return how many tests had which outcome."""
    counts = Counter(outcomes.get(test, "not run") for test in tests)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())


def run_all(
    checkout: Path, executor: str, tests: Sequence[str], results_file: Path, timeout: float, processes: int
) -> None:
    """Run tests in a number of pytest processes, and add their outcomes to the file of results."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=processes) as threads:
        futures = [
            threads.submit(run_share, checkout, executor, tests[first::processes], results_file, timeout)
            for first in range(processes)
        ]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C, or SIGTERM: the threads end their pytest processes
            stopping.set()
            raise


def run_share(checkout: Path, executor: str, tests: Sequence[str], results_file: Path, timeout: float) -> None:
    """Run tests in one pytest process after another: a new one follows a test that hangs, or that ends the process."""
    remaining = list(tests)
    while remaining and not stopping.is_set():
        with tempfile.TemporaryDirectory(prefix="suite-", ignore_cleanup_errors=True) as folder:
            records = run_pytest(checkout, executor, remaining, results_file, Path(folder), timeout)
        ran = {record["test"] for record in records}
        if not ran and not stopping.is_set():
            raise SystemExit(f"pytest ends before it runs {remaining[0]}")
        remaining = [test for test in remaining if test not in ran]


def run_pytest(
    checkout: Path, executor: str, tests: Sequence[str], results_file: Path, folder: Path, timeout: float
) -> list[dict[str, Any]]:
    """Run tests in one pytest process until it ends, or one of them has run for `timeout` seconds.

    Return what pool_in_place.py has recorded of them, and add that to the file of results as it comes. A test that was
    still running in the end is recorded with what ended it.
    """
    own_results = folder / "results.jsonl"
    own_results.touch()
    environment = offline() | {
        "POOL_SUITE_EXECUTOR": executor,
        "POOL_SUITE_RESULTS": str(own_results),
        "PYTHONPATH": str(HERE),  # for `-p pool_in_place`
        "TMPDIR": str(folder),
    }
    if executor == OURS:
        profile = folder / "profile"
        profile.mkdir()
        (profile / "config.yaml").write_text("executor: pool\n")
        environment["SNAKEMAKE_PROFILE"] = str(profile)  # for tests that start Snakemake by a command line
    command = [sys.executable, "-m", "pytest", "-p", "pool_in_place", "-p", "no:cacheprovider", "-o", "addopts=", "-q"]
    records: list[dict[str, Any]] = []
    with (folder / "output").open("w") as output, results_file.open("a", encoding="utf-8", buffering=1) as results:

        def add(record: dict[str, Any]) -> None:
            records.append(record)
            results.write(json.dumps(record) + "\n")

        process = subprocess.Popen(
            [*command, *tests],
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            end = None
            while end is None and not stopping.is_set():
                time.sleep(0.2)
                if process.poll() is not None:
                    end = f"ended pytest with exit status {process.returncode}"
                for line in own_results.read_text(encoding="utf-8").splitlines()[len(records) :]:
                    add(json.loads(line))
                if end is None and records and time.time() - records[-1]["time"] > timeout:
                    end = "timed out"
            if end and records and records[-1]["outcome"] == "running":
                add({**records[-1], "outcome": end, "seconds": time.time() - records[-1]["time"]})
        finally:
            kill_session(process)
    return records


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill pytest, and what its tests have left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def offline() -> dict[str, str]:
    """Return an environment in which nothing beyond this machine is reached, so that each run is the same."""
    nowhere = "http://127.0.0.1:9"  # the port `discard`, where nobody listens
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "SNAKEMAKE_PROFILE")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # tests start `snakemake`, too
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    return environment | proxies | dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")


if __name__ == "__main__":
    sys.exit(main())
