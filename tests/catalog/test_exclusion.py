"""The setting `exclude`: patterns as Git has them, and what a listing leaves out."""

import itertools
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.catalog.support import names, put, refusal, unprivileged
from tests.support.runs import make, open_history
from thumbmill.catalog import store
from thumbmill.catalog.exclusion import Exclusion
from thumbmill.catalog.picture import Stamp

TREE = [
    "/".join(parts)
    for depth in range(3)
    for parts in itertools.product(*[("a", "b", "ab", "a-b", "[a]")] * depth, ("a.jpg", "ab.png", "b", "[]a]", "*"))
]
PIECES = ["a", "b", "ab", ".jpg", "*", "**", "?", "[ab]", "[!a]", "[^b-z]", "[]a]", "[a-]", "\\*", "\\[", "-", "."]

DEFAULT_FOLDERS = {
    "Synology": ["@eaDir", "#recycle", "#snapshot"],
    "QNAP": ["@Recycle", "@Recently-Snapshot"],
    "Windows": ["$RECYCLE.BIN", "System Volume Information"],
    "Linux": ["lost+found"],
    "macOS": ["__MACOSX", "Network Trash Folder"],
}


def random_pattern(random: random.Random) -> str:
    """Return a pattern of one to three parts that Git and the setting both know."""
    parts = ["".join(random.choices(PIECES, k=random.choice((1, 1, 2, 3)))) for _ in range(random.choice((1, 1, 2, 3)))]
    if {".", ".."} & {*parts}:
        return random_pattern(random)
    start, end = random.choice(("", "", "", "/", "!", "!/")), random.choice(("", "", "/"))
    return f"{start}{'/'.join(parts)}{end}"


@pytest.mark.skipif(not shutil.which("git"), reason="Git is not installed")
def test_patterns_mean_what_they_mean_to_git(tmp_path):
    """300 random lists of patterns, over some 155 paths."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for path in TREE:
        if path.rsplit("/", 1)[-1] == "b":
            continue  # a folder in other paths
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    paths = [path for path in TREE if (tmp_path / path).is_file()]
    chance = random.Random(15)
    matched = 0
    for _ in range(300):
        patterns = [random_pattern(chance) for _ in range(chance.choice((1, 2, 4)))]
        (tmp_path / ".git/info/exclude").write_text("".join(f"{pattern}\n" for pattern in patterns))
        done = subprocess.run(
            ["git", "check-ignore", "--stdin", "-z"],
            cwd=tmp_path,
            input="\0".join(paths).encode(),
            stdout=subprocess.PIPE,
        )
        exclusion = Exclusion(patterns)
        ours = {path for path in paths if exclusion.covers(path)}
        assert ours == {*filter(None, done.stdout.decode().split("\0"))}, patterns
        matched += len(ours)
    assert matched > 1000


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "without empty parts"),
        ("/", "without empty parts"),
        ("!", "without empty parts"),
        ("a//b", "without empty parts"),
        ("./a", "without empty parts"),
        ("../a", "without empty parts"),
        ("a[b", "has a [ without its ]"),
        ("[]", "has a [ without its ]"),
        ("[a/b]", "has a [ without its ]"),
        ("a\\", "ends in a \\"),
        ("[z-a]", "z-a"),
        ("[[:alpha:]]", "use a range"),
    ],
)
def test_malformed_pattern(pattern, reason):
    with pytest.raises(ValueError) as caught:
        Exclusion([pattern])
    assert reason in str(caught.value)


def test_what_a_list_needs_no_escape_for():
    """A comment sign, and spaces at the end: here they differ from a .gitignore file."""
    exclusion = Exclusion(["#recycle", "x "])
    assert exclusion.covers("a/#recycle/b.jpg") and exclusion.covers("x /b.jpg")
    assert not exclusion.covers("x/b.jpg")


# What a listing leaves out


@pytest.mark.parametrize("left", [each for folders in DEFAULT_FOLDERS.values() for each in folders])
def test_what_systems_leave_behind_is_left_out_by_default(left):
    """At any depth; but not a picture of that name."""
    put("a.jpg", f"{left}/b.jpg", f"c/{left}/d/e.jpg", f"{left}.jpg")
    assert names() == sorted(["a.jpg", f"{left}.jpg"])
    assert len(names(exclude=[])) == 4


def test_files_folders_and_exceptions():
    put(
        "a.jpg",
        "drafts/b.jpg",
        "shop/drafts/c.jpg",
        "shop/x.orig.jpg",
        "shop/keep.orig.jpg",
        "old/d.jpg",
        "e/old/f.jpg",
    )
    exclude = ["drafts/", "*.orig.jpg", "!keep.*", "/old"]
    assert names(exclude=exclude) == ["a.jpg", "e/old/f.jpg", "shop/keep.orig.jpg"]


def test_an_excluded_folder_is_not_looked_into():
    """So that one that cannot be listed is no failure."""
    put("a.jpg", "closed/b.jpg", "open/c.jpg")
    os.chmod("images/closed", 0)
    with unprivileged():
        assert "closed/" in names()
        assert names(exclude=["closed"]) == ["a.jpg", "open/c.jpg"]
        assert names(exclude=["cl*/"]) == ["a.jpg", "open/c.jpg"]


def test_an_excluded_link_in_a_circle_is_no_failure():
    put("a.jpg")
    os.symlink("b.jpg", "images/b.jpg")
    assert names() == ["a.jpg", "b.jpg"]
    assert names(exclude=["b.*"]) == ["a.jpg"]


def test_a_link_to_a_folder_is_a_folder():
    put("b.jpg", below="elsewhere")
    put("a.jpg")
    os.symlink(Path("elsewhere").absolute(), "images/drafts")
    assert names() == ["a.jpg", "drafts/b.jpg"]
    assert names(exclude=["drafts/"]) == ["a.jpg"]


def test_thumbnails_of_an_excluded_picture_are_orphans():
    """As those of a removed one, and only as long as it is excluded."""
    for name in ("a.jpg", "drafts/b.jpg"):
        Path("images", name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(Path("images", name))
    make()
    assert {*open_history(exclude=["drafts/"]).orphans()} == {"thumbnails/thumb/drafts/b.jpg"}
    make(exclude=["drafts/"])
    assert {*open_history(exclude=["drafts/"]).orphans()} == {"thumbnails/thumb/drafts/b.jpg"}
    assert {*open_history().orphans()} == set()


def test_everything_excluded():
    put("a.jpg")
    assert "excluded" in refusal(exclude=["*"])


def test_object_storage_is_listed_in_the_same_way(monkeypatch):
    """A key has folders too."""
    keys = ["a.jpg", "@eaDir/b.jpg", "c/@eaDir/d/e.jpg", "c/f.jpg", "g.orig.jpg", ".h.jpg", "c//i.jpg"]
    monkeypatch.setattr(store, "list_objects", lambda location: ((key, Stamp(1, 1), "tag") for key in keys))
    assert names(source="s3://shop/in") == ["a.jpg", "c//i.jpg", "c/f.jpg", "g.orig.jpg"]
    assert names(source="s3://shop/in", exclude=["*.orig.jpg", "/c"]) == ["@eaDir/b.jpg", "a.jpg"]
