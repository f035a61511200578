"""The queue of the jobs that wait for cores."""

import heapq
import itertools
from typing import Any, NamedTuple

from .tasks import Task


class QueuedJob(NamedTuple):
    """A job in the queue, ordered by rank, then by order. `task` is there once the job has been prepared."""

    rank: float
    order: int
    job: Any
    task: Task | None


class JobQueue:
    """Jobs by priority, then in the order in which they came. Prepared jobs come first within their priority."""

    def __init__(self) -> None:
        self._heap: list[QueuedJob] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, job: Any, task: Task | None = None) -> None:
        """Add a job, with its task if it has been prepared."""
        order = next(self._order)
        heapq.heappush(self._heap, QueuedJob(-job.priority, order if task is None else -order, job, task))

    def put_back(self, entry: QueuedJob) -> None:
        """Put a job back where it was."""
        heapq.heappush(self._heap, entry)

    def first(self) -> QueuedJob:
        """Return the job that is first in line, and leave it there."""
        return self._heap[0]

    def pop(self) -> QueuedJob:
        """Remove the job that is first in line, and return it."""
        return heapq.heappop(self._heap)
