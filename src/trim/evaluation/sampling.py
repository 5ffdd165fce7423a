"""What common random numbers buy: routers compared on the same samples of a problem, against other samples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Bytes, Floats
from trim.config.experiment import Bootstrap
from trim.evaluation.ablations import looking_ahead
from trim.evaluation.bootstrap import Resampled, column_names, columns, resample_counts, resampled_mean
from trim.evaluation.study import CURVE, Sweep, measure, nearest, study
from trim.names import THRESHOLD

if TYPE_CHECKING:
    import pandas as pd

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
    *(column for name in ("standard_error", "problems_factor") for column in column_names(name)),
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


def _by_replicate(dev: pd.DataFrame) -> Iterator[tuple[Sweep, Floats, Floats]]:
    """Yield every sweep, its strong shares (points,), and who was right (replicates, points, problems)."""
    replicates = [study(measure(part, CURVE)) for _, part in dev.groupby("replicate", sort=True)]
    for sweeps in zip(*(data.sweeps for data in replicates), strict=True):
        shares = [data.curve(sweep)[0][0] for data, sweep in zip(replicates, sweeps, strict=True)]
        yield sweeps[0], np.mean(shares, axis=0), np.stack([sweep.values["correct"] for sweep in sweeps])


def _rows(dev: pd.DataFrame, counts: Bytes, level: float) -> Iterator[dict[str, Any]]:
    read = list(_by_replicate(dev))
    references = [found for found in read if (found[0].router, found[0].variant) == THRESHOLD]
    looking = [found for found in read if (found[0].router, found[0].variant) in looking_ahead()]
    for (ours, shares, right), (theirs, other_shares, other_right), wanted in product(looking, references, SHARES):
        i, k = nearest(shares, wanted), nearest(other_shares, wanted)
        if i is None or k is None:
            continue
        head = dict(zip(COLUMNS[1:4], ours.key[1:], strict=True)) | theirs.as_other
        head |= {"operating_point": ours.settings[i], "strong_share": shares[i], "wanted_share": wanted}
        head |= {"other_operating_point": theirs.settings[k], "other_strong_share": other_shares[k]}
        errors = standard_errors(right[:, i], other_right[:, k], counts)
        for name, error in errors.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = (error / errors[SAME]) ** 2
            measured = columns("standard_error", error, level) | columns("problems_factor", factor, level)
            yield {**head, "sampling": name, **measured}


def standard_errors(ours: Floats, theirs: Floats, counts: Bytes) -> dict[str, Resampled]:
    """Return the standard errors of the mean of `ours - theirs` by way of sampling.

    Parameters
    ----------
    ours, theirs
        Shape (replicates, problems), at least two replicates; outcomes of two routers on the same samples.
    counts
        Shape (1 + resamples, problems), as of `resample_counts`.
    """
    apart = ours[:, None] - theirs[None]
    same = np.eye(len(ours), dtype=bool)
    variances = {
        SAME: _variance(apart[same], counts),
        OTHER: _variance(apart[~same], counts),
        UNPAIRED: _variance(ours, counts) + _variance(theirs, counts),
    }
    return {name: np.sqrt(variance / ours.shape[1]) for name, variance in variances.items()}


def _variance(values: Floats, counts: Bytes) -> Floats:
    """Variance over problems, averaged over the rows (rows, problems) of values, on every resample."""
    spread: Floats = resampled_mean(values**2, counts) - resampled_mean(values, counts) ** 2
    return np.asarray(spread.clip(min=0).mean(axis=1))
