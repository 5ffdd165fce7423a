"""Hugging Face models in process, bit for bit: what is read does not depend on what else is computed.

Floating-point results change in the last bit with tensor shapes, so every shape is a pure
function of the request itself:

* the state of a prefix (its KV cache) is always grown step by step from the problem, each
  step fed as one block of fixed width to a past of fixed width;
* every pass has a fixed number of rows, with idle rows where fewer requests wait.

`fixed_writing.py` writes in the same spirit. On CUDA the kernels make no such promise; there the step store defines the
step.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import torch

from trim.config.models import Precision
from trim.errors import RefusedRequest
from trim.models.fused import FusedQwen2
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.reading import Cache, Outputs, PrefixState, StateMemory, read_chains
from trim.models.small import SmallModel
from trim.models.tiny import TinyTokenizer

PAST_BUCKET = 32
KEPT_BUFFERS = 16
READ_ROWS = 16  # rows of a pass that reads: few requests share the shape of the past and of the block
BLOCK_BUCKETS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


def load_model(
    name: str | Path,
    *,
    revision: str | None = None,
    device: str = "cpu",
    offline: bool = True,
    head: bool = True,
    dtype: Precision | None = None,
) -> tuple[Any, Any]:
    """Load model and tokenizer from a folder or the hub, with or without the language-model head.

    Without a dtype, weights are held in single precision on the CPU and as they are stored elsewhere.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a classifier's head is loaded apart, and reported as unexpected here
    loading = {"revision": revision, "local_files_only": offline}
    kind = AutoModelForCausalLM if head else AutoModel
    # Eager attention is plain matrix products and a softmax: the fewest ways to depend on the batch.
    model: Any = kind.from_pretrained(
        name, attn_implementation="eager", dtype=dtype or ("float32" if device == "cpu" else "auto"), **loading
    )
    return model.to(device), AutoTokenizer.from_pretrained(name, **loading)


def load_to_read(
    name: str | Path, *, device: str = "cpu", head: bool = True, dtype: Precision | None = None, **how: Any
) -> tuple[Any, Any]:
    """Load model and tokenizer as `load_model` does, to read and write with alone: of a small one, the weights do."""
    small = SmallModel.find(Path(name), head=head) if device == "cpu" and dtype in (None, "float32") else None
    if small is None:
        return load_model(name, device=device, head=head, dtype=dtype, **how)
    if tiny := TinyTokenizer.find(Path(name)):
        return small, tiny
    from transformers import AutoTokenizer

    return small, AutoTokenizer.from_pretrained(name, local_files_only=True)


class _Buffers:
    """KV buffers of a batch for one forward pass; speaks the cache protocol of transformers.

    The memory is used again and again. What an earlier batch left in a masked slot is
    finite and gets a weight of exactly zero, so it has no influence.
    """

    is_compileable = False

    def __init__(self, memory: torch.Tensor, chains: Sequence[Sequence[PrefixState]], past: int) -> None:
        self._data = memory
        for row, chain in enumerate(chains):
            before = past - (chain[-1].length if chain else 0)
            for state in chain:
                self._data[:, :, row, :, before + state.start : before + state.length] = state.cache
        self._end = past

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a block behind the past and return everything up to its end."""
        end = self._end + keys.shape[2]
        self._data[layer, 0, :, :, self._end : end] = keys
        self._data[layer, 1, :, :, self._end : end] = values
        return self._data[layer, 0, :, :, :end], self._data[layer, 1, :, :, :end]

    def get_seq_length(self, layer: int = 0) -> int:
        """Return the length of the past."""
        return self._end

    def row(self, row: int, start: int, end: int) -> torch.Tensor:
        """Copy one row's slots, shape (layers, 2, heads, end - start, head size)."""
        return self._data[:, :, row, :, start:end].clone()


class FixedShapeReader:
    """Reads prefixes in passes whose shapes depend on the request alone.

    Parameters
    ----------
    model
        As `load_model` returns it.
    prompts
        How prefixes become tokens.
    batch_size
        How many requests are answered together.
    cache_bytes
        How much memory the states of live prefixes may take.
    outputs
        What is computed beside the hidden state: nothing, next-token logits, or also likelihoods.
    rows
        Of a pass.
    """

    def __init__(
        self,
        model: Any,
        prompts: PrefixTokenizer,
        *,
        batch_size: int = 64,
        cache_bytes: int = 1 << 29,
        outputs: Outputs = "hidden",
        rows: int = READ_ROWS,
    ) -> None:
        self.model = model.eval()
        self.prompts = prompts
        self.batch_size = batch_size
        self.outputs = outputs
        self._rows = rows
        self.device = model.device
        config = model.config
        self.max_length: int = config.max_position_embeddings
        heads = config.num_key_value_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.like = torch.empty(config.num_hidden_layers, 2, heads, 0, size, device=self.device, dtype=model.dtype)
        self._fused = FusedQwen2(self.model) if FusedQwen2.fits(self.model) else None
        self._buffers: dict[tuple[int, int], torch.Tensor] = {}
        self.memory = StateMemory(cache_bytes)

    def bucket(self, prefix: Prefix) -> Hashable:
        """Name the shape of a prefix's last block and of what stands before it."""
        *before, block = map(len, self.prompts.blocks(prefix))
        block_width(max(before, default=0))  # refuses what cannot be read
        return round_up(sum(before)), block_width(block)

    @torch.inference_mode()
    def read(self, prefixes: Sequence[Prefix]) -> list[PrefixState]:
        """Return the states of prefixes, computing and keeping what is not there."""
        return read_chains(prefixes, self.memory, self._extend, lambda node, state: True)

    def foresee(self, states: Sequence[PrefixState]) -> torch.Tensor:
        """Return the next-token logits behind prefixes, shape (prefixes, vocabulary); `outputs` must ask for them."""
        return torch.stack([state.logits for state in states])

    def _extend(self, nodes: list[Prefix], states: dict[bytes, PrefixState]) -> None:
        """Read one block behind each node's parent, in passes of as few shapes as there are."""
        shapes: dict[tuple[int, int], list[Prefix]] = {}
        for node in nodes:
            parent = states[node.parent.digest].length if node.parent else 0
            shapes.setdefault((round_up(parent), block_width(len(self.prompts.block_ids(node)))), []).append(node)
        for (past, width), same in sorted(shapes.items()):
            for start in range(0, len(same), self._rows):
                self._extend_rows(same[start : start + self._rows], past, width, states)

    def _extend_rows(self, nodes: list[Prefix], past: int, width: int, states: dict[bytes, PrefixState]) -> None:
        """Read one block behind each node's parent, in one forward pass of fixed shape."""
        rows = self._rows
        chains = [self.memory.chain(node.parent, states) if node.parent else [] for node in nodes]
        parents = [chain[-1] if chain else None for chain in chains]
        blocks = [self.prompts.block_ids(node) for node in nodes]
        ids = torch.zeros(rows, width, dtype=torch.long)
        lengths = torch.zeros(rows, dtype=torch.long)
        sizes = [len(block) for block in blocks] + [1] * (rows - len(nodes))
        for row, (parent, block) in enumerate(zip(parents, blocks, strict=True)):
            ids[row, : len(block)] = torch.tensor(block)
            lengths[row] = parent.length if parent else 0
        ids, lengths = ids.to(self.device), lengths.to(self.device)
        buffers = _Buffers(self._buffer_memory(rows, past + width), chains, past)
        causal = torch.ones(width, width, dtype=torch.bool, device=self.device).tril()
        visible = torch.cat(
            [self._past_mask(lengths, past)[:, None].expand(-1, width, -1), causal.expand(rows, -1, -1)], 2
        )
        positions = lengths[:, None] + torch.arange(width, device=self.device)
        hidden = self.forward(ids, positions, visible, buffers)
        last = torch.tensor(sizes, device=self.device) - 1
        final = hidden[torch.arange(rows, device=self.device), last]
        logits = self.head(final) if self.outputs != "hidden" else hidden.new_zeros(rows, 0)
        likelihood, logprobs = hidden.new_zeros(rows, 0), hidden.new_zeros(rows, 0)
        if self.outputs == "likelihood":
            likelihood, logprobs = self._likelihood(parents, ids, hidden, last)
        for row, (node, parent, block) in enumerate(zip(nodes, parents, blocks, strict=True)):
            state = states[node.digest] = PrefixState(
                cache=buffers.row(row, past, past + len(block)),
                hidden=final[row].clone(),
                logits=logits[row].clone(),
                likelihood=likelihood[row].clone(),
                logprobs=logprobs[row, : len(block) if parent else 0].clone(),
                start=parent.length if parent else 0,
            )
            self.memory.keep(node, state)

    def _likelihood(
        self, parents: list[PrefixState | None], ids: torch.Tensor, hidden: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return minimum and mean log-probability of each block's tokens, shape (rows, 2), and each token's.

        A block's first token was foreseen by the state before it. At the root there is none,
        and nobody reads the likelihood of a problem.
        """
        within = self.head(hidden[:, :-1])
        before = torch.zeros_like(within[:, :1])
        for row, parent in enumerate(parents):
            if parent is not None:
                before[row, 0] = parent.logits
        logprobs = torch.log_softmax(torch.cat([before, within], 1).float(), -1).gather(2, ids[:, :, None])[:, :, 0]
        inside = torch.arange(ids.shape[1], device=self.device) <= last[:, None]
        minimum = logprobs.masked_fill(~inside, torch.inf).min(1).values
        mean = (logprobs * inside).sum(1) / (last + 1)
        return torch.stack([minimum, mean], 1), logprobs

    def _buffer_memory(self, rows: int, length: int) -> torch.Tensor:
        """Return the memory for KV buffers of one shape, (layers, 2, rows, kv heads, length, head size)."""
        if (rows, length) not in self._buffers:
            if len(self._buffers) >= KEPT_BUFFERS:
                self._buffers.clear()
            layers, _, heads, _, size = self.like.shape
            self._buffers[rows, length] = self.like.new_zeros(layers, 2, rows, heads, length, size)
        return self._buffers[rows, length]

    def _past_mask(self, lengths: torch.Tensor, past: int) -> torch.Tensor:
        """Which slots of a left-padded past hold tokens, shape (rows, past)."""
        return torch.arange(past, device=self.device) >= past - lengths[:, None]

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, visible: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Read tokens behind what a cache holds, and return their last hidden states, shape (rows, width, size).

        Parameters
        ----------
        ids, positions
            Shape (rows, width).
        visible
            Which slots of the cache each token looks at, shape (rows, width, slots).
        """
        mask = torch.zeros(visible.shape, device=self.device, dtype=self.model.dtype)
        mask.masked_fill_(~visible, torch.finfo(mask.dtype).min)
        if self._fused:
            return self._fused(ids, positions, mask, cache)
        output = self.model.base_model(
            input_ids=ids,
            attention_mask=mask[:, None],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the next-token logits behind hidden states, shape (..., vocabulary)."""
        logits: torch.Tensor = self.model.get_output_embeddings()(hidden)
        return logits


def round_up(length: int) -> int:
    """Length of the padded past that holds `length` tokens."""
    return -(-length // PAST_BUCKET) * PAST_BUCKET


def block_width(length: int) -> int:
    """Width of the padded block that holds `length` tokens."""
    for width in BLOCK_BUCKETS:
        if length <= width:
            return width
    raise RefusedRequest(f"a step or problem of {length} tokens is longer than {BLOCK_BUCKETS[-1]}")
