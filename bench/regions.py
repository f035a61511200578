"""The parts of a page that are made of results, each between `<!-- comparison: begin NAME -->` and `... end NAME -->`.

Each region is a function of the documents that compare.run_case returned, and returns Markdown, or None if nothing was
measured for it.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import plots, table
from bench.machine import describe_shortly

FIRST = ("sequential", "threads", "processes", "thumbmill")  # in the first comparison
FIRST_CASE = "small-1000"
HEADLINE = ("processes", "thumbmill", "vips-parallel", "sharp", "mogrify")
HEADLINE_CASES = ("small-1000", "small-10000", "photos", "mixed-10000")
PROJECTED = (1000, 10_000, 50_000, 100_000)  # pictures
MARK = "<!-- comparison: "
REGION = re.compile(r"(<!-- comparison: begin ([\w-]+) -->\n).*?(<!-- comparison: end \2 -->)", re.DOTALL)

Documents = Mapping[str, Mapping]  # results by the name of their file, without .json


def fill_regions(text: str, documents: Documents, plots_folder: str) -> str:
    """Return the page `text` with all its regions made again; its plots are in `plots_folder`, as a link from the page.

    Raises ValueError if there are none, or one that is not known.
    """
    names = [name for _, name, _ in REGION.findall(text)]
    unknown = [name for name in names if name not in REGIONS and name != "plots"]
    if unknown or not names or text.count(MARK) != 2 * len(names):
        wanted = ", ".join((*REGIONS, "plots"))
        raise ValueError(f"expected regions out of {wanted}, each with its begin and end, but found {names}")

    def content(match: re.Match) -> str:
        made = plots_region(documents, plots_folder) if match[2] == "plots" else REGIONS[match[2]](documents)
        return f"{match[1]}{made or '(Not measured yet.)'}\n{match[3]}"

    return REGION.sub(content, text)


def link_from(page: Path, folder: Path) -> str:
    """Return the link to `folder` from the file `page`."""
    return Path(os.path.relpath(folder, page.parent)).as_posix()


# What the regions have in common.


def speed_cases(documents: Documents) -> dict[str, Mapping]:
    """Return the cases that made everything, with a warm file cache: case -> contender -> result."""
    return {
        name: document["tables"][""]
        for name, document in documents.items()
        if document["what"] == "everything" and not document["cold"]
    }


def walls_by_count(documents: Documents) -> dict[str, dict[int, float]]:
    """Return contender -> number of pictures -> seconds (median), over all cases with the small drawn pictures."""
    walls: dict[str, dict[int, float]] = {}
    for name, results in speed_cases(documents).items():
        if documents[name]["kind"] == "small":
            for contender, result in results.items():
                if "figures" in result:
                    count = documents[name]["pictures"]["count"]
                    walls.setdefault(contender, {})[count] = result["figures"]["wall"][0]
    return walls


def project(walls: Mapping[int, float], count: int) -> float:
    """Return the seconds for `count` pictures, projected from those measured: number of pictures -> seconds.

    Along the straight line through the two largest numbers, or in proportion to the only one.
    """
    *_, (before, seconds_before), (last, seconds) = [(0, 0.0), *sorted(walls.items())]
    return seconds + (seconds - seconds_before) / (last - before) * (count - last)


def markdown_table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, its first column aligned left and the others right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def title_of(results: Mapping[str, Mapping], name: str) -> str:
    """Return the title of a contender in a table."""
    title = results[name]["title"]
    return f"**{title}**" if name == "thumbmill" else title


def placeholder(result: Mapping) -> str:
    """Return what a cell without figures holds."""
    return "–" if "skipped" in result else table.reason_word(result)


def by_case(documents: Documents, cases: Mapping[str, Mapping], cell: Callable[[Mapping], str]) -> str | None:
    """Return a table with a row for each contender and a column for each of the `cases`.

    `cell` makes its content from a contender's figures.
    """
    titles: dict[str, str] = {}
    for results in cases.values():
        titles |= {name: title_of(results, name) for name in results}
    rows = []
    for name, title in titles.items():
        cells = []
        for results in cases.values():
            result = results.get(name)
            if result is None:
                cells.append("")
            else:
                cells.append(cell(result["figures"]) if "figures" in result else placeholder(result))
        rows.append([title, *cells])
    heads = ["", *(f"{name} ({documents[name]['pictures']['count']:,})" for name in cases)]
    return markdown_table(heads, rows) if rows else None


# The regions.


def machine_region(documents: Documents) -> str | None:
    """Return where and when all this was measured, with which versions, and what was too noisy."""
    if not documents:
        return None
    machines = dict.fromkeys(describe_shortly(document["machine"]) for document in documents.values())
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
    listed = ", ".join(f"{name} {' and '.join(each)}" for name, each in versions.items())
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    lines = [f"Machine: {'; '.join(machines)}. Versions: {listed}. Measured {when}."]
    return "\n".join([*lines, *([""] if noisy else []), *noisy])


def headline_region(documents: Documents) -> str | None:
    """Return the seconds of a few contenders in a few cases: what fits on a front page."""
    cases = speed_cases(documents)
    few = {
        name: {contender: cases[name][contender] for contender in HEADLINE if contender in cases[name]}
        for name in HEADLINE_CASES
        if name in cases
    }
    return by_case(documents, few, lambda figures: f"{figures['wall'][0]:,.1f}")


def first_region(documents: Documents) -> str | None:
    """Return the first comparison: real, user and sys of the loops and of thumbmill, and projections to more."""
    results = speed_cases(documents).get(FIRST_CASE)
    if results is None:
        return None
    measured = [name for name in FIRST if "figures" in results.get(name, {})]
    rows = [
        [title_of(results, name), *(f"{each:.2f}" for each in (figures["wall"][0], figures["user"], figures["sys"]))]
        for name in measured
        for figures in [results[name]["figures"]]
    ]
    times = markdown_table(
        [f"{documents[FIRST_CASE]['pictures']['count']:,} pictures", "real s", "user s", "sys s"], rows
    )
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


def tools_region(documents: Documents) -> str | None:
    """Return the seconds, and the ratio to the loop on processes, of every contender in every case."""

    def cell(figures: Mapping) -> str:
        ratio = f" ({figures['ratio'][0]:.2f})" if "ratio" in figures else ""
        return f"{figures['wall'][0]:,.2f}{ratio}"

    return by_case(documents, speed_cases(documents), cell)


def memory_region(documents: Documents) -> str | None:
    """Return the peak of memory of every contender in every case, in megabytes."""
    return by_case(documents, speed_cases(documents), lambda figures: f"{figures['memory'] / 1e6:,.0f}")


def reruns_region(documents: Documents) -> str | None:
    """Return the seconds of every contender in every rerun, with a table for each case."""

    def cell(result: Mapping) -> str:
        return f"{result['figures']['wall'][0]:.2f}" if "figures" in result else placeholder(result)

    tables = []
    for name, document in documents.items():
        if document["what"] == "rerun":
            changes = document["tables"]
            first = next(iter(changes.values()))
            rows = [
                [title_of(first, contender), *(cell(results[contender]) for results in changes.values())]
                for contender in first
            ]
            tables.append(markdown_table([f"{name}; wall s", *changes], rows))
    return "\n\n".join(tables) or None


def cold_region(documents: Documents) -> str | None:
    """Return the seconds with a warm and with a cold file cache, with a table for each case measured with both."""
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
    """Return who stops at a corrupted picture, and who reports it."""
    return table.corrupted_table(documents["corrupted"]["tables"][""]) if "corrupted" in documents else None


def plots_region(documents: Documents, folder: str) -> str | None:
    """Return the plots in `folder` as images."""
    if not has_figures(documents):
        return None
    return "\n\n".join(f"![{text}]({folder}/{name})" for name, text in plots.TEXTS.items())


def has_figures(documents: Documents) -> bool:
    """Whether there is anything to plot."""
    return any("figures" in result for results in speed_cases(documents).values() for result in results.values())


REGIONS: dict[str, Callable[[Documents], str | None]] = {
    "machine": machine_region,
    "headline": headline_region,
    "first": first_region,
    "tools": tools_region,
    "memory": memory_region,
    "reruns": reruns_region,
    "cold": cold_region,
    "corrupted": corrupted_region,
}
