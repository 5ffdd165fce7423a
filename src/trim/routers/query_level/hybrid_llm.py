"""Hybrid LLM: an encoder foresees whether the weak answer is as good as the strong one (arXiv 2404.14618).

Two of its three routers: `default` learns the probability over samples, `deterministic` the
outcome of a single pair. The third relaxes "as good" by a margin that balances the labels; where
an answer is right or wrong, any margin below one changes nothing, and one makes all labels alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence, every_replicate
from trim.routers.query_level.heads import Learn, LinearHeads, foresee

if TYPE_CHECKING:
    from trim.models.encoder import TextClassifier

VARIANTS = ("default", "deterministic")
MATCH = 0


@dataclass(frozen=True, slots=True, eq=False)
class HybridLLM:
    """Doubts the weak model by the probability that it does not match the strong one.

    Attributes
    ----------
    classifier
        One head for each of `VARIANTS`, with the classes match and no match.
    variant
        Whose head decides.
    """

    classifier: TextClassifier | LinearHeads
    variant: str

    def doubts(self, evidence: Evidence) -> Floats:
        """Read the problems."""
        matches = foresee(self.classifier, evidence)[:, VARIANTS.index(self.variant), MATCH]
        return every_replicate(1 - matches, evidence.replicates)


def fit_hybrid_llm(train: Evidence, dev: Evidence, learn: Learn) -> dict[str, HybridLLM]:
    """Learn both kinds of label at once; return the routers by variant."""
    classifier = learn("hybrid-llm", label_matches(train), label_matches(dev))
    return {variant: HybridLLM(classifier, variant) for variant in VARIANTS}


def label_matches(evidence: Evidence) -> Floats:
    """Return how likely the weak answer is no worse, and is worse, by variant, shape (P, 2, 2)."""
    over_samples = 1 - evidence.outcomes()[:, 0]
    single = (evidence.weak_correct[:, 0] | ~evidence.strong_correct[:, 0]).astype(np.float64)
    matches = np.stack([over_samples, single], axis=1)
    return np.stack([matches, 1 - matches], axis=2)
