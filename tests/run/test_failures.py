"""From the jobs' logs to the list of failures, and the warnings beside it."""

import os
import time
from pathlib import Path

import pytest

from tests.support.settings import settings
from thumbmill import failures
from thumbmill.catalog.listing import Catalog, list_catalog
from thumbmill.failures import Failure, Kind
from thumbmill.run.failures import (
    find_reason,
    merge_failures,
    read_failures,
    read_job_log,
    read_notes,
    update_lists,
    write_failures,
)
from thumbmill.run.paths import RunPaths

DAMAGED = failures.damaged("truncated")
PATHS = RunPaths()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two files that have the names of pictures, a.jpg and b.jpg."""
    monkeypatch.chdir(tmp_path)
    for name in ("images", "logs/thumbnail"):
        os.makedirs(name)
    for name in ("a.jpg", "b.jpg"):
        Path("images", name).touch()
    return tmp_path


def catalog() -> Catalog:
    """Return the catalogue of the working directory."""
    return list_catalog(settings())


# A job's log


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error[damaged]: damaged: truncated\n", DAMAGED),
        ("error[too-new-a-kind]: something\n", Failure(Kind.UNKNOWN, "something")),
        ("worker died: signal 14 (SIGALRM)\n", failures.timed_out()),
        ("worker died: signal 9 (SIGKILL)\n", failures.killed("signal 9 (SIGKILL)")),
        ("worker died: signal 11 (SIGSEGV)\n", failures.crashed("signal 11 (SIGSEGV)")),
        ("worker died: exit code 3\n", failures.crashed("exit code 3")),
        ("Traceback (most recent call last):\n  more\n", Failure(Kind.UNKNOWN, "Traceback (most recent call last):")),
        ("", None),
        ("\n", None),
    ],
)
def test_first_line_of_a_log_is_the_reason(text, expected):
    Path("log").write_text(text)
    assert read_job_log("log") == expected


def test_log_that_is_absent_or_not_text_has_nothing_to_say():
    assert read_job_log("absent") is None
    Path("log").write_bytes(b"\xff\xfe")
    assert read_job_log("log") is None


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_survives_the_log_and_the_list(kind):
    """From the worker to the controller, and from one run to the next."""
    failure = Failure(kind, "one: [two] three")
    Path("log").write_text(failure.log_line())
    assert read_job_log("log") == failure
    write_failures(PATHS.failures, {"images/a.jpg": failure})
    assert read_failures(PATHS.failures) == {"images/a.jpg": failure}


# A job that left no log


def test_source_that_was_removed_is_the_reason():
    pictures = catalog()
    os.unlink("images/a.jpg")
    assert find_reason(pictures, "a") == failures.removed()


def test_date_in_the_future_is_the_reason():
    os.utime("images/a.jpg", (time.time() + 1_000,) * 2)
    assert find_reason(catalog(), "a").kind == Kind.FUTURE_DATE


def test_folder_that_cannot_be_written_is_the_reason():
    Path("thumbnails").touch()
    failure = find_reason(catalog(), "a")
    assert failure.kind == Kind.NOT_WRITTEN
    assert failure.text.startswith("cannot write thumbnails/thumb: Not a directory; ")


def test_without_any_sign_the_reason_is_unknown():
    assert find_reason(catalog(), "a") == failures.unknown()
    os.unlink("images/a.jpg")
    os.symlink("a.jpg", "images/a.jpg")  # in a circle
    pictures = catalog()
    assert find_reason(pictures, "a") == failures.unknown()


# The list


def test_list_is_sorted_and_has_a_header():
    write_failures(PATHS.failures, {"images/b.jpg": DAMAGED, "images/a b.jpg": failures.empty_file()})
    assert Path("logs/failures.tsv").read_text() == (
        "source\treason\tkind\nimages/a b.jpg\tthe file is empty\tempty\nimages/b.jpg\tdamaged: truncated\tdamaged\n"
    )


def test_list_that_is_absent_is_empty():
    assert read_failures(PATHS.failures) == {}


def test_list_without_kinds_is_read_too():
    """One that version 0.1 wrote; a line that is not whole is left out."""
    Path("logs/failures.tsv").write_text("source\treason\nimages/a.jpg\told\nimages/b.jpg\n")
    assert read_failures(PATHS.failures) == {"images/a.jpg": Failure(Kind.UNKNOWN, "old")}


def test_only_what_a_run_examined_changes_its_line():
    old, new = Failure(Kind.DAMAGED, "old"), Failure(Kind.DAMAGED, "new")
    before = dict.fromkeys(("mended", "still", "other", "gone"), old)
    after = merge_failures(before, {"mended", "still"}, {"still": new}, {"mended", "still", "other"})
    assert after == {"still": new, "other": old}


def test_lists_and_logs_after_a_run():
    """A failure is listed, a warning beside it; when both are over, only an empty list of failures is left."""
    Path("logs/thumbnail/a.log").write_text("7 bytes behind its end\nbroken EXIF block\n")
    Path("logs/thumbnail/b.log").write_text(f"{DAMAGED.log_line()}\n")
    Path("logs/thumbnail/gone.log").write_text("of a picture that is gone\n")
    assert update_lists(catalog(), PATHS, ["a"], {"images/b.jpg": DAMAGED}) == 1
    assert read_failures(PATHS.failures) == {"images/b.jpg": DAMAGED}
    assert Path("logs/warnings.tsv").read_text() == (
        "source\twarning\nimages/a.jpg\t7 bytes behind its end; broken EXIF block\n"
    )
    assert sorted(os.listdir("logs/thumbnail")) == ["a.log", "b.log"]

    for name in ("a", "b"):
        Path(f"logs/thumbnail/{name}.log").unlink()
    assert update_lists(catalog(), PATHS, ["a", "b"], {}) == 0
    assert read_failures(PATHS.failures) == {}
    assert os.listdir("logs") == ["failures.tsv"]


def test_lists_of_a_run_that_examined_a_part():
    """Neither the failures nor the warnings of the others change."""
    write_failures(PATHS.failures, {"images/a.jpg": DAMAGED, "images/gone.jpg": DAMAGED})
    Path("logs/thumbnail/a.log").write_text(f"{DAMAGED.log_line()}\n")
    update_lists(catalog(), PATHS, ["b"], {})
    assert read_failures(PATHS.failures) == {"images/a.jpg": DAMAGED}


def test_notes_are_those_of_the_catalogue():
    os.makedirs("logs/thumbnail/sub")
    Path("logs/thumbnail/a.log").write_text("first\nsecond\n")
    Path("logs/thumbnail/sub/b.jpg.log").write_text("third\n")
    Path("logs/thumbnail/gone.log").write_text("old\n")
    assert read_notes(PATHS.job_logs, {"a", "sub/b.jpg", "c"}) == {"a": "first; second", "sub/b.jpg": "third"}
