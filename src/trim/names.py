"""Every router and its variants, once: identifier, label, family, colour and marker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import pandas as pd

END_POINTS = ("weak-only", "strong-only")


ORACLES = ("first-error-oracle", "perfect-information", "oracle-query")


TRIM_ROUTERS = ("trim-thr", "trim-agg", "trim-seq", "trim-pomdp")


LOOK_AHEAD = {"trim-agg": "TRIM-Agg", "trim-seq": "TRIM-Seq", "trim-pomdp": "TRIM-POMDP"}


NAMES = {"trim-thr": "TRIM-Thr", **LOOK_AHEAD}


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


QueryBaseline = Literal["bert", "mf", "sw", "smoothie", "automix", "automix-prm", "frugal", "hybrid-llm", "best-route"]


QUERY_BASELINES: tuple[QueryBaseline, ...] = get_args(QueryBaseline)
