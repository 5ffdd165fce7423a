"""Where along a solution the strong model is called: share of steps it writes, by position and budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.style import COLUMN_INCHES, begin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BUDGETS = (0.1, 0.2, 0.4, 0.6)
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D")
FEWEST_EPISODES = 20


def draw(calls: pd.DataFrame, curves: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw TRIM-Thr at the operating points nearest to a few strong shares, from the rows of `strong_calls.csv`."""
    palette = begin()
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    calls, curves = (table[table["trained_on"] == trained_on] for table in (calls, curves))
    figure, axes = plt.subplots(figsize=(COLUMN_INCHES, 0.75 * COLUMN_INCHES))
    sweep = curves[(curves["dataset"] == dataset) & (curves["router"] == "trim-thr") & (curves["variant"] == "default")]
    nearest = {int((sweep["strong_share"] - budget).abs().idxmin()) for budget in BUDGETS}
    for style, marker, colour, index in zip(STYLES, MARKERS, palette, sorted(nearest), strict=False):
        point = sweep.loc[index]
        rows = calls[
            (calls["dataset"] == dataset)
            & (calls["router"] == "trim-thr")
            & (calls["variant"] == "default")
            & (calls["operating_point"] == point["operating_point"])
            & (calls["episodes"] >= FEWEST_EPISODES)
        ]
        label = f"threshold {point['operating_point']:.2f} ({point['strong_share']:.0%} of tokens)"
        axes.plot(
            rows["position"] + 1, rows["strong"] / rows["episodes"], style, marker=marker, color=colour, label=label
        )
    axes.set(xlabel="step of the solution", ylabel="share written by the strong model", title=dataset, ylim=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right")
    return figure
