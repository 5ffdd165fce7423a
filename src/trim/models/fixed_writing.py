"""Steps written in passes of fixed shape: rows come and go, and no bit of one depends on the others.

Each row's keys and values stand in slots of its own, the first token in the first. A pass feeds one token to each of a
fixed number of rows, over as many slots as the tokens' positions ask for: so its shape, and all that is computed for a
token, depends on the tokens before it alone, not on whether the model drew it here or reads what another one wrote.
Therefore a finished row's place can be taken at once, and what is known after a step is kept for the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any

import torch

from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.reading import Outputs, PrefixState
from trim.models.transformers_backend import FixedShapeReader, block_width

SLOTS = 64
"""Passes have a multiple of so many slots."""

OPEN_PASSES = 4
"""Rows that may be open, in passes: their positions differ, so that they go in passes of several shapes."""

PROBLEM_ROWS = 4
"""Of a pass that reads problems: they come few at a time."""

KEPT_BYTES = 1 << 30
"""What passes may take, all together, before those that no row needs now are given up."""

MOST_PASSED_OVER = 16
"""Passes that go to others before a shape goes first: under endless load no row waits for ever."""


@dataclass(slots=True)
class _Row:
    """A step that is being written.

    Attributes
    ----------
    known
        What is known of its tokens while it has no place, the first ones first; empty while it has one.
    length
        How many of its tokens the model has taken.
    pending
        Those that it takes next: the end of its prefix, or the token that was drawn last.
    """

    number: int
    prefix: Prefix
    known: list[PrefixState]
    length: int
    pending: deque[int]


class _Slots:
    """Keys and values of the rows of one shape; speaks the cache protocol of transformers.

    What an earlier row left in a slot that is not looked at is finite and gets a weight of exactly zero.
    """

    is_compileable = False

    def __init__(self, like: torch.Tensor, rows: int, length: int) -> None:
        layers, _, heads, _, size = like.shape
        self.length = length
        self.rows: list[_Row | None] = [None] * rows
        self.waiting: deque[_Row] = deque()
        self.passed_over = 0
        self._data = like.new_zeros(layers, 2, rows, heads, length, size)
        self._all = torch.arange(rows, device=like.device)
        self._slots = torch.arange(length, device=like.device)
        self._at = self._all

    @property
    def nbytes(self) -> int:
        """What keys and values take."""
        return self._data.nbytes

    @property
    def ready(self) -> int:
        """How many rows the next pass would serve."""
        placed = sum(row is not None for row in self.rows)
        return min(len(self.rows), placed + len(self.waiting))

    def fill(self) -> list[tuple[int, int]]:
        """Give rows that wait the places that are free; return their numbers and places."""
        filled = []
        for place, row in enumerate(self.rows):
            if row is None and self.waiting:
                taken = self.rows[place] = self.waiting.popleft()
                for state in taken.known:
                    end = min(state.length, taken.length)
                    if end > state.start:
                        self._data[:, :, place, :, state.start : end] = state.cache[:, :, :, : end - state.start]
                taken.known = []
                filled.append((taken.number, place))
        return filled

    def feed(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take a token of each row: return ids and positions, shape (rows, 1), and visible slots, (rows, 1, slots)."""
        ids = [row.pending.popleft() if row else 0 for row in self.rows]
        self._at = torch.tensor([row.length if row else 0 for row in self.rows], device=self._all.device)
        for row in self.rows:
            if row:
                row.length += 1
        tokens = torch.tensor(ids, device=self._all.device)
        return tokens[:, None], self._at[:, None], (self._slots <= self._at[:, None])[:, None]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the tokens' keys and values into their slots, and return all slots."""
        self._data[layer, 0][self._all, :, self._at] = keys[:, :, 0]
        self._data[layer, 1][self._all, :, self._at] = values[:, :, 0]
        return self._data[layer, 0], self._data[layer, 1]

    def get_seq_length(self, layer: int = 0) -> int:
        """Return the number of slots before the last."""
        return self.length - 1

    def known(self, place: int, start: int, end: int) -> PrefixState:
        """Copy what is known of some of a row's tokens."""
        nothing = self._data.new_empty(0)
        return PrefixState(
            cache=self._data[:, :, place, :, start:end].clone(),
            hidden=nothing,
            logits=nothing,
            likelihood=nothing,
            logprobs=nothing,
            start=start,
        )


class FixedShapeWriter:
    """A `Writer` whose every pass has a shape that depends on the tokens that it is about.

    Parameters
    ----------
    model
        As `load_model` returns it.
    prompts
        How prefixes become tokens.
    rows
        Of a pass.
    cache_bytes
        How much memory the states of live prefixes may take.
    """

    outputs: Outputs = "logits"

    def __init__(self, model: Any, prompts: PrefixTokenizer, *, rows: int = 64, cache_bytes: int = 1 << 29) -> None:
        self._problems = FixedShapeReader(model, prompts, cache_bytes=cache_bytes, rows=PROBLEM_ROWS)
        self.model, self.prompts = self._problems.model, prompts
        self.memory = self._problems.memory
        self.max_length = self._problems.max_length
        self.batch_size = OPEN_PASSES * rows
        self._pass_rows = rows
        self._shapes: dict[int, _Slots] = {}
        self._places: dict[int, tuple[_Slots, int]] = {}
        self._opened: list[_Row] = []
        self._numbers = 0
        self._open = 0

    @property
    def free(self) -> int:
        """How many more rows can be opened now."""
        return self.batch_size - self._open

    def bucket(self, prefix: Prefix) -> Hashable:
        """All prefixes go together; refuse those whose problem is too long to be read."""
        block_width(len(self.prompts.blocks(prefix)[0]))
        return None

    def room(self, prefix: Prefix) -> int:
        """How many tokens the model's context leaves for a step behind a prefix."""
        return self.max_length - self.prompts.length(prefix)

    def open(self, prefix: Prefix, tokens: int) -> int:
        """Begin a row behind a prefix."""
        self._numbers += 1
        self._open += 1
        self._opened.append(_Row(self._numbers, prefix, [], 0, deque()))
        return self._numbers

    @torch.inference_mode()
    def logits(self) -> tuple[list[int], torch.Tensor]:
        """Run a pass, or several, until the next token of some rows can be drawn: return those and their logits."""
        if self._opened:
            self._begin()
        while True:
            slots = self._next()
            self._places |= {number: (slots, place) for number, place in slots.fill()}
            hidden = self._problems.forward(*slots.feed(), slots)
            ready = []
            for place, row in enumerate(slots.rows):
                if row and row.pending:
                    self._move(row)
                elif row:
                    ready.append((row.number, place))
            if ready:
                numbers, places = zip(*ready, strict=True)
                return list(numbers), self._problems.head(hidden[:, 0])[list(places)]

    def feed(self, row: int, token: int) -> None:
        """Write a token to a row."""
        slots, place = self._places[row]
        written = slots.rows[place]
        assert written is not None
        written.pending.append(token)
        self._move(written)

    def close(self, row: int, child: Prefix, written: Sequence[int], logprobs: Sequence[float]) -> None:
        """End a row, and keep what it knows of its prefix and of the child."""
        slots, place = self._places.pop(row)
        closed, slots.rows[place] = slots.rows[place], None
        assert closed is not None
        self._open -= 1
        length = self.prompts.length(closed.prefix)
        # A step's text may be cut into other tokens when it is read than it was written in: what agrees is kept.
        same = len(commonprefix([self.prompts.block_ids(child), list(written)]))
        for prefix, end in ((closed.prefix, length), (child, min(length + same, closed.length))):
            if self.memory.get(prefix.digest) is None:
                self.memory.keep(prefix, slots.known(place, self.memory.covered(prefix), end))

    def abandon(self) -> None:
        """Forget all open rows."""
        self._shapes.clear()
        self._places.clear()
        self._opened, self._open = [], 0

    def _next(self) -> _Slots:
        """Return the shape of the next pass: the one with most rows, or one that was passed over too often."""
        asking = [slots for slots in self._shapes.values() if slots.ready]
        late = [slots for slots in asking if slots.passed_over >= MOST_PASSED_OVER]
        chosen = max(late, key=lambda slots: slots.passed_over) if late else max(asking, key=lambda slots: slots.ready)
        for slots in asking:
            slots.passed_over += 1
        chosen.passed_over = 0
        return chosen

    def _begin(self) -> None:
        """Look up what is known of the rows that were opened, read problems that are new, and let all wait."""
        roots = {root.digest: root for root in (row.prefix.lineage()[0] for row in self._opened)}
        read = dict(zip(roots, self._problems.read(list(roots.values())), strict=True))
        for row in self._opened:
            row.known = self.memory.chain(row.prefix, read)
            ids = [token for block in self.prompts.blocks(row.prefix) for token in block]
            row.length = min(row.known[-1].length, len(ids) - 1)  # the last is taken anew: its logits are not kept
            row.pending = deque(ids[row.length :])
            self._wait(row)
        self._opened = []

    def _wait(self, row: _Row) -> None:
        """Let a row wait for a place among those of its shape."""
        length = -(-(row.length + 1) // SLOTS) * SLOTS
        if length not in self._shapes:
            if sum(slots.nbytes for slots in self._shapes.values()) > KEPT_BYTES:
                self._shapes = {length: slots for length, slots in self._shapes.items() if slots.ready}
            self._shapes[length] = _Slots(self._problems.like, self._pass_rows, length)
        self._shapes[length].waiting.append(row)

    def _move(self, row: _Row) -> None:
        """Take a row whose slots are full to those of the next shape."""
        slots, place = self._places[row.number]
        if row.length == slots.length:
            del self._places[row.number]
            slots.rows[place], row.known = None, [slots.known(place, 0, row.length)]
            self._wait(row)
