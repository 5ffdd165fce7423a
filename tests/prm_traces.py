"""Rollouts that PRMs are trained on in tests."""

import random
from collections.abc import Sequence

from trim.config.datasets import ArithmeticFamily
from trim.models.prm_kinds import Trace
from trim.models.protocols import Prefix
from trim.problems.arithmetic import draw_program, step_labels

FAMILY = ArithmeticFamily(min_steps=1, max_steps=5)


def make_traces(count: int) -> list[Trace]:
    """Solutions, every other one with a wrong result in the middle."""
    rng, traces = random.Random(11), []
    for i in range(count):
        program = draw_program(FAMILY, rng)
        text, steps = program.render("symbols"), program.steps()
        if i % 2:
            wrong = len(steps) // 2 - 1 if len(steps) > 2 else 0
            steps[wrong] = steps[wrong].replace("=", "=1", 1)
        traces.append(Trace(text, tuple(steps), tuple(step_labels(text, steps))))
    return traces


TRACES = make_traces(40)


def prefixes(traces: Sequence[Trace]) -> list[Prefix]:
    """Return every step to judge, as the prefix that ends with it."""
    return [Prefix.of(t.problem, *t.steps[: i + 1]) for t in traces for i in range(len(t.steps))]
