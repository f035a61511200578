"""How many jobs run at once, which first, and what is done ahead of them."""

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
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(60))
            rule work:
                output: "{n}.out"
                threads: lambda w: 2 if int(w.n) % 10 == 0 else 1
                script: "work.py"
        """,
        work_py=STAMP.replace("SECONDS", "0.02"),
    )
    project.run("--futures-kind", kind, cores=3)
    assert most_cores(project) <= 3
    starts = [(threads, n) for event, threads, n, _ in events(project) if event == "start"]
    last_wide = max(place for place, (threads, _) in enumerate(starts) if threads == "2")
    assert len(starts) == 60
    assert any(threads == "1" for threads, _ in starts[last_wide:]) or last_wide == 59


def test_shell_jobs_count(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(10)), expand("{n}.sh", n=range(10))
            rule work:
                output: "{n}.out"
                script: "work.py"
            rule shell:
                output: "{n}.sh"
                shell: "echo start 1 {wildcards.n} 0 >> events.txt; sleep 0.1; echo end 1 {wildcards.n} 0 >> events.txt; touch {output}"
        """,
        work_py=STAMP.replace("SECONDS", "0.1"),
    )
    project.run(cores=2)
    assert most_cores(project) == 2
    assert len(events(project)) == 40


def test_jobs_of_one_rule_that_are_not_all_python_count(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(30))
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
    assert len(events(project)) == 60


def test_priorities(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(30))
            rule work:
                output: "{n}.out"
                priority: lambda w: int(w.n)
                script: "work.py"
        """,
        work_py=STAMP.replace("SECONDS", "0"),
    )
    project.run(cores=1)
    assert [int(n) for event, _, n, _ in events(project) if event == "start"] == list(reversed(range(30)))


@pytest.mark.parametrize(("seconds", "ahead"), [("0", 3), ("0.15", 3), ("0", 0)])
def test_old_outputs_of_waiting_jobs_are_kept(project, seconds, ahead):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(40))
            rule work:
                output: "{n}.out"
                script: "work.py"
        """,
        work_py=f"""
            import glob, time
            time.sleep({seconds})
            with open("here.txt", "a") as file:
                print(len(glob.glob("*.out")), file=file)
            open(snakemake.output[0], "w").close()
        """,
    )
    for n in range(40):
        (project.directory / f"{n}.out").touch()
    project.run("--forceall", "--futures-prepare-ahead", str(ahead), cores=2)
    missing = 40 - min(int(line) for line in project.read("here.txt").split())
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
    project.run(cores=2)
    assert project.read("long") == "40\n"


def test_works_with_other_schedulers(project):
    project.write(
        Snakefile="rule all:\n    input: expand('{n}.out', n=range(9))\nrule a:\n    output: '{n}.out'\n    script: 'a.py'\n",
        a_py="open(snakemake.output[0], 'w')",
    )
    project.run(executor=["--executor", "futures", "--scheduler", "greedy"])


def test_one_round_for_all_ready_jobs(project):
    project.write(
        Snakefile="rule all:\n    input: expand('{n}.out', n=range(50))\nrule a:\n    output: '{n}.out'\n    script: 'a.py'\n",
        a_py="open(snakemake.output[0], 'w')",
    )
    output = project.run(cores=2)
    assert "Execute 50 jobs..." in output
    assert output.count("Select jobs to execute...") == 2


def test_workers_are_replaced_after_their_share(project):
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.out", n=range(40))
            rule work:
                output: "{n}.out"
                script: "work.py"
        """,
        work_py=STAMP.replace("SECONDS", "0"),
    )
    project.run("--futures-jobs-per-worker", "7", cores=1)
    pids = [pid for event, _, _, pid in events(project) if event == "start"]
    assert len(set(pids)) == 6
    assert max(pids.count(pid) for pid in pids) == 7
