"""Scripts of many kinds end with the same files and the same failures as with the built-in executor.

A group of them is one run of Snakemake. The plugin runs it twice: first in new processes, then in those that have the
modules loaded which the first run has imported.
"""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# There is no package to import from: see --import-mode in pyproject.toml.
sys.path.insert(0, str(Path(__file__).parent))
from parity_cases import FAILING, LIBRARIES, NEEDS, PROCESSES, QUICK, STATE

sys.path.pop(0)

PRELUDE = """import os
def out(*values):
    with open(snakemake.output[0], "w") as file: print(*values, file=file)
"""

SNAKEFILE = """
import os
os.environ["SET_IN_THE_SNAKEFILE"] = "yes"
configfile: "config.json"
rule all:
    input: expand("{{name}}.out", name={names})
rule case:
    output: "{{name}}.out"
    params: large="x" * 300_000
    threads: {threads}
    {group}
    script: "scripts/{{wildcards.name}}.py"
"""


def installed(cases):
    """Return the cases whose libraries are there."""
    missing = {name for library, names in NEEDS.items() if not find_spec(library) for name in names}
    return {name: code for name, code in cases.items() if name not in missing}


def files(project):
    """Return all files beside those of the workflow and of Snakemake, with their contents."""
    paths = [path for path in project.directory.rglob("*") if path.is_file()]
    names = {str(path.relative_to(project.directory)): path for path in paths}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith((".snakemake", "scripts/", "vendored/", "statistics.py", "__pycache__")) and "." in name
    }


def outcome(project, *arguments, names, **options):
    """Run the workflow from the start; return its exit code, the failed jobs and all files."""
    for name in files(project):
        if name not in ("config.json", "helper.py"):
            (project.directory / name).unlink()
    run = project.start("--keep-going", *arguments, **options)
    code = run.wait()
    failed = set(re.findall(r"Error in rule case:\n(?:.+\n)*?\s+output: (\w+)\.out", run.output))
    return {"code": code, "failed": failed & set(names), "files": files(project)}, run.output


def assert_same(project, cases, threads=1, group=True):
    """Run cases with the built-in executor and twice with the plugin's, and compare."""
    (project.directory / "scripts").mkdir()
    (project.directory / "vendored").mkdir()
    (project.directory / "vendored" / "colorsys.py").write_text("MINE = True")
    (project.directory / "config.json").write_text(json.dumps({"sizes": [1, 2]}))
    project.write(helper_py="NAME = 'beside the Snakefile'", statistics_py="MINE = True")
    (project.directory / "scripts" / "helper.py").write_text("NAME = 'beside the script'")
    for name, code in cases.items():
        (project.directory / "scripts" / f"{name}.py").write_text(PRELUDE + code + "\n")
    # As one group job, the built-in executor starts Snakemake only once for all scripts.
    together = 'group: "together"' if group else ""
    project.write(Snakefile=SNAKEFILE.format(names=list(cases), threads=threads, group=together))
    expected, text = outcome(project, "--group-components", "together=1000", executor="local", names=cases)
    if group:
        assert expected["code"] == 0, text
    project.write(Snakefile=SNAKEFILE.format(names=list(cases), threads=threads, group=""))
    for _ in range(2):
        found, text = outcome(project, names=cases)
        differing = {
            name: (expected["files"].get(name), found["files"].get(name))
            for name in expected["files"].keys() | found["files"].keys()
            if expected["files"].get(name) != found["files"].get(name)
        }
        assert not differing, text
        assert (found["code"], found["failed"]) == (expected["code"], expected["failed"]), text


def test_scripts_that_leave_something_behind(project):
    assert_same(project, QUICK)


@pytest.mark.slow
def test_scripts_that_fail(project):
    assert_same(project, FAILING, group=False)


@pytest.mark.slow
def test_scripts_that_start_processes(project):
    assert_same(project, PROCESSES)


@pytest.mark.slow
def test_scripts_that_change_or_read_the_state_of_their_process(project):
    assert_same(project, STATE)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_scripts_with_libraries(project, threads):
    assert_same(project, installed(LIBRARIES), threads)
