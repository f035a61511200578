"""Tables and plots are made of the results, and nothing else."""

import json
from xml.etree import ElementTree

import pytest

from bench import report
from bench.contenders import CONTENDERS
from bench.regions import MARK, REGIONS, fill_regions, project
from bench.report import make_report, read_results
from bench.table import remarks, summarize, table

MACHINE = {
    "cpu": "A CPU",
    "cores": 2,
    "memory": 8e9,
    "load": 0.1,
    "pss": True,
    "system": "Linux 6",
    "date": "2026-01-02 10:00:00 +0000",
}


def runs(*walls: tuple[int, float]) -> dict[int, dict]:
    """Return measurements that took (round, seconds), with 1 s user, 2 s sys and 3 and 4 MB of memory."""
    return {number: {"wall": wall, "user": 1, "sys": 2, "memory": 3e6, "controller": 4e6} for number, wall in walls}


def document(case: str, count: int, walls: dict[str, float], **changes) -> dict:
    """Return a document as compare.run_case returns it, of one round in which the contenders took `walls` seconds."""
    reference = runs((0, walls["processes"]))
    results = {
        name: {"title": CONTENDERS[name].title, "figures": summarize(runs((0, wall)), reference, count)}
        for name, wall in walls.items()
    }
    results["stock"] = {"title": "stock", "skipped": "it takes too long"}
    return {
        "case": case,
        "kind": "small",
        "what": "everything",
        "boxes": [128],
        "quality": 80,
        "cores": 2,
        "rounds": 1,
        "limit": 600,
        "slow": 60,
        "cold": False,
        "machine": MACHINE,
        "versions": {"thumbmill": "v1"},
        "pictures": {"count": count, "bytes": 5e6, "fit": True, "note": "drawn", "left_out": []},
        "reference": "processes",
        "sampling": 0.01,
        "others": 0.0,
        "tables": {"": results},
        **changes,
    }


WALLS = {"sequential": 4.0, "threads": 2.5, "processes": 2.0, "thumbmill": 3.0}
CORRUPTED = {"title": "a loop", "code": 1, "made": 3, "of": 5, "damaged_made": False, "named": True, "wall": 1}
DOCUMENTS = {
    "small-100": document("small-100", 100, {name: wall / 10 for name, wall in WALLS.items()}),
    "small-1000": document("small-1000", 1000, WALLS),
    "small-1000-cold": document("small-1000", 1000, {name: wall * 2 for name, wall in WALLS.items()}, cold=True),
    "corrupted": document(
        "corrupted", 6, WALLS, kind="corrupted", what="corrupted", tables={"": {"sequential": CORRUPTED}}
    ),
    "rerun-1000": document(
        "rerun-1000",
        1000,
        WALLS,
        what="rerun",
        tables={
            title: {"loop-mtime": {"title": "loop", "figures": summarize(runs((0, wall)), {}, None)}}
            for title, wall in (("nothing changed", 0.25), ("one picture changed", 0.5))
        },
    ),
}


@pytest.fixture
def results(tmp_path):
    """A folder with DOCUMENTS, as the benchmark keeps them."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name, content in DOCUMENTS.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_ratios_are_taken_within_each_round():
    figures = summarize(runs((0, 2), (1, 8), (2, 3)), runs((0, 1), (1, 2), (2, 3)), 12)
    assert figures["ratio"] == [2, 1, 4]
    assert figures["wall"] == [3, 2, 8] and figures["images_per_second"] == 4
    assert (figures["user"], figures["sys"], figures["memory"], figures["controller"]) == (1, 2, 3e6, 4e6)
    assert summarize(runs((0, 2), (1, 6)), runs((1, 3)), None)["ratio"] == [2, 2, 2], "only rounds that both have"
    assert "ratio" not in summarize(runs((0, 2)), {}, 10)


def test_a_table_shows_every_contender_or_why_it_has_no_figures():
    figures = summarize(runs((0, 2), (1, 8), (2, 3)), runs((0, 1), (1, 2), (2, 3)), 12)
    lines = table(
        {
            "a": {"title": "A", "figures": figures},
            "b": {"title": "B", "over": 60},
            "c": {"title": "C", "failed": "x"},
            "d": {"title": "D", "skipped": "y"},
        },
        "loop",
    ).splitlines()
    assert lines[0] == "|  | wall s | user s | sys s | images/s | ratio to loop | memory MB | controller MB |"
    assert lines[2] == "| `a` A | 3.00 (2.00–8.00) | 1.00 | 2.00 | 4 | 2.00 (1.00–4.00) | 3 | 4 |"
    assert [line.split(" | ")[1] for line in lines[3:]] == ["over 60", "failed", "skipped"]
    assert "NOISY: `slow` took 2.00 to 8.00 s" in remarks({"slow": {"figures": figures}}, 0)[0]
    assert "NOISY: other programs used 0.50 cores" in remarks({}, 0.5)[0]


def test_more_pictures_are_projected_along_the_line_through_the_largest_numbers():
    assert project({100: 5}, 1000) == 50
    assert project({1000: 3, 10_000: 21, 100: 2}, 100_000) == pytest.approx(201)
    assert project({1000: 3, 10_000: 21}, 10_000) == 21


def test_each_region_shows_the_figures(results):
    documents = read_results(results)
    assert [documents[name]["pictures"]["count"] for name in documents] == [6, 100, 1000, 1000, 1000]
    made = {name: region(documents) for name, region in REGIONS.items()}
    assert made["machine"].startswith("Machine: A CPU, 2 cores, 8 GB, Linux 6. Versions: thumbmill v1. Measured 2026")
    assert "| **thumbmill** | 3.00 | 1.00 | 2.00 |" in made["first"]
    assert "| **thumbmill** | 3.0 | ≈ 30 | ≈ 150 | ≈ 300 |" in made["first"]
    assert "|  | small-100 (100) | small-1000 (1,000) |" in made["tools"]
    assert "| **thumbmill** | 0.30 (1.50) | 3.00 (1.50) |" in made["tools"] and "| stock | – | – |" in made["tools"]
    assert "| **thumbmill** | 3 | 3 |" in made["memory"]
    assert "| plain loop, ProcessPoolExecutor | 2.0 |\n| **thumbmill** | 3.0 |" in made["headline"]
    assert "| loop | 0.25 | 0.50 |" in made["reruns"]
    assert "| **thumbmill** | 3.00 | 6.00 |" in made["cold"]
    assert "| `sequential` a loop | 1 | 3 of 5 | nothing | yes |" in made["corrupted"]
    assert all(region({}) is None for region in REGIONS.values())


def test_a_page_keeps_everything_but_its_regions(results):
    page = "".join(f"<!-- comparison: begin {name} -->\nold\n<!-- comparison: end {name} -->\n" for name in REGIONS)
    page += "<!-- comparison: begin plots -->\nold\n<!-- comparison: end plots -->\n"
    text = fill_regions(f"mine\n{page}mine, too\n", read_results(results), "here")
    assert text.startswith("mine\n<!--") and text.endswith("-->\nmine, too\n") and "\nold\n" not in text
    assert "![Seconds against the number of pictures" in text and "(here/scale.svg)" in text
    assert fill_regions(text, read_results(results), "here") == text
    assert fill_regions(text, {}, "here").count("(Not measured yet.)") == len(REGIONS) + 1


@pytest.mark.parametrize(
    "text",
    ["", "<!-- comparison: begin odd -->\n<!-- comparison: end odd -->", "<!-- comparison: begin first -->"],
)
def test_a_page_with_wrong_regions_is_an_error(text):
    with pytest.raises(ValueError, match="each with its begin and end"):
        fill_regions(text, {}, "")


def test_a_report_is_out_of_date_when_its_results_change(results, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr("bench.plots.draw", lambda cases, walls: drawn.append((cases, walls)) or {"a.svg": str(walls)})
    page = tmp_path / "docs/page.md"
    page.parent.mkdir()
    page.write_text("<!-- comparison: begin plots -->\n<!-- comparison: end plots -->\n")
    monkeypatch.setattr(report, "RESULTS", results)
    monkeypatch.setattr(report, "PAGES", (page, tmp_path / "missing.md"))
    run = [str(results)]
    assert report.main([*run, "--check"]) == 1
    assert report.main(run) == 0 == report.main([*run, "--check"])
    assert "(../results/scale.svg)" in page.read_text()
    assert "### small-1000: 1,000 pictures to 128 pixels, file cache cold" in (results / "tables.md").read_text()
    cases, walls = drawn[-1]
    assert list(cases) == ["small-1000 (1,000)"] and walls["thumbmill"] == {100: 0.3, 1000: 3.0}
    (results / "small-1000.json").write_text(json.dumps(document("small-1000", 1000, WALLS | {"thumbmill": 7.77})))
    capsys.readouterr()
    assert report.main([*run, "--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    report.main(run)
    assert "| `thumbmill` thumbmill | 7.77 |" in (results / "tables.md").read_text()
    for file in results.glob("*.json"):
        file.unlink()
    report.main(run)
    assert not list(results.iterdir()) and "(Not measured yet.)" in page.read_text()


def test_a_report_on_nothing_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        report.main([str(tmp_path)])
    assert "no results in" in capsys.readouterr().err


def test_the_committed_pages_and_plots_are_those_of_the_committed_results():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `bench`)")
    files = make_report(report.RESULTS, report.PAGES)
    stale = [path.name for path, text in files.items() if not path.exists() or path.read_text() != text]
    assert not stale, "run: python -m bench.report"
    assert any(MARK in text for path, text in files.items() if path in report.PAGES)
    plots = [text for path, text in files.items() if path.suffix == ".svg"]
    assert len(plots) == 3 and all(ElementTree.fromstring(text).tag.endswith("svg") for text in plots)
