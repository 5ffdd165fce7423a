"""How fast the training environment steps.

    python -m benchmarks.environment [--n_envs 4096]

The trees are made up (the shape of the embedded experiment's trees), all of them known; no policy takes part. One
thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.pairs import Simulated, no_judge
from trim.config.experiment import Experiment
from trim.models.protocols import ModelPair
from trim.problems.problem import Problem
from trim.rollout.trees import RolloutTrees
from trim.routers.learned.environment import Routing, TreesWorld, TrimVecEnv
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder

ROUTERS = Experiment().routers
MAX_STEPS = Experiment().max_steps
TREES, PRICE = 1000, 80.0
PLAIN = Scale({}, {})


def made_up_trees(count: int = TREES) -> RolloutTrees:
    """Grow all trees."""
    problems = [Problem(f"p{i}", "made-up", f"problem {i}", "1", f"{i:08x}") for i in range(count)]
    pair = ModelPair(Simulated("weak"), Simulated("strong"), Simulated("prm"))
    trees = RolloutTrees(problems, 1, MAX_STEPS, no_judge, pair)
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


def main() -> None:
    """Print the table."""
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


if __name__ == "__main__":
    main()
