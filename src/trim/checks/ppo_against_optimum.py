"""Check PPO where the optimum is known: train on the simulator of a POMDP, compare with its certified solution.

A policy's gain is its net reward over that of weak-only, as a share of the best there is: of the
certified optimum for TRIM-Seq, of the best policy on its own features for TRIM-Agg, which sees no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from trim.arrays import Booleans
from trim.checks.memoryless import MemorylessPolicies
from trim.checks.simulator import Simulator, play
from trim.config.routers import AggRouter, Ppo, SeqRouter
from trim.rollout.history import Observed
from trim.routers.learned.environment import Routing
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder
from trim.routers.learned.networks import AggLearner, Learner, SeqLearner
from trim.routers.learned.ppo import going_on, train
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve

SEEN = ("scores", "tokens", "strong", "draft_scores", "ending")
"""Features of TRIM-Seq here: all that the optimum knows."""

GRID = 1000
"""Intervals of the solver's belief grid: the certificate is to be far narrower than the gaps that it measures."""

BATCHES = 50
"""Batches of episodes by which the standard error is told."""

EVALUATED, MEASURED = 10_000, 20_000
"""What is added to a seed for the episodes of evaluations in training, and of the last measurement."""

Decide = Callable[[Observed], Booleans]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Net rewards at one cost, in units of the reward of a right answer.

    Attributes
    ----------
    cost
        Of a token, in units of the model's reward.
    weak_only, best, trained
        Of keeping everything; of the best that the router could do; of PPO's policy.
    standard_error
        Of `trained`; 0 where it is exact.
    """

    cost: float
    weak_only: float
    best: float
    trained: float
    standard_error: float

    @property
    def share(self) -> float:
        """Gain over weak-only as a share of that of the best."""
        return (self.trained - self.weak_only) / (self.best - self.weak_only)

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval of that share."""
        return 1.96 * self.standard_error / (self.best - self.weak_only)


class Judge(Protocol):
    """Tells what a policy is worth, beside the best of its kind."""

    best: float

    def worth(self, decide: Decide, episodes: int, seed: int) -> tuple[float, float]:
        """Return a policy's net reward, in units of the model's, and its standard error."""
        ...


class FeatureJudge:
    """Of policies on TRIM-Agg's features, exactly: each is a table, and coordinate ascent finds the best."""

    def __init__(self, model: PomdpModel, cost: float) -> None:
        self._policies, self._cost = MemorylessPolicies(model), cost
        self.best = self._policies.best(cost)[0].net_reward

    def worth(self, decide: Decide, episodes: int, seed: int) -> tuple[float, float]:
        """Return a policy's net reward, and 0: no episode is simulated."""
        return self._policies.evaluate(self._policies.tabulate_router(decide), self._cost).net_reward, 0.0


class HistoryJudge:
    """Of all policies, by what they lose against the certified optimum.

    That is the sum of the losses of their decisions, wherever these differ from the optimum's, and its simulated
    mean varies far less than that of the rewards (performance difference lemma: Kakade and Langford 2002).
    """

    def __init__(self, model: PomdpModel, cost: float) -> None:
        values = solve(model, [cost], GRID).upper[0]
        self._optimal, self._cost = PomdpPolicy(model, values, cost), cost
        self.best = float(values[0, -1])

    def worth(self, decide: Decide, episodes: int, seed: int) -> tuple[float, float]:
        """Return a policy's net reward and its standard error, by batches of episodes."""
        size = episodes // BATCHES
        losses = np.array([self._lost(decide, size, seed + batch) / size for batch in range(BATCHES)])
        return self.best - float(losses.mean()), float(losses.std(ddof=1) / np.sqrt(BATCHES))

    def _lost(self, decide: Decide, episodes: int, seed: int) -> float:
        lost = 0.0

        def watched(observed: Observed) -> Booleans:
            nonlocal lost
            regenerate, gain = decide(observed), self._optimal.gain_all(observed)
            lost += float(np.abs(gain[regenerate != (gain > 0)]).sum())
            return regenerate

        play(self._optimal.model, watched, self._cost, episodes, seed)
        return lost


JUDGES: dict[str, type[FeatureJudge] | type[HistoryJudge]] = {"trim-agg": FeatureJudge, "trim-seq": HistoryJudge}


def compare(
    router: Literal["trim-agg", "trim-seq"],
    model: PomdpModel,
    costs: Sequence[float],
    settings: Ppo,
    seed: int,
    hidden: Sequence[int] = AggRouter().hidden,
    width: int = SeqRouter().width,
    episodes: int = 100_000,
) -> Iterator[Comparison]:
    """Train a policy at each cost, by rising cost and each begun from the one before, and yield how it fares.

    Parameters
    ----------
    costs
        Of a token, in units of the model's reward.
    episodes
        To measure a trained TRIM-Seq on, none of them seen before; an evaluation in training takes a tenth.
    """
    learner, goes_on = _learner(router, model, hidden, width), None
    weak_only = MemorylessPolicies(model)
    weak = weak_only.evaluate(weak_only.threshold(0), 0.0).net_reward
    for cost in sorted(costs):
        judge, price = JUDGES[router](model, cost), cost / model.reward

        def worth(
            policy: ActorCriticPolicy, episodes: int, seed: int, judge: Judge = judge, price: float = price
        ) -> tuple[float, float]:
            return judge.worth(learner.build(learner.tensors(policy), price).decide, episodes, seed)

        world = Simulator(model, settings.n_envs, np.random.default_rng(seed))
        policy, _ = train(
            Routing(world, learner.encoder, lambda count, price=price: np.full(count, price), 1.0),  # type: ignore[misc]
            settings,
            learner.policy_kwargs(),
            lambda policy: worth(policy, episodes // 10, seed + EVALUATED)[0],
            seed,
            prepare=goes_on,
        )
        goes_on = going_on(policy)
        trained, error = worth(policy, episodes, seed + MEASURED)
        yield Comparison(cost, *(value / model.reward for value in (weak, judge.best, trained, error)))


def _learner(router: str, model: PomdpModel, hidden: Sequence[int], width: int) -> Learner:
    scores = ("score", "minimum", "scores", "draft_scores")
    tokens = float(model.transition.tokens.max())
    mean = dict.fromkeys(scores, 0.5) | {"position": model.max_steps / 4}
    deviation = dict.fromkeys(scores, 0.3) | {"position": model.max_steps / 4}
    scale = Scale(mean, deviation | {"tokens": tokens, "draft_tokens": tokens})
    if router == "trim-agg":
        return AggLearner(AggregateEncoder(scale, False), tuple(hidden))
    return SeqLearner(SequenceEncoder(scale, False, model.max_steps, SEEN), width, 1, 4)
