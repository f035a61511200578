"""The comparison's tables and plots, made of the results that `python -m bench` keeps: nothing in them is typed.

    python -m bench.report               docs/comparison/*.json -> tables.md and plots there, regions of README.md
    python -m bench.report FOLDER        the same in FOLDER alone

A region is what stands between `<!-- comparison: begin NAME -->` and `<!-- comparison: end NAME -->`.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from bench import plots, table
from bench.contenders import REPOSITORY

RESULTS = REPOSITORY / "docs/comparison"
README = REPOSITORY / "README.md"
FIRST = ("sequential", "threads", "processes", "thumbmill")  # of the first comparison
SMALL = "small-1000"  # the case that is the first comparison
PROJECTED = (1000, 10_000, 50_000, 100_000)  # pictures
REGION = re.compile(r"(<!-- comparison: begin ([\w-]+) -->\n).*?(<!-- comparison: end \2 -->)", re.DOTALL)

Documents = Mapping[str, Mapping]  # the results by the name of their file, without .json; see compare.run_case


def read_results(folder: Path) -> dict[str, dict]:
    """All results in `folder`, the cases with fewer pictures first."""
    documents = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    order = sorted(documents, key=lambda name: (documents[name]["pictures"]["count"], name))
    return {name: documents[name] for name in order}


def speed_cases(documents: Documents) -> dict[str, Mapping]:
    """Those of the `documents` in which everything was made, with a warm file cache: case -> contender -> result."""
    return {
        name: document["tables"][""]
        for name, document in documents.items()
        if document["what"] == "everything" and not document["cold"]
    }


def walls_by_count(documents: Documents) -> dict[str, dict[int, float]]:
    """Contender -> number of pictures -> seconds (median), over all cases with the small drawn pictures."""
    walls: dict[str, dict[int, float]] = {}
    for name, results in speed_cases(documents).items():
        if documents[name]["kind"] == "small":
            for contender, result in results.items():
                if "figures" in result:
                    count = documents[name]["pictures"]["count"]
                    walls.setdefault(contender, {})[count] = result["figures"]["wall"][0]
    return walls


def project(walls: Mapping[int, float], count: int) -> float:
    """Seconds for `count` pictures, by those measured: number of pictures -> seconds.

    Along the straight line through the two largest numbers, or in proportion to the only one.
    """
    *_, (before, seconds_before), (last, seconds) = [(0, 0.0), *sorted(walls.items())]
    return seconds + (seconds - seconds_before) / (last - before) * (count - last)


def markdown_table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def title_of(results: Mapping[str, Mapping], name: str) -> str:
    """How a contender is called in a table."""
    title = results[name]["title"]
    return f"**{title}**" if name == "thumbmill" else title


# The regions.


def first_region(documents: Documents) -> str | None:
    """The first comparison: real, user and sys of the loops and of thumbmill, and what more pictures would take."""
    results = speed_cases(documents).get(SMALL)
    if results is None:
        return None
    count = documents[SMALL]["pictures"]["count"]
    measured = [name for name in FIRST if "figures" in results.get(name, {})]
    rows = [
        [title_of(results, name), *(f"{each:.2f}" for each in (figures["wall"][0], figures["user"], figures["sys"]))]
        for name in measured
        for figures in [results[name]["figures"]]
    ]
    times = markdown_table([f"{count:,} pictures", "real s", "user s", "sys s"], rows)
    walls = walls_by_count(documents)
    projected = [
        [
            title_of(results, name),
            *(
                f"{walls[name][count]:,.1f}" if count in walls[name] else f"≈ {project(walls[name], count):,.0f}"
                for count in PROJECTED
            ),
        ]
        for name in measured
    ]
    heads = ["seconds; ≈: projected", *(f"{count:,}" for count in PROJECTED)]
    return f"{times}\n\n{markdown_table(heads, projected)}"


def by_case(documents: Documents, cell) -> str | None:
    """A table with a row for each contender and a column for each case of speed_cases.

    `cell` tells what stands there, of a contender's figures.
    """
    cases = speed_cases(documents)
    titles: dict[str, str] = {}
    for results in cases.values():
        titles |= {name: title_of(results, name) for name in results}
    rows = []
    for name, title in titles.items():
        cells = []
        for results in cases.values():
            result = results.get(name)
            cells.append("" if result is None else cell(result["figures"]) if "figures" in result else why(result))
        rows.append([title, *cells])
    heads = ["", *(f"{name} ({documents[name]['pictures']['count']:,})" for name in cases)]
    return markdown_table(heads, rows) if rows else None


def why(result: Mapping) -> str:
    """What stands in the place of figures that there are none of."""
    return "–" if "skipped" in result else table.why_none(result)


def tools_region(documents: Documents) -> str | None:
    """Seconds, and the ratio to the loop on processes, of every contender in every case."""

    def cell(figures: Mapping) -> str:
        ratio = f" ({figures['ratio'][0]:.2f})" if "ratio" in figures else ""
        return f"{figures['wall'][0]:,.2f}{ratio}"

    return by_case(documents, cell)


def memory_region(documents: Documents) -> str | None:
    """The peak of memory of every contender in every case, megabytes."""
    return by_case(documents, lambda figures: f"{figures['memory'] / 1e6:,.0f}")


def reruns_region(documents: Documents) -> str | None:
    """Seconds of every contender in every rerun, a table for each case."""
    tables = []
    for name, document in documents.items():
        if document["what"] == "rerun":
            changes = document["tables"]
            rows = [
                [
                    title_of(next(iter(changes.values())), contender),
                    *(
                        f"{results[contender]['figures']['wall'][0]:.2f}"
                        if "figures" in results[contender]
                        else why(results[contender])
                        for results in changes.values()
                    ),
                ]
                for contender in next(iter(changes.values()))
            ]
            tables.append(markdown_table([f"{name}; wall s", *changes], rows))
    return "\n\n".join(tables) or None


def cold_region(documents: Documents) -> str | None:
    """Seconds with a warm and with a cold file cache, a table for each case that was measured with both."""
    tables = []
    for name, document in documents.items():
        warm = documents.get(name.removesuffix("-cold"))
        if document["cold"] and warm and document["what"] == "everything":
            both = [each["tables"][""] for each in (warm, document)]
            rows = [
                [title_of(both[1], contender), *(f"{each[contender]['figures']['wall'][0]:,.2f}" for each in both)]
                for contender in both[1]
                if all("figures" in each.get(contender, {}) for each in both)
            ]
            heads = [f"{document['case']}; wall s", *(f"{kind} cache" for kind in ("warm", "cold"))]
            tables.append(markdown_table(heads, rows))
    return "\n\n".join(tables) or None


def corrupted_region(documents: Documents) -> str | None:
    """Who stops at a corrupted picture, and who says so."""
    return table.corrupted_table(documents["corrupted"]["tables"][""]) if "corrupted" in documents else None


def machine_region(documents: Documents) -> str | None:
    """Where and when all this was measured, with which versions, and what was too noisy."""
    machines = {table.describe_shortly(document["machine"]): None for document in documents.values()}
    versions: dict[str, dict[str, None]] = {}
    for document in documents.values():
        for name, version in document["versions"].items():
            versions.setdefault(name, {})[version] = None
    dates = sorted(document["machine"]["date"][:10] for document in documents.values())
    noisy = []
    for name, document in documents.items():
        for results in document["tables"].values():
            noisy += [f"- {name}: {line}" for line in table.remarks(results, 0) if line.startswith("NOISY")]
        noisy += [f"- {name}: {line}" for line in table.remarks({}, document["others"])]
    if not documents:
        return None
    told = ", ".join(f"{name} {' and '.join(each)}" for name, each in versions.items())
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    lines = [f"Machine: {'; '.join(machines)}. Versions: {told}. Measured {when}."]
    return "\n".join([*lines, *([""] if noisy else []), *noisy])


def plots_region(documents: Documents) -> str | None:
    """The plots, as the README shows them."""
    folder = RESULTS.relative_to(REPOSITORY)
    return (
        "\n\n".join(f"![{text}]({folder}/{name})" for name, text in plots.TEXTS.items() if drawable(documents)) or None
    )


def drawable(documents: Documents) -> bool:
    """Whether there is anything to plot."""
    return any("figures" in result for results in speed_cases(documents).values() for result in results.values())


REGIONS = {
    "machine": machine_region,
    "first": first_region,
    "tools": tools_region,
    "plots": plots_region,
    "memory": memory_region,
    "reruns": reruns_region,
    "cold": cold_region,
    "corrupted": corrupted_region,
}


def fill_regions(text: str, documents: Documents) -> str:
    """`text` with all its regions made anew. Raises ValueError if there are none, or one that is not known."""
    names = [name for _, name, _ in REGION.findall(text)]
    unknown = [name for name in names if name not in REGIONS]
    if unknown or not names or text.count("<!-- comparison: ") != 2 * len(names):
        raise ValueError(f"regions of {', '.join(REGIONS)} are wanted, each with its begin and end; there are {names}")

    def content(match: re.Match) -> str:
        return f"{match[1]}{REGIONS[match[2]](documents) or '(Not measured yet.)'}\n{match[3]}"

    return REGION.sub(content, text)


# All files.


def make_report(folder: Path, readme: Path | None) -> dict[Path, str]:
    """What the files are to hold that are made of the results in `folder`, and the `readme`. Raises ValueError."""
    documents = read_results(folder)
    files = {readme: fill_regions(readme.read_text(), documents)} if readme else {}
    if documents:
        note = "<!-- Made by python -m bench.report of the results beside it. -->"
        tables = "\n\n".join(table.describe(document) for document in documents.values())
        files[folder / "tables.md"] = f"{note}\n# The comparison: all tables\n\n{tables}\n"
    if drawable(documents):
        cases = {
            f"{name} ({documents[name]['pictures']['count']:,})": results
            for name, results in speed_cases(documents).items()
            if documents[name]["kind"] != "small" or name == SMALL  # the others are in the plot against their number
        } or speed_cases(documents)
        for name, text in plots.draw(cases, walls_by_count(documents)).items():
            files[folder / name] = text
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check, return 1 if one of them holds something else."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report", description="Tables and plots of the results that `python -m bench` keeps."
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=RESULTS, help="with the results, CASE.json (docs/comparison)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and say what is not as it would be made")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    if folder != RESULTS and not read_results(folder):
        parser.error(f"no results in {folder}")
    try:
        files = make_report(folder, README if folder == RESULTS else None)
    except ImportError as error:
        parser.error(f"{error}: pip install '.[bench]'")
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in (*folder.glob("*.svg"), *folder.glob("tables.md")) if path not in files]
    for path in stale:
        print(f"{'is not what the results say' if options.check else 'written'}: {path}", file=sys.stderr)
        if not options.check:
            if path in files:
                path.write_text(files[path])
            else:
                path.unlink()
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
