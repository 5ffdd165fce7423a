"""TRIM-POMDP: time and certified gap of the exact solver, what rules earn in the released model.

    python benchmarks/pomdp.py [--grids 200 400 1000] [--episodes 100000]

Times are CPU seconds of one thread (set OMP_NUM_THREADS=1). Everything is of the parameters in data/published.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from trim.checks.memoryless import MemorylessPolicies, Worth
from trim.checks.released_parameters import published_model
from trim.checks.simulator import play
from trim.config.routers import PomdpRouter
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.released import ReleasedPolicy, with_late_hazard
from trim.routers.pomdp.solver import solve

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
RELEASED_COSTS = [0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85]
COSTS = [0.05, 0.25, 0.45, 0.75]
LOOKED_UP_AT = 50.0  # tokens at which the official table decides of a draft of 60


def solver_table(official: PomdpModel, grids: list[int]) -> None:
    """Print time and gap by grid."""
    print(f"released model: {len(official.observation.draft)} symbols, {official.max_steps} steps, reward 100")
    print(f"{'grid':>6} {'CPU s, 1 cost':>14} {'8 costs':>9} {'gap, 1 cost':>12} {'8 costs':>9}")
    for grid in grids:
        row = []
        for costs in (RELEASED_COSTS[1:2], RELEASED_COSTS):
            started = time.process_time()
            row.append((solve(official, costs, grid).gap.max(), time.process_time() - started))
        (gap1, time1), (gap8, time8) = row
        print(f"{grid:6} {time1:14.2f} {time8:9.2f} {gap1:12.1e} {gap8:9.1e}")


def rules_table(official: PomdpModel) -> None:
    """Print what rules earn in the released model: net reward / accuracy / strong tokens."""

    def cell(worth: Worth) -> str:
        return f"{worth.net_reward:6.2f} /{worth.accuracy:5.3f} /{worth.strong_tokens:4.0f}"

    policies, solution = MemorylessPolicies(official), solve(official, COSTS)
    bins = len(official.observation.edges)
    print(f"\n{'cost':>5}   {'best threshold':20} {'official rule':20} {'best memoryless':20} certified optimum")
    for cost, upper, lower in zip(COSTS, solution.upper, solution.lower, strict=True):
        thresholds = [policies.evaluate(policies.threshold(k), cost) for k in range(bins)]
        rule = ReleasedPolicy(official, upper, cost, PomdpRouter().closeness, token_bin=LOOKED_UP_AT)
        found = [
            max(thresholds, key=lambda worth: worth.net_reward),
            policies.evaluate(policies.tabulate(rule.decide_symbols), cost),
            policies.best(cost)[0],
        ]
        print(f"{cost:5} ", *(f"{cell(worth):20}" for worth in found), f"{lower[0, -1]:.3f} to {upper[0, -1]:.3f}")


def simulated_values(model: PomdpModel, episodes: int) -> None:
    """Print simulated against certified values of the filter on single scores."""
    solution = solve(model, COSTS)
    print(f"\nsingle scores, hazard put right, {episodes:,} simulated episodes")
    print(f"{'cost':>5} {'simulated':>10} {'SE':>6} {'certified':>10}")
    for cost, upper in zip(COSTS, solution.upper, strict=True):
        played = play(model, PomdpPolicy(model, upper, cost).decide, cost, episodes, 0)
        print(f"{cost:5} {played.net_reward:10.3f} {played.standard_error:6.3f} {upper[0, -1]:10.3f}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, nargs="+", default=[200, 400, 1000], help="intervals of the belief grid")
    parser.add_argument("--episodes", type=int, default=100_000, help="simulated episodes a cost")
    options = parser.parse_args()
    official = with_late_hazard(published_model(PUBLISHED))
    solver_table(official, options.grids)
    rules_table(official)
    simulated_values(published_model(PUBLISHED, "scores"), options.episodes)


if __name__ == "__main__":
    main()
