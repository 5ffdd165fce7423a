"""How well a PRM tells right steps from wrong ones (paper, appendix H)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from trim.arrays import Bytes, Integers
from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import Resampled, columns, resample_counts, resampled_sum

if TYPE_CHECKING:
    import pandas as pd

Measure = Callable[[ArrayLike, ArrayLike, Integers, Bytes], Resampled]

CALIBRATION_BINS = 15
HISTOGRAM_BINS = 40
RESAMPLES_AT_A_TIME = 32


def calibration(scores: Sequence[float], labels: Sequence[bool]) -> pd.DataFrame:
    """Mean score and share of right steps in bins of equal width: columns bin, score, right, count."""
    import pandas as pd

    frame = pd.DataFrame({"score": np.asarray(scores, float), "right": np.asarray(labels, float)})
    frame["bin"] = _bins(frame["score"])
    grouped = frame.groupby("bin")
    return grouped.mean().assign(count=grouped.size()).reset_index()


def _bins(scores: ArrayLike) -> Integers:
    """Return the bin of each score; the last bin also holds a score of 1."""
    low: Integers = (np.asarray(scores, float) * CALIBRATION_BINS).astype(int)
    return np.minimum(low, CALIBRATION_BINS - 1)


def up_to_first_error(steps: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Keep the steps of each solution up to and with its first wrong one: rows in order of position."""
    wrong = ~steps["valid"].astype(bool)
    wrong_so_far = wrong.groupby([steps[k] for k in keys], sort=False).cumsum()
    return steps[(wrong_so_far - wrong.astype(int)) == 0]


def auc(scores: ArrayLike, labels: ArrayLike, places: Integers, counts: Bytes) -> Resampled:
    """Area under the ROC curve: the chance that a right one scores above a wrong one; NaN without both kinds.

    Parameters
    ----------
    scores, labels, places
        Shape (n,); the place of each step's problem in `counts`.
    counts
        Shape (1 + resamples, problems), as of `resample_counts`.
    """
    order = np.argsort(np.asarray(scores, float), kind="stable")
    ranked, right, places = np.asarray(scores, float)[order], np.asarray(labels, bool)[order], places[order]
    # How many wrong ones score below each right one, and how many not above it: with ties, their mean counts.
    below, not_above = (np.searchsorted(ranked[~right], ranked[right], side) for side in ("left", "right"))
    found = np.full(len(counts), np.nan)
    for at in range(0, len(counts) if len(order) else 0, RESAMPLES_AT_A_TIME):
        weights = counts[at : at + RESAMPLES_AT_A_TIME].astype(float)
        positive = weights[:, places[right]]
        negative = np.zeros((len(weights), 1 + np.count_nonzero(~right)))
        weights[:, places[~right]].cumsum(axis=1, out=negative[:, 1:])
        won = np.einsum("rn,rn->r", positive, negative[:, below] + negative[:, not_above]) / 2
        pairs = positive.sum(axis=1) * negative[:, -1]
        found[at : at + RESAMPLES_AT_A_TIME] = np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0)
    return found


def calibration_error(scores: ArrayLike, labels: ArrayLike, places: Integers, counts: Bytes) -> Resampled:
    """Mean distance between score and share of right steps over bins, weighted by their counts; parameters as `auc`."""
    score = np.asarray(scores, float)
    apart = np.zeros((counts.shape[1], CALIBRATION_BINS))
    np.add.at(apart, (places, _bins(score)), score - np.asarray(labels, float))
    steps = np.bincount(places, minlength=counts.shape[1])
    return np.asarray(np.abs(resampled_sum(apart, counts)).sum(axis=1) / resampled_sum(steps, counts))


def prm_quality(steps: pd.DataFrame, keys: list[str], settings: Bootstrap, seed: str) -> pd.DataFrame:
    """Measure a PRM on labelled, scored steps of one dataset.

    Steps of both authors are pooled as they come, unless a measure says `weak steps`: those are what a router decides
    on, and who wrote a step tells much of whether it is right. `operation alone` and `operation and author` are floors:
    the AUC of knowing how often steps of that kind are right, without reading any.

    Parameters
    ----------
    steps
        Columns valid, score, operation, author, correct, behaviour and the keys that tell solutions apart.
    settings, seed
        Of the resamples, over problems.

    Returns
    -------
    A row a measure: columns measure, value with its interval, count.
    """
    import pandas as pd

    problems = {name: place for place, name in enumerate(sorted(steps["problem_id"].unique()))}
    counts = resample_counts(len(problems), settings.resamples, seed)
    rows: list[dict[str, Any]] = []

    def add(measure: str, how: Measure, part: pd.DataFrame, scores: Any, label: str = "valid") -> None:
        number = how(scores, part[label], part["problem_id"].map(problems).to_numpy(), counts)
        rows.append({"measure": measure, **columns("value", number, settings.level), "count": len(part)})

    first = up_to_first_error(steps, keys)
    weak = first[first["author"] == "weak"]
    for where, part in {"": steps, " up to the first error": first}.items():
        add(f"step AUC{where}", auc, part, part["score"])
        add(f"ECE{where}", calibration_error, part, part["score"])
    kinds = first.groupby(["operation", "author"], dropna=False)["valid"].transform("mean")
    add("step AUC up to the first error, operation and author", auc, first, kinds)
    if len(weak):
        add("step AUC up to the first error, weak steps", auc, weak, weak["score"])
        kinds = weak.groupby("operation", dropna=False)["valid"].transform("mean")
        add("step AUC up to the first error, weak steps, operation alone", auc, weak, kinds)
    for operation, part in first.groupby("operation"):
        add(f"step AUC within {operation}", auc, part, part["score"])
    alone = steps[steps["behaviour"] == "weak-only"]
    solutions = (
        alone.groupby(keys, sort=False).agg(minimum=("score", "min"), correct=("correct", "first")).reset_index()
    )
    add("AUC of the minimum score, weak-only", auc, solutions, solutions["minimum"], "correct")
    return pd.DataFrame(rows)


def score_histogram(steps: pd.DataFrame) -> pd.DataFrame:
    """Count scores of right and of wrong steps in bins of equal width: columns low, right, wrong."""
    import pandas as pd

    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    right, _ = np.histogram(steps.loc[steps["valid"], "score"], edges)
    wrong, _ = np.histogram(steps.loc[~steps["valid"], "score"], edges)
    return pd.DataFrame({"low": edges[:-1], "right": right, "wrong": wrong})
