"""TRIM-Seq: a causal transformer over the scores and token counts of all steps (paper, section 4.2).

The paper names the inputs and says "transformer"; all else is our choice: pre-norm blocks,
learned positions, kappa added to every step, actor and critic on the last position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trim.rollout.observed import DecidesOnHistories, Observed
from trim.routers.features import SequenceEncoder, unpack_sequences


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
        block = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the state at the last position that is filled."""
        position, log_kappa, steps = unpack_sequences(observations, self.features)
        last = position.long()
        steps = steps[:, : int(last.max()) + 1]  # padding costs nothing where no episode is that long
        length = steps.shape[1]
        values = torch.cat([steps, log_kappa[:, None, None].expand(-1, length, 1)], 2)
        hidden = self.embed(values) + self.positions[:length]
        future = torch.ones(length, length, dtype=torch.bool, device=steps.device).triu(1)
        # A filled position sees only what is before it: padding, which is behind, needs no mask of its own.
        states: torch.Tensor = self.blocks(hidden, mask=future)
        return states[torch.arange(len(last)), last]


@dataclass(frozen=True, slots=True, eq=False)
class SeqPolicy(DecidesOnHistories):
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

    @torch.inference_mode()
    def decide_all(self, observed: Observed) -> NDArray[np.bool_]:
        """Decide on n drafts: True where the strong model is to write the step, shape (n,)."""
        observations = self.encoder.encode(observed, np.full(len(observed.position), self.kappa))
        logits = self.actor(self.network(torch.from_numpy(observations)))
        return np.asarray((logits[:, 1] > logits[:, 0]).numpy())
