"""The work of one job: one picture, all its thumbnails, and a log that says what is wrong with it."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import RED, corners, plain, saved
from tests.support.settings import settings
from thumbmill import failures
from thumbmill.catalog import store
from thumbmill.catalog.digests import AMBIGUOUS, Note, content_digest, read_notes
from thumbmill.catalog.history_file import history_path
from thumbmill.errors import MemoryLimitError, PictureError
from thumbmill.failures import Failure, Kind, parse_log_line
from thumbmill.run import job
from thumbmill.run.job import reported_memory_limit, run_job

LOG = Path("logs/a.log")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the folders that Snakemake makes for a job, and a source called a.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("images", "thumbnails/thumb", "thumbnails/large", "logs"):
        os.makedirs(name)
    corners(60, 40).save("images/a.png")
    return tmp_path


def config(**changes: Any) -> dict[str, Any]:
    """Return the config of a job."""
    return {**settings(**changes), "worker_memory": 4_000}


def run(name: str = "a.png", inputs: tuple[str, ...] = ("images/a.png",), **changes: Any) -> None:
    """Run the job of a picture whose single thumbnail is a.jpg."""
    run_job((name, 1), inputs, ["thumbnails/thumb/a.jpg"], str(LOG), config(**changes))


def failure_of(name: str = "a.png", inputs: tuple[str, ...] = ("images/a.png",), **changes: Any) -> Failure:
    """Return why a job fails; fail unless its log says the same, and no thumbnail is there."""
    with pytest.raises(PictureError) as caught:
        run(name, inputs, **changes)
    (line,) = LOG.read_text().splitlines()
    logged = parse_log_line(line)
    assert logged.kind == caught.value.failure.kind
    assert str(caught.value).endswith(f": {logged.text}")
    assert not os.path.lexists("thumbnails/thumb/a.jpg")
    return logged


def test_job_makes_its_thumbnails_and_leaves_no_log():
    """Not even that of an earlier run, which is no longer true."""
    LOG.write_text("error[empty]: the file is empty\n")
    run()
    with Image.open("thumbnails/thumb/a.jpg") as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (60, 40))
    assert not LOG.exists()


def test_job_makes_each_size_and_format_where_it_belongs():
    """Its outputs are in the order of the renditions."""
    size = {"width": 20, "height": 20}
    sizes = {"thumb": size, "large": {**size, "width": 40, "height": 40}}
    outputs = [f"thumbnails/{name}/a{extension}" for name in sizes for extension in (".webp", ".png")]
    run_job(("a.png", 1), ["images/a.png"], outputs, str(LOG), config(sizes=sizes, format=["webp", "png"]))
    found = [(picture.format, picture.width) for picture in map(Image.open, outputs)]
    assert found == [("WEBP", 20), ("PNG", 20), ("WEBP", 40), ("PNG", 40)]


def test_job_uses_the_settings():
    """Those that decide pixels, and those that decide what is accepted."""
    Image.new("RGBA", (60, 40), (0, 0, 0, 0)).save("images/a.png")
    run(background="#00ff00")
    with Image.open("thumbnails/thumb/a.jpg") as thumbnail:
        assert thumbnail.getpixel((5, 5)) == (0, 255, 1)
    os.unlink("thumbnails/thumb/a.jpg")
    assert failure_of(max_pixels=2_399).kind == Kind.TOO_LARGE


def test_warnings_are_plain_lines_of_the_log():
    """They are not taken for a failure, and the thumbnail is there."""
    Path("images/a.png").write_bytes(saved(plain(RED), "PNG") + b"more")
    run()
    assert LOG.read_text() == "4 bytes behind its end are no part of the picture\n"
    assert parse_log_line(LOG.read_text().strip()) is None
    assert os.path.exists("thumbnails/thumb/a.jpg")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", Kind.EMPTY),
        (b"no picture at all", Kind.UNSUPPORTED),
        (saved(corners(), "PNG")[:90], Kind.DAMAGED),
    ],
)
def test_failure_is_a_line_of_the_log_with_its_kind(content, kind):
    Path("images/a.png").write_bytes(content)
    assert failure_of().kind == kind


def test_message_of_a_failure_names_the_source():
    """Printably, whatever its name is."""
    Path("images/line\nbreak.png").write_bytes(b"")
    with pytest.raises(PictureError, match=r"^images/line\\nbreak\.png: the file is empty$"):
        run("line\nbreak.png", inputs=())


@pytest.mark.parametrize("name", ["{a}.png", "<b>.png", "line\nbreak.png", b"caf\xe9.png", " .png"])
def test_source_that_is_no_input_is_found_by_its_name(name):
    corners(60, 40).save(os.path.join(b"images", os.fsencode(name)).decode(errors="surrogateescape"), "PNG")
    run(os.fsdecode(name), inputs=())
    assert os.path.exists("thumbnails/thumb/a.jpg")


def test_source_that_is_gone_is_missing():
    os.unlink("images/a.png")
    assert failure_of().kind == Kind.MISSING
    assert failure_of(inputs=()).kind == Kind.MISSING


def test_name_that_is_too_long_fails_before_anything_is_opened():
    """There is no such source, which is not what the failure says."""
    failure = failure_of("ab" * 130 + ".png", inputs=())
    assert failure.kind == Kind.NAME_TOO_LONG
    assert "255 bytes" in failure.text


def test_thumbnail_that_cannot_be_written_names_its_path():
    os.rmdir("thumbnails/thumb")
    failure = failure_of()
    assert failure.kind == Kind.NOT_WRITTEN
    assert failure.text.startswith("cannot write thumbnails/thumb/a.jpg: ")


def test_log_that_cannot_be_written_hides_no_reason():
    """The message of the error has it all the same."""
    Path("images/a.png").write_bytes(b"")
    os.rmdir("logs")
    with pytest.raises(PictureError, match="the file is empty"):
        run()


def test_warning_that_cannot_be_written_is_a_failure():
    """Or nobody would learn of it."""
    Path("images/a.png").write_bytes(saved(plain(RED), "PNG") + b"more")
    os.rmdir("logs")
    with pytest.raises(PictureError, match=r"cannot write logs") as caught:
        run()
    assert caught.value.failure.kind == Kind.NOT_WRITTEN


def test_object_that_cannot_be_fetched_fails_alone(monkeypatch):
    """For instance, because boto3 is missing."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    store.connect.cache_clear()
    failure = failure_of(inputs=(), source="s3://bucket/pictures")
    assert failure.kind == Kind.NOT_FETCHED
    assert failure.text.startswith("cannot be fetched: ")


@pytest.mark.parametrize(
    ("worker_memory", "max_memory", "advice"), [(800, 800, "raise max_memory"), (300, 800, "use fewer --cores")]
)
def test_lack_of_memory_says_how_much_there_was_and_what_to_do(worker_memory, max_memory, advice):
    with (
        pytest.raises(PictureError) as caught,
        reported_memory_limit({"worker_memory": worker_memory, "max_memory": max_memory}),
    ):
        raise MemoryLimitError(failures.out_of_memory("decode it"))
    assert caught.value.failure.kind == Kind.OUT_OF_MEMORY
    assert str(caught.value).startswith(f"not enough memory to decode it: a worker may use {worker_memory} MB (")
    assert advice in str(caught.value)
    assert not isinstance(caught.value, MemoryLimitError)


@pytest.mark.parametrize("output", ["thumbnails", "s3://shop/thumbnails"])
def test_a_lost_folder_of_copies_is_made_again_but_not_one_of_the_user(output):
    """Snakemake removes an empty folder of its copies while another shard's worker is about to write there."""
    os.rmdir("thumbnails/thumb")
    if output == "thumbnails":
        assert failure_of(output=output).kind == Kind.NOT_WRITTEN
    else:
        run(output=output)
        assert os.path.getsize("thumbnails/thumb/a.jpg") > 0


# What later runs compare with


def notes() -> dict[str, Note]:
    """Return what jobs have noted."""
    return read_notes(history_path("thumbnails"))[0]


def test_job_notes_the_content_of_its_source_and_its_version():
    run()
    digest = content_digest("images/a.png")
    assert notes() == {"a.png": Note(digest, "")}
    for identity, version in ((("a.png", 5, "v"), "v"), (("a.png", 5, 12345, "w"), "w"), (("a.png", 5, 12345), "")):
        run_job(identity, ["images/a.png"], ["thumbnails/thumb/a.jpg"], str(LOG), config())
        assert notes() == {"a.png": Note(digest, version)}


def test_job_that_fails_notes_nothing():
    Path("images/a.png").write_text("no picture")
    failure_of()
    assert notes() == {}


def test_a_source_that_changes_meanwhile_has_the_digest_of_no_content(monkeypatch):
    """So that the next run makes it again, whichever content its thumbnails show."""

    def replace_then_read(path: str) -> str:
        os.replace("images/b.png", path)
        return content_digest(path)

    corners(60, 40).save("images/b.png")
    monkeypatch.setattr(job, "content_digest", replace_then_read)
    run()
    assert notes() == {"a.png": Note(AMBIGUOUS, "")}
