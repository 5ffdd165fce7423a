"""Accuracy against cost of routers trained there and of those trained elsewhere (paper, Figure 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trim.figures.accuracy_vs_cost import of_router
from trim.figures.style import DRAWN_SHARE, PAGE_INCHES, begin
from trim.names import Look, leading_variants, look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRANSFERRED = ("--", ":", "-.")
"""Line of a router that comes from another dataset, by the place of that dataset among those trained on."""


def draw(curves: pd.DataFrame, datasets: Sequence[str], trained_on: Sequence[str]) -> Figure:
    """Draw a row a dataset and a column a TRIM router, in each a line a dataset that it was trained on.

    Solid with a band where that is the dataset itself. Only the first training run is drawn.
    """
    palette = begin()
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    keys = leading_variants(curves)
    figure, grid = plt.subplots(
        len(datasets),
        len(keys),
        figsize=(PAGE_INCHES, (0.12 + 0.21 * len(datasets)) * PAGE_INCHES),
        squeeze=False,
        sharex=True,
        sharey="row",
    )
    lines: dict[str, Any] = dict(zip(trained_on, TRANSFERRED * len(trained_on), strict=False))
    for row, dataset in zip(grid, datasets, strict=True):
        for axes, key in zip(row, keys, strict=True):
            rows = of_router(curves[curves["dataset"] == dataset], key)
            _draw_sources(axes, rows[rows["seed"] == rows["seed"].min()], dataset, lines, look_of(*key), palette)
        row[0].set_ylabel(f"on {dataset}\naccuracy")
        row[0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    for axes, key in zip(grid[0], keys, strict=True):
        axes.set_title(look_of(*key).label)
    for axes in grid[-1]:
        axes.set_xlabel("strong share (%)")
    figure.suptitle("Routers trained on the dataset itself, and on others", fontsize=8)
    handles = [Line2D([], [], color="0.4", marker="o", linestyle="-", markeredgewidth=0)]
    handles += [Line2D([], [], color="0.15", linestyle=line, linewidth=1) for line in lines.values()]
    names = ["trained on the dataset itself", *(f"transferred from {source}" for source in lines)]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _draw_sources(
    axes: Axes, rows: pd.DataFrame, dataset: str, lines: Mapping[str, Any], look: Look, palette: Sequence[Any]
) -> None:
    """Draw a line a training dataset; `lines` says how those are drawn that are not the dataset itself."""
    for source, line in lines.items():
        points = rows[rows["trained_on"] == source].sort_values("strong_share")
        x, style = 100 * points["strong_share"], {**look.drawn(palette), "markersize": 2.5}
        if source != dataset:
            style |= {"color": "0.15", "linestyle": line, "marker": "", "linewidth": 1}
        axes.plot(x, points["accuracy"], label=source, **style)
        if source == dataset:
            band = points["accuracy_lo"], points["accuracy_hi"]
            axes.fill_between(x, *band, color=palette[look.colour], alpha=0.15, linewidth=0)
    axes.set_xlim(0, 100 * DRAWN_SHARE)
