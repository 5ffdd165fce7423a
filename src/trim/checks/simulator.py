"""Episodes drawn from the POMDP itself: checks solved values, and is a world to train policies in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.errors import InputError
from trim.rollout.history import Drafts, Histories, Observed, Outcome
from trim.routers.pomdp.model import PomdpModel


class Simulator:
    """Episodes that run side by side; scores are the middles of their bins.

    Every environment holds an episode from the beginning; one that has ended is to be started again.

    Parameters
    ----------
    model
        With an alphabet of single scores. If scores of the strong model's steps tell nothing in it, they are 1.
    n_envs
        Number of episodes at a time.
    rng
        Source of all draws.

    Raises
    ------
    InputError
        If the alphabet is joint.
    """

    def __init__(self, model: PomdpModel, n_envs: int, rng: np.random.Generator) -> None:
        observation = model.observation
        if observation.joint:
            raise InputError("POMDP simulator: the alphabet must be of single scores, not of pairs")
        self.model, self.n_envs, self.max_steps, self._rng = model, n_envs, model.max_steps, rng
        self._scores = observation.centres
        self._strong_scores = observation.centres if len(observation.strong) > 1 else np.ones(1)
        self._prefix_right, self._draft_right = np.ones((2, n_envs), dtype=bool)
        self._position, self._tokens = np.zeros((2, n_envs), dtype=np.int64)
        self._score = np.ones(n_envs)
        self._final = np.zeros(n_envs, dtype=bool)
        self.start(np.arange(n_envs))

    def start(self, which: Integers) -> None:
        """Begin new episodes in these environments."""
        self._prefix_right[which] = True
        self._position[which] = 0
        self._draft(which)

    def drafts(self) -> Drafts:
        """Return the drafts under decision in all environments."""
        return Drafts(self._score.copy(), self._tokens.copy(), self._position.copy(), self._final.copy())

    def act(self, regenerate: Booleans) -> Outcome:
        """Keep or regenerate the draft of every environment, and draft on where the episode goes on."""
        transition, before, final = self.model.transition, self._prefix_right.copy(), self._final.copy()
        accuracy = np.where(self._draft_right, transition.strong_if_right, transition.strong_if_wrong)
        step_right = np.where(regenerate, self._rng.random(self.n_envs) < accuracy, self._draft_right)
        state = _states(before, step_right)
        strong_score = self._strong_scores[self._draw(self.model.observation.strong, state)]
        kept_score = np.where(regenerate, strong_score, self._score)
        tokens = self._tokens.copy()
        self._prefix_right = before & step_right
        self._position = self._position + 1
        outcome = Outcome(regenerate, tokens * regenerate, kept_score, tokens, final, final & self._prefix_right)
        self._draft(np.flatnonzero(~final))
        return outcome

    def _draft(self, which: Integers) -> None:
        transition, position = self.model.transition, self._position[which]
        self._draft_right[which] = self._rng.random(len(which)) < transition.weak_accuracy[position]
        state = _states(self._prefix_right[which], self._draft_right[which])
        self._score[which] = self._scores[self._draw(self.model.observation.draft, state)]
        self._tokens[which] = self._rng.choice(transition.tokens, len(which), p=transition.token_weights)
        self._final[which] = self._rng.random(len(which)) < transition.hazard[position]

    def _draw(self, likelihoods: Floats, state: Integers) -> Integers:
        below = np.cumsum(likelihoods[:-1], axis=0)
        symbols: Integers = (self._rng.random(len(state)) > below[:, state]).sum(0)
        return symbols


def _states(prefix_right: Booleans, step_right: Booleans) -> Integers:
    return np.where(prefix_right, np.where(step_right, 0, 2), 1)


@dataclass(frozen=True, slots=True)
class Played:
    """Means over simulated episodes, with the standard error of the net reward."""

    net_reward: float
    standard_error: float
    accuracy: float
    strong_tokens: float


def play(model: PomdpModel, decide: Callable[[Observed], Booleans], cost: float, episodes: int, seed: int) -> Played:
    """Simulate episodes under a policy.

    Parameters
    ----------
    decide
        `decide` of a policy.
    cost
        Of a token, in units of the reward.
    """
    world, histories = Simulator(model, episodes, np.random.default_rng(seed)), Histories(episodes, model.max_steps)
    running, spent, correct = np.arange(episodes), np.zeros(episodes), np.zeros(episodes, dtype=bool)
    while running.size:
        histories.draft(world.drafts())
        regenerate = np.zeros(episodes, dtype=bool)
        regenerate[running] = decide(histories.observed(running))
        outcome = world.act(regenerate)
        histories.keep(outcome)
        spent += outcome.strong_tokens  # an episode that has ended regenerates nothing
        correct[running] = outcome.correct[running]
        running = running[~outcome.ended[running]]
    net = model.reward * correct - cost * spent
    return Played(float(net.mean()), float(net.std() / np.sqrt(episodes)), float(correct.mean()), float(spent.mean()))
