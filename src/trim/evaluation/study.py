"""One dataset under a bootstrap: its sweeps, and the resamples that all its routers share. What every table reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Bytes, Floats
from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.bootstrap import Resampled, holm, resample_counts, resampled_mean
from trim.evaluation.curves import Metrics, Reading, delta_ibc_by_band, pgr_at, read_envelope
from trim.files import read_parquet
from trim.layouts import EPISODES, READ
from trim.names import END_POINTS, variants

if TYPE_CHECKING:
    import pandas as pd

SweepKey = tuple[str, str, str, int]
"""What tells sweeps apart: dataset trained on, router, variant, training run."""

CURVE = ("correct", "strong_tokens")
"""What a curve of accuracy against strong share is made of."""

MEASURED = (*CURVE, "weak_tokens", "discarded_tokens", "prm_tokens", "strong_prefill_tokens", "strong_calls")
SWEEP = ["trained_on", "router", "variant", "seed"]
PAIR = [*SWEEP[1:], "other_router", "other_variant", "other_seed"]
"""Two sweeps that were fitted on the same dataset."""

EPISODE = ["dataset", *SWEEP, "operating_point", "problem_id", "replicate"]
CURVE_COLUMNS = [*EPISODE, *CURVE]
"""What is read of episodes where curves alone are of interest."""

RANDOM_QUERY_SHARES = tuple(round(0.1 * i, 1) for i in range(1, 11))
HEADLINE_METRICS = ("delta_ibc", "cpt50", "cpt80", "cpt95")

NEAR = 0.05
"""An operating point stands for a strong share this far away at most."""


@dataclass(frozen=True)
class Sweep:
    """What a router did on one dataset: every measured quantity, shape (points, problems), means over replicates."""

    trained_on: str
    router: str
    variant: str
    seed: int
    settings: tuple[float, ...]
    values: Mapping[str, Floats]

    @property
    def key(self) -> SweepKey:
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


def measure(episodes: pd.DataFrame, names: Sequence[str] = MEASURED) -> list[Sweep]:
    """Arrange the episodes of one dataset by sweep, and add query-level random mixing.

    Parameters
    ----------
    names
        The quantities to keep.

    Raises
    ------
    InputError
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
            raise InputError(
                f"{router} ({variant}), trained on {trained_on}, was not evaluated on every problem of "
                f"{part['dataset'].iloc[0]} that other routers were: delete its episodes and run it again"
            )
        sweeps.append(Sweep(str(trained_on), str(router), str(variant), int(seed), settings, values))
    return [*sweeps, _random_query(sweeps)]


def _random_query(sweeps: Sequence[Sweep]) -> Sweep:
    """Send each problem whole to the strong model with a fixed probability: the exact expectation, no sampling."""
    weak, strong = (_end_point(sweeps, name).values for name in END_POINTS)
    share = np.array(RANDOM_QUERY_SHARES)[:, None]
    values = {name: (1 - share) * weak[name] + share * strong[name] for name in weak}
    return Sweep("untrained", "random-query", "default", 0, RANDOM_QUERY_SHARES, values)


def _end_point(sweeps: Sequence[Sweep], router: str) -> Sweep:
    return next(sweep for sweep in sweeps if sweep.router == router)


@dataclass(frozen=True)
class Study:
    """Sweeps of one dataset under the same resamples.

    Attributes
    ----------
    counts
        How often each problem is drawn, shape (1 + resamples, problems); the first row of ones gives the estimates.
    cost
        The quantity that counts as cost: the paper's, or one of `evaluation/prices.py`.
    """

    sweeps: Sequence[Sweep]
    counts: Bytes
    cost: str = "strong_tokens"

    @cached_property
    def weak(self) -> Resampled:
        """Accuracy of the weak model alone."""
        return self.mean(_end_point(self.sweeps, END_POINTS[0]).values["correct"][0])

    @cached_property
    def strong(self) -> Resampled:
        """Accuracy of the strong model alone."""
        return self.mean(_end_point(self.sweeps, END_POINTS[1]).values["correct"][0])

    @cached_property
    def strong_tokens(self) -> Resampled:
        """Mean tokens of the strong model alone."""
        return self.mean(_end_point(self.sweeps, END_POINTS[1]).values["strong_tokens"][0])

    @cached_property
    def span(self) -> Resampled:
        """What the strong model alone costs beyond the weak one."""
        weak, strong = (_end_point(self.sweeps, name).values[self.cost][0] for name in END_POINTS)
        return self.mean(strong - weak)

    @property
    def problems(self) -> int:
        """Their number."""
        return int(self.counts.shape[1])

    def mean(self, values: Floats) -> Floats:
        """Return means over problems: values (n,) give a number, values (K, n) K numbers, (1 + resamples, K)."""
        return resampled_mean(values, self.counts)

    def curves(self) -> Iterator[Sweep]:
        """Yield the sweeps that have a curve: all but the end points."""
        yield from (sweep for sweep in self.sweeps if sweep.router not in END_POINTS)

    def find(self, router: str, variant: str = "", trained_on: str = "") -> list[Sweep]:
        """Return the training runs of a router's variant, without one of the first that there is.

        Parameters
        ----------
        trained_on
            Leaves out runs that were fitted on other datasets.
        """
        there = [sweep for sweep in self.curves() if sweep.router == router]
        if trained_on:
            there = [sweep for sweep in there if sweep.trained_on in ("untrained", trained_on)]
        wanted = [variant] if variant else variants(router)
        runs = ([sweep for sweep in there if sweep.variant == name] for name in wanted)
        return next(filter(None, runs), [])

    def curve(self, sweep: Sweep) -> tuple[Floats, Floats]:
        """Return cost shares and accuracies, both of shape (1 + resamples, points).

        At the paper's cost they are strong shares; otherwise shares of what strong costs beyond weak.

        Raises
        ------
        InputError
            If the strong model alone used no token on a resample.
        """
        beyond = sweep.values[self.cost] - _end_point(self.sweeps, END_POINTS[0]).values[self.cost]
        # One product instead of two: this is where a bootstrap spends its time.
        spent, accuracies = np.split(self.mean(np.vstack([beyond, sweep.values["correct"]])), 2, axis=1)
        if not (self.span > 0).all():
            raise InputError(
                "the strong model alone decoded no tokens, so strong shares are not defined: is it served at all?"
            )
        return np.maximum(spent / self.span[:, None], 0), accuracies

    @cached_property
    def metrics(self) -> Mapping[SweepKey, Metrics]:
        """The metrics of every curve, read as its envelope."""
        return {sweep.key: self.read(sweep) for sweep in self.curves()}

    def read(self, sweep: Sweep, reading: Reading = read_envelope) -> Metrics:
        """Read the metrics of a curve."""
        return reading(*self.curve(sweep), self.weak, self.strong)

    def pgr(self, sweep: Sweep, shares: Sequence[float]) -> list[Resampled]:
        """Read the PGR of a curve's envelope at strong shares."""
        return list(pgr_at(*self.curve(sweep), self.weak, self.strong, shares).T)

    def bands(self, sweep: Sweep) -> list[Resampled]:
        """Split the delta IBC of a curve's envelope into bands of PGR."""
        return list(delta_ibc_by_band(*self.curve(sweep), self.weak, self.strong).T)

    def accuracy(self, pgr: Resampled) -> Resampled:
        """Return the accuracy that a PGR stands for; undefined where strong <= weak, as PGR is."""
        return self.weak + pgr * (self.strong - self.weak)


def study(sweeps: Sequence[Sweep], settings: Bootstrap | None = None, seed: str = "") -> Study:
    """Put the sweeps of a dataset under resamples drawn from a seed; without settings, there are estimates alone."""
    problems = sweeps[0].values["correct"].shape[1]
    return Study(sweeps, resample_counts(problems, settings.resamples if settings else 0, seed))


def studies(episodes: pd.DataFrame, settings: Bootstrap, seed: int | str) -> dict[str, Study]:
    """Study the curves of every dataset, on the same resamples in every table."""
    return {
        str(dataset): study(measure(part, CURVE), settings, f"{seed}/{dataset}")
        for dataset, part in episodes.groupby("dataset", sort=True)
    }


def studies_by_prm(paths: Iterable[str], settings: Bootstrap, seed: int) -> dict[str, Study]:
    """Study routers that were fitted with other PRMs: a file a PRM, named after it, with episodes on one dataset.

    Resamples are those of `studies`, so that PRMs are compared as pairs.
    """
    found = {Path(path).stem: studies(read_episodes([path], CURVE_COLUMNS), settings, seed) for path in paths}
    return {prm: data for prm, of_prm in found.items() for data in of_prm.values()}


def nearest(shares: Floats, wanted: float) -> int | None:
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

    layout = {**EPISODES, **READ} if set(READ) & set(columns or ()) else EPISODES
    return pd.concat([read_parquet(path, layout, columns) for path in paths], ignore_index=True)


def read_dev_episodes(paths: Iterable[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read episodes on dev, of routers fitted on the dataset that they were run on, and of the models alone.

    The files lack the column `trained_on`, which it adds; each holds the models alone, of which one copy is kept.
    """
    dev = read_episodes(paths, columns and [name for name in columns if name != "trained_on"])
    alone = dev["router"].isin(END_POINTS)
    again = alone & dev.duplicated(["dataset", "router", "problem_id", "replicate"])
    return dev.assign(trained_on=dev["dataset"].mask(alone, "untrained"))[~again].reset_index(drop=True)
