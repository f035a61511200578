"""The settings on the command line, and the plugin as Snakemake finds it."""

import inspect
import subprocess
import sys

import pytest
import snakemake.common.tests
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from snakemake_executor_plugin_futures import ExecutorSettings, internals


class TestWithSnakemakesOwnTests(snakemake.common.tests.TestWorkflowsLocalStorageBase):
    __test__ = True

    def get_executor(self):
        return "futures"

    def get_executor_settings(self):
        return ExecutorSettings()


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("prepare-ahead", "-1", "0 or more"),
        ("jobs-per-worker", "-5", "0 or more"),
        ("preload", "no_such_module", "the name of a module that can be imported"),
    ],
)
def test_wrong_settings_are_named(project, option, value, allowed):
    project.write(Snakefile="rule a:\n    output: 'a'\n    script: 'a.py'\n")
    output = project.run(f"--futures-{option}={value}", check=False)
    assert f"--futures-{option} is" in output
    assert value in output
    assert f"has to be {allowed}." in output
    assert "Traceback" not in output


def test_another_kind_of_pool_is_refused(project):
    project.write(Snakefile="rule a:\n    output: 'a'\n    script: 'a.py'\n")
    output = project.run("--futures-kind=fibre", check=False)
    assert "--futures-kind: invalid choice: 'fibre' (choose from" in output
    assert "Traceback" not in output


def test_settings_are_in_the_help():
    output = subprocess.run([sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True).stdout
    for name in (
        "kind",
        "prepare-ahead",
        "jobs-per-worker",
        "preload",
        "no-empty-logs",
        "quiet-jobs",
        "progress-seconds",
        "stop-without-room",
    ):
        assert f"--futures-{name}" in output


def test_preload(project):
    project.write(
        Snakefile="rule a:\n    output: 'a'\n    script: 'a.py'\n",
        a_py="import sys; open(snakemake.output[0], 'w').write(str('colorsys' in sys.modules))",
    )
    project.run("--futures-preload", "colorsys,PIL.Image")
    assert project.read("a") == "True"


def test_quiet_jobs(project):
    project.write(
        Snakefile="rule all:\n    input: 'a', 'b'\nrule a:\n    output: '{n}'\n    script: 'a.py'\n",
        a_py="open(snakemake.output[0], 'w') if snakemake.wildcards.n == 'a' else exit(1)",
    )
    output = project.run("--futures-quiet-jobs", "--keep-going", check=False)
    assert "rule a:" not in output.replace("Error in rule a:", "")
    assert "Error in rule a:" in output
    assert "output: b" in output


@pytest.mark.parametrize(
    ("options", "finished", "steps"),
    [((), 7, 7), (("--futures-progress-seconds", "1000"), 0, 2), (("--quiet", "progress"), 0, 0)],
)
def test_progress_seconds(project, options, finished, steps):
    project.write(
        Snakefile="rule all:\n    input: expand('{n}', n=range(6))\nrule a:\n    output: '{n}'\n    script: 'a.py'\n",
        a_py="open(snakemake.output[0], 'w')",
    )
    output = project.run(*options)
    assert output.count("Finished jobid") == finished
    assert output.count(" of 7 steps") == steps
    if steps:
        assert "7 of 7 steps (100%) done" in output


@pytest.mark.parametrize("option", [[], ["--futures-no-empty-logs"]])
def test_empty_logs(project, option):
    project.write(
        Snakefile="""
            rule all:
                input: "a", "b"
            rule a:
                output: "{n}"
                log: "{n}.log"
                script: "a.py"
        """,
        a_py="""
            open(snakemake.output[0], "w").close()
            if snakemake.output[0] == "a":
                open(snakemake.log[0], "w").write("something")
        """,
    )
    project.run(*option)
    assert project.read("a.log") == "something"
    assert project.names("*.log") == (["a.log"] if option else ["a.log", "b.log"])
    assert "Nothing to be done" in project.run()


def test_importing_the_plugin_is_cheap():
    """Snakemake imports every installed plugin at every start."""
    code = (
        "import sys, snakemake_interface_executor_plugins.executors.real; before = set(sys.modules);"
        "import snakemake_executor_plugin_futures; print(*set(sys.modules) - before)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert set(modules) <= {"snakemake_executor_plugin_futures", "gc", "heapq", "importlib.util"}


def test_snakemakes_private_interfaces_are_as_expected():
    """The counterpart of `internals`: what it uses, and how Snakemake looked when that was written."""
    from snakemake.executors import local
    from snakemake.iocontainers import Snakemake
    from snakemake.rules import Rule
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake.script import PythonScript, script

    assert ExecutorPluginRegistry().get_plugin("futures").common_settings.local_exec
    init = inspect.getsource(JobScheduler.__init__)
    for name in ("self._tofinish = []", "self._open_jobs = threading.Semaphore(0)", "self._lock = threading.Lock()"):
        assert name in init
    proceed = inspect.getsource(JobScheduler._proceed)
    assert "self._tofinish.append(job)" in proceed and "self._open_jobs.release()" in proceed
    assert "self.running.remove(job)" in inspect.getsource(JobScheduler._finish_jobs)
    assert list(inspect.signature(Snakemake.__init__).parameters)[1:] == [
        *("input_", "output", "params", "wildcards", "threads", "resources", "log", "config", "rulename"),
        *("bench_iteration", "scriptdir"),
    ]
    for name in (
        "script",
        "shadow_depth",
        "benchmark",
        "cache",
        "conda_env",
        "container_img",
        "env_modules",
        "basedir",
    ):
        assert hasattr(Rule, name) or f"self.{name}" in inspect.getsource(Rule.__init__), name
    assert "get_source(" in inspect.getsource(script)
    for name in ("__real_file__", "searchpaths", "shell_exec"):
        assert name in inspect.getsource(PythonScript.get_preamble) + inspect.getsource(PythonScript.generate_preamble)
    for name in ("report_job_success", "report_job_error", "run_job"):
        assert hasattr(local.Executor, name)
    assert "self.pool = concurrent.futures.ThreadPoolExecutor(" in inspect.getsource(local.Executor.__post_init__)
    assert callable(internals.print_exception)


def test_snakemake_object_is_built_as_snakemake_does():
    """`internals` sets the attributes itself where it can; that has to give the same object."""
    import pickle
    from types import SimpleNamespace

    from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Snakemake, Wildcards

    job = SimpleNamespace(
        input=InputFiles(fromdict={"a": "x", "b": "y"}),
        output=OutputFiles(["z"]),
        params=Params(fromdict={"n": 1, "t": "text", "l": [1, 2]}),
        wildcards=Wildcards(fromdict={"w": "1"}),
        threads=2,
        resources=ResourceList(fromdict={"tmpdir": "/tmp"}),
        log=Log(["l"]),
        rule=SimpleNamespace(name="rule"),
    )
    found = pickle.loads(internals.snakemake_object(job, SimpleNamespace(directory="d")))
    expected = Snakemake(
        job.input, job.output, job.params, job.wildcards, 2, job.resources, job.log, None, "rule", None, "d"
    )

    def plain(snakemake):
        return {
            name: (type(value), list(value), dict(value.items())) if isinstance(value, list) else value
            for name, value in vars(snakemake).items()
        }

    assert plain(found) == plain(expected)
    assert found.params.n == 1
