"""The sweep of every router: which settings make up its curve, and the episodes that come of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trim.evaluation.episodes import BatchPoint, walk_tables
from trim.files import read_json
from trim.rollout.engine import Reads
from trim.rollout.forest import Forest
from trim.rollout.observed import Booleans, Integers, Observed, WantsEveryDraft
from trim.routers.controls import OneStepTakeover, RandomStep, StrongOnly, WeakOnly
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


ALONE = [BatchPoint("weak-only", "default", 0.0, WeakOnly()), BatchPoint("strong-only", "default", 1.0, StrongOnly())]
"""The two models by themselves."""

RSD_THRESHOLD = 0.7
"""PRM score from which RSD accepts a step of the weak model (arXiv 2501.19324)."""


@dataclass(frozen=True, slots=True, eq=False)
class RandomWalk(WantsEveryDraft):
    """`RandomStep` on a walk: it draws by the prefix of a node."""

    forest: Forest
    router: RandomStep
    reads = Reads.NOTHING

    def decide_at(self, nodes: Integers, observed: Observed) -> Booleans:
        """Draw."""
        trees = self.forest.nodes["root"][nodes].tolist()
        return np.array(
            [
                self.router.draws(self.forest.prefix(node).digest, self.forest.replicate(tree))
                for node, tree in zip(nodes.tolist(), trees, strict=True)
            ]
        )


def operating_points(
    router: str, fitted: Sequence[Path], forest: Forest, random_shares: Sequence[float]
) -> list[BatchPoint]:
    """Lay the operating points of a router.

    Parameters
    ----------
    fitted
        Files or folders that were fitted for it, if any.
    forest
        Where `random-step` will walk.
    random_shares
        Its probabilities.
    """
    match router:
        case "weak-only" | "strong-only":
            return [point for point in ALONE if point.router == router]
        case "random-step":
            return [BatchPoint(router, "default", p, RandomWalk(forest, RandomStep(p))) for p in random_shares]
        case "rsd":
            return [BatchPoint(router, "default", RSD_THRESHOLD, Threshold(RSD_THRESHOLD))]
        case "one-step-takeover":
            thresholds = read_json(fitted[0])["thresholds"]["default"]
            return [BatchPoint(router, "default", value, OneStepTakeover(value)) for value in thresholds]
        case "trim-thr":
            return threshold_points(read_json(fitted[0])["thresholds"])
        case "trim-agg" | "trim-seq":
            return [point for folder in fitted for point in learned_points(router, folder)]
        case "trim-pomdp":
            return [point for file in fitted for point in pomdp_points(file)]
    raise ValueError(f"no operating points are laid for {router!r}")


def evaluate(sweeps: Mapping[str, Sequence[BatchPoint]], forest: Forest) -> dict[str, pd.DataFrame]:
    """Solve the problems of a forest at all operating points of many sweeps: of each, a table with a row an episode."""
    import pandas as pd

    tables = iter(walk_tables([point for points in sweeps.values() for point in points], forest))
    return {name: pd.concat([next(tables) for _ in points], ignore_index=True) for name, points in sweeps.items()}
