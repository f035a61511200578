"""What `internals` uses of Snakemake beyond its plugin interface is still as it was when that was written."""

import inspect
import pickle
from types import SimpleNamespace

from snakemake.executors import local
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Snakemake, Wildcards
from snakemake.rules import Rule
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.script import PythonScript, script

from snakemake_executor_plugin_pool import internals


def test_snakemakes_private_interfaces_are_as_expected():
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
    """`internals` sets the attributes itself if it can, which has to give the same object."""
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
