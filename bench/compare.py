"""thumbmill beside what a user could pick instead, on the same pictures: `python -m bench`.

Prints each case's table (progress goes to stderr), and keeps all measurements as <results>/<case>.json, from which
report.py makes tables and plots.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from bench import machine, rerun, table, tools
from bench.arguments import parse
from bench.cases import CASES, OWN_KINDS, Case, choose
from bench.contenders import CONTENDERS, RERUNS
from bench.corpus import Corpus, make_corpus, read_all
from bench.corrupted import run_corrupted
from bench.rounds import Outcome, run_rounds
from bench.task import REPOSITORY, Contender, Task

QUALITY = 80  # of the thumbnails, which are all JPEGs

Chosen = Mapping[str, Contender | str]  # contender -> itself, or why it is left out
Tables = dict[str, dict[str, dict]]  # title of a table -> contender -> what collect() returns


def main(arguments: list[str] | None = None) -> int:
    """Compare, print and keep the results. Return 1 if a contender failed, 2 if there was nothing to compare on."""
    options = parse(arguments)
    work = os.path.abspath(options.work)
    os.makedirs(work, exist_ok=True)
    if options.install:
        tools.install(tools_folder(work))
    results = Path(options.results or os.path.join(work, "results"))
    code = 0
    for name in options.cases:
        file = results / f"{name}{'-cold' if options.cold else ''}.json"
        if options.resume and file.exists():
            print(f"bench: {name} has results ({file}); --again repeats it", file=sys.stderr)
            continue
        print(f"bench: {name}", file=sys.stderr)
        try:
            document = run_case(name, options, work)
        except (RuntimeError, ValueError) as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            code = 2
            continue
        results.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(document, indent=1) + "\n")
        temporary.replace(file)
        print(table.describe(document), end="\n\n", flush=True)
        if any("failed" in result for each in document["tables"].values() for result in each.values()):
            code = max(code, 1)
    return code


def run_case(name: str, options: argparse.Namespace, work: str) -> dict:
    """Run a case and return all that was measured, as it is kept. Raises ValueError or RuntimeError if nothing was."""
    case = CASES[name]
    cores = options.cores or machine.usable_cores()
    description = machine.describe_machine()
    pictures = options.pictures if case.kind in OWN_KINDS else None
    corpus = make_corpus(case.kind, options.count or case.count, pictures, work, cores)
    size = read_all(corpus)
    rounds = options.rounds or case.rounds
    reference = "loop-mtime" if case.what == "rerun" else "processes"
    with tempfile.TemporaryDirectory(prefix="runs-", dir=work) as folder:
        task = Task(corpus.folder, folder, case.boxes, QUALITY, cores, tools_folder(work))
        chosen = choose(case, options.only, options.also, task, corpus.names)
        if not chosen:
            raise ValueError(f"none of {', '.join(options.only)} takes part in it")
        tables = measure_tables(case, chosen, rounds, reference, task, corpus, options)
    runs = [run for results in tables.values() for result in results.values() for run in result.get("runs", [])]
    needed = {tool for each in chosen.values() if isinstance(each, Contender) for tool in each.needs}
    return {
        "case": name,
        "kind": case.kind,
        "what": case.what,
        "boxes": case.boxes,
        "quality": QUALITY,
        "cores": cores,
        "rounds": rounds,
        "limit": options.limit,
        "slow": options.slow,
        "cold": options.cold,
        "machine": description,
        "versions": machine.describe_versions(str(REPOSITORY))
        | {tools.TOOLS[tool].title: tools.read_version(tool, task.tools) for tool in tools.TOOLS if tool in needed},
        "pictures": {
            "count": len(corpus.names),
            "bytes": size,
            "fit": size < description["memory"] / 2,
            "note": corpus.note,
            "left_out": corpus.left_out,
        },
        "reference": reference,
        "sampling": max((run["sampling"] for run in runs), default=0),
        "others": median(run["others"] for run in runs) if runs else 0,
        "tables": tables,
    }


def measure_tables(
    case: Case, chosen: Chosen, rounds: int, reference: str, task: Task, corpus: Corpus, options: argparse.Namespace
) -> Tables:
    """Run the `chosen` contenders of a `case` and return its tables, by title."""
    if case.what == "corrupted":
        return {"": run_corrupted(chosen, task, corpus, options.limit)}
    if case.what == "rerun":
        changes = rerun.run_reruns(chosen, rounds, task, corpus, options.limit, options.slow)
        return {each.title: collect(chosen | each.skipped, each.outcome, reference, None) for each in changes}
    outcome = run_rounds(chosen, rounds, task, corpus, options.limit, options.slow, options.cold)
    return {"": collect(chosen, outcome, reference, len(corpus.names))}


def collect(chosen: Chosen, outcome: Outcome, reference: str, pictures: int | None) -> dict[str, dict]:
    """Return what is known of each contender: its title, and its figures and runs or why it has none.

    Ratios are to the contender `reference`; `pictures` is their number, or None to leave out the rate.
    """
    unsound = reference in outcome.failed or reference in outcome.over
    to = {} if unsound else outcome.runs.get(reference, {})
    titles = RERUNS | CONTENDERS
    results = {}
    for name, contender in chosen.items():
        result: dict = {"title": titles[name].title}
        if isinstance(contender, str):
            result["skipped"] = contender
        elif name in outcome.over:
            result["over"] = outcome.over[name]
        elif name in outcome.failed:
            result["failed"] = outcome.failed[name]
        else:
            result["figures"] = table.summarize(outcome.runs[name], to, pictures)
            result["runs"] = [{"round": number + 1, **run} for number, run in outcome.runs[name].items()]
        results[name] = result
    return results


def tools_folder(work: str) -> str:
    """Return where the tools are that the benchmark installs itself."""
    return os.path.join(work, "tools")
