"""Figures of a case, and the Markdown that shows them. Knows nothing of how they were measured."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from statistics import median

import psutil

NOISY = 1.5  # slowest round / quickest round
NOISY_OTHERS = 0.2  # cores that other programs used meanwhile


def summarize(
    runs: Mapping[int, Mapping], reference: Mapping[int, Mapping], pictures: int | None
) -> dict[str, float | list]:
    """One contender's figures over its `runs` (round -> measurement, in seconds and bytes).

    Medians; the wall time's and the ratio's are [median, least, most]. The ratio is taken within each round, to the
    `reference`'s run in the same round; without any such pair it is missing. So is the rate where `pictures` is None.
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
    """All that is told of a case: Markdown of what compare.run_case returned."""
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
    """What stands above the table: machine, versions, pictures, and how it was measured."""
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
    given_up = f"who took {document['limit']:g} s was given up, and who took over {document['slow']:g} s in a round"
    if document["what"] == "rerun":
        checked = "after each run, that the changed pictures' thumbnails were made again, and no others"
        timed = f"of the whole command; {given_up} is not in the later ones"
    else:
        checked = "after each run, number and names of all thumbnails, and sizes of a sample"
        timed = (
            "of the whole command, but for the loops, whose interpreter's start and imports are left out; "
            f"{given_up} is not in the later ones (but for the loop that the ratios are to)"
        )
    if document["cold"]:
        cache = "before each run, the pictures were dropped from this system's file cache; the programs were not"
    else:
        fit = "file cache warm" if pictures["fit"] else "but they are more than memory may hold: file cache partly cold"
        cache = f"all pictures were read once beforehand ({fit})"
    shared = "PSS: a page that n processes share is counted as 1/n" if machine["pss"] else "RSS"
    lines += [
        f"- checked: {checked}",
        f"- {document['cores']} workers, rounds in turn: {document['rounds']}; medians (least–most), memory: the most; "
        "ratios within each round",
        f"- wall time: {timed}",
        f"- {cache}; watching the processes took at most {document['sampling'] * 100:.1f} % of a core, "
        f"other programs {document['others']:.2f} cores (median)",
        f"- memory: all processes of a contender at once ({shared}); controller: the first of them alone (RSS)",
    ]
    if document["what"] == "rerun":
        lines.append("- of a command that takes less than about 0.1 s, the peak of memory may be missed")
    return "\n".join(lines)


def describe_shortly(machine: Mapping) -> str:
    """The machine in a line."""
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 1e9:.0f} GB, {machine['system']}"


def corrupted_table(results: Mapping[str, Mapping]) -> str:
    """The Markdown table of corrupted.run_corrupted's results."""
    lines = ["| | exit code | the others made | of the damaged one | named in the output |", "|---|---:|---:|---|---|"]
    for name, result in results.items():
        if "code" in result:
            cells = [str(result["code"]), f"{result['made']:,} of {result['of']:,}"]
            cells += ["a thumbnail" if result["damaged_made"] else "nothing", "yes" if result["named"] else "no"]
        else:
            cells = [why_none(result), "", "", ""]
        lines.append(f"| `{name}` {result['title']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def why_none(result: Mapping) -> str:
    """In a word, why a contender has no figures."""
    return f"over {result['over']:g}" if "over" in result else "failed" if "failed" in result else "skipped"


def table(results: Mapping[str, Mapping], reference: str) -> str:
    """The Markdown table of `results`: contender -> {"title", and "figures", or why it has none}.

    That is "failed" or "skipped": the reason, or "over": the seconds after which it was given up.
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
            cells += [why_none(result)] + [""] * (len(heads) - 2)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def remarks(results: Mapping[str, Mapping], others: float) -> list[str]:
    """What must be said about the table, a line each: failures, omissions, noise.

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
    """[median, least, most] as text; the median alone where all are one."""
    middle, least, most = figures
    return f"{middle:.2f}" if least == most else f"{middle:.2f} ({least:.2f}–{most:.2f})"


def describe_machine() -> dict[str, str | int | float]:
    """The machine, as far as it decides the figures. Memory in bytes."""
    return {
        "cpu": processor_name(),
        "cores": usable_cores(),
        "memory": psutil.virtual_memory().total,
        "load": os.getloadavg()[0],
        "pss": sys.platform == "linux",  # whether memory can be told apart that processes share
        "system": f"{platform.system()} {platform.release()}",
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The processor's model, as Linux names it, or what Python knows."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe_versions(repository: str) -> dict[str, str]:
    """The versions of what is compared; thumbmill's is the commit of the `repository`."""
    git = ["git", "-C", repository, "describe", "--always", "--dirty", "--tags"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {
        "thumbmill": commit,
        "Snakemake": metadata.version("snakemake"),
        "Pillow": metadata.version("Pillow"),
        "Python": platform.python_version(),
    }
