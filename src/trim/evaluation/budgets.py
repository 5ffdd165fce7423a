"""Routers at a given budget: accuracy at a share of strong tokens, and how many strong steps a rescue takes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Floats
from trim.evaluation.bootstrap import Resampled, column_names, columns
from trim.evaluation.format import cell, escape, named, tabular
from trim.evaluation.study import EPISODE, SWEEP, Study, nearest
from trim.names import END_POINTS, routers_of

if TYPE_CHECKING:
    import pandas as pd

BUDGETS = (0.1, 0.15, 0.2, 0.25, 0.3)
"""Strong shares of the paper's tables 4 and 5."""

INTERVENTION_SHARES = (0.1, 0.2, 0.3)
INTERVENTIONS = ("1", "2", "3", ">3")
"""Classes of the paper's table 6."""


def budgeted(main: Mapping[str, Study], level: float) -> pd.DataFrame:
    """Read accuracy and PGR of every router at the paper's budgets, on the envelope of its curve.

    Beyond its last operating point an envelope stays flat: nothing is extrapolated, where the paper's tables
    hold values up to 133 % PGR that are.

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
            for share, pgr in zip(BUDGETS, data.pgr(sweep, BUDGETS), strict=True):
                head = {"dataset": dataset, **sweep.head, "strong_share": share}
                rows.append(head | columns("accuracy", data.accuracy(pgr), level) | columns("pgr", pgr, level))
    return pd.DataFrame(rows)


def interventions(episodes: pd.DataFrame, main: Mapping[str, Study], level: float) -> pd.DataFrame:
    """Count, as the paper's table 6 does, the strong steps behind the answers that are right thanks to a router.

    Those are the episodes that come out right where the weak model alone, on the same problem and replicate,
    fails. Every step-level router is read at its operating points nearest to given strong shares, where one
    is within `NEAR`.

    Parameters
    ----------
    episodes
        A row an episode, with `strong_calls`.
    main
        Studies of the same episodes, by dataset.

    Returns
    -------
    A row a router, wanted share and class of strong steps: `solved` such episodes, `share` of them in the class.
    """
    import pandas as pd

    rows = []
    for dataset, data in main.items():
        solved = _rescued(episodes[episodes["dataset"] == dataset])
        problems = pd.Index(sorted(episodes.loc[episodes["dataset"] == dataset, "problem_id"].unique()))
        points = dict(iter(solved.groupby([*SWEEP, "operating_point"])))
        for sweep, wanted in product(data.curves(), INTERVENTION_SHARES):
            if sweep.router not in stepwise():
                continue
            shares = data.curve(sweep)[0][0]
            at = nearest(shares, wanted)
            if at is None:
                continue
            head: dict[str, Any] = {"dataset": dataset, **sweep.head, "wanted_share": wanted}
            head |= {"operating_point": sweep.settings[at], "strong_share": shares[at]}
            mine = points.get((*sweep.key, sweep.settings[at]), solved[:0])
            counts = np.zeros((len(INTERVENTIONS), len(problems)))
            classes = np.minimum(mine["strong_calls"].to_numpy(int), len(INTERVENTIONS)) - 1
            np.add.at(counts, (classes, problems.get_indexer(mine["problem_id"])), 1)
            for name, share, count in zip(INTERVENTIONS, _shares(counts, data), counts.sum(axis=1), strict=True):
                rows.append({**head, "strong_calls": name, "solved": int(count), **columns("share", share, level)})
    names = ["dataset", *SWEEP, "wanted_share", "operating_point", "strong_share", "strong_calls", "solved"]
    return pd.DataFrame(rows, columns=[*names, *column_names("share")])


def stepwise() -> tuple[str, ...]:
    """Return the routers that decide step by step and are swept over budgets."""
    return "random-step", "one-step-takeover", *routers_of("trim")


def _rescued(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return the episodes of one dataset that come out right where the weak model alone fails."""
    weak = episodes[episodes["router"] == END_POINTS[0]]
    failed = weak.loc[~weak["correct"], EPISODE[-2:]]
    # Without a strong step nothing was rescued: a served model may answer the same prefix in two ways.
    right = episodes["router"].isin(stepwise()) & episodes["correct"] & (episodes["strong_calls"] > 0)
    return episodes[right].merge(failed)


def _shares(counts: Floats, data: Study) -> list[Resampled]:
    """Share of each class, from counts by class and problem; undefined where there is nothing to share."""
    means = data.mean(counts)
    with np.errstate(invalid="ignore"):
        return list((means / means.sum(axis=1, keepdims=True)).T)


def latex_budgeted(table: pd.DataFrame, dataset: str, trained_on: str) -> str:
    """Return the accuracies (%) at the paper's budgets on a dataset, of routers that were fitted on one."""
    rows = table[(table["dataset"] == dataset) & table["trained_on"].isin(["untrained", trained_on])]
    body = [
        [
            escape(named(str(router), str(variant), int(seed))),
            *(cell(row, "accuracy") for row in part.to_dict("records")),
        ]
        for (router, variant, seed), part in rows.groupby(SWEEP[1:], sort=True)
    ]
    return tabular("lrrrrr", ["Router", *(escape(f"{share:.0%}") for share in BUDGETS)], body)


def latex_interventions(table: pd.DataFrame, dataset: str, trained_on: str) -> str:
    """Return the shares (%) of solved problems by number of strong steps; routers and dataset as above."""
    rows = table[(table["dataset"] == dataset) & table["trained_on"].isin(["untrained", trained_on])]
    body = []
    for key, part in rows.groupby([*SWEEP[1:], "wanted_share"], sort=True):
        router, variant, seed, wanted = key
        cells = [cell(row, "share") for row in part.to_dict("records")]
        name, solved = escape(named(router, variant, seed)), part["solved"].sum()
        body.append([name, f"${100 * wanted:.0f}$", f"${solved}$", *cells])
    header = ["Router", r"Share (\%)", "Solved", "1", "2", "3", "$>3$"]
    return tabular("lrrrrrr", header, body)
