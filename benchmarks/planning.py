"""What solving the POMDP costs: all steps and costs in one go, against a solution for every entry of a table.

    python -m benchmarks.planning

The released code solves anew for every token bin, step and belief of its table, at every cost. Here our own solver is
put in place of its SARSOP, which takes up to 20 s for each; so the straightforward side is measured at its best.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.common import Options, Row, cpu_seconds, run_alone
from benchmarks.sweep import COSTS, PUBLISHED
from trim.checks.released_parameters import published_model
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.solver import GRID, solve

BELIEF_GRID = 0.025
TOKEN_BINS = 6
"""Bins of 50 tokens up to 300, as far as usual steps are long."""


def from_step(model: PomdpModel, step: int) -> PomdpModel:
    """Return the model of what is left of an episode from a step on."""
    transition = model.transition
    rest = replace(transition, hazard=transition.hazard[step:], weak_accuracy=transition.weak_accuracy[step:])
    return replace(model, transition=rest)


def measure(options: Options) -> list[Row]:
    """Solve once for all, and a sample of the table's entries one by one."""
    grid, sample = 50 if options.quick else GRID, options.size(6, 2)
    model = published_model(PUBLISHED, "scores")
    beliefs = round(1 / BELIEF_GRID) + 1
    entries = len(COSTS) * TOKEN_BINS * model.max_steps * beliefs
    once, one_by_one = [], []
    for repetition in range(options.repetitions):
        _, spent = cpu_seconds(lambda: solve(model, COSTS, grid))
        once.append(spent)
        # Steps even over all of them, so that long and short rests of episodes count alike.
        steps = (np.arange(sample) + np.random.default_rng(repetition).random()) * model.max_steps / sample

        def some(steps: np.ndarray = steps) -> None:
            for step, cost in zip(steps.astype(int), np.resize(COSTS, sample), strict=True):
                solve(from_step(model, int(step)), [cost], grid)

        _, spent = cpu_seconds(some)
        one_by_one.append(spent / sample * entries)
    how = (
        f"published parameters; extrapolated from {sample} solutions a repetition to {len(COSTS)} costs x {TOKEN_BINS} "
        f"token bins x {model.max_steps} steps x {beliefs} beliefs on a line"
    )
    return [Row("planning", f"POMDP, {model.max_steps} steps, {len(COSTS)} costs", "CPU s", once, one_by_one, how=how)]


if __name__ == "__main__":
    run_alone(measure, __doc__)
