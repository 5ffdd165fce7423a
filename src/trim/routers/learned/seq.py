"""TRIM-Seq: a causal transformer over the scores and token counts of all steps (paper, section 4.2).

The paper names the inputs and says "transformer"; all else is our choice: pre-norm blocks,
learned positions, kappa added to every step, actor and critic on the last position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import linear

from trim.arrays import Booleans
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.routers.learned.features import SequenceEncoder, unpack_sequences


class Block(nn.Module):
    """One pre-norm layer of a transformer: attention and a feed-forward part, each added to what it read."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, states: torch.Tensor, future: torch.Tensor) -> torch.Tensor:
        """Update all states, (n, steps, width), by those before them; `future` (steps, steps) hides the others."""
        seen = self.norm(states)
        attended, _ = self.attention(seen, seen, seen, need_weights=False, attn_mask=future)
        states = states + attended
        updated: torch.Tensor = states + self.feed(states)
        return updated

    def update_one(self, states: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Return the updated states at one position (n,) of each row alone, shape (n, width)."""
        seen = self.norm(states)
        rows = torch.arange(len(states), device=states.device)
        asking = states[rows, position] + attend_from(self.attention, seen, position)
        updated: torch.Tensor = asking + self.feed(asking)
        return updated


def attend_from(attention: nn.MultiheadAttention, seen: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Attend from one position of each row to it and all before it, as `attention` does from all.

    Logits are linear in what keys are made of, and sums of values in what those are made of. So with one query a row it
    is the query that is brought to what is seen, (W_q x_t) W_k, and keys and values of all positions are never made.
    The bias of the keys moves all logits of a query alike, and is left out.

    Parameters
    ----------
    seen
        Shape (n, steps, width).
    position
        Shape (n,).
    """
    rows, steps, width = seen.shape
    heads, size = attention.num_heads, attention.head_dim
    weights, biases = attention.in_proj_weight.split(width), attention.in_proj_bias.split(width)
    by_head = [weight.view(heads, size, width) for weight in weights]
    asking = seen[torch.arange(rows, device=seen.device), position]
    query = linear(asking, weights[0], biases[0]).view(rows, heads, size)
    logits = torch.einsum("nhd,hdw->nhw", query, by_head[1]) @ seen.transpose(1, 2) / size**0.5
    behind = torch.arange(steps, device=seen.device) > position[:, None]
    shares = logits.masked_fill(behind[:, None], -torch.inf).softmax(-1)
    values = torch.einsum("nhw,hdw->nhd", shares @ seen, by_head[2]).reshape(rows, width) + biases[2]
    attended: torch.Tensor = attention.out_proj(values)
    return attended


class SequenceNetwork(nn.Module):
    """Reads (n, size) observations of `SequenceEncoder` into (n, width): the state at the draft's position.

    Parameters
    ----------
    features
        Number of features of a step.
    max_steps
        Most steps of an episode.
    width, layers, heads
        Shape of the transformer.
    """

    def __init__(self, features: int, max_steps: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.features = features
        self.embed = nn.Linear(features + 1, width)
        self.positions = nn.Parameter(torch.zeros(max_steps, width))
        nn.init.normal_(self.positions, std=0.1)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the state at the last position that is filled."""
        position, log_kappa, steps = unpack_sequences(observations, self.features)
        last = position.long()
        steps = steps[:, : int(last.max()) + 1]  # padding costs nothing where no episode is that long
        length = steps.shape[1]
        values = torch.cat([steps, log_kappa[:, None, None].expand(-1, length, 1)], 2)
        states = self.embed(values) + self.positions[:length]
        future = torch.ones(length, length, dtype=torch.bool, device=steps.device).triu(1)
        # A filled position sees only what is before it: padding, which is behind, needs no mask of its own.
        for block in self.blocks[:-1]:
            states = block(states, future)
        # Of the last layer only the state at the draft is read, and only that is computed.
        last_block = self.blocks[-1]
        assert isinstance(last_block, Block)
        state: torch.Tensor = self.norm(last_block.update_one(states, last))
        return state


@dataclass(frozen=True, slots=True, eq=False)
class SeqPolicy(WantsEveryDraft):
    """Regenerate where the network prefers it.

    Attributes
    ----------
    encoder
        Makes observations of histories.
    network, actor
        State at the draft, and the logits of keep and regenerate there.
    kappa
        The trade-off between right answers and strong tokens.
    """

    encoder: SequenceEncoder
    network: SequenceNetwork
    actor: nn.Linear
    kappa: float
    reads = Reads.HISTORY

    @torch.inference_mode()
    def decide(self, observed: Observed) -> Booleans:
        """Decide on n drafts: True where the strong model is to write the step, shape (n,)."""
        observations = self.encoder.encode(observed, np.full(len(observed.position), self.kappa))
        logits = self.actor(self.network(torch.from_numpy(observations)))
        return np.asarray((logits[:, 1] > logits[:, 0]).numpy())
