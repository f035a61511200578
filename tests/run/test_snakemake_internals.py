"""Each reach into Snakemake's private interfaces, on small workflows: fails if Snakemake answers otherwise one day."""

import inspect
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.script import get_source
from snakemake.sourcecache import LocalSourceFile, SourceCache
from snakemake.utils import available_cpu_count

from tests.support.shop import REPOSITORY, Run, WarmShop
from thumbmill.run import snakemake_internals as internals

# Writes down what the functions answer: while the DAG is built, before the first job, and at the end.
SNAKEFILE = f"""
import atexit
import json
import os
import sys

sys.path.insert(0, {str(REPOSITORY)!r})

from thumbmill.run import snakemake_internals as internals

main_process = workflow.is_main_process


def write(when, **answers):
    if main_process:
        with open(f"{{when}}.json", "w") as file:
            json.dump(answers, file)


def pictures(wildcards):
    functions = "judges_by_all_triggers runs_jobs will_write can_skip_unchanged force_flag largest_shard all_cores"
    write("dag", **{{name: getattr(internals, name)(workflow) for name in functions.split()}})
    return [f"thumbs/{{name}}.jpg" for name in config.get("pictures", "good").split()]


def report():
    if not internals.was_run(workflow):
        return
    outcome = internals.outcome(workflow)
    write(
        "end",
        outcome=outcome._asdict(),
        recorded={{name: internals.recorded_as_made(workflow, paths) for name, paths in outcome.current.items()}},
        needed=internals.needed(workflow.dag),
        times={{name: internals.job_times(workflow, f"thumbs/{{name}}.jpg") for name in ("good", "unknown")}},
    )


atexit.register(report)
write("top", is_module=internals.is_module(workflow), path=internals.module_path(workflow, "thumbs/a.jpg"))


onstart:
    write("start", is_read_only=internals.is_read_only(workflow))


rule all:
    input: pictures


rule thumbnail:
    input: internals.as_input_function(lambda wildcards: f"images/{{wildcards.picture}}.jpg")
    output: "thumbs/{{picture}}.jpg"
    log: "logs/{{picture}}.log"
    params: recipe=internals.as_input_function(lambda wildcards: config.get("recipe", "1"))
    script: "scripts/thumbnail.py"


rule shard:
    output: "{{number}}.json"
    resources: pictures=0
    shell: "touch {{output}}"


rule plan:
    log: "plan.txt"
    shell: "touch {{log}}"
"""

SCRIPT = """
assert snakemake.wildcards.picture != "bad"
open(snakemake.output[0], "w").close()
"""

FLAGS = ("--rerun-triggers", "mtime", "params", "input", "--rerun-incomplete")

ALL_TRUE = {
    "judges_by_all_triggers": True,
    "runs_jobs": True,
    "will_write": True,
    "can_skip_unchanged": True,
    "force_flag": "",
    "largest_shard": 0,
    "all_cores": 2,
}
NO_JOBS = {"runs_jobs": False, "will_write": False, "can_skip_unchanged": False}
OTHER_JUDGEMENT = {"judges_by_all_triggers": False, "can_skip_unchanged": False}


@pytest.fixture
def toy(warm_shop: WarmShop) -> WarmShop:
    """The workflow above with two sources, good.jpg and bad.jpg; the job of the latter fails."""
    (warm_shop.folder / "Snakefile").write_text(SNAKEFILE)
    (warm_shop.folder / "scripts").mkdir()
    (warm_shop.folder / "scripts/thumbnail.py").write_text(SCRIPT)
    for name in ("good", "bad"):
        (warm_shop.folder / f"images/{name}.jpg").touch()
    return warm_shop


def run(toy: WarmShop, *arguments: str) -> Run:
    """Run the workflow above."""
    return toy.run("--snakefile", "Snakefile", *arguments)


def answers(toy: WarmShop, when: str) -> dict[str, Any]:
    """Return what the functions answered."""
    return json.loads((toy.folder / f"{when}.json").read_text())


# What a run was asked for


@pytest.mark.parametrize(
    ("arguments", "different"),
    [
        (("-n",), {"will_write": False}),
        (("--touch",), NO_JOBS),
        (("--summary",), NO_JOBS | {"all_cores": 1}),
        (("-n", "--forceall"), {"will_write": False, "can_skip_unchanged": False, "force_flag": "--forceall"}),
        (
            ("-n", "--forcerun", "thumbnail"),
            {"will_write": False, "can_skip_unchanged": False, "force_flag": "--forcerun thumbnail"},
        ),
        (("-n", "--force"), {"will_write": False, "can_skip_unchanged": False}),
        (("-n", "--until", "thumbnail"), {"will_write": False} | OTHER_JUDGEMENT),
        (("-n", "--omit-from", "thumbnail"), {"will_write": False} | OTHER_JUDGEMENT),
        (("-n", "--batch", "all=1/1"), {"will_write": False} | OTHER_JUDGEMENT),
        (("-n", "--allowed-rules", "all", "thumbnail"), {"will_write": False} | OTHER_JUDGEMENT),
        (("-n", "--rerun-triggers", "mtime"), {"will_write": False} | OTHER_JUDGEMENT),
        (("-n", "--set-resources", "shard:pictures=7"), {"will_write": False, "largest_shard": 7}),
        (("-n", "--cores", "5"), {"will_write": False, "all_cores": 5}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_run_was_asked_for(toy, arguments, different):
    """Snakemake keeps it in the settings that its command line fills."""
    given = arguments if "--rerun-triggers" in arguments else (*FLAGS, *arguments)
    run(toy, *given)
    assert answers(toy, "dag") == ALL_TRUE | different


def test_incomplete_files_that_are_kept_are_another_judgement(toy):
    run(toy, "-n", *FLAGS[:-1], "--workflow-profile", "none")
    assert answers(toy, "dag") == ALL_TRUE | {"will_write": False} | OTHER_JUDGEMENT


# What became of the jobs


def test_outcome_of_a_run_and_of_the_next(toy):
    """One picture is made, one fails, and the next run finds the former current."""
    before = time.time()
    assert run(toy, "--config", "pictures=good bad").code == 1
    assert answers(toy, "dag") == ALL_TRUE
    assert answers(toy, "start") == {"is_read_only": False}
    assert answers(toy, "top") == {"is_module": False, "path": "thumbs/a.jpg"}
    first = answers(toy, "end")
    assert first["outcome"] == {
        "made": ["good"],
        "made_unrecorded": [],
        "current": {},
        "missing": {"bad": ["logs/bad.log", True]},
    }

    assert run(toy, "--config", "pictures=good bad").code == 1
    second = answers(toy, "end")
    assert second["outcome"]["made"] == [] and second["outcome"]["current"] == {"good": ["thumbs/good.jpg"]}
    assert second["recorded"] == {"good": True}
    start, end = second["times"]["good"]
    assert before - 2 <= start <= end <= time.time() + 2
    assert second["times"]["unknown"] is None

    os.utime(toy.folder / "thumbs/good.jpg")
    run(toy)
    assert answers(toy, "end")["recorded"] == {"good": False}, "somebody has touched it since"


def test_outcome_of_a_run_that_keeps_no_records(toy):
    assert run(toy, "--drop-metadata").code == 0
    outcome = answers(toy, "end")["outcome"]
    assert (outcome["made"], outcome["made_unrecorded"]) == ([], ["good"])
    run(toy)
    assert answers(toy, "end")["recorded"] == {"good": False}


def reason(toy: WarmShop, *arguments: str) -> str:
    """Return why the next run would make good.jpg."""
    run(toy, "-n", *arguments)
    needed, current = answers(toy, "end")["needed"]
    assert (set(needed), current) == ({"good"}, 0)
    return needed["good"]


def test_reasons_for_a_job_are_put_in_thumbmills_words(toy):
    """This fails if Snakemake calls a reason something else."""
    assert reason(toy) == "has no thumbnail"
    thumbnail = toy.folder / "thumbs/good.jpg"
    thumbnail.parent.mkdir()
    thumbnail.touch()
    assert reason(toy, "--forceall") == "asked for"
    os.utime(thumbnail, (10, 10))
    assert reason(toy) == "is newer than its thumbnail"


def test_a_changed_parameter_is_a_reason_in_thumbmills_words(toy):
    run(toy)
    expected = "its content, the settings, thumbmill's imaging code or Pillow changed"
    assert reason(toy, "--config", "recipe=2") == expected


def test_a_run_that_only_lists_is_read_only(toy):
    run(toy, "plan")
    assert answers(toy, "start") == {"is_read_only": True}


@pytest.mark.parametrize(("prefix", "path"), [("", "thumbs/a.jpg"), ("there", "there/thumbs/a.jpg")])
def test_module_knows_its_prefix_and_its_jobs_whatever_their_rule_is_called(toy, prefix, path):
    lines = ["module other:", '    snakefile: "Snakefile"', "    config: config"]
    lines += [f'    prefix: "{prefix}"'] if prefix else []
    (toy.folder / "user.smk").write_text("\n".join([*lines, "use rule * from other as other_*", ""]))
    (toy.folder / prefix / "images").mkdir(parents=True, exist_ok=True)
    (toy.folder / prefix / "images/good.jpg").touch()
    run = toy.run("--snakefile", "user.smk", "other_all")
    assert run.code == 0, run.text
    assert answers(toy, "top") == {"is_module": True, "path": path}
    assert answers(toy, "end")["outcome"]["made"] == ["good"]


def test_a_run_that_ended_before_the_scheduler_was_not_run(toy):
    (toy.folder / "images/good.jpg").unlink()
    assert toy.run("--snakefile", "Snakefile").code == 1
    assert not (toy.folder / "end.json").exists()


def test_files_made_since_a_moment(tmp_path):
    path = tmp_path / "a"
    path.touch()
    made = path.stat().st_mtime
    assert internals.made_since([str(path)], made)
    assert not internals.made_since([str(path)], made + 1)
    assert not internals.made_since([str(path), str(tmp_path / "absent")], made)


def test_date_of_a_link_is_the_later_of_its_own_and_its_targets(tmp_path):
    """As Snakemake has it, whose records are compared with it."""
    from snakemake.io import IOFile

    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    os.utime(target, (10, 10))
    link.symlink_to(target)
    for path in (target, link):
        assert internals.mtime(str(path)) == internals.mtime(os.fspath(IOFile(str(path))))
    assert internals.mtime(str(link)) > internals.mtime(str(target)) == 10


# Cores


CAPPED = f"""
import sys

sys.path.insert(0, {str(REPOSITORY)!r})

from thumbmill.run.snakemake_internals import all_cores, cap_cores_to_cpu_quota

cap_cores_to_cpu_quota(workflow, "machine")
print(f"all: {{all_cores(workflow)}}")

rule write:
    output: "out.txt"
    threads: 100
    script: "write.py"
"""


@pytest.mark.skipif(available_cpu_count() == 1, reason="one core cannot be made fewer")
def test_all_cores_are_those_that_a_quota_allows_and_a_number_stays_as_it_is(warm_shop):
    """In Snakemake's own count, and for its jobs."""
    folder = warm_shop.folder
    (folder / "machine/proc/self").mkdir(parents=True)
    (folder / "machine/proc/self/cgroup").write_text("0::/\n")
    (folder / "machine/sys/fs/cgroup").mkdir(parents=True)
    (folder / "machine/sys/fs/cgroup/cpu.max").write_text("60000 100000\n")
    (folder / "Snakefile").write_text(CAPPED)
    (folder / "write.py").write_text("open(snakemake.output[0], 'w').write(str(snakemake.threads))")
    counted = available_cpu_count()
    line = f"thumbmill: --cores 1, since a CPU quota allows 0.6 of {counted} cores\n"
    for cores, used in (("all", 1), (str(counted + 1), counted + 1)):
        done = warm_shop.run("--snakefile", "Snakefile", "--cores", cores, "--forceall")
        assert done.code == 0, done.text
        assert f"Provided cores: {used}" in done.text
        assert f"all: {used}\n" in done.text
        assert (folder / "out.txt").read_text() == str(used)
        assert done.text.count(line) == (cores == "all")


# Lookups whose answer never changes


def test_input_function_carries_its_signature():
    """Snakemake asks for it again and again, and accepts the function (see the workflow above)."""
    function = internals.as_input_function(lambda any_name: any_name * 2)
    assert list(inspect.signature(function).parameters) == ["wildcards"]
    assert "__signature__" in vars(function)
    assert function("a") == "aa"


def test_script_path_is_looked_up_once(tmp_path):
    """Snakemake still asks by this private name, and the answer still depends on nothing but the path."""
    sourcecache = SourceCache(tmp_path)
    asked = []
    look_up = sourcecache._cache_entry
    sourcecache._cache_entry = lambda source_file: asked.append(source_file) or look_up(source_file)
    internals.cache_script_path(SimpleNamespace(sourcecache=sourcecache))
    script = str(REPOSITORY / "scripts/thumbnail.py")
    for _ in range(3):
        _, source, language, _, path = get_source(script, sourcecache)
        assert sourcecache.exists(LocalSourceFile(script))
    assert (language, source) == ("python", (REPOSITORY / "scripts/thumbnail.py").read_text())
    assert Path(path).read_text() == source
    assert len(asked) == 1


def test_nothing_is_cached_if_the_private_name_is_gone():
    sourcecache = SimpleNamespace(look_up=lambda path: path)
    internals.cache_script_path(SimpleNamespace(sourcecache=sourcecache))
    assert list(vars(sourcecache)) == ["look_up"]
