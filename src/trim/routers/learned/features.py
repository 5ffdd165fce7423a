"""What TRIM-Agg and TRIM-Seq see of an episode: PRM scores, token counts and the step's position, standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trim.arrays import Floats, Singles
from trim.rollout.history import Observed

AGGREGATES = ("score", "minimum", "draft_tokens", "position")
"""Features of TRIM-Agg (paper, section 4.3): r_t, min r_{1:t-1}, c_t, t."""

PER_STEP = ("scores", "tokens")
"""Features of TRIM-Seq for each step (paper, section 4.2): r_i, c_i."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of features, by name; what is not in it stays as it is."""

    mean: Mapping[str, float]
    deviation: Mapping[str, float]

    @classmethod
    def of(cls, samples: Mapping[str, Floats]) -> Scale:
        """Measure samples of each feature."""
        mean = {name: float(np.mean(values)) for name, values in samples.items()}
        return cls(mean, {name: float(np.std(values)) or 1.0 for name, values in samples.items()})

    def apply(self, name: str, values: NDArray[Any]) -> Floats:
        """Standardise the values of one feature."""
        return np.asarray((values - self.mean.get(name, 0.0)) / self.deviation.get(name, 1.0))


@dataclass(frozen=True, slots=True)
class AggregateEncoder:
    """Observations of TRIM-Agg: the aggregates, and log kappa where one policy serves all trade-offs.

    Attributes
    ----------
    scale
        Of the aggregates, and of `log_kappa`.
    conditioned
        Whether kappa is seen.
    features
        Which aggregates are seen.
    """

    scale: Scale
    conditioned: bool
    features: Sequence[str] = AGGREGATES

    @property
    def size(self) -> int:
        """Length of an observation."""
        return len(self.features) + self.conditioned

    def encode(self, observed: Observed, kappa: Floats) -> Singles:
        """Return observations, shape (n, size)."""
        columns = [self.scale.apply(name, getattr(observed, name)) for name in self.features]
        if self.conditioned:
            columns.append(self.scale.apply("log_kappa", np.log(kappa)))
        return np.stack(columns, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class SequenceEncoder:
    """Observations of TRIM-Seq: the features of every step up to the draft, flat, zeros behind it.

    Features beyond the paper's are `strong` (who wrote a step), `draft_scores` (of rejected drafts too) and `ending`
    (whether the draft ends all).

    An observation is (position, log kappa, features of step 0, of step 1, ...); log kappa is 0
    where the policy does not see it.
    """

    scale: Scale
    conditioned: bool
    max_steps: int
    features: Sequence[str] = PER_STEP

    @property
    def size(self) -> int:
        """Length of an observation."""
        return 2 + self.max_steps * len(self.features)

    def encode(self, observed: Observed, kappa: Floats) -> Singles:
        """Return observations, shape (n, size)."""
        n, width = observed.scores.shape
        seen = np.arange(width) <= observed.position[:, None]
        out = np.zeros((n, self.size), dtype=np.float32)
        out[:, 0] = observed.position
        if self.conditioned:
            out[:, 1] = self.scale.apply("log_kappa", np.log(kappa))
        steps = out[:, 2:].reshape(n, self.max_steps, len(self.features))
        for i, name in enumerate(self.features):
            values = self.scale.apply(name, getattr(observed, name).astype(np.float64))
            steps[:, :width, i] = np.where(seen, values, 0.0)
        return out


def unpack_sequences(observations: Any, features: int) -> tuple[Any, Any, Any]:
    """Take apart what `SequenceEncoder` packed: position (n,), log kappa (n,), features (n, max_steps, features)."""
    steps = observations[:, 2:].reshape(len(observations), -1, features)
    return observations[:, 0], observations[:, 1], steps
