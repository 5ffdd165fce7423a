"""What training a policy costs: on trees that hold every step already, against generation while it learns.

    python -m benchmarks.training [--results results/embedded]

The live side is the time on trees with, for every decision, what a draft, its score and the strong model's steps take.
Those are measured on a sample of episodes that flip a coin, as a policy at its beginning does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np

from benchmarks.common import Options, Row, cpu_seconds, run_alone
from benchmarks.environment import made_up_trees
from benchmarks.lockstep import BATCH, solve_in_lockstep
from benchmarks.pairs import EXPERIMENT, MAX_STEPS, has_models, no_judge, open_models, says, take_problems
from trim.arrays import Booleans
from trim.files import read_parquet
from trim.layouts import NODES
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.rollout.trees import RolloutTrees
from trim.routers.learned.fit import train_router


@dataclass(frozen=True, slots=True)
class Coin(WantsEveryDraft):
    """Decides as a policy that has learned nothing."""

    rng: np.random.Generator
    reads = Reads.HISTORY

    def decide(self, observed: Observed) -> Booleans:
        """Flip."""
        return self.rng.random(len(observed.position)) < 0.5


def explored(options: Options, split: str) -> RolloutTrees:
    """Return the explored trees of a split, or made-up ones."""
    path = options.results / "trees" / f"{options.dataset}.{split}.parquet"
    if not path.is_file():
        return made_up_trees(20)
    table = read_parquet(path, NODES)
    problems = take_problems(options.results, options.dataset, len(table), split)
    return RolloutTrees(problems, int(table["replicate"].max()) + 1, MAX_STEPS, no_judge).load(table)


def measure(options: Options) -> list[Row]:
    """Train on trees, generate a sample live, and grow a sample of trees."""
    import torch

    torch.set_num_threads(1)
    decisions, grown = options.size(65_536, 8192), options.size(16, 2)
    sample = 8 if options.quick else BATCH
    trees, dev = explored(options, "router_train"), explored(options, "dev")
    settings = EXPERIMENT.routers.agg
    rounds = options.size(settings.ppo.imitation, 2)
    shown = rounds * settings.ppo.n_envs * trees.max_steps

    def train(imitation: int, seed: int) -> float:
        ppo = settings.ppo.model_copy(update={"total_timesteps": decisions, "imitation": imitation})
        agg = settings.model_copy(update={"ppo": ppo})
        asked = agg, "conditioned", trees, dev, EXPERIMENT.routers.kappa, seed, None
        return cpu_seconds(lambda: train_router(*asked))[1]

    on_trees, live, imitating, imitating_live, growing, one_live = [], [], [], [], [], []
    for seed in range(options.repetitions):
        spent = train(0, seed)
        problems = take_problems(options.results, options.dataset, (seed + 1) * sample, "router_train")[-sample:]
        models = open_models(options.results, BATCH)
        asked = problems, Coin(np.random.default_rng(seed)), models, 0, MAX_STEPS
        generated, generating = cpu_seconds(lambda asked=asked: asyncio.run(solve_in_lockstep(*asked)))
        each = generating / generated.decisions
        on_trees.append(spent)
        live.append(spent + each * decisions)
        imitating.append(train(rounds, seed))
        imitating_live.append(imitating[-1] + each * (shown + decisions))
        new = RolloutTrees(problems[:grown], 1, MAX_STEPS, no_judge, open_models(options.results, 64))
        _, spent = cpu_seconds(lambda new=new: new.grow_fully(EXPERIMENT.routers.largest_tree))
        growing.append(spent / grown * len(trees.roots()))
        one_live.append(each * settings.ppo.total_timesteps)
    how = f"{says(options.results)}; live extrapolated from {sample} episodes a repetition"
    before = f"the same behind {rounds} rounds of imitation, {shown + decisions:,} decisions in all"
    rows = [
        Row("training", f"{decisions:,} decisions of TRIM-Agg's PPO", "CPU s", on_trees, live, 20, how=how),
        Row("training", before, "CPU s", imitating, imitating_live, how=how),
    ]
    if has_models(options.results):
        what = f"generation behind training: {len(trees.roots())} trees for all policies, against one policy live"
        how = f"tiny trained models; extrapolated from {grown} trees, and from {sample} episodes for one policy of "
        how += f"{settings.ppo.total_timesteps:,} decisions"
        rows.append(Row("training", what, "CPU s", growing, one_live, how=how))
    return rows


if __name__ == "__main__":
    run_alone(measure, __doc__)
