"""How fast the training environment steps, and how fast trained policies decide.

    python benchmarks/environment.py [--n_envs 4096]

The trees is made up (the shape of the embedded experiment's trees), all of it known; no policy takes part in the
first figure. One thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

from trim.rollout.trees import RolloutTrees

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from trim.config.experiment import Experiment
from trim.models.protocols import FinishReason, ModelPair, Prefix, Score, Step
from trim.problems.problem import Problem
from trim.rollout.history import Observed
from trim.routers.learned.disk import build_agg, build_seq
from trim.routers.learned.environment import Routing, TreesWorld, TrimVecEnv
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder
from trim.routers.learned.networks import AggLearner, Learner, SeqLearner

ROUTERS = Experiment().routers
MAX_STEPS = Experiment().max_steps
TREES, STEPS, PRICE = 1000, 8, 80.0
PLAIN = Scale({}, {})


class Scripted:
    """Writes steps of a few tokens, and scores them, as pure functions of the prefix."""

    def __init__(self, identity: str) -> None:
        self.identity = identity

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the next step; one in two differs between the models."""
        number = prefix.digest[0] + (prefix.digest[1] % 2) * len(self.identity)
        finish = FinishReason.SEPARATOR if prefix.depth < STEPS else FinishReason.END_OF_SEQUENCE
        return Step(f"{number % 100}\n\n", tuple(range(10)), 10, finish)

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Score a step."""
        return Score(prefix.extend(step).digest[2] / 256, 10)


def made_up_trees() -> RolloutTrees:
    """Grow all trees."""
    problems = [Problem(f"p{i}", "made-up", f"problem {i}", "1", f"{i:08x}") for i in range(TREES)]
    pair = ModelPair(Scripted("weak"), Scripted("strong"), Scripted("prm"))
    trees = RolloutTrees(problems, 1, MAX_STEPS, lambda answer, problem: (False, False), pair)
    trees.grow_fully(10_000)
    return trees


def steps_per_second(trees: RolloutTrees, n_envs: int, encoder: AggregateEncoder | SequenceEncoder) -> float:
    """Step with random actions for about two CPU seconds."""
    rng = np.random.default_rng(0)
    world = TreesWorld(trees, n_envs, rng)
    env = TrimVecEnv(Routing(world, encoder, lambda count: np.ones(count), PRICE))
    env.reset()
    actions = rng.integers(2, size=(64, n_envs))
    for i in range(20):
        env.step(actions[i])
    started, count = time.process_time(), 0
    while time.process_time() - started < 2:
        env.step(actions[count % 64])
        count += 1
    assert world.known_timesteps == world.timesteps
    return count * n_envs / (time.process_time() - started)


def microseconds(decide: Callable[[], object], repeats: int = 2000) -> float:
    """Median CPU time of one decision."""
    for _ in range(50):
        decide()
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        decide()
        spent.append(time.perf_counter() - started)
    return 1e6 * float(np.median(spent))


def fresh(learner: Learner) -> dict[str, np.ndarray]:
    """Return the tensors of a policy as it is before training; deciding with it takes as long."""
    from stable_baselines3.common.policies import ActorCriticPolicy

    from trim.routers.learned.environment import spaces

    policy = ActorCriticPolicy(*spaces(learner.encoder.size), lambda _: 1e-3, **learner.policy_kwargs())
    return dict(learner.tensors(policy))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n_envs", type=int, default=1024, help="episodes side by side")
    options = parser.parse_args()
    trees = made_up_trees()
    print(f"{len(trees):,} nodes in {TREES:,} trees; every transition is known")
    aggregates = AggregateEncoder(PLAIN, True)
    sequences = SequenceEncoder(PLAIN, True, MAX_STEPS, ROUTERS.seq.features)
    print(f"{'observation':12} {'n_envs':>6} {'steps per CPU s':>16}")
    for name, encoder in (("aggregates", aggregates), ("sequences", sequences)):
        print(f"{name:12} {options.n_envs:6,} {steps_per_second(trees, options.n_envs, encoder):16,.0f}")

    import torch

    torch.set_num_threads(1)
    agg, seq = AggLearner(aggregates, ROUTERS.agg.hidden), SeqLearner(sequences, *_shape())
    scores, position = np.full((1, MAX_STEPS), 0.5), np.array([8])
    no = np.zeros(scores.shape, dtype=bool)
    ninth = Observed(scores, scores, np.full(scores.shape, 10), no, position, no[:, 0])
    policies = {
        "TRIM-Agg": build_agg(agg.encoder, agg.shape, fresh(agg), 1.0),
        "TRIM-Seq": build_seq(seq.encoder, seq.shape, fresh(seq), 1.0),
    }
    print(f"\n{'decision':12} {'microseconds, at the ninth step':>32}")
    for name, policy in policies.items():
        print(f"{name:12} {microseconds(lambda policy=policy: policy.decide(ninth)):32.0f}")


def _shape() -> tuple[int, int, int]:
    return ROUTERS.seq.width, ROUTERS.seq.layers, ROUTERS.seq.heads


if __name__ == "__main__":
    main()
