"""Digests of the pictures' content, by which a replaced picture is known from one that only looks replaced.

A job notes the digest of its source right after it has made thumbnails of it, when the file is still in memory: that
takes a few hundredths of the job's time. At the run's end the history takes over the notes. Each process has a file of
its own, since shards may work on several machines.
"""

import glob
import json
import os
import socket
import zlib
from typing import NamedTuple

CHUNK = 1 << 16  # bytes read at a time; larger ones cost a system call each for their memory
AMBIGUOUS = "ambiguous"  # the digest of a file that changed while it was read: that of no content


class Note(NamedTuple):
    """What a job knows of its source: the digest of its content, and its version, see History.version()."""

    digest: str
    version: str


def content_digest(path: str) -> str:
    """Return a digest of the content of the file `path`: its CRC-32, in hexadecimal. Raises OSError.

    Accidents are what it has to notice: two pictures of the same size have the same one once in four billion times.
    """
    digest = 0
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest = zlib.crc32(chunk, digest)
    return f"{digest:08x}"


def write_note(history_path: str, name: str, note: Note) -> None:
    """Add a note on the picture `name` for the history in the file `history_path`. Raises OSError."""
    path = f"{notes_prefix(history_path)}{socket.gethostname()}-{os.getpid()}"
    line = f"{json.dumps([name, *note])}\n".encode()
    try:
        file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed below)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(path, "ab", buffering=0)  # noqa: SIM115
    with file:
        file.write(line)  # at once, so that threads do not mix their lines


def read_notes(history_path: str) -> tuple[dict[str, Note], list[str]]:
    """Return the last note on each picture, by name, and the files in which there are notes. Raises OSError."""
    paths = sorted(glob.glob(f"{glob.escape(notes_prefix(history_path))}*"), key=os.path.getmtime)
    notes = {}
    for path in paths:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                try:
                    name, digest, version = json.loads(line)
                except ValueError:  # cut off as the power went
                    continue
                notes[name] = Note(digest, version)
    return notes, paths


def notes_prefix(history_path: str) -> str:
    """Return how the paths of the notes for a history begin."""
    return history_path.removesuffix(".json") + "-digests-"
