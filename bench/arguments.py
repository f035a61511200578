"""The command line of `python -m bench`."""

import argparse
import os
import tempfile
import textwrap
from collections.abc import Mapping
from typing import Any

from bench import measure
from bench.cases import ALL, CASES, OWN_KINDS, contenders_of
from bench.contenders import CONTENDERS, RERUNS
from bench.corpus import WALLPAPERS

DESCRIPTION = textwrap.dedent("""\
    thumbmill beside the loops that it replaces, stock Snakemake, GNU make and other tools that make thumbnails, on the
    same pictures. Prints a Markdown table for each case, and keeps all figures as JSON, from which
    `python -m bench.report RESULTS` makes tables and plots.""")


def positive(text: str) -> int:
    """Return `text` as a number of at least 1. Raises ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def names(text: str) -> list[str]:
    """Return the names in `text`, which commas separate."""
    return [name for name in text.split(",") if name]


OPTIONS: dict[str, dict[str, Any]] = {
    "--install": {"action": "store_true", "help": "first install the tools that are missing, as far as possible"},
    "--pictures": {
        "metavar": "FOLDER",
        "help": f"your own pictures, for folder and rerun-folder; photos cuts them from here ({WALLPAPERS}, or drawn)",
    },
    "--count": {"type": positive, "metavar": "N", "help": "how many pictures (default: the case's)"},
    "--rounds": {"type": positive, "metavar": "R", "help": "how often everything runs (default: the case's)"},
    "--cores": {"type": positive, "metavar": "N", "help": "workers (default: all cores)"},
    "--only": {"type": names, "metavar": "NAME,NAME", "default": [], "help": "only these contenders, see below"},
    "--with": {"type": names, "metavar": "NAME,NAME", "default": [], "dest": "also", "help": "these contenders, too"},
    "--limit": {
        "type": positive,
        "metavar": "SECONDS",
        "default": measure.LIMIT,
        "help": "stop a contender after that time (%(default)s)",
    },
    "--slow": {
        "type": positive,
        "metavar": "SECONDS",
        "default": measure.SLOW,
        "help": "a contender that takes longer in a round runs in no later one (%(default)s)",
    },
    "--cold": {"action": "store_true", "help": "drop the pictures from the file cache before each run (Linux)"},
    "--work": {
        "metavar": "FOLDER",
        "help": "for pictures and tools, which are kept, and thumbnails (%(default)s)",
    },
    "--results": {"metavar": "FOLDER", "help": "for CASE.json, or CASE-cold.json (WORK/results)"},
    "--again": {"action": "store_true", "help": "with `all`: repeat cases that have results"},
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line, with `cases` spelled out. Raises SystemExit at what cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=DESCRIPTION,
        epilog=list_names(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="what to compare, see below; several run in turn")
    for name, details in OPTIONS.items():
        parser.add_argument(name, **details)
    parser.set_defaults(work=os.path.join(tempfile.gettempdir(), "thumbmill-bench"))
    options = parser.parse_args(arguments)
    options.resume = "all" in options.cases and not options.again
    options.cases = list(dict.fromkeys(each for name in options.cases for each in (ALL if name == "all" else [name])))
    if problem := find_problem(options):
        parser.error(problem)
    return options


def list_names() -> str:
    """Return the names of all cases and contenders, each with what it means."""

    def rows(known: Mapping[str, str]) -> str:
        return "\n".join(f"  {name:17} {text}" for name, text in known.items())

    everyone = {name: each.title + " *" * each.extra for name, each in CONTENDERS.items()}
    return "\n\n".join(
        (
            f"cases:\n{rows({'all': 'all that need no --pictures, and have no results yet'})}",
            rows({name: case.help for name, case in CASES.items()}),
            f"contenders (* only if you name them):\n{rows(everyone)}",
            f"contenders of reruns:\n{rows({name: each.title for name, each in RERUNS.items()})}",
        )
    )


def find_problem(options: argparse.Namespace) -> str | None:
    """Return what is wrong with the `options`; None if nothing is."""
    if not options.cases and not options.install:
        return f"name a case: all, {', '.join(CASES)}"
    for name in options.cases:
        if name not in CASES:
            return f"there is no case {name}: choose from all, {', '.join(CASES)}"
        if problem := find_problem_of_case(name, options):
            return problem
    if options.cold and not hasattr(os, "posix_fadvise"):
        return "--cold: this system cannot drop files from its cache"
    if options.cold and any(CASES[name].what == "rerun" for name in options.cases):
        return "--cold: reruns read only the changed pictures"
    return None


def find_problem_of_case(name: str, options: argparse.Namespace) -> str | None:
    """Return why the case `name` cannot run with the `options`; None if it can.

    Several cases share their options, so each ignores what concerns only others.
    """
    case, alone = CASES[name], len(options.cases) == 1
    known = contenders_of(case) if alone else RERUNS | CONTENDERS
    unknown = [each for each in options.only + options.also if each not in known]
    if unknown:
        return f"no contender of {name} is called {', '.join(unknown)}"
    if case.kind == "folder" and not options.pictures:
        return f"the case {name} needs --pictures FOLDER"
    if options.pictures and case.kind not in OWN_KINDS and alone:
        return f"the case {name} draws its own pictures, without --pictures"
    return None
