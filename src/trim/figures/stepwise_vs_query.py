"""Routing steps against routing whole problems: TRIM's routers beside the query-level baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trim.figures.accuracy_vs_cost import draw_curves, of_router, rows_of
from trim.figures.style import PAGE_INCHES, begin
from trim.names import RANDOM_QUERY, in_order, leading_variants, look_of, routers_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 3
"""How many of the query-level baselines have a line of their own: the best by ΔIBC; the others are thin and grey."""


def draw(curves: pd.DataFrame, main: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw the curves of one dataset, and every router's ΔIBC beside them.

    Parameters
    ----------
    curves, main
        The rows of `curves.csv` and `main.csv`, of which the reading `envelope` counts.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    rows = rows_of(curves, dataset, trained_on)
    measured = rows_of(main[main["reading"] == "envelope"], dataset, trained_on)
    measured = measured[measured["seed"] == 0].set_index(["router", "variant"])[
        "delta_ibc delta_ibc_lo delta_ibc_hi".split()
    ]
    gain = measured["delta_ibc"].to_dict()
    stepwise = leading_variants(rows)
    query = sorted((key for key in in_order(rows) if key[0] in routers_of("query")), key=lambda key: -gain[key])
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE_INCHES, 0.55 * PAGE_INCHES), width_ratios=(3, 2))
    for key in query[NAMED:]:
        part = of_router(rows, key).sort_values("strong_tokens")
        label = "_" * (key != query[NAMED]) + "other query-level"
        left.plot(part["strong_tokens"], part["accuracy"], color="0.72", linewidth=0.6, label=label)
    draw_curves(left, rows, palette, [*stepwise, *query[:NAMED], (RANDOM_QUERY, "default")], banded=stepwise)
    left.set(title=f"{dataset}: accuracy against cost", ylabel="accuracy")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, columnspacing=1.2)
    _draw_gains(right, measured.loc[[*stepwise, *query]].dropna(), palette)
    right.set(title=f"{dataset}: gain per strong token")
    right.set_xlabel("ΔIBC (0: random mixing of problems)", loc="right")  # wider than the axes
    return figure


def _draw_gains(axes: Axes, measured: pd.DataFrame, palette: Sequence[Any]) -> None:
    """Draw a row a router, with its interval: the first on top."""
    for place, (key, row) in enumerate(measured.iterrows()):
        look = look_of(*key)
        axes.hlines(place, row["delta_ibc_lo"], row["delta_ibc_hi"], color=palette[look.colour])
        axes.plot(row["delta_ibc"], place, **look.drawn(palette))
    axes.set_yticks(range(len(measured)), [look_of(*key).label for key in measured.index])
    axes.set_ylim(len(measured) - 0.4, -0.6)
    axes.axvline(0, color="0.45", linewidth=0.7)
