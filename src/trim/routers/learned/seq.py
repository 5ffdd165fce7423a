"""TRIM-Seq: a causal transformer over the scores and token counts of all steps (paper, section 4.2).

The paper names the inputs and says "transformer"; all else is our choice: pre-norm blocks,
learned positions, kappa added to every step, actor and critic on the last position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

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

    def forward(self, asking: torch.Tensor, states: torch.Tensor, **hidden: torch.Tensor) -> torch.Tensor:
        """Update the states that ask, (n, q, width), by all states (n, steps, width) but those that are `hidden`."""
        seen = self.norm(states)
        attended, _ = self.attention(self.norm(asking), seen, seen, need_weights=False, **hidden)
        asking = asking + attended
        updated: torch.Tensor = asking + self.feed(asking)
        return updated


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
            states = block(states, states, attn_mask=future)
        # Of the last layer only the state at the draft is read, and only that is computed.
        draft = states[torch.arange(len(last)), last][:, None]
        behind = torch.arange(length, device=steps.device) > last[:, None]
        state: torch.Tensor = self.norm(self.blocks[-1](draft, states, key_padding_mask=behind))
        return state[:, 0]


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
