"""What a model knows after reading a prefix, how long that is remembered, and in which order prefixes are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

import torch

from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix

Outputs = Literal["hidden", "logits", "likelihood"]


@dataclass(frozen=True, slots=True)
class PrefixState:
    """What a model knows after reading a prefix, or (where it wrote its end) most of one.

    Attributes
    ----------
    cache
        Keys and values of the tokens from `start` on, shape (layers, 2, kv heads, tokens, head size).
    hidden
        Hidden state at the last token, shape (hidden size,); empty where that was not read yet.
    logits
        Next-token logits, shape (vocabulary,); empty where nobody reads them.
    likelihood
        Minimum and mean of `logprobs`, shape (2,); empty where nobody reads it.
    logprobs
        Log-probability that the model gave to each token of the last block (the last step);
        empty where nobody reads them, and at the root, which nobody foresees.
    start
        How many tokens the states of the prefixes that this one grew from hold in its stead.
    """

    cache: torch.Tensor
    hidden: torch.Tensor
    logits: torch.Tensor
    likelihood: torch.Tensor
    logprobs: torch.Tensor
    start: int = 0

    @property
    def length(self) -> int:
        """Number of tokens that were read."""
        return self.start + self.cache.shape[3]


class Cache(Protocol):
    """Keys and values of the tokens before, as transformers asks for them."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take those of new tokens in a layer, and return all that the new tokens may look at."""
        ...

    def get_seq_length(self, layer: int = 0) -> int:
        """Return the number of slots before the new tokens."""
        ...


class StateMemory:
    """The states of live prefixes within a budget of bytes; the least recently used go first."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._bytes = 0
        self._states: OrderedDict[bytes, PrefixState] = OrderedDict()

    def get(self, digest: bytes) -> PrefixState | None:
        """Return the state of a prefix, if it is still here."""
        if digest in self._states:
            self._states.move_to_end(digest)
        return self._states.get(digest)

    def keep(self, prefix: Prefix, state: PrefixState) -> None:
        """Keep a state of a prefix, in place of an older one; those that it rests on are not forgotten before it."""
        self._remove(prefix.digest)
        self._states[prefix.digest] = state
        self._bytes += state.cache.nbytes
        while self._bytes > self._budget:
            self._remove(next(iter(self._states)))
        self.chain(prefix)

    def chain(self, prefix: Prefix, states: Mapping[bytes, PrefixState] = MappingProxyType({})) -> list[PrefixState]:
        """Return the states of a prefix and those it grew from, the root first, as far as they follow upon one another.

        Each holds its own tokens only, so that prefixes share their beginnings in memory too. They are looked up from
        the last one on: the root, on which all others rest, is the last to be forgotten.

        Parameters
        ----------
        states
            Some that are at hand, by digest.
        """
        found = [states.get(node.digest) or self.get(node.digest) for node in prefix.lineage()[::-1]]
        known: list[PrefixState] = []
        for state in found[::-1]:
            if state is not None and state.start <= (known[-1].length if known else 0):
                known.append(state)
        return known

    def covered(self, prefix: Prefix, states: Mapping[bytes, PrefixState] = MappingProxyType({})) -> int:
        """How many first tokens of a prefix are in the states of those it grew from."""
        known = self.chain(prefix.parent, states) if prefix.parent else []
        return known[-1].length if known else 0

    def reset(self, budget: int) -> None:
        """Forget all states; from now on, keep at most so many bytes."""
        self._states.clear()
        self._budget, self._bytes = budget, 0

    def _remove(self, digest: bytes) -> None:
        if digest in self._states:
            self._bytes -= self._states.pop(digest).cache.nbytes


Extend = Callable[[list[Prefix], dict[bytes, PrefixState]], None]
"""Reads the last block of prefixes whose parents were read, and adds their states to those given."""


def read_chains(
    prefixes: Sequence[Prefix], memory: StateMemory, extend: Extend, is_whole: Callable[[Prefix, PrefixState], bool]
) -> list[PrefixState]:
    """Return the states of prefixes; what is not remembered is read level by level, each prefix once.

    Parameters
    ----------
    is_whole
        Whether a state tells all that is asked of a prefix; any state will do to grow from.
    """
    states: dict[bytes, PrefixState] = {}
    todo: dict[bytes, list[Prefix]] = {}

    def known(node: Prefix) -> bool:
        state = states.get(node.digest) or memory.get(node.digest)
        if state is not None:
            states[node.digest] = state
        return state is not None

    def is_done(node: Prefix) -> bool:
        return node.digest in states and is_whole(node, states[node.digest])

    for prefix in prefixes:
        chain = [node for node in prefix.lineage() if not known(node)]
        if prefix not in chain and not is_done(prefix):
            chain.append(prefix)
        todo[prefix.digest] = chain
    while any(todo.values()):
        extend(list({chain[0].digest: chain[0] for chain in todo.values() if chain}.values()), states)
        todo = {key: [node for node in chain if not is_done(node)] for key, chain in todo.items()}
    return [states[prefix.digest] for prefix in prefixes]


class Writer(Protocol):
    """Runs a language model that writes behind prefixes, row by row.

    Two ways to do it share all else: `FixedShapeWriter`, whose bits depend on nothing but the
    request, and `RaggedReader`, which wastes nothing.
    """

    model: Any
    prompts: PrefixTokenizer
    outputs: Outputs
    batch_size: int
    max_length: int
    memory: StateMemory

    @property
    def free(self) -> int:
        """How many more rows can be opened now."""
        ...

    def bucket(self, prefix: Prefix) -> Hashable:
        """Name the shape class of a prefix: rows of one class can be open together."""
        ...

    def room(self, prefix: Prefix) -> int:
        """How many tokens the model's context leaves for a step behind a prefix."""
        ...

    def open(self, prefix: Prefix, tokens: int) -> int:
        """Begin a row behind a prefix, which at most so many tokens will be written to; return its number."""
        ...

    def logits(self) -> tuple[list[int], torch.Tensor]:
        """Return some open rows, those whose next token can be drawn, and its logits, shape (rows, vocabulary)."""
        ...

    def feed(self, row: int, token: int) -> None:
        """Write a token to a row, which a later call of `logits` reads."""
        ...

    def close(self, row: int, child: Prefix, written: Sequence[int], logprobs: Sequence[float]) -> None:
        """End a row, whose tokens (and their log-probabilities, where `outputs` asks for them) made the child."""
        ...

    def abandon(self) -> None:
        """Forget all open rows."""
        ...


class Reader(Protocol):
    """Reads prefixes into states for others, such as PRMs."""

    batch_size: int

    def bucket(self, prefix: Prefix) -> Hashable:
        """Name the class of a prefix: those of one class are best read together."""
        ...

    def read(self, prefixes: Sequence[Prefix]) -> list[PrefixState]:
        """Return the states of prefixes, computing and keeping what is not there."""
        ...

    def foresee(self, states: Sequence[PrefixState]) -> torch.Tensor:
        """Return the next-token logits behind prefixes that were read, shape (prefixes, vocabulary)."""
        ...
