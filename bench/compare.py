"""thumbmill beside the loops that it replaces and stock Snakemake, on the same pictures: the one command.

    python -m bench.compare small-1000

prints a Markdown table (progress goes to stderr). The contenders run in turn, each round in another order, and every
run starts with an empty folder; in the cases called rerun-..., with everything made and little changed (rerun.py). See
--help, and contenders.py for who is compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

from bench import contenders, measure, rerun, table
from bench.check import expected_sizes, find_fault
from bench.contenders import OWN_LOOPS, REPOSITORY, RERUNS, WORKFLOWS, Contender, Task, names_in_turn
from bench.pictures import WALLPAPERS, Corpus, make_corpus, read_all

QUALITY = 80  # of the thumbnails, which are all JPEGs


class Case(NamedTuple):
    """A comparison that can be asked for."""

    count: int  # pictures; 0: all there are
    box: int  # pixels, width and height of the thumbnails at most
    rounds: int
    help: str
    rerun: str | None = None  # the case whose pictures are made once before, and then changed


CASES = {
    "small-1000": Case(1000, 256, 5, "product pictures of 400 x 533 pixels (or those in --pictures) to 256"),
    "small-10000": Case(10_000, 128, 3, "made pictures of 640 x 480 to 128"),
    "small-100000": Case(100_000, 128, 1, "10,000 made pictures of 640 x 480, each in ten places, to 128"),
    "photos": Case(1000, 720, 3, f"photographs of 4 to 12 megapixels, cut from --pictures ({WALLPAPERS}), to 720"),
    "folder": Case(0, 256, 3, "the pictures in --pictures as they are, to 256"),
    "rerun-1000": Case(1000, 256, 5, "small-1000 again: nothing, one picture, 1 % changed", "small-1000"),
    "rerun-10000": Case(10_000, 128, 3, "small-10000 again, in the same way", "small-10000"),
    "rerun-100000": Case(100_000, 128, 3, "small-100000 again, in the same way", "small-100000"),
    "rerun-folder": Case(0, 256, 3, "the pictures in --pictures (their copies) again", "folder"),
}
OWN_PICTURES = ("small-1000", "photos", "folder")  # and their reruns: where --pictures can be given


def choose(case: str, only: list[str], own_function: bool, count: int) -> dict[str, Contender | str]:
    """The contenders of a comparison of `count` pictures, by name: each, or the reason why it is left out."""
    chosen = {}
    for name, contender in contenders.CONTENDERS.items():
        if only:
            if name in only:
                chosen[name] = contender
        elif name not in OWN_LOOPS or own_function or case == "photos":
            too_many = contender.at_most is not None and count > contender.at_most
            reason = f"more than {contender.at_most} pictures take it too long; --only {name} runs it all the same"
            chosen[name] = reason if too_many else contender
    return chosen


def choose_reruns(only: list[str], paths: list[str]) -> dict[str, Contender | str]:
    """As `choose`, for a rerun in which these `paths` occur."""
    chosen: dict[str, Contender | str] = {name: each for name, each in RERUNS.items() if name in (only or RERUNS)}
    reason = contenders.why_not_make(paths) if "make" in chosen else None
    return chosen | {"make": reason} if reason else chosen


def choose_reference(names: list[str]) -> str:
    """The contender of `names` that the ratios are to: the process loop, with thumbmill's own function if it runs."""
    return "own-processes" if "own-processes" in names else "processes"


def run_once(contender: Contender, task: Task, corpus: Corpus, sizes: dict) -> measure.Measurement:
    """Run a contender in an empty folder and check what it made. Raises RuntimeError where that is not all right.

    The folder stays: where many files were just deleted, some file systems are slow to make new ones, which the next
    contender would pay for.
    """
    os.makedirs(task.folder)
    log = f"{task.folder}.log"
    command = contender.command(task)
    os.sync()  # else this contender pays for writing what the last one made to the disk
    measured = measure.run_well(command, task.folder, log, contenders.TIMES)
    fault = find_fault(contenders.output_folder(task), corpus.names, sizes)
    if fault:
        raise RuntimeError(fault)
    return measured


def run_rounds(
    chosen: dict[str, Contender | str], rounds: int, template: Task, corpus: Corpus
) -> tuple[dict[str, dict[int, dict]], dict[str, str]]:
    """Run all `chosen` contenders in turn, `rounds` times.

    Returns the measurements, name -> round -> measurement, and the failed ones, name -> why.
    """
    sizes = expected_sizes(corpus.folder, corpus.names, template.box)
    running = {name: contender for name, contender in chosen.items() if isinstance(contender, Contender)}
    runs: dict[str, dict[int, dict]] = {name: {} for name in running}
    failed: dict[str, str] = {}
    names = list(running)
    for number in range(rounds):
        for name in names_in_turn(names, number):
            if name in failed or (number > 0 and running[name].at_most is not None):
                continue
            print(f"round {number + 1} of {rounds}: {name} ...", end=" ", file=sys.stderr, flush=True)
            task = template._replace(folder=os.path.join(template.folder, f"{number + 1}-{name}"))
            try:
                measured = run_once(running[name], task, corpus, sizes)
            except RuntimeError as error:
                failed[name] = f"in round {number + 1}: {error}"
                print("failed", file=sys.stderr)
                continue
            runs[name][number] = measured._asdict()
            print(f"{measured.wall:.2f} s", file=sys.stderr)
    return runs, failed


def collect(
    chosen: dict[str, Contender | str],
    runs: dict,
    failed: dict[str, str],
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


def heading(document: dict) -> str:
    """What stands above the table: machine, versions, pictures, and how it was measured."""
    machine, pictures = document["machine"], document["pictures"]
    cache = "file cache warm" if pictures["fit"] else "but they are more than memory may hold: file cache partly cold"
    shared = "PSS: a page that n processes share is counted as 1/n" if sys.platform == "linux" else "RSS"
    if "reruns" in document:
        checked = "after each run, that the changed pictures' thumbnails were made again, and no others"
        timed = (
            f"of the whole command; who took over {rerun.SLOW} s in a round is not in the later ones, and who took "
            f"{document['limit']:g} s was given up"
        )
    else:
        checked = "after each run, number and names of all thumbnails, and sizes of a sample"
        timed = "of the whole command, but for the loops, whose interpreter's start and imports are left out"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [
        f"### {document['case']}: {pictures['count']:,} pictures to {document['box']} pixels",
        "",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 1e9:.0f} GB, "
        f"{machine['system']}; load {machine['load']:.1f} before the start",
        f"- versions: {versions}; {machine['date']}",
        f"- pictures: {pictures['note']}; {pictures['bytes'] / 1e6:,.0f} MB",
        f"- thumbnails: JPEG, quality {QUALITY}, the whole picture at most {document['box']} x {document['box']}",
        f"- checked: {checked}",
        f"- {document['cores']} workers, rounds in turn: {document['rounds']}; medians (least–most), memory: the most; "
        "ratios within each round",
        f"- wall time: {timed}",
        f"- all pictures were read once beforehand ({cache}); "
        f"watching the processes took at most {document['sampling'] * 100:.1f} % of a core, "
        f"other programs {document['others']:.2f} cores (median)",
        f"- memory: all processes of a contender at once ({shared}); controller: the first of them alone (RSS)",
    ]
    if "reruns" in document:
        lines.append("- of a command that takes less than about 0.1 s, the peak of memory may be missed")
    lines += [f"- left out: {name}: {fault}" for name, fault in pictures["left_out"]]
    return "\n".join(lines)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    cases = "\n".join(f"  {name:13} {case.help}" for name, case in CASES.items())
    rows, rerun_rows = (
        "\n".join(f"  {name:17} {contender.title}" for name, contender in known.items())
        for known in (contenders.CONTENDERS, contenders.RERUNS)
    )
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description="thumbmill beside the loops that it replaces and stock Snakemake, on the same pictures.",
        epilog=f"cases:\n{cases}\n\ncontenders:\n{rows}\n\ncontenders of reruns:\n{rerun_rows}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", choices=CASES, metavar="CASE", help="what is compared, see below")
    parser.add_argument(
        "--pictures", metavar="FOLDER", help=f"your own pictures ({', '.join(OWN_PICTURES)}, and reruns)"
    )
    parser.add_argument("--count", type=positive, metavar="N", help="that many pictures (default: the case's)")
    parser.add_argument("--rounds", type=positive, metavar="R", help="how often everything runs (default: the case's)")
    parser.add_argument("--cores", type=positive, metavar="N", help="workers (default: all cores)")
    parser.add_argument("--only", metavar="NAME,NAME", default="", help="only these contenders, see below")
    parser.add_argument(
        "--own-function",
        action="store_true",
        help="also loops over thumbmill's own picture function, and ratios to the one on processes (photos: always)",
    )
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="SECONDS",
        default=rerun.LIMIT,
        help="reruns: give a contender up after that time (%(default)s)",
    )
    default = os.path.join(tempfile.gettempdir(), "thumbmill-bench")
    parser.add_argument(
        "--work", metavar="FOLDER", default=default, help="for pictures, which are kept, and thumbnails (%(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures here, too")
    options = parser.parse_args(arguments)
    options.only = [name for name in options.only.split(",") if name]
    case = CASES[options.case]
    unknown = [
        name for name in options.only if name not in (contenders.RERUNS if case.rerun else contenders.CONTENDERS)
    ]
    if unknown:
        parser.error(f"--only: no contender of {options.case} is called {', '.join(unknown)}")
    pictures = case.rerun or options.case
    if pictures == "folder" and not options.pictures:
        parser.error(f"the case `{options.case}` needs --pictures FOLDER")
    if options.pictures and pictures not in OWN_PICTURES:
        parser.error(f"the case {options.case} makes its own pictures, without --pictures")
    if options.own_function and case.rerun:
        parser.error(f"the case {options.case} has no loops over thumbmill's own function")
    return options


def positive(text: str) -> int:
    """`text` as a number of at least 1. Raises ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(arguments: list[str] | None = None) -> int:
    """Compare, and print. Returns 1 if a contender failed, 2 if there was nothing to compare on."""
    options = parse(arguments)
    case = CASES[options.case]
    cores = options.cores or table.usable_cores()
    machine = table.describe_machine()
    work = os.path.abspath(options.work)
    try:
        corpus = make_corpus(case.rerun or options.case, options.count or case.count, options.pictures, work, cores)
    except ValueError as error:
        print(f"bench.compare: {error}", file=sys.stderr)
        return 2
    size = read_all(corpus)
    os.makedirs(work, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="runs-", dir=work) as folder:
        task = Task(corpus.folder, folder, case.box, QUALITY, cores)
        if case.rerun:
            chosen = choose_reruns(options.only, [folder, *corpus.names])
            reference = "loop-mtime"
        else:
            chosen = choose(options.case, options.only, options.own_function, len(corpus.names))
            reference = choose_reference(list(chosen))
        if WORKFLOWS.keys() & chosen.keys():
            # The first run would read Snakemake itself from the disk, and the loops' imports are not timed at all.
            subprocess.run([sys.executable, "-m", "snakemake", "--version"], stdout=subprocess.DEVNULL, check=True)
        rounds = options.rounds or case.rounds
        if case.rerun:
            try:
                changes = rerun.run_reruns(chosen, rounds, task, corpus, options.limit)
            except (RuntimeError, ValueError) as error:
                print(f"bench.compare: {error}", file=sys.stderr)
                return 2
            tables = {
                each.title: collect(chosen | each.skipped, each.runs, each.failed, reference, None, each.over)
                for each in changes
            }
        else:
            runs, failed = run_rounds(chosen, rounds, task, corpus)
            tables = {"": collect(chosen, runs, failed, reference, len(corpus.names))}
    results = [result for each in tables.values() for result in each.values()]
    all_runs = [run for result in results for run in result.get("runs", [])]
    document = {
        "case": options.case,
        "box": case.box,
        "quality": QUALITY,
        "cores": cores,
        "rounds": rounds,
        "machine": machine,
        "versions": table.describe_versions(str(REPOSITORY)),
        "pictures": {
            "count": len(corpus.names),
            "bytes": size,
            "fit": size < machine["memory"] / 2,
            "note": corpus.note,
            "left_out": corpus.left_out,
        },
        "reference": reference,
        "sampling": max((run["sampling"] for run in all_runs), default=0),
        "others": median(run["others"] for run in all_runs) if all_runs else 0,
    }
    if case.rerun:
        document |= {"limit": options.limit, "reruns": tables}
        if isinstance(chosen.get("make"), Contender):
            document["versions"]["GNU make"] = contenders.make_version()
    else:
        document["contenders"] = tables[""]
    if options.json:
        Path(options.json).write_text(json.dumps(document, indent=2) + "\n")
    print(heading(document))
    for title, each in tables.items():
        print("", *([f"#### {title}", ""] if title else []), table.table(each, reference), sep="\n")
        for line in table.remarks(each, others=0):
            print(f"\n{line}")
    for line in table.remarks({}, document["others"]):
        print(f"\n{line}")
    return 1 if any("failed" in result for result in results) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("bench.compare: stopped")
