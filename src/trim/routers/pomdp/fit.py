"""Fit the POMDP of TRIM-POMDP to rollout trees whose steps have labels, and solve it for many kappas."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trim.arrays import Booleans, Floats, Integers
from trim.config.routers import PomdpRouter
from trim.errors import InputError
from trim.layouts import SOLUTION_KEYS
from trim.problems.arithmetic import prefix_is_right, step_is_valid
from trim.rollout.history import Router
from trim.rollout.tables import OperatingPoint
from trim.rollout.trees import KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out_all
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.kappas import choose_kappas, tokens_per_solution
from trim.routers.pomdp.disk import SolvedPomdp, load_solved, save_solved
from trim.routers.pomdp.inferred import all_right, infer_states
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import fit_observation
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.released import NO_MASK, ReleasedPolicy, with_late_hazard
from trim.routers.pomdp.solver import GRID, Solution, solve
from trim.routers.pomdp.transition import fit_transition, matched
from trim.routers.router import TrainingData

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

JOINT_GRID = 100
"""Intervals of the belief grid for an alphabet of pairs, whose many symbols make each one dear."""

ALL_RIGHT, EARLIER_ERROR, STEP_WRONG = 0, 1, 2
"""States S0, S1 and S2 (paper, section 4.4)."""


@dataclass(frozen=True, slots=True)
class FittedPomdp:
    """A solved variant of TRIM-POMDP, and the kappas of its sweep."""

    variant: str
    solved: SolvedPomdp
    closeness: float
    kappas: Sequence[float]

    def points(self) -> list[OperatingPoint]:
        """Return one operating point a kappa."""
        policies = [(kappa, pomdp_policy(self.solved, self.variant, kappa, self.closeness)) for kappa in self.kappas]
        return [OperatingPoint("trim-pomdp", self.variant, kappa, policy) for kappa, policy in policies]

    def save(self, folder: Path, origin: Mapping[str, Any]) -> None:
        """Write the solved model, and which kappas make up the sweep."""
        choices = {"closeness": self.closeness, "operating_points": list(self.kappas), "provenance": dict(origin)}
        save_solved(folder, replace(self.solved, origin=choices))


def fit(router: str, variant: str, data: TrainingData, seed: int) -> FittedPomdp:
    """Fit and solve one variant, and choose the kappas of its sweep on dev."""
    settings, kappas = data.settings.pomdp, data.settings.kappa.candidates()
    model = _fit_model(data, settings, variant, seed)
    if data.donor is not None:
        model = replace(model, observation=load_solved(data.donor).model.observation)
    solution = solve_pomdp(model, kappas, tokens_per_solution(data.trees))
    logger.info("largest certified gap between the bounds of a value: %.2g", solution.gap.max())
    solved = SolvedPomdp(model, np.asarray(kappas), solution.costs, solution.upper, solution.gap, {})

    def build(kappa: float) -> Router:
        return pomdp_policy(solved, variant, kappa, settings.closeness)

    chosen = choose_kappas(build, kappas, data.dev, data.settings.operating_points)
    return FittedPomdp(variant, solved, settings.closeness, chosen)


def _fit_model(data: TrainingData, settings: PomdpRouter, variant: str, seed: int) -> PomdpModel:
    """Fit the model to steps with labels, to labelled solutions of others, or to states inferred from final answers."""
    trees = data.trees
    if data.labelled:
        labels = label_nodes(trees)
        return fit_pomdp(trees, labels, observe_trees(trees, labels), settings, variant)
    if data.solutions is not None:
        labels = label_by_score(trees, settings.first_error_below)
        return fit_pomdp(trees, labels, observe_solutions(data.solutions), settings, variant)

    def refit(prefix: Booleans, step: Booleans, variant: str = "default") -> PomdpModel:
        labels = Labels(prefix, step)
        return fit_pomdp(trees, labels, observe_trees(trees, labels), settings, variant)

    model = refit(*infer_states(trees, refit, seed), variant)
    weak, strong = (outcomes(trees, rollout)[0].mean() for rollout in roll_out_all(trees, [WeakOnly(), StrongOnly()]))
    return replace(model, transition=matched(model.transition, all_right(weak), all_right(strong)))


def load(router: str, folder: Path) -> list[OperatingPoint]:
    """Return the operating points of what `FittedPomdp.save` wrote."""
    solved = load_solved(folder)
    variant = folder.name.rpartition(".")[0]
    try:
        closeness, kappas = float(solved.origin["closeness"]), [float(k) for k in solved.origin["operating_points"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: a solved POMDP without operating points ({error}); fit it again") from error
    return FittedPomdp(variant, solved, closeness, kappas).points()


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of the nodes of rollout trees; where they were drawn several times, draw after draw.

    Attributes
    ----------
    prefix
        Shape (draws x nodes,); whether all steps before are right.
    step
        Shape (draws x nodes, 2); whether draft and strong step are right given the text before; means nothing
        where a step is unknown.
    """

    prefix: Booleans
    step: Booleans

    def states(self, action: int) -> Integers:
        """Return the state of the draft, or of the strong step, at each node."""
        right = np.where(self.step[:, action], ALL_RIGHT, STEP_WRONG)
        return np.where(self.prefix, right, EARLIER_ERROR)

    def per_node(self, values: NDArray[Any]) -> NDArray[Any]:
        """Repeat what is known of each node for every draw of its labels."""
        return np.concatenate([values] * (len(self.prefix) // len(values)))


def label_nodes(trees: RolloutTrees) -> Labels:
    """Check every step of rollout trees of arithmetic problems."""
    nodes = trees.nodes
    prefix, step = np.ones(len(nodes), dtype=bool), np.zeros((len(nodes), 2), dtype=bool)
    for node in range(len(nodes)):
        text, before = trees.problem(int(nodes["root"][node])).text, trees.prefix(node).steps
        prefix[node] = prefix_is_right(text, before)
        for action in (KEEP, REGENERATE):
            if nodes["tokens"][node, action] >= 0:
                step[node, action] = step_is_valid(text, before, trees.text(node, action))
    return Labels(prefix, step)


def label_by_score(trees: RolloutTrees, wrong_below: float) -> Labels:
    """Take a step for right unless its PRM score is low; one that nobody scored, as a last one, is taken for right."""
    step = ~(trees.nodes["score"] < wrong_below)
    return Labels(_prefixes(trees, step), step)


def _prefixes(trees: RolloutTrees, step: Booleans) -> Booleans:
    prefix = np.ones(len(trees), dtype=bool)
    for node, parent, action in _births(trees):
        prefix[node] = prefix[parent] and step[parent, action]
    return prefix


def lowest_before(trees: RolloutTrees) -> Floats:
    """Return the lowest score of the steps before each node, 1 at the roots, shape (nodes,)."""
    lowest = np.ones(len(trees))
    for node, parent, action in _births(trees):
        lowest[node] = min(lowest[parent], trees.nodes["score"][parent, action])
    return lowest


def _births(trees: RolloutTrees) -> Iterator[tuple[int, int, int]]:
    """Yield (node, parent, action that leads to it) of all nodes but the roots; parents come before their children."""
    children = trees.nodes["child"]
    for node, parent in enumerate(trees.nodes["parent"].tolist()):
        if parent != UNKNOWN:
            yield node, parent, KEEP if children[parent, KEEP] == node else REGENERATE


@dataclass(frozen=True, slots=True)
class Observations:
    """Scores of steps whose state is known.

    Attributes
    ----------
    scores, states, minima
        Shape (n,); of drafts, with the lowest score before each.
    strong_scores, strong_states
        Shape (m,); of steps by the strong model.
    """

    scores: Floats
    states: Integers
    minima: Floats
    strong_scores: Floats
    strong_states: Integers


def observe_trees(trees: RolloutTrees, labels: Labels) -> Observations:
    """Collect the scores of labelled trees."""
    scores = labels.per_node(trees.nodes["score"])
    scored = ~np.isnan(scores[:, REGENERATE])
    return Observations(
        scores[:, KEEP],
        labels.states(KEEP),
        labels.per_node(lowest_before(trees)),
        scores[scored, REGENERATE],
        labels.states(REGENERATE)[scored],
    )


def observe_solutions(steps: pd.DataFrame) -> Observations:
    """Collect the scores of labelled solutions (ProcessBench), a row a step; none behind an error has a label.

    Steps of the strong model are taken to be scored as any others in the same state.
    """
    steps = steps.sort_values([*SOLUTION_KEYS, "position"])
    right = steps["valid"].fillna(False).astype(bool)
    states = np.where(steps["valid"].isna(), EARLIER_ERROR, np.where(right, ALL_RIGHT, STEP_WRONG))
    lowest = steps.groupby(SOLUTION_KEYS)["score"].cummin()
    before = lowest.groupby([steps[key] for key in SOLUTION_KEYS]).shift(fill_value=1.0)
    scores = steps["score"].to_numpy(float)
    return Observations(scores, states, before.to_numpy(float), scores, states)


def fit_pomdp(
    trees: RolloutTrees, labels: Labels, observations: Observations, settings: PomdpRouter, variant: str
) -> PomdpModel:
    """Fit observations and transitions; `released` reads pairs of scores and counts steps late."""
    nodes, seen = labels.per_node(trees.nodes), observations
    released = variant == "released"
    if released:
        observation = fit_observation(seen.scores, seen.states, minima=seen.minima, bins=settings.bins, spacing="even")
    else:
        observation = fit_observation(
            seen.scores, seen.states, seen.strong_scores, seen.strong_states, bins=settings.bins
        )
    right, asked = labels.prefix, nodes["tokens"][:, REGENERATE] >= 0
    transition = fit_transition(
        nodes["position"][right],
        labels.step[right, KEEP],
        np.where(asked, labels.step[:, REGENERATE], np.nan)[right],
        nodes["final"][right, KEEP],
        nodes["tokens"][right, KEEP],
        trees.max_steps,
        by_step=settings.accuracy_by_step and not released,
    )
    model = PomdpModel(observation, transition)
    return with_late_hazard(model) if released else model


def solve_pomdp(model: PomdpModel, kappas: Sequence[float], price: float) -> Solution:
    """Solve for many kappas at once; `price` is the strong model's mean tokens per solution."""
    grid = JOINT_GRID if model.observation.joint else GRID
    return solve(model, np.asarray(kappas) / price, grid)


def pomdp_policy(solved: SolvedPomdp, variant: str, kappa: float, closeness: float) -> Router:
    """Return the policy of one operating point."""
    model, values, cost = solved.at(kappa)
    if variant in ("released", "memoryless"):
        return ReleasedPolicy(model, values, cost, closeness if variant == "released" else NO_MASK)
    return PomdpPolicy(model, values, cost)
