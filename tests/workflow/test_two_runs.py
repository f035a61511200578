"""Two runs at once, and what a killed run leaves: nothing breaks, and nothing has to be done by hand."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from tests.support.locks import working
from tests.support.shop import Shop, WarmShop
from thumbmill.catalog.history_file import STATE_FOLDER
from trials.kills import KINDS, run_trial, table

LEFTOVER = ".thumbmill-4711-0123456789abcdef"


def state(shop: Shop) -> dict[str, tuple[int, ...]]:
    """Return all files of the shop that are the user's or thumbmill's own, with dates, sizes and inodes."""
    found = {}
    for folder in ("thumbnails", "logs", "manifest", "gallery", STATE_FOLDER):
        for name in shop.files(folder):
            path = shop.folder / folder / name
            status = path.lstat()
            # Except locks, and the parameters of reports, which are written while the DAG is built.
            if path.suffix != ".lock" and not name.startswith(("manifest-", "gallery-")):
                found[str(path)] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def histories(shop: Shop) -> list[Any]:
    """Return the shop's history files."""
    return list((shop.folder / STATE_FOLDER).glob("history-*.json"))


# What another run keeps from happening


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--delete-all-output",),
        ("--no-hooks",),
        ("manifest",),
        pytest.param(("thumbnails/thumb/a.jpg",), marks=pytest.mark.slow),
        pytest.param(("retry",), marks=pytest.mark.slow),
        pytest.param(("gallery",), marks=pytest.mark.slow),
        pytest.param(("remove_orphans",), marks=pytest.mark.slow),
        pytest.param(("--touch", "--forceall"), marks=pytest.mark.slow),
        pytest.param(("--set-resources", "shard:pictures=1"), marks=pytest.mark.slow),
        pytest.param(("--executor", "local"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_what_writes_is_refused_beside_a_run(made_shop: WarmShop, arguments):
    made_shop.thumbnail("a.jpg").unlink()
    (made_shop.folder / "logs/failures.tsv").write_text("source\treason\tkind\nimages/a.jpg\tnot made\tstopped\n")
    before = state(made_shop)
    with working(folder=made_shop.folder):
        run = made_shop.run(*arguments)
    assert run.code == 1
    assert run.text.rstrip().splitlines()[-1].startswith("thumbmill: another run (process ")
    assert "Traceback" not in run.text
    assert state(made_shop) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan",),
        pytest.param(("-n",), marks=pytest.mark.slow),
        pytest.param(("orphans",), marks=pytest.mark.slow),
        pytest.param(("--summary",), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_what_only_looks_may_do_so_beside_a_run(made_shop, arguments):
    made_shop.thumbnail("a.jpg").unlink()
    with working(folder=made_shop.folder):
        assert made_shop.run(*arguments).code == 0


def test_a_run_with_nothing_to_do_ends_well_beside_another_and_writes_nothing(made_shop):
    made_shop.thumbnail(LEFTOVER).touch()  # which the other is writing
    (made_shop.folder / "logs/failures.tsv").write_text("source\treason\tkind\nimages/a.jpg\tanother's\tunknown\n")
    before = state(made_shop)
    with working(folder=made_shop.folder):
        run = made_shop.run()
    assert (run.code, run.last_lines) == (0, ["thumbmill: 0 made, 3 up to date, 0 failed"])
    assert state(made_shop) == before


def test_runs_for_two_output_folders_do_not_meet(made_shop):
    with working("elsewhere", made_shop.folder):
        made_shop.picture("d.png")
        assert made_shop.run().code == 0
    assert "thumb/d.jpg" in made_shop.files()


@pytest.mark.slow
def test_of_two_runs_started_together_one_makes_everything(shop):
    """The other is refused, or finds nothing to do."""
    names = [f"{number:02}" for number in range(40)]
    for name in names:
        shop.picture(f"{name}.png", size=(300, 300))
    runs = [
        subprocess.Popen(shop.command(), cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    texts = [run.communicate()[0] for run in runs]
    assert 0 in [run.returncode for run in runs]
    for run, text in zip(runs, texts, strict=True):
        assert run.returncode == 0 or "thumbmill: another run" in text
    assert sum(len(re.findall(r"^ +wildcards: picture=", text, re.MULTILINE)) for text in texts) == 40
    assert shop.files() == {f"thumb/{name}.jpg" for name in names}
    assert shop.failures() == {}


# What a killed run leaves


@pytest.mark.parametrize("to_do", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_next_run_removes_temporary_files_and_a_dry_run_none(made_shop, to_do):
    folders = ("thumbnails", "thumbnails/thumb/sub", "logs", "manifest", "gallery", STATE_FOLDER)
    for folder in folders:
        (made_shop.folder / folder).mkdir(parents=True, exist_ok=True)
        (made_shop.folder / folder / LEFTOVER).write_text("half")
    assert made_shop.run("-n").code == 0
    assert sum(path.endswith(LEFTOVER) for path in state(made_shop)) == len(folders)
    if to_do:
        made_shop.picture("d.png")
    assert made_shop.run().code == 0
    assert [*made_shop.folder.rglob(".thumbmill-*")] == []


@pytest.mark.parametrize("left", [0, pytest.param(10, marks=pytest.mark.slow)])
def test_records_that_a_power_cut_has_cut_short(made_shop, left):
    """Both Snakemake's and thumbmill's: what is there is judged by its date."""
    records = [path for path in (made_shop.folder / ".snakemake/metadata").rglob("*") if path.is_file()]
    (history,) = histories(made_shop)
    assert len(records) >= 3
    for path in (*records, history):
        os.truncate(path, left)
    made_shop.picture("a.jpg", "blue", (80, 50))
    run = made_shop.run()
    assert run.code == 0
    assert "Traceback" not in run.text
    assert run.jobs >= {"a"}
    assert json.loads(history.read_text())
    assert made_shop.run().jobs == set()


def test_a_thumbnail_that_a_power_cut_has_left_empty_is_made_again(made_shop):
    """Its name was on the disk, its content was not, and the history not yet written."""
    (history,) = histories(made_shop)
    history.unlink()
    os.truncate(made_shop.thumbnail("a.jpg"), 0)
    before = state(made_shop)
    with working(folder=made_shop.folder):
        assert made_shop.run().code == 0
    assert state(made_shop) == before, "the other run may be writing it"
    run = made_shop.run()
    assert (run.code, run.jobs) == (0, {"a"})
    assert made_shop.thumbnail("a.jpg").stat().st_size > 0


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    rounds = run_trial(work, kills=len(KINDS), pictures=40, seed=7)
    assert [each.kind for each in rounds] == [*KINDS]
    assert "".join(each.text for each in rounds) == "", table(rounds)
