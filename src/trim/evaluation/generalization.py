"""Routers on other datasets than their own: metrics by both datasets, and operating points taken along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.evaluation.bootstrap import Resampled, column_names, columns, compared
from trim.evaluation.format import ABSENT, cell, escape, named, tabular
from trim.evaluation.study import (
    CURVE,
    HEADLINE_METRICS,
    SWEEP,
    Study,
    Sweep,
    SweepKey,
    correct_for_multiplicity,
    measure,
    nearest,
    study,
)

if TYPE_CHECKING:
    import pandas as pd

TRANSFERRED_SHARE = 0.2
"""Strong share for which an operating point is chosen on dev."""


def generalization(main: Mapping[str, Study], level: float) -> pd.DataFrame:
    """Lay out the matrix of fitted routers: metrics (envelope) on every dataset, and what being foreign costs.

    Away from the dataset that a router was fitted on, its delta IBC is compared with that of the same router
    fitted on the dataset evaluated; these differences are empty where there is none. P-values are corrected
    over all routers on a dataset.

    Parameters
    ----------
    main
        Studies by dataset.
    level
        Of the intervals.
    """
    import pandas as pd

    rows = []
    for dataset, data in main.items():
        for sweep in data.curves():
            if sweep.trained_on == "untrained":
                continue
            ours, native = data.metrics[sweep.key], data.metrics.get((dataset, *sweep.key[1:]))
            row: dict[str, Any] = {"dataset": dataset, **sweep.head}
            for name in HEADLINE_METRICS:
                row |= columns(name, ours[name], level)
            if native is not None and sweep.trained_on != dataset:
                found = compared(ours["delta_ibc"], native["delta_ibc"], level)
                row |= {"home_delta_ibc": found.pop("other_value"), **found}
            rows.append(row)
    metrics = [column for name in HEADLINE_METRICS for column in column_names(name)]
    compared_names = ["home_delta_ibc", "difference", "difference_lo", "difference_hi", "p_value", "p_at_floor"]
    names = [*SWEEP[1:], SWEEP[0], "dataset", *metrics, *compared_names]
    table = correct_for_multiplicity(pd.DataFrame(rows, columns=names), ["dataset"])
    return table.sort_values([*SWEEP[1:], SWEEP[0], "dataset"], kind="stable", ignore_index=True)


def transfer(main: Mapping[str, Study], dev: pd.DataFrame, level: float) -> pd.DataFrame:
    """Choose operating points where routers were fitted, and see what they cost and give on every dataset.

    The threshold or kappa is the one whose strong share on dev is nearest to `TRANSFERRED_SHARE`; a router
    without one that is within `NEAR` of it is left out.

    Parameters
    ----------
    main
        Studies by dataset.
    dev
        Episodes of the fitted routers on the dev splits of the datasets that they were fitted on.
    level
        Of the intervals.
    """
    import pandas as pd

    chosen = chosen_on_dev(dev, TRANSFERRED_SHARE)
    rows = []
    for dataset, data in main.items():
        for sweep in data.curves():
            if sweep.key not in chosen:
                continue
            setting, dev_share = chosen[sweep.key]
            row = {**sweep.head, "operating_point": setting, "wanted_share": TRANSFERRED_SHARE}
            row |= {"dev_strong_share": dev_share, "dataset": dataset}
            for name, number in _at_point(data, sweep, sweep.settings.index(setting)).items():
                row |= columns(name, number, level)
            rows.append(row)
    measured = [column for name in ("strong_share", "accuracy", "pgr") for column in column_names(name)]
    head = [*SWEEP[1:], SWEEP[0], "operating_point", "wanted_share", "dev_strong_share", "dataset"]
    table = pd.DataFrame(rows, columns=[*head, *measured])
    return table.sort_values([*SWEEP[1:], SWEEP[0], "dataset"], kind="stable", ignore_index=True)


def chosen_on_dev(dev: pd.DataFrame, share: float) -> dict[SweepKey, tuple[float, float]]:
    """Return, by sweep, the operating point nearest to a strong share, and its share; only of those that have one."""
    chosen = {}
    for _, part in dev.groupby("dataset", sort=True):
        data = study(measure(part, CURVE))
        for sweep in data.curves():
            shares = data.curve(sweep)[0][0]
            at = nearest(shares, share)
            if at is not None and sweep.trained_on != "untrained":
                chosen[sweep.key] = sweep.settings[at], float(shares[at])
    return chosen


def _at_point(data: Study, sweep: Sweep, index: int) -> dict[str, Resampled]:
    """Read strong share, accuracy and PGR at one operating point."""
    share, accuracy = (values[:, index] for values in data.curve(sweep))
    gap = np.where(data.strong > data.weak, data.strong - data.weak, np.nan)
    return {"strong_share": share, "accuracy": accuracy, "pgr": (accuracy - data.weak) / gap}


def latex_generalization(table: pd.DataFrame) -> str:
    """Return the matrix of delta IBC: a row a router and dataset fitted on, a column a dataset evaluated on."""
    datasets = sorted(table["dataset"].unique())
    body = []
    for key, part in table.groupby([*SWEEP[1:], SWEEP[0]], sort=True):
        router, variant, seed, trained_on = key
        cells = {row["dataset"]: cell(row, "delta_ibc") for row in part.to_dict("records")}
        names = map(escape, (named(router, variant, seed), trained_on))
        body.append([*names, *(cells.get(name, ABSENT) for name in datasets)])
    return tabular("ll" + "r" * len(datasets), ["Router", "Fitted on", *map(escape, datasets)], body)
