"""What common random numbers buy: routers compared on the same samples of a problem, against other samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trim.config.experiment import Bootstrap
from trim.evaluation.ablations import LOOKING_AHEAD, THR
from trim.evaluation.bootstrap import resample_counts, resampled_mean
from trim.evaluation.study import CURVE, Measured, Reading, measure, nearest, resample

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

SHARES = (0.1, 0.2, 0.3)
SAME, OTHER, UNPAIRED = "same replicate", "another replicate", "other problems"
COLUMNS = [
    "dataset",
    "router",
    "variant",
    "seed",
    "operating_point",
    "strong_share",
    "other_router",
    "other_variant",
    "other_seed",
    "other_operating_point",
    "other_strong_share",
    "wanted_share",
    "problems",
    "measure",
    "sampling",
    *(f"{name}{end}" for name in ("standard_error", "problems_factor") for end in ("", "_lo", "_hi")),
]


def sampling(dev: pd.DataFrame, settings: Bootstrap, seed: int) -> pd.DataFrame:
    """Compare, on dev, the standard errors of a difference of accuracies under three ways of sampling.

    Each router that looks ahead is compared with TRIM-Thr, at the operating points of both that are nearest to
    a strong share: on the same replicate (the same drafts at the same prefixes, as everywhere in this project),
    on another replicate of the same problems (independent sampling), and on other problems altogether.
    Standard errors are those of one replicate; without two replicates there are no rows.

    Returns
    -------
    `problems_factor`: how many times as many problems this way of sampling needs, for the same standard error,
    as the same replicate does.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for dataset, part in dev.groupby("dataset", sort=True):
        if part["replicate"].nunique() > 1:
            problems = part["problem_id"].nunique()
            counts = resample_counts(problems, settings.resamples, f"{seed}/{dataset}/dev")
            head = {"dataset": dataset, "problems": problems, "measure": "standard error of the difference"}
            rows += ({**head, **row} for row in _rows(part, counts, settings.level))
    return pd.DataFrame(rows, columns=COLUMNS)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sweep, replicate by replicate: strong shares (points,), and who was right (replicates, points, problems)."""

    sweep: Measured
    shares: Array
    correct: Array

    def at(self, wanted: float) -> int | None:
        """Return the operating point nearest to a strong share."""
        return nearest(self.shares, wanted)


def _sampled(dev: pd.DataFrame) -> list[Sampled]:
    """Arrange the episodes of one dataset by sweep and replicate."""
    replicates = [resample(measure(part, CURVE)) for _, part in dev.groupby("replicate", sort=True)]
    sampled = []
    for sweeps in zip(*(part.sweeps for part in replicates), strict=True):
        shares = [part.curve(sweep)[0][0] for part, sweep in zip(replicates, sweeps, strict=True)]
        correct = np.stack([sweep.values["correct"] for sweep in sweeps])
        sampled.append(Sampled(sweeps[0], np.mean(shares, axis=0), correct))
    return sampled


def _rows(dev: pd.DataFrame, counts: Array, level: float) -> Iterator[dict[str, Any]]:
    sampled = _sampled(dev)
    references = [side for side in sampled if (side.sweep.router, side.sweep.variant) == THR]
    looking = [side for side in sampled if (side.sweep.router, side.sweep.variant) in LOOKING_AHEAD]
    for ours, theirs, wanted in product(looking, references, SHARES):
        i, k = ours.at(wanted), theirs.at(wanted)
        if i is None or k is None:
            continue
        head = dict(zip(COLUMNS[1:4], ours.sweep.key[1:], strict=True)) | theirs.sweep.as_other
        head |= {"operating_point": ours.sweep.settings[i], "strong_share": ours.shares[i], "wanted_share": wanted}
        head |= {"other_operating_point": theirs.sweep.settings[k], "other_strong_share": theirs.shares[k]}
        outcomes = ours.correct[:, i], theirs.correct[:, k]
        errors, drawn = (standard_errors(*outcomes, weights) for weights in (np.ones_like(counts[:1]), counts))
        for name in errors:
            with np.errstate(divide="ignore", invalid="ignore"):
                factor, factors = ((found[name] / found[SAME]) ** 2 for found in (errors, drawn))
            yield {
                **head,
                "sampling": name,
                **Reading(float(errors[name][0]), drawn[name]).columns("standard_error", level),
                **Reading(float(factor[0]), factors).columns("problems_factor", level),
            }


def standard_errors(ours: Array, theirs: Array, counts: Array) -> dict[str, Array]:
    """Return the standard errors of the mean of `ours - theirs` by way of sampling, each on every resample.

    Parameters
    ----------
    ours, theirs
        Shape (replicates, problems), at least two replicates; outcomes of two routers on the same samples.
    counts
        Shape (resamples, problems), as of `resample_counts`.
    """
    apart = ours[:, None] - theirs[None]
    same = np.eye(len(ours), dtype=bool)
    variances = {
        SAME: _variance(apart[same], counts),
        OTHER: _variance(apart[~same], counts),
        UNPAIRED: _variance(ours, counts) + _variance(theirs, counts),
    }
    return {name: np.sqrt(variance / ours.shape[1]) for name, variance in variances.items()}


def _variance(values: Array, counts: Array) -> Array:
    """Variance over problems, averaged over the rows (rows, problems) of values, on every resample."""
    spread: Array = resampled_mean(values**2, counts) - resampled_mean(values, counts) ** 2
    return np.asarray(spread.clip(min=0).mean(axis=1))
