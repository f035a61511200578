"""Snakemake's features for files, resources and parts of a workflow: as with the built-in executor."""

import shutil
import stat
import textwrap
from typing import NamedTuple

import pytest

STAMP = """
    with open("events.txt", "a") as events:
        print("start", snakemake.wildcards.n, file=events)
    __import__("time").sleep(0.2)
    with open("events.txt", "a") as events:
        print("end", snakemake.wildcards.n, file=events)
    open(snakemake.output[0], "w").write(snakemake.wildcards.n)
"""
COPY = """
    text = "".join(open(name).read() for name in snakemake.input if not name.endswith("socket"))
    for name in snakemake.output:
        open(name, "a").write(snakemake.rule + " " + text)
"""
COUNT = """
    rule all:
        input: expand("{n}.out", n=range(6))
    rule work:
        output: "{n}.out"
"""


class Case(NamedTuple):
    """A workflow, the command lines to run one after another, and what else to compare."""

    snakefile: str
    runs: tuple[list[str], ...] = ([],)
    cores: int = 2
    script: str = COPY
    most_at_once: int = 0  # if not 0, scripts write when they start and end, and no more than these may run at once


CASES = {
    "resources": Case(
        COUNT + "        resources: mem_mb=lambda w: 600 if int(w.n) % 2 else 400\n        script: 'script.py'\n",
        (["--resources", "mem_mb=1000"],),
        4,
        STAMP,
        most_at_once=2,
    ),
    "priority": Case(
        COUNT + "        script: 'script.py'\n"
        "    use rule work as first with:\n        output: '{n,[35]}.out'\n        priority: 10\n"
        "    ruleorder: first > work\n",
        cores=1,
        script=STAMP,
        most_at_once=1,
    ),
    "group": Case(
        """
        rule all:
            input: expand("{n}.b", n=range(3))
        rule a:
            output: "{n}.a"
            group: "g"
            script: "script.py"
        rule b:
            input: "{n}.a"
            output: "{n}.b"
            group: "g"
            script: "script.py"
        """
    ),
    "pipe": Case(
        """
        rule all:
            input: "b"
        rule a:
            output: pipe("a")
            shell: "seq 3 > {output}"
        rule b:
            input: "a"
            output: "b"
            script: "script.py"
        """
    ),
    "service": Case(
        """
        rule all:
            input: expand("{n}.b", n=range(3))
        rule serve:
            output: service("socket")
            shell: "touch {output}; sleep 30"
        rule b:
            input: "socket"
            output: "{n}.b"
            script: "script.py"
        """,
        cores=3,
    ),
    "temp": Case(
        """
        rule all:
            input: "c"
        rule a:
            output: temp("a"), kept="kept"
            script: "script.py"
        rule b:
            input: "a"
            output: temp("b")
            script: "script.py"
        rule c:
            input: "a", "b"
            output: "c"
            script: "script.py"
        """,
        ([], ["--forcerun", "b"], ["--notemp", "--forceall"]),
    ),
    "protected": Case(
        """
        rule a:
            output: protected("a")
            script: "script.py"
        """,
        ([], ["--forceall"], []),
    ),
    "update": Case(
        """
        rule a:
            output: update("log.out")
            script: "script.py"
        """,
        ([], ["--forceall"], ["--forceall"]),
    ),
    "checkpoint": Case(
        """
        checkpoint split:
            output: directory("parts")
            shell: "mkdir parts; for n in 1 2 3; do echo $n > parts/$n; done"
        rule copy:
            input: "parts/{n}"
            output: "{n}.copy"
            script: "script.py"
        rule gather:
            input: lambda w: expand("{n}.copy", n=glob_wildcards(checkpoints.split.get().output[0] + "/{n}").n)
            output: "all"
            script: "script.py"
        rule final:
            input: "all"
            default_target: True
        """
    ),
    "retries": Case(
        """
        rule a:
            output: "a"
            retries: 3
            resources: mem_mb=lambda w, attempt: 100 * attempt, tries=lambda w, attempt: attempt
            script: "script.py"
        """,
        script="""
            with open("tries.txt", "a") as file:
                print(snakemake.resources.mem_mb, snakemake.resources.tries, file=file)
            if snakemake.resources.tries < 3:
                open(snakemake.output[0], "w").write("half")
                raise ValueError
            open(snakemake.output[0], "w").write("whole")
        """,
    ),
    "retries-in-vain": Case(
        """
        rule all:
            input: "a", "b"
        rule a:
            output: "a"
            script: "script.py"
        rule b:
            output: "b"
            shell: "touch b"
        """,
        (["--retries", "1", "--keep-going"],),
        script="open('tries.txt', 'a').write('x'); raise ValueError",
    ),
    "batch": Case(
        COUNT + "        script: 'script.py'\n", (["--batch", "all=1/3"], ["--batch", "all=2/3"], []), script=COPY
    ),
    "until": Case(
        """
        rule all:
            input: expand("{n}.c", n=range(3))
        rule a:
            output: "{n}.a"
            script: "script.py"
        rule b:
            input: "{n}.a"
            output: "{n}.b"
            script: "script.py"
        rule c:
            input: "{n}.b"
            output: "{n}.c"
            script: "script.py"
        """,
        (["--until", "a"], ["--omit-from", "c"], ["--allowed-rules", "c", "all", "--", "all"]),
    ),
    "shadow": Case(
        """
        rule a:
            input: "script.py"
            output: "a"
            shadow: "shallow"
            script: "script.py"
        """,
        script="open('left', 'w'); open(snakemake.output[0], 'w').write('a')",
    ),
    "benchmark": Case(
        """
        rule a:
            output: touch("a")
            benchmark: repeat("a.tsv", 2)
            script: "script.py"
        """,
        script="open('count.txt', 'a').write('x')",
    ),
    "ensure": Case(
        """
        rule all:
            input: "empty", "b"
        rule a:
            output: ensure("empty", non_empty=True)
            script: "script.py"
        rule b:
            output: ensure("b", non_empty=True)
            shell: "echo b > b"
        """,
        (["--keep-going"],),
        script="open(snakemake.output[0], 'w')",
    ),
    "missing-output": Case(
        """
        rule a:
            output: "a", "b"
            script: "script.py"
        """,
        script="open(snakemake.output[0], 'w')",
    ),
    "localrules": Case(
        """
        localrules: all, a
        rule all:
            input: "a"
        rule a:
            output: "a"
            script: "script.py"
        """
    ),
    "scatter": Case(
        """
        scattergather: split=3
        rule all:
            input: "gathered"
        rule scatter:
            output: scatter.split("parts/{scatteritem}")
            script: "script.py"
        rule gather:
            input: gather.split("parts/{scatteritem}")
            output: "gathered"
            script: "script.py"
        """
    ),
}


def outcome(project, case, executor):
    """Return the exit codes, and the files with their contents and permissions, after all runs."""
    codes = []
    for run in case.runs:
        codes.append(project.start(*run, executor=executor, cores=case.cores).wait())
    files = {}
    for name in project.names("**/*"):
        path = project.directory / name
        if path.is_file() and not name.startswith(".snakemake/"):
            content = path.read_text()
            content = content.partition("\n")[0] if name.endswith(".tsv") else content
            files[name] = (content, stat.S_IMODE(path.stat().st_mode))
    return codes, files


def most_at_once(events):
    running = most = 0
    for line in events:
        running += 1 if line.startswith("start") else -1
        most = max(most, running)
    return most


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_as_with_the_built_in_executor(project, name):
    case = CASES[name]
    outcomes = []
    for executor in ("local", "pool"):
        for path in project.directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        project.write(Snakefile=textwrap.dedent(case.snakefile), script_py=case.script)
        codes, files = outcome(project, case, executor)
        if case.most_at_once:
            events = files.pop("events.txt")[0].splitlines()
            assert most_at_once(events) <= case.most_at_once
            if name == "priority":
                codes.append([line for line in events if line.startswith("start")][:2])
        outcomes.append((codes, files))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1]) > 2 or 1 in outcomes[0][0]  # something has been made
