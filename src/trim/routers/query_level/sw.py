"""RouteLLM's similarity-weighted ranking (arXiv 2406.18665).

A Bradley-Terry model is fitted for each problem to the training battles, weighted by how similar
their problems are. With two models its solution is the weighted win rate, a tie being half a win.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence, every_replicate, unit

GAMMA = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityWeighted:
    """Doubts the weak model by the strong one's win rate on similar problems.

    Attributes
    ----------
    embeddings
        Shape (battles, width).
    wins
        Shape (battles,); share of the battles over a training problem that the strong model won.
    """

    embeddings: Floats
    wins: Floats

    def doubts(self, evidence: Evidence) -> Floats:
        """Weigh the training problems."""
        cosines = unit(evidence.embeddings) @ unit(self.embeddings).T
        nearest = np.maximum(np.abs(cosines.max(axis=1, keepdims=True)), 1e-9)
        weights = GAMMA ** (1 + cosines / nearest)
        return every_replicate(weights @ self.wins / weights.sum(axis=1), evidence.replicates)


def fit_sw(train: Evidence) -> SimilarityWeighted:
    """Remember the training problems and who won on them."""
    outcomes = train.outcomes()
    return SimilarityWeighted(train.embeddings, outcomes[:, 0] + outcomes[:, 1] / 2)
