"""Listing the catalogue: which files are pictures, in which order, what they are called, and what is refused."""

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.catalogue import Catalogue, CatalogueError, list_catalogue
from scripts.settings import load_validator, read_settings
from scripts.thumbnail import ODD_NAMES, thumbnail_paths

ACCEPTED = ("jpg", "jpeg", "jpe", "jfif", "png", "webp", "avif", "gif", "tif", "tiff", "bmp", "heic", "heif", "hif")
VALIDATOR = load_validator(str(Path(__file__).parent.parent))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory of the test's own, which an unprivileged user may look into, with a folder `images`."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    return tmp_path


def settings(**config) -> dict:
    """The settings with `config` laid over the defaults."""
    return read_settings(config, VALIDATOR)


def put(*names: str | bytes, below: str = "images") -> None:
    """Create files of one byte (the catalogue does not look into them), with the folders they are in."""
    for name in names:
        path = os.path.join(below, os.fsdecode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")


def listed(**config) -> Catalogue:
    """The catalogue under the settings `config`."""
    return list_catalogue(settings(**config))


def names(**config) -> list[str]:
    """The paths of the catalogue's pictures below the source folder."""
    return [picture.name for picture in listed(**config).pictures.values()]


def refusal(**config) -> str:
    """Why the catalogue is refused."""
    with pytest.raises(CatalogueError) as caught:
        listed(**config)
    return str(caught.value)


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail where the code would go on for ever."""

    def give_up(*_):
        raise TimeoutError(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


# Which files


def test_whole_tree_is_searched():
    """Folders within folders; a folder may be called like a picture."""
    put("a.jpg", "b/c.png", "b/c/d/e/f.webp", "g.jpg/h.png")
    assert names() == ["a.jpg", "b/c.png", "b/c/d/e/f.webp", "g.jpg/h.png"]


@pytest.mark.parametrize("extension", ACCEPTED)
def test_extensions_count_in_any_case(extension):
    """Each of the accepted formats."""
    put(f"a.{extension}", f"b.{extension.upper()}", f"c.{extension.title()}", f"d.x.{extension}")
    assert names() == [f"a.{extension}", f"b.{extension.upper()}", f"c.{extension.title()}", f"d.x.{extension}"]


def test_other_files_are_left_out():
    """By their extension; also when a picture's stands elsewhere in the name."""
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


def test_hidden_files_and_folders_are_left_out():
    """At every depth, also behind links."""
    put("a.jpg", ".b.jpg", ".jpg", ".c/d.jpg", "e/.f.jpg", "e/.g/h.jpg", "..i.jpg")
    os.symlink("a.jpg", "images/.j.jpg")
    os.symlink("e", "images/.k")
    assert names() == ["a.jpg"]


def test_source_folder_may_be_hidden_itself():
    """What is left out is what is hidden in it."""
    put("a.jpg", below=".images/.deep")
    assert names(source=".images/.deep") == ["a.jpg"]


def test_order_does_not_depend_on_the_file_system():
    """The same tree made in three orders, with other files in between."""
    files = ["Z.jpg", "a.jpg", "a/b.jpg", "a b.jpg", "a-b.jpg", "é.jpg", "10.jpg", "9.jpg", "a0.jpg", "\U0001f600.jpg"]
    found = []
    for seed in range(3):
        order = random.Random(seed).sample(files, len(files))
        put(*order, below=f"tree{seed}")
        catalogue = listed(source=f"tree{seed}")
        found.append((names(source=f"tree{seed}"), catalogue.thumbnails()))
    assert found[0] == found[1] == found[2]
    assert found[0][0] == sorted(files)


def test_special_files_are_left_out():
    """A pipe called .jpg would stop a worker for ever."""
    put("a.jpg")
    os.mkfifo("images/b.jpg")
    assert names() == ["a.jpg"]


def test_size_is_that_of_the_file():
    """Of a link, that of what it points to: it is what tells that a picture was replaced."""
    Path("images/a.jpg").write_bytes(b"12345")
    os.symlink("a.jpg", "images/b.jpg")
    assert [picture.bytes for picture in listed().pictures.values()] == [5, 5]
    assert listed().identity(SimpleNamespace(picture="b")) == ("b.jpg", 5)
    assert listed().identity(SimpleNamespace(picture="c")) is None


# Links


def test_links_to_files_and_folders_are_followed():
    """Within the source folder and out of it; the extension is that of the link."""
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
    """A mounted disk, say."""
    put("a.jpg", below="disk")
    os.symlink("disk", "link")
    assert names(source="link") == ["a.jpg"]


@pytest.mark.parametrize("target", [".", "..", "../images", "b", "../../images/b/../b", "/"])
def test_link_in_a_circle_ends(target):
    """The pictures are found, and a folder within itself is not entered again."""
    if target == "/":
        target = os.getcwd()
    put("a.jpg", "b/c.jpg")
    os.symlink(target, "images/b/loop")
    found = names()
    assert {"a.jpg", "b/c.jpg"} <= set(found)
    assert not [name for name in found if name.count("loop") > 1]
    assert len(found) <= 4


def test_two_links_in_a_circle_end():
    """a/to-b leads to b, b/to-a leads to a."""
    put("a/1.jpg", "b/2.jpg")
    os.symlink("../b", "images/a/to-b")
    os.symlink("../a", "images/b/to-a")
    assert names() == ["a/1.jpg", "a/to-b/2.jpg", "b/2.jpg", "b/to-a/1.jpg"]


def test_link_that_leads_nowhere_is_a_picture_that_fails_alone():
    """Dangling or pointing to itself: in the catalogue if it is called like a picture, and else not."""
    put("a.jpg")
    os.symlink("nowhere.jpg", "images/dangling.jpg")
    os.symlink("self.jpg", "images/self.jpg")
    os.symlink("nowhere", "images/dangling")
    os.symlink("self", "images/self")
    catalogue = listed()
    assert [(picture.name, picture.readable) for picture in catalogue.pictures.values()] == [
        ("a.jpg", True),
        ("dangling.jpg", False),
        ("self.jpg", False),
    ]
    assert catalogue.source(SimpleNamespace(picture="self")) == []
    assert catalogue.source(SimpleNamespace(picture="a")) == ["images/a.jpg"]


# What cannot be read


def test_unreadable_file_is_a_picture_that_fails_alone():
    """It is not left out in silence, and it stops nothing."""
    put("a.jpg", "b.jpg")
    os.chmod("images/a.jpg", 0)
    with unprivileged():
        catalogue = listed()
    assert [(picture.name, picture.readable) for picture in catalogue.pictures.values()] == [
        ("a.jpg", False),
        ("b.jpg", True),
    ]
    assert catalogue.source(SimpleNamespace(picture="a")) == []


def test_unreadable_folder_is_listed_as_such():
    """What is in it is not known: one entry stands for it, and the pictures beside it are found."""
    put("a.jpg", "b/c.jpg", "d/e.jpg")
    os.chmod("images/b", 0)
    try:
        with unprivileged():
            catalogue = listed()
    finally:
        os.chmod("images/b", 0o755)
    assert [(picture.name, picture.readable) for picture in catalogue.pictures.values()] == [
        ("a.jpg", True),
        ("b/", False),
        ("d/e.jpg", True),
    ]


def test_folder_that_may_be_listed_but_not_entered():
    """Its files are known by name only: each fails alone."""
    put("a.jpg", "b/c.jpg", "b/notes.txt")
    os.chmod("images/b", 0o444)
    try:
        with unprivileged():
            found = [(picture.name, picture.readable) for picture in listed().pictures.values()]
    finally:
        os.chmod("images/b", 0o755)
    assert found == [("a.jpg", True), ("b/c.jpg", False)]


def test_source_folder_that_cannot_be_read():
    """Is refused by its name: there is nothing that could be made."""
    put("a.jpg")
    os.chmod("images", 0)
    try:
        with unprivileged(), at_most(60):
            reason = refusal()
    finally:
        os.chmod("images", 0o755)
    assert "'images'" in reason


# Names

SPEAKABLE = [
    "a b.jpg",
    "it's.jpg",
    'say "a".jpg',
    "Ümläut ß.jpg",
    "U\u0308.jpg",
    "\U0001f600\U0001f469\u200d\U0001f680.jpg",
    "日本語.jpg",
    "100%.jpg",
    "%s%d.jpg",
    "#1.jpg",
    "-rf.jpg",
    "--cores.jpg",
    "a.b.c.jpg",
    "a..jpg",
    "a.png.jpg",
    "$HOME.jpg",
    "`ls`.jpg",
    "a;b&c|d.jpg",
    "a*b?.jpg",
    "[ab].jpg",
    "a\\b.jpg",
    "a:b.jpg",
    "a,b=c.jpg",
    " leading.jpg",
    "~.jpg",
    "!.jpg",
    "ab" + "cdefghij" * 24 + "klmnop.jpg",
    "folder with space/ü.jpg",
    "-a/-b.jpg",
]
UNSPEAKABLE = [
    "{}.jpg",
    "{x}.jpg",
    "a{.jpg",
    "a}.jpg",
    "<x>.jpg",
    "a<.jpg",
    "{picture}.jpg",
    "new\nline.jpg",
    "tab\t.jpg",
    "bell\a.jpg",
    b"caf\xe9.jpg",
    b"\xff\xfe.jpg",
    "trailing .jpg",
    "trailing  .jpg",
    "x" * 200 + ".jpg",
    "x" * 251 + ".jpg",
    "{a}/b.jpg",
    b"\xe9/b.jpg",
    "line\nbreak/b.jpg",
]


@pytest.mark.parametrize("keep_extension", [False, True])
@pytest.mark.parametrize("name", SPEAKABLE + UNSPEAKABLE, ids=ascii)
def test_every_name_is_listed_as_it_is(name, keep_extension):
    """One picture, its source and its thumbnails found by what Snakemake is told."""
    put(name)
    catalogue = listed(keep_extension=keep_extension, format=["jpeg", "webp"])
    name = os.fsdecode(name)
    ((wildcard, picture),) = catalogue.pictures.items()
    assert picture[:3] == (name, 1, True)
    (source,) = catalogue.source(SimpleNamespace(picture=wildcard))
    assert os.path.samefile(source, os.path.join("images", name))
    first, second = catalogue.thumbnails()
    assert [path.format(picture=wildcard) for path in catalogue.patterns] == [
        f"thumbnails/thumb/{wildcard}.jpg",
        f"thumbnails/thumb/{wildcard}.webp",
    ]
    if wildcard in catalogue.odd:
        assert (first, second) == (f"{ODD_NAMES}/thumb/{wildcard}.jpg", f"{ODD_NAMES}/thumb/{wildcard}.webp")
        assert wildcard.isalnum() and wildcard.isascii()
        assert source.startswith(ODD_NAMES) and wildcard in source
    else:
        stem = name if keep_extension else os.path.splitext(name)[0]
        assert (first, second) == (f"thumbnails/thumb/{stem}.jpg", f"thumbnails/thumb/{stem}.webp")
        assert source == os.path.join("images", name)
    assert thumbnail_paths(name, catalogue.settings)[0].startswith("thumbnails/thumb/" + os.path.splitext(name)[0])


@pytest.mark.parametrize("name", SPEAKABLE, ids=ascii)
def test_names_that_snakemake_can_write_stay(name):
    """Their thumbnails can be named as targets on the command line."""
    put(name)
    assert not listed().odd


@pytest.mark.parametrize("name", UNSPEAKABLE, ids=ascii)
def test_names_that_snakemake_cannot_write_get_a_stand_in(name):
    """The same one in every run, and another for each picture."""
    put(name)
    if name == "trailing .jpg" or name == "tab\t.jpg":
        assert len(listed(keep_extension=True).odd) == (name == "tab\t.jpg")
    catalogue = listed()
    assert len(catalogue.odd) == 1
    assert catalogue.odd == listed().odd
    put("{other}.jpg")
    assert len(listed().odd) == 2


def test_stand_in_follows_a_source_that_moved():
    """The link under an odd name is made anew where it leads elsewhere."""
    put("{x}.jpg")
    put("{x}.jpg", below="other")
    catalogue = listed()
    (wildcard,) = catalogue.odd
    (before,) = catalogue.source(SimpleNamespace(picture=wildcard))
    (after,) = listed(source="other").source(SimpleNamespace(picture=wildcard))
    assert before == after
    assert os.path.samefile(after, "other/{x}.jpg")


def test_stand_in_of_a_deleted_thumbnail_is_removed():
    """A link that leads nowhere, or elsewhere, would pass for a thumbnail, or be stumbled over; a good one stays."""
    put("{x}.jpg", "{y}.jpg", "{z}.jpg")
    links = listed().thumbnails()
    put("thumb/{y}.jpg", below="thumbnails")
    os.makedirs(os.path.dirname(links[0]))
    os.symlink(os.path.abspath("thumbnails/thumb/{x}.jpg"), links[0])
    os.symlink(os.path.abspath("thumbnails/thumb/{y}.jpg"), links[1])
    os.symlink(os.path.abspath("images/{z}.jpg"), links[2])
    listed()
    assert [os.path.islink(link) for link in links] == [False, True, False]


def test_thumbnails_in_every_size_and_format():
    """Picture by picture, size by size, format by format."""
    put("a.jpg", "b/c.png")
    size = {"width": 5, "height": 5}
    catalogue = listed(sizes={"s": size, "l": size}, format=["webp", "jpeg"], output="out")
    assert catalogue.thumbnails() == [
        "out/s/a.webp", "out/s/a.jpg", "out/l/a.webp", "out/l/a.jpg",
        "out/s/b/c.webp", "out/s/b/c.jpg", "out/l/b/c.webp", "out/l/b/c.jpg",
    ]  # fmt: skip


def test_working_directory_as_source_and_as_output():
    """No path begins with ./, of which Snakemake warns."""
    put("a.jpg", below=".")
    catalogue = listed(source=".")
    assert catalogue.source(SimpleNamespace(picture="a")) == ["a.jpg"]
    put("a.jpg")
    assert listed(output=".").thumbnails() == ["thumb/a.jpg"]


def test_picture_that_is_not_in_the_catalogue():
    """Snakemake is to say which file is missing."""
    put("a.jpg")
    assert listed().source(SimpleNamespace(picture="sub/zzz")) == ["images/sub/zzz"]


# Collisions


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.jpg", "a.png"),
        ("a.JPG", "a.jpg"),
        ("a.jpeg", "a.jpg"),
        ("sub/a b.jpg", "sub/a b.webp"),
        ("{x}.jpg", "{x}.png"),
        ("a.b.jpg", "a.b.png"),
    ],
)
def test_pictures_that_would_share_a_thumbnail(first, second):
    """Both are named, and the setting that resolves it, which does."""
    put(first, second, "other.jpg")
    reason = refusal()
    assert f"images/{first}" in reason and f"images/{second}" in reason
    assert "other" not in reason
    assert "keep_extension" in reason
    assert sorted(names(keep_extension=True)) == sorted([first, second, "other.jpg"])
    catalogue = listed(keep_extension=True)
    assert len(set(catalogue.thumbnails())) == 3


def test_keep_extension_keeps_it():
    """a.jpg.jpg and a.png.jpg, as config.yaml says."""
    put("a.jpg", "a.png", "b.JPG")
    assert listed(keep_extension=True).thumbnails() == [
        "thumbnails/thumb/a.jpg.jpg",
        "thumbnails/thumb/a.png.jpg",
        "thumbnails/thumb/b.JPG.jpg",
    ]


@pytest.mark.parametrize("pair", [("a.jpg", "A.jpg"), ("a.jpg", "b/a.jpg"), ("a.jpg", "a.b.jpg"), ("a.jpg", "a/b.jpg")])
def test_pictures_that_share_nothing(pair):
    """Names that resemble each other only."""
    put(*pair)
    assert sorted(names()) == sorted(pair)


@pytest.mark.parametrize(
    ("config", "picture", "inside"),
    [
        ({}, "a.png", "a.jpg/b.png"),
        ({}, "a.png", "a.jpg/deep/er/b.png"),
        ({"format": ["png", "webp"]}, "x/a.jpg", "x/a.webp/b.png"),
        ({"keep_extension": True}, "a.png", "a.png.jpg/b.png"),
    ],
)
def test_thumbnail_where_another_needs_a_folder(config, picture, inside):
    """The thumbnail of a.png is a.jpg, which is also to be a folder: both are named, and what to do."""
    put(picture, inside)
    reason = refusal(**config)
    assert f"images/{picture}" in reason and f"images/{os.path.splitext(inside)[0]}" in reason
    assert "ename" in reason


def test_many_collisions_are_counted_and_not_all_named():
    """A catalogue of 100,000 must not fill the screen."""
    put(*[f"{number}{extension}" for number in range(20) for extension in (".jpg", ".png")])
    reason = refusal()
    assert len(reason.splitlines()) < 12
    assert "15 more" in reason


def test_odd_names_in_a_refusal_can_be_printed():
    """Also on a terminal, and when they are not UTF-8."""
    put(b"caf\xe9\n.jpg", b"caf\xe9\n.png")
    reason = refusal()
    reason.encode()
    assert "\\udce9\\n.png" in reason


# Folders that hold nothing


@pytest.mark.parametrize("kind", ["missing", "file", "dangling"])
def test_source_folder_that_is_not_there(kind):
    """The folder is named, where it was looked for, and the setting."""
    if kind == "file":
        put("pictures", below=".")
    elif kind == "dangling":
        os.symlink("nowhere", "pictures")
    reason = refusal(source="pictures")
    assert "'pictures'" in reason and os.getcwd() in reason and "source" in reason
    assert len(reason.splitlines()) <= 2


@pytest.mark.parametrize(
    "content", [[], ["a.txt", "b/c.svg"], [".a.jpg", ".b/c.jpg"]], ids=["empty", "other", "hidden"]
)
def test_source_folder_without_a_picture(content):
    """The folder is named, and what would count."""
    put(*content)
    reason = refusal()
    assert "'images'" in reason and ".jpg" in reason
    assert len(reason.splitlines()) <= 2


# Source and output, one inside the other


@pytest.mark.parametrize("output", ["images/thumbnails", "images/deep/er"])
def test_output_folder_inside_the_source_is_left_out(output):
    """No thumbnails of thumbnails."""
    put("a.jpg", "deep/b.jpg")
    put("thumb/a.jpg", "thumb/deep/b.jpg", below=output)
    assert names(output=output) == ["a.jpg", "deep/b.jpg"]


@pytest.mark.parametrize("source", [".", "images"])
def test_output_folder_is_left_out_through_links(folder, source):
    """By what it is, not by what it is called."""
    put("a.jpg")
    put("thumb/a.jpg", below="images/real")
    os.symlink("images/real", "out")
    os.symlink("real", "images/again")
    expected = {".": ["images/a.jpg"], "images": ["a.jpg"]}[source]
    assert names(source=source, output="out") == expected
    assert names(source=source, output=str(folder / "images/again")) == expected


def test_folder_of_a_size_is_left_out_through_links():
    """A link to one size of the thumbnails (a website that shows them) makes no thumbnails of thumbnails."""
    put("a.jpg")
    put("thumb/a.jpg", below="thumbnails")
    os.symlink("../thumbnails/thumb", "images/website")
    assert names() == ["a.jpg"]


def test_source_inside_the_output():
    """Thumbnails beside the sources: only what is in the source folder is one."""
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
