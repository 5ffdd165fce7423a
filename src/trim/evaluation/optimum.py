"""Routers that know the truth, as bounds: the first-error oracle, and the optimum with perfect information.

The optimum sees every step's future: dynamic programming over the trees of solutions, with exact
labels. One thing is left out: after a wrong step was kept, no strong token is spent. Errors in a
chain of arithmetic stay, but for rare coincidences modulo 100, so that paying there cannot be worth
it, while exploring all of it would cost most of the trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from trim.evaluation.episodes import walk_table
from trim.problems.arithmetic import step_is_valid
from trim.rollout.engine import Reads
from trim.rollout.forest import KEEP, REGENERATE, UNKNOWN, Forest
from trim.rollout.observed import Booleans, Integers, Observed
from trim.rollout.walk import outcomes, walk, walk_by
from trim.routers.controls import StrongOnly

if TYPE_CHECKING:
    import pandas as pd

KAPPAS = tuple(float(kappa) for kappa in np.geomspace(0.5, 16, 18))
"""Operating points: a right answer is bought wherever it costs less than 1 / kappa of a strong solution."""


def grow_where_right(forest: Forest) -> None:
    """Explore both actions wherever all steps before are right, and what follows of the drafts elsewhere."""
    frontier, right = forest.roots, np.ones(len(forest.roots), dtype=bool)
    while frontier.size:
        kept = forest.follow(frontier, np.full(frontier.shape, KEEP))
        written = forest.follow(frontier[right], np.full(right.sum(), REGENERATE))
        children = np.concatenate([kept, written])
        still_right = np.concatenate(
            [right & _valid(forest, frontier, KEEP), _valid(forest, frontier[right], REGENERATE)]
        )
        grown = children >= 0
        frontier, first = np.unique(children[grown], return_index=True)
        right = still_right[grown][first]


def first_error_table(forest: Forest) -> pd.DataFrame:
    """Lay out the episodes of the oracle that regenerates the first wrong draft of a solution that is right so far.

    Once a wrong step was kept (the strong model can err too) nothing helps, and every draft is kept.
    """
    right = np.ones(len(forest.roots), dtype=bool)  # so far, in each lane

    def decide(nodes: Integers, observed: Observed) -> Booleans:
        at = nodes[right]
        right[right] &= _so_far(forest, at)
        wrong = np.zeros(len(nodes), dtype=bool)
        wrong[right] = ~_valid(forest, nodes[right], KEEP)
        return wrong

    return walk_table(forest, walk_by(forest, decide, reads=Reads.NOTHING), "first-error-oracle", "default", 1.0)


def _so_far(forest: Forest, nodes: Integers) -> Booleans:
    """Tell of nodes after whose parents all was right whether the step that led to them is right too."""
    parents = forest.nodes["parent"][nodes]
    written = forest.nodes["child"][parents, KEEP] != nodes
    valid = np.ones(len(nodes), dtype=bool)
    for action in (KEEP, REGENERATE):
        led = (parents != UNKNOWN) & (written == bool(action))
        valid[led] = _valid(forest, parents[led], action)
    return valid


def _valid(forest: Forest, nodes: Integers, action: int) -> Booleans:
    return np.array(
        [
            step_is_valid(forest.problem(int(root)).text, forest.prefix(node).steps, forest.text(node, action))
            for node, root in zip(nodes.tolist(), forest.nodes["root"][nodes], strict=True)
        ],
        dtype=bool,
    )


def best_actions(forest: Forest, price: float) -> Booleans:
    """Return of every node whether regenerating has the higher value; on a tie the draft is kept.

    Parameters
    ----------
    price
        Of a strong token, in right answers.
    """
    nodes = forest.nodes
    values, regenerate = np.zeros(len(nodes)), np.zeros(len(nodes), dtype=bool)
    for position in range(int(nodes["position"].max(initial=0)), -1, -1):
        at = np.flatnonzero(nodes["position"] == position)
        level = nodes[at]
        ahead = np.where(level["final"], level["correct"], values[np.maximum(level["child"], 0)])
        ahead[:, REGENERATE] -= price * level["tokens"][:, REGENERATE]
        unexplored = (level["child"] == UNKNOWN) | (level["tokens"] == UNKNOWN)
        ahead[unexplored] = -np.inf
        values[at], regenerate[at] = ahead.max(axis=1), ahead[:, REGENERATE] > ahead[:, KEEP]
    return regenerate


def optimum_table(forest: Forest, kappas: Sequence[float] = KAPPAS) -> pd.DataFrame:
    """Explore a forest, and lay out the episodes of the optimum as `episode_table` does."""
    import pandas as pd

    grow_where_right(forest)
    price = outcomes(forest, walk(forest, StrongOnly()))[1].mean()
    tables = []
    for kappa in kappas:
        regenerate = best_actions(forest, kappa / price)
        walked = walk_by(forest, partial(_look_up, regenerate), reads=Reads.NOTHING)
        tables.append(walk_table(forest, walked, "perfect-information", "default", kappa))
    return pd.concat(tables, ignore_index=True)


def _look_up(regenerate: Booleans, nodes: Integers, observed: Observed) -> Booleans:
    return regenerate[nodes]
