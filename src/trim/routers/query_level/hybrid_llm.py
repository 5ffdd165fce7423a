"""Hybrid LLM: an encoder foresees whether the weak answer is as good as the strong one (arXiv 2404.14618).

Two of its three routers: `default` learns the probability over samples, `deterministic` the
outcome of a single pair. The third relaxes "as good" by a margin that balances the labels; where
an answer is right or wrong, any margin below one changes nothing, and one makes all labels alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trim.config.routers import EncoderTuning
from trim.routers.query_level.evidence import Evidence, Floats, every_replicate

if TYPE_CHECKING:
    from trim.models.encoder import Encoder, TextClassifier

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

    classifier: TextClassifier
    variant: str

    def doubts(self, evidence: Evidence) -> Floats:
        """Read the problems."""
        matches = self.classifier.predict(evidence.texts)[:, VARIANTS.index(self.variant), MATCH]
        return every_replicate(1 - matches, evidence.replicates)


def fit_hybrid_llm(
    train: Evidence, dev: Evidence, encoder: Encoder, settings: EncoderTuning, seed: str
) -> TextClassifier:
    """Fine-tune the encoder on both kinds of label at once."""
    from trim.models.encoder import fine_tune

    splits = [(split.texts, label_matches(split)) for split in (train, dev)]
    return fine_tune(encoder, splits[0], splits[1], settings, f"{seed}/hybrid-llm")


def label_matches(evidence: Evidence) -> Floats:
    """Return how likely the weak answer is no worse, and is worse, by variant, shape (P, 2, 2)."""
    over_samples = 1 - evidence.outcomes()[:, 0]
    single = (evidence.weak_correct[:, 0] | ~evidence.strong_correct[:, 0]).astype(np.float64)
    matches = np.stack([over_samples, single], axis=1)
    return np.stack([matches, 1 - matches], axis=2)
