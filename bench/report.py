"""The comparison's tables and plots, made of the results that `python -m bench` keeps: nobody types a figure.

python -m bench.report               docs/comparison/*.json -> tables.md and plots there, regions of the PAGES
python -m bench.report FOLDER        only tables.md and plots in FOLDER
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from bench import plots, table
from bench.regions import FIRST_CASE, MARK, fill_regions, has_figures, link_from, speed_cases, walls_by_count
from bench.task import REPOSITORY

RESULTS = REPOSITORY / "docs/comparison"
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs/performance.md")  # that may hold regions (regions.py)
NOTE = "<!-- Made by python -m bench.report of the results beside it. -->"


def main(arguments: list[str] | None = None) -> int:
    """Write the files; with --check, return 1 if one of them holds something else."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report", description="Make tables and plots of the results that `python -m bench` keeps."
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=RESULTS, help="with the results, CASE.json (docs/comparison)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; list the files that are out of date")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    if folder != RESULTS and not read_results(folder):
        parser.error(f"no results in {folder}")
    try:
        files = make_report(folder, PAGES if folder == RESULTS else ())
    except ImportError as error:
        parser.error(f"{error}: pip install '.[bench]'")
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in (*folder.glob("*.svg"), *folder.glob("tables.md")) if path not in files]
    for path in stale:
        print(f"{'out of date' if options.check else 'written'}: {path}", file=sys.stderr)
        if not options.check:
            if path in files:
                path.write_text(files[path])
            else:
                path.unlink()
    return 1 if stale and options.check else 0


def read_results(folder: Path) -> dict[str, dict]:
    """Return all results in `folder`, the cases with fewer pictures first."""
    documents = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    order = sorted(documents, key=lambda name: (documents[name]["pictures"]["count"], name))
    return {name: documents[name] for name in order}


def make_report(folder: Path, pages: Iterable[Path]) -> dict[Path, str]:
    """Return the content of every file that is made of the results in `folder`, and of the `pages` with regions.

    Raises ValueError if the regions of a page are not right, ImportError without matplotlib.
    """
    documents = read_results(folder)
    texts = {page: page.read_text() for page in pages if page.exists()}
    files = {
        page: fill_regions(text, documents, link_from(page, folder)) for page, text in texts.items() if MARK in text
    }
    if documents:
        tables = "\n\n".join(table.describe(document) for document in documents.values())
        files[folder / "tables.md"] = f"{NOTE}\n# The comparison: all tables\n\n{tables}\n"
    if has_figures(documents):
        cases = {
            f"{name} ({documents[name]['pictures']['count']:,})": results
            for name, results in speed_cases(documents).items()
            if documents[name]["kind"] != "small" or name == FIRST_CASE  # the others are points of scale.svg
        } or speed_cases(documents)
        for name, text in plots.draw(cases, walls_by_count(documents)).items():
            files[folder / name] = text
    return files


if __name__ == "__main__":
    sys.exit(main())
