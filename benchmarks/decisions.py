"""How long routers take to decide: many episodes at once, as in rollouts on trees, against one by one.

    python -m benchmarks.decisions

Every decision is of the ninth step of an episode. The networks are as they are before training, which takes as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.common import Options, Row, cpu_seconds, run_alone
from benchmarks.environment import MAX_STEPS, PLAIN, ROUTERS, made_up_trees
from benchmarks.sweep import PUBLISHED
from trim.checks.released_parameters import published_model
from trim.rollout.history import Observed, Router
from trim.routers.fitted_q.fit import fit_gains
from trim.routers.learned.disk import build_agg, build_seq
from trim.routers.learned.features import AggregateEncoder, SequenceEncoder
from trim.routers.learned.networks import AggLearner, Learner, SeqLearner
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import fit_observation
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve
from trim.routers.router import TrainingData
from trim.routers.threshold import Threshold

NINTH = 8
AT_ONCE = 4096


def fresh(learner: Learner) -> dict[str, np.ndarray]:
    """Return the tensors of a policy as it is before training."""
    from stable_baselines3.common.policies import ActorCriticPolicy

    from trim.routers.learned.environment import spaces

    policy = ActorCriticPolicy(*spaces(learner.encoder.size), lambda _: 1e-3, **learner.policy_kwargs())
    return dict(learner.tensors(policy))


def with_strong_scores(model: PomdpModel) -> PomdpModel:
    """Return a model with 25 symbols for drafts and for strong steps, as our experiments have."""
    rng = np.random.default_rng(0)
    states = rng.integers(0, 3, 3000)
    scores = rng.beta(np.array([9, 2, 1])[states], np.array([1, 1, 4])[states])
    return PomdpModel(fit_observation(scores, states, scores, states), model.transition)


def routers() -> Iterator[tuple[str, Router]]:
    """Yield a router of each kind."""
    import torch

    torch.set_num_threads(1)
    yield "TRIM-Thr", Threshold(0.5)
    agg = AggLearner(AggregateEncoder(PLAIN, True), ROUTERS.agg.hidden)
    yield "TRIM-Agg", build_agg(agg.encoder, agg.shape, fresh(agg), 1.0)
    shape = ROUTERS.seq.width, ROUTERS.seq.layers, ROUTERS.seq.heads
    seq = SeqLearner(SequenceEncoder(PLAIN, True, MAX_STEPS, ROUTERS.seq.features), *shape)
    yield "TRIM-Seq", build_seq(seq.encoder, seq.shape, fresh(seq), 1.0)
    model, cost = with_strong_scores(published_model(PUBLISHED, "scores")), 0.002
    yield "TRIM-POMDP", PomdpPolicy(model, solve(model, [cost], 100).upper[0], cost)
    trees = made_up_trees(20)
    yield "fitted-q", fit_gains(TrainingData(trees, trees, ROUTERS, labelled=False), 0)[0].policy(1.0)


def ninth_drafts(count: int) -> Observed:
    """Return random histories of eight steps, each with a draft behind it."""
    rng, shape = np.random.default_rng(0), (count, NINTH + 1)
    tokens, position = np.full(shape, 60), np.full(count, NINTH)
    strong, final = rng.random(shape) < 0.5, np.zeros(count, dtype=bool)
    return Observed(rng.random(shape), rng.random(shape), tokens, strong, position, final)


def measure(options: Options) -> list[Row]:
    """Measure every router both ways."""
    repeats = options.size(300, 5)
    one, many = ninth_drafts(1), ninth_drafts(AT_ONCE)
    rows = []
    for name, router in routers():
        alone, together = [], []
        router.decide(one), router.decide(many)
        for _ in range(options.repetitions):
            alone.append(1e6 * _seconds(router, one, repeats) / repeats)
            rounds = max(repeats // 100, 1)
            together.append(1e6 * _seconds(router, many, rounds) / rounds / AT_ONCE)
        what, how = f"a decision of {name}", f"{AT_ONCE} at once against one by one, at the ninth step"
        rows.append(Row("decisions", what, "CPU us", together, alone, how=how))
    return rows


def _seconds(router: Router, observed: Observed, repeats: int) -> float:
    def decide() -> Any:
        for _ in range(repeats):
            router.decide(observed)

    return cpu_seconds(decide)[1]


if __name__ == "__main__":
    run_alone(measure, __doc__)
