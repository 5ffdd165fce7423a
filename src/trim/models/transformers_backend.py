"""Step generation and prefix states on Hugging Face models, in process, on CPU or CUDA.

What a step is must not depend on what else happens to be computed (design: "Deterministic
on the embedded CPU backend"). Floating-point results change in the last bit with tensor
shapes, so every shape is a pure function of the request itself:

* the state of a prefix (its KV cache) is always grown step by step from the problem, each
  step fed as one block of fixed width to a past of fixed width;
* a step is decoded token by token from that state;
* every pass that reads has `READ_ROWS` rows and every pass that decodes `batch_size`, with
  idle rows where fewer requests wait.

On CUDA the kernels make no such promise; there the step store defines the step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from trim.config.models import Sampling
from trim.errors import BackendError
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import SEPARATOR, FinishReason, Prefix, Step, request_digest

PAST_BUCKET = 32
KEPT_BUFFERS = 16
Outputs = Literal["hidden", "logits", "likelihood"]
READ_ROWS = 16  # rows of a pass that reads: few requests share the shape of the past and of the block
BLOCK_BUCKETS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


def load_model(
    name: str | Path, *, revision: str | None = None, device: str = "cpu", offline: bool = True, head: bool = True
) -> tuple[Any, Any]:
    """Load model and tokenizer from a folder or the hub, with or without the language-model head."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a classifier's head is loaded apart, and reported as unexpected here
    loading = {"revision": revision, "local_files_only": offline}
    kind = AutoModelForCausalLM if head else AutoModel
    # Eager attention is plain matrix products and a softmax: the fewest ways to depend on the batch.
    model: Any = kind.from_pretrained(
        name, attn_implementation="eager", dtype=torch.float32 if device == "cpu" else "auto", **loading
    )
    return model.to(device), AutoTokenizer.from_pretrained(name, **loading)


@dataclass(frozen=True, slots=True)
class PrefixState:
    """What a model knows after reading a prefix.

    Attributes
    ----------
    cache
        Keys and values, shape (layers, 2, kv heads, length, head size).
    hidden
        Last hidden state at the last token, shape (hidden size,).
    logits
        Next-token logits, shape (vocabulary,); empty where nobody reads them.
    likelihood
        Minimum and mean log-probability that the model gave to the tokens of the last block
        (the last step), shape (2,); empty where nobody reads it.
    """

    cache: torch.Tensor
    hidden: torch.Tensor
    logits: torch.Tensor
    likelihood: torch.Tensor

    @property
    def length(self) -> int:
        """Number of tokens of the prefix."""
        return self.cache.shape[3]


class _Buffers:
    """KV buffers of a batch for one forward pass or one decoding run; speaks the cache protocol of transformers.

    The memory is used again and again. What an earlier batch left in a masked slot is
    finite and gets a weight of exactly zero, so it has no influence.
    """

    is_compileable = False

    def __init__(self, memory: torch.Tensor, states: Sequence[PrefixState | None], past: int) -> None:
        self._data = memory
        for row, state in enumerate(states):
            if state is not None:
                self._data[:, :, row, :, past - state.length : past] = state.cache
        self._end = past
        self._block = 0

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a block behind the past and return everything up to its end."""
        self._block = keys.shape[2]
        end = self._end + self._block
        self._data[layer, 0, :, :, self._end : end] = keys
        self._data[layer, 1, :, :, self._end : end] = values
        return self._data[layer, 0, :, :, :end], self._data[layer, 1, :, :, :end]

    def advance(self) -> None:
        """Count the written block as past."""
        self._end += self._block

    def get_seq_length(self, layer: int = 0) -> int:
        """Return the length of the past."""
        return self._end

    def row(self, row: int, start: int, end: int) -> torch.Tensor:
        """Copy one row's slots, shape (layers, 2, heads, end - start, head size)."""
        return self._data[:, :, row, :, start:end].clone()


class PrefixReader(PrefixTokenizer):
    """Reads prefixes into states, and keeps the states of live prefixes.

    Parameters
    ----------
    model, tokenizer
        As `load_model` returns them.
    batch_size
        Rows of a pass that decodes, and how many requests are answered together.
    cache_bytes
        How much memory the states of live prefixes may take; the least recently used go first.
    step_tag_id
        Token appended to each step before it is read (a PRM's step tag), if any.
    outputs
        What is computed beside the hidden state: nothing, next-token logits, or also likelihoods.
    prompt
        How prefixes become tokens, as `PrefixTokenizer` takes it.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size: int = 64,
        cache_bytes: int = 1 << 29,
        step_tag_id: int | None = None,
        outputs: Outputs = "logits",
        **prompt: Any,
    ) -> None:
        super().__init__(tokenizer, step_tag_id=step_tag_id, **prompt)
        self.model = model.eval()
        self.batch_size = batch_size
        self.outputs = outputs
        self.device = model.device
        config = model.config
        self.max_length = config.max_position_embeddings
        heads = config.num_key_value_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._like = torch.empty(config.num_hidden_layers, 2, heads, 0, size, device=self.device, dtype=model.dtype)
        self._memory: dict[tuple[int, int], torch.Tensor] = {}
        self._states: OrderedDict[bytes, PrefixState] = OrderedDict()
        self._room = cache_bytes

    @torch.inference_mode()
    def read(self, prefixes: Sequence[Prefix]) -> list[PrefixState]:
        """Return the states of prefixes, computing and keeping what is not there."""
        states: dict[bytes, PrefixState] = {}
        todo: dict[bytes, list[Prefix]] = {}
        for prefix in prefixes:
            chain = []
            node: Prefix | None = prefix
            while node is not None:
                state = states.get(node.digest) or self._states.get(node.digest)
                if state is not None:
                    self._states.move_to_end(node.digest) if node.digest in self._states else None
                    states[node.digest] = state
                    break
                chain.append(node)
                node = node.parent
            todo[prefix.digest] = chain[::-1]
        while any(todo.values()):
            front = {chain[0].digest: chain[0] for chain in todo.values() if chain}
            shapes: dict[tuple[int, int], list[Prefix]] = {}
            for node in front.values():
                parent = states[node.parent.digest].length if node.parent else 0
                shapes.setdefault((round_up(parent), block_width(len(self.block_ids(node)))), []).append(node)
            for (past, width), nodes in sorted(shapes.items()):
                for start in range(0, len(nodes), READ_ROWS):
                    self._extend(nodes[start : start + READ_ROWS], past, width, states)
            todo = {key: [node for node in chain if node.digest not in states] for key, chain in todo.items()}
        while self._room < 0:
            self._room += self._states.popitem(last=False)[1].cache.nbytes
        return [states[prefix.digest] for prefix in prefixes]

    def _extend(self, nodes: list[Prefix], past: int, width: int, states: dict[bytes, PrefixState]) -> None:
        """Read one block behind each node's parent, in one forward pass of fixed shape."""
        rows = READ_ROWS
        parents = [states[node.parent.digest] if node.parent else None for node in nodes]
        blocks = [self.block_ids(node) for node in nodes]
        ids = torch.zeros(rows, width, dtype=torch.long)
        lengths = torch.zeros(rows, dtype=torch.long)
        sizes = [len(block) for block in blocks] + [1] * (rows - len(nodes))
        for row, (parent, block) in enumerate(zip(parents, blocks, strict=True)):
            ids[row, : len(block)] = torch.tensor(block)
            lengths[row] = parent.length if parent else 0
        ids, lengths = ids.to(self.device), lengths.to(self.device)
        buffers = _Buffers(self._buffer_memory(rows, past + width), parents, past)
        causal = torch.ones(width, width, dtype=torch.bool, device=self.device).tril()
        visible = torch.cat(
            [self._past_mask(lengths, past)[:, None].expand(-1, width, -1), causal.expand(rows, -1, -1)], 2
        )
        positions = lengths[:, None] + torch.arange(width, device=self.device)
        hidden = self._forward(ids, positions, visible, buffers)
        last = torch.tensor(sizes, device=self.device) - 1
        final = hidden[torch.arange(rows, device=self.device), last]
        logits = self._logits(final) if self.outputs != "hidden" else hidden.new_zeros(rows, 0)
        likelihood = hidden.new_zeros(rows, 0)
        if self.outputs == "likelihood":
            likelihood = self._likelihood(parents, ids, hidden, last)
        for row, (node, parent, block) in enumerate(zip(nodes, parents, blocks, strict=True)):
            state = states[node.digest] = self._states[node.digest] = PrefixState(
                cache=buffers.row(row, past - (parent.length if parent else 0), past + len(block)),
                hidden=final[row].clone(),
                logits=logits[row].clone(),
                likelihood=likelihood[row].clone(),
            )
            self._room -= state.cache.nbytes

    def _likelihood(
        self, parents: list[PrefixState | None], ids: torch.Tensor, hidden: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        """Return minimum and mean log-probability of each block's tokens, shape (rows, 2).

        A block's first token was foreseen by the state before it. At the root there is none,
        and nobody reads the likelihood of a problem.
        """
        within = self._logits(hidden[:, :-1])
        before = torch.zeros_like(within[:, :1])
        for row, parent in enumerate(parents):
            if parent is not None:
                before[row, 0] = parent.logits
        logprobs = torch.log_softmax(torch.cat([before, within], 1).float(), -1).gather(2, ids[:, :, None])[:, :, 0]
        inside = torch.arange(ids.shape[1], device=self.device) <= last[:, None]
        minimum = logprobs.masked_fill(~inside, torch.inf).min(1).values
        mean = (logprobs * inside).sum(1) / (last + 1)
        return torch.stack([minimum, mean], 1)

    def _buffer_memory(self, rows: int, length: int) -> torch.Tensor:
        """Return the memory for KV buffers of one shape, (layers, 2, rows, kv heads, length, head size)."""
        if (rows, length) not in self._memory:
            if len(self._memory) >= KEPT_BUFFERS:
                self._memory.clear()
            layers, _, heads, _, size = self._like.shape
            self._memory[rows, length] = self._like.new_zeros(layers, 2, rows, heads, length, size)
        return self._memory[rows, length]

    def _past_mask(self, lengths: torch.Tensor, past: int) -> torch.Tensor:
        """Which slots of a left-padded past hold tokens, shape (rows, past)."""
        return torch.arange(past, device=self.device) >= past - lengths[:, None]

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, visible: torch.Tensor, buffers: _Buffers
    ) -> torch.Tensor:
        mask = torch.zeros(visible.shape, device=self.device, dtype=self.model.dtype)
        mask.masked_fill_(~visible, torch.finfo(mask.dtype).min)
        output = self.model.base_model(
            input_ids=ids,
            attention_mask=mask[:, None],
            position_ids=positions,
            past_key_values=buffers,
            use_cache=True,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model.get_output_embeddings()(hidden)
        return logits


class StepGenerator(PrefixReader):
    """Writes steps with a language model; a `BatchBackend` whose requests are (prefix, replicate)."""

    def __init__(self, model: Any, tokenizer: Any, identity: str, sampling: Sampling, **reader: Any) -> None:
        super().__init__(model, tokenizer, **reader)
        self.identity = identity
        self.sampling = sampling
        self._text_of = [tokenizer.decode([i]) for i in range(len(tokenizer))]
        ends = model.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])

    def bucket(self, request: tuple[Prefix, int]) -> Hashable:
        """Group requests whose states pad to the same length."""
        return round_up(self.length(request[0]))

    @torch.inference_mode()
    def run(self, requests: Sequence[tuple[Prefix, int]]) -> list[Step]:
        """Write the step that follows each prefix."""
        states = self.read([prefix for prefix, _ in requests])
        room, rows = self.sampling.max_step_tokens, self.batch_size
        past = round_up(states[0].length)
        if past + room > self.max_length:
            raise BackendError(
                f"{self.identity}: a prefix of {states[0].length} tokens leaves no room for a step within the model's "
                f"{self.max_length} tokens; lower max_steps or max_step_tokens"
            )
        noise = np.stack([uniforms(self.identity, prefix, replicate, room) for prefix, replicate in requests])
        idle = rows - len(requests)
        buffers = _Buffers(self._buffer_memory(rows, past + room), states, past)
        lengths = torch.tensor([state.length for state in states] + [0] * idle, device=self.device)
        visible = torch.ones(rows, 1, past + room, dtype=torch.bool, device=self.device)
        visible[:, 0, :past] = self._past_mask(lengths, past)
        logits = torch.zeros(rows, states[0].logits.shape[0], device=self.device, dtype=self.model.dtype)
        logits[: len(requests)] = torch.stack([state.logits for state in states])
        written: list[list[int]] = [[] for _ in requests]
        finish: list[FinishReason | None] = [None] * len(requests)
        draws = torch.ones(rows, room, dtype=torch.float64)
        draws[: len(requests)] = torch.from_numpy(noise)
        draws = draws.to(self.device)
        for position in range(room):
            tokens = sample(logits, draws[:, position], self.sampling)
            for row, token in enumerate(tokens[: len(requests)].tolist()):
                if finish[row] is None:
                    written[row].append(token)
                    finish[row] = self._finish(written[row], room)
            if all(finish):
                break
            hidden = self._forward(
                tokens[:, None], (lengths + position)[:, None], visible[:, :, : past + position + 1], buffers
            )
            buffers.advance()
            logits = self._logits(hidden[:, -1])
        return [
            Step(self._text(ids), tuple(ids), state.length, reason)
            for ids, state, reason in zip(written, states, finish, strict=True)
            if reason is not None
        ]

    def _finish(self, ids: list[int], room: int) -> FinishReason | None:
        if ids[-1] in self._ends:
            return FinishReason.END_OF_SEQUENCE
        last = self._text_of[ids[-1]]
        if "\n" in last and SEPARATOR in "".join(self._text_of[i] for i in ids[-4:]):
            return FinishReason.SEPARATOR
        if len(ids) == room:
            return FinishReason.LENGTH
        return None

    def _text(self, ids: list[int]) -> str:
        kept = ids[:-1] if ids[-1] in self._ends else ids
        text: str = self.tokenizer.decode(kept, skip_special_tokens=True)
        return text


def round_up(length: int) -> int:
    """Length of the padded past that holds `length` tokens."""
    return -(-length // PAST_BUCKET) * PAST_BUCKET


def block_width(length: int) -> int:
    """Width of the padded block that holds `length` tokens."""
    for width in BLOCK_BUCKETS:
        if length <= width:
            return width
    raise BackendError(f"a step or problem of {length} tokens is longer than {BLOCK_BUCKETS[-1]}")


def uniforms(identity: str, prefix: Prefix, replicate: int, count: int) -> np.ndarray:
    """Draws in [0, 1) that are a pure function of model, sampling settings, prefix and replicate."""
    key = int.from_bytes(request_digest(identity, prefix, replicate), "little")
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def sample(logits: torch.Tensor, draws: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Draw one token a row by inverting the distribution after temperature, top-k and top-p.

    Parameters
    ----------
    logits
        Shape (rows, vocabulary).
    draws
        Uniform in [0, 1), shape (rows,).

    Returns
    -------
    Token ids, shape (rows,).
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    k = min(sampling.top_k or logits.shape[-1], logits.shape[-1])
    top, ids = torch.topk(logits.double() / sampling.temperature, k, dim=-1)
    p = torch.softmax(top, -1)
    mass = p.cumsum(-1)
    kept = mass - p < sampling.top_p  # the smallest set whose mass reaches top_p
    mass = (p * kept).cumsum(-1)
    choice = torch.searchsorted(mass, (draws * mass[:, -1])[:, None], right=True).clamp(max=k - 1)
    return ids.gather(1, choice)[:, 0]
