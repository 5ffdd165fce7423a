"""Read curves of accuracy against strong share: CPT, delta IBC and APGR (paper, section 3).

Two readings, never mixed:

- `envelope`, ours: straight lines through the points that no other point dominates (is at
  least as accurate at no higher cost), from (0, weak accuracy); nothing is extrapolated.
- `paper`, to compare with published figures: straight lines through all points in order of
  cost, from (0, weak accuracy); the last line is extrapolated.

Everything is computed for R curves of K points at once, so that a bootstrap is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from trim.arrays import Booleans, Floats

LEVELS: Floats = np.arange(1, 101) / 100
"""PGR at the upper ends of the 100 performance regions of delta IBC."""

CPTS = {"cpt50": 50, "cpt80": 80, "cpt95": 95}
"""Percent of the gap that a curve must recover for each CPT."""

BANDS = ((0, 20), (20, 40), (40, 60), (60, 80), (80, 100))
"""Percent of the gap between which delta IBC is split; the lower end belongs to the band before."""

METRICS = (*CPTS, "delta_ibc", "apgr")
"""What a curve is worth.

- `cpt50`, `cpt80`, `cpt95`: strong share at which it reaches that PGR; infinite where it does not.
- `delta_ibc`: mean of p / c(p) - 1 over p = 1 ... 100 % PGR: 0 for mixing the two models at random.
- `apgr`: mean PGR over strong shares from 0 to 1; undefined in the `paper` reading, which has none.

All of them are undefined (NaN) where strong <= weak.
"""

Metrics = Mapping[str, Floats]
"""Each of METRICS for R curves, shape (R,)."""

Reading = Callable[[Floats, Floats, Floats, Floats], Metrics]

SMALLEST_SHARE = 1e-4
"""Delta IBC divides by a strong share; smaller ones, as of a gain that cost nothing, count as this."""

DECIMALS = 9
"""Shares and PGR are rounded to these, so that a tie or a level just reached does not depend on float noise."""


def read_envelope(shares: Floats, accuracies: Floats, weak: Floats, strong: Floats) -> Metrics:
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
    height = _mean_height(*_envelope(*with_strong, weak, strong))
    return _metrics(crossings, np.minimum(crossings, 1), height, weak, strong)


def read_as_paper(shares: Floats, accuracies: Floats, weak: Floats, strong: Floats) -> Metrics:
    """Read curves as the paper does (reconstructed from its figures and tables).

    Where even the extrapolation does not reach a level, because the last line does not rise, CPT is
    infinite and delta IBC takes c = 1. Of points at equal cost the most accurate one counts.

    Parameters, errors: as of `read_envelope`.
    """
    crossings = _crossings_extrapolated(*_by_cost(shares, accuracies, weak, strong))
    costs = np.where(np.isinf(crossings), 1, crossings)
    return _metrics(crossings, costs, np.full(len(shares), np.nan), weak, strong)


READINGS: Mapping[str, Reading] = {"envelope": read_envelope, "paper": read_as_paper}


def pgr_at(shares: Floats, accuracies: Floats, weak: Floats, strong: Floats, at: Sequence[float]) -> Floats:
    """Return the PGR of R envelopes at M strong shares: shape (R, M), NaN where strong <= weak.

    Beyond its last point an envelope stays flat.

    Parameters
    ----------
    shares, accuracies, weak, strong
        As of `read_envelope`.
    at
        Shape (M,); strong shares, not negative.
    """
    x, y = _envelope(shares, accuracies, weak, strong)
    return _heights(x, y, np.broadcast_to(np.asarray(at, dtype=np.float64), (len(x), len(at))))


def delta_ibc_by_band(shares: Floats, accuracies: Floats, weak: Floats, strong: Floats) -> Floats:
    """Return the parts of the delta IBC of R envelopes that lie in each of BANDS: shape (R, 5), NaN as it.

    They add up to delta IBC: each is the sum of p / c(p) - 1 over the levels p of a band, divided by 100.

    Parameters, errors: as of `read_envelope`.
    """
    crossings = np.minimum(_crossings(*_envelope(shares, accuracies, weak, strong)), 1)
    gains = LEVELS / np.maximum(crossings, SMALLEST_SHARE) - 1
    parts = np.stack([gains[:, low:high].sum(axis=1) for low, high in BANDS], axis=1) / len(LEVELS)
    return np.where((strong > weak)[:, None], parts, np.nan)


# --- lines ------------------------------------------------------------------------------
# A line is x, y of shape (R, K + 1): strong share and PGR of its corners, by cost. Points that do
# not count are moved onto the last corner that does: lines of zero length change nothing.


def _points(shares: Floats, accuracies: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats]:
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


def _envelope(shares: Floats, accuracies: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats]:
    x, y = _points(shares, accuracies, weak, strong)
    return _through(x, y, y[:, 1:] > np.maximum.accumulate(y, axis=1)[:, :-1])


def _by_cost(shares: Floats, accuracies: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats]:
    x, y = _points(shares, accuracies, weak, strong)
    return _through(x, y, np.diff(x) > 0)


def _through(x: Floats, y: Floats, counts: Booleans) -> tuple[Floats, Floats]:
    """Move every point that does not count onto the last one before it that does; the first counts."""
    corner = np.where(np.insert(counts, 0, True, axis=1), np.arange(x.shape[1]), 0)
    corner = np.maximum.accumulate(corner, axis=1)
    return np.take_along_axis(x, corner, 1), np.take_along_axis(y, corner, 1)


def _crossings(x: Floats, y: Floats) -> Floats:
    """Return the share at which each line first reaches each of LEVELS: (R, 100), infinite where it does not."""
    reached = y[:, None, :] >= LEVELS[:, None]
    after = reached.argmax(axis=2)
    before = np.maximum(after - 1, 0)
    x0, x1, y0, y1 = (np.take_along_axis(values, i, 1) for values in (x, y) for i in (before, after))
    crossing = x0 + (x1 - x0) * (LEVELS - y0) / np.where(y1 > y0, y1 - y0, 1)
    return np.where(reached.any(axis=2), crossing, np.inf)


def _crossings_extrapolated(x: Floats, y: Floats) -> Floats:
    """Do as `_crossings`, but let the last line go on; infinite where it does not rise."""
    start = np.maximum((x < x[:, -1:]).sum(axis=1, keepdims=True) - 1, 0)
    run, rise = (v[:, -1:] - np.take_along_axis(v, start, 1) for v in (x, y))
    beyond = np.where(rise > 0, x[:, -1:] + (LEVELS - y[:, -1:]) * run / np.where(rise > 0, rise, 1), np.inf)
    crossings = _crossings(x, y)
    return np.where(np.isinf(crossings), beyond, crossings)


def _heights(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return the PGR of each line at its own shares: `at` and result have shape (R, M)."""
    before = (x[:, None, :] <= at[:, :, None]).sum(axis=2) - 1
    after = np.minimum(before + 1, x.shape[1] - 1)
    x0, x1, y0, y1 = (np.take_along_axis(values, i, 1) for values in (x, y) for i in (before, after))
    return y0 + (y1 - y0) * (at - x0) / np.where(x1 > x0, x1 - x0, np.inf)


def _mean_height(x: Floats, y: Floats) -> Floats:
    """Return the integral of each line over shares from 0 to 1, shape (R,)."""
    knots = np.append(np.minimum(x, 1), np.ones((len(x), 1)), axis=1)
    return np.asarray(np.trapezoid(_heights(x, y, knots), knots, axis=1))


# --- metrics ----------------------------------------------------------------------------


def _metrics(crossings: Floats, costs: Floats, apgr: Floats, weak: Floats, strong: Floats) -> Metrics:
    """Return METRICS from the shares that reach each of LEVELS, and those that delta IBC divides by, (R, 100)."""
    found = {name: crossings[:, percent - 1] for name, percent in CPTS.items()}
    found["delta_ibc"] = (LEVELS / np.maximum(costs, SMALLEST_SHARE)).mean(axis=1) - 1
    found["apgr"] = apgr
    return {name: np.where(strong > weak, values, np.nan) for name, values in found.items()}
