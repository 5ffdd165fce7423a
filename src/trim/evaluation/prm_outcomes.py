"""How well PRM scores foresee whether a solution comes out right, which every dataset can tell.

A PRM is made to judge steps; where these have no labels, the final answer is all that there is to hold it against. A
right step of a solution that goes wrong later counts as wrong here: a PRM that judges steps alone, and judges them
rightly, does not reach an area of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import Array, Number, columns, resample_counts
from trim.evaluation.prm_quality import CALIBRATION_BINS, calibration

if TYPE_CHECKING:
    import pandas as pd

Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]

SOLUTION = ["behaviour", "problem_id", "replicate"]
SUMMARIES = ("minimum", "mean", "product", "last")
ALL = "all"
"""What stands for solutions of every behaviour together."""

RESAMPLES_AT_ONCE = 100
COLUMNS = ["behaviour", "measure", "value", "value_lo", "value_hi", "count", "problems"]


def summaries(steps: pd.DataFrame) -> pd.DataFrame:
    """Return a row a solution: its keys, minimum, mean, product and last of its scores, and whether it is right."""
    ordered = steps.sort_values("position", kind="stable").groupby(SOLUTION, sort=True)
    scores = ordered["score"]
    found = {"minimum": scores.min(), "mean": scores.mean(), "product": scores.prod(), "last": scores.last()}
    return ordered["correct"].first().to_frame().assign(**found).reset_index()


def prm_outcomes(steps: pd.DataFrame, settings: Bootstrap, seed: str) -> pd.DataFrame:
    """Hold the scores of a PRM on one dataset against the final answers.

    Parameters
    ----------
    steps
        Columns behaviour, problem_id, replicate, position, score and correct (of the solution).
    seed
        What resamples are drawn from, the same for all PRMs of a dataset.

    Returns
    -------
    A row a behaviour (and one for all of them) and measure: value with its interval over problems, `count` of the
    solutions or steps that it is of, and of `problems`.
    """
    import pandas as pd

    solutions, problems = summaries(steps), sorted(steps["problem_id"].unique())
    counts = resample_counts(len(problems), settings.resamples, seed)
    rows: list[dict[str, Any]] = []
    for behaviour in (ALL, *sorted(steps["behaviour"].unique())):
        own_steps, own = (t if behaviour == ALL else t[t["behaviour"] == behaviour] for t in (steps, solutions))
        for measure, number, count in _measures(own_steps, own, problems, counts):
            head = {"behaviour": behaviour, "measure": measure, "count": count, "problems": len(problems)}
            rows.append(head | columns("value", number, settings.level))
    return pd.DataFrame(rows, columns=COLUMNS)


def _measures(
    steps: pd.DataFrame, solutions: pd.DataFrame, problems: Sequence[str], counts: Array
) -> Iterator[tuple[str, Number, int]]:
    """Yield (measure, number, rows that it is of)."""
    places = {problem: place for place, problem in enumerate(problems)}
    of_steps, of_solutions = (part["problem_id"].map(places).to_numpy(int) for part in (steps, solutions))
    right_steps, right = (part["correct"].to_numpy(bool) for part in (steps, solutions))
    scores, last = steps["score"].to_numpy(float), solutions["last"].to_numpy(float)
    yield "AUC of the step score", resampled_auc(scores, right_steps, of_steps, counts), len(steps)
    for name in SUMMARIES:
        values = solutions[name].to_numpy(float)
        yield f"AUC of the {name} score", resampled_auc(values, right, of_solutions, counts), len(solutions)
    yield "ECE of the step score", resampled_ece(scores, right_steps, of_steps, counts), len(steps)
    yield "ECE of the last score", resampled_ece(last, right, of_solutions, counts), len(solutions)
    yield "mean step score", _resampled_ratio(scores, of_steps, counts), len(steps)
    yield "share of steps in right solutions", _resampled_ratio(right_steps, of_steps, counts), len(steps)
    yield "mean last score", _resampled_ratio(last, of_solutions, counts), len(solutions)
    yield "share of right solutions", _resampled_ratio(right, of_solutions, counts), len(solutions)


def reliability(steps: pd.DataFrame) -> pd.DataFrame:
    """Return how often solutions come out right, by the score of a step and of the last one, in bins of equal width.

    Returns
    -------
    Columns behaviour, scored (`step` or `last`), and those of `calibration`.
    """
    import pandas as pd

    solutions = summaries(steps)
    found = [
        calibration(part["score"], part["correct"]).assign(behaviour=behaviour, scored=scored)
        for scored, table in (("step", steps), ("last", solutions.assign(score=solutions["last"])))
        for behaviour, part in [(ALL, table), *table.groupby("behaviour", sort=True)]
    ]
    return pd.concat(found, ignore_index=True)[["behaviour", "scored", "bin", "score", "right", "count"]]


# --- on every resample ------------------------------------------------------------------


def resampled_auc(scores: Array, right: Booleans, problems: Integers, counts: Array) -> Number:
    """Return the area under the ROC curve on every resample of problems; undefined without both kinds.

    Parameters
    ----------
    scores, right, problems
        Shape (n,); `problems` holds the column of `counts` that a row belongs to.
    counts
        Shape (1 + resamples, problems), as of `resample_counts`.
    """
    levels, level = np.unique(scores, return_inverse=True)
    drawn = [_incidence(problems[kind], level[kind], counts.shape[1], len(levels)) for kind in (right, ~right)]
    parts = []
    for start in range(0, len(counts), RESAMPLES_AT_ONCE):
        # How many right and wrong ones there are with each score; right ones win over all wrong ones below.
        won, lost = (np.asarray(kind.T @ counts[start : start + RESAMPLES_AT_ONCE].T).T for kind in drawn)
        below = np.cumsum(lost, axis=1) - lost / 2
        pairs = won.sum(axis=1) * lost.sum(axis=1)
        with np.errstate(invalid="ignore"):
            parts.append((won * below).sum(axis=1) / pairs)
    return np.concatenate(parts)


def resampled_ece(scores: Array, right: Booleans, problems: Integers, counts: Array) -> Number:
    """Return the expected calibration error on every resample of problems; parameters as of `resampled_auc`."""
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    apart = _incidence(problems, bins, counts.shape[1], CALIBRATION_BINS, scores - right)
    size = np.bincount(problems, minlength=counts.shape[1])
    return np.asarray(np.abs(counts @ apart.toarray()).sum(axis=1) / (counts @ size))


def _resampled_ratio(values: Array | Booleans, problems: Integers, counts: Array) -> Number:
    """Return the mean over rows on every resample of their problems."""
    total, size = (np.bincount(problems, weights, counts.shape[1]) for weights in (values, None))
    return np.asarray(counts @ total / (counts @ size))


def _incidence(problems: Integers, level: Integers, n_problems: int, n_levels: int, values: Array | None = None) -> Any:
    """Return a matrix with the sum of the values (by default how many) of each problem's rows at each level."""
    values = np.ones(len(level)) if values is None else values
    return csr_matrix((values, (problems, level)), shape=(n_problems, n_levels))
