"""Query-level baselines that know what the strong model costs: the same doubt, for each token that it would write.

Delta IBC is a gain for each strong token, so that a router which does not weigh a gain by its cost leaves some of it
behind. Doubts of any scale become chances first, by a logistic regression on dev that keeps their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from trim.arrays import Floats
from trim.routers.query_level.described import ExpectedTokens, fit_tokens
from trim.routers.query_level.evidence import Evidence, QueryRouter

VARIANT = "per-token"
RIDGE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class PerToken:
    """Doubts by how likely the strong model corrects the answer, for each token that it is expected to write.

    Attributes
    ----------
    base
        The baseline whose doubts these are.
    calibration
        Shape (4,); mean and scale of its doubts, slope (not negative) and intercept of the regression.
    tokens
        Foresees the strong model's tokens.
    """

    base: QueryRouter
    calibration: Floats
    tokens: ExpectedTokens

    def doubts(self, evidence: Evidence) -> Floats:
        """Divide; shape (P, R, options) as those of the baseline."""
        mean, scale, slope, intercept = self.calibration
        chances = expit(slope * (self.base.doubts(evidence) - mean) / scale + intercept)
        return np.asarray(chances / self.tokens.of(evidence)[:, :, None])


def fit_per_token(base: QueryRouter, train: Evidence, dev: Evidence, reads_answer: bool) -> PerToken:
    """Calibrate a fitted baseline on dev, and fit the strong model's tokens to the training problems.

    Parameters
    ----------
    reads_answer
        Whether the baseline decides when the weak answer is there.
    """
    return PerToken(base, _calibrate(base.doubts(dev)[:, :, 0], dev), fit_tokens(train, reads_answer))


def _calibrate(doubts: Floats, evidence: Evidence) -> Floats:
    """Fit how likely the strong model is right where the weak answer is wrong, given the doubt, shape (P, R)."""
    wrong = ~evidence.weak_correct[:, : evidence.replicates]
    corrected = wrong * evidence.strong_correct.mean(axis=1, keepdims=True)
    mean, scale = doubts.mean(), max(float(doubts.std()), 1e-9)
    standing = (doubts - mean) / scale

    def loss(line: Floats) -> tuple[float, Floats]:
        logits = line[0] * standing + line[1]
        residuals = expit(logits) - corrected
        value = (np.logaddexp(0, logits) - corrected * logits).mean() + RIDGE * (line**2).sum() / 2
        return float(value), np.array([(residuals * standing).mean(), residuals.mean()]) + RIDGE * line

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return np.array([mean, scale, *found.x])
