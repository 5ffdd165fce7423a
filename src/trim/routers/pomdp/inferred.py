"""Which steps are right, where no step has a label: inferred from the final answers in rollout trees.

The model is that of TRIM-POMDP (paper, section 4.4): behind a right prefix a step of either model is right with some
probability, a wrong step makes all that follow wrong, and PRM scores are drawn by state. Beside it stands that a
solution whose steps are all right ends in the right answer but for slips, and one with a wrong step ends in a wrong one
but for luck. In a tree that holds several continuations of a prefix, each of them is a witness. Given the model, the
states of all steps of a tree can be drawn exactly, from the leaves up and back down (Monte Carlo EM: Wei and Tanner,
1990); given the states, the model is fitted as it is to labelled steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Floats
from trim.rollout.trees import ENDS, KEEP, REGENERATE, RolloutTrees
from trim.routers.pomdp.model import PomdpModel

ROUNDS = 20
DRAWS = 10
"""Draws of all states, to which the model is fitted in each round."""

SLIP = 0.02
"""P(wrong answer | all steps right): an answer that is not written as it should be."""

LUCK = 0.05
"""P(right answer | a wrong step)."""

FIRST_ACCURACY = 0.85
"""Of a step, before the first round; scores tell nothing then."""


@dataclass(frozen=True, slots=True)
class _Chances:
    """What the model says of each step; along the last axis stand draft and strong step.

    Attributes
    ----------
    right
        Shape (nodes, 2); P(the step is right | all before are).
    scores
        Shape (3, nodes, 2); likelihood of its score in the states S0, S1 and S2, 1 where nobody scored it.
    """

    right: Floats
    scores: Floats


def infer_states(
    trees: RolloutTrees, fit: Callable[[Booleans, Booleans], PomdpModel], seed: int
) -> tuple[Booleans, Booleans]:
    """Draw the states of all steps many times.

    Parameters
    ----------
    trees
        Explored; the more continuations a prefix has, the better it is known.
    fit
        Fits the model to drawn states: whether the prefix of a node is right, shape (DRAWS x nodes,), and whether its
        draft and strong step are, shape (DRAWS x nodes, 2); draw after draw.
    seed
        Of the draws.

    Returns
    -------
    The draws of the last round, as they are handed to `fit`.
    """
    rng = np.random.default_rng(seed)
    chances = _Chances(np.full((len(trees), 2), FIRST_ACCURACY), np.ones((3, len(trees), 2)))
    for done in range(ROUNDS):
        below = _upwards(trees, chances)
        draws = [_draw(trees, chances, below, rng) for _ in range(DRAWS)]
        prefix, step = (np.concatenate(part) for part in zip(*draws, strict=True))
        if done + 1 < ROUNDS:
            chances = _chances(trees, fit(prefix, step), prefix, step)
    return prefix, step


def all_right(correct: float) -> float:
    """Return the probability that all steps of a solution are right, given how often the answer is."""
    return float(np.clip((correct - LUCK) / (1 - SLIP - LUCK), LUCK, 1 - SLIP))


def _chances(trees: RolloutTrees, model: PomdpModel, prefix: Booleans, step: Booleans) -> _Chances:
    """Look up what a model says of each step; how often strong steps are right is counted in the draws."""
    nodes, observation = trees.nodes, model.observation
    asked = np.tile(nodes["tokens"][:, REGENERATE] >= 0, DRAWS) & prefix
    strong = (step[asked, REGENERATE].sum() + 1) / (asked.sum() + 2)
    weak = model.transition.weak_accuracy[nodes["position"]]
    likelihood = np.ones((3, len(trees), 2))
    for action, table in ((KEEP, observation.draft), (REGENERATE, observation.strong)):
        scored = ~np.isnan(nodes["score"][:, action])
        symbols = observation.index(nodes["score"][scored, action])
        if len(table) == len(observation.edges) - 1:  # scores of strong steps may tell nothing
            likelihood[:, scored, action] = table[symbols].T
    return _Chances(np.stack([weak, np.full(len(trees), strong)], axis=1), likelihood)


def _upwards(trees: RolloutTrees, chances: _Chances) -> Floats:
    """Log-likelihood of all that is known below each node where its prefix is right, and where it is wrong: (2, n)."""
    below = np.zeros((2, len(trees)))
    for node in range(len(trees) - 1, -1, -1):  # children come after their parents
        for action in _steps(trees, node):
            right, wrong = _behind(trees, chances, below, node, action)
            below[0, node] += np.logaddexp(right, wrong)
            below[1, node] += np.log(chances.scores[1, node, action]) + _next(trees, below, node, action)[1]
    return below


def _behind(trees: RolloutTrees, chances: _Chances, below: Floats, node: int, action: int) -> tuple[float, float]:
    """Log-likelihood that a step behind a right prefix is right, and that it is wrong, with all that follows it."""
    if_right, if_wrong = _next(trees, below, node, action)
    p, scores = chances.right[node, action], chances.scores[:, node, action]
    return np.log(p * scores[0]) + if_right, np.log((1 - p) * scores[2]) + if_wrong


def _next(trees: RolloutTrees, below: Floats, node: int, action: int) -> tuple[float, float]:
    """Log-likelihood of what follows a step, where all up to it is right, and where something is wrong."""
    child = int(trees.nodes["child"][node, action])
    if child >= 0:
        return float(below[0, child]), float(below[1, child])
    if child != ENDS:
        return 0.0, 0.0
    correct = trees.nodes["correct"][node, action]
    right, wrong = (1 - SLIP, LUCK) if correct else (SLIP, 1 - LUCK)
    return float(np.log(right)), float(np.log(wrong))


def _steps(trees: RolloutTrees, node: int) -> list[int]:
    """Actions whose steps are known at a node; a strong step that repeats the draft is no further witness."""
    if _repeats(trees, node):
        return [KEEP]
    return [action for action in (KEEP, REGENERATE) if trees.nodes["tokens"][node, action] >= 0]


def _repeats(trees: RolloutTrees, node: int) -> bool:
    asked = bool((trees.nodes["tokens"][node] >= 0).all())
    return asked and trees.text(node, KEEP) == trees.text(node, REGENERATE)


def _draw(trees: RolloutTrees, chances: _Chances, below: Floats, rng: np.random.Generator) -> tuple[Booleans, Booleans]:
    """Draw the states of all steps once: whether each node's prefix is right, and its draft and strong step."""
    prefix, step = np.ones(len(trees), dtype=bool), np.zeros((len(trees), 2), dtype=bool)
    draws = rng.random((len(trees), 2))
    for node in range(len(trees)):
        for action in _steps(trees, node):
            right, wrong = _behind(trees, chances, below, node, action)
            step[node, action] = prefix[node] and draws[node, action] < 1 / (1 + np.exp(wrong - right))
            child = int(trees.nodes["child"][node, action])
            if child >= 0:
                prefix[child] = step[node, action]
        if _repeats(trees, node):
            step[node, REGENERATE] = step[node, KEEP]
    return prefix, step
