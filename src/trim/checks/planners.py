"""Planners side by side on one fitted POMDP: our exact solution, a threshold, pomdp-py's POUCT, SARSOP.

Every planner plays the same simulated episodes. What it is worth is the certified optimum less what its decisions lose
against it, as in `ppo_against_optimum`: that varies far less than rewards do. POUCT plans every decision anew, from
the belief that our filter has there, on the flattened model in generative form.
"""

from __future__ import annotations

import random
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import NormalDist
from typing import Any

import numpy as np
import pomdp_py

from trim.arrays import Booleans, Floats
from trim.checks.export import ACTIONS, END, FlatPomdp, draft_state, flatten, sarsop_value
from trim.checks.memoryless import MemorylessPolicies
from trim.checks.simulator import play
from trim.config.experiment import Planners
from trim.rollout.history import Observed
from trim.routers.pomdp.disk import SolvedPomdp
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy

KEEP, REGENERATE = ACTIONS
Decide = Callable[[Observed], Booleans]
Row = dict[str, Any]

PLANNER = ["kappa", "planner", "rollouts", "simulations"]
COLUMNS = [*PLANNER, *("value", "value_lo", "value_hi", "net_reward", "agreement", "decisions", "reason")]
TIMES = [*PLANNER, "seconds"]
"""Columns of the two tables: what is the same whenever it is computed, and what is not."""


class Generative(pomdp_py.BlackboxModel):  # type: ignore[misc] # pomdp-py carries no types
    """Draws what follows a state of a flat POMDP; states and observations are named by their indices.

    pomdp-py has no end of an episode: the state of the end follows itself until the greatest depth, and costs little.
    """

    def __init__(self, flat: FlatPomdp) -> None:
        self._flat = flat
        self.states = [pomdp_py.SimpleState(index) for index in range(len(flat.states))]
        self.actions = [pomdp_py.SimpleAction(name) for name in ACTIONS]
        self._seen = [pomdp_py.SimpleObservation(index) for index in range(len(flat.observations))]
        self._rewards = flat.reward.tolist()
        self._next: dict[tuple[int, int], tuple[list[float], list[int]]] = {}
        self._emitted: dict[tuple[int, int], tuple[list[float], list[int]]] = {}

    def sample(self, state: Any, action: Any) -> tuple[Any, Any, float, int]:
        """Return next state, observation, reward and number of steps; drawn from `random`, as all pomdp-py's draws."""
        if state.data == END:
            return state, self._seen[-1], 0.0, 1
        before = int(action.name == REGENERATE), state.data
        after = _drawn(self._next, self._flat.transition, before)
        seen = _drawn(self._emitted, self._flat.emission, (before[0], after))
        return self.states[after], self._seen[seen], self._rewards[before[0]][before[1]], 1


def _drawn(
    known: dict[tuple[int, int], tuple[list[float], list[int]]], probabilities: Floats, row: tuple[int, int]
) -> int:
    """Draw a column of a row; of every row, the columns that can be are looked up once."""
    if row not in known:
        columns = np.flatnonzero(probabilities[row])
        known[row] = list(accumulate(probabilities[row][columns].tolist())), columns.tolist()
    sums, found = known[row]
    return found[min(bisect(sums, random.random()), len(found) - 1)]


class Rollouts(pomdp_py.RolloutPolicy):  # type: ignore[misc] # pomdp-py carries no types
    """The policy by which POUCT plays on where its tree ends.

    Parameters
    ----------
    regenerates
        Whether it regenerates, by (action, observation) since the decision that is planned.
    """

    def __init__(self, actions: Sequence[Any], regenerates: Callable[[Sequence[Any]], bool]) -> None:
        self._actions, self._regenerates = actions, regenerates

    def get_all_actions(self, state: Any = None, history: Any = None) -> Sequence[Any]:
        """Return keep and regenerate: both are always there."""
        return self._actions

    def rollout(self, state: Any, history: Any = None) -> Any:
        """Return the action of the policy."""
        return self._actions[self._regenerates(history)]


def at_random(history: Sequence[Any]) -> bool:
    """Do either with the same chance, as pomdp-py's own rollouts."""
    return random.random() < 0.5


def below(bins: int, model: PomdpModel) -> Callable[[Sequence[Any]], bool]:
    """Return a rule that regenerates drafts whose scores lie in the lowest bins; the first draft of all is kept."""
    after = len(model.observation.strong) * 2 * len(model.transition.tokens)  # observations that share a score
    return lambda history: bool(history) and history[-1][1].data < bins * after


class Pouct:
    """pomdp-py's POUCT, which plans every decision of every episode anew.

    Parameters
    ----------
    exact
        Whose filter's beliefs it plans from.
    simulations
        For each decision.
    """

    def __init__(self, exact: PomdpPolicy, world: Generative, rollouts: Rollouts, simulations: int) -> None:
        self._exact, self._world, self._rollouts, self._simulations = exact, world, rollouts, simulations

    def decide(self, observed: Observed) -> Booleans:
        """Plan of each draft whether the strong model is to write it again."""
        model, beliefs = self._exact.model, np.stack(self._exact.believe(observed), axis=1)
        counts = np.searchsorted(model.transition.tokens, observed.draft_tokens)
        final = observed.final | (observed.position == model.max_steps - 1)
        drafts = zip(beliefs, observed.position.tolist(), final.tolist(), counts.tolist(), strict=True)
        return np.array([self.plan(*draft) for draft in drafts])

    def plan(self, belief: Sequence[float], position: int, final: bool, count: int) -> bool:
        """Plan one decision.

        Parameters
        ----------
        belief
            About the draft, its score seen.
        count
            Index into the token counts.
        """
        model, states = self._exact.model, self._world.states
        at = {states[draft_state(model, position, state, final, count)]: float(p) for state, p in enumerate(belief)}
        planner = pomdp_py.POUCT(
            max_depth=model.max_steps - 1 - position,
            planning_time=-1,
            num_sims=self._simulations,
            discount_factor=1.0,
            exploration_const=model.reward,  # as far as returns lie apart
            rollout_policy=self._rollouts,
        )
        agent = pomdp_py.Agent(pomdp_py.Histogram(at), self._rollouts, blackbox_model=self._world)
        return bool(planner.plan(agent) == self._world.actions[1])


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What a planner did in simulated episodes.

    Attributes
    ----------
    losses, rewards
        Shape (episodes,); what its decisions lose against the exact ones, and its net rewards.
    decisions, agreed
        Number of its decisions, and of those that are the exact ones.
    seconds
        CPU time of a decision.
    """

    losses: Floats
    rewards: Floats
    decisions: int
    agreed: int
    seconds: float


def watch(decide: Decide, exact: PomdpPolicy, episodes: int, seed: int) -> Played:
    """Play episodes one by one, which are the same for all planners with a seed, but for what they decide."""
    losses, rewards = np.zeros((2, episodes))
    decisions, agreed, seconds = 0, 0, 0.0
    for episode in range(episodes):

        def watched(observed: Observed, episode: int = episode) -> Booleans:
            nonlocal decisions, agreed, seconds
            began = time.process_time()
            regenerate = decide(observed)
            seconds += time.process_time() - began
            gain = exact.gain_all(observed)
            other = regenerate != (gain > 0)
            losses[episode] += np.abs(gain[other]).sum()
            decisions, agreed = decisions + len(other), agreed + int((~other).sum())
            return regenerate

        rewards[episode] = play(exact.model, watched, exact.cost, 1, seed + episode).net_reward
    return Played(losses, rewards, decisions, agreed, seconds / decisions)


def compare(solved: SolvedPomdp, settings: Planners, seed: int, level: float) -> Iterator[Row]:
    """Yield a row a planner and kappa.

    Parameters
    ----------
    level
        Of the intervals.
    """
    spread = NormalDist().inv_cdf((1 + level) / 2) / np.sqrt(settings.episodes)
    for index in nearest(solved.kappas, settings.kappas):
        model, cost = with_distinct_counts(solved.model), float(solved.costs[index])
        exact, gap = PomdpPolicy(model, solved.values[index], cost), float(solved.gap[index, 0])
        best, reward = float(exact.values[0, -1]), model.reward
        for name, decide, worth in _planners(exact, settings, seed):
            played = watch(decide, exact, settings.episodes, seed)
            value = best - float(played.losses.mean())
            low, high = (value + side * float(played.losses.std(ddof=1)) * spread for side in (-1, 1))
            if worth is not None:
                value = low = high = worth
            yield {
                "kappa": float(solved.kappas[index]),
                **name,
                "value": value / reward,
                "value_lo": (low - gap if worth is None else low) / reward,
                "value_hi": high / reward,
                "net_reward": float(played.rewards.mean()) / reward,
                "agreement": played.agreed / played.decisions,
                "decisions": played.decisions,
                "seconds": played.seconds,
            }
        yield {"kappa": float(solved.kappas[index]), "planner": "sarsop", **_by_sarsop(model, cost, settings)}


def nearest(solved: Floats, wanted: Sequence[float]) -> list[int]:
    """Return the indices of the solved kappas that are nearest to the wanted ones, each once."""
    return sorted({int(np.abs(np.log(solved / kappa)).argmin()) for kappa in wanted})


def with_distinct_counts(model: PomdpModel) -> PomdpModel:
    """Return the same model, in which no token count stands twice: a tree would tell the two apart."""
    steps = model.transition
    tokens, place = np.unique(steps.tokens, return_inverse=True)
    weights = np.bincount(place, steps.token_weights).astype(float)
    return replace(model, transition=replace(steps, tokens=tokens, token_weights=weights))


def _planners(exact: PomdpPolicy, settings: Planners, seed: int) -> Iterator[tuple[Row, Decide, float | None]]:
    """Yield what stands in the table of a planner, its decisions, and what it is worth where that is known."""
    model, cost = exact.model, exact.cost
    yield {"planner": "exact"}, exact.decide, None
    policies = MemorylessPolicies(model)
    worths = [policies.evaluate(policies.threshold(k), cost).net_reward for k in range(len(model.observation.edges))]
    bins = int(np.argmax(worths))
    yield {"planner": "threshold"}, lambda observed: model.observation.index(observed.score) < bins, worths[bins]
    world, rules = Generative(flatten(model, cost)), {"random": at_random, "threshold": below(bins, model)}
    for name in settings.rollouts:
        rollouts = Rollouts(world.actions, rules[name])
        for simulations in settings.simulations:
            random.seed(f"{seed}/{cost}/{name}/{simulations}")  # pomdp-py draws from there
            head = {"planner": "pouct", "rollouts": name, "simulations": simulations}
            yield head, Pouct(exact, world, rollouts, simulations).decide, None


def _by_sarsop(model: PomdpModel, cost: float, settings: Planners) -> Row:
    if settings.sarsop is None:
        return {"reason": "planners.sarsop names no pomdpsol"}
    return {"value": sarsop_value(model, cost, settings.sarsop, settings.sarsop_seconds) / model.reward}
