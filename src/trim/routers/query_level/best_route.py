"""BEST-Route: best of n weak solutions, n chosen for each problem, or the strong model (arXiv 2506.22716).

The PRM picks the best, by its cumulative score. Options stand in order of what they cost in dollars (`prices.api` of
the config): one weak solution, two, ..., the strong model. Strong tokens, the cost of the paper, do not tell the weak
ones apart, nor from doing nothing: there, best of n is a gain for nothing, and delta IBC compares it with no router.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence
from trim.routers.query_level.heads import Learn, LinearHeads, foresee

if TYPE_CHECKING:
    from trim.models.encoder import TextClassifier

MATCH, NO_MATCH = 0, 1
LARGEST = 5
"""Most weak solutions that compete, as in BEST-Route."""

RESAMPLES = 10


@dataclass(frozen=True, slots=True, eq=False)
class BestRoute:
    """Doubts best of n by how much likelier it is not to match the strong model than to match it.

    Attributes
    ----------
    classifier
        Head n - 1 foresees best of n; classes match and no match.
    """

    classifier: TextClassifier | LinearHeads

    def doubts(self, evidence: Evidence) -> Floats:
        """Read the problems; a doubt lies in [-1, 1]."""
        probabilities = foresee(self.classifier, evidence)
        doubts = probabilities[:, :, NO_MATCH] - probabilities[:, :, MATCH]
        return np.repeat(doubts[:, None], evidence.replicates, axis=1)


def largest_set(samples: int) -> int:
    """Return how many weak solutions compete at most, where there are so many further ones."""
    return min(samples + 1, LARGEST)


def fit_best_route(train: Evidence, dev: Evidence, largest: int, learn: Learn, seed: str) -> BestRoute:
    """Learn how likely best of n is no worse than the strong model, for n up to `largest`."""
    labels = (label_best(split, largest, f"{seed}/best-route/{i}") for i, split in enumerate((train, dev)))
    return BestRoute(learn("best-route", *labels))


def label_best(evidence: Evidence, largest: int, seed: str) -> Floats:
    """Return how likely best of n is no worse, and is worse, than a strong solution, shape (P, largest, 2).

    Over sets of n weak solutions drawn with replacement, as in BEST-Route, and all strong solutions.
    """
    problems, count = evidence.weak_correct.shape
    generator = np.random.default_rng(list(seed.encode()))
    products, rows = evidence.summary("product"), np.arange(problems)[:, None]
    strong = evidence.strong_correct.mean(axis=1)
    labels = []
    for size in range(1, largest + 1):
        drawn = generator.integers(count, size=(problems, RESAMPLES, size))
        best = np.take_along_axis(drawn, products[rows[:, :, None], drawn].argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
        right = evidence.weak_correct[rows, best].mean(axis=1)
        worse = (1 - right) * strong
        labels.append(np.stack([1 - worse, worse], axis=1))
    return np.stack(labels, axis=1)
