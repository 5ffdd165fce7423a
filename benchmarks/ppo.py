"""How near PPO comes to what is known to be best, on the POMDP with the published parameters.

    python benchmarks/ppo.py [--costs 0.15 0.45 0.6 0.75] [--router trim-agg trim-seq] [--seed 0]

The world is that of the published parameters, with the strong model's step scored as a draft in the same state is.
A gain is net reward beyond weak-only's. The best is the certified optimum for TRIM-Seq, which sees all that the
optimum knows; for TRIM-Agg it is the best policy on its own features, by coordinate ascent, and both are exact. What
TRIM-Seq gains is simulated, with a 95 % interval. Costs are of a token, with a reward of 100.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from trim.checks.memoryless import MemorylessPolicies
from trim.checks.ppo_against_optimum import compare
from trim.checks.released_parameters import published_model
from trim.config.routers import Ppo

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
COMMON = Ppo(learning_rate=2e-3, annealed=True, entropy_coefficient=0.003, gae_lambda=0.8, epochs=2, patience=100)
SETTINGS = {  # at the highest cost the whole gain is a few hundredths: it takes many episodes to tell from chance
    "trim-agg": COMMON.model_copy(
        update={"n_envs": 4096, "batch_size": 2048, "total_timesteps": 5_000_000, "evaluate_every": 20}
    ),
    "trim-seq": COMMON.model_copy(update={"n_envs": 2048, "total_timesteps": 4_000_000, "evaluate_every": 40}),
}


def main() -> None:
    """Print a row a router and cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--costs", type=float, nargs="+", default=[0.15, 0.45, 0.6, 0.75], help="of a strong token")
    parser.add_argument("--router", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    model = published_model(PUBLISHED, "scores")
    model = replace(model, observation=replace(model.observation, strong=model.observation.draft))
    policies = MemorylessPolicies(model)
    solution = policies.evaluate(policies.threshold(policies.shape[1]), 0.0).strong_tokens
    names = " ".join(f"{name:>9}" for name in ("cost", "kappa", "weak only", "best", "trained"))
    print(f"{'router':9} {names} {'share of the gain':>20} {'CPU s':>6}")
    for router in options.router:
        started = time.process_time()
        for result in compare(router, model, options.costs, SETTINGS[router], options.seed):
            spent, started = time.process_time() - started, time.process_time()
            kappa = result.cost / model.reward * solution
            rewards = " ".join(f"{100 * value:9.2f}" for value in (result.weak_only, result.best, result.trained))
            share = f"{result.share:.1%} +- {result.half_width:.1%}"
            print(f"{router:9} {result.cost:9.2f} {kappa:9.2f} {rewards} {share:>20} {spent:6.0f}", flush=True)


if __name__ == "__main__":
    main()
