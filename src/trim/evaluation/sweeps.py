"""The operating points of every router: which settings make up its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trim.evaluation.episodes import BatchPoint, OperatingPoint
from trim.files import read_json
from trim.rollout.engine import Router
from trim.routers.controls import FirstErrorOracle, OneStepTakeover, RandomStep, StrongOnly, WeakOnly
from trim.routers.threshold import PerToken, Threshold, concave_hull, quantile_thresholds

if TYPE_CHECKING:
    import pandas as pd


def lay_thresholds(scores: pd.DataFrame, count: int) -> dict[str, list[float]]:
    """Lay the thresholds of TRIM-Thr and of its per-token control over the weak model's scored steps."""
    drafts = scores[scores["behaviour"] == "weak-only"]
    doubt = (1 - drafts["score"]) / drafts["tokens"].clip(lower=1)
    # A high threshold on the doubt keeps more, so its quantiles are laid from the other end.
    per_token = sorted(-value for value in quantile_thresholds((-doubt).tolist(), count))
    return {"default": quantile_thresholds(drafts["score"].tolist(), count), "per-token": per_token}


def threshold_points(thresholds: Mapping[str, Sequence[float]]) -> list[BatchPoint]:
    """Operating points of TRIM-Thr, by variant."""
    policy: Mapping[str, type[Threshold] | type[PerToken]] = {"per-token": PerToken}
    return [
        BatchPoint("trim-thr", variant, value, policy.get(variant, Threshold)(value))
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


def learned_points(router: str, folder: Path) -> list[BatchPoint]:
    """Operating points of one training run of TRIM-Agg or TRIM-Seq, whose folder is called variant.seed."""
    from trim.routers.storage import load_policies

    variant, _, seed = folder.name.rpartition(".")
    return [BatchPoint(router, variant, p.kappa, p, int(seed)) for p in load_policies(folder)]


def pomdp_points(file: Path) -> list[BatchPoint]:
    """Operating points of a solved POMDP, whose file is called variant.npz."""
    from trim.routers.pomdp.storage import load_solved
    from trim.training.pomdp import pomdp_policy

    solved, variant = load_solved(file), file.stem
    laid, closeness = solved.origin["operating_points"], solved.origin["closeness"]
    return [BatchPoint("trim-pomdp", variant, k, pomdp_policy(solved, variant, k, closeness)) for k in laid]


RSD_THRESHOLD = 0.7
"""PRM score from which RSD accepts a step of the weak model (arXiv 2501.19324)."""

WALKED = ("trim-thr", "trim-agg", "trim-seq", "trim-pomdp", "rsd")
"""Routers that want a draft at every step and look at nothing but scores and tokens: they can walk a forest."""


def walked_points(router: str, fitted: Sequence[Path]) -> list[BatchPoint]:
    """Operating points of a router that walks, from the files or folders that were fitted."""
    match router:
        case "trim-thr":
            return threshold_points(read_json(fitted[0])["thresholds"])
        case "rsd":
            return [BatchPoint("rsd", "default", RSD_THRESHOLD, Threshold(RSD_THRESHOLD))]
        case "trim-pomdp":
            return [point for file in fitted for point in pomdp_points(file)]
        case _:
            return [point for folder in fitted for point in learned_points(router, folder)]


def control_points(router: str, fitted: Sequence[Path], random_shares: Sequence[float]) -> list[OperatingPoint]:
    """Operating points of a router that does not want a draft at every step, or looks at more than scores."""

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
        case "one-step-takeover":
            thresholds = read_json(fitted[0])["thresholds"]["default"]
            return points(thresholds, [OneStepTakeover(value) for value in thresholds])
    raise ValueError(f"no router is called {router!r}")
