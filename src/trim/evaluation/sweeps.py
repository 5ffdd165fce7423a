"""The sweep of every router: which settings make up its curve, and the episodes that come of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trim.evaluation.episodes import BatchPoint, walk_points, walk_table
from trim.evaluation.optimum import first_error_table, optimum_table
from trim.evaluation.query_level import oracle_table
from trim.files import read_json
from trim.rollout.forest import Forest
from trim.rollout.observed import Booleans, Integers, Observed
from trim.rollout.walk import walk_by
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


RSD_THRESHOLD = 0.7
"""PRM score from which RSD accepts a step of the weak model (arXiv 2501.19324)."""


def operating_points(router: str, fitted: Sequence[Path]) -> list[BatchPoint]:
    """Operating points of a router that looks at nothing but scores and tokens, from the files that were fitted."""
    match router:
        case "weak-only":
            return [BatchPoint(router, "default", 0.0, WeakOnly())]
        case "strong-only":
            return [BatchPoint(router, "default", 1.0, StrongOnly())]
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


def evaluate(router: str, fitted: Sequence[Path], forest: Forest, random_shares: Sequence[float]) -> pd.DataFrame:
    """Solve the problems of a forest at every operating point of a router: a row an episode.

    Parameters
    ----------
    fitted
        Files or folders that were fitted for the router, if any.
    random_shares
        Probabilities of `random-step`.
    """
    import pandas as pd

    match router:
        case "random-step":
            return random_table(forest, random_shares)
        case "oracle-query":
            return oracle_table(pd.concat([evaluate(name, [], forest, []) for name in ("weak-only", "strong-only")]))
        case "first-error-oracle":
            return first_error_table(forest)
        case "perfect-information":
            return optimum_table(forest)
    return walk_points(operating_points(router, fitted), forest)


def random_table(forest: Forest, shares: Sequence[float]) -> pd.DataFrame:
    """Lay out the episodes of `random-step`, whose draws look at the prefix alone."""
    import pandas as pd

    def decide(router: RandomStep, nodes: Integers, observed: Observed) -> Booleans:
        trees = forest.nodes["root"][nodes].tolist()
        places = zip(nodes.tolist(), trees, strict=True)
        return np.array([router.draws(forest.prefix(node).digest, forest.replicate(tree)) for node, tree in places])

    tables = []
    for share in shares:
        router = RandomStep(share)
        walked = walk_by(forest, partial(decide, router), router.wants_drafts, router.reads)
        tables.append(walk_table(forest, walked, "random-step", "default", share))
    return pd.concat(tables, ignore_index=True)
