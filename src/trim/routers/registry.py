"""The sweep of every router: which settings make up its curve, and the episodes that come of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from trim.config.routers import Routers
from trim.files import read_json
from trim.rollout.history import Integers
from trim.rollout.tables import OperatingPoint, roll_out_points, roll_out_tables
from trim.rollout.trees import KEEP, Forest
from trim.rollout.vectorised import roll_out
from trim.routers.controls import OneStepTakeover, RandomStep, StrongOnly, WeakOnly
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.threshold import PerToken, Threshold, fit_hull, lay_thresholds

if TYPE_CHECKING:
    import pandas as pd


def threshold_points(thresholds: Mapping[str, Sequence[float]]) -> list[OperatingPoint]:
    """Operating points of TRIM-Thr, by variant."""
    policy: Mapping[str, type[Threshold] | type[PerToken]] = {"per-token": PerToken}
    return [
        OperatingPoint("trim-thr", variant, value, policy.get(variant, Threshold)(value))
        for variant, values in thresholds.items()
        for value in values
    ]


def learned_points(router: str, folder: Path) -> list[OperatingPoint]:
    """Operating points of one training run of TRIM-Agg or TRIM-Seq, whose folder is called variant.seed."""
    from trim.routers.learned.disk import load_policies

    variant, _, seed = folder.name.rpartition(".")
    return [OperatingPoint(router, variant, p.kappa, p, int(seed)) for p in load_policies(folder)]


def pomdp_points(file: Path) -> list[OperatingPoint]:
    """Operating points of a solved POMDP, whose file is called variant.npz."""
    from trim.routers.pomdp.disk import load_solved
    from trim.routers.pomdp.fit import pomdp_policy

    solved, variant = load_solved(file), file.stem
    laid, closeness = solved.origin["operating_points"], solved.origin["closeness"]
    return [OperatingPoint("trim-pomdp", variant, k, pomdp_policy(solved, variant, k, closeness)) for k in laid]


ALONE = [
    OperatingPoint("weak-only", "default", 0.0, WeakOnly()),
    OperatingPoint("strong-only", "default", 1.0, StrongOnly()),
]
"""The two models by themselves."""

RSD_THRESHOLD = 0.7
"""PRM score from which RSD accepts a step of the weak model (arXiv 2501.19324)."""


def operating_points(
    router: str, fitted: Sequence[Path], forest: Forest, random_shares: Sequence[float]
) -> list[OperatingPoint]:
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
            return [OperatingPoint(router, "default", p, RandomStep(p)) for p in random_shares]
        case "rsd":
            return [OperatingPoint(router, "default", RSD_THRESHOLD, Threshold(RSD_THRESHOLD))]
        case "one-step-takeover":
            thresholds = read_json(fitted[0])["thresholds"]["default"]
            return [OperatingPoint(router, "default", value, OneStepTakeover(value)) for value in thresholds]
        case "trim-thr":
            return threshold_points(read_json(fitted[0])["thresholds"])
        case "trim-agg" | "trim-seq":
            return [point for folder in fitted for point in learned_points(router, folder)]
        case "trim-pomdp":
            return [point for file in fitted for point in pomdp_points(file)]
    raise ValueError(f"no operating points are laid for {router!r}")


def evaluate(sweeps: Mapping[str, Sequence[OperatingPoint]], forest: Forest) -> dict[str, pd.DataFrame]:
    """Solve the problems of a forest at all operating points of many sweeps: of each, a table with a row an episode."""
    import pandas as pd

    tables = iter(roll_out_tables([point for points in sweeps.values() for point in points], forest))
    return {name: pd.concat([next(tables) for _ in points], ignore_index=True) for name, points in sweeps.items()}


Progress = Callable[[int, int], None]


def fit_sweeps(
    forest: Forest, dev: Forest, routers: Routers, seed: int, progress: Callable[[str], Progress]
) -> list[OperatingPoint]:
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


def _thresholds(forest: Forest, dev: Forest, routers: Routers) -> list[OperatingPoint]:
    import pandas as pd

    drafts = forest.nodes[weak_only_nodes(forest)]
    scores = {"behaviour": "weak-only", "score": drafts["score"][:, KEEP], "tokens": drafts["tokens"][:, KEEP]}
    plain = lay_thresholds(pd.DataFrame(scores), routers.operating_points)["default"]
    hull = fit_hull(roll_out_points(threshold_points({"default": [0.0, *plain]}), dev))
    return threshold_points({"default": plain, "hull": hull})


def weak_only_nodes(forest: Forest) -> Integers:
    """Return the nodes that the weak model alone comes by."""
    roll_out(forest, WeakOnly())
    nodes, at = [], forest.roots
    while at.size:
        nodes.append(at)
        at = forest.nodes["child"][at, KEEP].astype(np.int64)
        at = at[at >= 0]
    return np.concatenate(nodes)


def _pomdp(forest: Forest, dev: Forest, routers: Routers) -> list[OperatingPoint]:
    from trim.routers.kappas import lay_kappas, tokens_per_solution
    from trim.routers.pomdp.fit import fit_pomdp, label_nodes, observe_forest, solve_pomdp
    from trim.routers.pomdp.policy import PomdpPolicy

    labels = label_nodes(forest)
    model = fit_pomdp(forest, labels, observe_forest(forest, labels), routers.pomdp, "default")
    kappas = routers.kappa.candidates()
    solution = solve_pomdp(model, kappas, tokens_per_solution(forest))
    at = dict(zip(kappas, zip(solution.upper, solution.costs, strict=True), strict=True))

    def build(kappa: float) -> PomdpPolicy:
        values, cost = at[kappa]
        return PomdpPolicy(model, values, float(cost))

    laid = lay_kappas(build, kappas, dev, routers.operating_points)
    return [OperatingPoint("trim-pomdp", "default", kappa, build(kappa)) for kappa in laid]


def learned_sweep(
    name: Literal["agg", "seq"], forest: Forest, dev: Forest, routers: Routers, seed: int, report: Progress | None
) -> list[OperatingPoint]:
    """Train the conditioned variant of TRIM-Agg or TRIM-Seq, and lay its operating points on dev."""
    from trim.routers.kappas import lay_kappas
    from trim.routers.learned.fit import train_router

    settings = routers.agg if name == "agg" else routers.seq
    learner, trained = train_router(settings, "conditioned", forest, dev, routers.kappa, seed, None, report)
    build = partial(learner.build, trained.networks[0])
    laid = lay_kappas(build, routers.kappa.candidates(), dev, routers.operating_points)
    return [OperatingPoint(f"trim-{name}", "conditioned", kappa, build(kappa)) for kappa in laid]
