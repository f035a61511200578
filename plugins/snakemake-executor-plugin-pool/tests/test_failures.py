"""Scripts that fail, crash, hang, or take the worker down fail alone, and the user learns why."""

import re

import pytest

# name: what the script does, and how the error message describes it
FAILURES = {
    "exception": ("raise ValueError('broken')", "ValueError: broken"),
    "two_lines": ("raise ValueError('broken\\nin two')", "ValueError: broken in two"),
    "own_exception": ("raise type('Own', (Exception,), {'__reduce__': None})('unpicklable')", "Own: unpicklable"),
    "bad_text": ("raise type('Bad', (Exception,), {'__str__': lambda self: 1 / 0})()", "Bad"),
    "exit_status": ("sys.exit(3)", "exit status 3"),
    "exit_message": ("sys.exit('cannot go on')", "cannot go on"),
    "hard_exit": ("os._exit(4)", "exit status 4"),
    "segmentation_fault": ("import ctypes; ctypes.string_at(0)", "script died: signal 11 (SIGSEGV)"),
    "killed": ("os.kill(os.getpid(), 9)", "script died: signal 9 (SIGKILL)"),
    "out_of_memory": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29)); bytearray(2**30)",
        "MemoryError",
    ),
    "keyboard_interrupt": ("raise KeyboardInterrupt", "interrupted"),
    "its_own_cause": (
        "try:\n    raise ValueError('a loop')\nexcept ValueError as error:\n    raise error from error",
        "ValueError: a loop",
    ),
    "closed_connection": ("os.closerange(3, 100); sys.exit(1)", "exit status 1"),
    "syntax_error": ("a b", "SyntaxError"),
}

FILL_THE_DISK = "open('/dev/full', 'w', 1).write('a\\n')"

SUCCESSES = {
    "hard_exit_0": "os._exit(0)",
    "exit": "sys.exit()",
    "exit_0": "sys.exit(0)",
    "exit_none": "sys.exit(None)",
    "plain": "",
}


def test_fails_alone_and_says_why(project):
    scripts = {name: code for name, (code, _) in FAILURES.items()} | SUCCESSES
    for name, code in scripts.items():
        start = "" if name == "syntax_error" else "import os, sys\nopen(snakemake.output[0], 'w').close()\n"
        (project.directory / f"{name}.py").write_text(start + code)
    project.write(
        Snakefile=f"""
            rule all:
                input: expand("{{name}}.out", name={list(scripts)})
            rule work:
                output: "{{name}}.out"
                log: "{{name}}.log"
                script: "{{wildcards.name}}.py"
        """
    )
    output = project.run("--keep-going", check=False, cores=1)
    assert project.names("*.out") == sorted(f"{name}.out" for name in SUCCESSES)
    assert not project.names(".snakemake/incomplete/*")
    errors = {re.search("wildcards: name=(.*)", text)[1]: text for text in output.split("Error in rule work:")[1:]}
    assert set(errors) == set(FAILURES)
    for name, (_, reason) in FAILURES.items():
        assert f"output: {name}.out" in errors[name]
        assert f"log: {name}.log" in errors[name]
        message = errors[name].split("message:")[1].split("output:")[0]
        assert reason in " ".join(message.split())
        if reason.startswith("script died"):  # the script could not write it
            assert reason in project.read(f"{name}.log")


def test_traceback_names_the_script(project):
    project.write_jobs(1, "def f():\n    raise ValueError('broken')\nf()\n")
    output = project.run(check=False)
    assert re.search(r'Traceback.*\n +File ".*/work.py", line 3, in <module>\n +f\(\)\n', output), output
    assert "snakemake_executor_plugin_pool" not in output
    assert output.count("Traceback") == 1


@pytest.mark.slow
def test_runtime_is_a_limit(project):
    project.write_jobs(
        3,
        """
            import subprocess
            open(snakemake.output[0], "w").close()
            if snakemake.wildcards.n == "1":
                subprocess.run(["sleep", "1000"])
        """,
        "resources: runtime=1",  # a minute is the least there is
    )
    output = project.run("--keep-going", check=False)
    assert "killed: exceeded its time limit (runtime) of 1 min" in output
    assert project.names("*.out") == ["0.out", "2.out"]
    project.wait_for_no_processes()


@pytest.mark.slow
def test_the_runtime_can_be_ignored(project):
    """As the built-in executor does. No runtime is shorter than a minute, so the pool has to be made to believe it."""
    project.write_jobs(1, "import time; time.sleep(2); open(snakemake.output[0], 'w').close()", "resources: runtime=1")
    with (project.directory / "Snakefile").open("a") as file:
        file.write(
            "from snakemake_executor_plugin_pool import internals\n"
            "make_task = internals.make_task\n"
            "def make_short_task(*args):\n"
            "    task = make_task(*args)\n"
            "    task.limit = task.limit and task.limit / 60\n"
            "    return task\n"
            "internals.make_task = make_short_task\n"
        )
    assert "exceeded its time limit" in project.run(check=False)
    assert not project.names("*.out")
    project.run("--pool-ignore-runtime")
    assert project.names("*.out") == ["0.out"]


def test_without_keep_going_nothing_else_is_started(project, eager_scheduler):
    project.write_jobs(
        30,
        """
            import time
            time.sleep(0.1)
            if snakemake.wildcards.n == "7":
                raise ValueError("the seventh")
            time.sleep(0.1)
            open(snakemake.output[0], "w").close()
        """,
        "priority: lambda w: 1 if w.n == '7' else 0",
    )
    for n in range(30):
        (project.directory / f"{n}.out").write_text("old")
    output = project.run("--forceall", check=False)
    assert "ValueError: the seventh" in output
    assert re.search(r"Not started, as another job has failed: \d+ jobs", output)
    assert "Exiting because a job execution failed" in output
    old = [name for name in project.names("*.out") if project.read(name) == "old"]
    assert len(old) > 10
    assert len(project.names("*.out")) == 29


@pytest.mark.parametrize("options", [[], ["--pool-reuse", "work"]])
def test_retries_start_in_a_fresh_process(project, options):
    project.write_jobs(
        1,
        """
            import os
            with open("pids", "a") as file:
                print(os.getpid(), snakemake.resources.mem_mb, file=file)
            if snakemake.resources.mem_mb < 300:
                raise ValueError("too little")
            open(snakemake.output[0], "w").close()
        """,
        "retries: 2",
        "resources: mem_mb=lambda w, attempt: attempt * 100",
    )
    project.run(*options, cores=1)
    attempts = [line.split() for line in project.read("pids").splitlines()]
    assert [memory for _, memory in attempts] == ["100", "200", "300"]
    assert len({pid for pid, _ in attempts}) == 3


def test_a_shell_command_is_tried_again_only_after_its_cores_are_free(project):
    """Snakemake may hand out a job again as soon as it is reported, before the reporting thread goes on."""
    project.write(
        Snakefile="""
            import time
            from snakemake_executor_plugin_pool.internals import BuiltinExecutor
            from snakemake_interface_executor_plugins.executors.base import AbstractExecutor
            report_job_error = AbstractExecutor.report_job_error
            def slow(self, *args, **kwargs):
                report_job_error(self, *args, **kwargs)
                if isinstance(self, BuiltinExecutor):
                    time.sleep(0.3)
            AbstractExecutor.report_job_error = slow
            rule all:
                input: "a"
                output: "b"
                shell: "sleep 0.1; touch {output}"
            rule a:
                output: "a"
                retries: 1
                shell: "echo >> attempts; test $(wc -l < attempts) = 2; sleep 0.4; touch {output}"
        """
    )
    project.run()
    assert project.names("[ab]") == ["a", "b"]


def test_jobs_waiting_in_a_worker_that_dies_are_not_lost(project):
    project.write_jobs(
        200,
        """
            import os
            if int(snakemake.wildcards.n) % 20 == 0:
                os._exit(1)
            open(snakemake.output[0], "w").close()
        """,
    )
    output = project.run("--keep-going", "--pool-reuse", "work", check=False)
    assert len(project.names("*.out")) == 190
    assert output.count("worker died: exit status 1") == 10


def test_jobs_prepared_in_vain_are_not_left_marked_as_incomplete(project, eager_scheduler):
    project.write_jobs(
        40,
        """
            import glob, os, time
            time.sleep(0.01)
            if len(glob.glob("*.out")) == 20:
                os._exit(1)
            open(snakemake.output[0], "w").close()
        """,
    )
    assert "Not started, as another job has failed" in project.run("--pool-reuse", "work", check=False, cores=1)
    assert not project.names(".snakemake/incomplete/*")


def test_error_in_preparation_fails_alone(project):
    project.write_jobs(
        5,
        "open(snakemake.output[0], 'w').close()",
        "params: lambda w: __import__('threading').Lock() if w.n == '3' else 0",
    )
    output = project.run("--keep-going", check=False)
    assert project.names("*.out") == ["0.out", "1.out", "2.out", "4.out"]
    assert "cannot pickle" in output
    assert "Error in rule work" in output


def test_missing_output_is_found(project):
    project.write(
        Snakefile="rule a:\n    output: 'a', 'b'\n    script: 'a.py'\n",
        a_py="open(snakemake.output[0], 'w').close()",
    )
    output = project.run(check=False)
    assert "MissingOutputException" in output
    assert not project.names("a")


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_a_full_disk_ends_the_run_if_asked(project, kind):
    project.write_jobs(40, FILL_THE_DISK)
    output = project.run("--keep-going", "--pool-stop-on-disk-full", "--pool-kind", kind, check=False)
    assert 1 <= output.count("Error in rule work:") <= 20  # those that were running or sent ahead
    assert re.search(r"Not started, as they could not write either \(.+\): [0-9]+ jobs\.", output)


def test_a_full_disk_fails_each_job_alone_if_not_asked(project):
    project.write_jobs(40, FILL_THE_DISK)
    assert project.run("--keep-going", check=False).count("Error in rule work:") == 40


def test_a_full_disk_that_a_script_can_do_without_ends_nothing(project):
    project.write_jobs(
        40,
        """
            try:
                open('/dev/full', 'w', 1).write('a\\n')
            except OSError:
                pass
            if snakemake.wildcards.n == "3":
                raise ValueError("something else")
            open(snakemake.output[0], "w").close()
        """,
    )
    output = project.run("--keep-going", "--pool-stop-on-disk-full", check=False)
    assert output.count("Error in rule work:") == 1
    assert len(project.names("*.out")) == 39


def test_a_job_whose_folder_cannot_be_made_fails_alone_and_without_a_traceback(project):
    project.write(
        Snakefile="""
            rule all:
                input: "a/b/out", "link/b/out", "c/b/out"
            rule work:
                output: "{name}/b/out"
                script: "work.py"
        """,
        work_py="open(snakemake.output[0], 'w').close()",
    )
    (project.directory / "link").symlink_to("nowhere")
    output = project.run("--keep-going", "--pool-stop-on-disk-full", check=False)
    assert re.search(r"message: cannot be started: .*Failed to create output directory link/b\.", output)
    assert "Traceback" not in output
    assert project.names("*/b/out") == ["a/b/out", "c/b/out"]


@pytest.mark.parametrize(
    ("cores", "limit", "enough"), [(2, 14, False), (2, 60, True), (60, 60, False), (60, 140, True)]
)
def test_a_hard_limit_of_open_files_is_checked_at_the_start(project, cores, limit, enough):
    project.write_jobs(40, "open(snakemake.output[0], 'w').close()")
    output = project.run("--pool-reuse", "work", cores=cores, open_files=(limit, limit), check=enough)
    assert "Traceback" not in output
    if enough:
        assert len(project.names("*.out")) == 40
    else:
        needed = re.search(
            rf"Open-file limit is {limit}; --cores {cores} needs ([0-9]+)\. Raise it with ulimit", output
        )
        assert int(needed[1]) > limit
        assert not project.names("*.out")


@pytest.mark.parametrize("options", [[], ["--pool-reuse", "work"]])
def test_a_soft_limit_of_open_files_is_raised_but_not_for_scripts(project, options):
    limit = "__import__('resource').getrlimit(__import__('resource').RLIMIT_NOFILE)[0]"
    project.write_jobs(40, f"open(snakemake.output[0], 'w').write(str({limit}))")
    project.run(*options, cores=25, open_files=(20, 1000))
    assert [project.read(name) for name in project.names("*.out")] == ["20"] * 40
