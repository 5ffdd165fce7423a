"""The operating points of every router: which settings make up its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trim.evaluation.episodes import OperatingPoint
from trim.rollout.engine import Router
from trim.routers.controls import FirstErrorOracle, OneStepTakeover, RandomStep, StrongOnly, WeakOnly
from trim.routers.threshold import PerToken, Threshold, concave_hull, quantile_thresholds

if TYPE_CHECKING:
    import pandas as pd


def lay_thresholds(scores: pd.DataFrame, count: int) -> dict[str, list[float]]:
    """Lay the thresholds of TRIM-Thr and of its per-token control over the weak model's scored steps."""
    drafts = scores[scores["behaviour"] == "weak-only"]
    doubt = (1 - drafts["score"]) / drafts["tokens"]
    # A high threshold on the doubt keeps more, so its quantiles are laid from the other end.
    per_token = sorted(-value for value in quantile_thresholds((-doubt).tolist(), count))
    return {"default": quantile_thresholds(drafts["score"].tolist(), count), "per-token": per_token}


def threshold_points(thresholds: Mapping[str, Sequence[float]]) -> list[OperatingPoint]:
    """Operating points of TRIM-Thr, by variant."""
    policy: Mapping[str, type[Threshold] | type[PerToken]] = {"per-token": PerToken}
    return [
        OperatingPoint("trim-thr", variant, value, policy.get(variant, Threshold)(value))
        for variant, values in thresholds.items()
        for value in values
    ]


def fit_hull(episodes: pd.DataFrame) -> list[float]:
    """Return the thresholds whose points lie on the concave hull of a sweep, given a row an episode.

    The sweep holds threshold 0, weak-only: there the hull starts, but it is no operating point.
    """
    means = episodes.groupby("operating_point")[["strong_tokens", "correct"]].mean()
    hull = concave_hull(means["strong_tokens"].tolist(), means["correct"].tolist())
    return [setting for setting in (float(means.index[i]) for i in hull) if setting > 0]


def operating_points(
    router: str, thresholds: Mapping[str, Sequence[float]], random_shares: Sequence[float]
) -> list[OperatingPoint]:
    """Operating points of a router, by its identifier."""

    def points(settings: Sequence[float], policies: Sequence[Router]) -> list[OperatingPoint]:
        return [OperatingPoint(router, "default", s, p) for s, p in zip(settings, policies, strict=True)]

    match router:
        case "weak-only":
            return points([0.0], [WeakOnly()])
        case "strong-only":
            return points([1.0], [StrongOnly()])
        case "random-step":
            return points(random_shares, [RandomStep(share) for share in random_shares])
        case "first-error-oracle":
            return points([1.0], [FirstErrorOracle()])
        case "trim-thr":
            return threshold_points(thresholds)
        case "one-step-takeover":
            return points(thresholds["default"], [OneStepTakeover(value) for value in thresholds["default"]])
    raise ValueError(f"no router is called {router!r}")
