"""Fit the POMDP of TRIM-POMDP to the labelled nodes of a forest, and solve it for many kappas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trim.config import PomdpRouter
from trim.problems.arithmetic import step_is_valid
from trim.rollout.forest import KEEP, REGENERATE, UNKNOWN, Forest
from trim.rollout.walk import BatchRouter
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import fit_observation
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.released import ReleasedPolicy, with_late_hazard
from trim.routers.pomdp.solver import GRID, Solution, solve
from trim.routers.pomdp.storage import SolvedPomdp
from trim.routers.pomdp.transition import fit_transition

Booleans = NDArray[np.bool_]

JOINT_GRID = 100
"""Intervals of the belief grid for an alphabet of pairs, whose many symbols make each one dear."""

ALL_RIGHT, EARLIER_ERROR, STEP_WRONG = 0, 1, 2
"""States S0, S1 and S2 (paper, section 4.4)."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Exact labels of the nodes of a forest.

    Attributes
    ----------
    prefix
        Shape (nodes,); whether all steps before are right.
    step
        Shape (nodes, 2); whether draft and strong step are right given the text before; False where unknown.
    """

    prefix: Booleans
    step: Booleans

    def states(self, action: int) -> NDArray[np.int64]:
        """Return the state of the draft, or of the strong step, at each node."""
        right = np.where(self.step[:, action], ALL_RIGHT, STEP_WRONG)
        return np.where(self.prefix, right, EARLIER_ERROR)


def label_nodes(forest: Forest) -> Labels:
    """Check every step of a forest of arithmetic problems."""
    nodes = forest.nodes
    prefix, step = np.ones(len(nodes), dtype=bool), np.zeros((len(nodes), 2), dtype=bool)
    for node in range(len(nodes)):  # parents come before their children
        parent = nodes["parent"][node]
        if parent != UNKNOWN:
            action = KEEP if nodes["child"][parent, KEEP] == node else REGENERATE
            prefix[node] = prefix[parent] and step[parent, action]
        text, before = forest.problem(int(nodes["root"][node])).text, forest.prefix(node).steps
        for action in (KEEP, REGENERATE):
            if nodes["tokens"][node, action] >= 0:
                step[node, action] = step_is_valid(text, before, forest.text(node, action))
    return Labels(prefix, step)


def fit_pomdp(forest: Forest, labels: Labels, settings: PomdpRouter, variant: str) -> PomdpModel:
    """Fit observations and transitions; `released` reads pairs of scores and counts steps late."""
    nodes = forest.nodes
    released = variant == "released"
    drafts = nodes["score"][:, KEEP], labels.states(KEEP)
    scored = ~np.isnan(nodes["score"][:, REGENERATE])
    strong = nodes["score"][scored, REGENERATE], labels.states(REGENERATE)[scored]
    if released:
        observation = fit_observation(*drafts, minima=lowest_before(forest), bins=settings.bins, spacing="even")
    else:
        observation = fit_observation(*drafts, *strong, bins=settings.bins)
    right, asked = labels.prefix, nodes["tokens"][:, REGENERATE] >= 0
    transition = fit_transition(
        nodes["position"][right],
        labels.step[right, KEEP],
        np.where(asked, labels.step[:, REGENERATE], np.nan)[right],
        nodes["final"][right, KEEP],
        nodes["tokens"][right, KEEP],
        forest.max_steps,
        by_step=settings.accuracy_by_step and not released,
    )
    model = PomdpModel(observation, transition)
    return with_late_hazard(model) if released else model


def lowest_before(forest: Forest) -> NDArray[np.float64]:
    """Return the lowest score of the steps before each node, 1 at the roots, shape (nodes,)."""
    nodes = forest.nodes
    lowest = np.ones(len(nodes))
    for node in np.flatnonzero(nodes["parent"] != UNKNOWN):  # parents come before their children
        parent = nodes["parent"][node]
        action = KEEP if nodes["child"][parent, KEEP] == node else REGENERATE
        lowest[node] = min(lowest[parent], nodes["score"][parent, action])
    return lowest


def solve_pomdp(model: PomdpModel, kappas: Sequence[float], price: float) -> Solution:
    """Solve for many kappas at once; `price` is the strong model's mean tokens per solution."""
    grid = JOINT_GRID if model.observation.joint else GRID
    return solve(model, np.asarray(kappas) / price, grid)


def pomdp_policy(solved: SolvedPomdp, variant: str, kappa: float, closeness: float) -> BatchRouter:
    """Return the policy of one operating point."""
    model, values, cost = solved.at(kappa)
    if variant == "released":
        return ReleasedPolicy(model, values, cost, closeness)
    return PomdpPolicy(model, values, cost)
