"""Hugging Face models in process on a CPU, for real models: nothing is padded, and weights are packed in bf16.

One forward pass takes the pending tokens of any number of sequences, laid end to end: one token of each row that is
being written, and all that was not read yet of those just begun. Matrix products see them as rows of one matrix;
attention goes sequence by sequence over as many keys as each has. So a finished row can be replaced at once, and its
successor is read beside the others' next token. What a step is depends on its company in the last bits; the step
store defines the step.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os.path import commonprefix
from typing import Any

import torch
from torch import nn

from trim.errors import BackendError
from trim.models.padded import PaddedPass, Slots, SlottedSequence
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.reading import Outputs, PrefixState, StateMemory, read_chains
from trim.models.sampling import log_probabilities

ATTENTION = "trim-ragged"
PASS_TOKENS = {"cpu": 1024, "cuda": 16_384}
"""Tokens of one forward pass, about: enough for full speed, few enough for the activations of a large model."""
LOGIT_ROWS = 64


class PackedLinear(nn.Module):
    """A linear layer in bf16 whose weight oneDNN has laid out for its products beforehand."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._bias = linear.bias.detach() if linear.bias is not None else None

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the product, as `nn.Linear` does."""
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return product


def pack_linear_layers(model: nn.Module) -> None:
    """Replace a bf16 model's linear layers by packed ones, one by one; do nothing where the CPU lacks what it takes."""
    packs = hasattr(torch.ops.mkldnn, "_reorder_linear_weight") and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if not packs:
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear and child.weight.dtype == torch.bfloat16:
                setattr(module, name, PackedLinear(child))


class _Sequence:
    """Tokens behind one another: some whose keys and values are in memory, and some that the next pass reads."""

    def __init__(self, cache: torch.Tensor, length: int, pending: list[int]) -> None:
        self.cache = cache  # (layers, 2, kv heads, room, head size)
        self.length = length
        self.pending = pending
        self._layers = [layer.unbind(0) for layer in cache.unbind(0)]

    def mask(self, group: int) -> torch.Tensor | None:
        """Which keys each pending token may look at, once for each query head of a group; None for all."""
        if len(self.pending) == 1:
            return None
        end = self.length + len(self.pending)
        return (torch.arange(end) <= torch.arange(self.length, end)[:, None]).repeat(group, 1)

    def remember(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take keys and values of the pending tokens, and return all so far; shape (kv heads, tokens, head size)."""
        count = key.shape[1]
        keys, values = (memory.narrow(1, 0, self.length + count) for memory in self._layers[layer])
        keys.narrow(1, self.length, count).copy_(key)
        values.narrow(1, self.length, count).copy_(value)
        return keys, values


class _Pass:
    """The sequences of one forward pass, one by one."""

    def __init__(self, sequences: Sequence[_Sequence], group: int) -> None:
        self._sequences = sequences
        self._sizes = [len(sequence.pending) for sequence in sequences]
        self._masks = [sequence.mask(group) for sequence in sequences]

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """Take the keys and values of all pending tokens, and attend; tensors have shape (heads, tokens, head size)."""
        attended = []
        parts = zip(*(tensor.split(self._sizes, 1) for tensor in (query, key, value)), strict=True)
        for sequence, mask, (asking, new_keys, new_values) in zip(self._sequences, self._masks, parts, strict=True):
            keys, values = sequence.remember(layer, new_keys, new_values)
            # Query heads that share a key head are laid behind one another, as if they were more tokens.
            grouped = asking.reshape(1, len(keys), -1, keys.shape[2])
            found = nn.functional.scaled_dot_product_attention(grouped, keys[None], values[None], mask, scale=scaling)
            attended.append(found.view(asking.shape))
        return torch.cat(attended, 1).transpose(0, 1)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    ragged: _Pass | PaddedPass,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend in one layer, in the form that transformers asks for; tensors have shape (1, heads, tokens, head size)."""
    return ragged.attend(module.layer_idx, query[0], key[0], value[0], scaling)[None], None


@dataclass(slots=True)
class _Row:
    """A step that is being written."""

    prefix: Prefix
    sequence: _Sequence | SlottedSequence
    hidden: torch.Tensor | None = None


class RaggedReader:
    """A `Reader` of real models.

    Parameters
    ----------
    model
        As `load_model` returns it; in bf16, its linear layers are packed, and no other use is left for it.
    prompts
        How prefixes become tokens.
    batch_size
        How many rows are written together.
    cache_bytes
        How much memory the states of live prefixes may take; rows that are open come on top.
    outputs
        What is computed beside the hidden state: nothing, next-token logits, or also the log-probabilities of each
        prefix's last block (free where this reader wrote it).
    hidden_layers
        After which layers (from 0) the hidden states of prefixes are taken, one behind another; without any, after the
        last, normalised.
    padded
        Whether sequences attend in rectangles (`padded.py`) or one by one; by default, on a GPU.
    """

    def __init__(
        self,
        model: Any,
        prompts: PrefixTokenizer,
        *,
        batch_size: int = 64,
        cache_bytes: int = 1 << 30,
        outputs: Outputs = "logits",
        hidden_layers: Sequence[int] = (),
        padded: bool | None = None,
    ) -> None:
        from transformers import AttentionInterface

        config = model.config
        if set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}:
            raise BackendError(f"{config._name_or_path}: only models whose layers all attend to all tokens can be run")
        AttentionInterface.register(ATTENTION, _attend)
        self.model = model.eval()
        self.model.set_attn_implementation(ATTENTION)
        self.device: torch.device = model.device
        if self.device.type == "cpu":
            pack_linear_layers(model)
        self.prompts = prompts
        self.batch_size = batch_size
        self.outputs = outputs
        self.max_length: int = config.max_position_embeddings
        heads = config.num_key_value_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._group = config.num_attention_heads // heads
        self._like = torch.empty(config.num_hidden_layers, 2, heads, 0, size, dtype=model.dtype, device=self.device)
        padded = self.device.type != "cpu" if padded is None else padded
        self._slots = Slots(self._like, batch_size) if padded else None
        self.memory = StateMemory(cache_bytes)
        self._rows: dict[int, _Row] = {}
        self._kept: dict[int, torch.Tensor] = {}
        self._hidden_layers = tuple(hidden_layers)
        for layer in hidden_layers:
            model.base_model.layers[layer].register_forward_hook(partial(self._keep_hidden, layer))

    def _keep_hidden(self, layer: int, module: nn.Module, arguments: Any, output: Any) -> None:
        self._kept[layer] = output if isinstance(output, torch.Tensor) else output[0]

    # --- writing ------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """How many more rows can be opened now."""
        return self.batch_size - len(self._rows)

    def bucket(self, prefix: Prefix) -> Hashable:
        """All prefixes go together."""
        return None

    def room(self, prefix: Prefix) -> int:
        """How many tokens the model's context leaves for a step behind a prefix."""
        return self.max_length - self.prompts.length(prefix)

    def open(self, prefix: Prefix, tokens: int) -> int:
        """Begin a row behind a prefix; what is not known of it is read beside the next tokens of the other rows."""
        row = next(number for number in range(self.batch_size) if number not in self._rows)
        self._rows[row] = _Row(prefix, self._sequence(prefix, self.memory.chain(prefix), room=tokens))
        return row

    @torch.inference_mode()
    def logits(self) -> tuple[list[int], torch.Tensor]:
        """Return all open rows, and the logits of their next tokens."""
        finals = []
        for part in self._parts(self._rows.values()):
            sequences = [row.sequence for row in part]
            ends = torch.tensor([len(sequence.pending) for sequence in sequences]).cumsum(0) - 1
            final, kept = self._forward(sequences)
            finals.append(final[ends.to(self.device)])
            for row, end in zip(part, ends, strict=True):
                if row.hidden is None:
                    row.hidden = kept[end].clone()
        return list(self._rows), self._logits(torch.cat(finals))

    def feed(self, row: int, token: int) -> None:
        """Write a token to a row."""
        self._rows[row].sequence.pending = [token]

    def close(self, row: int, child: Prefix, written: Sequence[int], logprobs: Sequence[float]) -> None:
        """End a row, and keep what it knows of its prefix and of the child."""
        closed = self._rows.pop(row)
        prefix, length = closed.prefix, self.prompts.length(closed.prefix)
        own = self.memory.get(prefix.digest)
        if own is None:
            own = self._state(closed.sequence, self.memory.covered(prefix), length, closed.hidden)
            self.memory.keep(prefix, own)
        if self.memory.get(child.digest) is None:
            # A step's text may be cut into other tokens when it is read than it was written in: what agrees is kept.
            block = self.prompts.block_ids(child)
            same = len(commonprefix([block, list(written)]))
            known = torch.tensor(logprobs[:same] if same == len(block) else [])
            end = length + min(same, len(written) - 1)  # the last token was drawn, and not read
            self.memory.keep(child, self._state(closed.sequence, own.length, end, None, known))

    def abandon(self) -> None:
        """Forget all open rows."""
        self._rows.clear()

    # --- reading ------------------------------------------------------------------------

    @torch.inference_mode()
    def read(self, prefixes: Sequence[Prefix]) -> list[PrefixState]:
        """Return the states of prefixes, computing and keeping what is not there; they hold no logits."""
        return read_chains(prefixes, self.memory, self._extend, self._is_whole)

    @torch.inference_mode()
    def mean_hidden(self, prefixes: Iterable[Prefix]) -> Iterator[torch.Tensor]:
        """Yield the mean of the last hidden states of each prefix's tokens, shape (size,); nothing is remembered."""
        for part in self._parts(_Row(prefix, self._sequence(prefix, [])) for prefix in prefixes):
            sizes = [len(row.sequence.pending) for row in part]
            final, _ = self._forward([row.sequence for row in part])
            yield from (hidden.float().mean(0) for hidden in final.split(sizes))

    @torch.inference_mode()
    def foresee(self, states: Sequence[PrefixState]) -> torch.Tensor:
        """Return the next-token logits behind prefixes, shape (prefixes, vocabulary).

        Raises
        ------
        BackendError
            If the reader keeps the hidden states of a layer before the last.
        """
        if inner := self._hidden_layers:
            raise BackendError(f"hidden states are kept after layer {inner[-1] + 1}: they foresee nothing")
        hidden = torch.stack([state.hidden for state in states])
        return torch.cat([self._logits(part) for part in hidden.split(LOGIT_ROWS)])

    def _is_whole(self, node: Prefix, state: PrefixState) -> bool:
        return state.hidden.numel() > 0 and not self._foresees(node, state)

    def _foresees(self, node: Prefix, state: PrefixState | None) -> bool:
        """Tell whether the log-probabilities of a prefix's last block are still asked for."""
        known = state is not None and state.logprobs.numel() > 0
        return self.outputs == "likelihood" and node.parent is not None and not known

    def _extend(self, nodes: list[Prefix], states: dict[bytes, PrefixState]) -> None:
        """Read what is not known of each node, whose parent was read."""
        rows = []
        for node in nodes:
            # A block is foreseen from the token before it on.
            foreseen = self._foresees(node, states.get(node.digest))
            unread = len(self.prompts.block_ids(node)) + 1 if foreseen else 1
            rows.append(_Row(node, self._sequence(node, self.memory.chain(node, states), unread=unread)))
        for part in self._parts(rows):
            sizes = [len(row.sequence.pending) for row in part]
            final, kept = self._forward([row.sequence for row in part])
            for row, hidden, own_kept in zip(part, final.split(sizes), kept.split(sizes), strict=True):
                before = states.get(row.prefix.digest)
                logprobs = before.logprobs if before else None
                if self._foresees(row.prefix, before):
                    block = self.prompts.block_ids(row.prefix)
                    logprobs = self._foreseen(hidden[-len(block) - 1 : -1], block)
                start = self.memory.covered(row.prefix, states)
                state = self._state(row.sequence, start, row.sequence.length, own_kept[-1].clone(), logprobs)
                states[row.prefix.digest] = state
                self.memory.keep(row.prefix, state)

    def _foreseen(self, hidden: torch.Tensor, ids: list[int]) -> torch.Tensor:
        """Return the log-probability of each token, given the hidden state before it, shape (tokens,)."""
        tokens = torch.tensor(ids, device=self.device)
        parts = zip(hidden.split(LOGIT_ROWS), tokens.split(LOGIT_ROWS), strict=True)
        return torch.cat([log_probabilities(self._logits(before), now) for before, now in parts])

    # --- both ---------------------------------------------------------------------------

    def _sequence(
        self, prefix: Prefix, known: list[PrefixState], room: int = 0, unread: int = 1
    ) -> _Sequence | SlottedSequence:
        """Lay out memory for a prefix and so many tokens behind it, with what is known of it but its end."""
        ids = [token for block in self.prompts.blocks(prefix) for token in block]
        length = min(known[-1].length, len(ids) - unread) if known else 0
        layers, _, heads, _, size = self._like.shape
        sequence: _Sequence | SlottedSequence
        if self._slots:
            sequence = SlottedSequence(self._slots, self._slots.take(len(ids) + room), length, ids[length:])
        else:
            cache = self._like.new_empty(layers, 2, heads, len(ids) + room, size)
            sequence = _Sequence(cache, length, ids[length:])
        for state in known:
            end = min(state.length, length)
            if end > state.start:
                sequence.cache[:, :, :, state.start : end] = state.cache[:, :, :, : end - state.start]
        return sequence

    def _state(
        self,
        sequence: _Sequence | SlottedSequence,
        start: int,
        end: int,
        hidden: torch.Tensor | None,
        logprobs: torch.Tensor | None = None,
    ) -> PrefixState:
        """Return a copy of what is known of a sequence's tokens from the one to the other."""
        nothing = self._like.new_empty(0)
        logprobs = nothing.float() if logprobs is None else logprobs
        return PrefixState(
            cache=sequence.cache[:, :, :, start:end].clone(),
            hidden=nothing if hidden is None else hidden,
            logits=nothing,
            likelihood=torch.stack([logprobs.min(), logprobs.mean()]) if logprobs.numel() else logprobs,
            logprobs=logprobs,
            start=start,
        )

    def _forward(self, sequences: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the pending tokens; return their last hidden states and those that states keep, shape (tokens, size)."""
        ids = torch.tensor([[token for sequence in sequences for token in sequence.pending]])
        positions = torch.cat([torch.arange(len(s.pending)) + s.length for s in sequences])[None]
        one_pass = PaddedPass(sequences, self._slots, self._group) if self._slots else _Pass(sequences, self._group)
        output = self.model.base_model(
            input_ids=ids.to(self.device), position_ids=positions.to(self.device), use_cache=False, ragged=one_pass
        )
        for sequence in sequences:
            sequence.length += len(sequence.pending)
            sequence.pending = []
        final: torch.Tensor = output.last_hidden_state[0]
        if not self._hidden_layers:
            return final, final
        return final, torch.cat([self._kept[layer][0] for layer in self._hidden_layers], -1)

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model.get_output_embeddings()(hidden)
        return logits

    def _parts(self, rows: Iterable[_Row]) -> Iterator[list[_Row]]:
        """Cut rows into passes."""
        part: list[_Row] = []
        tokens = 0
        for row in rows:
            part.append(row)
            tokens += len(row.sequence.pending)
            if tokens >= PASS_TOKENS[self.device.type]:
                yield part
                part, tokens = [], 0
        if part:
            yield part
