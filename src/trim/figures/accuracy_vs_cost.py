"""Accuracy against strong tokens: the routers of one dataset between both models alone (paper, Figure 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.evaluation.claims.published import Source, published_points
from trim.figures.style import PAGE_INCHES, SMALL, begin
from trim.names import END_POINTS, RANDOM_QUERY, THR, Key, Look, leading_variants, look_of, names, routers_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOW_BUDGET = 0.3
"""Strong share up to which the second panel reaches."""

REGIONS = ("oracle-query",)
"""Oracles that bound a region, drawn in a figure of its own."""


def references() -> list[Key]:
    """Return what the routers are held against: the hull of TRIM-Thr, random mixing, and the oracles."""
    bounds = [router for router in routers_of("oracle") if router not in REGIONS]
    return [(THR, "hull"), ("random-step", "default"), *(key for key in names() if key[0] in (RANDOM_QUERY, *bounds))]


def draw_beside_published(
    curves: pd.DataFrame, published: Sequence[Path], dataset: str, trained_on: str, whose: Source | None
) -> Figure:
    """Draw one dataset beside the points that others published for it, if the experiment has any to compare with."""
    points = published_points(published[0].parent, whose, dataset) if whose else None
    return draw(curves, dataset, trained_on, points)


def draw(curves: pd.DataFrame, dataset: str, trained_on: str, published: pd.DataFrame | None = None) -> Figure:
    """Draw the TRIM routers trained on one dataset, and the references, from the rows of `curves.csv`.

    The second panel shows low budgets alone, where the routers differ, as high as these reach. `published` holds points
    of others
    (router, strong_tokens, accuracy): hollow, with nothing between them.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    rows = rows_of(curves, dataset, trained_on)
    leading = leading_variants(rows)
    figure, (whole, low) = plt.subplots(1, 2, figsize=(PAGE_INCHES, 0.52 * PAGE_INCHES))
    for axes in (whole, low):
        draw_curves(axes, rows, palette, [*leading, *references()], banded=leading)
        for router, part in published.groupby("router") if published is not None else ():
            look = next(look_of(*key) for key in [*leading, *names()] if key[0] == router)
            x, y, colour = part["strong_tokens"], part["accuracy"], palette[look.colour]
            axes.plot(x, y, look.marker, color=colour, fillstyle="none", label=f"{look.label}, published")
    whole.set(title=f"{dataset}: accuracy against cost", ylabel="accuracy")
    budget = LOW_BUDGET * whole.get_xlim()[1]
    low.set(title=f"{dataset}: low budgets", xlim=(0, budget), ylim=_reached(rows, leading, budget))
    figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncols=5, columnspacing=1.2)
    return figure


def rows_of(curves: pd.DataFrame, dataset: str, trained_on: str) -> pd.DataFrame:
    """Return the rows of one dataset, of routers that were trained on one dataset or on none."""
    return curves[(curves["dataset"] == dataset) & curves["trained_on"].isin(["untrained", trained_on])]


def of_router(rows: pd.DataFrame, key: Key) -> pd.DataFrame:
    """Return the rows of one variant of a router."""
    return rows[(rows["router"] == key[0]) & (rows["variant"] == key[1])]


def first_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first training run of each router."""
    return rows[rows["seed"] == rows.groupby(["router", "variant"])["seed"].transform("min")]


def draw_curves(
    axes: Axes, rows: pd.DataFrame, palette: Sequence[Any], keys: Sequence[Key], banded: Sequence[Key] = ()
) -> None:
    """Draw both models alone and the curves of some routers, a line a training run; `banded` ones with intervals."""
    ends = {name: rows[rows["router"] == name].iloc[0] for name in END_POINTS}
    for name, row in ends.items():
        _draw_alone(axes, name, row["accuracy"])
    weak, strong = ends.values()
    full = float(strong["strong_tokens"])
    for key in keys:
        if key[0] == RANDOM_QUERY:  # a straight line by definition
            look = look_of(*key)
            mixed = [weak["accuracy"], strong["accuracy"]]
            axes.plot([0, full], mixed, label=look.label, **look.drawn(palette))
            continue
        part = of_router(rows, key).sort_values("strong_tokens")
        for run, (_, points) in enumerate(part.groupby("seed")):
            _draw_run(axes, points, palette, look_of(*key), banded=key in banded, named=run == 0)
    axes.set(xlabel="strong tokens per problem", xlim=(0, full))
    axes.margins(y=0.09)  # room for the names of both models
    share = axes.secondary_xaxis("top", functions=(_scale(100 / full), _scale(full / 100)))
    share.set_xlabel("strong share (%)", fontsize=7)
    share.tick_params(labelsize=SMALL)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _reached(rows: pd.DataFrame, keys: Sequence[Key], budget: float) -> tuple[float, float]:
    """Return from the accuracy of the weak model alone to what routers reach within a budget, intervals included."""
    lowest = float(rows.loc[rows["router"] == END_POINTS[0], "accuracy"].iloc[0])
    curves = [run.sort_values("strong_tokens") for key in keys for _, run in of_router(rows, key).groupby("seed")]
    reached = [float(np.interp(budget, run["strong_tokens"], run["accuracy_hi"])) for run in curves]
    room = 0.09 * (max(reached, default=1.0) - lowest)
    return lowest - room, max(reached, default=1.0) + room


def _draw_alone(axes: Axes, name: str, accuracy: float) -> None:
    """Draw the accuracy of one model alone across the panel, with its name at the right: the strong one's above."""
    from matplotlib.patheffects import withStroke

    above = name == END_POINTS[1]
    axes.axhline(accuracy, color="0.45", linewidth=0.7, linestyle=(0, (6, 3)))
    axes.annotate(
        f"{name.replace('-', ' ')} {accuracy:.1%}",
        (1, accuracy),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3 if above else -3),
        textcoords="offset points",
        ha="right",
        va="bottom" if above else "top",
        fontsize=SMALL,
        color="0.3",
        path_effects=[withStroke(linewidth=2, foreground="white")],
        zorder=1.5,  # before bands, behind points
        annotation_clip=True,
    )


def _draw_run(
    axes: Axes, points: pd.DataFrame, palette: Sequence[Any], look: Look, *, banded: bool, named: bool
) -> None:
    """Draw the operating points of one training run; points without a line have error bars."""
    x, y, colour = points["strong_tokens"], points["accuracy"], palette[look.colour]
    low, high = points["accuracy_lo"], points["accuracy_hi"]
    axes.plot(x, y, label="_" * (not named) + look.label, **look.drawn(palette))
    if banded:
        axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    elif not look.line:
        axes.errorbar(x, y, yerr=[y - low, high - y], color=colour, linewidth=0.8, linestyle="none")


def _scale(factor: float) -> Callable[[Any], Any]:
    return lambda values: np.asarray(values) * factor
