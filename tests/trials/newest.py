"""Whether thumbmill works with the newest versions that pyproject.toml allows: python -m tests.trials.newest [--write]

Looks up which versions those are of everything that is installed, and which of them are not the tested ones
(envs/tested.txt). Where there are any, installs them in a virtual environment of their own, and runs the tests of what
is most likely to break: the executor and all else that relies on Snakemake's inner workings, whole runs, the picture
function. Ends with exit code 1 if they fail. Needs pip and its package index.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
TESTED = REPOSITORY / "envs/tested.txt"
EXTRAS = (
    *("heif", "quality", "bench", "blurhash", "browser", "test"),
    *("slurm", "cluster-generic", "kubernetes", "s3", "test-s3"),
)
PLUGINS = sorted(path.name for path in (REPOSITORY / "plugins").iterdir())
POOL = "plugins/snakemake-executor-plugin-pool"
TESTS = (
    *(f"{POOL}/tests/{name}" for name in ("test_internals.py", "test_builtin_parity.py", "test_pool.py")),
    *("tests/test_project.py", "tests/test_workflow.py", "tests/test_thumbnail.py"),
)


def read_versions(text: str) -> dict[str, str]:
    """The version of each package in a file of constraints, which names each exactly.

    Raises ValueError at a line that does not.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if wrong := [line for line in lines if line.count("==") != 1]:
        raise ValueError(f"no exact version: {wrong[0]}")
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


def normal(name: str) -> str:
    """A package's name as all its spellings are written (https://peps.python.org/pep-0503/#normalized-names)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def newest_versions(extras: tuple[str, ...]) -> dict[str, str]:
    """What pip would install today, thumbmill's own version left out. Raises subprocess.CalledProcessError."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run(
        [*command, f".[{','.join(extras)}]", *(f"./plugins/{name}" for name in PLUGINS)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    packages = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    versions = {normal(package["name"]): package["version"] for package in packages}
    return {name: versions[name] for name in sorted(versions) if name not in ("thumbmill", *PLUGINS)}


def differences(tested: Mapping[str, str], newest: Mapping[str, str]) -> list[str]:
    """A line for each of the `newest` versions that is not the `tested` one."""
    return [
        f"{name} {tested.get(name, '(none)')} -> {version}"
        for name, version in newest.items()
        if tested.get(name) != version
    ]


def with_versions(text: str, versions: Mapping[str, str]) -> str:
    """The `text` of a file of constraints with other versions below the same comment."""
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    return comment + "".join(f"{name}=={version}\n" for name, version in versions.items())


def run_tests() -> int:
    """Install the newest allowed versions and run TESTS with them. Returns an exit code."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin/python"))
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", ".[test]", *(f"./plugins/{name}" for name in PLUGINS)],
            cwd=REPOSITORY,
            check=True,
        )
        return subprocess.run([python, "-m", "pytest", "-q", *TESTS], cwd=REPOSITORY).returncode


def main() -> int:
    """Run the trial, or with --write make the newest allowed versions the tested ones. Returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put them into envs/tested.txt, for .ci/run to test")
    write = parser.parse_args().write
    text = TESTED.read_text()
    newest = newest_versions(EXTRAS if write else ("test",))
    other = differences(read_versions(text), newest)
    print("\n".join(other) or "the newest allowed versions are the tested ones")
    if write:
        TESTED.write_text(with_versions(text, newest))
        return 0
    return run_tests() if other else 0


if __name__ == "__main__":
    sys.exit(main())
