"""Bootstrap over problems: replicates of a problem stay together, routers share their resamples.

A resample is a row of counts: how often each problem was drawn. Means over a resample are then
matrix products, and two routers read with the same counts are compared as a pair.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a router did on every problem, as means over replicates.

    Attributes
    ----------
    correct
        Shape (K, n); share of correct answers of each operating point on each problem.
    strong_tokens
        Shape (K, n); tokens decoded by the strong model.
    """

    correct: Array
    strong_tokens: Array

    def __post_init__(self) -> None:
        """Check that both describe the same operating points and problems."""
        if self.correct.ndim != 2 or self.correct.shape != self.strong_tokens.shape:
            raise ValueError(
                f"correct and strong_tokens must both have shape (K, n), "
                f"not {self.correct.shape} and {self.strong_tokens.shape}"
            )


class Interval(NamedTuple):
    """Percentile interval, and the share of resamples on which the value is empty."""

    lo: float
    hi: float
    share_empty: float


class Difference(NamedTuple):
    """Percentile interval and two-sided p-value of a paired difference."""

    lo: float
    hi: float
    p: float


def resample_counts(n_problems: int, resamples: int, seed: int | str) -> Array:
    """Draw problems with replacement and count them: shape (resamples, n_problems), rows sum to n_problems.

    Use one array for all routers of a dataset. A text seed, such as the dataset's name, is hashed, to
    the same number in every process.
    """
    if isinstance(seed, str):
        seed = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])
    drawn = np.random.default_rng(seed).integers(n_problems, size=(resamples, n_problems))
    cells = drawn + n_problems * np.arange(resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=resamples * n_problems)
    # Floats, because NumPy multiplies matrices of integers slowly.
    return counts.reshape(resamples, n_problems).astype(np.float64)


def resampled_mean(values: Array, counts: Array) -> Array:
    """Return the mean over problems on every resample: values (n,) give (R,), values (K, n) give (R, K)."""
    return np.asarray(counts @ values.T / counts.sum(axis=1).reshape(-1, *[1] * (values.ndim - 1)))


def resampled_curve(sweep: Sweep, counts: Array, strong_only_tokens: Array) -> tuple[Array, Array]:
    """Return strong shares and accuracies of a sweep on every resample, both of shape (R, K).

    With one row of ones as counts, the curve is the measured one.

    Parameters
    ----------
    counts
        Shape (R, n), as from `resample_counts`.
    strong_only_tokens
        Shape (n,); tokens of the strong model alone on each problem.

    Raises
    ------
    ValueError
        If the strong model alone used no token on a resample.
    """
    # One product instead of three: this is where a bootstrap spends its time.
    means = resampled_mean(np.vstack([sweep.strong_tokens, sweep.correct, strong_only_tokens[None]]), counts)
    tokens, accuracies, alone = np.split(means, [len(sweep.strong_tokens), means.shape[1] - 1], axis=1)
    if not (alone > 0).all():
        raise ValueError("the strong model alone decoded no tokens, so strong shares are not defined")
    return tokens / alone, accuracies


def interval(samples: Array, level: float) -> Interval:
    """Return the percentile interval of samples (R,), leaving out the empty (NaN) ones.

    With more than half of the samples empty there is no interval (NaN). With fewer, it is conditional on
    the value being there, such as on a CPT being reached: report `share_empty` beside it.
    """
    empty = np.isnan(samples)
    share_empty = float(empty.mean())
    if share_empty > 0.5:
        return Interval(np.nan, np.nan, share_empty)
    lo, hi = np.quantile(samples[~empty], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(lo), float(hi), share_empty)


def difference(a: Array, b: Array, level: float) -> Difference:
    """Compare two routers on the same resamples: interval of a - b, and p-value of no difference.

    Where either is empty (NaN), a resample is left out; with more than half left out, all is NaN.

    Parameters
    ----------
    a, b
        Shape (R,); a metric of each router on the same resamples.
    """
    apart = a - b
    lo, hi, _ = interval(apart, level)
    return Difference(lo, hi, p_value(apart) if not np.isnan(lo) else np.nan)


def cpt_interval(samples: Array, level: float) -> Interval:
    """Return the percentile interval of CPTs (R,): infinite where a level is not reached.

    So an empty end says that the level is not reached reliably. Empty (NaN) samples are left out.
    """
    lo, hi, share_empty = _open_interval(samples, level)
    return Interval(np.nan if np.isinf(lo) else lo, np.nan if np.isinf(hi) else hi, share_empty)


def _open_interval(samples: Array, level: float) -> Interval:
    """Return the percentile interval of samples (R,) that may be infinite; empty (NaN) ones are left out."""
    kept = samples[~np.isnan(samples)]
    if not kept.size:
        return Interval(np.nan, np.nan, 1.0)
    lo, hi = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2], method="higher")
    return Interval(float(lo), float(hi), 1 - kept.size / samples.size)


def cpt_difference(a: Array, b: Array, level: float) -> Difference:
    """Compare CPTs as `difference` does: infinite where a level is not reached, empty where neither reaches it.

    An interval may have infinite ends: -inf where `b` does not reach the level reliably, inf where `a` does not.
    """
    with np.errstate(invalid="ignore"):
        apart = a - b
    lo, hi, share_empty = _open_interval(apart, level)
    return Difference(lo, hi, p_value(apart)) if share_empty <= 0.5 else Difference(np.nan, np.nan, np.nan)


def p_value(apart: Array) -> float:
    """Return the two-sided p-value of no difference from differences on resamples, (R,); empty ones are left out.

    It is twice the smaller share of resamples on either side of zero, each counted with one more resample,
    so that it is never below 2 / (R + 1).
    """
    below, above, counted = (int(side.sum()) for side in (apart <= 0, apart >= 0, ~np.isnan(apart)))
    return min(1.0, 2 * (min(below, above) + 1) / (counted + 1))


def holm(p_values: Array) -> Array:
    """Correct the p-values of one family for multiple comparison (Holm's step-down method).

    The chance that any true null hypothesis of the family falls below a level is at most that level,
    however the tests depend on each other. Empty ones (NaN) stay empty and count for nothing.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted last
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return corrected
