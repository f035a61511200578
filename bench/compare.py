"""thumbmill beside what a user could pick instead, on the same pictures: `python -m bench`.

Each case's table is printed (progress goes to stderr), and all that was measured is kept as <results>/<case>.json, of
which report.py makes tables and plots. The contenders run in turn, each round in another order, and every run starts
with an empty folder; in the cases called rerun-..., with everything made and little changed (rerun.py).
"""

import argparse
import json
import os
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

from bench import contenders, measure, rerun, table, tools
from bench.check import expected_sizes, find_fault
from bench.contenders import REPOSITORY, RERUNS, Contender, Task, names_in_turn, output_folder
from bench.corrupted import run_corrupted
from bench.pictures import WALLPAPERS, Corpus, forget_all, link, make_corpus, read_all

QUALITY = 80  # of the thumbnails, which are all JPEGs


class Case(NamedTuple):
    """A comparison that can be asked for."""

    kind: str  # of pictures (pictures.make_corpus)
    count: int  # pictures; 0: all there are
    boxes: tuple[int, ...]  # pixels, width and height of the thumbnails at most
    rounds: int
    help: str
    what: str = "everything"  # is made; or "rerun", or "corrupted"


CASES = {
    "small-100": Case("small", 100, (128,), 5, "100 drawn pictures of 640 x 480 pixels to 128"),
    "small-1000": Case("small", 1000, (128,), 5, "1,000 of them: the first comparison"),
    "sizes": Case("photos", 200, (720, 256, 128), 3, "200 photographs to three sizes: 720, 256 and 128"),
    "corrupted": Case("corrupted", 200, (128,), 1, "200 pictures, one of them cut short: who stops?", "corrupted"),
    "rerun-1000": Case("small", 1000, (128,), 5, "small-1000 again: nothing, one picture, 1 % changed", "rerun"),
    "photos": Case("photos", 1000, (720,), 3, "1,000 photographs of 4 to 12 megapixels to 720"),
    "mixed-10000": Case("mixed", 10_000, (256,), 2, "10,000 JPEG, PNG and WebP pictures, 0.3 to 6 megapixels, to 256"),
    "small-10000": Case("small", 10_000, (128,), 3, "10,000 drawn pictures of 640 x 480 to 128"),
    "rerun-10000": Case("small", 10_000, (128,), 3, "small-10000 again, in the same way as rerun-1000", "rerun"),
    "small-100000": Case("small", 100_000, (128,), 1, "10,000 drawn pictures, each in ten places, to 128"),
    "rerun-100000": Case("small", 100_000, (128,), 3, "small-100000 again, in the same way", "rerun"),
    "folder": Case("folder", 0, (256,), 3, "your own pictures (--pictures) as they are, to 256"),
    "rerun-folder": Case("folder", 0, (256,), 3, "copies of your own pictures again, in the same way", "rerun"),
}
ALL = [name for name, case in CASES.items() if case.kind != "folder"]
OWN_KINDS = ("photos", "folder")  # where --pictures can be given


def choose(case: Case, only: list[str], also: list[str], task: Task, corpus: Corpus) -> dict[str, Contender | str]:
    """The contenders of a comparison, by name: each, or the reason why it is left out."""
    if case.what == "rerun":
        chosen: dict[str, Contender | str] = {name: each for name, each in RERUNS.items() if name in (only or RERUNS)}
    else:
        chosen = {}
        for name, contender in contenders.CONTENDERS.items():
            if name in (only or also):
                chosen[name] = contender
            elif not only and not contender.extra:
                too_many = contender.at_most is not None and len(corpus.names) > contender.at_most
                reason = (
                    f"more than {contender.at_most:,} pictures take it too long; --with {name} runs it all the same"
                    if too_many
                    else None
                )
                chosen[name] = reason or contender
    for name, contender in chosen.items():
        if isinstance(contender, Contender):
            chosen[name] = contenders.why_not(contender, task, corpus.names) or contender
    return chosen


def run_once(contender: Contender, task: Task, corpus: Corpus, sizes: dict, limit: float) -> measure.Measurement:
    """Run a contender in an empty folder and check what it made.

    `sizes` are the expected ones for each of the task's boxes. Raises RuntimeError where not all is right, and
    measure.TookTooLong. The folder stays: where many files were just deleted, some file systems are slow to make new
    ones, which the next contender would pay for.
    """
    command = contender.command(task)
    os.sync()  # else this contender pays for writing what the last one made to the disk
    measured = measure.run_well(command, task.folder, f"{task.folder}.log", contenders.TIMES, limit)
    for box in task.boxes:
        fault = find_fault(output_folder(task, box), corpus.names, sizes[box], contender.naming)
        if fault:
            raise RuntimeError(fault)
    return measured


def warm_up(running: Mapping[str, Contender], template: Task, corpus: Corpus, limit: float) -> None:
    """Let each of the `running` make two pictures, unmeasured: the programs then lie in the file cache.

    What fails here is for the rounds to find.
    """
    few = os.path.join(template.folder, "two")
    for name in corpus.names[:2]:
        link(os.path.join(corpus.folder, name), os.path.join(few, name))
    for name, contender in running.items():
        print(f"warming up: {name} ...", file=sys.stderr)
        task = template._replace(source=few, folder=os.path.join(template.folder, f"0-{name}"))
        os.makedirs(task.folder)
        try:
            measure.run(contender.command(task), task.folder, f"{task.folder}.log", contenders.TIMES, limit)
        except measure.TookTooLong:
            pass


def run_rounds(
    chosen: Mapping[str, Contender | str],
    rounds: int,
    template: Task,
    corpus: Corpus,
    limit: float,
    slow: float = measure.SLOW,
    cold: bool = False,
) -> tuple[dict[str, dict[int, dict]], dict[str, str], dict[str, float]]:
    """Run all `chosen` contenders in turn, `rounds` times, each for at most `limit` seconds.

    Returns the measurements, name -> round -> measurement, the failed ones, name -> why, and those given up, name ->
    seconds. Who takes over `slow` seconds in a round is not in the later ones, but for the loop on processes, which the
    ratios are to. `cold`: before each run, the pictures are dropped from the file cache.
    """
    sizes = {box: expected_sizes(corpus.folder, corpus.names, box) for box in template.boxes}
    running = {name: contender for name, contender in chosen.items() if isinstance(contender, Contender)}
    runs: dict[str, dict[int, dict]] = {name: {} for name in running}
    failed: dict[str, str] = {}
    over: dict[str, float] = {}
    warm_up(running, template, corpus, limit)
    for number in range(rounds):
        for name in names_in_turn(list(running), number):
            too_slow = name != "processes" and any(run["wall"] > slow for run in runs[name].values())
            if name in failed or name in over or too_slow:
                continue
            print(f"round {number + 1} of {rounds}: {name} ...", end=" ", file=sys.stderr, flush=True)
            task = template._replace(folder=os.path.join(template.folder, f"{number + 1}-{name}"))
            os.makedirs(task.folder)
            if cold:
                os.sync()
                forget_all(corpus)
            try:
                measured = run_once(running[name], task, corpus, sizes, limit)
            except measure.TookTooLong:
                over[name] = limit
                print(f"over {limit:g} s", file=sys.stderr)
            except RuntimeError as error:
                failed[name] = f"in round {number + 1}: {error}"
                print("failed", file=sys.stderr)
            else:
                runs[name][number] = measured._asdict()
                print(f"{measured.wall:.2f} s", file=sys.stderr)
    return runs, failed, over


def collect(
    chosen: Mapping[str, Contender | str],
    runs: dict,
    failed: Mapping[str, str],
    reference: str,
    pictures: int | None,
    over: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, dict]:
    """All that is known of each contender: its title, and its figures and runs or why it has none."""
    sound = {} if reference in failed or reference in over else runs.get(reference, {})
    known = contenders.RERUNS | contenders.CONTENDERS
    results = {}
    for name, contender in chosen.items():
        result = {"title": known[name].title}
        if isinstance(contender, str):
            result["skipped"] = contender
        elif name in over:
            result["over"] = over[name]
        elif name in failed:
            result["failed"] = failed[name]
        else:
            result["figures"] = table.summarize(runs[name], sound, pictures)
            result["runs"] = [{"round": number + 1, **run} for number, run in runs[name].items()]
        results[name] = result
    return results


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""

    def rows(known: Mapping[str, str]) -> str:
        return "\n".join(f"  {name:17} {text}" for name, text in known.items())

    everyone = rows({name: each.title + " *" * each.extra for name, each in contenders.CONTENDERS.items()})
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=textwrap.dedent("""\
            thumbmill beside the loops that it replaces, stock Snakemake, GNU make and other tools that make
            thumbnails, on the same pictures. Prints a Markdown table for each case, and keeps all figures as JSON, of
            which `python -m bench.report RESULTS` makes tables and plots."""),
        epilog="\n\n".join(
            (
                f"cases:\n{rows({'all': 'all that need no --pictures, and have no results yet'})}",
                rows({name: case.help for name, case in CASES.items()}),
                f"contenders (* only where they are named):\n{everyone}",
                f"contenders of reruns:\n{rows({name: each.title for name, each in RERUNS.items()})}",
            )
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="what is compared, see below; several are run in turn")
    parser.add_argument(
        "--install", action="store_true", help="first install the tools that are missing, if that can be"
    )
    parser.add_argument(
        "--pictures",
        metavar="FOLDER",
        help=f"your own pictures, for folder and rerun-folder; photos are cut from them (or {WALLPAPERS}, or drawn)",
    )
    parser.add_argument("--count", type=positive, metavar="N", help="that many pictures (default: the case's)")
    parser.add_argument("--rounds", type=positive, metavar="R", help="how often everything runs (default: the case's)")
    parser.add_argument("--cores", type=positive, metavar="N", help="workers (default: all cores)")
    parser.add_argument("--only", metavar="NAME,NAME", default="", help="only these contenders, see below")
    parser.add_argument("--with", metavar="NAME,NAME", default="", dest="also", help="these contenders as well")
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="SECONDS",
        default=measure.LIMIT,
        help="give a contender up after that time (%(default)s)",
    )
    parser.add_argument(
        "--slow",
        type=positive,
        metavar="SECONDS",
        default=measure.SLOW,
        help="who takes longer in a round is not in the later ones (%(default)s)",
    )
    parser.add_argument(
        "--cold", action="store_true", help="drop the pictures from the file cache before each run (Linux)"
    )
    default = os.path.join(tempfile.gettempdir(), "thumbmill-bench")
    parser.add_argument(
        "--work",
        metavar="FOLDER",
        default=default,
        help="for pictures and tools, which are kept, and thumbnails (%(default)s)",
    )
    parser.add_argument("--results", metavar="FOLDER", help="for CASE.json, or CASE-cold.json (WORK/results)")
    parser.add_argument("--again", action="store_true", help="with `all`: cases that have results, too")
    options = parser.parse_args(arguments)
    options.only = [name for name in options.only.split(",") if name]
    options.also = [name for name in options.also.split(",") if name]
    if not options.cases and not options.install:
        parser.error(f"name a case: all, {', '.join(CASES)}")
    options.resume = "all" in options.cases and not options.again
    options.cases = list(dict.fromkeys(each for name in options.cases for each in (ALL if name == "all" else [name])))
    for name in options.cases:
        if name not in CASES:
            parser.error(f"there is no case {name}: choose from all, {', '.join(CASES)}")
        case = CASES[name]
        known = RERUNS if case.what == "rerun" else contenders.CONTENDERS
        if len(options.cases) == 1:
            unknown = [each for each in options.only + options.also if each not in known]
        else:
            unknown = [each for each in options.only + options.also if each not in RERUNS | contenders.CONTENDERS]
        if unknown:
            parser.error(f"no contender of {name} is called {', '.join(unknown)}")
        if case.kind == "folder" and not options.pictures:
            parser.error(f"the case {name} needs --pictures FOLDER")
        if options.pictures and case.kind not in OWN_KINDS and len(options.cases) == 1:
            parser.error(f"the case {name} makes its own pictures, without --pictures")
    if options.cold and not hasattr(os, "posix_fadvise"):
        parser.error("--cold: this system cannot drop files from its cache")
    if options.cold and any(CASES[name].what == "rerun" for name in options.cases):
        parser.error("--cold: reruns look at no picture but the changed ones")
    return options


def positive(text: str) -> int:
    """`text` as a number of at least 1. Raises ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def run_case(name: str, options: argparse.Namespace, work: str) -> dict:
    """Run a case. Returns all that was measured, as it is kept. Raises ValueError or RuntimeError if nothing was."""
    case = CASES[name]
    cores = options.cores or table.usable_cores()
    machine = table.describe_machine()
    pictures = options.pictures if case.kind in OWN_KINDS else None
    corpus = make_corpus(case.kind, options.count or case.count, pictures, work, cores)
    size = read_all(corpus)
    rounds = options.rounds or case.rounds
    reference = "loop-mtime" if case.what == "rerun" else "processes"
    with tempfile.TemporaryDirectory(prefix="runs-", dir=work) as folder:
        task = Task(corpus.folder, folder, case.boxes, QUALITY, cores, tools_folder(work))
        chosen = choose(case, options.only, options.also, task, corpus)
        if not chosen:
            raise ValueError(f"none of {', '.join(options.only)} takes part in it")
        if case.what == "rerun":
            tables = {
                each.title: collect(chosen | each.skipped, each.runs, each.failed, reference, None, each.over)
                for each in rerun.run_reruns(chosen, rounds, task, corpus, options.limit, options.slow)
            }
        elif case.what == "corrupted":
            tables = {"": run_corrupted(chosen, task, corpus, options.limit)}
        else:
            runs, failed, over = run_rounds(chosen, rounds, task, corpus, options.limit, options.slow, options.cold)
            tables = {"": collect(chosen, runs, failed, reference, len(corpus.names), over)}
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
        "machine": machine,
        "versions": table.describe_versions(str(REPOSITORY))
        | {tools.TOOLS[tool].title: tools.tell_version(tool, task.tools) for tool in tools.TOOLS if tool in needed},
        "pictures": {
            "count": len(corpus.names),
            "bytes": size,
            "fit": size < machine["memory"] / 2,
            "note": corpus.note,
            "left_out": corpus.left_out,
        },
        "reference": reference,
        "sampling": max((run["sampling"] for run in runs), default=0),
        "others": median(run["others"] for run in runs) if runs else 0,
        "tables": tables,
    }


def tools_folder(work: str) -> str:
    """Where the tools are that the benchmark installs itself."""
    return os.path.join(work, "tools")


def main(arguments: list[str] | None = None) -> int:
    """Compare, print and keep. Returns 1 if a contender failed, 2 if there was nothing to compare on."""
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
