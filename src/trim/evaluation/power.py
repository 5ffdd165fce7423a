"""Power: how many problems it takes to see that one router is better than another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.evaluation.ablations import AGG, POMDP, looking_ahead, pairs
from trim.evaluation.bootstrap import Resampled
from trim.evaluation.study import PAIR, Study, Sweep
from trim.names import TAKEOVER, THRESHOLD, Key

if TYPE_CHECKING:
    import pandas as pd

SIGNIFICANCE, POWER = 0.05, 0.8
ACCURACY_SHARE = 0.2
DIFFERENCES = {"delta_ibc": (0.1, 0.25, 0.5, 1.0), f"accuracy at {ACCURACY_SHARE:.0%}": (0.01, 0.02, 0.05)}
"""Sizes of differences that one may want to see, by measure."""

BENCHMARKS = {"MATH-500": 500, "AIME test": 482, "Minerva Math": 272}
"""Problems of the paper's benchmarks (section 5)."""

COLUMNS = [
    "dataset",
    "trained_on",
    *PAIR,
    "measure",
    "difference_here",
    "problems_here",
    "standard_error",
    "asked",
    "benchmark",
    "difference",
    "problems",
]


def separation(significance: float = SIGNIFICANCE, power: float = POWER) -> float:
    """Return how many standard errors a true difference must have to be found with this power, two-sided.

    >>> round(separation(), 2)
    2.8
    """
    normal = NormalDist()
    return normal.inv_cdf(1 - significance / 2) + normal.inv_cdf(power)


def problems_needed(difference: float, standard_error: float, problems: int) -> int:
    """Return how many problems show a difference, given the standard error on a number of problems.

    An extrapolation: standard errors are taken to fall with the square root of the number of problems.
    """
    return max(1, math.ceil(round(problems * (separation() * standard_error / difference) ** 2, 9)))


def smallest_difference(problems: int, standard_error: float, measured_on: int) -> float:
    """Return the smallest difference that a number of problems shows, by the same extrapolation."""
    return separation() * standard_error * math.sqrt(measured_on / problems)


def power_note(main: Mapping[str, Study], trained_on: str) -> pd.DataFrame:
    """Say how many problems differences of given sizes need, and what sets of given sizes can show.

    Standard errors of paired differences are measured here by the bootstrap; all else is an extrapolation
    by 1 / sqrt(problems), of this experiment's models: two models closer in accuracy than ours, as the paper's
    are, have larger standard errors of delta IBC, because it is relative to the gap between them.

    Parameters
    ----------
    main
        Studies by dataset.
    trained_on
        Routers fitted on this dataset are compared.

    Returns
    -------
    Rows with `asked` = "problems" give the problems needed for `difference`; those with `asked` = "difference"
    the smallest difference that `problems`, the size of `benchmark`, show. 80 % power at 5 % two-sided, one
    replicate structure as here.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for dataset, data in main.items():
        for sides in _sides():
            for sweep, other in pairs(*(data.find(*side) for side in sides)):
                if sweep.trained_on == trained_on:
                    head = {"dataset": dataset, **sweep.head, **other.as_other}
                    rows += ({**head, **row} for row in _rows(data, sweep, other))
    return pd.DataFrame(rows, columns=COLUMNS)


def _sides() -> Iterator[tuple[Key, Key]]:
    yield THRESHOLD, TAKEOVER
    yield from ((router, THRESHOLD) for router in looking_ahead())
    yield from ((POMDP, router) for router in AGG)


def _rows(data: Study, sweep: Sweep, other: Sweep) -> Iterator[dict[str, Any]]:
    for measure, (ours, theirs) in _read(data, sweep, other).items():
        apart = ours - theirs
        drawn = apart[1:][~np.isnan(apart[1:])]
        if not drawn.size:
            continue
        error, here = float(drawn.std()), data.problems
        head = {"measure": measure, "difference_here": apart[0], "problems_here": here, "standard_error": error}
        for difference in DIFFERENCES[measure]:
            needed = problems_needed(difference, error, here)
            yield {**head, "asked": "problems", "benchmark": "", "difference": difference, "problems": needed}
        for benchmark, problems in BENCHMARKS.items():
            shown = smallest_difference(problems, error, here)
            yield {**head, "asked": "difference", "benchmark": benchmark, "difference": shown, "problems": problems}


def _read(data: Study, *sweeps: Sweep) -> dict[str, tuple[Resampled, ...]]:
    """Read the measures of `DIFFERENCES` from each sweep."""
    values = [
        (data.metrics[sweep.key]["delta_ibc"], data.accuracy(data.pgr(sweep, [ACCURACY_SHARE])[0])) for sweep in sweeps
    ]
    return dict(zip(DIFFERENCES, zip(*values, strict=True), strict=True))
