"""How well PRM scores foresee whether a solution comes out right, which every dataset can tell.

A PRM is made to judge steps; where these have no labels, the final answer is all that there is to hold it against. A
right step of a solution that goes wrong later counts as wrong here: a PRM that judges steps alone, and judges them
rightly, does not reach an area of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Booleans, Bytes, Floats, Integers
from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import Resampled, columns, resample_counts, resampled_sum
from trim.evaluation.prm_quality import auc, calibration, calibration_error
from trim.layouts import SOLUTION_KEYS

if TYPE_CHECKING:
    import pandas as pd


SUMMARIES = ("minimum", "mean", "product", "last")
ALL = "all"
"""What stands for solutions of every behaviour together."""

COLUMNS = ["behaviour", "measure", "value", "value_lo", "value_hi", "count", "problems"]


def summaries(steps: pd.DataFrame) -> pd.DataFrame:
    """Return a row a solution: its keys, minimum, mean, product and last of its scores, and whether it is right."""
    ordered = steps.sort_values("position", kind="stable").groupby(SOLUTION_KEYS, sort=True)
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
    steps: pd.DataFrame, solutions: pd.DataFrame, problems: Sequence[str], counts: Bytes
) -> Iterator[tuple[str, Resampled, int]]:
    """Yield (measure, number, rows that it is of)."""
    places = {problem: place for place, problem in enumerate(problems)}
    of_steps, of_solutions = (part["problem_id"].map(places).to_numpy(int) for part in (steps, solutions))
    right_steps, right = (part["correct"].to_numpy(bool) for part in (steps, solutions))
    scores, last = steps["score"].to_numpy(float), solutions["last"].to_numpy(float)
    yield "AUC of the step score", auc(scores, right_steps, of_steps, counts), len(steps)
    for name in SUMMARIES:
        values = solutions[name].to_numpy(float)
        yield f"AUC of the {name} score", auc(values, right, of_solutions, counts), len(solutions)
    yield "ECE of the step score", calibration_error(scores, right_steps, of_steps, counts), len(steps)
    yield "ECE of the last score", calibration_error(last, right, of_solutions, counts), len(solutions)
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


def _resampled_ratio(values: Floats | Booleans, problems: Integers, counts: Bytes) -> Resampled:
    """Return the mean over rows on every resample of their problems."""
    total, size = (np.bincount(problems, weights, counts.shape[1]) for weights in (values, None))
    return resampled_sum(total, counts) / resampled_sum(size, counts)
