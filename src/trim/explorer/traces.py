"""Where routers and both models alone lead, and what each router would do at every point that any of them reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trim.rollout.history import Booleans, Floats, Integers, Observed
from trim.rollout.trees import ENDS, KEEP, REGENERATE, UNKNOWN, Forest
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
    drafted
        Shape (states,); whether all drafts are known, up to the one under decision. The strong model alone asks for
        none, and where it is alone no router can decide.
    decisions
        Shape (states, policies); where a policy has the strong model write the step, be it led here or not. Means
        nothing where drafts are missing.
    belief
        Shape (states, 3); NaN where nobody holds one.
    child
        Shape (states, 2); the state that KEEP and REGENERATE lead to, ENDS, or UNKNOWN: no policy goes there, or
        the forest does not.
    correct
        Shape (trees, policies + 2); 1 and 0 for right and wrong answers, NaN where a path leaves the forest. The last
        columns are those of the weak and of the strong model alone.
    """

    trees: Integers
    node: Integers
    owner: Integers
    drafted: Booleans
    decisions: Booleans
    belief: Floats
    child: Integers
    correct: Floats


@dataclass(frozen=True, slots=True)
class _Level:
    """States with the same number of kept steps, and who comes by: all arrays have n rows."""

    node: Integers
    owner: Integers
    drafted: Booleans
    followers: Booleans
    scores: Floats
    draft_scores: Floats
    tokens: Integers
    strong: Booleans

    def take(self, rows: Booleans) -> _Level:
        return _Level(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def trace(forest: Forest, trees: Integers, policies: Sequence[BatchRouter], believe: Believe | None = None) -> Traces:
    """Follow every policy, and both models alone, through trees of a forest where it is known.

    Each state is looked at once, whoever comes by: all policies decide there, those that agree go on together.
    """
    n, width = len(trees), forest.max_steps
    level = _Level(
        forest.roots[trees],
        np.arange(n),
        np.ones(n, dtype=bool),
        np.ones((n, len(policies) + 2), dtype=bool),
        np.ones((n, width)),
        np.ones((n, width)),
        np.zeros((n, width), dtype=np.int64),
        np.zeros((n, width), dtype=bool),
    )
    correct = np.full((n, len(policies) + 2), np.nan)
    found = []
    count = n  # states that have a number: all of this level
    for depth in range(width):
        if not len(level.node):
            break
        at = forest.nodes[level.node]
        level.drafted[:] &= at["tokens"][:, KEEP] >= 0
        level.scores[:, depth] = level.draft_scores[:, depth] = np.where(level.drafted, at["score"][:, KEEP], 1.0)
        level.tokens[:, depth] = np.where(level.drafted, at["tokens"][:, KEEP], 0)
        position, final = np.full(len(at), depth), at["final"][:, KEEP]
        observed = Observed(level.scores, level.draft_scores, level.tokens, level.strong, position, final)
        decisions = np.stack([policy.decide_all(observed) for policy in policies], axis=1)
        belief = np.full((len(at), 3), np.nan)
        if believe is not None:
            belief[level.drafted] = np.stack(believe(observed), axis=1)[level.drafted]
        strong_alone = level.followers[:, -1:]
        children, parts = np.full((len(at), 2), UNKNOWN), []
        for action in (KEEP, REGENERATE):
            led = np.column_stack([decisions == bool(action), np.tile([action == KEEP, False], (len(at), 1))])
            followers = level.followers & led & level.drafted[:, None]
            if action == REGENERATE:
                followers[:, -1:] = strong_alone
            ends = at["child"][:, action] == ENDS
            rows, columns = np.nonzero(followers & ends[:, None])
            correct[level.owner[rows], columns] = at["correct"][rows, action]
            going = followers.any(axis=1) & (at["child"][:, action] >= 0)
            children[ends, action] = ENDS
            children[going, action] = count + np.arange(going.sum())
            count += int(going.sum())
            after = level.take(going)
            after.node[:], after.followers[:] = at["child"][going, action], followers[going]
            after.scores[:, depth], after.tokens[:, depth] = at["score"][going, action], at["tokens"][going, action]
            after.strong[:, depth] = bool(action)
            parts.append(after)
        found.append((level.node, level.owner, level.drafted, decisions, belief, children))
        names = _Level.__dataclass_fields__
        level = _Level(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    node, owner, drafted, decided, beliefs, child = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Traces(trees, node, owner, drafted, decided, beliefs, child, correct)
