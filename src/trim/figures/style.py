"""One look for all figures: two-column paper width, colours and markers that survive greyscale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_INCHES = 3.3
PAGE_INCHES = 6.9
"""Width of a figure across one and across both columns; drawn at this size, no letter is smaller than SMALL points."""

SMALL = 6.5
DOTS_PER_INCH = 200
BLACK = 10
"""Index of the colour of controls and bounds, behind the ten of the palette."""


@dataclass(frozen=True)
class Look:
    """How a router is drawn everywhere: colours are indices into the palette of `begin`."""

    label: str
    colour: int
    marker: str
    line: str

    def drawn(self, palette: Sequence[Any]) -> dict[str, Any]:
        """Return the looks of a line, as matplotlib names them; points without a line stand out before lines."""
        looks = {"color": palette[self.colour], "marker": self.marker, "linestyle": self.line or "none"}
        if self.line:
            return looks | {"markeredgewidth": 0.8 if self.marker == "x" else 0}
        return looks | {"markersize": 6, "markeredgewidth": 0.5, "markeredgecolor": "black", "zorder": 3}


LOOKS: Mapping[tuple[str, str], Look] = {
    ("trim-thr", "default"): Look("TRIM-Thr", 0, "o", "-"),
    ("trim-thr", "hull"): Look("TRIM-Thr, hull", 9, "P", "-."),
    ("trim-thr", "per-token"): Look("TRIM-Thr, per token", 3, "v", "--"),
    ("trim-agg", "conditioned"): Look("TRIM-Agg", 1, "s", "-"),
    ("trim-agg", "default"): Look("TRIM-Agg, per kappa", 1, "d", "--"),
    ("trim-agg", "released"): Look("TRIM-Agg, released", 1, "p", ":"),
    ("trim-seq", "conditioned"): Look("TRIM-Seq", 2, "^", "-"),
    ("trim-seq", "default"): Look("TRIM-Seq, per kappa", 2, "<", "--"),
    ("trim-pomdp", "default"): Look("TRIM-POMDP", 4, "D", "-"),
    ("trim-pomdp", "memoryless"): Look("TRIM-POMDP, memoryless", 4, "H", "-."),
    ("trim-pomdp", "transferred"): Look("TRIM-POMDP, transferred", 4, ">", "--"),
    ("trim-pomdp", "released"): Look("TRIM-POMDP, released", 4, "X", ":"),
    ("rsd", "default"): Look("RSD", 8, "h", ""),
    ("one-step-takeover", "default"): Look("one-step takeover", BLACK, "s", "--"),
    ("random-step", "default"): Look("random step", 7, "x", ":"),
    ("random-query", "default"): Look("random query", 7, "", ":"),
    ("first-error-oracle", "default"): Look("first-error oracle", BLACK, "*", ""),
    ("perfect-information", "default"): Look("perfect information", BLACK, "", "-."),
    ("oracle-query", "cheapest-first"): Look("query-level oracle, cheapest first", BLACK, "", "-"),
    ("oracle-query", "dearest-first"): Look("query-level oracle, dearest first", BLACK, "", "--"),
    ("bert", "default"): Look("BERT", 5, "o", ":"),
    ("mf", "default"): Look("MF", 5, "D", "--"),
    ("sw", "default"): Look("SW ranking", 5, "^", "-."),
    ("smoothie", "default"): Look("Smoothie", 5, "P", ":"),
    ("automix", "default"): Look("AutoMix", 5, "X", "-"),
    ("automix-prm", "default"): Look("AutoMix-PRM", 5, "v", "-."),
    ("hybrid-llm", "default"): Look("Hybrid-LLM", 5, "<", "-"),
    ("hybrid-llm", "deterministic"): Look("Hybrid-LLM, deterministic", 5, "<", ":"),
    ("best-route", "default"): Look("BEST-Route", 5, "p", "--"),
    ("frugal", "default"): Look("FrugalGPT", 5, "d", ":"),
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
QUERY_ROUTERS = ("bert", "mf", "sw", "smoothie", "automix", "automix-prm", "hybrid-llm", "best-route", "frugal")


def look_of(router: str, variant: str) -> Look:
    """Return how a variant of a router is drawn; one without a look of its own is grey and bears its names."""
    plain = router if variant == "default" else f"{router}, {variant}"
    return LOOKS.get((router, variant), Look(plain, 7, "o", "-"))


def in_order(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the (router, variant) that a table holds, in the order of LOOKS, others behind."""
    there = dict.fromkeys(rows[["router", "variant"]].itertuples(index=False, name=None))
    known = list(LOOKS)
    return sorted(there, key=lambda key: known.index(key) if key in LOOKS else len(known))


def leading_variants(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (router, variant) of the one variant by which each TRIM router is shown: its first in LOOKS."""
    there = set(rows[["router", "variant"]].itertuples(index=False, name=None))
    found = ([key for key in LOOKS if key[0] == router and key in there] for router in TRIM_ROUTERS)
    return [keys[0] for keys in found if keys]


def dataset_looks(datasets: Iterable[str]) -> dict[str, Look]:
    """Return how datasets are told apart where a figure shows several in one panel, in this order."""
    marks = zip("os^Dv", ("-", "--", "-.", ":", "-"), strict=True)
    looks = (Look(str(name), place, *mark) for place, (name, mark) in enumerate(zip(datasets, marks, strict=False)))
    return {look.label: look for look in looks}


def shown_kappas(laid: Sequence[float]) -> list[float]:
    """Return a low, a middle and a high kappa of a sweep, as far as it has them."""
    import numpy as np

    return [float(kappa) for kappa in np.unique(np.quantile(laid, (0.2, 0.5, 0.8), method="nearest"))]


def begin() -> list[tuple[float, float, float]]:
    """Set the style of the figure to come, and return the palette: seaborn's for the colour-blind, and black."""
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
            "legend.fontsize": SMALL,
            "legend.title_fontsize": SMALL,
            "legend.frameon": False,
            "axes.linewidth": 0.7,
            "xtick.major.width": 0.7,
            "ytick.major.width": 0.7,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "xtick.minor.width": 0.5,
            "ytick.minor.width": 0.5,
            "xtick.minor.size": 1.5,
            "ytick.minor.size": 1.5,
            "hatch.linewidth": 0.4,
            "axes.grid": True,
            "grid.color": "0.9",
            "grid.linewidth": 0.5,
            "lines.linewidth": 1.2,
            "lines.markersize": 3.5,
            "pdf.fonttype": 42,
            "figure.constrained_layout.use": True,
        },
    )
    return [*sns.color_palette("colorblind"), (0.1, 0.1, 0.1)]


def panels(count: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure across the page with so many panels, at most four abreast; `height`: of a row, in inches."""
    from matplotlib import pyplot as plt

    columns = min(count, 4)
    rows = -(-count // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(PAGE_INCHES, rows * height), squeeze=False, **options)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def save(figure: Figure, paths: Iterable[str | Path], origin: Mapping[str, Any]) -> None:
    """Write a figure as PDF and PNG, without dates, its provenance in the metadata."""
    from matplotlib import pyplot as plt

    from trim.files import written_aside

    subject = f"TRIM, config {origin['config_hash']}, code {origin['code']}"
    for path in map(Path, paths):
        kind = path.suffix.removeprefix(".")
        dates = {"CreationDate": None, "ModDate": None, "Subject": subject} if kind == "pdf" else {"Comment": subject}
        with written_aside(path) as aside:
            figure.savefig(aside, format=kind, dpi=DOTS_PER_INCH, metadata=dates)
    plt.close(figure)
