"""Attention over sequences of any length on a GPU: few large operations instead of one for each sequence.

Keys and values lie in slots of one tensor. The sequences of a pass are padded to rectangles, each of sequences with
about equally many tokens to read: those that write have one each, and look into the slots where they lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from heapq import heappop, heappush

import torch
from torch import nn

SPAN = 64
"""What lengths of slots and rectangles are rounded up to: kernels like even shapes, and memory is taken less often."""
SPARE = 1.25
"""How much more is taken than is needed, so that it is not soon taken again."""


class Slots:
    """Memory for the keys and values of sequences; takes more when it is full.

    Parameters
    ----------
    like
        Shape (layers, 2, kv heads, 0, head size); of its kind and on its device.
    count
        How many sequences there is room for at first.
    """

    def __init__(self, like: torch.Tensor, count: int) -> None:
        layers, both, heads, _, size = like.shape
        self.data = like.new_zeros(layers, both, count, heads, SPAN, size)
        self._free = list(range(count))

    def take(self, length: int) -> int:
        """Return the number of a slot with room for so many tokens."""
        layers, both, count, heads, room, size = self.data.shape
        if length > room or not self._free:
            longer = max(room, round(length * SPARE)) if length > room else room
            larger = count if self._free else round(count * SPARE) + 1
            self._free += range(count, larger)  # still a heap: none is lower than those before
            grown = self.data.new_zeros(layers, both, larger, heads, -(-longer // SPAN) * SPAN, size)
            grown[:, :, :count, :, :room] = self.data
            self.data = grown
        return heappop(self._free)  # the lowest first, so that sequences that write lie side by side

    def give_back(self, slot: int) -> None:
        """Take a slot back."""
        heappush(self._free, slot)

    def of(self, slot: int) -> torch.Tensor:
        """Return what is in a slot, shape (layers, 2, kv heads, room, head size)."""
        return self.data[:, :, slot]


class SlottedSequence:
    """Tokens behind one another, in a slot: `length` of them are known, and the next pass reads those `pending`.

    The slot, which was taken for it, is given back when nobody holds the sequence any more.
    """

    def __init__(self, slots: Slots, slot: int, length: int, pending: list[int]) -> None:
        self._slots = slots
        self.slot = slot
        self.length = length
        self.pending = pending

    def __del__(self) -> None:
        """Give the slot back."""
        self._slots.give_back(self.slot)

    @property
    def cache(self) -> torch.Tensor:
        """What is known, shape (layers, 2, kv heads, room, head size)."""
        return self._slots.of(self.slot)


class _Rectangle:
    """Sequences of a pass as rows of padded tensors.

    Parameters
    ----------
    numbers
        Of the sequences in the pass.
    starts
        Where the tokens of each sequence of the pass begin, laid end to end.
    like
        Of the kind, the room and on the device of the slots.
    group
        Query heads that share a key head: they are laid behind one another, as if they were more tokens.
    """

    def __init__(
        self,
        sequences: Sequence[SlottedSequence],
        numbers: list[int],
        starts: list[int],
        like: torch.Tensor,
        group: int,
    ) -> None:
        chosen = [sequences[number] for number in numbers]
        slots, lengths = [one.slot for one in chosen], [one.length for one in chosen]
        sizes = [len(one.pending) for one in chosen]
        self.width = max(sizes)
        span = max(length + size for length, size in zip(lengths, sizes, strict=True))
        self.span = min(-(-span // SPAN) * SPAN, like.shape[4])
        # Sequences that write look into all slots up to their last where they lie; others' keys are gathered.
        self.together = self.width == 1 and 2 * len(chosen) > max(slots)
        self.count = max(slots) + 1 if self.together else len(chosen)
        places = slots if self.together else list(range(len(chosen)))
        facts = torch.tensor([places, lengths, sizes, [starts[n] for n in numbers], slots]).to(like.device)
        at, known, counts, begins, self.slots = facts.unbind(0)
        total = sum(sizes)
        of = torch.repeat_interleave(torch.arange(len(chosen), device=like.device), counts, output_size=total)
        firsts = counts.cumsum(0) - counts
        self.columns = torch.arange(total, device=like.device) - firsts[of]
        self.rows = at[of]
        self.tokens = begins[of] + self.columns
        last = known.new_zeros(self.count, self.width)  # the last key that a token may look at
        last[self.rows, self.columns] = known[of] + self.columns
        hidden = torch.arange(self.span, device=like.device) > last[:, None, :, None]
        bias = like.new_zeros(hidden.shape).masked_fill_(hidden, torch.finfo(like.dtype).min)
        self.bias = bias.repeat(1, 1, group, 1)

    def attend(self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scaling: float) -> torch.Tensor:
        """Attend with this rectangle's tokens, (heads, tokens, head size), to slots (slots, kv heads, room, size)."""
        heads, _, size = query.shape
        padded = query.new_zeros(self.count, heads, self.width, size)
        padded[self.rows, :, self.columns] = query[:, self.tokens].transpose(0, 1)
        if self.together:
            keys, values = keys[: self.count, :, : self.span], values[: self.count, :, : self.span]
        else:
            keys, values = keys[:, :, : self.span][self.slots], values[:, :, : self.span][self.slots]
        grouped = padded.view(self.count, keys.shape[1], -1, size)
        bias = self.bias.expand(-1, keys.shape[1], -1, -1)
        found = nn.functional.scaled_dot_product_attention(grouped, keys, values, bias, scale=scaling)
        return found.reshape(padded.shape)[self.rows, :, self.columns]


class PaddedPass:
    """The sequences of one forward pass over slots."""

    def __init__(self, sequences: Sequence[SlottedSequence], slots: Slots, group: int) -> None:
        like = self._data = slots.data
        sizes = [len(sequence.pending) for sequence in sequences]
        starts = list(itertools.accumulate(sizes, initial=0))
        alike: dict[int, list[int]] = {}
        for number, size in enumerate(sizes):
            alike.setdefault((size - 1).bit_length(), []).append(number)
        self._rectangles = [_Rectangle(sequences, numbers, starts, like, group) for numbers in alike.values()]
        places = [(one.slot, one.length + i) for one in sequences for i in range(len(one.pending))]
        self._slots, self._positions = torch.tensor(places).to(like.device).unbind(1)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """Take the keys and values of all pending tokens, and attend; tensors have shape (heads, tokens, head size)."""
        keys, values = self._data[layer].unbind(0)
        keys[self._slots, :, self._positions] = key.transpose(0, 1)
        values[self._slots, :, self._positions] = value.transpose(0, 1)
        attended = torch.empty_like(query.transpose(0, 1))
        for rectangle in self._rectangles:
            attended[rectangle.tokens] = rectangle.attend(query, keys, values, scaling)
        return attended
