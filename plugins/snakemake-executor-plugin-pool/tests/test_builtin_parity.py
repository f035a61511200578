"""A workflow does the same with this executor as with the one built into Snakemake."""

import json
import os
import sys
import textwrap

import pytest

DUMP = """
import json, os, re, sys
import helper

def plain(value):
    return repr(value).replace(str(os.getpid()), "PID")

OF_THE_SHELL = ("SHLVL", "_", "OLDPWD", "PS1")
seen = {
    "attributes": {name: plain(value) for name, value in sorted(vars(snakemake).items()) if not name.startswith("_")},
    "names": {
        part: dict(getattr(snakemake, part).items())
        for part in ("input", "output", "wildcards", "log")
    },
    "params": [plain(value) for value in snakemake.params] + [snakemake.params.number, snakemake.params[0]],
    "resources": {name: value for name, value in snakemake.resources.items()},
    "types": {name: type(value).__name__ for name, value in sorted(vars(snakemake).items())},
    "log_fmt_shell": snakemake.log_fmt_shell(stdout=False, append=True),
    "file": __file__,
    "name": __name__,
    "main": sys.modules["__main__"].__dict__ is globals(),
    "globals": sorted(set(globals()) - {"seen", "plain", "OF_THE_SHELL"}),
    "builtins": type(__builtins__).__name__,
    "loader": type(__loader__).__name__,
    "path": [re.sub("tmp[^/]*/file", "TMP/file", entry) for entry in sys.path],
    "arguments": len(sys.argv),
    "directory": os.getcwd(),
    "environment": {name: value for name, value in os.environ.items() if name not in OF_THE_SHELL},
    "logger": logger.name,
    "helper": helper.NAME,
}
with open(snakemake.output[0], "w") as file:
    json.dump(seen, file, indent=1, sort_keys=True)
"""

SNAKEFILE = """
    configfile: "config.json"
    rule all:
        input: "out/a.json", "out/b.json"
    rule dump:
        input: first="in.txt", rest=["in.txt", "helper.py"]
        output: json="out/{name}.json"
        log: "logs/{name}.txt"
        params: number=3, text=lambda w: w.name * 2, nested={"a": [1, 2.5, None]}, path=__import__("pathlib").Path("x")
        threads: 2
        resources: mem_mb=100, runtime=5
        script: "scripts/{wildcards.name}.py"
"""


def test_a_script_sees_the_same(project):
    (project.directory / "scripts").mkdir()
    for name in "ab":
        (project.directory / "scripts" / f"{name}.py").write_text(DUMP)
    (project.directory / "scripts" / "helper.py").write_text("NAME = 'beside'")
    project.write(Snakefile=SNAKEFILE, helper_py="NAME = 'workdir'")
    (project.directory / "in.txt").touch()
    (project.directory / "config.json").write_text(json.dumps({"sizes": {"a": 1}}))
    project.run(executor="local")
    expected = json.loads(project.read("out/b.json"))
    project.run("--forceall")
    found = json.loads(project.read("out/b.json"))
    assert found == expected


KINDS = """
    import os
    cores = workflow.cores
    rule all:
        input: "shell", "run", "shadow", "bench.tsv", "piped", "script", "env", "many", "sh", "cached", "checked", "sub"
    rule shell:
        output: "shell"
        shell: "echo {rule} > {output}"
    rule run:
        output: "run"
        run:
            with open(output[0], "w") as file:
                print(rule, file=file)
    rule shadow:
        output: "shadow"
        shadow: "minimal"
        script: "touch.py"
    rule benchmark:
        output: touch("benched")
        benchmark: "bench.tsv"
        script: "nothing.py"
    rule piper:
        output: pipe("pipe")
        shell: "echo piped > {output}"
    rule piped:
        input: "pipe"
        output: "piped"
        shell: "cat {input} > {output}"
    rule environment:
        output: "env"
        conda: "env.yaml"
        script: "touch.py"
    rule many:
        output: directory("many")
        group: "g"
        script: "directory.py"
    rule bash:
        output: "sh"
        script: "touch.sh"
    rule script:
        output: temp("scripted"), log="script"
        log: "log.txt"
        script: "touch.py"
    rule cached:
        output: "cached"
        cache: True
        script: "touch.py"
    checkpoint check:
        output: "checkpoint"
        script: "touch.py"
    rule checked:
        input: lambda w: checkpoints.check.get().output
        output: "checked"
        script: "touch.py"
    module other:
        snakefile: "other.smk"
        config: {"name": "of the module"}
    use rule * from other
"""


@pytest.mark.slow
def test_every_kind_of_job_has_the_same_outcome(project, tmp_path_factory):
    project.write(
        Snakefile=KINDS,
        nothing_py="",
        touch_py="for name in snakemake.output:\n    open(name, 'w').write(snakemake.rule)\n",
        directory_py="import os; os.makedirs(snakemake.output[0]); open(snakemake.output[0] + '/x', 'w')",
        sub_py="open(snakemake.output[0], 'w').write(snakemake.config['name'])",
    )
    (project.directory / "touch.sh").write_text("echo ${snakemake[rule]} > ${snakemake_output[0]}")
    (project.directory / "env.yaml").write_text("dependencies: [nothing]")
    (project.directory / "other.smk").write_text("rule sub:\n    output: 'sub'\n    script: 'sub.py'\n")
    outcomes = []
    for executor in ("local", "pool"):
        project.run(executor=executor)
        files = {name: project.read(name) for name in project.names("*") if (project.directory / name).is_file()}
        records = len(project.names(".snakemake/metadata/*"))
        assert "scripted" not in files
        assert not project.names(".snakemake/incomplete/*")
        files["bench.tsv"] = files["bench.tsv"].splitlines()[0]
        outcomes.append((files, project.names("many/*"), records))
        project.run("--delete-all-output", executor=executor)
        for name in project.names("bench.tsv"):
            (project.directory / name).unlink()
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_chains_and_rule_all(project, kind):
    project.write(
        Snakefile="""
            rule all:
                input: "sum.txt"
            rule one:
                output: "one/{n}.txt"
                script: "one.py"
            rule two:
                input: "one/{n}.txt"
                output: "two/{n}.txt"
                shell: "cat {input} {input} > {output}"
            rule sum:
                input: expand("two/{n}.txt", n=range(20))
                output: "sum.txt"
                script: "sum.py"
        """,
        one_py="open(snakemake.output[0], 'w').write(snakemake.wildcards.n)",
        sum_py="open(snakemake.output[0], 'w').write(str(sum(int(open(name).read()) for name in snakemake.input)))",
    )
    output = project.run("--pool-kind", kind)
    assert project.read("sum.txt") == str(sum(int(f"{n}{n}") for n in range(20)))
    assert "42 of 42 steps (100%) done" in output
    assert "Nothing to be done" in project.run()


def test_a_job_that_ends_before_it_is_marked_as_started(project):
    project.write(
        Snakefile="""
            import time
            from snakemake.jobs import Job

            register = Job.register

            def register_late(*args, **kwargs):
                time.sleep(0.3)
                register(*args, **kwargs)

            Job.register = register_late

            rule a:
                output: "a"
                shell: "echo done > {output}"
        """,
    )
    project.run()
    assert not project.names(".snakemake/incomplete/*")
    assert "Nothing to be done" in project.run()


def test_dry_run_and_touch(project):
    project.write_jobs(1, "open(snakemake.output[0], 'w')")
    assert "This was a dry-run" in project.run("--dry-run")
    assert not project.names("0.out")
    project.run()
    project.run("--touch")


@pytest.fixture
def stand_in_conda(project):
    """An environment with a command `conda` that knows the environment `env`, whose Python says where it comes from."""
    for name, text in {
        "conda/bin/conda": f"""
            case "$*" in
              "--version") echo conda 99.0.0 ;;
              "info --json") echo '{{"conda_prefix": "{project.directory}/conda", "platform": "linux-64"}}' ;;
              "env export --prefix env") echo "dependencies: []" ;;
              "config --get channel_priority --json") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
              *) echo "unexpected: conda $*" >&2; exit 1 ;;
            esac
        """,
        "conda/bin/activate": 'export PATH="$1/bin:$PATH"',
        "env/bin/python": f'ENVIRONMENT=stand-in exec "{sys.executable}" "$@"',
    }.items():
        path = project.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{textwrap.dedent(text)}")
        path.chmod(0o755)
    return {"PATH": f"{project.directory}/conda/bin{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("executor", ["pool", "local"])
def test_conda_counts_only_when_it_is_switched_on(project, stand_in_conda, executor):
    project.write(
        Snakefile="""
            rule a:
                output: "a.txt"
                conda: "env"
                script: "a.py"
        """,
        a_py="import os; open(snakemake.output[0], 'w').write(os.environ.get('ENVIRONMENT', 'none'))",
    )
    project.run("--software-deployment-method", "conda", executor=executor, environment=stand_in_conda)
    assert project.read("a.txt") == "stand-in"
    project.run("--forceall", executor=executor, environment=stand_in_conda)
    assert project.read("a.txt") == "none"
