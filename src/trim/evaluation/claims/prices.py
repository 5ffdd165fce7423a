"""The headline claims under other prices than the paper's: which verdicts change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.evaluation.claims.ledger import analogue_rows
from trim.evaluation.claims.world import World

if TYPE_CHECKING:
    import pandas as pd

VERDICT_COLUMNS = (
    "price",
    "key",
    "headline",
    "claim",
    "dataset",
    "method",
    "measure",
    "bar",
    "ours",
    "lo",
    "hi",
    "verdict",
)


def price_verdicts(worlds: Mapping[str, World], folder: Path, level: float) -> pd.DataFrame:
    """Judge the headline claims at every price: VERDICT_COLUMNS, and whether the verdict is another than at the first.

    Parameters
    ----------
    worlds
        The experiment by price, the paper's first.
    folder
        Where `data/published/` is.
    """
    import pandas as pd

    rows = [{"price": price, **row} for price, world in worlds.items() for row in analogue_rows(world, folder, level)]
    table = pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))
    table = table[table["headline"].fillna("") != ""].reset_index(drop=True)
    first = table.drop_duplicates("headline").set_index("headline")["verdict"]
    return table.assign(changes=table["verdict"] != table["headline"].map(first))


def price_row(verdicts: pd.DataFrame) -> dict[str, Any]:
    """Return the row of the ledger that says which headline verdicts depend on the prices of tokens."""
    row = {
        "key": "price",
        "title": "headline verdicts that change with the price",
        "claim": "No verdict on a headline claim changes with the price of tokens",
        "scope": "price",
        "headline": "",
        "source": "ours",
        "dataset": "as of the headline claims",
        "method": "prices",
        "measure": "headline verdicts",
        "bar": 0.0,
        "paper_value": np.nan,
        "lo": np.nan,
        "hi": np.nan,
    }
    changed, prices = verdicts[verdicts["changes"]], list(dict.fromkeys(verdicts["price"]))
    if len(prices) < 2:
        return row | {"ours": np.nan, "verdict": "not tested", "why": "Not tested: the config has no second price."}
    said = [
        f"{headline} {verdict} at {', '.join(part['price'])}"
        for (headline, verdict), part in changed.groupby(["headline", "verdict"], sort=False)
    ]
    why = f"At {', '.join(prices[1:])}, against {prices[0]}: {'; '.join(said) or 'all verdicts stay'}."
    count = changed["headline"].nunique()
    return row | {"ours": float(count), "verdict": "fails" if count else "holds", "why": why}
