"""Accuracy against cost share at several prices of tokens: a panel a price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.accuracy_vs_cost import of_router, rows_of
from trim.figures.style import begin, panels
from trim.names import END_POINTS, in_order, leading_variants, look_of, routers_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

NAMED = 2
"""How many query-level baselines are drawn: the best by delta IBC at the price of the panel."""


def draw(price_curves: pd.DataFrame, prices: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw the TRIM routers and the best baselines of one dataset, first training runs, at every price.

    Parameters
    ----------
    price_curves, prices
        The rows of `price_curves.csv` and of `prices.csv`.
    """
    palette = begin()
    rows, measured = rows_of(price_curves, dataset, trained_on), rows_of(prices, dataset, trained_on)
    rows, measured = rows[rows["seed"] == 0], measured[measured["seed"] == 0]
    names, there = list(dict.fromkeys(rows["price"])), set(in_order(rows))
    figure, grid = panels(max(len(names), 1), 2.3, sharey=True)
    handles: dict[str, Line2D] = {}
    for axes, price in zip(grid, names, strict=False):
        at_price = rows[rows["price"] == price]
        weak, strong = (at_price[at_price["router"] == name].iloc[0] for name in END_POINTS)
        axes.plot([0, 100], [weak["accuracy"], strong["accuracy"]], color="0.6", linewidth=0.7, linestyle=":")
        of_price = measured[(measured["price"] == price) & measured["router"].isin(routers_of("query"))]
        best = of_price.dropna(subset=["delta_ibc"]).sort_values("delta_ibc", ascending=False).head(NAMED)
        query = [key for key in best[["router", "variant"]].itertuples(index=False, name=None) if key in there]
        for key in [*leading_variants(at_price), *query]:
            part = of_router(at_price, key).sort_values("cost_share")
            look = look_of(*key)
            line = axes.plot(100 * part["cost_share"], part["accuracy"], label=look.label, **look.drawn(palette))
            handles.setdefault(look.label, line[0])
        axes.set(title=price, xlabel="cost share (%)", xlim=(0, None))
        axes.axvline(100, color="0.45", linewidth=0.7)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    grid[0].set_ylabel("accuracy")
    figure.suptitle(f"{dataset}: what tokens cost decides what routing saves", fontsize=8)
    figure.legend([*handles.values()], [*handles], loc="outside lower center", ncols=5)
    return figure
