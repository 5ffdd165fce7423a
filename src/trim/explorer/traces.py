"""Where many policies lead, and what each of them would do at every point that any of them reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trim.rollout.forest import ENDS, KEEP, REGENERATE, UNKNOWN, Forest
from trim.rollout.observed import Booleans, Floats, Integers, Observed
from trim.rollout.walk import BatchRouter

Believe = Callable[[Observed], tuple[Floats, Floats, Floats]]
"""The belief (S0, S1, S2) about drafts under decision."""


@dataclass(frozen=True, slots=True)
class Traces:
    """States of episodes: a state is a node of the forest and the decisions that led to it.

    Attributes
    ----------
    trees
        Shape (trees,); which trees were followed.
    node, owner
        Shape (states,); node of the forest, and index into `trees`. The first states are the roots, in order.
    decisions
        Shape (states, policies); where a policy has the strong model write the step, be it led here or not.
    belief
        Shape (states, 3); NaN where nobody holds one.
    child
        Shape (states, 2); the state that KEEP and REGENERATE lead to, ENDS, or UNKNOWN: no policy goes there, or
        the forest does not.
    correct
        Shape (trees, policies); 1 and 0 for right and wrong answers, NaN where a policy leaves the forest.
    """

    trees: Integers
    node: Integers
    owner: Integers
    decisions: Booleans
    belief: Floats
    child: Integers
    correct: Floats


@dataclass(frozen=True, slots=True)
class _Level:
    """States with the same number of kept steps, and the policies that come by: all arrays have n rows."""

    node: Integers
    owner: Integers
    followers: Booleans
    scores: Floats
    draft_scores: Floats
    tokens: Integers
    strong: Booleans

    def take(self, rows: Booleans) -> _Level:
        return _Level(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def trace(forest: Forest, trees: Integers, policies: Sequence[BatchRouter], believe: Believe | None = None) -> Traces:
    """Follow every policy through trees of a forest, without models.

    Each state is looked at once, whoever comes by: all policies decide there, those that agree go on together.
    """
    n, width = len(trees), forest.max_steps
    level = _Level(
        forest.roots[trees],
        np.arange(n),
        np.ones((n, len(policies)), dtype=bool),
        np.ones((n, width)),
        np.ones((n, width)),
        np.zeros((n, width), dtype=np.int64),
        np.zeros((n, width), dtype=bool),
    )
    correct = np.full((n, len(policies)), np.nan)
    found: list[tuple[Integers, Integers, Booleans, Floats, Integers]] = []
    count = n  # states that have a number: all of this level
    for depth in range(width):
        if not len(level.node):
            break
        at = forest.nodes[level.node]
        level.scores[:, depth] = level.draft_scores[:, depth] = at["score"][:, KEEP]
        level.tokens[:, depth] = at["tokens"][:, KEEP]
        position = np.full(len(at), depth)
        observed = Observed(
            level.scores, level.draft_scores, level.tokens, level.strong, position, at["final"][:, KEEP]
        )
        decisions = np.stack([policy.decide_all(observed) for policy in policies], axis=1)
        belief = np.full((len(at), 3), np.nan) if believe is None else np.stack(believe(observed), axis=1)
        child = np.full((len(at), 2), UNKNOWN)
        ahead = []
        for action in (KEEP, REGENERATE):
            followers = level.followers & (decisions == bool(action))
            ends = at["child"][:, action] == ENDS
            child[ends, action] = ENDS
            rows, columns = np.nonzero(followers & ends[:, None])
            correct[level.owner[rows], columns] = at["correct"][rows, action]
            going = followers.any(axis=1) & (at["child"][:, action] >= 0)
            child[going, action] = count + np.arange(going.sum())
            count += int(going.sum())
            after = level.take(going)
            after.node[:], after.followers[:] = at["child"][going, action], followers[going]
            after.scores[:, depth], after.tokens[:, depth] = at["score"][going, action], at["tokens"][going, action]
            after.strong[:, depth] = bool(action)
            ahead.append(after)
        found.append((level.node, level.owner, decisions, belief, child))
        level = _Level(
            *(np.concatenate([getattr(part, name) for part in ahead]) for name in _Level.__dataclass_fields__)
        )
    node, owner, decisions, belief, child = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Traces(trees, node, owner, decisions, belief, child, correct)
