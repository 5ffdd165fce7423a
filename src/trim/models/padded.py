"""Attention over sequences of any length on a GPU: few large operations instead of one for each sequence.

Keys and values lie in slots of one tensor. The sequences of a pass are padded to rectangles, each of sequences with
about equally many tokens to read: those that write have one each, and look into the slots where they lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

SPAN = 64
"""What lengths of slots and rectangles are rounded up to: kernels like even shapes, and memory is taken less often."""


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
        self._free = list(range(count))[::-1]

    def take(self, length: int) -> int:
        """Return the number of a slot with room for so many tokens."""
        layers, both, count, heads, room, size = self.data.shape
        if length > room or not self._free:
            more = (max(16, count // 2) if not self._free else 0, max(0, -(-length // SPAN) * SPAN - room))
            self._free = [*range(count, count + more[0])[::-1], *self._free]
            grown = self.data.new_zeros(layers, both, count + more[0], heads, room + more[1], size)
            grown[:, :, :count, :, :room] = self.data
            self.data = grown
        # The lowest first, so that sequences that write lie side by side.
        slot = min(self._free)
        self._free.remove(slot)
        return slot

    def give_back(self, slot: int) -> None:
        """Take a slot back."""
        self._free.append(slot)

    def of(self, slot: int) -> torch.Tensor:
        """Return what is in a slot, shape (layers, 2, kv heads, room, head size)."""
        return self.data[:, :, slot]


class SlottedSequence:
    """Tokens behind one another, in a slot: `length` of them are known, and the next pass reads those `pending`.

    The slot is given back when nobody holds the sequence any more.
    """

    def __init__(self, slots: Slots, room: int, length: int, pending: list[int]) -> None:
        self._slots = slots
        self.slot = slots.take(room)
        self.length = length
        self.pending = pending

    def __del__(self) -> None:
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
    """

    def __init__(self, sequences: Sequence[SlottedSequence], numbers: list[int], starts: list[int], like: torch.Tensor) -> None:
        chosen = [sequences[number] for number in numbers]
        device = like.device
        slots = torch.tensor([sequence.slot for sequence in chosen])
        sizes = torch.tensor([len(sequence.pending) for sequence in chosen])
        lengths = torch.tensor([sequence.length for sequence in chosen])
        self.width = int(sizes.max())
        self.span = -(-int((lengths + sizes).max()) // SPAN) * SPAN
        rows = torch.arange(len(chosen)).repeat_interleave(sizes)
        columns = torch.cat([torch.arange(size) for size in sizes.tolist()])
        self.tokens = (torch.tensor([starts[n] for n in numbers])[rows] + columns).to(device)
        # Sequences that write look into all slots up to their last where they lie; others' keys are gathered.
        self.together = self.width == 1 and 2 * len(chosen) > int(slots.max())
        self.count = int(slots.max()) + 1 if self.together else len(chosen)
        place = slots if self.together else torch.arange(len(chosen))
        last = torch.zeros(self.count, self.width, dtype=torch.long)  # the last key that a token may look at
        last[place[rows], columns] = lengths[rows] + columns
        bias = torch.zeros(self.count, 1, self.width, self.span, dtype=like.dtype)
        bias.masked_fill_((torch.arange(self.span) > last[:, :, None])[:, None], torch.finfo(like.dtype).min)
        self.bias = bias.to(device)
        self.rows, self.columns, self.slots = place[rows].to(device), columns.to(device), slots.to(device)

    def attend(self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scaling: float) -> torch.Tensor:
        """Attend with this rectangle's tokens, (heads, tokens, head size), to slots (slots, kv heads, room, size)."""
        heads, _, size = query.shape
        group = heads // keys.shape[1]
        padded = query.new_zeros(self.count, heads, self.width, size)
        padded[self.rows, :, self.columns] = query[:, self.tokens].transpose(0, 1)
        known = [
            memory[: self.count, :, : self.span] if self.together else memory[:, :, : self.span][self.slots]
            for memory in (keys, values)
        ]
        # Query heads that share a key head are laid behind one another, as if they were more tokens.
        grouped = padded.view(self.count, keys.shape[1], group * self.width, size)
        bias = self.bias.repeat(1, 1, group, 1).expand(-1, keys.shape[1], -1, -1)
        found = nn.functional.scaled_dot_product_attention(grouped, *known, bias, scale=scaling)
        return found.reshape(padded.shape)[self.rows, :, self.columns]


class PaddedPass:
    """The sequences of one forward pass over slots."""

    def __init__(self, sequences: Sequence[SlottedSequence], slots: Slots) -> None:
        sizes = torch.tensor([len(sequence.pending) for sequence in sequences])
        starts = (sizes.cumsum(0) - sizes).tolist()
        self._data = slots.data
        alike: dict[int, list[int]] = {}
        for number, size in enumerate(sizes.tolist()):
            alike.setdefault((size - 1).bit_length(), []).append(number)
        like = slots.data
        self._rectangles = [_Rectangle(sequences, numbers, starts, like) for numbers in alike.values()]
        of_slots = torch.tensor([sequence.slot for sequence in sequences]).repeat_interleave(sizes)
        positions = torch.cat([torch.arange(len(s.pending)) + s.length for s in sequences])
        self._slots, self._positions = of_slots.to(like.device), positions.to(like.device)

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
