"""Accuracy against strong tokens: every router of one dataset, both end points, confidence bands (paper, Figure 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.figures.style import COLUMN_INCHES, LOOKS, begin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PUBLISHED = {"trim-thr": ("TRIM-Thr", "o"), "trim-agg": ("TRIM-Agg", "^"), "trim-pomdp": ("TRIM-POMDP", "s")}
BANDS = (("trim-thr", "default"), ("random-step", "default"), ("one-step-takeover", "default"))


def _scale(factor: float) -> Callable[[Any], Any]:
    return lambda values: np.asarray(values) * factor


def draw(curves: pd.DataFrame, dataset: str, trained_on: str, published: pd.DataFrame | None = None) -> Figure:
    """Draw the curves of one dataset, of routers trained on one dataset, from the rows of `curves.csv`.

    `published` holds points of others (router, strong_tokens, accuracy): hollow and grey, with nothing between them.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    rows = curves[(curves["dataset"] == dataset) & curves["trained_on"].isin(["untrained", trained_on])]
    ends = {name: rows[rows["router"] == name].iloc[0] for name in ("weak-only", "strong-only")}
    full = float(ends["strong-only"]["strong_tokens"])
    figure, axes = plt.subplots(figsize=(COLUMN_INCHES, COLUMN_INCHES))
    for name, row in ends.items():
        axes.axhline(row["accuracy"], color="0.45", linewidth=0.7, linestyle=(0, (6, 3)))
        above = name == "strong-only"
        axes.annotate(
            f"{name.replace('-', ' ')} {row['accuracy']:.1%}",
            (0 if above else full, row["accuracy"]),
            xytext=(2, 2) if above else (-2, -8),
            textcoords="offset points",
            ha="left" if above else "right",
            fontsize=6,
            color="0.3",
        )
    for key, look in LOOKS.items():
        part = rows[(rows["router"] == key[0]) & (rows["variant"] == key[1])].sort_values("strong_tokens")
        if part.empty:
            continue
        x, y = part["strong_tokens"], part["accuracy"]
        colour = palette[look.colour]
        line = look.line or "none"
        axes.plot(x, y, color=colour, marker=look.marker, linestyle=line, label=look.label, markeredgewidth=0)
        if key in BANDS:
            axes.fill_between(x, part["accuracy_lo"], part["accuracy_hi"], color=colour, alpha=0.15, linewidth=0)
        elif not look.line:
            error = [y - part["accuracy_lo"], part["accuracy_hi"] - y]
            axes.errorbar(x, y, yerr=error, color=colour, linewidth=0.8, linestyle="none")
    for router, part in published.groupby("router") if published is not None else ():
        label, marker = PUBLISHED[str(router)]
        x, y = part["strong_tokens"], part["accuracy"]
        axes.plot(x, y, marker, color="0.45", fillstyle="none", label=f"{label}, published")
    axes.set(xlabel="strong tokens per problem", ylabel="accuracy", title=dataset, xlim=(0, None))
    share = axes.secondary_xaxis("top", functions=(_scale(100 / full), _scale(full / 100)))
    share.set_xlabel("strong share (%)", fontsize=7)
    share.tick_params(labelsize=6)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.legend(loc="outside lower center", ncols=3, columnspacing=0.8, handlelength=1.8, fontsize=6)
    return figure
