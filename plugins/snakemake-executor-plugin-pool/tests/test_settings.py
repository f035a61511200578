"""The settings on the command line, and the plugin as Snakemake finds it."""

import dataclasses
import gc
import json
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import snakemake.common.tests
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from snakemake_executor_plugin_pool import Executor, ExecutorSettings


class TestWithSnakemakesOwnTests(snakemake.common.tests.TestWorkflowsLocalStorageBase):
    __test__ = True

    def get_executor(self):
        return "pool"

    def get_executor_settings(self):
        return ExecutorSettings()


def test_snakemake_finds_the_plugin():
    plugin = ExecutorPluginRegistry().get_plugin("pool")
    assert plugin.executor is Executor
    assert plugin.settings_cls is ExecutorSettings
    assert plugin.common_settings.local_exec


def test_schedulers_find_the_attribute_that_says_it_counts_cores_itself():
    assert Executor.holds_back_to_cores is True


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("kind", "fibre", "--pool-kind is 'fibre', but has to be 'process' or 'thread'."),
        ("prepare_ahead", -1, "--pool-prepare-ahead is -1, but has to be 0 or more."),
        ("jobs_per_worker", -5, "--pool-jobs-per-worker is -5, but has to be 0 or more."),
        ("progress_seconds", -0.5, "--pool-progress-seconds is -0.5, but has to be 0 or more."),
        (
            "preload",
            "colorsys, no_such_module",
            "--pool-preload is 'no_such_module', but has to be the name of a module that can be imported.",
        ),
    ],
)
def test_an_invalid_setting_is_rejected(setting, value, message):
    with pytest.raises(WorkflowError) as error:
        ExecutorSettings(**{setting: value})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--pool-prepare-ahead=-1", "--pool-prepare-ahead is -1, but has to be 0 or more."),
        ("--pool-kind=fibre", "--pool-kind: invalid choice: 'fibre' (choose from"),
    ],
)
def test_snakemake_prints_what_is_wrong_with_a_setting(project, option, message):
    project.write_jobs(1, "")
    output = project.run(option, check=False)
    assert message in output
    assert "Traceback" not in output


def test_settings_have_no_side_effects():
    """Snakemake also constructs them for a dry run, and for `--unlock`."""
    threshold, children = gc.get_threshold(), psutil.Process().children()
    settings = ExecutorSettings(preload="colorsys, json")
    assert settings.modules == ["colorsys", "json"]
    assert (gc.get_threshold(), psutil.Process().children()) == (threshold, children)


def test_settings_are_in_the_help(project):
    output = project.run("--help")
    for field in dataclasses.fields(ExecutorSettings):
        assert f"--pool-{field.name.replace('_', '-')}" in output


def test_preload(project):
    project.write_jobs(1, "import sys; open(snakemake.output[0], 'w').write(str('colorsys' in sys.modules))")
    project.run("--pool-preload", "colorsys,json")
    assert project.read("0.out") == "True"


def test_quiet_jobs(project):
    project.write_jobs(2, "open(snakemake.output[0], 'w') if snakemake.wildcards.n == '0' else exit(1)")
    output = project.run("--pool-quiet-jobs", "--keep-going", check=False)
    assert "rule work:" not in output.replace("Error in rule work:", "")
    assert "Error in rule work:" in output
    assert "output: 1.out" in output


@pytest.mark.parametrize(
    ("options", "finished", "steps"),
    [((), 7, 7), (("--pool-progress-seconds", "1000"), 0, 2), (("--quiet", "progress"), 0, 0)],
)
def test_progress_seconds(project, options, finished, steps):
    project.write_jobs(6, "open(snakemake.output[0], 'w')")
    output = project.run(*options)
    assert output.count("Finished jobid") == finished
    assert output.count(" of 7 steps") == steps
    if steps:
        assert "7 of 7 steps (100%) done" in output


@pytest.mark.parametrize("option", [[], ["--pool-no-empty-logs"]])
def test_empty_logs(project, option):
    project.write_jobs(
        2,
        """
            open(snakemake.output[0], "w").close()
            if snakemake.wildcards.n == "0":
                open(snakemake.log[0], "w").write("something")
        """,
        "log: '{n}.log'",
    )
    project.run(*option)
    assert project.read("0.log") == "something"
    assert project.names("*.log") == (["0.log"] if option else ["0.log", "1.log"])
    assert "Nothing to be done" in project.run()


def test_importing_the_plugin_is_cheap():
    """Snakemake imports every installed plugin at every start, and the fork server imports this one."""
    code = (
        "import sys, snakemake_interface_executor_plugins.executors.real; before = set(sys.modules);"
        "import snakemake_executor_plugin_pool; print(*set(sys.modules) - before)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    package = "snakemake_executor_plugin_pool"
    assert set(modules) <= {package, f"{package}.executor", f"{package}.settings", "gc", "importlib.util"}


def test_the_readme_lists_every_setting_with_its_default():
    readme = Path(__file__).parent.parent.joinpath("README.md").read_text()
    rows = re.findall(r"^\| `pool-([a-z-]+)` \| (.*?) \| (.*) \|$", readme, re.MULTILINE)
    assert rows == [
        (field.name.replace("_", "-"), f"`{json.dumps(field.default)}`", field.metadata["help"])
        for field in dataclasses.fields(ExecutorSettings)
    ]
