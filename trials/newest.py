"""Whether thumbmill works with the newest versions that pyproject.toml allows: python -m trials.newest [--write]

Looks up which versions of all dependencies those are, and which of them are not the tested ones (envs/tested.txt). If
there are any, installs them in a virtual environment of their own, and runs the quick tests of what is most likely to
break: the plugins, single pictures, and runs of Snakemake. Ends with exit code 1 if they fail. Needs pip and its
package index.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trials import REPOSITORY

TESTED = REPOSITORY / "envs/tested.txt"
TESTS = ("tests/imaging", "tests/run", "tests/workflow")


def read_extras(repository: Path = REPOSITORY) -> tuple[str, ...]:
    """Return the names of all extras in pyproject.toml."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return tuple(project["optional-dependencies"])


def find_plugins(repository: Path = REPOSITORY) -> list[str]:
    """Return the folders of the plugins' distributions, as pip wants them."""
    return [f"./{path.parent.relative_to(repository)}" for path in sorted(repository.glob("plugins/*/pyproject.toml"))]


def requirements(extras: Iterable[str], repository: Path = REPOSITORY) -> list[str]:
    """Return what to install from the `repository`: thumbmill's dependencies with `extras`, and its plugins."""
    return [f".[{','.join(extras)}]", *find_plugins(repository)]


def read_versions(text: str) -> dict[str, str]:
    """Return the version of each package in a file of constraints, which names each exactly.

    Raises ValueError at a line that does not.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if wrong := [line for line in lines if line.count("==") != 1]:
        raise ValueError(f"no exact version: {wrong[0]}")
    return {normalize(name): version for name, version in (line.split("==") for line in lines)}


def normalize(name: str) -> str:
    """Return a package's name in its normal form (https://peps.python.org/pep-0503/#normalized-names)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def newest_versions(extras: Iterable[str]) -> dict[str, str]:
    """Return what pip would install today, without the repository's own. Raises subprocess.CalledProcessError."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run(
        [*command, *requirements(extras)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
    )
    return versions_in_report(json.loads(done.stdout))


def versions_in_report(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions in a report of pip, except those of distributions that are folders of this machine."""
    packages = [entry["metadata"] for entry in report["install"] if "dir_info" not in entry["download_info"]]
    return dict(sorted((normalize(package["name"]), package["version"]) for package in packages))


def differences(tested: Mapping[str, str], newest: Mapping[str, str]) -> list[str]:
    """Return one line for each of the `newest` versions that is not the `tested` one."""
    return [
        f"{name} {tested.get(name, '(none)')} -> {version}"
        for name, version in newest.items()
        if tested.get(name) != version
    ]


def with_versions(text: str, versions: Mapping[str, str]) -> str:
    """Return the `text` of a file of constraints with other versions below the same comment."""
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    return comment + "".join(f"{name}=={version}\n" for name, version in versions.items())


def run_tests() -> int:
    """Install the newest allowed versions and run the tests with them; return an exit code."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin/python"))
        install = [python, "-m", "pip", "install", "--quiet", *requirements(["test"])]
        subprocess.run(install, cwd=REPOSITORY, check=True)
        pytest = [python, "-m", "pytest", "-q"]
        commands = [[*pytest, *TESTS]]
        commands += [[*pytest, "--rootdir", each, "-c", f"{each}/pyproject.toml", each] for each in find_plugins()]
        # 5: a plugin whose tests are all slow
        return int(any(subprocess.run(each, cwd=REPOSITORY).returncode not in (0, 5) for each in commands))


def main(arguments: list[str] | None = None) -> int:
    """Run the trial, or with --write make the newest allowed versions the tested ones; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m trials.newest", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put them into envs/tested.txt, for .ci/run to test")
    write = parser.parse_args(arguments).write
    text = TESTED.read_text()
    newest = newest_versions(read_extras() if write else ["test"])
    other = differences(read_versions(text), newest)
    print("\n".join(other) or "the newest allowed versions are the tested ones")
    if write:
        TESTED.write_text(with_versions(text, newest))
        return 0
    return run_tests() if other else 0


if __name__ == "__main__":
    sys.exit(main())
