"""Routers that know the truth, as references: the first-error oracle, and the optimum with perfect information.

The optimum sees every step's future: dynamic programming over the trees of solutions, with exact
labels. One thing is left out: after a wrong step was kept, no strong token is spent, because exploring
all of it would cost most of the trees. Two errors can cancel (most change the tens digit alone, modulo
100), so that paying there may be worth it: what comes out is a lower bound of the optimum.

In closed trees no model is asked. There the optimum is the best of the explored paths, whatever is right in them: it
needs no labels, and is a lower bound of what knowing every future would bring. In place of the first-error oracle is
one that compares how often the explored continuations of a draft, and of the strong model's step, end right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Booleans, Integers
from trim.problems.arithmetic import prefix_is_right, step_is_valid
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.rollout.tables import OperatingPoint, roll_out_points
from trim.rollout.trees import ENDS, KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import Nodes
from trim.routers.kappas import tokens_per_solution

if TYPE_CHECKING:
    import pandas as pd

KAPPAS = tuple(float(kappa) for kappa in np.geomspace(0.5, 16, 18))
"""Operating points: a right answer is bought wherever it costs less than 1 / kappa of a strong solution."""


def grow_where_right(trees: RolloutTrees) -> Booleans:
    """Explore both actions wherever all steps before are right, and what follows of the drafts elsewhere.

    Returns
    -------
    Of every node, whether all steps before are right; False where it did not come by.
    """
    frontier, right = trees.roots(), np.ones(len(trees.roots()), dtype=bool)
    nodes = []
    while frontier.size:
        nodes.append(frontier[right])
        kept = trees.follow(frontier, np.full(frontier.shape, KEEP))
        written = trees.follow(frontier[right], np.full(right.sum(), REGENERATE))
        children = np.concatenate([kept, written])
        frontier = np.unique(children[children >= 0])
        right = _right_so_far(trees, frontier)
    return np.isin(np.arange(len(trees)), np.concatenate(nodes))


def first_error_table(trees: RolloutTrees) -> pd.DataFrame:
    """Lay out the episodes of the oracle that regenerates the first wrong draft of a solution that is right so far.

    Once a wrong step was kept (the strong model can err too) every draft is kept, unless one of them repairs it.
    """
    return roll_out_points([OperatingPoint("first-error-oracle", "default", 1.0, _FirstError(trees))], trees)


class _FirstError(WantsEveryDraft):
    reads = Reads.NOTHING

    def __init__(self, trees: RolloutTrees) -> None:
        self._trees = trees

    def decide(self, observed: Observed) -> Booleans:
        nodes = _nodes_of(observed)
        wrong = _right_so_far(self._trees, nodes)
        wrong[wrong] = ~_valid(self._trees, nodes[wrong], KEEP)
        return wrong


@dataclass(frozen=True, slots=True, eq=False)
class LookUp(WantsEveryDraft):
    """Regenerate at the nodes where `regenerate` says so, shape (nodes,)."""

    regenerate: Booleans
    reads = Reads.NOTHING

    def decide(self, observed: Observed) -> Booleans:
        """Look it up."""
        return np.asarray(self.regenerate[_nodes_of(observed)])


def _nodes_of(observed: Observed) -> Integers:
    """Return where episodes stand: an oracle looks up there what no router may know."""
    assert isinstance(observed.places, Nodes), "oracles decide in rollout trees alone"
    return observed.places.nodes


def _right_so_far(trees: RolloutTrees, nodes: Integers) -> Booleans:
    texts = (trees.problem(int(root)).text for root in trees.nodes["root"][nodes])
    return np.array(
        [prefix_is_right(text, trees.prefix(node).steps) for text, node in zip(texts, nodes.tolist(), strict=True)],
        dtype=bool,
    )


def _valid(trees: RolloutTrees, nodes: Integers, action: int) -> Booleans:
    return np.array(
        [
            step_is_valid(trees.problem(int(root)).text, trees.prefix(node).steps, trees.text(node, action))
            for node, root in zip(nodes.tolist(), trees.nodes["root"][nodes], strict=True)
        ],
        dtype=bool,
    )


def endings(trees: RolloutTrees) -> tuple[Integers, Integers]:
    """Count the explored ways in which solutions end behind each step, each once however many routers took it.

    Returns
    -------
    How many of them end right, and how many there are: both of shape (nodes, 2), of the draft and of the strong step.
    """
    nodes = trees.nodes
    right, ways = np.zeros((len(nodes), 2), dtype=np.int64), np.zeros((len(nodes), 2), dtype=np.int64)
    ended = (nodes["child"] == ENDS).all(axis=1)
    same = (nodes["child"][:, KEEP] == nodes["child"][:, REGENERATE]) & ~ended  # both models wrote the same step
    same[ended] = [trees.text(node, KEEP) == trees.text(node, REGENERATE) for node in np.flatnonzero(ended).tolist()]
    counts = np.where(same[:, None], [1, 0], [1, 1])
    for position in range(int(nodes["position"].max(initial=0)), -1, -1):
        at = np.flatnonzero(nodes["position"] == position)
        child, ends = nodes["child"][at], nodes["child"][at] == ENDS
        behind = np.maximum(child, 0)
        for found, here in ((right, nodes["correct"][at]), (ways, np.ones_like(ends))):
            below = (found * counts).sum(axis=1)[behind]
            found[at] = np.where(ends, here, np.where(child >= 0, below, 0))
    return right, ways


def better_step_table(trees: RolloutTrees) -> pd.DataFrame:
    """Lay out the episodes of the oracle that regenerates where the strong model's step ends right more often.

    What counts are the explored ways on from the draft and from that step. Where nobody went on from one of them, the
    oracle stays in closed trees by taking the other.
    """
    right, ways = endings(trees)
    share = np.divide(right, ways, out=np.full(right.shape, np.nan), where=ways > 0)
    better = LookUp(share[:, KEEP] < share[:, REGENERATE])
    return roll_out_points([OperatingPoint("better-step-oracle", "default", 1.0, better)], trees)


def best_actions(trees: RolloutTrees, price: float, allowed: Booleans) -> Booleans:
    """Return of every node whether regenerating has the higher value; on a tie the draft is kept.

    Parameters
    ----------
    price
        Of a strong token, in right answers.
    allowed
        Shape (nodes,); where the strong model may be asked. What may be done must be explored.
    """
    nodes = trees.nodes
    values, regenerate = np.zeros(len(nodes)), np.zeros(len(nodes), dtype=bool)
    for position in range(int(nodes["position"].max(initial=0)), -1, -1):
        at = np.flatnonzero(nodes["position"] == position)
        level = nodes[at]
        ahead = np.where(level["final"], level["correct"], values[np.maximum(level["child"], 0)])
        ahead[:, REGENERATE] -= price * level["tokens"][:, REGENERATE]
        ahead[(level["child"] == UNKNOWN) | (level["tokens"] == UNKNOWN)] = -np.inf
        ahead[~allowed[at], REGENERATE] = -np.inf
        values[at], regenerate[at] = ahead.max(axis=1), ahead[:, REGENERATE] > ahead[:, KEEP]
    return regenerate


def optimum_table(trees: RolloutTrees, kappas: Sequence[float] = KAPPAS) -> pd.DataFrame:
    """Explore rollout trees unless they are closed, and lay out the episodes of the optimum as `episode_table` does."""
    price = tokens_per_solution(trees)
    allowed = np.ones(len(trees), dtype=bool) if trees.closed else grow_where_right(trees)
    optima = {kappa: LookUp(best_actions(trees, kappa / price, allowed)) for kappa in kappas}
    points = [OperatingPoint("perfect-information", "default", kappa, best) for kappa, best in optima.items()]
    return roll_out_points(points, trees)
