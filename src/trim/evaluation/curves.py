"""Read curves of accuracy against strong share: CPT, delta IBC and APGR (paper, section 3).

Two readings, never mixed:

- `envelope`, ours: straight lines through the points that no other point dominates (is at
  least as accurate at no higher cost), from (0, weak accuracy); nothing is extrapolated.
- `paper`, to compare with published figures: straight lines through all points in order of
  cost, from (0, weak accuracy); the last line is extrapolated.

Everything is computed for R curves of K points at once, so that a bootstrap is one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVELS: Array = np.arange(1, 101) / 100
"""PGR at the upper ends of the 100 performance regions of delta IBC."""

SMALLEST_SHARE = 1e-4
"""Delta IBC divides by a strong share; smaller ones, as of a gain that cost nothing, count as this."""

DECIMALS = 9
"""Shares and PGR are rounded to these, so that a tie or a level just reached does not hang on float noise."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a curve is worth under one reading.

    Attributes
    ----------
    cpt50, cpt80, cpt95
        Strong share at which the curve reaches a PGR of 50, 80 and 95 %; None when it does not.
    delta_ibc
        Mean of p / c(p) - 1 over p = 1 ... 100 % PGR: 0 for mixing the two models at random.
    apgr
        Mean PGR over strong shares from 0 to 1; None in the `paper` reading, which has none.
    reason
        Why all of them are None, or empty.
    """

    cpt50: float | None
    cpt80: float | None
    cpt95: float | None
    delta_ibc: float | None
    apgr: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class MetricSamples:
    """The metrics of R curves, each of shape (R,); NaN where `Metrics` has None."""

    cpt50: Array
    cpt80: Array
    cpt95: Array
    delta_ibc: Array
    apgr: Array

    @property
    def share_without_gap(self) -> float:
        """Share of the curves with strong <= weak, for which no metric is defined."""
        return float(np.isnan(self.delta_ibc).mean())


def envelope_metrics(shares: Sequence[float], accuracies: Sequence[float], weak: float, strong: float) -> Metrics:
    """Read one curve as its envelope; see `envelope_samples`."""
    return _single(envelope_samples(*_rows(shares, accuracies, weak, strong)))


def paper_metrics(shares: Sequence[float], accuracies: Sequence[float], weak: float, strong: float) -> Metrics:
    """Read one curve as the paper does; see `paper_samples`."""
    return _single(paper_samples(*_rows(shares, accuracies, weak, strong)))


def envelope_samples(shares: Array, accuracies: Array, weak: Array, strong: Array) -> MetricSamples:
    """Read curves as their envelopes.

    In delta IBC, a level that the envelope does not reach by a share of 1 counts as c = 1: there the
    strong model alone reaches it. APGR reads the envelope of the sweep and the strong-only point.

    Parameters
    ----------
    shares, accuracies
        Shape (R, K); strong share and accuracy of every operating point, in any order; K may be 0.
    weak, strong
        Shape (R,); accuracies of the two models alone.

    Raises
    ------
    ValueError
        If shapes do not agree, or a value is not finite or a share negative.
    """
    crossings = _crossings(*_envelope(shares, accuracies, weak, strong))
    with_strong = np.append(shares, np.ones((len(shares), 1)), 1), np.append(accuracies, strong[:, None], 1)
    return MetricSamples(
        *_cpts(crossings),
        delta_ibc=_delta_ibc(np.fmin(crossings, 1), weak, strong),
        apgr=_mean_height(*_envelope(*with_strong, weak, strong)),
    )


def paper_samples(shares: Array, accuracies: Array, weak: Array, strong: Array) -> MetricSamples:
    """Read curves as the paper does (reconstructed from its figures and tables).

    Where even the extrapolation does not reach a level, because the last line does not rise, CPT is
    empty and delta IBC takes c = 1. Of points at equal cost the most accurate one counts.

    Parameters, errors: as of `envelope_samples`.
    """
    crossings = _crossings_extrapolated(*_by_cost(shares, accuracies, weak, strong))
    return MetricSamples(
        *_cpts(crossings),
        delta_ibc=_delta_ibc(np.where(np.isnan(crossings), 1, crossings), weak, strong),
        apgr=np.full(len(shares), np.nan),
    )


def pgr_at(shares: Array, accuracies: Array, weak: Array, strong: Array, at: Sequence[float]) -> Array:
    """Return the PGR of R envelopes at M strong shares: shape (R, M), NaN where strong <= weak.

    Beyond its last point an envelope stays flat.

    Parameters
    ----------
    shares, accuracies, weak, strong
        As of `envelope_samples`.
    at
        Shape (M,); strong shares, not negative.
    """
    x, y = _envelope(shares, accuracies, weak, strong)
    return _heights(x, y, np.broadcast_to(np.asarray(at, dtype=np.float64), (len(x), len(at))))


# --- lines ------------------------------------------------------------------------------
# A line is x, y of shape (R, K + 1): strong share and PGR of its corners, by cost. Points that do
# not count are moved onto the last corner that does: lines of zero length change nothing.


def _points(shares: Array, accuracies: Array, weak: Array, strong: Array) -> tuple[Array, Array]:
    """Return strong share and PGR by cost, the best first among equal costs, with the point (0, weak)."""
    if shares.ndim != 2 or not (shares.shape == accuracies.shape and (len(shares),) == weak.shape == strong.shape):
        raise ValueError("shares and accuracies must have shape (R, K), weak and strong (R,)")
    if not all(np.isfinite(values).all() for values in (shares, accuracies, weak, strong)) or (shares < 0).any():
        raise ValueError("shares and accuracies must be finite, and shares not negative")
    gap = np.where(strong > weak, strong - weak, np.nan)
    x = np.round(np.insert(shares, 0, 0, axis=1), DECIMALS)
    y = np.round((np.insert(accuracies, 0, weak, axis=1) - weak[:, None]) / gap[:, None], DECIMALS)
    order = np.lexsort((-y, x))
    return np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)


def _envelope(shares: Array, accuracies: Array, weak: Array, strong: Array) -> tuple[Array, Array]:
    x, y = _points(shares, accuracies, weak, strong)
    return _through(x, y, y[:, 1:] > np.maximum.accumulate(y, axis=1)[:, :-1])


def _by_cost(shares: Array, accuracies: Array, weak: Array, strong: Array) -> tuple[Array, Array]:
    x, y = _points(shares, accuracies, weak, strong)
    return _through(x, y, np.diff(x) > 0)


def _through(x: Array, y: Array, counts: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Move every point that does not count onto the last one before it that does; the first counts."""
    corner = np.where(np.insert(counts, 0, True, axis=1), np.arange(x.shape[1]), 0)
    corner = np.maximum.accumulate(corner, axis=1)
    return np.take_along_axis(x, corner, 1), np.take_along_axis(y, corner, 1)


def _crossings(x: Array, y: Array) -> Array:
    """Return the share at which each line first reaches each of LEVELS: (R, 100), NaN where it does not."""
    reached = y[:, None, :] >= LEVELS[:, None]
    after = reached.argmax(axis=2)
    before = np.maximum(after - 1, 0)
    x0, x1, y0, y1 = (np.take_along_axis(values, i, 1) for values in (x, y) for i in (before, after))
    crossing = x0 + (x1 - x0) * (LEVELS - y0) / np.where(y1 > y0, y1 - y0, 1)
    return np.where(reached.any(axis=2), crossing, np.nan)


def _crossings_extrapolated(x: Array, y: Array) -> Array:
    """Do as `_crossings`, but let the last line go on; NaN where it does not rise."""
    start = np.maximum((x < x[:, -1:]).sum(axis=1, keepdims=True) - 1, 0)
    run, rise = (v[:, -1:] - np.take_along_axis(v, start, 1) for v in (x, y))
    beyond = x[:, -1:] + (LEVELS - y[:, -1:]) * run / np.where(rise > 0, rise, np.nan)
    crossings = _crossings(x, y)
    return np.where(np.isnan(crossings), beyond, crossings)


def _heights(x: Array, y: Array, at: Array) -> Array:
    """Return the PGR of each line at its own shares: `at` and result have shape (R, M)."""
    before = (x[:, None, :] <= at[:, :, None]).sum(axis=2) - 1
    after = np.minimum(before + 1, x.shape[1] - 1)
    x0, x1, y0, y1 = (np.take_along_axis(values, i, 1) for values in (x, y) for i in (before, after))
    return y0 + (y1 - y0) * (at - x0) / np.where(x1 > x0, x1 - x0, np.inf)


def _mean_height(x: Array, y: Array) -> Array:
    """Return the integral of each line over shares from 0 to 1, shape (R,)."""
    knots = np.append(np.minimum(x, 1), np.ones((len(x), 1)), axis=1)
    return np.asarray(np.trapezoid(_heights(x, y, knots), knots, axis=1))


# --- metrics ----------------------------------------------------------------------------


def _cpts(crossings: Array) -> tuple[Array, Array, Array]:
    return crossings[:, 49], crossings[:, 79], crossings[:, 94]


def _delta_ibc(costs: Array, weak: Array, strong: Array) -> Array:
    """Return the mean of p / c(p) - 1, NaN where strong <= weak."""
    mean = (LEVELS / np.maximum(costs, SMALLEST_SHARE)).mean(axis=1) - 1
    return np.where(strong > weak, mean, np.nan)


def _rows(*values: float | Sequence[float]) -> tuple[Array, ...]:
    """Return each argument with a leading axis of length 1."""
    return tuple(np.asarray(value, dtype=np.float64)[None] for value in values)


def _single(samples: MetricSamples) -> Metrics:
    values = {field.name: float(getattr(samples, field.name)[0]) for field in fields(samples)}
    return Metrics(
        **{name: None if np.isnan(value) else value for name, value in values.items()},
        reason="strong <= weak" if samples.share_without_gap else "",
    )
