"""What is kept apart between jobs that run one after another in the same worker, as README.md lists it."""

import ast

# (what the first script does; what the second then finds, as an expression; the value it has to have)
CASES = {
    "globals": ("leftover = 1", "'leftover' in globals()", False),
    "builtins": ("snakemake.other = 1", "hasattr(snakemake, 'other')", False),
    "config": ("snakemake.config['x'] = 1", "snakemake.config", {}),
    "main": ("import sys; sys.modules['__main__'].leftover = 1", "hasattr(sys.modules['__main__'], 'leftover')", False),
    "directory": ("import os; os.mkdir('d'); os.chdir('d')", "os.path.exists('Snakefile')", True),
    "path": ("import sys; sys.path.insert(0, '/nowhere')", "'/nowhere' in sys.path", False),
    "arguments": ("import sys; sys.argv.append('x')", "len(sys.argv)", 1),
    "environment": ("import os; os.environ['LEFT'] = 'x'; del os.environ['PATH']", "('LEFT' in os.environ, 'PATH' in os.environ)", (False, True)),
    "closed streams": ("import sys; sys.stdout.close(); sys.stderr.close()", "(print('after speaks', flush=True), sys.stderr.closed)[1]", False),
    "closed descriptors": ("import os; os.close(1); os.close(2)", "(print('after speaks', flush=True), os.fstat(2) and 1)[1]", 1),
    "redirected": ("import sys, os; os.dup2(os.open('o.txt', os.O_CREAT | os.O_WRONLY), 1); sys.stderr = open('e.txt', 'w')", "(print('after speaks', flush=True), sys.stderr is sys.__stderr__)[1]", True),
}  # fmt: skip

SCRIPT = """
import os, sys
number, after = snakemake.wildcards.n.split("_")
before, expression = snakemake.params.cases[int(number)]
if after == "1":
    value = eval(expression)
    open(snakemake.output[0], "w").write(repr((os.getpid(), value)))
else:
    open(snakemake.output[0], "w").write(str(os.getpid()))
    exec(before, globals())
"""


def test_a_job_does_not_see_what_is_kept_apart(project):
    names = [f"{number}_{after}" for number in range(len(CASES)) for after in range(2)]
    cases = [case[:2] for case in CASES.values()]
    project.write_jobs(0, SCRIPT, f"params: cases={cases!r}", "priority: lambda w: 1000 - float(w.n.replace('_', '.'))")
    project.run("--quiet", "all", "--pool-reuse", "work", *(f"{name}.out" for name in names), cores=1)
    wrong, workers = {}, set()
    for number, (name, (_, _, expected)) in enumerate(CASES.items()):
        pid, value = ast.literal_eval(project.read(f"{number}_1.out"))
        workers |= {str(pid), project.read(f"{number}_0.out")}
        if value != expected:
            wrong[name] = value
    assert not wrong
    assert len(workers) == 1, "all of this was to happen in one worker"


def test_exit_handlers_run_at_the_end_of_the_job_and_open_files_are_flushed(project):
    project.write_jobs(
        3,
        """
            import atexit, os
            kept = open(f"{snakemake.wildcards.n}.file", "w")
            kept.write(f"{os.getpid()}")
            def end(name=snakemake.output[0]):
                open(name, "a").write("ran")
            atexit.register(end)
            atexit.unregister(atexit.register(lambda: open("not", "w")))
        """,
    )
    project.run("--pool-reuse", "work", cores=1)
    assert [project.read(f"{n}.out") for n in range(3)] == ["ran"] * 3
    assert not project.names("not")
    assert len({project.read(f"{n}.file") for n in range(3)}) == 1


def test_what_a_library_or_the_process_keeps_stays(project):
    """That is what `reuse` is for, and why it is not the default."""
    project.write_jobs(
        2,
        """
            import colorsys, os
            colorsys.count = getattr(colorsys, "count", 0) + 1
            open(snakemake.output[0], "w").write(str(colorsys.count))
        """,
    )
    project.run("--pool-reuse", "work", cores=1)
    assert {project.read(f"{n}.out") for n in range(2)} == {"1", "2"}
    project.run("--forceall", cores=1)
    assert {project.read(f"{n}.out") for n in range(2)} == {"1"}


def test_a_forked_child_ends_with_the_script(project):
    project.write_jobs(
        2,
        """
            import os
            with open("pids", "a") as file:
                file.write("x")
            if os.fork() == 0:
                print("in the child")
            else:
                os.wait()
                open(snakemake.output[0], "w").close()
        """,
    )
    assert project.run("--pool-reuse", "work", cores=1).count("in the child") == 2
    assert project.read("pids") == "xx"


def test_a_worker_is_replaced_after_a_job_that_changed_a_limit(project):
    project.write_jobs(
        2,
        """
            import os, resource
            open(snakemake.output[0], 'w').write(str(os.getpid()))
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        """,
    )
    project.run("--pool-reuse", "work", cores=1)
    assert project.read("0.out") != project.read("1.out")


def test_workers_run_the_jobs_of_one_script_only(project):
    pid = "import os; open(snakemake.output[0], 'w').write(str(os.getpid()))"
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.{rule}", n=range(3), rule=["a", "b"])
            rule a:
                output: "{n}.a"
                script: "a.py"
            rule b:
                output: "{n}.b"
                script: "b.py"
        """,
        a_py=pid,
        b_py=pid,
    )
    project.run("--pool-reuse", "a, b", cores=1)
    of_a, of_b = ({project.read(f"{n}.{rule}") for n in range(3)} for rule in "ab")
    assert not of_a & of_b
