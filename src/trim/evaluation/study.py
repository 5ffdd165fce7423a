"""Sweeps on one dataset, as measured and under the resamples that all its routers share: what every table reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import (
    Sweep,
    cpt_difference,
    cpt_interval,
    difference,
    holm,
    interval,
    resample_counts,
    resampled_curve,
    resampled_mean,
)
from trim.evaluation.curves import MetricSamples, envelope_samples, pgr_at
from trim.names import END_POINTS

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Read = Callable[[Array, Array, Array, Array], MetricSamples]

MEASURED = (
    "correct",
    "strong_tokens",
    "weak_tokens",
    "discarded_tokens",
    "prm_tokens",
    "strong_prefill_tokens",
    "strong_calls",
)
SWEEP = ["trained_on", "router", "variant", "seed"]
PAIR = [*SWEEP[1:], "other_router", "other_variant", "other_seed"]
"""Two sweeps that were fitted on the same dataset."""

EPISODE = ["dataset", *SWEEP, "operating_point", "problem_id", "replicate"]
RANDOM_QUERY_SHARES = tuple(round(0.1 * i, 1) for i in range(1, 11))
METRICS = ("cpt50", "cpt80", "cpt95", "delta_ibc", "apgr")
HEADLINE_METRICS = ("delta_ibc", "cpt50", "cpt80", "cpt95")
CURVE = ("correct", "strong_tokens")
"""What a curve of accuracy against strong share is made of."""

NEAR = 0.05
"""An operating point stands for a strong share this far away at most."""


@dataclass(frozen=True)
class Measured:
    """A sweep on one dataset: every measured quantity, shape (points, problems), means over replicates."""

    trained_on: str
    router: str
    variant: str
    seed: int
    settings: tuple[float, ...]
    values: Mapping[str, Array]

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells sweeps apart."""
        return self.trained_on, self.router, self.variant, self.seed

    @property
    def head(self) -> dict[str, Any]:
        """The key as columns."""
        return dict(zip(SWEEP, self.key, strict=True))

    @property
    def as_other(self) -> dict[str, Any]:
        """What tells the sweep from those trained on the same dataset, as columns of the one compared with."""
        return {"other_router": self.router, "other_variant": self.variant, "other_seed": self.seed}

    def as_sweep(self) -> Sweep:
        """Return what the metrics read."""
        return Sweep(correct=self.values["correct"], strong_tokens=self.values["strong_tokens"])


def measure(episodes: pd.DataFrame, names: Sequence[str] = MEASURED) -> list[Measured]:
    """Arrange the episodes of one dataset by sweep, and add query-level random mixing.

    Parameters
    ----------
    names
        The quantities to keep.

    Raises
    ------
    ValueError
        When a sweep lacks a problem that another one has.
    """
    sweeps = []
    problems = sorted(episodes["problem_id"].unique())
    for (trained_on, router, variant, seed), part in episodes.groupby(SWEEP, sort=True):
        means = part.groupby(["operating_point", "problem_id"])[list(names)].mean()
        settings = tuple(float(s) for s in sorted(part["operating_point"].unique()))
        grid = means.unstack("problem_id").reindex(index=list(settings))
        values = {name: grid[name].reindex(columns=problems).to_numpy(float) for name in names}
        if any(np.isnan(array).any() for array in values.values()):
            raise ValueError(f"{router} ({variant}) was not evaluated on every problem")
        sweeps.append(Measured(str(trained_on), str(router), str(variant), int(seed), settings, values))
    return [*sweeps, _random_query(sweeps)]


def _random_query(sweeps: Sequence[Measured]) -> Measured:
    """Send each problem whole to the strong model with a fixed probability: the exact expectation, no sampling."""
    weak, strong = (_end_point(sweeps, name).values for name in END_POINTS)
    share = np.array(RANDOM_QUERY_SHARES)[:, None]
    values = {name: (1 - share) * weak[name] + share * strong[name] for name in weak}
    return Measured("untrained", "random-query", "default", 0, RANDOM_QUERY_SHARES, values)


def _end_point(sweeps: Sequence[Measured], router: str) -> Measured:
    return next(sweep for sweep in sweeps if sweep.router == router)


@dataclass(frozen=True)
class Resampled:
    """Sweeps of one dataset under the same resamples.

    Attributes
    ----------
    counts
        How often each problem is drawn, shape (resamples, problems).
    weak, strong
        Accuracies of the models alone on each resample, shape (resamples,).
    strong_tokens
        Tokens of the strong model alone, by problem.
    """

    sweeps: Sequence[Measured]
    counts: Array
    weak: Array
    strong: Array
    strong_tokens: Array

    def curve(self, sweep: Measured) -> tuple[Array, Array]:
        """Shares and accuracies on every resample, each of shape (resamples, points)."""
        return resampled_curve(sweep.as_sweep(), self.counts, self.strong_tokens)

    def rows(self) -> Iterator[Measured]:
        """Yield the sweeps that have a curve: all but the end points."""
        yield from (sweep for sweep in self.sweeps if sweep.router not in END_POINTS)


def resample(sweeps: Sequence[Measured], counts: Array | None = None) -> Resampled:
    """Put sweeps under resamples; without `counts` every problem counts once: the estimates themselves."""
    weak, strong = (_end_point(sweeps, name).values for name in END_POINTS)
    counts = np.ones((1, weak["correct"].shape[1])) if counts is None else counts
    return Resampled(
        sweeps,
        counts,
        resampled_mean(weak["correct"][0], counts),
        resampled_mean(strong["correct"][0], counts),
        strong["strong_tokens"][0],
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """A quantity as measured, and on every resample.

    Attributes
    ----------
    estimate
        Empty (NaN) where it is not defined, or a CPT's level not reached.
    samples
        Shape (resamples,); empty where it is not defined, infinite where a CPT's level is not reached.
    is_cpt
        Whether it is a CPT.
    """

    estimate: float
    samples: Array
    is_cpt: bool = False

    def columns(self, name: str, level: float) -> dict[str, float]:
        """Return the estimate and its interval."""
        low, high, _ = (cpt_interval if self.is_cpt else interval)(self.samples, level)
        return {name: self.estimate, f"{name}_lo": low, f"{name}_hi": high}

    def against(self, other: Reading, level: float) -> dict[str, float]:
        """Return both values and their paired difference, with interval and p-value."""
        apart = (cpt_difference if self.is_cpt else difference)(self.samples, other.samples, level)
        ours, theirs = (
            np.inf if reading.is_cpt and np.isnan(reading.estimate) else reading.estimate for reading in (self, other)
        )
        return {
            "value": self.estimate,
            "other_value": other.estimate,
            "difference": ours - theirs if np.isfinite([ours, theirs]).any() else np.nan,
            "difference_lo": apart.lo,
            "difference_hi": apart.hi,
            "p_value": apart.p,
        }


@dataclass(frozen=True)
class Study:
    """One dataset: its sweeps as measured (`exact`), and under shared resamples (`drawn`)."""

    exact: Resampled
    drawn: Resampled

    @property
    def problems(self) -> int:
        """Their number."""
        return len(self.exact.strong_tokens)

    def find(self, router: str, variant: str) -> list[Measured]:
        """Return the sweeps of a router's variant: one for each dataset trained on and training run."""
        return [sweep for sweep in self.exact.sweeps if (sweep.router, sweep.variant) == (router, variant)]

    def metrics(self, sweep: Measured, read: Read = envelope_samples) -> dict[str, Reading]:
        """Read the headline metrics of a curve."""
        exact, drawn = (read(*data.curve(sweep), data.weak, data.strong) for data in (self.exact, self.drawn))
        defined = self.drawn.strong > self.drawn.weak
        readings = {}
        for name in METRICS:
            estimate, samples, is_cpt = float(getattr(exact, name)[0]), getattr(drawn, name), name.startswith("cpt")
            if is_cpt:
                samples = np.where(defined & np.isnan(samples), np.inf, samples)
            readings[name] = Reading(estimate, samples, is_cpt)
        return readings

    def pgr(self, sweep: Measured, shares: Sequence[float]) -> list[Reading]:
        """Read the PGR of a curve's envelope at strong shares."""
        exact, drawn = (pgr_at(*data.curve(sweep), data.weak, data.strong, shares) for data in (self.exact, self.drawn))
        return [Reading(float(exact[0, i]), drawn[:, i]) for i in range(len(shares))]

    def accuracy(self, pgr: Reading) -> Reading:
        """Return the accuracy that a PGR stands for; empty where strong <= weak, as PGR is."""
        exact, drawn = self.exact, self.drawn
        return Reading(
            float(exact.weak[0] + pgr.estimate * (exact.strong - exact.weak)[0]),
            drawn.weak + pgr.samples * (drawn.strong - drawn.weak),
        )


def study(sweeps: Sequence[Measured], settings: Bootstrap, seed: str) -> Study:
    """Put the sweeps of a dataset under resamples drawn from a seed."""
    counts = resample_counts(sweeps[0].values["correct"].shape[1], settings.resamples, seed)
    return Study(resample(sweeps), resample(sweeps, counts))


def studies(episodes: pd.DataFrame, settings: Bootstrap, seed: int) -> dict[str, Study]:
    """Study the curves of every dataset, on the same resamples in every table."""
    return {
        str(dataset): study(measure(part, CURVE), settings, f"{seed}/{dataset}")
        for dataset, part in episodes.groupby("dataset", sort=True)
    }


def nearest(shares: Array, wanted: float) -> int | None:
    """Return the index of the share nearest to the wanted one, the smaller of two; None where none is near."""
    order = np.lexsort((shares, np.round(np.abs(shares - wanted), 9)))
    return int(order[0]) if abs(shares[order[0]] - wanted) <= NEAR else None


def correct_for_multiplicity(table: pd.DataFrame, family: Sequence[str]) -> pd.DataFrame:
    """Add the column `p_corrected`: p-values after Holm's correction over the rows that share the columns `family`.

    A bootstrap of R resamples knows no p-value below 2 / (R + 1), so that a family of m comparisons shows none
    below 2 m / (R + 1): families must stay small.
    """
    corrected = table.groupby(list(family), sort=False)["p_value"].transform(lambda p: holm(p.to_numpy(float)))
    return table.assign(p_corrected=corrected.astype(float))


def read_episodes(paths: Iterable[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the episodes of several files, all columns or some."""
    import pandas as pd

    return pd.concat([pd.read_parquet(path, columns=columns) for path in paths], ignore_index=True)


def read_dev_episodes(paths: Iterable[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read episodes on dev, of routers fitted on the dataset that they were run on, and of the models alone.

    The files lack the column `trained_on`, which it adds; each holds the models alone, of which one copy is kept.
    """
    dev = read_episodes(paths, columns and [name for name in columns if name != "trained_on"])
    alone = dev["router"].isin(END_POINTS)
    again = alone & dev.duplicated(["dataset", "router", "problem_id", "replicate"])
    return dev.assign(trained_on=dev["dataset"].mask(alone, "untrained"))[~again].reset_index(drop=True)
