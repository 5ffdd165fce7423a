"""RouteLLM's BERT classifier: an encoder tells apart who wins (arXiv 2406.18665)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trim.config.routers import EncoderTuning
from trim.routers.query_level.evidence import Evidence, Floats, every_replicate

if TYPE_CHECKING:
    from trim.models.encoder import Encoder, TextClassifier

STRONG_WINS = 0


@dataclass(frozen=True, slots=True, eq=False)
class Bert:
    """Doubts the weak model by the probability that the strong one wins; classes as in `Evidence.outcomes`."""

    classifier: TextClassifier

    def doubts(self, evidence: Evidence) -> Floats:
        """Read the problems."""
        probabilities = self.classifier.predict(evidence.texts)[:, 0, STRONG_WINS]
        return every_replicate(probabilities, evidence.replicates)


def fit_bert(train: Evidence, dev: Evidence, encoder: Encoder, settings: EncoderTuning, seed: str) -> Bert:
    """Fine-tune the encoder on who wins, a tie being the third class."""
    from trim.models.encoder import fine_tune

    splits = [(split.texts, split.outcomes()[:, None]) for split in (train, dev)]
    return Bert(fine_tune(encoder, splits[0], splits[1], settings, f"{seed}/bert"))
