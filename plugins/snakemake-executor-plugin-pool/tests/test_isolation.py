"""Scripts that run one after another in the same worker do not see each other."""

import ast

import pytest

TWO_SCRIPTS = """
    rule all:
        input: "after.txt"
    rule before:
        output: "before.txt"
        script: "before.py"
    rule after:
        input: "before.txt"
        output: "after.txt"
        script: "after.py"
"""

# (what the first script does; what the second then finds, as an expression; the value it has to have)
CASES = {
    "globals": ("leftover = 1", "'leftover' in globals()", False),
    "builtins": ("snakemake.other = 1", "hasattr(snakemake, 'other')", False),
    "config": ("snakemake.config['x'] = 1", "snakemake.config", {}),
    "main": ("import sys; sys.modules['__main__'].leftover = 1", "hasattr(sys.modules['__main__'], 'leftover')", False),
    "directory": ("import os; os.mkdir('d'); os.chdir('d')", "os.path.exists('before.txt')", True),
    "path": ("import sys; sys.path.insert(0, '/nowhere')", "'/nowhere' in sys.path", False),
    "arguments": ("import sys; sys.argv.append('x')", "len(sys.argv)", 1),
    "environment": ("import os; os.environ['LEFT'] = 'x'; del os.environ['PATH']", "('LEFT' in os.environ, 'PATH' in os.environ)", (False, True)),
    "umask": ("import os; os.umask(0o77)", "os.umask(0o22)", 0o22),
    "signals": ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal.getsignal(signal.SIGTERM) == signal.SIG_DFL", True),
    "alarm": ("import signal; signal.setitimer(signal.ITIMER_REAL, 1000)", "signal.getitimer(signal.ITIMER_REAL)[0]", 0.0),
    "warnings": ("import warnings; warnings.simplefilter('error')", "warnings.filters[0][0] != 'error'", True),
    "warned": (
        "import warnings; warnings.filterwarnings('once'); warnings.warn('twice')",
        "(warnings.filterwarnings('once'), warnings.onceregistry)[1]",
        {},
    ),
    "logging": (
        "import logging; logging.basicConfig(filename='x.log', level=10); logging.getLogger('a').setLevel(50); logging.disable(50)",
        "(logging.root.handlers, logging.root.level, logging.getLogger('a').level, logging.root.manager.disable)",
        ([], 30, 0, 0),
    ),
    "hooks": ("import sys; sys.excepthook = sys.displayhook = print", "sys.excepthook is sys.__excepthook__", True),
    "random": ("import random; random.seed(1)", "random.random() == random.Random(1).random()", False),
    "helper": ("import sys; sys.path.insert(0, 'one'); import helper; assert helper.NAME == 'one'", "(sys.path.insert(0, 'two'), __import__('helper').NAME)[1]", "two"),
    "closed streams": ("import sys; sys.stdout.close(); sys.stderr.close()", "(print('after speaks', flush=True), sys.stderr.closed)[1]", False),
    "closed descriptors": ("import os; os.close(1); os.close(2)", "(print('after speaks', flush=True), os.fstat(2) and 1)[1]", 1),
    "redirected": ("import sys, os; os.dup2(os.open('o.txt', os.O_CREAT | os.O_WRONLY), 1); sys.stderr = open('e.txt', 'w')", "(print('after speaks', flush=True), sys.stderr is sys.__stderr__)[1]", True),
    "temporary directory": ("import tempfile; tempfile.tempdir = '/nowhere'", "tempfile.gettempdir() == '/nowhere'", False),
    "trace": ("import sys; sys.setprofile(print); sys.setprofile(lambda *a: None)", "sys.getprofile()", None),
}  # fmt: skip

BEFORE = """
import os
open({pid!r}, "w").write(str(os.getpid()))
open(snakemake.output[0], "w").close()
{code}
"""

AFTER = """
import logging, os, random, signal, sys, tempfile, warnings
value = {expression}
open(snakemake.output[0], "w").write(repr((os.getpid(), value)))
"""


def test_state_is_new_for_each_job(project):
    snakefile = f"CASES = {list(range(len(CASES)))}\nrule all:\n    input: expand('{{n}}.after', n=CASES)\n"
    for name in ("one", "two"):
        (project.directory / name).mkdir()
        (project.directory / name / "helper.py").write_text(f"NAME = {name!r}")
    for number, (code, expression, _) in enumerate(CASES.values()):
        (project.directory / f"before{number}.py").write_text(BEFORE.format(code=code, pid=f"{number}.pid"))
        (project.directory / f"after{number}.py").write_text(AFTER.format(expression=expression))
        snakefile += (
            f"rule before{number}:\n    output: '{number}.before'\n    script: 'before{number}.py'\n"
            f"rule after{number}:\n    input: '{number}.before'\n    output: '{number}.after'\n"
            f"    script: 'after{number}.py'\n"
        )
    project.write(Snakefile=snakefile)
    (project.directory / "before.txt").touch()
    output = project.run("--keep-going", "--quiet", "all", cores=1)
    wrong = {}
    workers = set()
    for number, (name, (_, _, expected)) in enumerate(CASES.items()):
        pid, value = ast.literal_eval(project.read(f"{number}.after"))
        workers |= {str(pid), project.read(f"{number}.pid")}
        if value != expected:
            wrong[name] = value
    assert not wrong
    assert len(workers) == 1, "all of this was to happen in one worker"
    assert output.count("after speaks") == 3, output


def test_end_of_a_script_is_like_the_end_of_an_interpreter(project):
    project.write(
        Snakefile=TWO_SCRIPTS,
        before_py="""
            import atexit, sys, threading, time
            file = open("file.txt", "w")
            file.write("flushed")
            print("out", end="")
            class Late:
                def write(self):
                    time.sleep(0.2)
                    open("thread.txt", "w").write("joined")
            threading.Thread(target=Late().write).start()
            atexit.register(lambda: open("atexit.txt", "w").write("ran"))
            atexit.unregister(atexit.register(lambda: open("not.txt", "w")))
            open(snakemake.output[0], "w").close()
        """,
        after_py="""
            open(snakemake.output[0], "w").write(open("file.txt").read() + open("thread.txt").read() + open("atexit.txt").read())
        """,
    )
    output = project.run(cores=1)
    assert project.read("after.txt") == "flushedjoinedran"
    assert not project.names("not.txt")
    assert "out" in output


def test_multiprocessing_and_pickling_of_own_classes(project):
    project.write(
        Snakefile=TWO_SCRIPTS,
        before_py="""
            import multiprocessing, pickle, subprocess
            class Own:
                value = 3
            def double(x):
                return 2 * x
            if __name__ == "__main__":
                assert pickle.loads(pickle.dumps(Own())).value == 3
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    result = pool.map(double, [1, 2])
                child = multiprocessing.get_context("fork").Process(target=double, args=(1,))
                child.start()
                text = subprocess.run(["echo", "child"], capture_output=True, text=True).stdout
                open(snakemake.output[0], "w").write(f"{result} {text}")
        """,
        after_py="""
            import shutil
            shutil.copy(snakemake.input[0], snakemake.output[0])
        """,
    )
    project.run(cores=1)
    assert project.read("after.txt") == "[2, 4] child\n"


def test_forked_child_ends_with_the_script(project):
    project.write(
        Snakefile=TWO_SCRIPTS,
        before_py="""
            import os
            with open("pids", "a") as file:
                file.write("x")
            if os.fork() == 0:
                print("in the child")
            else:
                os.wait()
                open(snakemake.output[0], "w").close()
        """,
        after_py="open(snakemake.output[0], 'w').close()",
    )
    assert project.run(cores=1).count("in the child") == 1
    assert project.read("pids") == "x"


@pytest.mark.parametrize(
    "code",
    [
        "import threading, time; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
        "import os; os.nice(1)",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))",
    ],
)
def test_worker_is_replaced_if_something_cannot_be_undone(project, code):
    pid = "import os; open(snakemake.output[0], 'w').write(str(os.getpid()))\n"
    project.write(Snakefile=TWO_SCRIPTS, before_py=pid + code, after_py=pid)
    project.run(cores=1)
    assert project.read("before.txt") != project.read("after.txt")


def test_modules_of_the_installation_stay_imported(project):
    project.write(
        Snakefile=TWO_SCRIPTS,
        before_py="import colorsys, psutil; open(snakemake.output[0], 'w')",
        after_py="import sys; open(snakemake.output[0], 'w').write(str({'colorsys', 'psutil'} <= set(sys.modules)))",
    )
    project.run(cores=1)
    assert project.read("after.txt") == "True"
