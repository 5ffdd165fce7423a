"""The claims ledger as a figure: our estimate and interval of each claim, against the bar that it must exceed."""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from trim.evaluation.claims.ledger import is_percent
from trim.figures.style import PAGE_INCHES, SMALL, begin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.125
ROOM = 0.1
"""Share of a panel's width that there is at least on either side of the bar."""

HEAD_ROWS = 2.3
"""Height of a panel's title and axis, in rows."""

SHORT = {
    "Every look-ahead router": "all that look ahead",
    "One look-ahead router": "the best that looks ahead",
    "One TRIM router": "the best TRIM router",
}


class VerdictLook(NamedTuple):
    """How a verdict is drawn: a colour of the palette, a marker, whether it is filled."""

    colour: int
    marker: str
    filled: bool


VERDICT_LOOKS = {
    "holds": VerdictLook(0, "o", True),
    "fails": VerdictLook(3, "X", True),
    "undecided": VerdictLook(7, "D", False),
}


def draw(claims: pd.DataFrame) -> Figure:
    """Draw a panel a claim and a line a statement, from the rows of `claims.csv` about the experiment."""
    palette = begin()
    from matplotlib import pyplot as plt

    rows = claims[claims["scope"] == "analogue"].fillna({"headline": ""})
    panels = [(str(title), part) for title, part in rows.groupby("title", sort=False)]
    columns = in_columns(panels)
    tallest = max(sum(HEAD_ROWS + len(part) for _, part in column) for column in columns)
    figure = plt.figure(figsize=(PAGE_INCHES, ROW_INCHES * (tallest + 3)))
    for sub, column in zip(figure.subfigures(1, len(columns), squeeze=False)[0], columns, strict=True):
        used = [HEAD_ROWS + len(part) for _, part in column]
        left = tallest - sum(used)
        grid = sub.add_gridspec(len(used) + (left > 0), 1, height_ratios=used + [left] * (left > 0))
        for place, (title, part) in enumerate(column):
            _draw_panel(sub.add_subplot(grid[place]), title, part.to_dict("records"), palette)
    figure.legend(handles=_legend(palette), loc="outside lower center", ncols=6, handletextpad=0.4)
    return figure


def in_columns(panels: list[tuple[str, pd.DataFrame]]) -> list[list[tuple[str, pd.DataFrame]]]:
    """Split panels into a left and a right column, in order, so that the taller one is as short as can be."""
    heights = [HEAD_ROWS + len(part) for _, part in panels]
    cuts = range(1, len(panels) + 1)
    cut = min(cuts, key=lambda at: max(sum(heights[:at]), sum(heights[at:])))
    return [column for column in (panels[:cut], panels[cut:]) if column]


def _draw_panel(axes: Axes, title: str, rows: list[dict[str, Any]], palette: Any) -> None:
    scale = 100 if is_percent(rows[0]["measure"]) else 1
    tested = any(row["verdict"] != "not tested" for row in rows)
    if tested:
        axes.axvline(scale * rows[0]["bar"], color="0.25", linewidth=0.9, linestyle="--", zorder=1)
    else:
        axes.set_xticks([])
    for line, row in enumerate(rows):
        if tested and not isnan(row["paper_value"]):
            axes.plot(scale * row["paper_value"], line, marker="|", color="0.25", markersize=7, zorder=2)
        if row["verdict"] == "not tested" or isnan(row["ours"]):
            text: dict[str, Any] = {"style": "italic", "fontsize": SMALL, "color": "0.4", "va": "center"}
            axes.text(0.02, line, row["verdict"], transform=axes.get_yaxis_transform(), **text)
            continue
        look = VERDICT_LOOKS[row["verdict"]]
        colour = palette[look.colour]
        lo, value, hi = (scale * row[name] for name in ("lo", "ours", "hi"))
        # An end that is empty has no end: the line stops at the estimate.
        ends = [value if isnan(end) else end for end in (lo, hi)]
        axes.plot(ends, [line, line], color=colour, linewidth=1.4, zorder=3)
        fill = colour if look.filled else "white"
        axes.plot(value, line, marker=look.marker, color=colour, markerfacecolor=fill, markersize=4.5, zorder=4)
    if tested:
        _give_room(axes, scale * rows[0]["bar"])
    axes.set(ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)), yticklabels=labels(rows))
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row["headline"] else "normal")
    axes.tick_params(axis="y", labelsize=SMALL, length=0, pad=2)
    axes.tick_params(axis="x", labelsize=SMALL, length=2, pad=1)
    title = title.replace("delta IBC", "ΔIBC")
    axes.set_title(title[0].upper() + title[1:], fontsize=7, loc="right", pad=2)  # long ones run over the labels
    axes.grid(False, axis="y")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _give_room(axes: Axes, bar: float) -> None:
    """Show zero, and room on both sides of the bar: a panel that begins at its bar could show nothing fail."""
    low, high = axes.get_xlim()
    low, high = min(low, bar, 0), max(high, bar, 0)
    room = ROOM * (high - low)
    axes.set_xlim(min(low, bar - room), max(high, bar + room))


def labels(rows: list[dict[str, Any]]) -> list[str]:
    """Say of each line of a panel which router on which dataset it is about, in short."""
    methods = [row["method"].split(",")[0] for row in rows]
    where = [re.sub(r" than (on|with) ", " minus ", row["dataset"]) for row in rows]
    return [f"{SHORT.get(method, method)}: {place}" for method, place in zip(methods, where, strict=True)]


def _legend(palette: Any) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = []
    for verdict, look in VERDICT_LOOKS.items():
        colour = palette[look.colour]
        fill = colour if look.filled else "white"
        handles.append(Line2D([], [], color=colour, marker=look.marker, markerfacecolor=fill, label=verdict))
    handles.append(Line2D([], [], color="0.25", linestyle="--", linewidth=0.9, label="bar to exceed"))
    handles.append(Line2D([], [], color="0.25", linestyle="", marker="|", markersize=7, label="value in the paper"))
    return handles
