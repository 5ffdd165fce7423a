"""How well a PRM tells right steps from wrong ones (paper, appendix H)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    import pandas as pd

CALIBRATION_BINS = 15


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Area under the ROC curve: the chance that a right one scores above a wrong one; NaN without both kinds."""
    positive = np.asarray(labels, bool)
    n_right, n_wrong = int(positive.sum()), int((~positive).sum())
    if n_right == 0 or n_wrong == 0:
        return float("nan")
    ranks = rankdata(np.asarray(scores, float))
    return float((ranks[positive].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def calibration(scores: Sequence[float], labels: Sequence[bool], bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Mean score and share of right steps in bins of equal width: columns bin, score, right, count."""
    import pandas as pd

    frame = pd.DataFrame({"score": np.asarray(scores, float), "right": np.asarray(labels, float)})
    frame["bin"] = np.minimum((frame["score"] * bins).astype(int), bins - 1)
    grouped = frame.groupby("bin")
    return grouped.mean().assign(count=grouped.size()).reset_index()


def expected_calibration_error(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Mean distance between score and share of right steps over bins, weighted by their counts."""
    table = calibration(scores, labels)
    return float(np.average((table["score"] - table["right"]).abs(), weights=table["count"]))


def up_to_first_error(steps: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Keep the steps of each solution up to and with its first wrong one: rows in order of position."""
    wrong_before = (~steps["valid"].astype(bool)).groupby([steps[k] for k in keys], sort=False).cumsum()
    wrong_here = ~steps["valid"].astype(bool)
    return steps[(wrong_before - wrong_here.astype(int)) == 0]


def prm_quality(steps: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Measure a PRM on labelled, scored steps.

    Parameters
    ----------
    steps
        Columns valid, score, operation, correct, behaviour and the keys that tell solutions apart.

    Returns
    -------
    A row a measure: columns measure, value, count.
    """
    import pandas as pd

    first = up_to_first_error(steps, keys)
    rows = [
        ("step AUC", auc(steps["score"], steps["valid"]), len(steps)),
        ("step AUC up to the first error", auc(first["score"], first["valid"]), len(first)),
        ("ECE", expected_calibration_error(steps["score"], steps["valid"]), len(steps)),
        ("ECE up to the first error", expected_calibration_error(first["score"], first["valid"]), len(first)),
    ]
    for operation, part in first.groupby("operation"):
        rows.append((f"step AUC within {operation}", auc(part["score"], part["valid"]), len(part)))
    weak = steps[steps["behaviour"] == "weak-only"]
    solutions = weak.groupby(keys, sort=False).agg(minimum=("score", "min"), correct=("correct", "first"))
    rows.append(
        ("AUC of the minimum score, weak-only", auc(solutions["minimum"], solutions["correct"]), len(solutions))
    )
    return pd.DataFrame(rows, columns=["measure", "value", "count"])


def score_histogram(steps: pd.DataFrame, bins: int = 40) -> pd.DataFrame:
    """Count scores of right and of wrong steps in bins of equal width: columns low, right, wrong."""
    import pandas as pd

    edges = np.linspace(0, 1, bins + 1)
    right, _ = np.histogram(steps.loc[steps["valid"], "score"], edges)
    wrong, _ = np.histogram(steps.loc[~steps["valid"], "score"], edges)
    return pd.DataFrame({"low": edges[:-1], "right": right, "wrong": wrong})
