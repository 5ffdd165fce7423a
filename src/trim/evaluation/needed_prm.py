"""How good a PRM would have to be: what thresholds gain on scores that know the future up to noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import Resampled, column_names, columns, compared
from trim.evaluation.prm_quality import auc
from trim.evaluation.study import CURVE, Study, measure, study
from trim.names import THR

if TYPE_CHECKING:
    import pandas as pd

IN_USE = "in use"
"""What stands for the scores of the PRM that routes, beside the deviations of the noise."""

COLUMNS = [
    "scores",
    "deviation",
    *(column for name in ("auc", "delta_ibc", "difference") for column in column_names(name)),
    "p_value",
    "p_at_floor",
    "problems",
]


class Routed(Protocol):
    """What thresholds on some scores do."""

    @property
    def episodes(self) -> pd.DataFrame:
        """Of TRIM-Thr, fitted nowhere, and of both models alone."""
        ...

    @property
    def lowest(self) -> pd.DataFrame:
        """A row a solution of the weak model: problem_id, correct and the lowest score, minimum."""
        ...


def needed_prm(in_use: Routed, foreseeing: Mapping[float, Routed], settings: Bootstrap, seed: str) -> pd.DataFrame:
    """Return a row for the PRM in use, and one for each deviation of the noise on scores that know the future.

    Parameters
    ----------
    in_use, foreseeing
        Of the same problems; `foreseeing` by deviation.
    seed
        What resamples are drawn from, the same for all rows.

    Returns
    -------
    `auc` of the lowest score of the weak model's solutions against their answers, `delta_ibc` of TRIM-Thr, and its
    `difference` to that of the PRM in use on the same resampled problems.
    """
    import pandas as pd

    usual, rows = _delta_ibc(_study(in_use, settings, seed)), []
    for deviation, routed in [(None, in_use), *sorted(foreseeing.items())]:
        data = _study(routed, settings, seed)
        gain = _delta_ibc(data)
        row: dict[str, Any] = {"scores": IN_USE if deviation is None else "foreseeing", "deviation": deviation}
        row |= columns("auc", _auc(routed.lowest, data), settings.level)
        row |= columns("delta_ibc", gain, settings.level)
        if deviation is not None:
            row |= compared(gain, usual, settings.level)
        rows.append(row | {"problems": data.problems})
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _study(routed: Routed, settings: Bootstrap, seed: str) -> Study:
    return study(measure(routed.episodes, CURVE), settings, seed)


def _delta_ibc(data: Study) -> Resampled:
    (sweep,) = data.find(THR)
    return data.metrics[sweep.key]["delta_ibc"]


def _auc(lowest: pd.DataFrame, data: Study) -> Resampled:
    places = {problem: place for place, problem in enumerate(sorted(lowest["problem_id"].unique()))}
    scores, right = lowest["minimum"].to_numpy(float), lowest["correct"].to_numpy(bool)
    return auc(scores, right, lowest["problem_id"].map(places).to_numpy(int), data.counts)
