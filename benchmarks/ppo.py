"""How near PPO comes to what is known to be best, on the POMDP with the published parameters.

    python benchmarks/ppo.py [--costs 0.15 0.25 0.45] [--router trim-agg trim-seq]

The certified optimum is that of our solver, in the world where the strong model's step is scored as a draft in the
same state is. Costs are per token, of a reward of 100: kappas of about 0.7, 1.2 and 2.2. Some minutes each.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from trim.config_routers import Ppo
from trim.routers.pomdp.released import published_model
from trim.training.simulated import compare

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
SETTINGS = {
    "trim-agg": Ppo(
        learning_rate=1e-3, annealed=True, entropy_coefficient=0.003, transitions=3_000_000, check_every=30
    ),
    "trim-seq": Ppo(
        learning_rate=2e-3, annealed=True, entropy_coefficient=0.003, transitions=1_500_000, check_every=30
    ),
}


def main() -> None:
    """Print a row a router and cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--costs", type=float, nargs="+", default=[0.15, 0.25, 0.45], help="of a strong token")
    parser.add_argument("--router", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    model = published_model(PUBLISHED, "scores")
    model = replace(model, observation=replace(model.observation, strong=model.observation.draft))
    names = ("weak only", "best on features", "optimum", "trained", "se", "of features", "of optimum", "CPU s")
    print(f"{'router':9} {'cost':>5} " + " ".join(f"{name:>16}" for name in names))
    for router in options.router:
        for cost in options.costs:
            started = time.process_time()
            result = compare(router, model, cost, SETTINGS[router], seed=0)
            figures = [result.weak_only, result.best_on_features, result.optimum, result.trained]
            shares = [result.gain(result.best_on_features), result.gain(result.optimum)]
            row = [*(f"{100 * value:16.2f}" for value in (*figures, result.standard_error))]
            row += [*(f"{share:16.1%}" for share in shares), f"{time.process_time() - started:16.0f}"]
            print(f"{router:9} {cost:5.2f} " + " ".join(row), flush=True)


if __name__ == "__main__":
    main()
