"""Train TRIM-Agg and TRIM-Seq with PPO of stable-baselines3 (paper, section 4)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import ActorCriticPolicy

from trim.config.routers import Ppo
from trim.progress import Progress
from trim.routers.learned.environment import Routing, TrimVecEnv

Evaluate = Callable[[ActorCriticPolicy], float]
"""Mean return of a policy on the dev split; higher is better."""

LAST_ENTROPY = 0.1
"""Share of the entropy bonus that is left at the end of an annealed run."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation of a policy in training: decisions so far, and its mean return on dev."""

    timesteps: int
    dev_return: float


class EarlyStopping(BaseCallback):
    """Keep the snapshot with the best return on dev, and stop when none has been better for a while.

    It looks at dev before rollouts, so that the first look is at the policy as it began.
    """

    def __init__(self, evaluate: Evaluate, settings: Ppo, on_progress: Progress | None) -> None:
        super().__init__()
        self.evaluations: list[Evaluation] = []
        self.best: dict[str, Any] | None = None
        self._evaluate = evaluate
        self._settings = settings
        self._on_progress = on_progress
        self._iteration = 0
        self._looks_since_best = 0

    def _on_rollout_start(self) -> None:
        if self._settings.annealed:
            left = 1 - self.num_timesteps / self._settings.total_timesteps
            bonus = self._settings.entropy_coefficient
            assert isinstance(self.model, PPO)
            self.model.ent_coef = bonus * (LAST_ENTROPY + (1 - LAST_ENTROPY) * max(left, 0.0))
        if self._iteration % self._settings.evaluate_every == 0:
            self._evaluate_now()
        self._iteration += 1

    def _on_training_end(self) -> None:
        self._evaluate_now()

    def _on_step(self) -> bool:
        return self._looks_since_best < self._settings.patience

    def _evaluate_now(self) -> None:
        self.model.policy.set_training_mode(False)
        policy = self.model.policy
        assert isinstance(policy, ActorCriticPolicy)
        found = Evaluation(self.num_timesteps, self._evaluate(policy))
        self._looks_since_best += 1
        if not self.evaluations or found.dev_return > max(earlier.dev_return for earlier in self.evaluations):
            self.best = copy.deepcopy(self.model.policy.state_dict())
            self._looks_since_best = 0
        self.evaluations.append(found)
        self.logger.record("dev/return", found.dev_return)
        if self._on_progress is not None:
            total = self.model._total_timesteps
            self._on_progress(min(self.num_timesteps, total), total)  # whole updates: the last may go beyond


def going_on(policy: ActorCriticPolicy) -> Callable[[ActorCriticPolicy], None]:
    """Return what makes a fresh policy go on where another is: its weights, and what its optimiser knows."""
    weights, optimiser = copy.deepcopy(policy.state_dict()), copy.deepcopy(policy.optimizer.state_dict())

    def prepare(fresh: ActorCriticPolicy) -> None:
        fresh.load_state_dict(weights)
        fresh.optimizer.load_state_dict(optimiser)

    return prepare


def train(
    routing: Routing,
    settings: Ppo,
    policy_kwargs: dict[str, Any],
    evaluate: Evaluate,
    seed: int,
    log_folder: Path | None = None,
    prepare: Callable[[ActorCriticPolicy], None] | None = None,
    on_progress: Progress | None = None,
) -> tuple[ActorCriticPolicy, list[Evaluation]]:
    """Train a policy and return its best snapshot on dev, with all evaluations on dev.

    Parameters
    ----------
    routing
        The environment.
    policy_kwargs
        Shape of the network, as stable-baselines3 takes it.
    log_folder
        Where TensorBoard files go.
    prepare
        What is done to the fresh policy, and its optimiser, before PPO goes on with it.
    """

    def falling(left: float) -> float:
        return settings.learning_rate * max(left, 0.0)

    algorithm = PPO(
        "MlpPolicy",
        TrimVecEnv(routing),
        learning_rate=falling if settings.annealed else settings.learning_rate,
        n_steps=settings.n_steps,
        batch_size=settings.batch_size,
        n_epochs=settings.epochs,
        gamma=1.0,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        ent_coef=settings.entropy_coefficient,
        vf_coef=settings.critic_weight,
        normalize_advantage=settings.normalise_advantages,
        policy_kwargs=policy_kwargs,
        seed=seed,
        device="cpu",
    )
    if prepare is not None:
        prepare(algorithm.policy)
    algorithm.set_logger(configure(str(log_folder) if log_folder else None, ["tensorboard"] if log_folder else []))
    stopping = EarlyStopping(evaluate, settings, on_progress)
    algorithm.learn(settings.total_timesteps, callback=stopping)
    assert stopping.best is not None
    algorithm.policy.load_state_dict(stopping.best)
    algorithm.policy.set_training_mode(False)
    return algorithm.policy, stopping.evaluations
