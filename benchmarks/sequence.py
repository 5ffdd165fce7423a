"""What depth and features are worth to TRIM-Seq, judged on dev.

    python benchmarks/sequence.py [--results results/embedded] [--dataset arith] [--total_timesteps N] [--seeds 0 1]

The paper names the inputs of TRIM-Seq and the word transformer, and no more. Each shape is trained on the explored
trees that an experiment left behind, as its conditioned variant, for fewer decisions than there, and compared with
the first one on the same resampled problems of dev.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from trim.rollout.trees import RolloutTrees

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd

from trim.config.experiment import Experiment
from trim.evaluation.bootstrap import columns, compared
from trim.evaluation.study import studies
from trim.files import read_parquet
from trim.layouts import NODES
from trim.problems.grading import Grader, judge
from trim.problems.problem import read_problems
from trim.rollout.tables import roll_out_points
from trim.routers.controls import ALONE
from trim.routers.learned.fit import fit
from trim.routers.router import TrainingData

LEVEL = 0.95
SHAPES = {
    "as configured": {},
    "two layers": {"layers": 2},
    "width 64": {"width": 64},
    "scores alone": {"features": ("scores",)},
    "with authors": {"features": ("scores", "tokens", "strong")},
    "with rejected scores": {"features": ("scores", "tokens", "draft_scores")},
}


def read_trees(results: Path, dataset: str, split: str, grader: Grader) -> RolloutTrees:
    """Read the explored trees of a split, which must be whole: there are no models here."""
    problems = read_problems(results / "problems" / dataset / f"{split}.jsonl")
    table = read_parquet(results / "trees" / f"{dataset}.{split}.parquet", NODES)
    experiment, replicates = Experiment(), int(table["replicate"].max()) + 1
    return RolloutTrees(problems, replicates, experiment.max_steps, judge(grader, exact=True)).load(table)


def main() -> None:
    """Print a row a shape and training run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results/embedded"))
    parser.add_argument("--dataset", default="arith")
    parser.add_argument("--total_timesteps", type=int, default=300_000, help="decisions to learn from")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    experiment = Experiment()
    with Grader() as grader:
        trees, dev = (read_trees(options.results, options.dataset, s, grader) for s in ("router_train", "dev"))
    ppo = experiment.routers.seq.ppo.model_copy(update={"total_timesteps": options.total_timesteps})
    print(f"{'shape':22} {'seed':>4} {'delta IBC on dev':>20} {'minus the first':>22} {'CPU s':>6}")
    for seed in options.seeds:
        episodes = [roll_out_points(ALONE, dev)]
        for name, shape in SHAPES.items():
            started = time.process_time()
            seq = experiment.routers.seq.model_copy(update={"ppo": ppo, **shape})
            routers = experiment.routers.model_copy(update={"seq": seq})
            fitted = fit("trim-seq", "conditioned", TrainingData(trees, dev, routers, labelled=True), seed)
            episodes.append(roll_out_points(fitted.points(), dev).assign(variant=name))
            table = pd.concat(episodes).assign(trained_on=options.dataset)
            study = studies(table, experiment.bootstrap, experiment.seed)[options.dataset]
            shapes = (study.find("trim-seq", v)[0].key for v in (next(iter(SHAPES)), name))
            first, this = (study.metrics[key]["delta_ibc"] for key in shapes)
            ibc, apart = columns("ibc", this, LEVEL), compared(this, first, LEVEL)
            value = f"{ibc['ibc']:.2f} [{ibc['ibc_lo']:.2f}, {ibc['ibc_hi']:.2f}]"
            less = f"{apart['difference']:+.2f} [{apart['difference_lo']:+.2f}, {apart['difference_hi']:+.2f}]"
            spent = time.process_time() - started
            print(f"{name:22} {seed:4} {value:>20} {less:>22} {spent:6.0f}", flush=True)


if __name__ == "__main__":
    main()
