"""Why a picture has no thumbnail, as values: a kind that programs compare, and the text that its owner reads.

All texts about a single picture are here, so that rewording one changes no code that decides a pixel. A failure crosses
the border between worker and controller as a line of the job's log, and between runs as a line of logs/failures.tsv.
"""

import errno
import re
from enum import StrEnum
from typing import NamedTuple

from thumbmill.text import one_line, plural, printable


class Kind(StrEnum):
    """What went wrong."""

    DAMAGED = "damaged"  # the decoder gave up; `damaged: make` overrides this one
    UNSUPPORTED = "unsupported"  # not a picture, or in a format, or of a kind, that is not read
    LIBRARY_MISSING = "library-missing"
    TOO_LARGE = "too-large"
    EMPTY = "empty"
    NOT_A_FILE = "not-a-file"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    MODIFIED = "modified"  # changed or removed while it was being made
    NAME_TOO_LONG = "name-too-long"
    NAME_FORBIDDEN = "name-forbidden"
    OUT_OF_MEMORY = "out-of-memory"
    TIMED_OUT = "timed-out"
    KILLED = "killed"
    CRASHED = "crashed"
    NOT_ENCODED = "not-encoded"  # the thumbnail's format cannot hold it
    NOT_WRITTEN = "not-written"
    DISK_FULL = "disk-full"
    NOT_FETCHED = "not-fetched"
    FUTURE_DATE = "future-date"
    STOPPED = "stopped"  # the run ended before its turn
    SHARD_DIED = "shard-died"
    UNKNOWN = "unknown"


# A process that opens such a picture may not survive it: the controller must not.
DEADLY_KINDS = frozenset({Kind.UNKNOWN, Kind.TIMED_OUT, Kind.KILLED, Kind.CRASHED})

LOG_LINE = re.compile(r"error\[([a-z-]+)\]: (.*)")

# What to do where a file cannot be written, by the error's number.
WRITE_ADVICE = {
    errno.ENOSPC: "free some space on its disk and run again",
    errno.EDQUOT: "free some space or raise the quota, and run again",
    errno.EFBIG: "it is larger than the disk or the shell's limit (ulimit -f) allows",
    errno.EROFS: "remount it for writing and run again",
    errno.EACCES: "check write permission and run again",
    errno.EPERM: "check write permission and run again",
    errno.EISDIR: "a folder is in its place; move it away and run again",
    errno.ENOTDIR: "a file is where its folder should be; move it away and run again",
    errno.ENOENT: "its folder was removed during the run; run again",
    errno.EMFILE: "raise the open-file limit (ulimit -n) or use fewer --cores",
    errno.EINVAL: "its file system may not allow such a name: rename the picture, or choose another output",
    errno.EILSEQ: "its file system does not allow such a name: rename the picture, or choose another output",
    errno.ENAMETOOLONG: "shorten the picture's name",
}
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class Failure(NamedTuple):
    """Why a picture has no thumbnail: the kind, and one line for the picture's owner."""

    kind: Kind
    text: str

    def log_line(self) -> str:
        """Return the failure as the line of a job's log that `parse_log_line` reads."""
        return f"error[{self.kind}]: {self.text}"


def parse_log_line(line: str) -> Failure | None:
    """Return the failure that a line of a job's log holds; None if it holds none."""
    match = LOG_LINE.fullmatch(line)
    if not match:
        return None
    return Failure(Kind(match[1]), match[2]) if match[1] in set(Kind) else Failure(Kind.UNKNOWN, match[2])


def damaged(detail: object) -> Failure:
    """The decoder gave up, and said why in `detail`."""
    return Failure(Kind.DAMAGED, f"damaged: {one_line(detail)}")


def unsupported(what: str, advice: str) -> Failure:
    """The file is in no format that is read: `what` ("a PDF document"), and what to do about it."""
    return Failure(Kind.UNSUPPORTED, f"unsupported image format: {what}; {advice}")


def undecodable(what: str) -> Failure:
    """A sound picture in a format that is read, but of a kind that no library here decodes rightly."""
    return Failure(Kind.UNSUPPORTED, f"{what}, a kind that cannot be read: save it as an ordinary TIFF, PNG or JPEG")


def not_switched_on(what: str, value: str) -> Failure:
    """A picture in a format that is only read if the setting `read` says so."""
    return Failure(Kind.UNSUPPORTED, f"{what}: to have it made, set `read: [{value}]`")


def heic_library_missing() -> Failure:
    """A HEIC picture, and no library to decode it."""
    return Failure(
        Kind.LIBRARY_MISSING,
        "a HEIC picture, which needs a library that is not installed: pip install '.[heif]', or pillow-heif",
    )


def archive_library_missing(what: str) -> Failure:
    """A TIFF or JPEG that Pillow cannot read, and no library that can."""
    return Failure(
        Kind.LIBRARY_MISSING,
        f"{what}, which needs libraries that are not installed: pip install '.[archive]', or tifffile and imagecodecs",
    )


def jpegxl_library_missing() -> Failure:
    """A JPEG XL picture, and no library to decode it."""
    return Failure(
        Kind.LIBRARY_MISSING,
        "a JPEG XL picture, which needs a library that is not installed: pip install '.[jpegxl]', or pillow-jxl-plugin",
    )


def too_large(width: int, height: int, max_pixels: int, frames: int = 1) -> Failure:
    """The picture has more pixels, over all its frames, than `max_pixels` allows."""
    size = f"{width} x {height} is" if frames == 1 else f"{frames} frames of {width} x {height} are"
    return Failure(
        Kind.TOO_LARGE,
        f"too large: {size} {width * height * frames:,} pixels, and max_pixels allows {max_pixels:,}",
    )


def empty_file() -> Failure:
    """The file has no bytes."""
    return Failure(Kind.EMPTY, "the file is empty")


def unlistable_folder() -> Failure:
    """A folder of the catalogue cannot be listed."""
    return Failure(Kind.UNREADABLE, "a folder that cannot be listed: check its permissions")


def not_a_file() -> Failure:
    """A pipe, a socket or a device has the name of a picture."""
    return Failure(Kind.NOT_A_FILE, "not a file: a pipe, a socket or a device")


def modified() -> Failure:
    """The source changed while its thumbnails were being made."""
    return Failure(Kind.MODIFIED, "source changed while being read (still copying?); run again")


def removed() -> Failure:
    """The source was removed between the listing and its job."""
    return Failure(Kind.MISSING, "removed after the catalogue was listed")


def unreadable(error: OSError) -> Failure:
    """The source cannot be opened or read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Failure(Kind.MISSING, "no such file (a broken link?)")
    if isinstance(error, PermissionError):
        return Failure(Kind.UNREADABLE, "permission denied: make the file readable")
    if error.errno == errno.ELOOP:
        return Failure(Kind.UNREADABLE, "a link that points to itself")
    return Failure(Kind.UNREADABLE, f"cannot be read: {error.strerror}")


def name_too_long(limit: int) -> Failure:
    """A part of the thumbnail's path would have more than `limit` bytes."""
    return Failure(
        Kind.NAME_TOO_LONG, f"its thumbnail's name would be too long (over {limit} bytes in one part); shorten the name"
    )


def name_forbidden(part: str, where: str) -> Failure:
    """The file system of the folder `where` allows no name with this `part`."""
    folder = "the working directory" if where == "." else printable(where)
    shown = {" ": "a space at the end", ".": "a dot at the end"}.get(part, part)
    return Failure(
        Kind.NAME_FORBIDDEN,
        f"the file system of {folder} does not allow its name ({shown}): rename it, or choose another folder",
    )


def out_of_memory(activity: str) -> Failure:
    """There was too little memory for the `activity` ("decode it", "save it as png")."""
    return Failure(Kind.OUT_OF_MEMORY, f"not enough memory to {activity}")


def over_memory_limit(failure: Failure, megabytes: int, max_memory: int) -> Failure:
    """The failure of a worker limited to `megabytes`, with advice: the setting `max_memory` may allow more."""
    advice = "raise max_memory" if megabytes >= max_memory else "its share of the machine's; use fewer --cores"
    return Failure(Kind.OUT_OF_MEMORY, f"{failure.text}: a worker may use {megabytes:,} MB ({advice})")


def timed_out() -> Failure:
    """The picture took longer than the setting max_seconds allows."""
    return Failure(Kind.TIMED_OUT, "took longer than max_seconds allows: if the picture is sound, raise that setting")


def killed(signal: str) -> Failure:
    """Something killed the worker."""
    return Failure(
        Kind.KILLED, f"its worker was killed, {signal}: by the system, if memory ran out (then lower max_memory)"
    )


def crashed(signal: str) -> Failure:
    """The decoder crashed its worker."""
    return Failure(Kind.CRASHED, f"its decoder crashed, {signal}: the file is broken or malicious")


def not_encoded(format: str, width: int, height: int, detail: object) -> Failure:
    """The encoder of `format` refused a thumbnail of this size in pixels."""
    return Failure(Kind.NOT_ENCODED, one_line(f"cannot be saved as {format} at {width}x{height}: {detail}"))


def not_written(path: str, error: OSError) -> Failure:
    """The file at `path` cannot be written."""
    advice = WRITE_ADVICE.get(error.errno or 0)
    kind = Kind.DISK_FULL if error.errno in DISK_FULL_ERRNOS else Kind.NOT_WRITTEN
    text = f"cannot write {printable(path)}: {error.strerror}"
    return Failure(kind, f"{text}; {advice}" if advice else text)


def not_fetched(error: Exception) -> Failure:
    """The object storage did not deliver the source."""
    return Failure(Kind.NOT_FETCHED, f"cannot be fetched: {error}")


def future_date(date: str) -> Failure:
    """The source's date lies in the future."""
    return Failure(
        Kind.FUTURE_DATE,
        f"dated in the future ({date}), which Snakemake rejects: `touch` it or set the clock, and run again",
    )


def stopped() -> Failure:
    """The run ended before this picture's turn."""
    return Failure(Kind.STOPPED, "not made: the run was stopped before its turn")


def shard_died() -> Failure:
    """The shard that had this picture ended before its turn."""
    return Failure(Kind.SHARD_DIED, "not made: its shard ended before its turn; logs/shards/ may say why")


def unknown() -> Failure:
    """The job failed without leaving a reason."""
    return Failure(
        Kind.UNKNOWN,
        "the worker exited without reporting an error: it crashed, was killed, or took longer than max_seconds allows; "
        "Snakemake's own log, named above, says which",
    )


# Warnings: what is wrong with a picture that was made all the same.


def made_despite(failure: Failure) -> str:
    """A damaged picture was made because of `damaged: make`."""
    return f"{failure.text}; made from what could be decoded"


def broken_exif(detail: object) -> str:
    """The EXIF block cannot be read."""
    return f"broken EXIF block: {one_line(detail)}"


def profile_ignored(detail: object) -> str:
    """The colour profile cannot be used."""
    return f"colour profile ignored: {one_line(detail)}"


def properties_ignored(detail: object) -> str:
    """The boxes of an AVIF or HEIC file that say how its picture is to be shown cannot be read."""
    return f"its container's cropping and colours are ignored: {one_line(detail)}"


def cropped_to_nothing() -> str:
    """The container of an AVIF file crops off all of its picture."""
    return "its container's cropping is ignored: it would leave nothing"


def chunks_ignored(names: list[str]) -> str:
    """Chunks of a PNG that it can do without have wrong checksums."""
    return one_line(f"chunks with a wrong checksum ignored: {', '.join(names)}")


def malformed_parts_ignored(names: list[str]) -> str:
    """Parts of a file that it can do without are too short, or make no sense."""
    return one_line(f"malformed parts of its header ignored: {', '.join(names)}")


def end_marker_missing() -> str:
    """The file stops before its format's end marker."""
    return "its end marker is missing"


def bytes_after_end(count: int) -> str:
    """The file goes on behind its format's end marker."""
    return f"{plural(count, 'byte')} behind its end {'is' if count == 1 else 'are'} no part of the picture"


def padded(count: int) -> str:
    """The file goes on with zeros behind its format's end marker."""
    return f"padded with {plural(count, 'zero byte')} behind its end"
