"""When a statement about an experiment holds, fails, or stays undecided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from trim.evaluation.bootstrap import Bounds, Resampled, bounds

Verdict = Literal["holds", "fails", "undecided", "not tested"]
SameVerdict = Literal["reproduced", "partly", "not", "not tested"]

REPRODUCED, PARTLY = 0.05, 0.25
"""Relative deviations from a published number up to which it counts as reproduced, and as partly so."""

FAILED_TRAINING = "†"
"""Marks verdicts on routers of which one's training failed; not known with other PRMs than the one that routes."""

SMALLEST_SCALE = 0.1
"""Deviations are relative to at least this, because some published delta IBC lie around 0."""


def smallest(numbers: Mapping[str, Resampled], level: float) -> Bounds:
    """Return the smallest of several numbers, with an interval that holds it at this level or more.

    Its lower end is the least of the lower ends: it is above the smallest number only where the lower end of that very
    number is. Its upper end is below it only where some upper end is below its own number; that may happen to any of
    them, so upper ends are taken at a level corrected for their count (Bonferroni). Resampling the minimum itself would
    not do: where several numbers tie, the minimum of noisy ones lies too low.
    """
    corrected = 1 - (1 - level) / len(numbers)
    each = [bounds(number, level) for number in numbers.values()]
    wide = [bounds(number, corrected) for number in numbers.values()]
    columns = [[b.value for b in each], [b.lo for b in each], [b.hi for b in wide]]
    return Bounds(*(float(np.min(column)) for column in columns))  # NaN where any is


def greatest(numbers: Mapping[str, Resampled], level: float) -> Bounds:
    """Return the greatest of several numbers, with an interval as that of `smallest`."""
    value, lo, hi = smallest({name: -number for name, number in numbers.items()}, level)
    return Bounds(-value, -hi, -lo)


def judge(found: Bounds, bar: float) -> Verdict:
    """Say whether a number exceeds a bar: it holds or fails where the whole interval lies on one side."""
    if found.lo > bar:
        return "holds"
    return "fails" if found.hi < bar else "undecided"


def ratio(numerator: Resampled, denominator: Resampled) -> Resampled:
    """Divide, where only a positive denominator is worth being a multiple of.

    A positive number is infinitely many times one that is not positive; a number that is not positive is 0 times any.
    """
    undefined = np.isnan(numerator) | np.isnan(denominator)
    many = np.divide(numerator, denominator, out=np.full_like(numerator, np.inf), where=denominator > 0)
    return np.where(undefined, np.nan, np.where(numerator > 0, many, 0.0))


def judge_same(found: Bounds, published: float) -> SameVerdict:
    """Compare a number with the published one of the same pair and dataset.

    `reproduced`: ours deviates by at most REPRODUCED, or by at most PARTLY and our interval holds the other; a wide
    interval alone reproduces nothing. `partly`: it deviates by at most PARTLY.
    """
    deviation = abs(found.value - published) / max(abs(published), SMALLEST_SCALE)
    if deviation > PARTLY:
        return "not"
    return "reproduced" if found.lo <= published <= found.hi or deviation <= REPRODUCED else "partly"
