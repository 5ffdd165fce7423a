"""The latency calculator: a page that turns the tokens of operating points into seconds, at rates of the reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trim.config.prices import PriceVector, SecondsPrice
from trim.evaluation.prices import INPUT, OUTPUT
from trim.explorer.html import fill
from trim.names import in_order, look_of, routers_of

if TYPE_CHECKING:
    import pandas as pd

TOKENS = (
    *INPUT.values(),
    *(f"{role}_cached_tokens" for role in INPUT),
    *(n for names in OUTPUT.values() for n in names),
)
"""What the page knows of an operating point: columns of an episode."""


def count_tokens(episodes: pd.DataFrame, trained_on: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what the page shows: for each dataset the step routers and both models alone, the first variant of each.

    Parameters
    ----------
    episodes
        A row an episode.
    trained_on
        For each dataset, the one on which the routers were fitted that are shown there.
    """
    stepwise = episodes[episodes["router"].isin(routers_of("end", "trim", "own", "control"))]
    return [
        {"name": dataset, "routers": _routers(stepwise[stepwise["dataset"] == dataset], home)}
        for dataset, home in trained_on.items()
    ]


def _routers(episodes: pd.DataFrame, home: str) -> list[dict[str, Any]]:
    rows = episodes[episodes["trained_on"].isin([home, "untrained"])]
    first: dict[str, str] = {}
    for router, variant in in_order(rows):
        first.setdefault(router, variant)
    return [
        {
            "id": router,
            "label": look_of(router, variant).label,
            "points": _points(rows[(rows["router"] == router) & (rows["variant"] == variant)]),
        }
        for router, variant in first.items()
    ]


def _points(rows: pd.DataFrame) -> list[dict[str, float]]:
    """Return mean tokens and accuracy of each operating point of the first training run, by rising cost."""
    run = rows[rows["seed"] == rows["seed"].min()]
    means = run.groupby("operating_point")[["correct", *TOKENS]].mean().sort_values("strong_tokens")
    return [{str(name): round(float(value), 4) for name, value in row.items()} for _, row in means.iterrows()]


def render_calculator(datasets: list[dict[str, Any]], experiment: str, prices: Mapping[str, PriceVector]) -> str:
    """Return the page; prices of kind `seconds` are rates to begin with."""
    measured = {name: price for name, price in prices.items() if isinstance(price, SecondsPrice)}
    data = {
        "experiment": experiment,
        "datasets": datasets,
        "measured": {name: price.model_dump(mode="json") for name, price in measured.items()},
    }
    return fill("calculator.html", data)
