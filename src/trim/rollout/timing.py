"""Where the time of an episode goes: models and routers that note how long each answer took, in the order of events."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trim.arrays import Booleans, Floats
from trim.models.batching import BatchBackend
from trim.models.protocols import Prefix
from trim.rollout.history import Observed, Reads, Router

if TYPE_CHECKING:
    import torch

    from trim.models.reading import Writer

Part = Literal["draft", "strong", "prm", "router"]


@dataclass(frozen=True, slots=True)
class Event:
    """An answer that somebody waited for.

    Attributes
    ----------
    part
        Who gave it.
    seconds
        How long it took.
    reading
        What of it went by until the model had read its input; 0 where nobody watched.
    """

    part: Part
    seconds: float
    reading: float = 0.0


@dataclass(slots=True)
class Stopwatch:
    """The events since it was set to zero.

    Attributes
    ----------
    clock
        Returns seconds: of the wall, or of the processor where others compute beside us.
    """

    clock: Callable[[], float]
    events: list[Event] = field(default_factory=list)


class TimedReader:
    """A `Writer` that says how much of the passes behind which rows are written went into reading.

    A pass that reads what stands before new rows and writes to others counts for both, by their tokens.
    """

    def __init__(self, reader: Writer, watch: Stopwatch) -> None:
        self._reader, self._watch = reader, watch
        self._opened = self._unread = 0
        self.reading = 0.0

    def __getattr__(self, name: str) -> Any:
        """Return what the reader has under a name."""
        return getattr(self._reader, name)

    def open(self, prefix: Prefix, tokens: int) -> int:
        """Begin a row."""
        self._opened += 1
        self._unread += unread(self._reader, prefix)
        return self._reader.open(prefix, tokens)

    def logits(self) -> tuple[list[int], torch.Tensor]:
        """Return some open rows, and the logits of their next tokens."""
        begun = self._watch.clock()
        found = self._reader.logits()
        if self._opened:
            share = self._unread / (self._unread + len(found[0]) - self._opened)
            self.reading += share * (self._watch.clock() - begun)
            self._opened = self._unread = 0
        return found


def unread(reader: Writer, prefix: Prefix) -> int:
    """Return how many tokens of a prefix a reader has to read: the last one at least."""
    states = (reader.memory.get(node.digest) for node in prefix.lineage())
    known = max((state.length for state in states if state is not None), default=0)
    return max(reader.prompts.length(prefix) - known, 1)


class TimedBackend:
    """A `BatchBackend` that notes an event whenever it answers.

    Parameters
    ----------
    reader
        With which it reads what stands before its answers, if somebody watches that.
    """

    def __init__(self, backend: BatchBackend, part: Part, watch: Stopwatch, reader: TimedReader | None = None) -> None:
        self._backend, self._part, self._watch, self._reader = backend, part, watch, reader

    @property
    def batch_size(self) -> int:
        """Most requests at once."""
        return self._backend.batch_size

    @property
    def free(self) -> int:
        """How many more requests it takes now."""
        return self._backend.free

    def bucket(self, request: Any) -> Hashable:
        """Name the class of a request."""
        return self._backend.bucket(request)

    def advance(self, requests: Mapping[int, Any]) -> Mapping[int, Any]:
        """Answer requests."""
        begun, read = self._watch.clock(), self._reader.reading if self._reader else 0.0
        answers = self._backend.advance(requests)
        reading = self._reader.reading - read if self._reader else 0.0
        self._watch.events.append(Event(self._part, self._watch.clock() - begun, reading))
        return answers


@dataclass(frozen=True, slots=True)
class TimedRouter:
    """A router that notes how long each decision took."""

    router: Router
    watch: Stopwatch

    @property
    def reads(self) -> Reads:
        """Which scores `decide` needs."""
        return self.router.reads

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Tell which episodes want a draft."""
        return self.router.wants_drafts(after_strong)

    def decide(self, observed: Observed) -> Booleans:
        """Decide."""
        begun = self.watch.clock()
        decided = self.router.decide(observed)
        self.watch.events.append(Event("router", self.watch.clock() - begun))
        return decided


def hidden_seconds(events: Iterable[Event]) -> float:
    """Return what one episode would save if each step were drafted as soon as the text before it is there.

    The weak model then drafts behind a step while the PRM reads that step and the router decides on it, on hardware of
    its own: a draft is thrown away where the step is written again, and else hides the waiting, or as much of it as
    the draft is long.
    """
    hidden = waited = 0.0
    for event in events:
        if event.part in ("prm", "router"):
            waited += event.seconds
            continue
        if event.part == "draft":
            hidden += min(waited, event.seconds)
        waited = 0.0
    return hidden


def equal_share(seconds: Floats, weak: Floats, strong: Floats) -> Floats:
    """Return the share of whole problems that go to the strong model where both together take so long on average.

    Below 0 for what is faster than the weak model alone, above 1 for what is slower than the strong one; NaN where the
    weak model is no faster than the strong one, so that no share says how long it takes.
    """
    apart = np.where(strong > weak, strong - weak, np.nan)
    return np.asarray((seconds - weak) / apart)
