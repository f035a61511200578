"""What a server that forks jobs and Snakemake's process say to each other: pickled, with their length in front."""

import pickle
import socket
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from .interpreter import Report

LENGTH = struct.Struct("=Q")

GRACE = 3.0  # seconds that interrupted scripts have to clean up after themselves


class Load(NamedTuple):
    """Import modules."""

    modules: list[str]


class Start(NamedTuple):
    """Run a job: the fields of a `Job`. Its script comes with its first job, and later has no config."""

    number: int
    script: int
    fields: tuple[Any, ...]


class Loaded(NamedTuple):
    """The server has imported modules. If one of those in `rejected` was among them, it does not fork any more."""

    rejected: list[str]


class Started(NamedTuple):
    """The process of a job has started."""

    number: int
    pid: int


class Ended(NamedTuple):
    """The process of a job has ended, with an exit code as of os.waitstatus_to_exitcode(), after `seconds`."""

    number: int
    code: int
    seconds: float
    report: Report | None


Event = Loaded | Started | Ended


def frame(message: Load | Start | Event) -> bytes:
    """Return a message as it is sent."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(content)) + content


class Reader:
    """Puts messages together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._buffer += data

    def messages(self) -> Iterator[Any]:
        """Yield the messages that are complete."""
        while len(self._buffer) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            content = bytes(self._buffer[LENGTH.size : end])
            del self._buffer[:end]
            yield pickle.loads(content)


def receive(connection: socket.socket) -> Any:
    """Wait for one message and return it, or None if the other side has closed the connection."""
    header = receive_bytes(connection, LENGTH.size)
    content = header and receive_bytes(connection, LENGTH.unpack(header)[0])
    return pickle.loads(content) if content else None


def receive_bytes(connection: socket.socket, count: int) -> bytes:
    """Wait for this many bytes and return them, or none if the other side has closed the connection."""
    data = bytearray(count)
    view, found = memoryview(data), 0
    while found < count:
        try:
            size = connection.recv_into(view[found:])
        except OSError:
            size = 0
        if not size:
            return b""
        found += size
    return bytes(data)
