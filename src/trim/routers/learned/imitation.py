"""Where training starts: a policy that does what the best threshold does, and knows what that earns.

A threshold is in the class of both learned routers. PPO that begins from it looks for what history and cost add;
begun from nothing, it spends most of its decisions on finding the threshold, and misses it at some kappas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from trim.arrays import Floats, Integers, Singles
from trim.config.routers import Ppo
from trim.rollout.history import Observed
from trim.rollout.trees import KEEP, RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out_all
from trim.routers.learned.environment import Encoder, Routing
from trim.routers.threshold import Threshold, quantile_thresholds

CANDIDATES = 40
EPOCHS = 2


@dataclass(frozen=True, slots=True)
class BestThreshold:
    """TRIM-Thr at the threshold that earns most on training trees, for each kappa.

    Attributes
    ----------
    thresholds, correct, tokens
        Candidates, and what each comes to on the training trees: shape (n,).
    tokens_per_solution
        Kappa divided by it is the price of a strong token.
    """

    thresholds: Floats
    correct: Floats
    tokens: Floats
    tokens_per_solution: float

    @classmethod
    def on(cls, trees: RolloutTrees, tokens_per_solution: float) -> BestThreshold:
        """Try thresholds on training trees, from keeping everything to regenerating everything."""
        thresholds = np.array([0.0, *quantile_thresholds(trees.nodes["score"][:, KEEP].tolist(), CANDIDATES), 2.0])
        found = [outcomes(trees, rollout) for rollout in roll_out_all(trees, [Threshold(t) for t in thresholds])]
        correct, tokens = (np.array([part.mean() for part in parts]) for parts in zip(*found, strict=True))
        return cls(thresholds, correct, tokens, tokens_per_solution)

    def at(self, kappa: Floats) -> Floats:
        """Return the best threshold at each kappa, shape (n,)."""
        earned = self.correct - np.asarray(kappa)[:, None] / self.tokens_per_solution * self.tokens
        best: Floats = self.thresholds[earned.argmax(1)]
        return best


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """Observations with what the best threshold does before them: an `Encoder`."""

    encoder: Encoder
    teacher: BestThreshold

    @property
    def size(self) -> int:
        """Length of an observation."""
        return 1 + self.encoder.size

    def encode(self, observed: Observed, kappa: Floats) -> Singles:
        """Return (decision, observation), shape (n, size)."""
        regenerate = observed.score < self.teacher.at(kappa)
        return np.column_stack([regenerate, self.encoder.encode(observed, kappa)]).astype(np.float32)


def imitate(policy: ActorCriticPolicy, demonstrated: Routing, settings: Ppo, length: int, seed: int) -> None:
    """Teach a policy what the best threshold does, and its critic what the episodes earn.

    Some decisions are turned round: PPO finds nothing better than a policy that never tries. Each of them costs reward
    that PPO first has to win back, so that few are better than many.

    Parameters
    ----------
    demonstrated
        Episodes whose observations are `Demonstrated`.
    settings
        In each of `imitation` rounds all environments begin anew.
    length
        For how many decisions they go on then.
    """
    rng = np.random.default_rng(seed)
    optimiser = policy.optimizer  # what it learns of the gradients' sizes keeps the first steps of PPO small
    for group in optimiser.param_groups:
        group["lr"] = settings.imitation_learning_rate
    policy.set_training_mode(True)
    for _ in range(settings.imitation):
        observations, decisions, returns = demonstrate(demonstrated, length, settings.imitation_flipped, rng)
        for _ in range(EPOCHS):
            for rows in np.array_split(rng.permutation(len(returns)), -(-len(returns) // settings.batch_size)):
                values, log_likelihood, _ = policy.evaluate_actions(
                    torch.as_tensor(observations[rows]), torch.as_tensor(decisions[rows])
                )
                missed = (values[:, 0] - torch.as_tensor(returns[rows])) ** 2
                optimiser.zero_grad()
                (missed.mean() / 2 - log_likelihood.mean()).backward()
                optimiser.step()


def demonstrate(
    demonstrated: Routing, length: int, flipped: float, rng: np.random.Generator
) -> tuple[Singles, Integers, Singles]:
    """Play from the beginning; return observations, decisions, and what came of them in whole episodes.

    Parameters
    ----------
    flipped
        Share of decisions in which the best threshold is not followed.
    """
    seen, told, decisions, earned, ends = demonstrated.reset(), [], [], [], []
    for _ in range(length):
        told.append(seen[:, 1:])
        decisions.append((seen[:, 0] > 0) ^ (rng.random(len(seen)) < flipped))
        seen, rewards, ended = demonstrated.step(decisions[-1])
        earned.append(rewards)
        ends.append(ended)
    returns, whole = np.array(earned), np.array(ends)
    for step in range(length - 2, -1, -1):
        returns[step] += np.where(ends[step], 0, returns[step + 1])
        whole[step] |= whole[step + 1]
    return np.array(told)[whole], np.array(decisions, np.int64)[whole], returns[whole]
