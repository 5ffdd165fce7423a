"""Gather what concurrent episodes wait for into full batches of an in-process model."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trim.errors import BackendError
from trim.models.protocols import Prefix, Score, Step


class BatchBackend(Protocol):
    """A model that works on many requests at once."""

    @property
    def batch_size(self) -> int:
        """How many requests it works on at once."""
        ...

    @property
    def free(self) -> int:
        """How many more requests it takes now, of its `batch_size`; the others are under way."""
        ...

    def bucket(self, request: Any) -> Hashable:
        """Name the class of a request; requests of one class can be taken together."""
        ...

    def advance(self, requests: Mapping[int, Any]) -> Mapping[int, Any]:
        """Take requests of one bucket, by ticket; work until some are answered, and return those answers by ticket."""
        ...


class WholeBatches(ABC):
    """The `BatchBackend` of a model that answers all it takes at once, by its method `run`."""

    batch_size: int

    @property
    def free(self) -> int:
        """How many requests it takes."""
        return self.batch_size

    def bucket(self, request: Any) -> Hashable:
        """Name the class of a request: all go together, unless a model says otherwise."""
        return None

    def advance(self, requests: Mapping[int, Any]) -> Mapping[int, Any]:
        """Answer the requests."""
        answers = self.run(list(requests.values()))
        if len(answers) != len(requests):
            raise BackendError(f"{len(requests)} requests got {len(answers)} answers")
        return dict(zip(requests, answers, strict=True))

    @abstractmethod
    def run(self, requests: Sequence[Any]) -> Sequence[Any]:
        """Answer at most `batch_size` requests of one bucket, in order."""


class LazyBackend:
    """A `BatchBackend` that is built when the first request arrives."""

    def __init__(self, build: Callable[[], BatchBackend], batch_size: int) -> None:
        self._unbuilt_size = batch_size
        self._build = build
        self._backend: BatchBackend | None = None

    def _built(self) -> BatchBackend:
        if self._backend is None:
            self._backend = self._build()
        return self._backend

    @property
    def batch_size(self) -> int:
        """How many requests it works on at once; a guess before it is built."""
        return self._backend.batch_size if self._backend else self._unbuilt_size

    @property
    def free(self) -> int:
        """How many more requests it takes now."""
        return self._backend.free if self._backend else self._unbuilt_size

    def bucket(self, request: Any) -> Hashable:
        """Name the class of a request."""
        return self._built().bucket(request)

    def advance(self, requests: Mapping[int, Any]) -> Mapping[int, Any]:
        """Take requests, and return the answers that are ready."""
        return self._built().advance(requests)


NOBODY = object()
"""No bucket: whose requests do not wait too long."""


@dataclass(slots=True)
class _Desk:
    """What waits for one backend, by bucket, and what it has under way, by ticket."""

    backend: BatchBackend
    queues: dict[Hashable, deque[tuple[Any, asyncio.Future[Any], int]]] = field(default_factory=dict)
    """Requests, with the number of passes there had been when they came; the oldest first."""
    taken: dict[int, asyncio.Future[Any]] = field(default_factory=dict)

    @property
    def load(self) -> int:
        """How many requests the backend would work on now."""
        waiting = max(map(len, self.queues.values()), default=0)
        return self.backend.batch_size - self.backend.free + min(waiting, self.backend.free)

    def oldest(self) -> tuple[int, Hashable] | None:
        """Return since which pass a request waits longest that the backend has room for, and its bucket."""
        if not self.queues or not self.backend.free:
            return None
        bucket, queue = min(self.queues.items(), key=lambda item: item[1][0][2])
        return queue[0][2], bucket

    def take(self, tickets: Iterator[int], overdue: Hashable = NOBODY) -> dict[int, Any]:
        """Take from the longest queue what the backend has room for, the newest: their prefixes are still in memory.

        Parameters
        ----------
        overdue
            Bucket to take from instead, the oldest.
        """
        requests = {}
        if self.queues and self.backend.free:
            late = overdue is not NOBODY
            bucket = overdue if late else max(self.queues, key=lambda key: len(self.queues[key]))
            queue = self.queues[bucket]
            taken = [queue.popleft() if late else queue.pop() for _ in range(min(len(queue), self.backend.free))]
            for request, future, _ in taken if late else taken[::-1]:
                if not future.cancelled():
                    ticket = next(tickets)
                    requests[ticket], self.taken[ticket] = request, future
            if not queue:
                del self.queues[bucket]
        return requests


class BatchLoop:
    """Runs the fullest backend whenever no episode can move without an answer.

    A backend is run only when the event loop is idle, that is when every episode waits, so
    batches are as full as the number of live episodes allows. A backend that writes row by row
    returns as soon as one is finished, so that its place can be taken by the next request.

    Parameters
    ----------
    patience
        Passes after which a request goes first, however few go with it: where new ones come without end, the fullest
        alone would keep some waiting forever. None: the fullest always.
    """

    def __init__(self, patience: int | None = None) -> None:
        self._patience = patience
        self._passes = 0
        self._desks: dict[int, _Desk] = {}
        self._tickets = itertools.count()
        self._asked = 0
        self._seen = 0
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def submit(self, backend: BatchBackend, request: Any) -> Any:
        """Wait for the answer to one request."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # an earlier one may have ended by an error, with requests still waiting
            self._loop = loop
            self._desks.clear()
            self._scheduled = False
        future: asyncio.Future[Any] = loop.create_future()
        desk = self._desks.setdefault(id(backend), _Desk(backend))
        desk.queues.setdefault(backend.bucket(request), deque()).append((request, future, self._passes))
        self._asked += 1
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._tick)
        return await future

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        if self._asked != self._seen:  # episodes are still moving: let them reach their next request
            self._seen = self._asked
            loop.call_soon(self._tick)
            return
        self._run_fullest()
        self._seen = -1
        self._scheduled = any(desk.queues or desk.taken for desk in self._desks.values())
        if self._scheduled:
            loop.call_soon(self._tick)

    def _run_fullest(self) -> None:
        self._passes += 1
        desk, overdue = self._next()
        requests = desk.take(self._tickets, overdue)
        try:
            answers = desk.backend.advance(requests)
        except Exception as error:
            for future in desk.taken.values():
                if not future.done():
                    future.set_exception(error)
            desk.taken.clear()
            return
        for ticket, answer in answers.items():
            if ticket not in desk.taken:
                continue  # asked for in an event loop that has ended
            future = desk.taken.pop(ticket)
            if not future.done():
                future.set_result(answer)

    def _next(self) -> tuple[_Desk, Hashable]:
        """Return the desk whose turn it is, and the bucket that waited too long, if that is why."""
        if self._patience is not None:
            waiting = [(desk, *oldest) for desk in self._desks.values() if (oldest := desk.oldest())]
            for desk, since, bucket in sorted(waiting, key=lambda one: one[1])[:1]:
                if self._passes - since > self._patience:
                    return desk, bucket
        return max(self._desks.values(), key=lambda desk: desk.load), NOBODY


class BatchedStepModel:
    """A `StepModel` over an in-process backend whose requests are (prefix, replicate)."""

    def __init__(self, backend: BatchBackend, identity: str, loop: BatchLoop) -> None:
        self.identity = identity
        self._backend = backend
        self._loop = loop

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the step that follows the prefix."""
        step: Step = await self._loop.submit(self._backend, (prefix, replicate))
        return step


class BatchedStepScorer:
    """A `StepScorer` over an in-process backend whose requests are prefixes that end with the step to judge."""

    def __init__(self, backend: BatchBackend, identity: str, loop: BatchLoop) -> None:
        self.identity = identity
        self._backend = backend
        self._loop = loop

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Return the probability that the step is right given the prefix."""
        score: Score = await self._loop.submit(self._backend, prefix.extend(step))
        return score
