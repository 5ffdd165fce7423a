"""A cascade in the style of FrugalGPT: a learned scorer reads the weak answer (arXiv 2305.05176).

FrugalGPT trains a text classifier as scorer. Here the PRM has read the answer, and a logistic
regression on summaries of its scores says how likely the answer is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence

RIDGE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Frugal:
    """Doubts a weak answer by the probability that it is wrong.

    Attributes
    ----------
    weights
        Shape (5,); of the `SUMMARIES` and the intercept.
    """

    weights: Floats

    def doubts(self, evidence: Evidence) -> Floats:
        """Judge the answers."""
        right = expit(_features(evidence) @ self.weights)
        return np.asarray(1 - right[:, : evidence.replicates, None])


def fit_frugal(train: Evidence) -> Frugal:
    """Fit the scorer to all weak solutions of the training problems."""
    features = _features(train).reshape(-1, train.scores.shape[2] + 1)
    signs = np.where(train.weak_correct.ravel(), 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margins = signs * (features @ weights)
        slope = -(signs * expit(-margins)) @ features / len(signs)
        return float(np.logaddexp(0, -margins).mean() + RIDGE * weights @ weights / 2), slope + RIDGE * weights

    return Frugal(np.asarray(minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x))


def _features(evidence: Evidence) -> Floats:
    """Return the summaries and a one, shape (P, N, 5)."""
    return np.concatenate([evidence.scores, np.ones((*evidence.scores.shape[:2], 1))], axis=2)
