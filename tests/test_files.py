"""Files that are whole or absent, and the leftovers of processes that were killed."""

import os
from pathlib import Path

import pytest

from thumbmill import files
from thumbmill.files import (
    disk_usage,
    join_path,
    nearest_existing,
    remove_temporary_files,
    write_atomically,
    write_lines,
)

LEFTOVER = ".thumbmill-4711-0123456789abcdef"


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "a"
    path.write_text("before")
    write_atomically(str(path), b"after")
    assert path.read_bytes() == b"after"
    write_lines(str(path), ["one", "two\nlines", "\udcff"])
    assert path.read_text() == "one\ntwo\\nlines\n\\udcff\n"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(str(tmp_path / "a"), b"content")
    assert os.listdir(tmp_path) == ["a"]


def test_what_a_killed_process_leaves_has_the_name_of_a_leftover(tmp_path, monkeypatch):
    """As if it died before the file got its own name: the next run removes it."""

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    monkeypatch.setattr(files, "remove_file", lambda path: None)  # a dead process removes nothing
    with pytest.raises(KeyboardInterrupt):
        write_atomically(str(tmp_path / "a"), b"content")
    (left,) = os.listdir(tmp_path)
    assert left != "a"
    remove_temporary_files(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_only_files_and_probes_of_exactly_that_name_are_removed(tmp_path):
    """Probes are empty files in a folder; anything else in it is not thumbmill's."""
    top, beyond = tmp_path / "out", tmp_path / "beyond"
    (top / "sub").mkdir(parents=True)
    beyond.mkdir()
    others = [".thumbmill-", ".thumbmill-1-abc", f"x{LEFTOVER}", f"{LEFTOVER}.jpg", ".thumbmill-x-0123456789abcdef"]
    for path in (top / LEFTOVER, top / "sub" / LEFTOVER, beyond / LEFTOVER, *(top / name for name in others)):
        path.write_text("half")
    (top / "link").symlink_to(beyond)
    (top / ".thumbmill-1-0123456789abcdef").symlink_to(beyond / LEFTOVER)
    for number, content in ((2, "something"), (3, "")):
        (top / f".thumbmill-{number}-0123456789abcdef").mkdir()
        (top / f".thumbmill-{number}-0123456789abcdef" / "probe").write_text(content)
    assert remove_temporary_files(str(top)) >= {str(top / "sub")}
    left = {os.path.relpath(os.path.join(path, file), top) for path, _, files in os.walk(top) for file in files}
    assert left == {*others, ".thumbmill-1-0123456789abcdef", ".thumbmill-2-0123456789abcdef/probe"}
    assert not (top / ".thumbmill-3-0123456789abcdef").exists()
    assert (beyond / LEFTOVER).exists()
    assert remove_temporary_files(str(tmp_path / "absent")) == set()


def test_folders_below_are_left_alone_if_asked_to(tmp_path):
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / LEFTOVER, tmp_path / "sub" / LEFTOVER):
        path.touch()
    assert remove_temporary_files(str(tmp_path), recursive=False) == set()
    assert not (tmp_path / LEFTOVER).exists()
    assert (tmp_path / "sub" / LEFTOVER).exists()


def test_the_nearest_folder_that_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    assert nearest_existing("there/not/yet") == str(tmp_path / "there")
    assert nearest_existing("there") == str(tmp_path / "there")
    os.symlink("nowhere", "link")
    assert nearest_existing("link") == str(tmp_path / "link")


def test_paths_are_joined_without_a_leading_dot():
    assert (join_path(".", "a/b"), join_path("c", "a/b"), join_path("/c", "a")) == ("a/b", "c/a/b", "/c/a")


def test_each_file_wastes_half_a_block():
    assert disk_usage(100, 5_000, 4_096) == 5_000 + 100 * 2_048
