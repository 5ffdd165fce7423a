"""TRIM-Thr: regenerate a draft whose PRM score is below a threshold (paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trim.rollout.history import Observed, Reads, WantsEveryDraft


@dataclass(frozen=True, slots=True)
class Threshold(WantsEveryDraft):
    """Regenerate iff score < threshold: 0 keeps every draft, above 1 keeps none."""

    threshold: float
    reads = Reads.DRAFT

    def decide(self, observed: Observed) -> NDArray[np.bool_]:
        """Compare n drafts."""
        return np.asarray(observed.score < self.threshold)


@dataclass(frozen=True, slots=True)
class PerToken(WantsEveryDraft):
    """Regenerate iff (1 - score) / draft tokens exceeds a threshold: what knowing the cost alone gains."""

    threshold: float
    reads = Reads.DRAFT

    def decide(self, observed: Observed) -> NDArray[np.bool_]:
        """Compare the doubts that a token would settle."""
        return np.asarray((1 - observed.score) / np.maximum(observed.draft_tokens, 1) > self.threshold)


def quantile_thresholds(values: Sequence[float], count: int) -> list[float]:
    """Lay thresholds at quantiles of what a threshold is compared with, so that points spread over the curve.

    Quantiles stand closer at the low end, where one more regenerated step changes the
    curve most (share of regenerated steps grows like the square of the position).

    Returns
    -------
    At most `count` rising thresholds, without repeats.
    """
    positions = (np.arange(1, count + 1) / (count + 1)) ** 2
    return sorted({round(float(q), 9) for q in np.quantile(np.asarray(values), positions)})


def concave_hull(shares: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Return the indices of the points on the upper concave hull of a curve, by rising cost.

    The hull starts at the cheapest point and ends at the most accurate one.
    """
    order = sorted(range(len(shares)), key=lambda i: (shares[i], -accuracies[i]))
    hull: list[int] = []
    for i in order:
        if hull and accuracies[i] <= accuracies[hull[-1]]:
            continue
        while len(hull) >= 2 and _slope(shares, accuracies, hull[-2], hull[-1]) <= _slope(
            shares, accuracies, hull[-2], i
        ):
            hull.pop()
        hull.append(i)
    return hull


def _slope(shares: Sequence[float], accuracies: Sequence[float], a: int, b: int) -> float:
    return (accuracies[b] - accuracies[a]) / max(shares[b] - shares[a], 1e-12)


def lay_thresholds(scores: pd.DataFrame, count: int) -> dict[str, list[float]]:
    """Lay the thresholds of TRIM-Thr and of its per-token control over the weak model's scored steps."""
    drafts = scores[scores["behaviour"] == "weak-only"]
    doubt = (1 - drafts["score"]) / drafts["tokens"].clip(lower=1)
    # A high threshold on the doubt keeps more, so its quantiles are laid from the other end.
    per_token = sorted(-value for value in quantile_thresholds((-doubt).tolist(), count))
    return {"default": quantile_thresholds(drafts["score"].tolist(), count), "per-token": per_token}


def fit_hull(episodes: pd.DataFrame) -> list[float]:
    """Return the thresholds whose points lie on the concave hull of a sweep, given a row an episode.

    The sweep holds threshold 0, weak-only: there the hull starts, but it is no operating point.
    """
    means = episodes.groupby("operating_point")[["strong_tokens", "correct"]].mean()
    hull = concave_hull(means["strong_tokens"].tolist(), means["correct"].tolist())
    return [setting for setting in (float(means.index[i]) for i in hull) if setting > 0]
