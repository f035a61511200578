"""How many jobs run at once, in which order, and what is prepared ahead."""

import pytest

STAMP = """
import os, time
def stamp(event):
    with open("events.txt", "a") as file:
        file.write(f"{event} {snakemake.threads} {snakemake.wildcards.n} {os.getpid()}\\n")
stamp("start")
time.sleep(SECONDS)
stamp("end")
open(snakemake.output[0], "w").close()
"""


def events(project):
    return [line.split() for line in project.read("events.txt").splitlines()]


def most_cores(project):
    used = most = 0
    for event, threads, _, _ in events(project):
        used += int(threads) * (1 if event == "start" else -1)
        most = max(most, used)
    return most


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_never_more_than_cores_and_wide_jobs_do_not_starve(project, kind):
    project.write_jobs(60, STAMP.replace("SECONDS", "0.02"), "threads: lambda w: 2 if int(w.n) % 10 == 0 else 1")
    project.run("--pool-kind", kind, cores=3)
    assert most_cores(project) <= 3
    starts = [(threads, n) for event, threads, n, _ in events(project) if event == "start"]
    last_wide = max(place for place, (threads, _) in enumerate(starts) if threads == "2")
    assert len(starts) == 60
    assert any(threads == "1" for threads, _ in starts[last_wide:]) or last_wide == 59


def test_shell_jobs_count(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(6)), expand("{n}.sh", n=range(6))
            rule work:
                output: "{n}.out"
                script: "work.py"
            rule shell:
                output: "{n}.sh"
                shell: "echo start 1 {wildcards.n} 0 >> events.txt; sleep 0.05; echo end 1 {wildcards.n} 0 >> events.txt; touch {output}"
        """,
        work_py=STAMP.replace("SECONDS", "0.05"),
    )
    project.run(cores=2)
    assert most_cores(project) == 2
    assert len(events(project)) == 24


def test_jobs_of_one_rule_that_are_not_all_python_count(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(15))
            rule work:
                output: "{n}.out"
                params: language=lambda w: "sh" if int(w.n) % 5 == 4 else "py"
                priority: lambda w: -int(w.n)
                script: "work.{params.language}"
        """,
        work_py=STAMP.replace("SECONDS", "0"),
    )
    shell = "\n".join(
        f'echo "{event} 1 ${{snakemake_wildcards[n]}} 0" >> events.txt; {then}'
        for event, then in (("start", "sleep 0.1"), ("end", "touch ${snakemake_output[0]}"))
    )
    (project.directory / "work.sh").write_text(shell)
    project.run(cores=1)
    assert most_cores(project) == 1
    assert len(events(project)) == 30


def test_priorities(project):
    project.write_jobs(30, STAMP.replace("SECONDS", "0"), "priority: lambda w: int(w.n)")
    project.run(cores=1)
    assert [int(n) for event, _, n, _ in events(project) if event == "start"] == list(reversed(range(30)))


@pytest.mark.parametrize(("seconds", "ahead"), [("0", 3), ("0.15", 3), ("0", 0)])
def test_old_outputs_of_waiting_jobs_are_kept(project, seconds, ahead):
    count = 40 if seconds == "0" else 12
    project.write_jobs(
        count,
        f"""
            import glob, time
            time.sleep({seconds})
            with open("here.txt", "a") as file:
                print(len(glob.glob("*.out")), file=file)
            open(snakemake.output[0], "w").close()
        """,
    )
    for n in range(count):
        (project.directory / f"{n}.out").touch()
    project.run("--forceall", "--pool-reuse", "work", "--pool-prepare-ahead", str(ahead), cores=2)
    missing = count - min(int(line) for line in project.read("here.txt").split())
    assert missing <= 2 * (1 + (ahead if seconds == "0" else 0))


def test_no_job_is_sent_behind_a_long_one(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.fast", n=range(40)), "long"
            rule fast:
                output: "{n}.fast"
                script: "fast.py"
            rule long:
                output: "long"
                priority: 1
                script: "long.py"
        """,
        fast_py="open(snakemake.output[0], 'w').close()",
        long_py="""
            import glob, time
            deadline = time.monotonic() + 20
            while len(glob.glob("*.fast")) < 40 and time.monotonic() < deadline:
                time.sleep(0.01)
            with open(snakemake.output[0], "w") as file:
                print(len(glob.glob("*.fast")), file=file)
        """,
    )
    project.run("--pool-reuse", "fast,long", cores=2)
    assert project.read("long") == "40\n"


def test_other_resources_are_respected(project):
    project.write_jobs(6, STAMP.replace("SECONDS", "0.15"), "resources: mem_mb=400")
    project.run("--resources", "mem_mb=1000", cores=4)
    assert most_cores(project) == 2


def test_works_with_other_schedulers(project):
    project.write_jobs(9, "open(snakemake.output[0], 'w')")
    project.run(scheduler="greedy")


def test_one_round_for_all_ready_jobs(project, eager_scheduler):
    project.write_jobs(50, "open(snakemake.output[0], 'w')")
    output = project.run(scheduler=eager_scheduler)
    assert "Execute 50 jobs..." in output
    assert output.count("Select jobs to execute...") == 2


def test_workers_are_replaced_after_their_share(project):
    project.write_jobs(40, STAMP.replace("SECONDS", "0"))
    project.run("--pool-reuse", "work", "--pool-jobs-per-worker", "7", cores=1)
    pids = [pid for event, _, _, pid in events(project) if event == "start"]
    assert len(set(pids)) == 6
    assert max(pids.count(pid) for pid in pids) == 7


@pytest.mark.parametrize("options", [[], ["--pool-reuse", "work"]])
def test_jobs_without_threads_count_as_one_core(project, options):
    project.write_jobs(8, STAMP.replace("SECONDS", "0.05").replace("{snakemake.threads}", "1"), "threads: 0")
    project.run(*options, cores=2)
    assert most_cores(project) == 2


def test_rules_that_reuse_workers_and_others_share_the_cores(project):
    rule = "rule {name}:\n    output: '{{n}}.{name}'\n    script: 'work.py'\n"
    project.write(
        Snakefile="rule all:\n    input: expand('{n}.{name}', n=range(15), name=['a', 'b'])\n"
        + rule.format(name="a")
        + rule.format(name="b"),
        work_py=STAMP.replace("SECONDS", "0.01"),
    )
    project.run("--pool-reuse", "a", cores=2)
    assert most_cores(project) == 2
    assert len(events(project)) == 60


def test_jobs_shorter_than_a_round_of_the_scheduler_are_reported_together(project):
    project.write(
        Snakefile="""
            import time
            from snakemake_executor_plugin_pool import internals
            from snakemake_executor_plugin_pool.executor import Executor
            run_jobs, report_successes = Executor.run_jobs, internals.report_successes
            def slow(self, jobs):
                time.sleep(0.2)
                run_jobs(self, jobs)
            def report(scheduler, jobs):
                with open("reports.txt", "a") as file:
                    print(len(jobs), file=file)
                report_successes(scheduler, jobs)
            Executor.run_jobs = slow
            internals.report_successes = report
            rule all:
                input: expand("{n}.out", n=range(20))
            rule work:
                output: "{n}.out"
                script: "work.py"
        """,
        work_py="open(snakemake.output[0], 'w')",
    )
    project.run(cores=4, scheduler="greedy")
    reports = [int(line) for line in project.read("reports.txt").split()]
    assert sum(reports) == 21
    assert len(reports) < 16
