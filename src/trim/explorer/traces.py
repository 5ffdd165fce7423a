"""Where routers and both models alone lead, and what each router would do at every point that any of them reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.rollout.history import Histories, Observed, Router
from trim.rollout.trees import ENDS, KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import Nodes

Believe = Callable[[Observed], tuple[Floats, Floats, Floats]]
"""The belief (S0, S1, S2) about drafts under decision."""


@dataclass(frozen=True, slots=True)
class Traces:
    """States of episodes: a state is a node of the trees and the decisions that led to it.

    Attributes
    ----------
    tree
        Shape (trees,); which trees were followed.
    node, owner
        Shape (states,); node of the trees, and index into `tree`. The first states are the roots, in order.
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
        the trees do not.
    correct
        Shape (trees, policies + 2); 1 and 0 for right and wrong answers, NaN where a path leaves the trees. The last
        columns are those of the weak and of the strong model alone.
    """

    tree: Integers
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
    histories: Histories


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of the states of one level, as in `Traces`."""

    node: Integers
    owner: Integers
    drafted: Booleans
    decisions: Booleans
    belief: Floats
    child: Integers


def trace(trees: RolloutTrees, tree: Integers, policies: Sequence[Router], believe: Believe | None = None) -> Traces:
    """Follow every policy, and both models alone, through some rollout trees, as far as they are explored.

    Each state is looked at once, whoever comes by: all policies decide there, those that agree go on together.
    """
    n, columns = len(tree), len(policies) + 2
    followers = np.ones((n, columns), dtype=bool)
    level = _Level(trees.roots()[tree], np.arange(n), np.ones(n, dtype=bool), followers, Histories(n, trees.max_steps))
    correct = np.full((n, columns), np.nan)
    found: list[_Found] = []
    count = n  # states that have a number: all of this level
    while level.node.size:
        level, states, count = _go_on(trees, level, policies, believe, correct, count)
        found.append(states)
    whole = {name.name: np.concatenate([getattr(part, name.name) for part in found]) for name in fields(_Found)}
    return Traces(tree, **whole, correct=correct)


def _go_on(
    trees: RolloutTrees, level: _Level, policies: Sequence[Router], believe: Believe | None, correct: Floats, count: int
) -> tuple[_Level, _Found, int]:
    """Decide at the states of a level; return the next level, what is known of this one, and how many have numbers."""
    drafted = level.drafted & (trees.nodes["tokens"][level.node, KEEP] >= 0)
    level.histories.draft(trees.drafts(level.node, drafted))
    observed = level.histories.observed(places=Nodes(trees, level.node))
    decisions = np.stack([policy.decide(observed) for policy in policies], axis=1)
    belief = np.full((len(level.node), 3), np.nan)
    if believe is not None:
        belief[drafted] = np.stack(believe(observed), axis=1)[drafted]
    children, rows, actions, followers = np.full((len(level.node), 2), UNKNOWN), [], [], []
    for action in (KEEP, REGENERATE):
        led = _led(level, decisions, drafted, action)
        to = trees.nodes["child"][level.node, action]
        here, column = np.nonzero(led & (to == ENDS)[:, None])
        correct[level.owner[here], column] = trees.nodes["correct"][level.node[here], action]
        going = np.flatnonzero(led.any(axis=1) & (to >= 0))
        children[to == ENDS, action] = ENDS
        children[going, action] = count + np.arange(going.size)
        count += going.size
        rows.append(going)
        actions.append(np.full(going.size, action))
        followers.append(led[going])
    kept, action_of = np.concatenate(rows), np.concatenate(actions)
    histories, nodes = level.histories.copied(kept), level.node[kept]
    to = trees.nodes["child"][nodes, action_of].astype(np.int64)
    histories.keep(trees.outcome(nodes, action_of == REGENERATE, to))
    after = _Level(to, level.owner[kept], drafted[kept], np.concatenate(followers), histories)
    return after, _Found(level.node, level.owner, drafted, decisions, belief, children), count


def _led(level: _Level, decisions: Booleans, drafted: Booleans, action: int) -> Booleans:
    """Tell whom an action leads on: the policies that take it, and a model alone. A policy needs all drafts."""
    weak_alone = np.tile([action == KEEP, False], (len(decisions), 1))
    led: Booleans = level.followers & np.column_stack([decisions == bool(action), weak_alone]) & drafted[:, None]
    if action == REGENERATE:
        led[:, -1:] = level.followers[:, -1:]
    return led
