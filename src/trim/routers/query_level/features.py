"""A cascade that knows no more than anybody could count: a baseline of our own.

Two logistic regressions on descriptions: how likely the weak answer is right, by the problem, the answer and its PRM
scores; how likely the strong model is right, by the problem alone. The doubt is how likely the strong model's answer is
right and the weak one's is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Floats
from trim.routers.query_level.described import COUNTED, describe_answers, standard
from trim.routers.query_level.evidence import Evidence
from trim.routers.query_level.heads import LinearHeads, fit_heads


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Doubts a weak answer by how likely the strong model would correct it.

    Attributes
    ----------
    mean, scale
        Shape (T + 8,); of the descriptions of training answers, the problem's T numbers first.
    weak, strong
        Weights of `LinearHeads` with one head: whether the weak answer is wrong or right, and the strong one.
    """

    mean: Floats
    scale: Floats
    weak: Floats
    strong: Floats

    def doubts(self, evidence: Evidence) -> Floats:
        """Describe the answers."""
        rows = (describe_answers(evidence)[:, : evidence.replicates] - self.mean) / self.scale
        wrong = LinearHeads(self.weak).predict(rows.reshape(-1, rows.shape[2]))[:, 0, 0].reshape(rows.shape[:2])
        right = LinearHeads(self.strong).predict(rows[:, 0, : len(COUNTED)])[:, 0, 1]
        return np.asarray((wrong * right[:, None])[:, :, None])


def fit_features(train: Evidence, dev: Evidence) -> Features:
    """Fit to all weak and strong solutions of the training problems; penalties are chosen on dev."""
    described = [describe_answers(split) for split in (train, dev)]
    flat = described[0].reshape(-1, described[0].shape[2])
    mean, scale = flat.mean(axis=0), standard(flat)
    standing = [(rows - mean) / scale for rows in described]
    weak = [
        (rows.reshape(-1, rows.shape[2]), _labels(split.weak_correct.reshape(-1, 1)))
        for rows, split in zip(standing, (train, dev), strict=True)
    ]
    strong = [
        (rows[:, 0, : len(COUNTED)], _labels(split.strong_correct))
        for rows, split in zip(standing, (train, dev), strict=True)
    ]
    return Features(mean, scale, fit_heads(*weak).weights, fit_heads(*strong).weights)


def _labels(correct: Booleans) -> Floats:
    """Return how often solutions, shape (n, samples), are wrong and right, shape (n, 1, 2)."""
    right = correct.mean(axis=1)
    return np.stack([1 - right, right], axis=1)[:, None]
