"""The time and memory that one picture may take."""

import contextlib
import resource
import signal
import threading
from collections.abc import Iterator

from thumbmill.errors import MemoryLimitError

BYTES_PER_MEGABYTE = 1_000_000


@contextlib.contextmanager
def limited(seconds: float, megabytes: int) -> Iterator[None]:
    """Limit this process to `seconds` of time and `megabytes` (1,000,000 bytes) of memory of its own inside the block.

    After that time SIGALRM ends the process, whatever it does: nothing less ends a decoder that never returns. Memory
    beyond the limit is refused, hence MemoryError. After a MemoryLimitError the limit stays another than it was, as a
    sign that the process should not be used again: a library that was refused memory may have lost what it had.

    No-op in a thread, as both are limits of a whole process. macOS counts only the time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Memory that only this process has, allocated in whatever way (Linux 4.7; man 2 getrlimit).
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    outer = [given for given in (before, hard) if given != resource.RLIM_INFINITY]
    limit = megabytes * BYTES_PER_MEGABYTE
    if signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    resource.setrlimit(resource.RLIMIT_DATA, (min([limit, *outer]), hard))
    afterwards = before
    try:
        yield
    except MemoryLimitError:
        afterwards = min([2 * limit, *outer])  # enough to report it
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (afterwards, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
