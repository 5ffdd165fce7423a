"""From rollout trees to the policies of a router: one for each kappa, or one that takes kappa as an input."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from stable_baselines3.common.policies import ActorCriticPolicy

from trim.arrays import Floats
from trim.config.routers import CRITIC_WEIGHT, AggRouter, KappaRange, Ppo, SeqRouter
from trim.files import write_csv, write_json
from trim.progress import Progress
from trim.rollout.tables import OperatingPoint
from trim.rollout.trees import KEEP, RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out
from trim.routers.kappas import choose_kappas, tokens_per_solution
from trim.routers.learned.disk import load_policies, save_policies
from trim.routers.learned.environment import Routing, TreesWorld
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder
from trim.routers.learned.imitation import BestThreshold, Demonstrated, imitate
from trim.routers.learned.networks import AggLearner, Learner, ReleasedAggLearner, SeqLearner, Tensors
from trim.routers.learned.ppo import Evaluation, going_on, train
from trim.routers.router import TrainingData

logger = logging.getLogger(__name__)

EVALUATED_AT = 12
"""Kappas at which a policy that serves all of them is evaluated on dev."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run leaves.

    Attributes
    ----------
    networks, served
        Networks, and the kappas that each serves.
    evaluations
        All evaluations on dev.
    shares
        Of the decisions: those whose outcome was known, and in closed trees those that were answered otherwise.
    """

    networks: Sequence[Tensors]
    served: Sequence[tuple[float, int]]
    evaluations: Sequence[tuple[float, Evaluation]]
    shares: Mapping[str, float]


RELEASED_FEATURES = ("minimum", "product", "score", "draft_tokens", "position")
RELEASED_SCALE = Scale({}, {"draft_tokens": 300.0, "position": 30.0})
PPO_ALONE = {
    "imitation": 0,
    "learning_rate": 2e-3,
    "entropy_coefficient": 0.01,
    "gae_lambda": 0.95,
    "critic_weight": CRITIC_WEIGHT,
    "n_steps": 8,
    "batch_size": 1024,
}
"""What suits policies that begin from nothing: as the paper has it, but for rates that fit a run of a minute or two."""
RELEASED_PPO = PPO_ALONE | {
    "learning_rate": 3e-4,
    "annealed": True,
    "normalise_advantages": True,
    "epochs": 3,
    "batch_size": 64,
}
"""What the official code sets otherwise than the paper says."""
OTHERWISE: Mapping[str, Mapping[str, Any]] = {"conditioned": {}, "default": PPO_ALONE, "released": RELEASED_PPO}
"""Settings of variants, in place of those of the config."""


@dataclass(frozen=True, slots=True)
class FittedPolicies:
    """One training run of TRIM-Agg or TRIM-Seq.

    Attributes
    ----------
    served
        (kappa, index of the network that decides there), one an operating point.
    """

    router: str
    variant: str
    learner: Learner
    trained: Trained
    served: Sequence[tuple[float, int]]

    def points(self) -> list[OperatingPoint]:
        """Return one operating point a kappa."""
        policies = [(kappa, self.learner.build(self.trained.networks[i], kappa)) for kappa, i in self.served]
        return [OperatingPoint(self.router, self.variant, kappa, policy) for kappa, policy in policies]

    def save(self, folder: Path, origin: Mapping[str, Any]) -> None:
        """Write the policies, and how they were trained."""
        encoder, shape, networks = self.learner.encoder, self.learner.shape, self.trained.networks
        save_policies(folder, self.router, encoder, shape, networks, self.served, origin)
        write_json({**self.trained.shares, "provenance": dict(origin)}, folder / "metrics.json")
        evaluations = pd.DataFrame(evaluations_table(self.trained.evaluations))
        write_csv(evaluations, folder / "learning.csv", exact=["kappa", "dev_return"])


def fit(router: str, variant: str, data: TrainingData, seed: int) -> FittedPolicies:
    """Train one variant, and choose the kappas of its sweep on dev where one policy serves all of them."""
    settings = data.settings.agg if router == "trim-agg" else data.settings.seq
    report = data.progress(f"training {router} ({variant}), decisions")
    learner, trained = train_router(
        settings, variant, data.trees, data.dev, data.settings.kappa, seed, data.logs, report
    )
    served = list(trained.served)
    if variant == "conditioned":
        build = partial(learner.build, trained.networks[0])
        candidates = data.settings.kappa.candidates()
        served = [(kappa, 0) for kappa in choose_kappas(build, candidates, data.dev, data.settings.operating_points)]
    logger.info("shares of decisions: %s; %d operating points", dict(trained.shares), len(served))
    return FittedPolicies(router, variant, learner, trained, served)


def load(router: str, folder: Path) -> list[OperatingPoint]:
    """Return the operating points of one training run, whose folder is called variant.run."""
    variant, _, run = folder.name.rpartition(".")
    return [OperatingPoint(router, variant, p.kappa, p, int(run)) for p in load_policies(folder)]


def train_router(
    settings: AggRouter | SeqRouter,
    variant: str,
    trees: RolloutTrees,
    dev: RolloutTrees,
    kappas: KappaRange,
    seed: int,
    log_folder: Path | None,
    on_progress: Progress | None = None,
) -> tuple[Learner, Trained]:
    """Train one variant of TRIM-Agg or TRIM-Seq on rollout trees, with early stopping on another."""
    conditioned = variant == "conditioned"
    ppo = settings.ppo.model_copy(update=OTHERWISE[variant])
    if not ppo.imitation:  # so that all variants learn from as many decisions
        shown = settings.ppo.imitation * ppo.n_envs * trees.max_steps
        ppo = ppo.model_copy(update={"total_timesteps": ppo.total_timesteps + shown})
    scale = measure_scale(trees, kappas)
    learner: Learner
    if isinstance(settings, SeqRouter):
        encoder = SequenceEncoder(scale, conditioned, trees.max_steps, settings.features)
        learner = SeqLearner(encoder, settings.width, settings.layers, settings.heads)
    elif variant == "released":
        learner = ReleasedAggLearner(AggregateEncoder(RELEASED_SCALE, False, RELEASED_FEATURES))
    else:
        learner = AggLearner(AggregateEncoder(scale, conditioned), settings.hidden)
    if conditioned:
        return learner, train_conditioned(learner, trees, dev, kappas, ppo, seed, log_folder, on_progress)
    return learner, train_each(learner, trees, dev, settings.kappas, ppo, seed, log_folder, on_progress)


def measure_scale(trees: RolloutTrees, kappas: KappaRange) -> Scale:
    """Mean and deviation of what policies see, over the drafts of rollout trees."""
    nodes = trees.nodes
    scores, tokens = nodes["score"][:, KEEP], nodes["tokens"][:, KEEP].astype(float)
    samples = {"score": scores, "minimum": scores, "scores": scores, "draft_scores": scores}
    samples |= {"draft_tokens": tokens, "tokens": tokens, "position": nodes["position"].astype(float)}
    return Scale.of({**samples, "log_kappa": np.log(kappas.candidates())})


def train_conditioned(
    learner: Learner,
    trees: RolloutTrees,
    dev: RolloutTrees,
    kappas: KappaRange,
    settings: Ppo,
    seed: int,
    log_folder: Path | None,
    on_progress: Progress | None = None,
) -> Trained:
    """Train one policy that takes kappa as an input; each episode draws its own, evenly in its logarithm."""
    rng = np.random.default_rng(seed)
    low, high = np.log([kappas.lowest, kappas.highest])

    def draw(count: int) -> Floats:
        return np.exp(rng.uniform(low, high, count))

    world = TreesWorld(trees, settings.n_envs, rng)
    price = tokens_per_solution(trees)
    evaluated_at = kappas.spread(EVALUATED_AT)
    policy, evaluations = train(
        Routing(world, learner.encoder, draw, price),
        settings,
        learner.policy_kwargs(),
        _mean_return(learner, dev, evaluated_at, price),
        seed,
        log_folder,
        _guided(learner, trees, draw, settings, seed) if settings.imitation else None,
        on_progress,
    )
    served = [(kappa, 0) for kappa in kappas.candidates()]
    return Trained([learner.tensors(policy)], served, [(np.nan, found) for found in evaluations], world.shares())


def train_each(
    learner: Learner,
    trees: RolloutTrees,
    dev: RolloutTrees,
    kappas: Sequence[float],
    settings: Ppo,
    seed: int,
    log_folder: Path | None,
    on_progress: Progress | None = None,
) -> Trained:
    """Train one policy for each kappa, by rising kappa, each begun from the one before.

    A policy begun from nothing collapses at a high kappa to weak-only: while it knows little,
    every strong token it tries is wasted. All together learn from as many decisions as one policy
    that serves all kappas, so that the two ways can be compared.
    """
    settings = settings.model_copy(update={"total_timesteps": -(-settings.total_timesteps // len(kappas))})
    rng = np.random.default_rng(seed)
    world = TreesWorld(trees, settings.n_envs, rng)
    price = tokens_per_solution(trees)
    networks, evaluations, goes_on = [], [], None
    for done, kappa in enumerate(sorted(kappas)):
        policy, found = train(
            Routing(world, learner.encoder, lambda count, kappa=kappa: np.full(count, kappa), price),  # type: ignore[misc]
            settings,
            learner.policy_kwargs(),
            _mean_return(learner, dev, [kappa], price),
            seed,
            log_folder and log_folder / f"kappa-{kappa:g}",
            goes_on,
        )
        goes_on = going_on(policy)
        networks.append(learner.tensors(policy))
        evaluations += [(kappa, one) for one in found]
        if on_progress is not None:
            on_progress(done + 1, len(kappas))
    return Trained(networks, list(zip(sorted(kappas), range(len(kappas)), strict=True)), evaluations, world.shares())


def _guided(
    learner: Learner, trees: RolloutTrees, draw: Callable[[int], Floats], settings: Ppo, seed: int
) -> Callable[[ActorCriticPolicy], None]:
    """Return what teaches a fresh policy what the best threshold does."""
    teacher = BestThreshold.on(trees, tokens_per_solution(trees))
    world = TreesWorld(trees, settings.n_envs, np.random.default_rng(seed))
    demonstrated = Routing(world, Demonstrated(learner.encoder, teacher), draw, teacher.tokens_per_solution)
    return lambda policy: imitate(policy, demonstrated, settings, trees.max_steps, seed)


def _mean_return(
    learner: Learner, dev: RolloutTrees, kappas: Sequence[float], price: float
) -> Callable[[ActorCriticPolicy], float]:
    """Return what measures the objective itself on dev, at some kappas, of the policy's likelier actions."""

    def evaluate(policy: ActorCriticPolicy) -> float:
        tensors = learner.tensors(policy)
        returns = []
        for kappa in kappas:
            correct, tokens = outcomes(dev, roll_out(dev, learner.build(tensors, kappa)))
            returns.append(correct.mean() - kappa / price * tokens.mean())
        return float(np.mean(returns))

    return evaluate


def evaluations_table(evaluations: Sequence[tuple[float, Evaluation]]) -> dict[str, list[Any]]:
    """Lay out the evaluations on dev as columns; kappa is empty where one policy serves all."""
    return {
        "kappa": [kappa for kappa, _ in evaluations],
        "timesteps": [found.timesteps for _, found in evaluations],
        "dev_return": [found.dev_return for _, found in evaluations],
    }
