"""What a kappa costs, and which kappas make up a sweep."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from trim.arrays import Floats
from trim.rollout.history import Router
from trim.rollout.trees import RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out, roll_out_all
from trim.routers.controls import StrongOnly

logger = logging.getLogger(__name__)

LARGEST_GAP = 0.05
MOST_OTHERWISE = 0.15
"""Share of the decisions on dev that may be answered otherwise where strong shares there are to be believed."""
HIGHEST_SHARE = 0.65
"""Strong share up to which a sweep reaches: beyond it, no router has much to gain."""


def tokens_per_solution(trees: RolloutTrees) -> float:
    """Mean tokens of a solution that the strong model writes alone: what turns kappa into the price of a token."""
    return float(outcomes(trees, roll_out(trees, StrongOnly()))[1].mean())


def choose_kappas(
    build: Callable[[float], Router], candidates: Sequence[float], dev: RolloutTrees, count: int
) -> list[float]:
    """Pick the kappas of a sweep: those whose strong shares on dev lie nearest to `count` targets.

    Targets stand closer at the low end, where one more strong token changes the curve most. In closed trees that answer
    many decisions otherwise, shares are not the router's own: then kappas are taken evenly from the candidates.
    """
    alone = outcomes(dev, roll_out(dev, StrongOnly()))[1].sum()
    decisions, otherwise = dev.decisions, dev.answered_otherwise
    rollouts = roll_out_all(dev, [build(kappa) for kappa in candidates])
    if dev.answered_otherwise - otherwise > MOST_OTHERWISE * (dev.decisions - decisions):
        logger.warning("dev trees hold too little of what the router asks for: its kappas are taken evenly")
        return [float(candidates[i]) for i in sorted(set(np.linspace(0, len(candidates) - 1, count).astype(int)))]
    shares = np.array([outcomes(dev, rollout)[1].sum() / alone for rollout in rollouts])
    picked = spread_over(shares, count)
    reached = np.concatenate([[0.0], shares[picked]])
    logger.info("strong shares on dev: %s", reached[1:].round(3).tolist())
    if np.diff(reached).max() > LARGEST_GAP:
        logger.warning("the sweep has a gap of %.3f between strong shares: try more kappas", np.diff(reached).max())
    return [float(candidates[i]) for i in picked]


def spread_over(shares: Floats, count: int) -> list[int]:
    """Return the indices of at most `count` shares, rising: those next to targets from 0 to HIGHEST_SHARE."""
    targets = HIGHEST_SHARE * ((np.arange(count) + 1) / count) ** 2
    usable = np.flatnonzero(shares > 0)
    if not usable.size:  # whatever kappa, the router keeps everything: one point says so
        return [0]
    nearest = {int(usable[np.abs(shares[usable] - target).argmin()]) for target in targets}
    unique: dict[float, int] = {float(shares[i]): i for i in sorted(nearest)}
    return [unique[share] for share in sorted(unique)]
