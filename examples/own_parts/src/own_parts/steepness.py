"""A figure: how much accuracy a token of the strong model buys at each operating point of each router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.spec import FigureSpec, tables
from trim.names import look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURE = FigureSpec(
    name="steepness",
    draw="own_parts.steepness:draw",
    scope="evaluated",  # one for each dataset that is evaluated
    reads=tables("curves"),  # `draw` gets curves.csv as a data frame
    category="Main results",
    title="gain per strong token",
    caption="What every operating point gains over the weak model alone, per strong token.",
)


def draw(curves: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw a point an operating point, from the rows of `curves.csv`."""
    from trim.figures.style import PAGE_INCHES, begin

    palette = begin()
    from matplotlib import pyplot as plt

    rows = curves[(curves["dataset"] == dataset) & curves["trained_on"].isin(["untrained", trained_on])]
    weak = rows.loc[rows["router"] == "weak-only", "accuracy"].iloc[0]
    rows = rows[rows["strong_tokens"] > 0]
    figure, axes = plt.subplots(figsize=(PAGE_INCHES / 2, PAGE_INCHES / 3))
    for (router, variant), points in rows.groupby(["router", "variant"]):
        gain = (points["accuracy"] - weak) / points["strong_tokens"]
        axes.plot(points["strong_share"], 1000 * gain, **{**look_of(router, variant).drawn(palette), "linestyle": ""})
    axes.set(title=dataset, xlabel="strong share", ylabel="gain per 1,000 strong tokens")
    return figure
