"""Folders and object storage: which files are pictures, links, what cannot be read, and how S3 keys are quoted."""

import os
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.catalog.support import listed, names, put, refusal, unprivileged
from thumbmill.catalog.picture import EXTENSIONS, Picture, Stamp
from thumbmill.catalog.store import LocalFolder, S3Prefix, open_store, quote_key, split_location

ACCEPTED = (
    "jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "pjpeg", "pjp", "png", "apng", "webp", "avif", "avifs", "gif", "tif",
    "tiff", "bmp", "dib", "heic", "heics", "heif", "heifs", "hif",
)  # fmt: skip


# Which files


def test_whole_tree_is_searched():
    """Folders within folders; a folder may have the name of a picture."""
    put("a.jpg", "b/c.png", "b/c/d/e/f.webp", "g.jpg/h.png")
    assert names() == ["a.jpg", "b/c.png", "b/c/d/e/f.webp", "g.jpg/h.png"]


def test_accepted_extensions():
    assert {f".{extension}" for extension in ACCEPTED} == EXTENSIONS


@pytest.mark.parametrize("extension", ACCEPTED)
def test_extensions_count_in_any_case(extension):
    """Lower, upper and title case, whatever else the name has."""
    put(f"a.{extension}", f"b.{extension.upper()}", f"c.{extension.title()}", f"d.x.{extension}")
    assert names() == [f"a.{extension}", f"b.{extension.upper()}", f"c.{extension.title()}", f"d.x.{extension}"]


def test_other_files_are_left_out():
    """Only the extension counts, at the name's very end."""
    put(
        "a.jpg",
        "b.txt",
        "c.svg",
        "d.jpg.txt",
        "jpg",
        "e",
        "f.",
        "g.jpg~",
        "h.jpg ",
        "i.pdf",
        "j.psd",
        "k.jpgx",
        "l_jpg",
    )
    assert names() == ["a.jpg"]


def test_formats_of_masters_are_found_if_the_settings_name_them():
    """In any case; without the setting none of them is in the catalogue."""
    put("a.jpg", "b.JP2", "c.j2k", "d.jpx", "e.psd", "f.jxl", "g.jpf")
    assert names() == ["a.jpg"]
    assert names(read=["+jpeg2000"]) == ["a.jpg", "b.JP2", "c.j2k", "d.jpx", "g.jpf"]
    assert names(read=["+psd", "+jpegxl"]) == ["a.jpg", "e.psd", "f.jxl"]
    assert names(read="+psd") == ["a.jpg", "e.psd"]


def test_hidden_files_and_folders_are_left_out():
    """At every depth, links included."""
    put("a.jpg", ".b.jpg", ".jpg", ".c/d.jpg", "e/.f.jpg", "e/.g/h.jpg", "..i.jpg")
    os.symlink("a.jpg", "images/.j.jpg")
    os.symlink("e", "images/.k")
    assert names() == ["a.jpg"]


def test_source_folder_may_be_hidden_itself():
    """Only what is hidden inside it is left out."""
    put("a.jpg", below=".images/.deep")
    assert names(source=".images/.deep") == ["a.jpg"]


def test_special_files_are_left_out():
    """A worker that opens a pipe called .jpg would wait endlessly."""
    put("a.jpg")
    os.mkfifo("images/b.jpg")
    assert names() == ["a.jpg"]


# Links


def test_links_to_files_and_folders_are_followed():
    """Inside the source folder and out of it; the extension that counts is the link's."""
    put("outside.png", "folder/inside.jpg", below="elsewhere")
    put("a.jpg", "b/c.jpg")
    os.symlink("../elsewhere/outside.png", "images/d.png")
    os.symlink("../elsewhere/folder", "images/e")
    os.symlink("b", "images/f")
    os.symlink(os.path.abspath("images/a.jpg"), "images/g.png")
    os.symlink("a.jpg", "images/h.txt")
    assert names() == ["a.jpg", "b/c.jpg", "d.png", "e/inside.jpg", "f/c.jpg", "g.png"]
    assert all(picture.readable for picture in listed().pictures.values())


def test_source_folder_may_be_a_link():
    """To a mounted disk, for instance."""
    put("a.jpg", below="disk")
    os.symlink("disk", "link")
    assert names(source="link") == ["a.jpg"]


@pytest.mark.parametrize("target", [".", "..", "../images", "b", "../../images/b/../b", "/"])
def test_link_in_a_circle_is_followed_once(target):
    """The pictures are found, and no folder is entered from within itself."""
    if target == "/":
        target = os.getcwd()
    put("a.jpg", "b/c.jpg")
    os.symlink(target, "images/b/loop")
    found = names()
    assert {"a.jpg", "b/c.jpg"} <= set(found)
    assert not [name for name in found if name.count("loop") > 1]
    assert len(found) <= 4


def test_two_links_in_a_circle_are_followed_once():
    """a/to-b leads to b, b/to-a leads to a."""
    put("a/1.jpg", "b/2.jpg")
    os.symlink("../b", "images/a/to-b")
    os.symlink("../a", "images/b/to-a")
    assert names() == ["a/1.jpg", "a/to-b/2.jpg", "b/2.jpg", "b/to-a/1.jpg"]


def test_link_that_leads_nowhere_is_a_picture_that_fails_alone():
    """Broken or pointing to itself: in the catalogue if it has the name of a picture."""
    put("a.jpg")
    os.symlink("nowhere.jpg", "images/dangling.jpg")
    os.symlink("self.jpg", "images/self.jpg")
    os.symlink("nowhere", "images/dangling")
    os.symlink("self", "images/self")
    catalog = listed()
    assert [(picture.name, picture.readable) for picture in catalog.pictures.values()] == [
        ("a.jpg", True),
        ("dangling.jpg", False),
        ("self.jpg", False),
    ]
    assert catalog.input_of("self") == []
    assert catalog.input_of("a") == ["images/a.jpg"]


# What cannot be read


def test_unreadable_file_is_a_picture_that_fails_alone():
    """It is listed, and so are the others."""
    put("a.jpg", "b.jpg")
    os.chmod("images/a.jpg", 0)
    with unprivileged():
        catalog = listed()
    assert [(picture.name, picture.readable) for picture in catalog.pictures.values()] == [
        ("a.jpg", False),
        ("b.jpg", True),
    ]
    assert catalog.input_of("a") == []


def test_unreadable_folder_is_listed_as_such():
    """One entry stands for it, and the pictures beside it are found."""
    put("a.jpg", "b/c.jpg", "d/e.jpg")
    os.chmod("images/b", 0)
    try:
        with unprivileged():
            catalog = listed()
    finally:
        os.chmod("images/b", 0o755)
    assert [(picture.name, picture.readable) for picture in catalog.pictures.values()] == [
        ("a.jpg", True),
        ("b/", False),
        ("d/e.jpg", True),
    ]


def test_folder_that_may_be_listed_but_not_entered():
    """Only the names of its files are known: each fails alone."""
    put("a.jpg", "b/c.jpg", "b/notes.txt")
    os.chmod("images/b", 0o444)
    try:
        with unprivileged():
            found = [(picture.name, picture.readable) for picture in listed().pictures.values()]
    finally:
        os.chmod("images/b", 0o755)
    assert found == [("a.jpg", True), ("b/c.jpg", False)]


def test_source_folder_that_cannot_be_read():
    """The error names it."""
    put("a.jpg")
    os.chmod("images", 0)
    try:
        with unprivileged():
            reason = refusal()
    finally:
        os.chmod("images", 0o755)
    assert "'images'" in reason


@pytest.mark.parametrize("kind", ["missing", "file", "dangling"])
def test_source_folder_that_is_not_there(kind):
    """The error names the folder, where it was looked for, and the setting."""
    if kind == "file":
        put("pictures", below=".")
    elif kind == "dangling":
        os.symlink("nowhere", "pictures")
    reason = refusal(source="pictures")
    assert "'pictures'" in reason and os.getcwd() in reason and "source" in reason
    assert len(reason.splitlines()) <= 2


# Output folders


@pytest.mark.parametrize("output", ["images/thumbnails", "images/deep/er"])
def test_output_folder_inside_the_source_is_left_out(output):
    """There are no thumbnails of thumbnails."""
    put("a.jpg", "deep/b.jpg")
    put("thumb/a.jpg", "thumb/deep/b.jpg", below=output)
    assert names(output=output) == ["a.jpg", "deep/b.jpg"]


@pytest.mark.parametrize("source", [".", "images"])
def test_output_folder_is_left_out_through_links(source):
    """Whatever name leads there."""
    put("a.jpg")
    put("thumb/a.jpg", below="images/real")
    os.symlink("images/real", "out")
    os.symlink("real", "images/again")
    expected = {".": ["images/a.jpg"], "images": ["a.jpg"]}[source]
    assert names(source=source, output="out") == expected
    assert names(source=source, output=os.path.abspath("images/again")) == expected


def test_folder_of_a_size_is_left_out_through_links():
    """A link to one size of the thumbnails, as a website may have it, makes no thumbnails of thumbnails."""
    put("a.jpg")
    put("thumb/a.jpg", below="thumbnails")
    os.symlink("../thumbnails/thumb", "images/website")
    assert names() == ["a.jpg"]


def test_source_inside_the_output():
    """Thumbnails beside the sources: only what is in the source folder counts."""
    put("a.jpg", below="site/originals")
    put("a.jpg", below="site/thumb")
    assert names(source="site/originals", output="site") == ["a.jpg"]
    put("a.jpg")
    put("a.jpg", below="thumb")
    assert names(output=".") == ["a.jpg"]


def test_other_folder_called_like_the_output_is_not_left_out():
    """Only the output folder itself is."""
    put("a/thumbnails/b.jpg", "thumbnails/c.jpg")
    put("thumb/x.jpg", below="thumbnails")
    assert names() == ["a/thumbnails/b.jpg", "thumbnails/c.jpg"]


# What a folder answers about its files


def test_folder_answers_with_dates_and_sizes():
    put("a.jpg", "b/c.jpg")
    os.utime("images/a.jpg", ns=(5, 7))
    folder = open_store("images")
    assert isinstance(folder, LocalFolder) and not folder.is_remote
    assert folder.path("b/c.jpg") == folder.snakemake_path(folder.path("b/c.jpg")) == "images/b/c.jpg"
    assert folder.stamps(["images/a.jpg"]) == [Stamp(7, 1)]
    assert folder.stamps(["images/a.jpg", "images/missing.jpg"]) is None
    with folder.fetch("images/a.jpg") as path:
        assert path == "images/a.jpg"


def test_folder_has_one_identity_whatever_its_name():
    put("a.jpg")
    os.symlink("images", "link")
    assert open_store("link").identity() == open_store(os.path.abspath("images/../images")).identity()


def test_picture_can_be_looked_at_again():
    """Its size, its dates, and whether it can still be read."""
    put("a.jpg")
    (picture,) = listed().pictures.values()
    folder = LocalFolder("images")
    assert folder.refresh(picture) == picture
    Path("images/a.jpg").write_bytes(b"more")
    os.utime("images/a.jpg", ns=(5, 7))
    assert folder.refresh(picture) == Picture("a.jpg", 4, True, 7, os.stat("images/a.jpg").st_ctime_ns)
    os.unlink("images/a.jpg")
    assert not folder.refresh(picture).readable
    os.mkdir("images/closed")
    assert not folder.refresh(Picture("closed/", 0, False)).readable


def test_date_of_a_link_is_the_later_of_its_own_and_its_targets():
    """So that a link that is pointed at another picture counts as a change."""
    put("old.jpg", below="elsewhere")
    os.utime("elsewhere/old.jpg", (5, 5))
    os.symlink("../elsewhere/old.jpg", "images/a.jpg")
    link = os.lstat("images/a.jpg").st_mtime_ns
    (picture,) = listed().pictures.values()
    assert picture.time == link
    os.utime("elsewhere/old.jpg", ns=(link + 9, link + 9))
    assert LocalFolder("images").refresh(picture).time == link + 9


# Object storage


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/one/two", ("bucket", "one/two")),
        ("s3://bucket/one//two.jpg", ("bucket", "one//two.jpg")),
    ],
)
def test_location_has_a_bucket_and_a_key(location, expected):
    assert split_location(location) == expected
    assert isinstance(open_store(location), S3Prefix)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/b c.jpg", "a/b c.jpg"),
        ("100%.jpg", "100%25.jpg"),
        ("{x}<y>.jpg", "%7Bx%7D%3Cy%3E.jpg"),
        ("a//b.jpg", "a/%2Fb.jpg"),
        ("a///b.jpg", "a/%2F%2Fb.jpg"),
        ("/a.jpg", "%2Fa.jpg"),
        ("line\nbreak.jpg", "line%0Abreak.jpg"),
        ("日本.jpg", "日本.jpg"),
    ],
)
def test_query_of_a_key_can_be_written_by_snakemake_and_read_back(key, expected):
    assert quote_key(key) == expected
    assert unquote(expected) == key


def test_query_of_a_picture_names_its_bucket():
    store = open_store("s3://bucket/pictures")
    assert store.path("a//b.jpg") == "s3://bucket/pictures/a//b.jpg"
    assert store.snakemake_path(store.path("a//{b}.jpg")) == "s3listed://bucket/pictures/a/%2F%7Bb%7D.jpg"
