"""Choose an operating point for a budget, an accuracy or a price, on one split, and check it on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trim.config.experiment import Bootstrap
from trim.deploy.manifest import Interval, Measure
from trim.errors import InputError
from trim.evaluation.bootstrap import Bounds, Resampled, bounds
from trim.evaluation.prices import Vector, spent
from trim.evaluation.study import CURVE, Study, Sweep, measure, study

if TYPE_CHECKING:
    import pandas as pd

DOLLARS = "dollars"
LABELS: Mapping[str, str] = {
    "accuracy": "accuracy",
    "accuracy_share": "accuracy, of what the strong model alone reaches",
    "strong_share": "strong tokens, of what the strong model alone writes",
    "dollars_per_1k": "dollars for 1,000 problems",
}
"""What is measured of an operating point."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an operating point shall keep.

    Attributes
    ----------
    measure
        What is bounded.
    bound
        The most of it, or the least where it is accuracy.
    cautious
        Whether the interval has to keep the bound where it is chosen, not the estimate alone.
    """

    measure: Measure
    bound: float
    cautious: bool = False

    @property
    def is_most(self) -> bool:
        """Whether the bound is the most."""
        return self.measure != "accuracy_share"

    @property
    def name(self) -> str:
        """How names of points that were chosen for it end."""
        word = {"strong_share": "budget", "accuracy_share": "accuracy", "dollars_per_1k": "dollars"}[self.measure]
        return f"{word}-{self.bound if self.measure == 'dollars_per_1k' else 100 * self.bound:g}"

    def said(self) -> str:
        """Say it in words."""
        shown = f"{self.bound:g}" if self.measure == "dollars_per_1k" else f"{self.bound:.4g}"
        return f"{LABELS[self.measure]}: {'at most' if self.is_most else 'at least'} {shown}"

    def kept(self, found: Bounds) -> bool:
        """Tell whether a point may be chosen."""
        if self.is_most:
            return (found.hi if self.cautious else found.value) <= self.bound
        return (found.lo if self.cautious else found.value) >= self.bound

    def verdict(self, found: Bounds) -> Literal["holds", "undecided", "fails"]:
        """Say whether the bound holds, by the interval: what it does not exclude stays undecided."""
        low, high = (found.lo, found.hi) if self.is_most else (-found.hi, -found.lo)
        bound = self.bound if self.is_most else -self.bound
        if high <= bound:
            return "holds"
        return "fails" if low > bound else "undecided"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An operating point, and what was measured of it: each number with its resamples."""

    trained_on: str
    router: str
    variant: str
    run: int
    setting: float
    numbers: Mapping[str, Resampled]

    @property
    def key(self) -> tuple[str, str, str, int, float]:
        """What tells points apart."""
        return self.trained_on, self.router, self.variant, self.run, self.setting

    def intervals(self, level: float) -> dict[str, Interval]:
        """Return what was measured, with intervals."""
        return {name: as_interval(bounds(number, level)) for name, number in self.numbers.items()}


def as_interval(found: Bounds) -> Interval:
    """Return an estimate and its interval as JSON has them: null where there is no number."""
    value, low, high = (float(end) if np.isfinite(end) else None for end in found)
    return Interval(value=value, lo=low, hi=high)


def candidates(
    episodes: pd.DataFrame, settings: Bootstrap, seed: int | str, prices: Vector | None = None
) -> list[Candidate]:
    """Return all operating points of one dataset's episodes, under the resamples that they share.

    Parameters
    ----------
    episodes
        With both models alone among them.
    prices
        Dollars by quantity, where points are to have a price.
    """
    names: tuple[str, ...] = CURVE
    if prices is not None:
        episodes = episodes.assign(**{DOLLARS: spent(episodes, [prices])[:, 0]})
        names = (*CURVE, DOLLARS)
    data = study(measure(episodes, names), settings, f"{seed}/{episodes['dataset'].iloc[0]}")
    return [point for sweep in data.sweeps if sweep.router != "random-query" for point in _points(data, sweep)]


def _points(data: Study, sweep: Sweep) -> list[Candidate]:
    share, accuracy = data.curve(sweep)
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = {"accuracy": accuracy, "accuracy_share": accuracy / data.strong[:, None], "strong_share": share}
    if DOLLARS in sweep.values:
        numbers["dollars_per_1k"] = 1000 * data.mean(sweep.values[DOLLARS])
    return [
        Candidate(*sweep.key, setting, {name: number[:, i] for name, number in numbers.items()})
        for i, setting in enumerate(sweep.settings)
    ]


def choose(points: Sequence[Candidate], target: Target, level: float) -> Candidate:
    """Return the most accurate point within a budget or price, or the cheapest one of an accuracy.

    Raises
    ------
    InputError
        If none keeps the bound; says which comes nearest.
    """
    kept = [point for point in points if target.kept(bounds(point.numbers[target.measure], level))]
    if not kept:
        ends = [bounds(point.numbers[target.measure], level) for point in points]
        least, most = (
            min(e.hi if target.cautious else e.value for e in ends),
            max(e.lo if target.cautious else e.value for e in ends),
        )
        reached = least if target.is_most else most
        raise InputError(
            f"none of {len(points)} operating points keeps {target.said()}; the nearest reaches {reached:.4g}: ask for "
            "that, or fit more points (routers.operating_points, routers.kappa)"
        )

    def order(point: Candidate) -> tuple[float, float]:
        accuracy, share = float(point.numbers["accuracy"][0]), float(point.numbers["strong_share"][0])
        return (-accuracy, share) if target.is_most else (share, -accuracy)

    return min(kept, key=order)
