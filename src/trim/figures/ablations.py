"""What each choice of the experiment is worth: differences in ΔIBC with their intervals, a row a contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trim.figures.style import PAGE_INCHES, SMALL, begin, dataset_looks
from trim.names import look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIGNIFICANT = 0.05
SPREAD = 0.5
"""Share of a row's height over which its datasets are spread."""

ROW_INCHES = 0.165
FAINT = 0.35
"""Opacity of what training that failed leaves."""

LABELS = {"trained_on": "trained on", "prm": "PRM"}


def draw(table: pd.DataFrame) -> Figure:
    """Draw a forest of the contrasts in ΔIBC of `ablations.csv`, grouped by ablation.

    Filled marks have a corrected p-value below 5 %. All that is right of zero speaks for the first of a row's names,
    but in the faint rows, where the training of one side is not shown to have worked.
    """
    palette = begin()
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.transforms import blended_transform_factory

    table = first_runs(table[table["measure"] == "delta_ibc"].dropna(subset=["difference"]))
    table = table.assign(contrast=contrast_names(table))
    looks = dataset_looks(dict.fromkeys(table["dataset"]))
    order = {dataset: place for place, dataset in enumerate(looks)}
    shift = {d: SPREAD * (place / max(len(order) - 1, 1) - 0.5) for d, place in order.items()}
    ticks, headings, place = {}, {}, 0
    for (_, question), group in table.groupby(["ablation", "question"], sort=False):
        headings[place] = question
        place += 1
        for contrast, rows in group.groupby("contrast", sort=False):
            ticks[place] = contrast
            place += 1
            table.loc[rows.index, "place"] = place - 1
    figure, axes = plt.subplots(figsize=(PAGE_INCHES, 0.8 + ROW_INCHES * max(place, 1)))
    for row in table.to_dict("records"):
        look, y = looks[row["dataset"]], row["place"] + shift[row["dataset"]]
        colour = palette[look.colour]
        is_read = row["trained"] != "no"
        face = colour if is_read and row["p_corrected"] < SIGNIFICANT else "white"
        faint: dict[str, Any] = {"color": colour, "alpha": 1 if is_read else FAINT}
        axes.hlines(y, row["difference_lo"], row["difference_hi"], linewidth=0.9, **faint)
        axes.plot(row["difference"], y, marker=look.marker, markerfacecolor=face, markeredgewidth=0.8, **faint)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    across = blended_transform_factory(figure.transFigure, axes.transData)
    for y, question in headings.items():
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        heading = axes.text(0.01, y, question, transform=across, va="center", fontsize=SMALL, bbox=box)
        heading.set(fontweight="bold", in_layout=False)
    axes.axvline(0, color="0.45", linewidth=0.7)
    axes.set_yticks([*ticks], [*ticks.values()], fontsize=SMALL)
    axes.set(ylim=(place - 0.4, -0.6), xlabel="difference in ΔIBC (first minus second), with its 95 % interval")
    axes.set_title("Filled: corrected p < 0.05; faint: as trained, training failed")
    handles = [Line2D([], [], **{**look.drawn(palette), "linestyle": "-"}) for look in looks.values()]
    figure.legend(handles, [f"on {name}" for name in looks], loc="outside lower center", ncols=max(len(looks), 1))
    return figure


def first_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first training run of every contrast."""
    contrast = ["ablation", "router", "variant", "other_router", "other_variant"]
    first = table.groupby(contrast)[["seed", "other_seed"]].transform("min")
    return table[(table[["seed", "other_seed"]] == first).all(axis=1)]


def contrast_names(table: pd.DataFrame) -> list[str]:
    """Return what is compared in each row: both routers, and whatever else differs within its ablation."""
    several = {name: table.groupby("ablation")[name].transform("nunique").gt(1) for name in LABELS}
    names = []
    for at, row in table.iterrows():
        one, other = (look_of(row[f"{who}router"], row[f"{who}variant"]).label for who in ("", "other_"))
        if one == other:  # what differs is the PRM
            other = "with the PRM that routes"
        extra = [f"{LABELS[name]} {row[name]}" for name, varies in several.items() if varies[at]]
        names.append(f"{one} \N{MINUS SIGN} {other}" + f" ({', '.join(extra)})" * bool(extra))
    return names
