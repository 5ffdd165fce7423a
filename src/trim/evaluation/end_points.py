"""Both models alone, by answers and by steps: an answer may come out right although a step is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import column_names, columns, resample_counts, resampled_mean
from trim.layouts import SOLUTION_KEYS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("dataset", "behaviour", "n_problems"),
    *(column for name in ("accuracy", "accuracy_all_right", "lucky_share") for column in column_names(name)),
)


def end_points(steps: pd.DataFrame, settings: Bootstrap, seed: str) -> pd.DataFrame:
    """Measure the answers of one dataset's rollouts, and how many of them rest on right steps alone.

    Parameters
    ----------
    steps
        A row a kept step, with labels: columns dataset, behaviour, problem_id, replicate, valid, correct.
    settings, seed
        Of the resamples, over problems.

    Returns
    -------
    A row a behaviour: `accuracy` of the answers; `accuracy_all_right`, the share of solutions that are right in every
    step and in the answer; `lucky_share`, the share of right answers that hold a wrong step.
    """
    import pandas as pd

    solutions = steps.groupby(SOLUTION_KEYS)[["valid", "correct"]].all()
    means = solutions.assign(valid=solutions["valid"] & solutions["correct"]).groupby(level=[0, 1]).mean()
    dataset, rows = str(steps["dataset"].iloc[0]), []
    for behaviour, part in means.groupby(level=0):
        counts = resample_counts(len(part), settings.resamples, seed)
        accuracy, all_right = (resampled_mean(part[name].to_numpy(float), counts) for name in ("correct", "valid"))
        lucky = np.divide(accuracy - all_right, accuracy, out=np.full_like(accuracy, np.nan), where=accuracy > 0)
        row = {"dataset": dataset, "behaviour": behaviour, "n_problems": len(part)}
        numbers = {"accuracy": accuracy, "accuracy_all_right": all_right, "lucky_share": lucky}
        for name, number in numbers.items():
            row |= columns(name, number, settings.level)
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))
