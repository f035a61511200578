"""The work of one job of the rule `thumbnail`, in its worker: one picture, all its thumbnails.

Needs the standard library and Pillow only, as it also runs in the environment of envs/thumbnail.yaml.
"""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from thumbmill import failures
from thumbmill.catalog.digests import AMBIGUOUS, Note, content_digest, write_note
from thumbmill.catalog.history_file import history_path
from thumbmill.catalog.layout import MAX_NAME_BYTES, Layout
from thumbmill.errors import MemoryLimitError, PictureError, StoreError
from thumbmill.failures import Failure
from thumbmill.files import remove_file, write_lines
from thumbmill.imaging.thumbnails import Thumbnail, make_thumbnails
from thumbmill.run.limits import limited
from thumbmill.text import printable

# The settings that make_thumbnails() takes by their own names.
PICTURE_SETTINGS = ("quality", "background", "max_pixels", "linear", "animated", "resampler", "damaged", "read")


def run_job(
    picture: Sequence[Any], inputs: Sequence[str], outputs: Sequence[str], log: str, config: Mapping[str, Any]
) -> None:
    """Make the thumbnails of a picture at the paths `outputs`; `picture` is what History.identity() says of it.

    `inputs` is the local path of the source, or nothing if Snakemake has none to offer. `config` holds the settings,
    and the `worker_memory` in MB. What is wrong with the picture goes to the file `log`, which is absent if nothing is.

    Raises PictureError, whose message names the source.
    """
    warnings.simplefilter("ignore")  # Pillow's about odd metadata: what matters becomes a note or an error
    layout = Layout(config)
    name: str = picture[0]
    source = layout.source.path(name)
    remove_file(log)  # an earlier run's: it may no longer be true
    last_change = change_time(source)
    try:
        notes = make_picture(layout, name, inputs, outputs, config)
        note_content(layout, picture, last_change, config)
        if notes:
            write_lines(log, notes)
    except (PictureError, OSError) as error:
        failure = (
            error.failure if isinstance(error, PictureError) else failures.not_written(error.filename or log, error)
        )
        with contextlib.suppress(OSError):  # the disk may be full; the reason is reported all the same
            write_lines(log, [failure.log_line()])
        raise PictureError(Failure(failure.kind, printable(f"{source}: {failure.text}"))) from error


def make_picture(
    layout: Layout, name: str, inputs: Sequence[str], outputs: Sequence[str], config: Mapping[str, Any]
) -> list[str]:
    """Make the thumbnails of one picture within the limits of time and memory; return notes for its owner.

    Raises PictureError.
    """
    if layout.is_too_long(name):
        raise PictureError(failures.name_too_long(MAX_NAME_BYTES))
    forbidden, where = layout.forbidden_in(name)
    if forbidden:
        raise PictureError(failures.name_forbidden(forbidden, where))
    with (
        local_source(layout, name, inputs) as source,
        reported_memory_limit(config),
        limited(config["max_seconds"], config["worker_memory"]),
    ):
        try:
            return make_renditions(source, outputs, layout, config)
        except PictureError:
            folders = {os.path.dirname(path) for path in outputs}
            if not layout.output.is_remote or all(map(os.path.isdir, folders)):
                raise
            # These are Snakemake's copies of objects. When the run of one shard ends, it removes their folder if it is
            # empty, though another shard's worker is about to write there.
            for folder in folders:
                os.makedirs(folder, exist_ok=True)
            return make_renditions(source, outputs, layout, config)


def note_content(layout: Layout, picture: Sequence[Any], last_change: int, config: Mapping[str, Any]) -> None:
    """Note what content of a `picture` thumbnails were made from, for later runs to compare it with.

    `last_change` is the source's change_time() before they were made.
    """
    if layout.source.is_remote:
        return  # the listing says it
    source = layout.source.path(picture[0])
    version = picture[-1] if len(picture) > 2 and isinstance(picture[-1], str) else ""
    with contextlib.suppress(OSError):  # then they have nothing to compare with
        digest = content_digest(source)
        if change_time(source) != last_change:
            digest = AMBIGUOUS
        write_note(history_path(config["output"]), picture[0], Note(digest, version))


def change_time(path: str) -> int:
    """Return when the inode of the file at `path` last changed, in nanoseconds since the epoch; 0 if there is none."""
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return 0


def make_renditions(source: str, paths: Iterable[str], layout: Layout, config: Mapping[str, Any]) -> list[str]:
    """Make the thumbnails of the file `source` that the settings ask for, at `paths`, in the order of the renditions.

    Return and raise what make_thumbnails() does.
    """
    return make_thumbnails(
        source,
        [Thumbnail(path, kind.size, kind.format) for path, kind in zip(paths, layout.renditions, strict=True)],
        **{setting: config[setting] for setting in PICTURE_SETTINGS},
    )


@contextlib.contextmanager
def local_source(layout: Layout, name: str, inputs: Sequence[str]) -> Iterator[str]:
    """Yield the path of a local file that holds the source of the picture `name`. Raises PictureError."""
    path = layout.source.path(name) if layout.source.is_remote or not inputs else inputs[0]
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(layout.source.fetch(path))
        except StoreError as error:
            raise PictureError(failures.not_fetched(error)) from error
        yield file


@contextlib.contextmanager
def reported_memory_limit(config: Mapping[str, Any]) -> Iterator[None]:
    """Add to the failure of a picture that needs too much memory how much there was, and what to do."""
    try:
        yield
    except MemoryLimitError as error:
        failure = failures.over_memory_limit(error.failure, config["worker_memory"], config["max_memory"])
        raise PictureError(failure) from error
