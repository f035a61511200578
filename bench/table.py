"""The figures of a case, and the Markdown that shows them."""

from collections.abc import Mapping
from statistics import median

from bench.machine import describe_shortly

NOISY = 1.5  # slowest round / quickest round
NOISY_OTHERS = 0.2  # cores that other programs used meanwhile


def summarize(
    runs: Mapping[int, Mapping], reference: Mapping[int, Mapping], pictures: int | None
) -> dict[str, float | list]:
    """Return one contender's figures over its `runs` (round -> measurement, in seconds and bytes).

    Medians; the wall time's and the ratio's are [median, least, most]. The ratio is taken within each round, to the run
    of the `reference` in the same round; it is missing if there is no such pair. So is the rate if `pictures` is None.
    """
    walls = [run["wall"] for run in runs.values()]
    ratios = [run["wall"] / reference[number]["wall"] for number, run in runs.items() if number in reference]
    figures = {
        "wall": [median(walls), min(walls), max(walls)],
        "user": median(run["user"] for run in runs.values()),
        "sys": median(run["sys"] for run in runs.values()),
        "memory": max(run["memory"] for run in runs.values()),
        "controller": max(run["controller"] for run in runs.values()),
    }
    if pictures is not None:
        figures["images_per_second"] = pictures / median(walls)
    if ratios:
        figures["ratio"] = [median(ratios), min(ratios), max(ratios)]
    return figures


def describe(document: Mapping) -> str:
    """Return what compare.run_case returned as Markdown: conditions, tables, remarks."""
    lines = [heading(document)]
    for title, results in document["tables"].items():
        lines += ["", *([f"#### {title}", ""] if title else [])]
        lines += [
            corrupted_table(results) if document["what"] == "corrupted" else table(results, document["reference"])
        ]
        lines += [f"\n{line}" for line in remarks(results, others=0)]
    lines += [f"\n{line}" for line in remarks({}, document["others"])]
    return "\n".join(lines)


def heading(document: Mapping) -> str:
    """Return the lines above the table: machine, versions, pictures, and how it was measured."""
    machine, pictures = document["machine"], document["pictures"]
    boxes = ", ".join(map(str, document["boxes"]))
    cold = ", file cache cold" if document["cold"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [
        f"### {document['case']}: {pictures['count']:,} pictures to {boxes} pixels{cold}",
        "",
        f"- machine: {describe_shortly(machine)}; load {machine['load']:.1f} before the start",
        f"- versions: {versions}; {machine['date']}",
        f"- pictures: {pictures['note']}; {pictures['bytes'] / 1e6:,.0f} MB",
        f"- thumbnails: JPEG, quality {document['quality']}, the whole picture in a square of {boxes} pixels",
        *(f"- left out: {name}: {fault}" for name, fault in pictures["left_out"]),
    ]
    if document["what"] == "corrupted":
        return "\n".join([*lines, f"- {document['cores']} workers, one run each"])
    limit, slow = document["limit"], document["slow"]
    stopped = f"a contender was stopped after {limit:g} s; one that took over {slow:g} s in a round ran in no later one"
    if document["what"] == "rerun":
        checked = "after each run, that it made the changed pictures' thumbnails again, and no others"
        timed = f"of the whole command; {stopped}"
    else:
        checked = "after each run, number and names of all thumbnails, and sizes of a sample"
        timed = (
            "of the whole command, without Python's start and imports for the loops; "
            f"{stopped} (except the loop that the ratios are to)"
        )
    if document["cold"]:
        cache = "the pictures were dropped from the file cache before each run; the programs were not"
    else:
        fit = "file cache warm" if pictures["fit"] else "but memory may not hold all of them: file cache partly cold"
        cache = f"all pictures were read once beforehand ({fit})"
    shared = "PSS: a page that n processes share counts as 1/n" if machine["pss"] else "RSS"
    lines += [
        f"- checked: {checked}",
        f"- {document['cores']} workers, rounds in turn: {document['rounds']}; medians (least–most), peak of memory; "
        "ratios within each round",
        f"- wall time: {timed}",
        f"- {cache}; sampling the processes took at most {document['sampling'] * 100:.1f} % of a core, "
        f"other programs {document['others']:.2f} cores (median)",
        f"- memory: all processes of a contender at once ({shared}); controller: the first of them alone (RSS)",
    ]
    if document["what"] == "rerun":
        lines.append("- the memory of a command that takes less than about 0.1 s may be missed")
    return "\n".join(lines)


def corrupted_table(results: Mapping[str, Mapping]) -> str:
    """Return the Markdown table of the results of corrupted.run_corrupted."""
    heads = ("", "exit code", "other thumbnails", "of the damaged picture", "named in the output")
    lines = [f"| {' | '.join(heads)} |", "|---|---:|---:|---|---|"]
    for name, result in results.items():
        if "code" in result:
            cells = [str(result["code"]), f"{result['made']:,} of {result['of']:,}"]
            cells += ["a thumbnail" if result["damaged_made"] else "nothing", "yes" if result["named"] else "no"]
        else:
            cells = [reason_word(result), "", "", ""]
        lines.append(f"| `{name}` {result['title']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reason_word(result: Mapping) -> str:
    """Return in a word why a contender has no figures."""
    return f"over {result['over']:g}" if "over" in result else "failed" if "failed" in result else "skipped"


def table(results: Mapping[str, Mapping], reference: str) -> str:
    """Return the Markdown table of `results`: contender -> {"title", and "figures", or why it has none}.

    That is "failed" or "skipped": the reason, or "over": the seconds after which it was stopped.
    """
    rates = any("images_per_second" in result.get("figures", {}) for result in results.values())
    heads = ["", "wall s", "user s", "sys s", *(["images/s"] if rates else [])]
    heads += [f"ratio to {reference}", "memory MB", "controller MB"]
    lines = [f"| {' | '.join(heads)} |", f"|---{'|---:' * (len(heads) - 1)}|"]
    for name, result in results.items():
        cells = [f"`{name}` {result['title']}"]
        if "figures" in result:
            figures = result["figures"]
            cells += [with_range(figures["wall"]), f"{figures['user']:.2f}", f"{figures['sys']:.2f}"]
            cells += [f"{figures['images_per_second']:,.0f}"] if rates else []
            cells += [with_range(figures["ratio"]) if "ratio" in figures else "–"]
            cells += [f"{figures['memory'] / 1e6:,.0f}", f"{figures['controller'] / 1e6:,.0f}"]
        else:
            cells += [reason_word(result)] + [""] * (len(heads) - 2)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def remarks(results: Mapping[str, Mapping], others: float) -> list[str]:
    """Return one line for each thing to know about the table: failures, omissions, noise.

    `others` is the number of cores that other programs used while the contenders ran.
    """
    lines = [f"`{name}` failed: {result['failed']}" for name, result in results.items() if "failed" in result]
    lines += [f"`{name}` skipped: {result['skipped']}" for name, result in results.items() if "skipped" in result]
    for name, result in results.items():
        if "figures" in result:
            _, least, most = result["figures"]["wall"]
            if most > NOISY * least:
                lines.append(f"NOISY: `{name}` took {least:.2f} to {most:.2f} s; repeat this on a quieter machine")
    if others > NOISY_OTHERS:
        lines.append(f"NOISY: other programs used {others:.2f} cores meanwhile; repeat this on a quieter machine")
    return lines


def with_range(figures: list[float]) -> str:
    """Return [median, least, most] as text; only the median if all are equal."""
    middle, least, most = figures
    return f"{middle:.2f}" if least == most else f"{middle:.2f} ({least:.2f}–{most:.2f})"
