"""What the fitted POMDP of TRIM-POMDP promises, beside what its policies earn: a solution is as good as its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.evaluation.bootstrap import Resampled, columns
from trim.evaluation.study import Study, Sweep, nearest

if TYPE_CHECKING:
    import pandas as pd

SHOWN_SHARES = (0.05, 0.1, 0.2)
"""Strong shares whose nearest operating points the manuscript shows."""

WEAK, STRONG, TOKENS, NET = "weak-only accuracy", "strong-only accuracy", "strong-only tokens", "J"
MEASURED = ("measured", "measured_lo", "measured_hi", "difference", "difference_lo", "difference_hi")
COLUMNS = ["dataset", "split", "quantity", "kappa", "strong_share", "wanted_share", "shown", "modelled", *MEASURED]


def misfit(
    promised: Mapping[str, pd.DataFrame], splits: Mapping[str, Mapping[str, Study]], variant: str, level: float
) -> pd.DataFrame:
    """Hold the model against episodes, on the splits of the dataset that it was fitted on.

    Parameters
    ----------
    promised
        By dataset, what `SolvedPomdp.promises` says: columns quantity, kappa (of J alone), cost, modelled.
    splits
        Studies by split, then dataset.
    variant
        Whose episodes are read.

    Returns
    -------
    A row a split and quantity: accuracies of both models alone, the strong model's tokens, and J (right answers less
    the price of strong tokens) at every operating point. `difference` is what the model has too much; `shown` marks
    the operating points nearest to `wanted_share`, and all that are no points.
    """
    import pandas as pd

    rows = [
        row
        for dataset, promises in promised.items()
        for split, found in splits.items()
        if dataset in found
        for row in _rows({"dataset": dataset, "split": split}, promises, found[dataset], variant, level)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    head: Mapping[str, Any], promises: pd.DataFrame, data: Study, variant: str, level: float
) -> Iterator[dict[str, Any]]:
    alone = {WEAK: data.weak, STRONG: data.strong, TOKENS: data.strong_tokens}
    for row in promises[promises["quantity"] != NET].to_dict("records"):
        number = alone[row["quantity"]]
        yield {**head, "quantity": row["quantity"], "shown": 1, **_compared(row["modelled"], number, level)}
    net = promises[promises["quantity"] == NET]
    for sweep in data.find("trim-pomdp", variant, head["dataset"]):
        shares = data.curve(sweep)[0][0]
        wanted = {nearest(shares, share): share for share in SHOWN_SHARES}
        for i, kappa in enumerate(sweep.settings):
            row = net.loc[(net["kappa"] - kappa).abs().idxmin()]
            earned = _net(data, sweep, i, float(row["cost"]))
            at = {"kappa": kappa, "strong_share": shares[i], "wanted_share": wanted.get(i, np.nan)}
            yield {
                **head,
                "quantity": NET,
                **at,
                "shown": int(i in wanted),
                **_compared(row["modelled"], earned, level),
            }


def _net(data: Study, sweep: Sweep, point: int, cost: float) -> Resampled:
    return data.mean(sweep.values["correct"][point] - cost * sweep.values["strong_tokens"][point])


def _compared(modelled: float, measured: Resampled, level: float) -> dict[str, float]:
    found = {"modelled": modelled} | columns("measured", measured, level)
    return found | columns("difference", modelled - measured, level)
