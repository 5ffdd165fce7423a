"""Check PPO where the optimum is known: train on the simulator of a POMDP, compare with its certified solution.

A policy's gain is its net reward over that of weak-only, as a share of the best there is: of the
certified optimum for TRIM-Seq, of the best policy on its own features for TRIM-Agg, which sees no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from trim.config_routers import AggRouter, Ppo, SeqRouter
from trim.routers.controls import WeakOnly
from trim.routers.features import AggregateEncoder, Scale, SequenceEncoder
from trim.routers.pomdp.memoryless import MemorylessPolicies
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.simulator import Simulator, play
from trim.routers.pomdp.solver import solve
from trim.training.environment import Routing
from trim.training.learners import AggLearner, Learner, SeqLearner
from trim.training.ppo import train

SEEN = ("scores", "tokens", "strong", "draft_scores")
"""Features of TRIM-Seq here: with the author of a step and the scores of rejected drafts, the optimum is in reach."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Net rewards, in units of the reward of a right answer.

    Attributes
    ----------
    weak_only, optimum, best_on_features, trained
        Of keeping everything; of the certified solution; of the best policy on TRIM-Agg's features; of PPO's policy.
    standard_error
        Of `trained`, which is simulated, as `weak_only` is.
    """

    weak_only: float
    optimum: float
    best_on_features: float
    trained: float
    standard_error: float

    def gain(self, best: float) -> float:
        """Gain over weak-only as a share of that of `best`."""
        return (self.trained - self.weak_only) / (best - self.weak_only)


def compare(
    router: Literal["trim-agg", "trim-seq"],
    model: PomdpModel,
    cost: float,
    settings: Ppo,
    seed: int,
    hidden: Sequence[int] = AggRouter().hidden,
    width: int = SeqRouter().width,
    episodes: int = 100_000,
    on_look: Callable[[float], None] | None = None,
) -> Comparison:
    """Train one policy in the simulator, at one cost of a token in units of the model's reward."""
    learner = _learner(router, model, hidden, width)
    world = Simulator(model, settings.lanes, np.random.default_rng(seed))
    price = cost / model.reward
    routing = Routing(world, learner.encoder, lambda count: np.full(count, price), 1.0)

    def look(policy: ActorCriticPolicy) -> float:
        decide = learner.build(learner.tensors(policy), price).decide_all
        reached = play(model, decide, cost, episodes // 10, seed + 1).net_reward / model.reward
        if on_look is not None:
            on_look(reached)
        return reached

    policy, _ = train(routing, settings, learner.policy_kwargs(), look, seed)
    final = play(model, learner.build(learner.tensors(policy), price).decide_all, cost, episodes, seed + 2)
    weak = play(model, WeakOnly().decide_all, cost, episodes, seed + 2)
    return Comparison(
        weak.net_reward / model.reward,
        float(solve(model, [cost]).upper[0, 0, -1]) / model.reward,
        MemorylessPolicies(model).best(cost)[0].net_reward / model.reward,
        final.net_reward / model.reward,
        final.standard_error / model.reward,
    )


def _learner(router: str, model: PomdpModel, hidden: Sequence[int], width: int) -> Learner:
    scores = ("score", "minimum", "scores", "draft_scores")
    tokens = float(model.transition.tokens.max())
    mean = dict.fromkeys(scores, 0.5) | {"position": model.max_steps / 4}
    deviation = dict.fromkeys(scores, 0.3) | {"position": model.max_steps / 4}
    scale = Scale(mean, deviation | {"tokens": tokens, "draft_tokens": tokens})
    if router == "trim-agg":
        return AggLearner(AggregateEncoder(scale, False), tuple(hidden))
    return SeqLearner(SequenceEncoder(scale, False, model.max_steps, SEEN), width, 1, 4)
