"""All that docs/reliability.md promises, tried one after the other: python -m tests.trials [kills hostile ...]

About an hour on two cores; the figures count on a machine that does nothing else. Ends with exit code 1 if any failed,
and says which.
"""

import argparse
import subprocess
import sys

from tests.conftest import REPOSITORY

TESTS = ("locks", "troubles", "hostile", "same_anywhere", "container", "random_sequences")
TRIALS = {
    "tests": ["pytest", "-q", "-m", "slow or not slow", *(f"tests/test_{name}.py" for name in TESTS)],
    **{name: [f"tests.trials.{name}"] for name in ("kills", "hostile", "fuzz", "memory", "sync", "newest")},
}


def run_trials(trials: dict[str, list[str]]) -> list[str]:
    """Run `trials`, each the arguments of `python -m`, in the repository; return the names of those that failed."""
    failed = []
    for name, command in trials.items():
        print(f"\n=== {name}: python -m {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY).returncode:
            failed.append(name)
    return failed


def main() -> int:
    """Run the trials that are named, or all; returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.trials", description=__doc__.partition("\n")[0])
    parser.add_argument("trials", nargs="*", metavar="NAME", help=f"which: {', '.join(TRIALS)} (default: all)")
    names = parser.parse_args().trials or list(TRIALS)
    if unknown := [name for name in names if name not in TRIALS]:
        parser.error(f"there is no trial {unknown[0]!r}, only {', '.join(TRIALS)}")
    failed = run_trials({name: TRIALS[name] for name in names})
    print(f"\nfailed: {', '.join(failed)}" if failed else f"\nall of these held: {', '.join(names)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
