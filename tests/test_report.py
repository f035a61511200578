"""The summary and the failures file, from plain values."""

import os

from scripts.catalogue import Catalogue, Picture
from scripts.report import (
    STOPPED,
    effort,
    forecast,
    read_failures,
    read_notes,
    remove_idle_logs,
    summary,
    update_failures,
    write_failures,
)


def test_the_failures_file_is_read_as_it_was_written(tmp_path):
    path = str(tmp_path / "logs/failures.tsv")
    assert read_failures(path) == {}
    failures = {"images/b.jpg": "damaged", "images/a b.jpg": "the file is empty"}
    write_failures(path, failures)
    assert read_failures(path) == failures
    assert (tmp_path / "logs/failures.tsv").read_text() == (
        "source\treason\nimages/a b.jpg\tthe file is empty\nimages/b.jpg\tdamaged\n"
    )


def test_only_what_a_run_looked_at_changes_its_line():
    before = {"mended": "old", "still": "old", "other": "old", "gone": "old"}
    after = update_failures(before, {"mended", "still"}, {"still": "new"}, {"mended", "still", "other"})
    assert after == {"still": "new", "other": "old"}


def test_the_summary_shows_twenty_failures_and_counts_the_rest():
    missing = {f"{number:02}.jpg": "damaged" for number in range(23)} | {"x.jpg": STOPPED}
    lines = summary(1_234, 5, missing).splitlines()
    assert lines[0] == "thumbmill: 1,234 made, 5 up to date, 23 failed, 1 not made because the run was stopped"
    assert lines[1] == "  00.jpg: damaged"
    assert lines[20] == "  19.jpg: damaged"
    assert lines[21:] == ["  ... and 3 more", "  all of them, with their reasons: logs/failures.tsv"]


def test_the_summary_tells_what_it_took():
    assert summary(3, 0, {"x.jpg": "damaged"}, effort="9 s").splitlines()[:3] == [
        "thumbmill: 3 made, 0 up to date, 1 failed",
        "  9 s",
        "  x.jpg: damaged",
    ]


def test_what_a_run_took(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"source": "images", "output": "out", "sizes": {"a": {}}, "format": ["jpeg"], "keep_extension": False}
    catalogue = Catalogue([Picture(f"{n}.jpg", 1_500_000, True) for n in range(40)], settings)
    os.makedirs("out/a")
    for n in range(40):
        with open(f"out/a/{n}.jpg", "wb") as file:
            file.write(bytes(2_000))
    assert effort(catalogue, [str(n) for n in range(40)], 80.2) == "1 min 20 s, 0.5 pictures/s, 60.0 MB in, 80.0 kB out"
    assert effort(catalogue, ["1"], 0.01) == "1 s, 100 pictures/s, 1.5 MB in, 2.0 kB out"
    assert effort(catalogue, [], 5) == ""


def test_the_forecast_of_a_dry_run():
    reasons = {f"images/{number:02}.jpg": "has no thumbnail" for number in range(22)}
    lines = forecast(reasons, 7).splitlines()
    assert lines[0] == "thumbmill: 22 would be made, 7 up to date (dry run)"
    assert lines[1] == "  images/00.jpg: has no thumbnail"
    assert lines[21:] == ["  ... and 2 more, in the list of jobs that `snakemake -n` prints"]


def test_idle_logs_are_removed_and_nothing_else(tmp_path):
    logs = tmp_path / "logs"
    for name, content in {
        "empty.log": "",
        "sub/empty.log": "",
        "speaks.log": "damaged",
        "deep/er/gone.log": "damaged",
        "notes.txt": "",
    }.items():
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text(content)
    remove_idle_logs(str(logs), {"empty", "sub/empty", "speaks"})
    assert sorted(str(path.relative_to(logs)) for path in logs.rglob("*")) == ["notes.txt", "speaks.log"]


def test_the_summary_counts_the_warnings():
    assert summary(3, 0, {}).splitlines() == ["thumbmill: 3 made, 0 up to date, 0 failed"]
    assert summary(3, 0, {}, 1).splitlines()[1] == (
        "  1 thumbnail has a warning, of a picture with something wrong: logs/warnings.tsv"
    )
    assert summary(3, 0, {}, 1_200).splitlines()[1].startswith("  1,200 thumbnails have a warning")


def test_notes_are_read_from_the_logs_of_the_catalogue(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.log").write_text("first\nsecond\n")
    (tmp_path / "sub/b.jpg.log").write_text("third\n")
    (tmp_path / "gone.log").write_text("old\n")
    assert read_notes(str(tmp_path), {"a", "sub/b.jpg", "c"}) == {"a": "first; second", "sub/b.jpg": "third"}
