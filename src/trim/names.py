"""Every router and its variants, once: identifier, family, label, order, colour and marker.

What stands here is all that tables, figures and claims know of a router. An installed package adds its own through the
entry point group `trim.names`: each entry is a sequence of `Name`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from trim.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Family = Literal["end", "trim", "own", "control", "oracle", "query"]
"""Both models alone; the routers of the paper; step routers of our own; what a good router must beat; what knows more
than a router may; baselines that decide once a problem."""

Key = tuple[str, str]
"""A router and its variant."""

BLACK = 10
"""Index of the colour of controls and bounds, behind the ten of the palette."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a thing is drawn everywhere: colours are indices into the palette of `figures.style.begin`."""

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


@dataclass(frozen=True, slots=True)
class Name:
    """A variant of a router.

    Attributes
    ----------
    router, variant
        Identifiers, as in config, tables and file names.
    family
        What kind of router it is.
    look
        Its label, and how it is drawn.
    """

    router: str
    variant: str
    family: Family
    look: Look


# The first variant of a router is the one by which it is shown and judged, where it was run.
_BUILT_IN = (
    Name("weak-only", "default", "end", Look("weak model alone", 7, "", "--")),
    Name("strong-only", "default", "end", Look("strong model alone", BLACK, "", "--")),
    Name("trim-thr", "default", "trim", Look("TRIM-Thr", 0, "o", "-")),
    Name("trim-thr", "hull", "trim", Look("TRIM-Thr, hull", 9, "P", "-.")),
    Name("trim-thr", "per-token", "trim", Look("TRIM-Thr, per token", 3, "v", "--")),
    Name("trim-agg", "conditioned", "trim", Look("TRIM-Agg", 1, "s", "-")),
    Name("trim-agg", "default", "trim", Look("TRIM-Agg, per kappa", 1, "d", "--")),
    Name("trim-agg", "released", "trim", Look("TRIM-Agg, released", 1, "p", ":")),
    Name("trim-seq", "conditioned", "trim", Look("TRIM-Seq", 2, "^", "-")),
    Name("trim-seq", "default", "trim", Look("TRIM-Seq, per kappa", 2, "<", "--")),
    Name("trim-pomdp", "default", "trim", Look("TRIM-POMDP", 4, "D", "-")),
    Name("trim-pomdp", "memoryless", "trim", Look("TRIM-POMDP, memoryless", 4, "H", "-.")),
    Name("trim-pomdp", "transferred", "trim", Look("TRIM-POMDP, transferred", 4, ">", "--")),
    Name("trim-pomdp", "released", "trim", Look("TRIM-POMDP, released", 4, "X", ":")),
    Name("fitted-q", "default", "own", Look("fitted Q", 3, "*", "-")),
    Name("rsd", "default", "control", Look("RSD", 8, "h", "")),
    Name("one-step-takeover", "default", "control", Look("one-step takeover", BLACK, "s", "--")),
    Name("random-step", "default", "control", Look("random step", 7, "x", ":")),
    Name("random-query", "default", "control", Look("random query", 7, "", ":")),
    Name("first-error-oracle", "default", "oracle", Look("first-error oracle", BLACK, "*", "")),
    Name("better-step-oracle", "default", "oracle", Look("better-step oracle", BLACK, "P", "")),
    Name("perfect-information", "default", "oracle", Look("perfect information", BLACK, "", "-.")),
    Name("oracle-query", "cheapest-first", "oracle", Look("query-level oracle, cheapest first", BLACK, "", "-")),
    Name("oracle-query", "dearest-first", "oracle", Look("query-level oracle, dearest first", BLACK, "", "--")),
    Name("bert", "default", "query", Look("BERT", 5, "o", ":")),
    Name("bert", "per-token", "query", Look("BERT, per token", 6, "o", "-.")),
    Name("mf", "default", "query", Look("MF", 5, "D", "--")),
    Name("mf", "per-token", "query", Look("MF, per token", 6, "D", "-.")),
    Name("sw", "default", "query", Look("SW ranking", 5, "^", "-.")),
    Name("sw", "per-token", "query", Look("SW ranking, per token", 6, "^", "--")),
    Name("smoothie", "default", "query", Look("Smoothie", 5, "P", ":")),
    Name("smoothie", "per-token", "query", Look("Smoothie, per token", 6, "P", "--")),
    Name("automix", "default", "query", Look("AutoMix", 5, "X", "-")),
    Name("automix", "per-token", "query", Look("AutoMix, per token", 6, "X", "--")),
    Name("automix-prm", "default", "query", Look("AutoMix-PRM", 5, "v", "-.")),
    Name("automix-prm", "per-token", "query", Look("AutoMix-PRM, per token", 6, "v", "-")),
    Name("hybrid-llm", "default", "query", Look("Hybrid-LLM", 5, "<", "-")),
    Name("hybrid-llm", "deterministic", "query", Look("Hybrid-LLM, deterministic", 5, "<", ":")),
    Name("hybrid-llm", "per-token", "query", Look("Hybrid-LLM, per token", 6, "<", "-.")),
    Name("best-route", "default", "query", Look("BEST-Route", 5, "p", "--")),
    Name("best-route", "per-token", "query", Look("BEST-Route, per token", 6, "p", "-")),
    Name("frugal", "default", "query", Look("FrugalGPT", 5, "d", ":")),
    Name("frugal", "per-token", "query", Look("FrugalGPT, per token", 6, "d", "-")),
    Name("features", "default", "query", Look("features", 5, "h", "-")),
    Name("features", "per-token", "query", Look("features, per token", 6, "h", "--")),
)

QUERY_BASELINES = tuple(dict.fromkeys(name.router for name in _BUILT_IN if name.family == "query"))
"""The baselines that a config runs where it names none."""


@cache
def names() -> Mapping[Key, Name]:
    """Return all variants by (router, variant), in the order of tables and figures; those of other packages last."""
    from trim.plugins import added

    extra = [name for entries in added("trim.names").values() for name in entries]
    return {(name.router, name.variant): name for name in (*_BUILT_IN, *extra)}


def routers_of(*families: Family) -> tuple[str, ...]:
    """Return the identifiers of the routers of some families, in order."""
    return tuple(dict.fromkeys(name.router for name in names().values() if name.family in families))


END_POINTS = ("weak-only", "strong-only")
"""The two models by themselves."""

RANDOM_QUERY = "random-query"
"""Not run: what it would do is known in expectation."""

THR = "trim-thr"
"""The router that every other one of the paper is held against."""

THRESHOLD: Key = (THR, "default")
TAKEOVER: Key = ("one-step-takeover", "default")


def look_ahead() -> tuple[str, ...]:
    """Return the routers that weigh what comes after a step: all of the paper's but the threshold."""
    return tuple(router for router in routers_of("trim") if router != THR)


def variants(router: str) -> tuple[str, ...]:
    """Return the variants of a router, the one by which it is judged first."""
    found = tuple(variant for known, variant in names() if known == router)
    if not found:
        raise InputError(f"there is no router {router!r}; there are {', '.join(dict.fromkeys(r for r, _ in names()))}")
    return found


def label_of(router: str) -> str:
    """Return what a router is called where its variant does not matter."""
    return look_of(router, variants(router)[0]).label


def look_of(router: str, variant: str) -> Look:
    """Return how a variant of a router is drawn.

    Raises
    ------
    InputError
        If nobody named it.
    """
    if (router, variant) not in names():
        raise InputError(
            f"router {router!r} has no variant {variant!r}; it has {', '.join(variants(router))}. New ones are named "
            "in trim/names.py, or by an installed package in the entry point group trim.names"
        )
    return names()[router, variant].look


def in_order(rows: pd.DataFrame) -> list[Key]:
    """Return the (router, variant) that a table holds, in the order of all names.

    Raises
    ------
    InputError
        If nobody named one of them.
    """
    there = dict.fromkeys(rows[["router", "variant"]].itertuples(index=False, name=None))
    for key in there:
        look_of(*key)
    return [key for key in names() if key in there]


def leading_variants(rows: pd.DataFrame) -> list[Key]:
    """Return (router, variant) of the one variant by which each router of the paper is shown, as far as it is there."""
    there = in_order(rows)
    found = ([key for key in there if key[0] == router] for router in routers_of("trim"))
    return [keys[0] for keys in found if keys]
