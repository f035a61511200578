"""Scripts that fail, crash, hang, or take the worker down fail alone, and the user is told why."""

import re
import subprocess

import pytest

from tests.executor.conftest import wait_until

ALL = """
    NAMES = ["good1", "bad", "good2"]
    rule all:
        input: expand("{name}.out", name=NAMES)
    rule work:
        output: "{name}.out"
        log: "{name}.log"
        resources: runtime=RUNTIME
        script: "work.py"
"""

WORK = """
import os, sys
open(snakemake.output[0], "w").close()
if snakemake.wildcards.name == "bad":
    CODE
"""

# what the script does; what the user is told
FAILURES = {
    "exception": ("raise ValueError('broken')", "ValueError: broken"),
    "two lines": ("raise ValueError('broken\\nin two')", "ValueError: broken in two"),
    "own exception": ("raise type('Own', (Exception,), {'__reduce__': None})('unpicklable')", "Own: unpicklable"),
    "bad text": ("raise type('Bad', (Exception,), {'__str__': lambda self: 1 / 0})()", "Bad"),
    "exit status": ("sys.exit(3)", "exit status 3"),
    "exit message": ("sys.exit('cannot go on')", "cannot go on"),
    "hard exit": ("os._exit(0)", "worker died: exit status 0"),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "worker died: signal 11 (SIGSEGV)"),
    "killed": ("os.kill(os.getpid(), 9)", "worker died: signal 9 (SIGKILL)"),
    "out of memory": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29)); bytearray(2**30)",
        "MemoryError",
    ),
    "keyboard interrupt": ("raise KeyboardInterrupt", "interrupted"),
    "its own cause": (
        "try:\n        raise ValueError('a loop')\n    except ValueError as error:\n        raise error from error",
        "ValueError: a loop",
    ),
    "closed connection": ("os.closerange(3, 100); sys.exit(1)", "worker died"),
    "syntax error": ("exec('a b')", "SyntaxError"),
}


def prepare(project, code, runtime=1):
    project.write(
        Snakefile=ALL.replace("RUNTIME", str(runtime)),
        work_py=WORK.replace("CODE", code),
    )


@pytest.mark.parametrize("name", FAILURES)
def test_fails_alone_and_says_why(project, name):
    code, told = FAILURES[name]
    prepare(project, code)
    output = project.run("--keep-going", check=False, cores=1)
    assert project.names("*.out") == ["good1.out", "good2.out"]
    error = output[output.index("Error in rule work:") :]
    assert "output: bad.out" in error
    assert "log: bad.log" in error
    assert "wildcards: name=bad" in error
    assert told in " ".join(error.split())
    if told.startswith("worker died"):  # the script could not write it
        assert told in (project.directory / "bad.log").read_text()
    assert "Nothing to be done" not in output
    assert not project.names(".snakemake/incomplete/*")


@pytest.mark.parametrize("code", ["sys.exit()", "sys.exit(0)", "sys.exit(None)"])
def test_exit_with_success(project, code):
    prepare(project, code)
    project.run()


def test_traceback_names_the_script(project):
    prepare(project, "def f():\n        raise ValueError('broken')\n    f()")
    output = project.run("--keep-going", check=False)
    assert re.search(r'Traceback.*\n +File ".*/work.py", line 7, in <module>\n +f\(\)\n', output), output
    assert "worker.py" not in output
    assert output.count("Traceback") == 1


@pytest.mark.slow
def test_runtime_is_a_limit(project, processes_in):
    prepare(project, "import subprocess; subprocess.run(['sleep', '1000'])")  # a minute is the least there is
    output = project.run("--keep-going", check=False)
    assert "killed: exceeded its time limit (runtime) of 1 min" in output
    assert project.names("*.out") == ["good1.out", "good2.out"]
    wait_until(lambda: not processes_in())


def test_without_keep_going_nothing_else_is_started(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(30))
            rule work:
                output: "{n}.out"
                priority: lambda w: 1 if w.n == "7" else 0
                script: "work.py"
        """,
        work_py="""
            import time
            if snakemake.wildcards.n == "7":
                time.sleep(0.2)
                raise ValueError("the seventh")
            time.sleep(0.3)
            open(snakemake.output[0], "w").close()
        """,
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


def test_retries_start_in_a_fresh_worker(project):
    project.write(
        Snakefile="""
            rule work:
                output: "out"
                retries: 2
                resources: mem_mb=lambda w, attempt: attempt * 100
                script: "work.py"
        """,
        work_py="""
            import os
            with open("pids", "a") as file:
                print(os.getpid(), snakemake.resources.mem_mb, file=file)
            if snakemake.resources.mem_mb < 300:
                raise ValueError("too little")
            open(snakemake.output[0], "w").close()
        """,
    )
    project.run(cores=1)
    attempts = [line.split() for line in project.read("pids").splitlines()]
    assert [memory for _, memory in attempts] == ["100", "200", "300"]
    assert len({pid for pid, _ in attempts}) == 3


def test_a_shell_command_is_tried_again_only_after_its_cores_are_free(project):
    """Snakemake may hand out a job once more as soon as it is reported, before whoever reports it goes on."""
    project.write(
        Snakefile="""
            import time
            from snakemake_executor_plugin_futures.internals import BuiltinExecutor
            from snakemake_interface_executor_plugins.executors.base import AbstractExecutor
            report_job_error = AbstractExecutor.report_job_error
            def slow(self, *args, **kwargs):
                report_job_error(self, *args, **kwargs)
                if isinstance(self, BuiltinExecutor):
                    time.sleep(0.5)
            AbstractExecutor.report_job_error = slow
            rule all:
                input: "a"
                output: "b"
                shell: "sleep 0.3; touch {output}"
            rule a:
                output: "a"
                retries: 1
                shell: "echo >> attempts; test $(wc -l < attempts) = 2; sleep 0.7; touch {output}"
        """
    )
    project.run()
    assert project.names("[ab]") == ["a", "b"]


def test_jobs_waiting_in_a_worker_that_dies_are_not_lost(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(200))
            rule work:
                output: "{n}.out"
                script: "work.py"
        """,
        work_py="""
            import os
            if int(snakemake.wildcards.n) % 20 == 0:
                os._exit(1)
            open(snakemake.output[0], "w").close()
        """,
    )
    output = project.run("--keep-going", check=False)
    assert len(project.names("*.out")) == 190
    assert output.count("worker died: exit status 1") == 10


def test_jobs_prepared_in_vain_are_not_left_marked_as_incomplete(project):
    project.write(
        Snakefile=MANY,
        work_py="""
            import os, time
            time.sleep(0.01)
            if len(os.listdir("out")) == 20:
                os._exit(1)
            open(snakemake.output[0], "w").close()
        """,
    )
    assert "Not started, as another job has failed" in project.run(check=False, cores=1)
    assert not project.names(".snakemake/incomplete/*")


def test_error_in_preparation_fails_alone(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(5))
            rule work:
                output: "{n}.out"
                params: lambda w: __import__("threading").Lock() if w.n == "3" else 0
                script: "work.py"
        """,
        work_py="open(snakemake.output[0], 'w').close()",
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


MANY = """
    rule all:
        input: expand("out/{n}", n=range(40))
    rule work:
        output: "out/{n}"
        script: "work.py"
"""

# Ways in which a script ends on a full disk; /dev/full is one.
WITHOUT_ROOM = {
    "exception": "FILL",
    "exit message": """
try:
    FILL
except OSError as error:
    import sys
    sys.exit(f"cannot write: {error.strerror}")
""",
    "exit status": """
try:
    FILL
except OSError:
    raise SystemExit(74)
""",
}


@pytest.mark.parametrize("kind", ["process", "thread"])
@pytest.mark.parametrize("way", WITHOUT_ROOM)
def test_a_full_disk_ends_the_run_if_asked(project, way, kind):
    code = WITHOUT_ROOM[way].replace("FILL", "open('/dev/full', 'w', 1).write('a\\n')")
    project.write(Snakefile=MANY, work_py=code)
    output = project.run("--keep-going", "--futures-stop-without-room", "--futures-kind", kind, check=False)
    assert 1 <= output.count("Error in rule work:") <= 20  # those that were running or sent ahead
    assert re.search(r"Not started, as they could not write either \(.+\): [0-9]+ jobs\.", output)
    assert project.run("--keep-going", "--futures-kind", kind, check=False).count("Error in rule work:") == 40


def test_a_full_disk_that_a_script_can_do_without_ends_nothing(project):
    project.write(
        Snakefile=MANY,
        work_py="""
            try:
                open('/dev/full', 'w', 1).write('a\\n')
            except OSError:
                pass
            if snakemake.wildcards.n == "3":
                raise ValueError("something else")
            open(snakemake.output[0], "w").close()
        """,
    )
    output = project.run("--keep-going", "--futures-stop-without-room", check=False)
    assert output.count("Error in rule work:") == 1
    assert len(project.names("out/*")) == 39


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
    output = project.run("--keep-going", "--futures-stop-without-room", check=False)
    assert re.search(r"message: cannot be started: .*Failed to create output directory link/b\.", output)
    assert "Traceback" not in output
    assert project.names("*/b/out") == ["a/b/out", "c/b/out"]


@pytest.mark.parametrize("cores", [2, 100])
def test_too_few_files_may_be_open(project, cores):
    project.write(Snakefile=MANY, work_py="open(snakemake.output[0], 'w').close()")
    told = None
    for limit in (12, 26, 160):
        shell = ["bash", "-c", f'ulimit -n {limit}; exec "$@"', "-", *project.command(cores=cores)]
        done = subprocess.run(shell, cwd=project.directory, capture_output=True, text=True, timeout=600)
        told = re.search(r"Only ([0-9]+) files may be open at once, and [0-9]+ cores need ([0-9]+)", done.stderr)
        assert (done.returncode == 0) == (told is None), done.stderr
        assert "Traceback" not in done.stderr
        if told:
            assert int(told[1]) == limit < int(told[2])
            assert project.names("out/*") == []
    assert told is None


def test_a_low_limit_of_open_files_is_raised_where_that_is_allowed(project):
    project.write(Snakefile=MANY, work_py="open(snakemake.output[0], 'w').close()")
    shell = ["bash", "-c", 'ulimit -Sn 20; exec "$@"', "-", *project.command(cores=40)]
    done = subprocess.run(shell, cwd=project.directory, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert len(project.names("out/*")) == 40
