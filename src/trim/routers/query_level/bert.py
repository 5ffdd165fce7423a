"""RouteLLM's BERT classifier: an encoder tells apart who wins (arXiv 2406.18665)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence, every_replicate
from trim.routers.query_level.heads import Learn, LinearHeads, foresee

if TYPE_CHECKING:
    from trim.models.encoder import TextClassifier

STRONG_WINS = 0


@dataclass(frozen=True, slots=True, eq=False)
class Bert:
    """Doubts the weak model by the probability that the strong one wins; classes as in `Evidence.outcomes`."""

    classifier: TextClassifier | LinearHeads

    def doubts(self, evidence: Evidence) -> Floats:
        """Read the problems."""
        probabilities = foresee(self.classifier, evidence)[:, 0, STRONG_WINS]
        return every_replicate(probabilities, evidence.replicates)


def fit_bert(train: Evidence, dev: Evidence, learn: Learn) -> Bert:
    """Learn who wins, a tie being the third class."""
    return Bert(learn("bert", train.outcomes()[:, None], dev.outcomes()[:, None]))
