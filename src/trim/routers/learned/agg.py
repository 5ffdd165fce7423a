"""TRIM-Agg: a small network on aggregates of the PRM scores (paper, section 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Singles
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.routers.learned.features import AggregateEncoder

ACTIVATIONS: dict[str, Callable[[Singles], Singles]] = {
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0),
}
NORM_EPSILON = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A linear layer, followed by a layer norm where it has a gain.

    Attributes
    ----------
    weight, bias
        Shape (outputs, inputs) and (outputs,).
    gain, shift
        Of the layer norm, shape (outputs,); None without one.
    """

    weight: Singles
    bias: Singles
    gain: Singles | None = None
    shift: Singles | None = None

    def apply(self, values: Singles) -> Singles:
        """Map (n, inputs) to (n, outputs)."""
        values = values @ self.weight.T + self.bias
        if self.gain is None:
            return values
        values = values - values.mean(axis=1, keepdims=True)
        normed = values / np.sqrt((values**2).mean(axis=1, keepdims=True) + NORM_EPSILON)
        return np.asarray(normed * self.gain + self.shift)


@dataclass(frozen=True, slots=True, eq=False)
class AggPolicy(WantsEveryDraft):
    """Regenerate where the network prefers it.

    Attributes
    ----------
    encoder
        Makes observations of histories.
    layers
        The network; its last layer gives the logits of keep and regenerate.
    activation
        Between layers: `tanh` or `relu`.
    kappa
        The trade-off between right answers and strong tokens.
    """

    encoder: AggregateEncoder
    layers: tuple[Layer, ...]
    activation: str
    kappa: float
    reads = Reads.HISTORY

    def decide(self, observed: Observed) -> Booleans:
        """Decide on n drafts: True where the strong model is to write the step, shape (n,)."""
        values = self.encoder.encode(observed, np.full(len(observed.position), self.kappa))
        for layer in self.layers[:-1]:
            values = ACTIVATIONS[self.activation](layer.apply(values))
        logits = self.layers[-1].apply(values)
        return np.asarray(logits[:, 1] > logits[:, 0])
