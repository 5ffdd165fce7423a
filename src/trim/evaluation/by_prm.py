"""What the quality of the PRM buys: every router of the paper fitted again with another PRM."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from trim.config_routers import Routers
from trim.evaluation.episodes import BatchPoint, walk_points
from trim.evaluation.sweeps import ALONE, fit_hull, lay_thresholds, threshold_points
from trim.rollout.forest import KEEP, Forest
from trim.rollout.observed import Integers
from trim.rollout.walk import walk
from trim.routers.controls import WeakOnly

Progress = Callable[[int, int], None]


def fit_sweeps(
    forest: Forest, dev: Forest, routers: Routers, seed: int, progress: Callable[[str], Progress]
) -> list[BatchPoint]:
    """Fit the routers on a forest with exact labels, lay their operating points on dev, and return all of these.

    The two models alone are among them. Learned routers are trained as their conditioned variants.

    Parameters
    ----------
    forest, dev
        As the PRM scores them.
    routers
        Settings.
    progress
        Returns what reports the progress of one training.
    """
    return [
        *ALONE,
        *_thresholds(forest, dev, routers),
        *_pomdp(forest, dev, routers),
        *learned_sweep("agg", forest, dev, routers, seed, progress("training trim-agg, decisions")),
        *learned_sweep("seq", forest, dev, routers, seed, progress("training trim-seq, decisions")),
    ]


def _thresholds(forest: Forest, dev: Forest, routers: Routers) -> list[BatchPoint]:
    import pandas as pd

    drafts = forest.nodes[weak_only_nodes(forest)]
    scores = {"behaviour": "weak-only", "score": drafts["score"][:, KEEP], "tokens": drafts["tokens"][:, KEEP]}
    plain = lay_thresholds(pd.DataFrame(scores), routers.operating_points)["default"]
    hull = fit_hull(walk_points(threshold_points({"default": [0.0, *plain]}), dev))
    return threshold_points({"default": plain, "hull": hull})


def weak_only_nodes(forest: Forest) -> Integers:
    """Return the nodes that the weak model alone comes by."""
    walk(forest, WeakOnly())
    nodes, at = [], forest.roots
    while at.size:
        nodes.append(at)
        at = forest.nodes["child"][at, KEEP].astype(np.int64)
        at = at[at >= 0]
    return np.concatenate(nodes)


def _pomdp(forest: Forest, dev: Forest, routers: Routers) -> list[BatchPoint]:
    from trim.routers.pomdp.policy import PomdpPolicy
    from trim.training.operating_points import lay_kappas, tokens_per_solution
    from trim.training.pomdp import fit_pomdp, label_nodes, observe_forest, solve_pomdp

    labels = label_nodes(forest)
    model = fit_pomdp(forest, labels, observe_forest(forest, labels), routers.pomdp, "default")
    kappas = routers.kappa.candidates()
    solution = solve_pomdp(model, kappas, tokens_per_solution(forest))
    at = dict(zip(kappas, zip(solution.upper, solution.costs, strict=True), strict=True))

    def build(kappa: float) -> PomdpPolicy:
        values, cost = at[kappa]
        return PomdpPolicy(model, values, float(cost))

    laid = lay_kappas(build, kappas, dev, routers.operating_points)
    return [BatchPoint("trim-pomdp", "default", kappa, build(kappa)) for kappa in laid]


def learned_sweep(
    name: Literal["agg", "seq"], forest: Forest, dev: Forest, routers: Routers, seed: int, report: Progress | None
) -> list[BatchPoint]:
    """Train the conditioned variant of TRIM-Agg or TRIM-Seq, and lay its operating points on dev."""
    from trim.training.curriculum import train_router
    from trim.training.operating_points import lay_kappas

    settings = routers.agg if name == "agg" else routers.seq
    learner, trained = train_router(settings, "conditioned", forest, dev, routers.kappa, seed, None, report)
    build = partial(learner.build, trained.networks[0])
    laid = lay_kappas(build, routers.kappa.candidates(), dev, routers.operating_points)
    return [BatchPoint(f"trim-{name}", "conditioned", kappa, build(kappa)) for kappa in laid]
