"""The comparison's plots, as SVG for light and dark pages. Needs matplotlib (the extra `bench`).

The same figures give the same bytes.
"""

import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXTS = {
    "scale.svg": "Seconds against the number of pictures, both logarithmic, one line per tool",
    "speed.svg": "Pictures per second, one bar per tool, one panel per case",
    "ratio.svg": "Time as a multiple of the process loop's, one bar per tool, one panel per case",
}
INK = "#777b80"  # text and axes: a contrast of 4.3 to white, and to GitHub's dark page
OURS, LOOPS, OTHERS = "#e8590c", "#2f9e8f", "#5b8def"  # each readable on both
STYLE = {
    "svg.hashsalt": "thumbmill",  # else the parts have other names each time
    "svg.fonttype": "none",  # text stays text
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
MARKERS = "osD^vP*X<>hdp8"


def draw(cases: Mapping[str, Mapping[str, Mapping]], walls: Mapping[str, Mapping[int, float]]) -> dict[str, str]:
    """Return all plots: file name -> SVG.

    `cases` is case -> contender -> result, as compare.collect returns it; `walls` is contender -> number of pictures ->
    seconds.
    """
    import matplotlib  # not above: all except the plots works without it

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE, "backend": "svg"}):
        return {
            "scale.svg": to_svg(draw_scale(walls)),
            "speed.svg": to_svg(draw_bars(cases, "images_per_second", "pictures per second")),
            "ratio.svg": to_svg(draw_bars(cases, "ratio", "time / time of the process loop")),
        }


def colour(contender: str) -> str:
    """Return the colour of a contender: thumbmill, the loops that it replaces, everyone else."""
    if contender.startswith("thumbmill"):
        return OURS
    return LOOPS if contender in ("sequential", "threads", "processes") else OTHERS


def draw_scale(walls: Mapping[str, Mapping[int, float]]) -> "Figure":
    """Draw seconds against pictures: a line for each contender."""
    figure = new_figure(7.5, 5)
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="pictures", ylabel="seconds")
    for number, (name, points) in enumerate(walls.items()):
        counts = sorted(points)
        axes.plot(
            counts,
            [points[count] for count in counts],
            color=colour(name),
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linewidth=2.5 if name == "thumbmill" else 1,
            label=name,
        )
    axes.grid(color=INK, alpha=0.25, linewidth=0.5)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,g}")
    figure.legend(loc="outside right center", frameon=False)
    return figure


def draw_bars(cases: Mapping[str, Mapping[str, Mapping]], what: str, label: str) -> "Figure":
    """Draw a panel for each case with a bar for each contender of the figure `what`: "images_per_second" or "ratio".

    The bars of ratios begin at 1, on a logarithmic axis, so that those of twice and half the time are equally long. A
    thin line goes from the least to the most if these are known.
    """
    from_one = what == "ratio"
    names = list(
        dict.fromkeys(name for each in cases.values() for name in each if what in each[name].get("figures", {}))
    )
    columns = min(2, len(cases))
    rows = math.ceil(len(cases) / columns)
    figure = new_figure(3.2 * columns + 1.2, (0.9 + 0.2 * len(names)) * rows)
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes, (case, results) in zip(panels, cases.items(), strict=False):
        for position, name in enumerate(names):
            found = results.get(name, {}).get("figures", {}).get(what)
            if found is None:
                continue
            middle, least, most = found if isinstance(found, list) else (found, found, found)
            start = 1 if from_one else 0
            axes.barh(position, middle - start, left=start, color=colour(name), height=0.7)
            axes.plot([least, most], [position, position], color=INK, linewidth=1)
            text = f" {middle:,.3g}" if middle < 1000 else f" {middle:,.0f}"
            axes.annotate(text, (max(start, most), position), va="center")
        axes.set_title(case, color=INK, fontsize=9)
        if from_one:
            axes.set_xscale("log")
            axes.axvline(1, color=INK, linewidth=0.8)
        axes.margins(x=0.3 if from_one else 0.15)
        axes.set_yticks(range(len(names)), names)
        axes.xaxis.set_major_formatter("{x:,g}")
    for axes in panels[len(cases) :]:
        axes.set_visible(False)
    panels[0].invert_yaxis()
    figure.supxlabel(label, fontsize=9)
    return figure


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, `width` x `height` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def to_svg(figure: "Figure") -> str:
    """Return `figure` as the text of an SVG file without background and date."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # matplotlib leaves blanks at the ends of lines, about which git and editors complain.
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
