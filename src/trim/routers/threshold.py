"""TRIM-Thr: regenerate a draft whose PRM score is below a threshold (paper, section 4.1); and one-step takeover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Booleans, Integers
from trim.errors import InputError
from trim.files import read_json, write_json
from trim.rollout.history import Observed, Reads, Router, WantsEveryDraft
from trim.rollout.tables import OperatingPoint, roll_out_points
from trim.rollout.trees import KEEP, RolloutTrees
from trim.rollout.vectorised import roll_out
from trim.routers.router import TrainingData

if TYPE_CHECKING:
    import pandas as pd

FILE = "thresholds.json"


@dataclass(frozen=True, slots=True)
class Threshold(WantsEveryDraft):
    """Regenerate iff score < threshold: 0 keeps every draft, above 1 keeps none."""

    threshold: float
    reads = Reads.DRAFT

    def decide(self, observed: Observed) -> Booleans:
        """Compare n drafts."""
        return np.asarray(observed.score < self.threshold)


@dataclass(frozen=True, slots=True)
class PerToken(WantsEveryDraft):
    """Regenerate iff (1 - score) / draft tokens exceeds a threshold: what knowing the cost alone gains."""

    threshold: float
    reads = Reads.DRAFT

    def decide(self, observed: Observed) -> Booleans:
        """Compare the doubts that a token would settle."""
        return np.asarray((1 - observed.score) / np.maximum(observed.draft_tokens, 1) > self.threshold)


@dataclass(frozen=True, slots=True)
class OneStepTakeover:
    """From the first draft below the threshold on, the strong model writes all the rest (paper, Table 7)."""

    threshold: float
    reads = Reads.DRAFT

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return of every episode whether the weak model has written everything so far."""
        return ~after_strong  # the strong model is never left again, so that the step before tells

    def decide(self, observed: Observed) -> Booleans:
        """Compare n drafts."""
        return np.asarray(observed.score < self.threshold)


POLICIES: Mapping[str, Callable[[float], Router]] = {"default": Threshold, "hull": Threshold, "per-token": PerToken}
"""What decides at a threshold, by variant."""


def quantile_thresholds(values: Sequence[float], count: int) -> list[float]:
    """Choose thresholds at quantiles of what a threshold is compared with, so that points spread over the curve.

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


@dataclass(frozen=True, slots=True)
class FittedThresholds:
    """The thresholds of a variant of TRIM-Thr, or of one-step takeover."""

    router: str
    variant: str
    thresholds: Sequence[float]

    def points(self) -> list[OperatingPoint]:
        """Return one operating point a threshold."""
        build = OneStepTakeover if self.router == "one-step-takeover" else POLICIES[self.variant]
        return [OperatingPoint(self.router, self.variant, value, build(value)) for value in self.thresholds]

    def save(self, folder: Path, origin: Mapping[str, Any]) -> None:
        """Write the thresholds."""
        write_json({"thresholds": list(self.thresholds), "provenance": dict(origin)}, folder / FILE)


def fit(router: str, variant: str, data: TrainingData, seed: int) -> FittedThresholds:
    """Choose the thresholds of one variant: over the weak model's drafts, or on the hull of the sweep on dev."""
    choose = {"default": choose_thresholds, "per-token": choose_per_token, "hull": _choose_hull}
    return FittedThresholds(router, variant, choose[variant](data))


def load(router: str, folder: Path) -> list[OperatingPoint]:
    """Return the operating points of what `FittedThresholds.save` wrote."""
    variant = folder.name.rpartition(".")[0]
    try:
        thresholds = [float(value) for value in read_json(folder / FILE, whole=folder)["thresholds"]]
        if not np.isfinite(thresholds).all():
            raise ValueError(f"they are {thresholds}")
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder}: not a folder of thresholds ({error}); delete it and run again") from None
    return FittedThresholds(router, variant, thresholds).points()


def choose_thresholds(data: TrainingData) -> list[float]:
    """Choose thresholds at quantiles of the scores of the weak model's own steps."""
    scores = data.trees.drafts(weak_only_nodes(data.trees)).score
    return quantile_thresholds(scores.tolist(), data.settings.operating_points)


def choose_per_token(data: TrainingData) -> list[float]:
    """Choose thresholds on (1 - score) / tokens, so that as many steps are regenerated as at those of the score."""
    drafts = data.trees.drafts(weak_only_nodes(data.trees))
    doubt = (1 - drafts.score) / np.maximum(drafts.tokens, 1)
    # A high threshold on the doubt keeps more, so its quantiles are counted from the other end.
    return sorted(-value for value in quantile_thresholds((-doubt).tolist(), data.settings.operating_points))


def _choose_hull(data: TrainingData) -> list[float]:
    """Choose those thresholds whose points lie on the concave hull of the sweep on dev."""
    sweep = FittedThresholds("trim-thr", "default", [0.0, *choose_thresholds(data)])  # the hull starts at weak-only
    return fit_hull(roll_out_points(sweep.points(), data.dev))


def weak_only_nodes(trees: RolloutTrees) -> Integers:
    """Return the nodes that the weak model alone comes by."""
    roll_out(trees, Threshold(0.0))
    nodes, at = [], trees.roots()
    while at.size:
        nodes.append(at)
        at = trees.nodes["child"][at, KEEP].astype(np.int64)
        at = at[at >= 0]
    return np.concatenate(nodes)


def fit_hull(episodes: pd.DataFrame) -> list[float]:
    """Return the thresholds whose points lie on the concave hull of a sweep, given a row an episode.

    The sweep holds threshold 0, weak-only: there the hull starts, but it is no operating point.
    """
    means = episodes.groupby("operating_point")[["strong_tokens", "correct"]].mean()
    hull = concave_hull(means["strong_tokens"].tolist(), means["correct"].tolist())
    return [setting for setting in (float(means.index[i]) for i in hull) if setting > 0]
