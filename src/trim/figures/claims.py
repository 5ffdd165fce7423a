"""The claims ledger as a figure: our estimate and interval of each claim, against the bar that it must exceed."""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from trim.evaluation.claims.ledger import is_percent
from trim.evaluation.claims.verdicts import FAILED_TRAINING
from trim.figures.style import PAGE_INCHES, SMALL, begin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.125
ROOM, EDGE = 0.1, 0.03
"""Shares of a panel's width that there are at least on either side of the bar, and outside of all that is drawn."""

HEAD_ROWS = 2.3
"""Height of a panel's title and axis, in rows."""

STATEMENT = ["dataset", "method"]
"""What tells the statements of a claim apart."""

Row = dict[str, Any]

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
    """Draw a panel a claim and a line a statement, from the rows of `claims.csv` about the experiment.

    Rows of several runs may stand under each other: a line then shows what each of them found, without intervals, and
    in how many of them the statement holds.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    rows = claims[claims["scope"] == "analogue"].fillna({"headline": "", "failed_training": ""})
    panels = [(str(title), part) for title, part in rows.groupby("title", sort=False)]
    columns = in_columns(panels)
    tallest = max(sum(map(height, column)) for column in columns)
    figure = plt.figure(figsize=(PAGE_INCHES, ROW_INCHES * (tallest + 3)))
    for sub, column in zip(figure.subfigures(1, len(columns), squeeze=False)[0], columns, strict=True):
        used = [height(panel) for panel in column]
        left = tallest - sum(used)
        grid = sub.add_gridspec(len(used) + (left > 0), 1, height_ratios=used + [left] * (left > 0))
        for place, (title, part) in enumerate(column):
            lines = [runs.to_dict("records") for _, runs in part.groupby(STATEMENT, sort=False)]
            _draw_panel(sub.add_subplot(grid[place]), title, lines, palette)
    alone = not rows.duplicated(["title", *STATEMENT]).any()  # of several runs no line is marked
    legend = _legend(palette, marked=alone and rows["failed_training"].any())
    figure.legend(handles=legend, loc="outside lower center", ncols=6, handletextpad=0.4, columnspacing=1.2)
    return figure


def height(panel: tuple[str, pd.DataFrame]) -> float:
    """Return the height of a panel, in rows."""
    return float(HEAD_ROWS + len(panel[1][STATEMENT].drop_duplicates()))


def in_columns(panels: list[tuple[str, pd.DataFrame]]) -> list[list[tuple[str, pd.DataFrame]]]:
    """Split panels into a left and a right column, in order, so that the taller one is as short as can be."""
    heights = [height(panel) for panel in panels]
    cuts = range(1, len(panels) + 1)
    cut = min(cuts, key=lambda at: max(sum(heights[:at]), sum(heights[at:])))
    return [column for column in (panels[:cut], panels[cut:]) if column]


def _draw_panel(axes: Axes, title: str, lines: list[list[Row]], palette: Any) -> None:
    rows = [runs[0] for runs in lines]
    scale = 100 if is_percent(rows[0]["measure"]) else 1
    tested = any(row["verdict"] != "not tested" for runs in lines for row in runs)
    if tested:
        axes.axvline(scale * rows[0]["bar"], color="0.25", linewidth=0.9, linestyle="--", zorder=1)
    else:
        axes.set_xticks([])
    for line, runs in enumerate(lines):
        if tested and not isnan(runs[0]["paper_value"]):
            axes.plot(scale * runs[0]["paper_value"], line, marker="|", color="0.25", markersize=7, zorder=2)
        _draw_line(axes, line, runs, scale, palette)
    if tested:
        _give_room(axes, scale * rows[0]["bar"])
    names = [f"{label}{holding(runs)}" for label, runs in zip(labels(rows), lines, strict=True)]
    axes.set(ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)), yticklabels=names)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row["headline"] else "normal")
    axes.tick_params(axis="y", labelsize=SMALL, length=0, pad=2)
    axes.tick_params(axis="x", labelsize=SMALL, length=2, pad=1)
    title = title.replace("delta IBC", "ΔIBC")
    axes.set_title(title[0].upper() + title[1:], fontsize=7, loc="right", pad=2)  # long ones run over the labels
    axes.grid(False, axis="y")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_line(axes: Axes, line: int, runs: list[Row], scale: float, palette: Any) -> None:
    found = [row for row in runs if row["verdict"] != "not tested" and not isnan(row["ours"])]
    if not found:
        text: dict[str, Any] = {"style": "italic", "fontsize": SMALL, "color": "0.4", "va": "center"}
        text["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # over the bar, under the paper's value
        axes.text(0.02, line, runs[0]["verdict"], transform=axes.get_yaxis_transform(), zorder=1.5, **text)
        return
    alone = len(runs) == 1
    if not alone:
        ends = [scale * end(row["ours"] for row in found) for end in (min, max)]
        axes.plot(ends, [line, line], color="0.7", linewidth=0.9, zorder=3)
    for row in found:
        look = VERDICT_LOOKS[row["verdict"]]
        colour = palette[look.colour]
        lo, value, hi = (scale * row[name] for name in ("lo", "ours", "hi"))
        if alone:
            # An end that is empty has no end: the line stops at the estimate.
            ends = [value if isnan(end) else end for end in (lo, hi)]
            axes.plot(ends, [line, line], color=colour, linewidth=1.4, zorder=3)
        fill, size = colour if look.filled else "white", 4.5 if alone else 3.5
        axes.plot(value, line, marker=look.marker, color=colour, markerfacecolor=fill, markersize=size, zorder=4)


def holding(runs: list[Row]) -> str:
    """Say in how many of several runs a statement holds, of those that tested it; mark the failed training of one."""
    if len(runs) == 1:
        return f" {FAILED_TRAINING}" if runs[0]["failed_training"] else ""
    verdicts = [row["verdict"] for row in runs if row["verdict"] != "not tested"]
    return f" ({verdicts.count('holds')} of {len(verdicts)})" if verdicts else ""


def _give_room(axes: Axes, bar: float) -> None:
    """Show zero, whole markers, and room beside the bar: a panel that begins at its bar could show nothing fail."""
    low, high = axes.get_xlim()
    low, high = min(low, bar, 0), max(high, bar, 0)
    room, edge = (share * (high - low) for share in (ROOM, EDGE))
    axes.set_xlim(min(low - edge, bar - room), max(high + edge, bar + room))


def labels(rows: list[Row]) -> list[str]:
    """Say of each line of a panel which router on which dataset it is about, in short."""
    methods = [row["method"].split(",")[0] for row in rows]
    where = [re.sub(r"^\S+ with (?=PRM )", "", row["dataset"]) for row in rows]  # all on the dataset compared on
    where = [re.sub(r" than (on|with) (PRM )?", " minus ", place) for place in where]
    return [f"{SHORT.get(method, method)}: {place}" for method, place in zip(methods, where, strict=True)]


def _legend(palette: Any, marked: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = []
    for verdict, look in VERDICT_LOOKS.items():
        colour = palette[look.colour]
        fill = colour if look.filled else "white"
        handles.append(Line2D([], [], color=colour, marker=look.marker, markerfacecolor=fill, label=verdict))
    handles.append(Line2D([], [], color="0.25", linestyle="--", linewidth=0.9, label="bar to exceed"))
    handles.append(Line2D([], [], color="0.25", linestyle="", marker="|", markersize=7, label="value in the paper"))
    if marked:
        said = f"{FAILED_TRAINING} training not shown to have worked"
        handles.append(Line2D([], [], linestyle="", label=said))
    return handles
