"""Everything that docs/reliability.md promises, tried one after the other: python -m trials [kills hostile ...]

About an hour on two cores; the figures count on a machine that does nothing else. Ends with exit code 1 if any failed,
and lists which.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping

from trials import REPOSITORY

# The tests that belong to the promises, wherever below tests/.
TESTS = (
    "test_two_runs.py",
    "test_filesystem_errors.py",
    "test_hostile.py",
    "test_limits.py",
    "test_cgroups.py",
    "test_same_anywhere.py",
    "test_random_sequences.py",
)
PROGRAMS = ("kills", "hostile", "fuzz", "memory", "sync", "newest")


def find_tests() -> list[str]:
    """Return the paths of TESTS in the repository. Raises FileNotFoundError if one is missing."""
    found = [path for path in sorted((REPOSITORY / "tests").rglob("test_*.py")) if path.name in TESTS]
    missing = {*TESTS} - {path.name for path in found}
    if missing:
        raise FileNotFoundError(f"tests/ has no {', '.join(sorted(missing))}")
    return [str(path.relative_to(REPOSITORY)) for path in found]


def command_of(trial: str) -> list[str]:
    """Return the arguments of `python -m` for a trial: "tests", or one of PROGRAMS."""
    return ["pytest", "-q", "-m", "slow or not slow", *find_tests()] if trial == "tests" else [f"trials.{trial}"]


def run_trials(trials: Mapping[str, list[str]]) -> list[str]:
    """Run `trials`, each the arguments of `python -m`, in the repository; return the names of those that failed."""
    failed = []
    for name, command in trials.items():
        print(f"\n=== {name}: python -m {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY).returncode:
            failed.append(name)
    return failed


def main(arguments: list[str] | None = None) -> int:
    """Run the trials that the user names, or all; return an exit code."""
    known = ("tests", *PROGRAMS)
    parser = argparse.ArgumentParser(prog="python -m trials", description=__doc__.partition("\n")[0])
    parser.add_argument("trials", nargs="*", metavar="NAME", help=f"which: {', '.join(known)} (default: all)")
    names = parser.parse_args(arguments).trials or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no trial {unknown[0]!r}: choose from {', '.join(known)}")
    failed = run_trials({name: command_of(name) for name in names})
    print(f"\nfailed: {', '.join(failed)}" if failed else f"\npassed: {', '.join(names)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
