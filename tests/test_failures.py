"""Failures as values: each has a kind and one line of text, and comes through a job's log unchanged."""

import errno
import inspect
import os

import pytest

from thumbmill import failures
from thumbmill.errors import LockError, PictureError, exit_on_user_error
from thumbmill.failures import Failure, Kind, parse_log_line

HOSTILE = "two\nlines\x1b[31m \udce9"
DAMAGED = failures.damaged(HOSTILE)

# Each function that makes a Failure, with arguments.
MADE = {
    "damaged": DAMAGED,
    "unsupported": failures.unsupported("a PDF document", "export it as JPEG or PNG"),
    "undecodable": failures.undecodable("a JPEG with 2 colour components"),
    "not_switched_on": failures.not_switched_on("a JPEG 2000 picture named .jpg", "+jpeg2000"),
    "archive_library_missing": failures.archive_library_missing("a TIFF of 12-bit RGB"),
    "jpegxl_library_missing": failures.jpegxl_library_missing(),
    "heic_library_missing": failures.heic_library_missing(),
    "too_large": failures.too_large(60_000, 50_000, 200_000_000),
    "empty_file": failures.empty_file(),
    "unlistable_folder": failures.unlistable_folder(),
    "not_a_file": failures.not_a_file(),
    "modified": failures.modified(),
    "removed": failures.removed(),
    "unreadable": failures.unreadable(PermissionError(errno.EACCES, "Permission denied")),
    "name_too_long": failures.name_too_long(255),
    "name_forbidden": failures.name_forbidden(":", HOSTILE),
    "out_of_memory": failures.out_of_memory("decode it"),
    "over_memory_limit": failures.over_memory_limit(failures.out_of_memory("decode it"), 500, 800),
    "timed_out": failures.timed_out(),
    "killed": failures.killed("signal 9 (SIGKILL)"),
    "crashed": failures.crashed("signal 11 (SIGSEGV)"),
    "not_encoded": failures.not_encoded("webp", 20_000, 2, HOSTILE),
    "not_written": failures.not_written(HOSTILE, OSError(errno.ENOSPC, "No space left on device")),
    "not_fetched": failures.not_fetched(Exception("the store refuses it (NoSuchKey: gone)")),
    "future_date": failures.future_date("2100-01-01 00:00"),
    "stopped": failures.stopped(),
    "shard_died": failures.shard_died(),
    "unknown": failures.unknown(),
}


def test_every_function_that_makes_a_failure_is_here():
    functions = inspect.getmembers(failures, inspect.isfunction)
    makers = {name for name, function in functions if inspect.signature(function).return_annotation is Failure}
    assert makers == MADE.keys()


def test_every_kind_is_made_by_a_function():
    other = failures.not_written("x", OSError(errno.EACCES, "Permission denied"))
    assert {failure.kind for failure in (*MADE.values(), other)} == set(Kind)


@pytest.mark.parametrize("failure", MADE.values(), ids=MADE)
def test_failure_is_one_printable_line_that_comes_through_a_log_unchanged(failure):
    """logs/failures.tsv holds it, too, so it has no tab."""
    assert failure.text and failure.text.isprintable() and len(failure.text) < 250
    assert parse_log_line(failure.log_line()) == failure


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("error[damaged]: damaged: no end", Failure(Kind.DAMAGED, "damaged: no end")),
        ("error[from-a-later-version]: why", Failure(Kind.UNKNOWN, "why")),
        ("its end marker is missing", None),
        ("error: something else", None),
        ("", None),
    ],
)
def test_only_failures_are_parsed_as_such(line, expected):
    """A warning is a plain line of the same log."""
    assert parse_log_line(line) == expected


@pytest.mark.parametrize(
    "warning",
    [
        failures.made_despite(DAMAGED),
        failures.broken_exif(HOSTILE),
        failures.profile_ignored(HOSTILE),
        failures.chunks_ignored(["tEXt", "iCCP"]),
        failures.end_marker_missing(),
        failures.bytes_after_end(1234),
    ],
)
def test_warning_is_one_printable_line_that_is_no_failure(warning):
    assert warning and warning.isprintable()
    assert parse_log_line(warning) is None


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "x"), Kind.MISSING, "no such file"),
        (NotADirectoryError(errno.ENOTDIR, "x"), Kind.MISSING, "no such file"),
        (PermissionError(errno.EACCES, "x"), Kind.UNREADABLE, "permission denied"),
        (OSError(errno.ELOOP, "x"), Kind.UNREADABLE, "points to itself"),
        (OSError(errno.EIO, "Input/output error"), Kind.UNREADABLE, "Input/output error"),
    ],
)
def test_reason_why_a_file_cannot_be_read(error, kind, words):
    failure = failures.unreadable(error)
    assert failure.kind == kind
    assert words in failure.text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO])
def test_file_that_cannot_be_written_is_named_with_the_reason_and_advice(number):
    """Advice is there for what a user can do something about."""
    error = OSError(number, os.strerror(number))
    failure = failures.not_written("thumbnails/a.jpg", error)
    assert failure.text.startswith(f"cannot write thumbnails/a.jpg: {error.strerror}")
    assert (";" in failure.text) == (number in failures.WRITE_ADVICE)
    assert failure.kind == (Kind.DISK_FULL if number in (errno.ENOSPC, errno.EDQUOT) else Kind.NOT_WRITTEN)


def test_picture_error_has_the_text_of_its_failure():
    error = PictureError(failures.empty_file())
    assert str(error) == "the file is empty"
    assert error.failure.kind == Kind.EMPTY


def test_user_error_ends_the_process_with_one_line_and_others_pass():
    with pytest.raises(SystemExit, match=r"^thumbmill: another run is at work$"), exit_on_user_error():
        raise LockError("another run is at work")
    with pytest.raises(ZeroDivisionError), exit_on_user_error():
        print(1 / 0)
