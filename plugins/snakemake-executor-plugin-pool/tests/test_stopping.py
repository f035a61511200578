"""Ctrl-C, SIGTERM and SIGKILL end the run at once and leave nothing behind."""

import contextlib
import re

import psutil
import pytest

SNAKEFILE = """
    rule all:
        input: expand("{n}.out", n=range(60)), "shell.out", "hang.out"
    rule work:
        output: "{n,[0-9]+}.out"
        script: "work.py"
    rule hang:
        output: "hang.out"
        priority: 10
        script: "hang.py"
    rule shell:
        output: "shell.out"
        priority: 5
        shell: "echo half > {output}; test -e go_on || sleep 1000"
"""

WORK = """
    import os, time
    with open("done.txt", "a") as file:
        print(snakemake.wildcards.n, file=file)
    time.sleep(0.02)
    open(snakemake.output[0], "w").close()
"""

HANG = """
    import os, subprocess
    with open(snakemake.output[0], "w") as file:
        file.write("half")
        file.flush()
        if not os.path.exists("go_on"):
            try:
                open("partial.tmp", "w").close()
                subprocess.run("sleep 1000; true", shell=True)
            finally:
                os.remove("partial.tmp")
"""


@pytest.fixture
def running(project):
    project.write(Snakefile=SNAKEFILE, work_py=WORK, hang_py=HANG)
    run = project.start(cores=3)
    project.wait_until(lambda: len(project.names("[0-9]*.out")) > 10 and project.names("partial.tmp"))
    return run


def command_lines(processes):
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has just ended
            lines.append(" ".join(process.cmdline()))
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["interrupt", "terminate"])
def test_stop_and_go_on(project, running, stop):
    getattr(running, stop)()
    assert running.wait() == 1
    project.wait_for_no_processes()
    assert "Traceback" not in running.output
    assert not project.names("partial.tmp")
    assert not project.names("hang.out")
    assert not project.names("shell.out")
    recorded = {name.removesuffix(".out") for name in project.names("[0-9]*.out")}
    assert not project.names(".snakemake/incomplete/*")
    assert not project.names(".snakemake/locks/*")
    (project.directory / "done.txt").unlink()
    (project.directory / "go_on").touch()
    project.run()
    assert len(project.names("*.out")) == 62
    again = project.read("done.txt").split()
    assert not recorded & set(again)
    assert len(again) == 60 - len(recorded)


@pytest.mark.slow
def test_nothing_outlives_a_killed_snakemake(project, running):
    workers = [process for process in project.processes() if process.pid != running.pid]
    assert len(workers) >= 3
    running.kill()
    running.wait()
    # what the built-in executor has started lives on, as it does without this plugin
    project.wait_until(lambda: all("sleep 1000" in line for line in command_lines(project.processes())))
    assert not any("hang" in line for line in command_lines(project.processes()))
    assert not project.names("partial.tmp")


def test_nothing_is_left_after_a_run(project):
    project.write_jobs(1, "open(snakemake.output[0], 'w')")
    project.run()
    project.wait_for_no_processes()
    project.run()  # nothing to do
    project.wait_for_no_processes()


@pytest.mark.parametrize("ended", ["well", "badly"])
@pytest.mark.parametrize("kind", ["script: 'work.py'", "shell: 'echo half > {output}; test {wildcards.ended} = well'"])
def test_a_job_that_ends_just_before_an_interruption(project, kind, ended):
    """It has been reported, but Snakemake has not got to it yet."""
    project.write(
        Snakefile=f"""
            import time
            from snakemake.scheduling.job_scheduler import JobScheduler
            finish_jobs = JobScheduler._finish_jobs
            def interrupted(self):
                while self.running and not self._tofinish and not self._toerror:
                    self._lock.release()
                    time.sleep(0.1)
                    self._lock.acquire()
                if self._tofinish or self._toerror:
                    time.sleep(0.3)
                    raise KeyboardInterrupt
                finish_jobs(self)
            JobScheduler._finish_jobs = interrupted
            rule work:
                output: "{{ended}}.out"
                {kind}
        """,
        work_py="""
            with open(snakemake.output[0], "w") as file:
                file.write("half")
            assert snakemake.wildcards.ended == "well"
        """,
    )
    project.run(f"{ended}.out", check=False)
    assert not project.names(".snakemake/incomplete/*")
    assert project.names("*.out") == (["well.out"] if ended == "well" else [])
    assert ("Nothing to be done" in project.run("-n", f"{ended}.out", check=None)) == (ended == "well")


@pytest.mark.parametrize("late", [0, 0.6])
def test_sigterm_ends_a_script_of_another_language(project, late):
    """Also one whose process is only just starting, and that Snakemake's own executor runs."""
    project.write(
        Snakefile=f"""
            import subprocess, time
            class Late(subprocess.Popen):
                def __init__(self, *args, **kwargs):
                    if "hang.sh" in str(args):
                        open("begun", "w").close()
                        time.sleep({late})
                    super().__init__(*args, **kwargs)
            subprocess.Popen = Late
            rule hang:
                output: "hang.out"
                script: "hang.sh"
        """
    )
    (project.directory / "hang.sh").write_text("echo half > ${snakemake_output[0]}; sleep 1000\n")
    running = project.start()
    project.wait_until(lambda: project.names("begun" if late else "hang.out"))
    running.terminate()
    assert running.wait() == 1
    project.wait_for_no_processes()
    assert not project.names("hang.out")
    assert not project.names(".snakemake/incomplete/*")


def test_no_command_starts_after_an_interruption(project):
    project.write(
        Snakefile="""
            import time
            from snakemake.jobs import Job
            log_info, pauses = Job.log_info, [0, 1, 1]
            def slow(self, *args, **kwargs):
                time.sleep(pauses.pop(0))
                log_info(self, *args, **kwargs)
            Job.log_info = slow
            rule all:
                input: expand("{n}.out", n=range(3))
            rule hang:
                output: "{n}.out"
                shell: "touch {wildcards.n}.begun; sleep 1000"
        """
    )
    running = project.start(cores=3)
    begun = project.wait_until(lambda: project.names("*.begun"))
    running.terminate()
    assert running.wait() == 1
    assert project.names("*.begun") == begun


def test_an_error_of_the_executor_leaves_nothing_half_done(project):
    """Scripts are ended, shell commands come to their end."""
    project.write(
        Snakefile="""
            from snakemake_executor_plugin_pool.fresh_pool import FreshPool
            wait = FreshPool.wait
            def broken(self, timeout=None):
                outcomes = wait(self, 0.1)
                if len(glob_wildcards("{name}.out").name) == 2:
                    raise RuntimeError("broken")
                return outcomes
            FreshPool.wait = broken
            rule all:
                input: "script.out", "shell.out"
            rule script:
                output: "script.out"
                script: "hang.py"
            rule shell:
                output: "shell.out"
                shell: "touch {output}; sleep 0.5; echo whole > {output}"
        """,
        hang_py=HANG,
    )
    assert "broken" in project.run(check=False)
    assert project.names("*.out") == ["shell.out"]
    assert not project.names("partial.tmp")
    assert not project.names(".snakemake/incomplete/*")
    assert "Nothing to be done" in project.run("-n", "shell.out")


@pytest.mark.slow
def test_interrupted_twice_and_unable_to_clean_up_after_one_job(project):
    project.write(
        Snakefile="""
            from snakemake.jobs import Job
            postprocess = Job.postprocess
            async def broken(self, **options):
                if self.wildcards.n == "0":
                    raise OSError("cannot clean up")
                await postprocess(self, **options)
            Job.postprocess = broken
            rule all:
                input: "0.out", "1.out"
            rule work:
                output: "{n}.out"
                priority: lambda w: -int(w.n)
                script: "work.py"
        """,
        work_py="""
            import signal, time
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # so that it takes a second to end it
            open(snakemake.output[0], "w").close()
            time.sleep(1000)
        """,
    )
    running = project.start()
    project.wait_until(lambda: project.names("*.out") == ["0.out", "1.out"])
    running.interrupt()
    project.wait_until(lambda: "Terminating processes" in running.output)
    running.interrupt()
    running.terminate()
    assert running.wait() == 1
    assert project.names("*.out") == ["0.out"]
    assert "cannot clean up" in running.output


@pytest.mark.slow
def test_a_job_that_takes_long_to_prepare_is_not_marked_after_the_interruption(project):
    project.write(
        Snakefile="""
            import threading, time
            from snakemake.jobs import Job
            from snakemake_executor_plugin_pool import Executor
            prepare, cancel, cancelled = Job.prepare, Executor.cancel, threading.Event()
            async def prepare_slowly(self):
                open("begun", "w").close()
                cancelled.wait()
                await prepare(self)
            def cancel_slowly(self):
                cancel(self)
                cancelled.set()
                time.sleep(0.5)
            Job.prepare, Executor.cancel = prepare_slowly, cancel_slowly
            rule work:
                output: "out"
                script: "work.py"
        """,
        work_py="open(snakemake.output[0], 'w').close()",
    )
    running = project.start()
    project.wait_until(lambda: project.names("begun"))
    running.terminate()
    assert running.wait() == 1
    assert not project.names(".snakemake/incomplete/*")
    assert "Traceback" not in running.output


@pytest.mark.parametrize("options", [[], ["--pool-reuse", "work"]])
def test_scripts_do_not_outlive_a_dead_fork_server(project, options):
    project.write(
        Snakefile="""
            rule all:
                input: "0.out", "1.out"
            rule work:
                output: "{n}.out"
                priority: lambda w: -int(w.n)
                script: "work.py"
        """,
        work_py="""
            import os, time
            open(snakemake.output[0], "w").close()
            if snakemake.wildcards.n == "1":
                os.kill(os.getppid(), 9)
                os._exit(1)
            time.sleep(1000)
        """,
    )
    output = project.run(*options, check=False)
    assert re.search("the server that .* forked from has died", output), output
    assert "Traceback" not in output
    project.wait_for_no_processes()
    assert not project.names("*.out")
    assert not project.names(".snakemake/incomplete/*")
