"""What is imported ahead: learned from the jobs of a rule, kept from run to run, and never what a fork would break."""

import ctypes
import json
import sys
import threading

import pytest

from snakemake_executor_plugin_pool import preload
from snakemake_executor_plugin_pool.preload import LearnedModules

MODULES = ".snakemake/pool/modules.json"

# Writes whether a module was there before the script imported it. (The word for that would keep it from being so.)
SEEN = """
import sys
before = set(vars(sys)["modules"])
import {module}
open(snakemake.output[0], "w").write(str("{module}" in before))
"""


def seen(project, count=4):
    return [project.read(f"{n}.out") for n in range(count)]


def test_the_second_run_imports_ahead(project):
    project.write_jobs(4, SEEN.format(module="colorsys"))
    project.run(cores=1)
    assert sorted(seen(project)) == ["False", "True", "True", "True"]
    assert "colorsys" in json.loads(project.read(MODULES))["rules"]["work"]["modules"]
    project.run("--forceall", cores=1)
    assert seen(project) == ["True"] * 4


def test_too_few_jobs_import_nothing_ahead(project):
    project.write_jobs(2, SEEN.format(module="colorsys"))
    for _ in range(2):
        project.run("--forceall", cores=1)
        assert seen(project, 2) == ["False"] * 2


@pytest.mark.parametrize("threads", [1, 2])
def test_jobs_with_other_numbers_of_threads_have_modules_of_their_own(project, threads):
    project.write_jobs(4, SEEN.format(module="colorsys"), f"threads: {threads}")
    project.run(cores=2)
    project.run("--forceall", cores=2)
    assert seen(project) == ["True"] * 4


@pytest.mark.parametrize(
    "harm",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
        "import subprocess\nkept = subprocess.Popen(['sleep', '1000'])",
        "kept = open('/dev/null')",
        "print('hello')",
        "import warnings\nwarnings.warn('deprecated')",
    ],
)
def test_a_module_that_must_not_be_imported_ahead_is_not(project, harm):
    library = project.directory / "library"
    library.mkdir()
    (library / "harmful.py").write_text(harm)
    (library / "harmless.py").write_text("")
    code = SEEN.format(module="harmful") + "import harmless\n"
    project.write_jobs(6, code + "if 'kept' in vars(harmful) and hasattr(harmful.kept, 'kill'): harmful.kept.kill()\n")
    project.run(environment={"PYTHONPATH": str(library)}, cores=1)
    project.run("--forceall", environment={"PYTHONPATH": str(library)}, cores=1)
    assert seen(project, 6) == ["False"] * 6
    learned = LearnedModules(str(project.directory / MODULES))
    assert "harmless" in learned.modules("work") and "harmful" not in learned.modules("work")
    project.wait_for_no_processes()


def test_what_the_user_names_is_not_imported_ahead_either_if_it_must_not_be(project):
    (project.directory / "library").mkdir()
    (project.directory / "library" / "harmful.py").write_text("kept = open('/dev/null')")
    project.write_jobs(3, SEEN.format(module="harmful"))
    environment = {"PYTHONPATH": str(project.directory / "library")}
    with (project.directory / "Snakefile").open("a") as file:
        file.write(f"import sys; sys.path.append({environment['PYTHONPATH']!r})\n")
    output = project.run("--pool-preload", "colorsys,harmful", environment=environment, check=None)
    if "has to be the name of a module" not in output:  # the settings are checked before the Snakefile is read
        assert "each job does that by itself" in output
        assert seen(project, 3) == ["False"] * 3


@pytest.mark.parametrize("where", ["script", "module"])
def test_scripts_that_set_variables_first_import_by_themselves(project, where):
    code = "import os; os.environ['X'] = '1'\n"
    project.write(helper_py=code)
    project.write_jobs(4, (code if where == "script" else "import helper\n") + SEEN.format(module="colorsys"))
    project.run(cores=1)
    project.run("--forceall", cores=1)
    assert seen(project) == ["False"] * 4


def test_the_workflows_own_modules_are_never_imported_ahead(project):
    """Also if another rule has learned installed ones of the same name."""
    project.write(
        Snakefile="""
            rule all:
                input: expand("{n}.{rule}", n=range(4), rule=["installed", "own"])
            rule installed:
                output: "{n}.installed"
                script: "installed.py"
            rule own:
                output: "{n}.own"
                script: "own.py"
        """,
        installed_py="import colorsys; open(snakemake.output[0], 'w').write(str(hasattr(colorsys, 'OWN')))",
        own_py="import sys; sys.path.insert(0, '.'); import wave, colorsys; open(snakemake.output[0], 'w').write(str(colorsys.OWN))",
        colorsys_py="OWN = True",
    )
    for _ in range(2):
        project.run("--forceall", cores=1)
        assert [project.read(f"{n}.installed") for n in range(4)] == ["False"] * 4
        assert [project.read(f"{n}.own") for n in range(4)] == ["True"] * 4


def test_servers_with_another_environment_take_over_when_it_changes(project):
    project.write(
        Snakefile="""
            import os
            def change(wildcards):
                os.environ["PYTHONPATH"] = os.path.abspath("library")
                return []
            rule all:
                input: "b.out"
            rule a:
                output: "a.out"
                script: "a.py"
            checkpoint b:
                input: "a.out"
                output: "b.out"
                params: lambda w: change(w)
                script: "b.py"
        """,
        a_py="open(snakemake.output[0], 'w').close()",
        b_py="import mine; open(snakemake.output[0], 'w').close()",
    )
    (project.directory / "library").mkdir()
    (project.directory / "library" / "mine.py").touch()
    project.run()


def test_another_interpreter_forgets(tmp_path, monkeypatch):
    path = str(tmp_path / "a" / "modules.json")
    learned = LearnedModules(path)
    learned.learn("rule", ["json", "json.tool"], [("helper", "")])
    learned.reject(["json"])
    learned.learn("rule", ["wave"], [])
    learned.save()
    again = LearnedModules(path)
    assert again.modules("rule") == ["wave"]
    assert again.own("rule") == ["helper"]
    assert again.modules("other") == []
    monkeypatch.setattr(preload.sys, "version", "4.0")
    assert LearnedModules(path).modules("rule") == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": 1}', '{"version": 1, "interpreter": 3, "rules": 5}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    path = tmp_path / "modules.json"
    path.write_text(content)
    learned = LearnedModules(str(path))
    assert learned.modules("rule") == []
    learned.learn("rule", ["wave"], [])
    learned.save()
    assert LearnedModules(str(path)).modules("rule") == ["wave"]


@pytest.mark.parametrize(
    ("source", "matters"),
    [
        ("import numpy", False),
        ("matplotlib.use('agg')", False),
        ("matplotlib.use('TkAgg')", True),
        ("os.environ['OMP_NUM_THREADS'] = '1'", True),
        ("from gevent import monkey", True),
        ("level = os.environ.get('LEVEL', 'INFO')", False),
        ("level = os.environ['LEVEL']", False),
        ("if os.environ['LEVEL'] == 'INFO': pass", False),
        ("if 'LEVEL' in os.environ: pass", False),
        ("env = os.environ.copy()", False),
        ("level = os.getenv('LEVEL')", False),
        ("os.environ[ 'LEVEL' ]= 'INFO'", True),
        ("os.environ['PATH'] += ':/bin'", True),
        ("os.environ.setdefault('LEVEL', 'INFO')", True),
        ("os.environ.update(LEVEL='INFO')", True),
        ("del os.environ['LEVEL']", True),
        ("settings = os.environ", True),
        ("from os import environ", True),
        ("os.putenv('LEVEL', 'INFO')", True),
    ],
)
def test_sources_in_which_the_order_of_imports_matters(tmp_path, source, matters):
    (tmp_path / "script.py").write_text(source)
    assert LearnedModules(str(tmp_path / "none")).order_matters(str(tmp_path / "script.py")) == matters


@pytest.mark.skipif(sys.platform != "linux", reason="there are no names of threads elsewhere")
@pytest.mark.parametrize(("name", "lost"), [(b"worker", True), (b"jemalloc_bg_thd", False)])
def test_threads_that_their_library_starts_again_do_not_count(name, lost):
    """jemalloc's, which pandas brings with pyarrow: its scripts would gain nothing otherwise."""
    named, done = threading.Event(), threading.Event()

    def wait():
        ctypes.CDLL(None).prctl(15, name)  # PR_SET_NAME
        named.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    named.wait()
    try:
        assert preload.is_lost_by_fork(str(thread.native_id)) == lost
    finally:
        done.set()
        thread.join()
