"""One look for all figures: two-column paper width, colours and markers that survive greyscale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLUMN_INCHES = 3.4
PAGE_INCHES = 7.0
DOTS_PER_INCH = 200


@dataclass(frozen=True)
class Look:
    """How a router is drawn everywhere: named colours of seaborn's colour-blind palette by index."""

    label: str
    colour: int
    marker: str
    line: str


LOOKS: Mapping[tuple[str, str], Look] = {
    ("trim-thr", "default"): Look("TRIM-Thr", 0, "o", "-"),
    ("trim-thr", "hull"): Look("TRIM-Thr, hull", 9, "P", "-."),
    ("trim-thr", "per-token"): Look("TRIM-Thr, per token", 3, "v", "--"),
    ("trim-agg", "conditioned"): Look("TRIM-Agg", 1, "s", "-"),
    ("trim-agg", "default"): Look("TRIM-Agg, a policy each kappa", 1, "d", "--"),
    ("trim-agg", "released"): Look("TRIM-Agg, released", 1, "p", ":"),
    ("trim-seq", "conditioned"): Look("TRIM-Seq", 2, "^", "-"),
    ("trim-seq", "default"): Look("TRIM-Seq, a policy each kappa", 2, "<", "--"),
    ("trim-pomdp", "default"): Look("TRIM-POMDP", 4, "D", "-"),
    ("trim-pomdp", "released"): Look("TRIM-POMDP, released", 4, "X", ":"),
    ("one-step-takeover", "default"): Look("one-step takeover", 5, "s", "--"),
    ("random-step", "default"): Look("random step", 7, "x", ":"),
    ("random-query", "default"): Look("random query", 7, "", ":"),
    ("first-error-oracle", "default"): Look("first-error oracle", 3, "*", ""),
    ("perfect-information", "default"): Look("perfect information", 5, "", "-."),
}


class StateLook(NamedTuple):
    """How a state of TRIM-POMDP is drawn: its name, a colour of the palette, a line."""

    label: str
    colour: int
    line: str


STATE_LOOKS = (
    StateLook("S0: all right so far", 2, "-"),
    StateLook("S1: an earlier step is wrong", 7, "--"),
    StateLook("S2: only this step is wrong", 3, "-."),
)
TRIM_ROUTERS = ("trim-thr", "trim-agg", "trim-seq", "trim-pomdp")


def leading_variants(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (router, variant) of the one variant by which each TRIM router is shown: its first in LOOKS."""
    there = set(rows[["router", "variant"]].itertuples(index=False, name=None))
    found = ([key for key in LOOKS if key[0] == router and key in there] for router in TRIM_ROUTERS)
    return [keys[0] for keys in found if keys]


def shown_kappas(laid: Sequence[float]) -> list[float]:
    """Return a low, a middle and a high kappa of a sweep, as far as it has them."""
    import numpy as np

    return [float(kappa) for kappa in np.unique(np.quantile(laid, (0.2, 0.5, 0.8), method="nearest"))]


def begin() -> list[tuple[float, float, float]]:
    """Set the style of the figure to come, and return the palette."""
    import matplotlib as mpl

    mpl.use("Agg")
    import seaborn as sns

    sns.set_theme(
        context="paper",
        style="ticks",
        palette="colorblind",
        rc={
            "font.size": 8,
            "axes.titlesize": 8,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 6.5,
            "legend.frameon": False,
            "axes.grid": True,
            "grid.color": "0.9",
            "grid.linewidth": 0.5,
            "lines.linewidth": 1.2,
            "lines.markersize": 3.5,
            "pdf.fonttype": 42,
            "figure.constrained_layout.use": True,
        },
    )
    return list(sns.color_palette("colorblind"))


def save(figure: Figure, paths: list[Path], origin: Mapping[str, Any]) -> None:
    """Write a figure as PDF and PNG, without dates, its provenance in the metadata."""
    from matplotlib import pyplot as plt

    from trim.files import written_aside

    subject = f"TRIM, config {origin['config_hash']}, code {origin['code']}"
    for path in paths:
        kind = path.suffix.removeprefix(".")
        dates = {"CreationDate": None, "ModDate": None, "Subject": subject} if kind == "pdf" else {"Comment": subject}
        with written_aside(path) as aside:
            figure.savefig(aside, format=kind, dpi=DOTS_PER_INCH, metadata=dates)
    plt.close(figure)
