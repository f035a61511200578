"""From a picture's name to the paths of its thumbnails: wildcards, percent-encoding, sizes and formats."""

import os
from urllib.parse import unquote

import pytest
from snakemake.io import IOFile, PeriodicityDetector

from tests.catalog.support import all_thumbnails, listed, put
from tests.support.settings import settings
from thumbmill.catalog.layout import MAX_NAME_BYTES, Layout, encode_wildcard, extensions, layout_of, renditions

# Names that Snakemake can write as they are.
PLAIN = [
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

# Names that it cannot, and what the names of their thumbnails begin with.
ENCODED = {
    "{}.jpg": "%7B%7D",
    "{a}.jpg": "%7Ba%7D",
    "a{.jpg": "a%7B",
    "a}.jpg": "a%7D",
    "<b>.png": "%3Cb%3E",
    "a<.jpg": "a%3C",
    "{picture}.jpg": "%7Bpicture%7D",
    "new\nline.jpg": "new%0Aline",
    "tab\t.jpg": "tab%09",
    "bell\a.jpg": "bell%07",
    "delete\x7f.jpg": "delete%7F",
    b"caf\xe9.jpg": "caf%E9",
    b"\xff\xfe.jpg": "%FF%FE",
    "trailing .jpg": "trailing%20",
    "trailing  .jpg": "trailing %20",
    "x" * 20 + ".jpg": "x" * 19 + "%78",
    "x" * 200 + ".jpg": "x" * 199 + "%78",
    "b" + "ab" * 20 + ".jpg": "b" + "ab" * 19 + "a%62",
    "ä" * 25 + ".jpg": "ä" * 24 + "%C3%A4",
    "{a}/b.jpg": "%7Ba%7D/b",
    b"\xe9/b.jpg": "%E9/b",
    "line\nbreak/b.jpg": "line%0Abreak/b",
}


@pytest.mark.parametrize("keep_extension", [False, True])
@pytest.mark.parametrize("name", [*PLAIN, *ENCODED], ids=ascii)
def test_every_name_can_be_written_by_snakemake(name, keep_extension):
    """Its own pattern finds the wildcard in the path, its checks let it pass, and its records can hold it."""
    put(name)
    catalog = listed(keep_extension=keep_extension, format=["jpeg", "webp"])
    ((wildcard, picture),) = catalog.pictures.items()
    assert picture[:3] == (os.fsdecode(name), 1, True)
    assert os.path.samefile(catalog.source_path(wildcard), os.path.join(b"images", os.fsencode(name)))
    outputs = catalog.outputs([wildcard])
    assert outputs == catalog.thumbnails(wildcard)
    for pattern, path in zip(catalog.layout.patterns, outputs, strict=True):
        assert IOFile(pattern).match(path)["picture"] == wildcard
        assert not IOFile(path).contains_wildcard()
        path.encode()
    assert PeriodicityDetector().is_periodic(wildcard) is None
    assert not wildcard.endswith(" ")


@pytest.mark.parametrize("name", PLAIN, ids=ascii)
def test_names_that_snakemake_can_write_stay(name):
    """Their thumbnails can be named as targets on the command line."""
    put(name)
    stem = os.path.splitext(name)[0]
    assert all_thumbnails(listed()) == [f"thumbnails/thumb/{stem}.jpg"]
    assert list(listed()) == [stem]
    assert list(listed(keep_extension=True)) == [name]


@pytest.mark.parametrize(("name", "expected"), ENCODED.items(), ids=ascii)
def test_names_that_snakemake_cannot_write_are_percent_encoded(name, expected):
    """Byte by byte, so that decoding returns the name; what can be written stays."""
    put(name)
    assert all_thumbnails(listed()) == [f"thumbnails/thumb/{expected}.jpg"]
    assert unquote(expected, errors="surrogateescape") == os.path.splitext(os.fsdecode(name))[0]


@pytest.mark.parametrize("name", ["trailing .jpg", "x" * 200 + ".jpg"])
def test_only_what_ends_the_wildcard_counts_as_its_end(name):
    """With its extension, the name has no trailing space and is not repeated."""
    put(name)
    assert all_thumbnails(listed(keep_extension=True)) == [f"thumbnails/thumb/{name}.jpg"]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("", ""),
        ("x" * 19, "x" * 19),
        ("x" * 20 + "y", "x" * 20 + "y"),
        ("100%", "100%"),
        ("a//b", "a/%2Fb"),
        ("a///b", "a/%2F%2Fb"),
        ("/a", "%2Fa"),
        ("a/", "a%2F"),
    ],
)
def test_encoded_wildcards(stem, expected):
    """Double slashes, which only keys of object storage have, would become one in a path."""
    assert encode_wildcard(stem) == expected


def test_keys_with_double_slashes_have_thumbnails_of_their_own():
    layout = Layout(settings(source="s3://bucket/pictures", output="thumbnails"))
    assert layout.thumbnails("a//b.jpg") == ["thumbnails/thumb/a/%2Fb.jpg"]
    assert layout.thumbnails("a/b.jpg") == ["thumbnails/thumb/a/b.jpg"]
    assert layout.as_input(layout.source.path("a//b.jpg")) == ["s3listed://bucket/pictures/a/%2Fb.jpg"]


@pytest.mark.parametrize("source", ["images", "/mnt/disk/images", "s3://bucket/pictures", "../images"])
def test_source_is_the_input_of_its_job_wherever_it_is(source):
    """Except if Snakemake cannot write its path: a query, which is encoded, it always can."""
    layout = Layout(settings(source=source))
    assert layout.as_input(layout.source.path("a.jpg")) == [f"{source}/a.jpg".replace("s3:", "s3listed:")]
    odd = [] if not layout.source.is_remote else ["s3listed://bucket/pictures/%7Ba%7D.jpg"]
    assert layout.as_input(layout.source.path("{a}.jpg")) == odd


def test_wildcard_of_an_object_is_encoded_for_the_query_as_well():
    """The storage plugin decodes a query once, which must give the key."""
    layout = Layout(settings(source="images", output="s3://bucket/made"))
    assert layout.wildcard("{a} 100%.jpg") == "%257Ba%257D 100%25"
    (path,) = layout.outputs(layout.wildcard("{a} 100%.jpg"))
    assert path == "s3listed://bucket/made/thumb/%257Ba%257D 100%25.jpg"
    assert [unquote(path).replace("s3listed", "s3")] == layout.thumbnails("{a} 100%.jpg")


# Names that are too long


@pytest.mark.parametrize(("format", "longest"), [("jpeg", 251), ("webp", 250)])
def test_name_is_too_long_if_its_thumbnail_or_log_would_be(format, longest):
    """255 bytes in a part of a path are the most, the extension included."""
    layout = Layout(settings(format=format, keep_extension=True))
    name = ("ab" * 200)[: longest - 5] + "c.jpg"
    assert len(name) == longest
    assert not layout.is_too_long(name) and layout.wildcard(name) == name
    assert max(len(part) for path in layout.thumbnails(name) for part in path.split("/")) == MAX_NAME_BYTES
    assert layout.is_too_long(f"x{name}")


def test_bytes_count_and_not_letters():
    layout = Layout(settings())
    assert not layout.is_too_long("äö" * 61 + "abc.jpg")
    assert layout.is_too_long("äö" * 63 + ".jpg")
    assert layout.is_too_long("{}" * 50 + ".jpg")  # three bytes for each when encoded
    assert not layout.is_too_long("/".join(["folder"] * 100) + "/a.jpg")


def test_name_that_is_too_long_gets_a_short_wildcard():
    """The same in every run, and another for each picture."""
    layout = Layout(settings())
    one, other = (layout.wildcard(letter + "ab" * 130 + ".jpg") for letter in "xy")
    assert one == layout.wildcard("x" + "ab" * 130 + ".jpg") != other
    assert len(one) == 32 and one.isalnum()


# Sizes and formats


def test_thumbnails_in_every_size_and_format():
    """Picture by picture, size by size, format by format."""
    put("a.jpg", "b/c.png")
    size = {"width": 5, "height": 5}
    catalog = listed(sizes={"s": size, "l": size}, format=["webp", "jpeg"], output="out")
    assert all_thumbnails(catalog) == [
        "out/s/a.webp", "out/s/a.jpg", "out/l/a.webp", "out/l/a.jpg",
        "out/s/b/c.webp", "out/s/b/c.jpg", "out/l/b/c.webp", "out/l/b/c.jpg",
    ]  # fmt: skip


def test_size_may_have_formats_of_its_own():
    config = settings(sizes={"s": {"width": 5, "height": 5, "format": "png"}, "l": {"width": 9, "height": 9}})
    assert [(kind.name, kind.format) for kind in renditions(config)] == [("s", "png"), ("l", "jpeg")]
    assert extensions(renditions(config)) == [".jpg", ".png"]
    assert layout_of(config).keys() == {"source", "output", "sizes", "format", "keep_extension"}


def test_keep_extension_keeps_it():
    """a.jpg.jpg and a.png.jpg, as config.yaml says."""
    put("a.jpg", "a.png", "b.JPG")
    assert all_thumbnails(listed(keep_extension=True)) == [
        "thumbnails/thumb/a.jpg.jpg",
        "thumbnails/thumb/a.png.jpg",
        "thumbnails/thumb/b.JPG.jpg",
    ]


def test_working_directory_as_source_and_as_output():
    """No path begins with ./, which Snakemake warns about."""
    put("a.jpg", below=".")
    assert listed(source=".").input_of("a") == ["a.jpg"]
    put("a.jpg")
    assert all_thumbnails(listed(output=".")) == ["thumb/a.jpg"]
