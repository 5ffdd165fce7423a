"""What both actions are worth at every node of explored trees: exactly, for a policy, from the last steps back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.rollout.history import Observed
from trim.rollout.trees import ENDS, KEEP, REGENERATE, UNKNOWN, RolloutTrees

MOST_NODES = 200_000
"""Nodes to learn from; of more, whole problems are drawn."""

REGENERATED = 0.8
"""Chance with which the strong model writes each step in the episodes that say how much a node weighs. It is high since
decisions matter where all is right so far: of 0.15 to 0.8, this gave the best policies on training problems that they
were not fitted to."""


@dataclass(frozen=True, slots=True, eq=False)
class Futures:
    """Explored trees as arrays of n nodes.

    Attributes
    ----------
    problem
        Shape (n,); index of the problem.
    position
        Shape (n,); number of steps before.
    parent, child
        Shape (n,) and (n, 2); nodes, as in `NODE`.
    correct
        Shape (n, 2); whether an action that ends the solution gives the right answer.
    strong_tokens
        Shape (n,); of the strong model's step.
    observed
        The histories that lead to the nodes, and their drafts.
    """

    problem: Integers
    position: Integers
    parent: Integers
    child: Integers
    correct: Booleans
    strong_tokens: Integers
    observed: Observed

    @classmethod
    def of(cls, trees: RolloutTrees, rng: np.random.Generator | None = None) -> Futures:
        """Take what is explored of trees; with a generator, of problems drawn with it where there are many nodes."""
        problem = trees.nodes["root"].astype(np.int64) // trees.replicates
        chosen = np.isin(problem, _drawn(problem, len(trees.problems), rng)) if rng else np.ones(len(problem), bool)
        nodes, renumbered = trees.nodes[chosen], np.cumsum(chosen) - 1

        def moved(links: Integers) -> Integers:
            return np.asarray(np.where(links >= 0, renumbered[links], links))

        return cls(
            problem[chosen],
            nodes["position"].astype(np.int64),
            moved(nodes["parent"]),
            moved(nodes["child"]),
            nodes["correct"],
            nodes["tokens"][:, REGENERATE].astype(np.int64),
            _histories(trees, np.flatnonzero(chosen)),
        )

    def by_depth(self) -> list[Integers]:
        """Return the nodes of each position, the first steps first."""
        return [np.flatnonzero(self.position == depth) for depth in range(int(self.position.max(initial=-1)) + 1)]

    def reached(self) -> Floats:
        """Return how often each node is reached where chance decides, `REGENERATED` or what alone is known; (n,)."""
        shares = self.shares()
        chances: Floats = (self.parent == UNKNOWN).astype(np.float64)
        for at in self.by_depth():
            for action in (KEEP, REGENERATE):
                child, goes = self.child[at, action], chances[at] * shares[at, action]
                np.add.at(chances, child[child >= 0], goes[child >= 0])
        return chances

    def shares(self) -> Floats:
        """Return how likely each action is then, shape (n, 2)."""
        likely = np.where(self.child != UNKNOWN, [1 - REGENERATED, REGENERATED], 0.0)
        return np.asarray(likely / np.maximum(likely.sum(axis=1, keepdims=True), 1e-9))

    def worth(self, regenerate: Booleans, prices: Floats) -> tuple[Floats, Floats]:
        """Return what actions and nodes are worth: right answers, less the price of the strong tokens on the way.

        Where the action that a policy takes is not explored, it takes the other, as in closed trees.

        Parameters
        ----------
        regenerate
            Shape (n, K); decisions of K policies.
        prices
            Shape (K,); of a strong token.

        Returns
        -------
        Of both actions, shape (n, 2, K), and of nodes, shape (n, K); NaN where no explored path goes to its end.
        """
        ahead, value = np.empty((len(self.problem), 2, len(prices))), np.empty((len(self.problem), len(prices)))
        for at in reversed(self.by_depth()):
            child = self.child[at]
            found = np.where((child == ENDS)[..., None], self.correct[at][..., None], value[np.maximum(child, 0)])
            found[child == UNKNOWN] = np.nan
            found[:, REGENERATE] -= prices * self.strong_tokens[at, None]
            taken, other = (np.where(regenerate[at] == way, found[:, 1], found[:, 0]) for way in (True, False))
            ahead[at], value[at] = found, np.where(np.isnan(taken), other, taken)
        return ahead, value


def _drawn(problem: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Draw problems, given the one of each node, until they have MOST_NODES."""
    order = rng.permutation(count)
    fits = np.cumsum(np.bincount(problem, minlength=count)[order]) <= MOST_NODES
    fits[0] = True
    return order[fits]


def _histories(trees: RolloutTrees, chosen: Integers) -> Observed:
    """Return the histories that lead to nodes; where both models wrote the same step, as if the draft was kept."""
    nodes = trees.nodes
    shape = len(nodes), int(nodes["position"].max(initial=0)) + 1
    scores, drafts, tokens, strong = np.ones(shape), np.ones(shape), np.zeros(shape, int), np.zeros(shape, bool)
    for depth in range(shape[1]):
        at = np.flatnonzero(nodes["position"] == depth)
        if depth:
            parent = nodes["parent"][at]
            action = np.where(nodes["child"][parent, KEEP] == at, KEEP, REGENERATE)
            for seen in (scores, drafts, tokens, strong):
                seen[at] = seen[parent]
            scores[at, depth - 1] = nodes["score"][parent, action]
            tokens[at, depth - 1] = nodes["tokens"][parent, action]
            strong[at, depth - 1] = action == REGENERATE
        scores[at, depth] = drafts[at, depth] = nodes["score"][at, KEEP]
        tokens[at, depth], strong[at, depth] = nodes["tokens"][at, KEEP], False
    position, final = nodes["position"][chosen].astype(np.int64), nodes["final"][chosen, KEEP]
    return Observed(scores[chosen], drafts[chosen], tokens[chosen], strong[chosen], position, final)
