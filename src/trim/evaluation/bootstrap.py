"""Numbers under a bootstrap over problems: replicates of a problem stay together, routers share their resamples.

A number is one array: its estimate first, then its value on every resample. So the arithmetic of estimates and that
of resamples is the same line, and two numbers of one dataset are always paired. NaN is undefined; an infinite value
is there but has no bound, as a CPT that is not reached.

A resample is a row of counts: how often each problem was drawn. The first row counts every problem once. Sums are
then matrix products.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from trim.arrays import Bytes, Floats, Integers

Resampled = Floats
"""An estimate and its value on every resample, shape (1 + resamples,)."""


DRAWN_AT_ONCE = 1 << 20
"""Numbers drawn at once: of many problems, all resamples together would take several times the memory of the counts."""
MULTIPLIED_AT_ONCE = 64
"""Resamples multiplied at once: their counts, as floats, stay in the cache, where all would be read from memory."""


class Bounds(NamedTuple):
    """An estimate with its interval; infinite ends say that it has none on that side, NaN that it is not defined."""

    value: float
    lo: float
    hi: float


def resample_counts(n_problems: int, resamples: int, seed: int | str) -> Bytes:
    """Draw problems with replacement and count them: shape (1 + resamples, n_problems), the first row all ones.

    Counts are bytes: no problem is drawn more than 255 times. Use one array for all routers of a dataset. A text
    seed, such as the dataset's name, is hashed, to the same number in every process.
    """
    if isinstance(seed, str):
        seed = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])
    rng = np.random.default_rng(seed)
    counts = np.ones((1 + resamples, n_problems), np.uint8)
    block = max(1, DRAWN_AT_ONCE // max(n_problems, 1))
    for start in range(1, 1 + resamples, block):
        rows = counts[start : start + block]
        cells = rng.integers(n_problems, size=rows.shape) + n_problems * np.arange(len(rows))[:, None]
        rows[:] = np.bincount(cells.ravel(), minlength=rows.size).reshape(rows.shape)
    return counts


def resampled_sum(values: Floats | Integers, counts: Bytes) -> Floats:
    """Return the sum over problems on every resample: values (n,) give (R,), values (n, K) give (R, K)."""
    total = np.empty((len(counts), *values.shape[1:]))
    for at in range(0, len(counts), MULTIPLIED_AT_ONCE):
        rows = slice(at, at + MULTIPLIED_AT_ONCE)
        total[rows] = counts[rows].astype(float) @ values  # floats: NumPy multiplies matrices of integers slowly
    return total


def resampled_mean(values: Floats, counts: Bytes) -> Floats:
    """Return the mean over problems on every resample: values (n,) give (R,), values (K, n) give (R, K)."""
    return np.asarray(resampled_sum(values.T, counts) / counts.shape[1])  # so many problems are drawn for each


def bounds(number: Resampled, level: float) -> Bounds:
    """Return an estimate and its percentile interval.

    The one rule for every interval: its ends are resamples, the nearest ones outside the percentiles, not means of
    two. So they may be infinite, and an interval is never narrower than one that interpolates. Undefined resamples,
    such as those where the strong model is no better than the weak one, are left out; with more than half of them, or
    without an estimate, there is no interval.
    """
    drawn = np.sort(number[1:][~np.isnan(number[1:])])
    if np.isnan(number[0]) or not len(drawn) or 2 * len(drawn) < len(number) - 1:
        return Bounds(float(number[0]), np.nan, np.nan)
    outside = int(round((len(drawn) - 1) * (1 - level) / 2, 9))  # rounded: float noise must not move an end
    return Bounds(float(number[0]), float(drawn[outside]), float(drawn[-1 - outside]))


def p_value(apart: Resampled) -> float:
    """Return the two-sided p-value of no difference; undefined resamples are left out.

    It is twice the smaller share of resamples on either side of zero, each counted with one more resample,
    so that it is never below 2 / (resamples + 1).
    """
    drawn = apart[1:]
    below, above, counted = (int(side.sum()) for side in (drawn <= 0, drawn >= 0, ~np.isnan(drawn)))
    return min(1.0, 2 * (min(below, above) + 1) / (counted + 1))


def at_floor(apart: Resampled) -> bool:
    """Whether no resample lies on the other side of zero: the p-value is then no more than an upper bound."""
    drawn = apart[1:]
    return bool(min((drawn <= 0).sum(), (drawn >= 0).sum()) == 0)


def column_names(name: str) -> tuple[str, str, str]:
    """Return the columns that hold a number: its estimate and both ends of its interval."""
    return name, f"{name}_lo", f"{name}_hi"


def columns(name: str, number: Resampled, level: float) -> dict[str, float]:
    """Return estimate and interval as columns of a table: empty where undefined, or infinite as a CPT not reached."""
    found = (value if np.isfinite(value) else np.nan for value in bounds(number, level))
    return dict(zip(column_names(name), found, strict=True))


def compared(ours: Resampled, theirs: Resampled, level: float) -> dict[str, float]:
    """Return two numbers and their paired difference, with interval and p-value, as columns of a table.

    A difference of CPTs is -inf where only `theirs` is not reached, inf where only `ours` is not, and undefined where
    neither is; so may be the ends of its interval.
    """
    with np.errstate(invalid="ignore"):
        apart = ours - theirs
    difference, low, high = bounds(apart, level)
    value, other = (float(number[0]) if np.isfinite(number[0]) else np.nan for number in (ours, theirs))
    return {
        "value": value,
        "other_value": other,
        "difference": difference,
        "difference_lo": low,
        "difference_hi": high,
        "p_value": np.nan if np.isnan(low) else p_value(apart),
        "p_at_floor": np.nan if np.isnan(low) else float(at_floor(apart)),
    }


def holm(p_values: Floats) -> Floats:
    """Correct the p-values of one family for multiple comparison (Holm's step-down method).

    The chance that any true null hypothesis of the family falls below a level is at most that level,
    however the tests depend on each other. Empty ones (NaN) stay empty and count for nothing.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted last
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return corrected
