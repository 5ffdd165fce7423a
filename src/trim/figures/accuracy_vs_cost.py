"""Accuracy against strong tokens: the routers of one dataset between both models alone (paper, Figure 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.figures.style import PAGE_INCHES, SMALL, begin
from trim.names import leading_variants, look_of, names

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANDOM_QUERY = ("random-query", "default")
REFERENCES = (
    ("trim-thr", "hull"),
    ("random-step", "default"),
    RANDOM_QUERY,
    ("first-error-oracle", "default"),
    ("perfect-information", "default"),
)
LOW_BUDGET = 0.3
"""Strong share up to which the second panel reaches."""


def draw(curves: pd.DataFrame, dataset: str, trained_on: str, published: pd.DataFrame | None = None) -> Figure:
    """Draw the TRIM routers trained on one dataset, and what bounds them, from the rows of `curves.csv`.

    The second panel shows low budgets alone, where the routers differ. `published` holds points of others
    (router, strong_tokens, accuracy): hollow, with nothing between them.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    rows = rows_of(curves, dataset, trained_on)
    leading = leading_variants(rows)
    figure, (whole, low) = plt.subplots(1, 2, figsize=(PAGE_INCHES, 0.52 * PAGE_INCHES), sharey=True)
    for axes in (whole, low):
        draw_curves(axes, rows, palette, [*leading, *REFERENCES], banded=leading)
        for router, part in published.groupby("router") if published is not None else ():
            look = next(look_of(*key) for key in [*leading, *names()] if key[0] == router)
            x, y, colour = part["strong_tokens"], part["accuracy"], palette[look.colour]
            axes.plot(x, y, look.marker, color=colour, fillstyle="none", label=f"{look.label}, published")
    whole.set(title=f"{dataset}: accuracy against cost", ylabel="accuracy")
    low.set(title=f"{dataset}: low budgets", xlim=(0, LOW_BUDGET * whole.get_xlim()[1]))
    figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncols=5, columnspacing=1.2)
    return figure


def rows_of(curves: pd.DataFrame, dataset: str, trained_on: str) -> pd.DataFrame:
    """Return the rows of one dataset, of routers that were trained on one dataset or on none."""
    return curves[(curves["dataset"] == dataset) & curves["trained_on"].isin(["untrained", trained_on])]


def draw_curves(
    axes: Axes,
    rows: pd.DataFrame,
    palette: Sequence[Any],
    keys: Sequence[tuple[str, str]],
    banded: Sequence[tuple[str, str]] = (),
) -> None:
    """Draw both models alone and the curves of some routers, a line a training run; `banded` ones with intervals."""
    from matplotlib.patheffects import withStroke

    ends = {name: rows[rows["router"] == name].iloc[0] for name in ("weak-only", "strong-only")}
    full = float(ends["strong-only"]["strong_tokens"])
    for name, row in ends.items():
        above = name == "strong-only"
        axes.axhline(row["accuracy"], color="0.45", linewidth=0.7, linestyle=(0, (6, 3)))
        axes.annotate(
            f"{name.replace('-', ' ')} {row['accuracy']:.1%}",
            (1, row["accuracy"]),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3 if above else -3),
            textcoords="offset points",
            ha="right",
            va="bottom" if above else "top",
            fontsize=SMALL,
            color="0.3",
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=1.5,  # before bands, behind points
        )
    for key in keys:
        look = look_of(*key)
        if key == RANDOM_QUERY:  # a straight line by definition
            mixed = [ends[name]["accuracy"] for name in ("weak-only", "strong-only")]
            axes.plot([0, full], mixed, label=look.label, **look.drawn(palette))
            continue
        part = rows[(rows["router"] == key[0]) & (rows["variant"] == key[1])].sort_values("strong_tokens")
        for run, (_, points) in enumerate(part.groupby("seed")):
            x, y, colour = points["strong_tokens"], points["accuracy"], palette[look.colour]
            axes.plot(x, y, label="_" * (run > 0) + look.label, **look.drawn(palette))
            if key in banded:
                axes.fill_between(
                    x, points["accuracy_lo"], points["accuracy_hi"], color=colour, alpha=0.12, linewidth=0
                )
            elif not look.line:
                error = [y - points["accuracy_lo"], points["accuracy_hi"] - y]
                axes.errorbar(x, y, yerr=error, color=colour, linewidth=0.8, linestyle="none")
    axes.set(xlabel="strong tokens per problem", xlim=(0, full))
    axes.margins(y=0.09)  # room for the names of both models
    share = axes.secondary_xaxis("top", functions=(_scale(100 / full), _scale(full / 100)))
    share.set_xlabel("strong share (%)", fontsize=7)
    share.tick_params(labelsize=SMALL)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _scale(factor: float) -> Callable[[Any], Any]:
    return lambda values: np.asarray(values) * factor
