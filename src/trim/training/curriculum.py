"""From a forest to the policies of a router: one for each kappa, or one that takes kappa as an input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from trim.config import AggRouter, KappaRange, Ppo, SeqRouter
from trim.rollout.forest import KEEP, Forest
from trim.rollout.walk import Always, BatchRouter, outcomes, walk
from trim.routers.features import AggregateEncoder, Scale, SequenceEncoder
from trim.training.environment import ForestWorld, Routing
from trim.training.learners import AggLearner, Learner, ReleasedAggLearner, SeqLearner, Tensors
from trim.training.ppo import Check, train

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

LOOKED_AT = 12
"""Kappas at which a policy that serves all of them is looked at on dev."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run leaves: networks, the kappas that each serves, and all looks at dev."""

    networks: Sequence[Tensors]
    served: Sequence[tuple[float, int]]
    checks: Sequence[tuple[float, Check]]
    known_share: float


RELEASED_FEATURES = ("minimum", "product", "score", "draft_tokens", "position")
RELEASED_SCALE = Scale({}, {"draft_tokens": 300.0, "position": 30.0})
RELEASED_PPO = {
    "learning_rate": 3e-4,
    "annealed": True,
    "normalise_advantages": True,
    "epochs": 3,
    "batch_size": 64,
}
"""What the official code sets otherwise than the paper says."""


def train_router(
    settings: AggRouter | SeqRouter,
    variant: str,
    forest: Forest,
    dev: Forest,
    kappas: KappaRange,
    seed: int,
    log_folder: Path,
    on_progress: Progress | None = None,
) -> tuple[Learner, Trained]:
    """Train one variant of TRIM-Agg or TRIM-Seq on a forest, with early stopping on another."""
    conditioned = variant == "conditioned"
    ppo = settings.ppo.model_copy(update=RELEASED_PPO) if variant == "released" else settings.ppo
    scale = measure_scale(forest, kappas)
    learner: Learner
    if isinstance(settings, SeqRouter):
        encoder = SequenceEncoder(scale, conditioned, forest.max_steps, settings.features)
        learner = SeqLearner(encoder, settings.width, settings.layers, settings.heads)
    elif variant == "released":
        learner = ReleasedAggLearner(AggregateEncoder(RELEASED_SCALE, False, RELEASED_FEATURES))
    else:
        learner = AggLearner(AggregateEncoder(scale, conditioned), settings.hidden)
    if conditioned:
        return learner, train_conditioned(learner, forest, dev, kappas, ppo, seed, log_folder, on_progress)
    return learner, train_each(learner, forest, dev, settings.kappas, ppo, seed, log_folder, on_progress)


def tokens_per_solution(forest: Forest) -> float:
    """Mean tokens of a solution that the strong model writes alone: what turns kappa into the price of a token."""
    return float(outcomes(forest, walk(forest, Always(True)))[1].mean())


def measure_scale(forest: Forest, kappas: KappaRange) -> Scale:
    """Mean and deviation of what policies see, over the drafts of a forest."""
    nodes = forest.nodes
    scores, tokens = nodes["score"][:, KEEP], nodes["tokens"][:, KEEP].astype(float)
    samples = {"score": scores, "minimum": scores, "scores": scores, "draft_scores": scores}
    samples |= {"draft_tokens": tokens, "tokens": tokens, "position": nodes["position"].astype(float)}
    return Scale.of({**samples, "log_kappa": np.log(kappas.candidates())})


def train_conditioned(
    learner: Learner,
    forest: Forest,
    dev: Forest,
    kappas: KappaRange,
    settings: Ppo,
    seed: int,
    log_folder: Path,
    on_progress: Progress | None = None,
) -> Trained:
    """Train one policy that takes kappa as an input; each episode draws its own, evenly in its logarithm."""
    rng = np.random.default_rng(seed)
    low, high = np.log([kappas.lowest, kappas.highest])

    def draw(count: int) -> Floats:
        return np.exp(rng.uniform(low, high, count))

    world = ForestWorld(forest, settings.lanes, rng)
    price = tokens_per_solution(forest)
    looked_at = kappas.spread(LOOKED_AT)
    policy, checks = train(
        Routing(world, learner.encoder, draw, price),
        settings,
        learner.policy_kwargs(),
        _mean_return(learner, dev, looked_at, price),
        seed,
        log_folder,
        on_progress=on_progress,
    )
    served = [(kappa, 0) for kappa in kappas.candidates()]
    return Trained([learner.tensors(policy)], served, [(np.nan, check) for check in checks], _known(world))


def train_each(
    learner: Learner,
    forest: Forest,
    dev: Forest,
    kappas: Sequence[float],
    settings: Ppo,
    seed: int,
    log_folder: Path,
    on_progress: Progress | None = None,
) -> Trained:
    """Train one policy for each kappa, by rising kappa, each begun from the one before.

    A policy begun from nothing collapses at a high kappa to weak-only: while it knows little,
    every strong token it tries is wasted.
    """
    rng = np.random.default_rng(seed)
    world = ForestWorld(forest, settings.lanes, rng)
    price = tokens_per_solution(forest)
    networks, checks, state = [], [], None
    for done, kappa in enumerate(sorted(kappas)):
        policy, looks = train(
            Routing(world, learner.encoder, lambda count, kappa=kappa: np.full(count, kappa), price),  # type: ignore[misc]
            settings,
            learner.policy_kwargs(),
            _mean_return(learner, dev, [kappa], price),
            seed,
            log_folder / f"kappa-{kappa:g}",
            start=state,
        )
        state = policy.state_dict()
        networks.append(learner.tensors(policy))
        checks += [(kappa, look) for look in looks]
        if on_progress is not None:
            on_progress(done + 1, len(kappas))
    return Trained(networks, list(zip(sorted(kappas), range(len(kappas)), strict=True)), checks, _known(world))


def _mean_return(
    learner: Learner, dev: Forest, kappas: Sequence[float], price: float
) -> Callable[[ActorCriticPolicy], float]:
    """Return the objective itself, over the problems of dev and some kappas, of the policy that always takes the likelier action."""

    def evaluate(policy: ActorCriticPolicy) -> float:
        tensors = learner.tensors(policy)
        returns = []
        for kappa in kappas:
            correct, tokens = outcomes(dev, walk(dev, learner.build(tensors, kappa)))
            returns.append(correct.mean() - kappa / price * tokens.mean())
        return float(np.mean(returns))

    return evaluate


def _known(world: ForestWorld) -> float:
    return world.known_transitions / max(world.transitions, 1)


def lay_kappas(
    build: Callable[[float], BatchRouter], candidates: Sequence[float], dev: Forest, count: int
) -> list[float]:
    """Pick the kappas of a sweep: those whose strong shares on dev lie nearest to `count` targets.

    Targets stand closer at the low end, where one more strong token changes the curve most.
    """
    alone = outcomes(dev, walk(dev, Always(True)))[1].sum()
    shares = np.array([outcomes(dev, walk(dev, build(kappa)))[1].sum() / alone for kappa in candidates])
    return [float(candidates[i]) for i in spread_over(shares, count)]


HIGHEST_SHARE = 0.65


def spread_over(shares: Floats, count: int) -> list[int]:
    """Return the indices of at most `count` shares that lie nearest to targets from 0 to HIGHEST_SHARE, by rising share."""
    targets = HIGHEST_SHARE * ((np.arange(count) + 1) / count) ** 1.5
    usable = np.flatnonzero(shares > 0)
    if not usable.size:
        return []
    nearest = {int(usable[np.abs(shares[usable] - target).argmin()]) for target in targets}
    unique: dict[float, int] = {float(shares[i]): i for i in sorted(nearest)}
    return [unique[share] for share in sorted(unique)]


def checks_table(checks: Sequence[tuple[float, Check]]) -> dict[str, list[Any]]:
    """Lay out the looks at dev as columns; kappa is empty where one policy serves all."""
    return {
        "kappa": [kappa for kappa, _ in checks],
        "transitions": [check.transitions for _, check in checks],
        "dev_return": [check.dev_return for _, check in checks],
    }
