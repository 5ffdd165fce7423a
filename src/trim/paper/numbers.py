r"""Every number of the manuscript as a LaTeX macro, named after the table and the row that it stands in.

A name is a table's prefix, the row's keys and the column, in letters only: delta IBC of TRIM-Thr, fitted on arith and
evaluated on arith-hard, is ``\MainArithHardArithTrimThrDeltaIbc``. Keys that say nothing (the variant ``default``, the
reading ``envelope``, ``untrained``) are left out, digits are spelled. A macro holds the value with its interval where
the table has one; with ``Point`` behind its name it holds the value alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from trim.evaluation.claims.published import MEASURES
from trim.evaluation.claims.verdicts import SameVerdict, Verdict
from trim.evaluation.curves import METRICS
from trim.evaluation.format import ABSENT, COUNT, PERCENT, POINTS, Form, escape, form_of, write_p
from trim.names import names, routers_of

if TYPE_CHECKING:
    import pandas as pd

SILENT = ("default", "envelope", "untrained")
"""Keys that are left out of a name."""

UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
SMALL = [*UNITS.split(), "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spell(number: int) -> str:
    """Spell a number in English, since names of macros hold letters only."""
    if number < 20:
        return SMALL[number]
    for size, word in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {spell(number % size)}" if number % size else ""
            return f"{spell(number // size)} {word}{rest}"
    return " ".join([TENS[number // 10 - 2], *([SMALL[number % 10]] if number % 10 else [])])


SIGNS = (("*", " times "), ("+", " plus "), (" -", " minus "))
"""Signs that tell names apart; other ones only separate words."""


def macro_name(*keys: object) -> str:
    """Join keys to a name: `"arith-hard", "cpt50"` gives `ArithHardCptFifty`."""
    spoken = "  ".join(map(str, keys))
    for sign, word in SIGNS:
        spoken = spoken.replace(sign, word)
    spoken = re.sub(r"\d+", lambda digits: f" {spell(int(digits[0]))} ", spoken)
    return "".join(word.capitalize() for word in re.findall(r"[A-Za-z]+", spoken))


# --- how values are written -------------------------------------------------------------


def direction(low: float, high: float) -> str:
    """Say what an interval of a difference shows, to stand before the thing compared with."""
    if low != low or high != high:
        return "not comparable with"
    return "above" if low > 0 else "below" if high < 0 else "not distinguishable from"


# --- tables -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """How a table becomes macros.

    Attributes
    ----------
    prefix
        Begins every name.
    keys
        Columns that make up the rest of a name, in this order; a column that a table lacks is passed over.
    values
        Columns that become macros, with their intervals.
    measure
        Column that says what the values of a row are of: it decides how they are written, and the columns `value` and
        `difference` are then no part of the name.
    only
        A column, and the value that it has in the rows to read.
    """

    prefix: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    measure: str = ""
    only: tuple[str, str] | None = None


AGAINST = ("dataset", "trained_on", "router", "variant", "other_router", "other_variant")
SOURCES: Mapping[str, Source] = {
    "main": Source("Main", ("reading", "dataset", "trained_on", "router", "variant"), METRICS),
    "comparisons": Source("Gap", (*AGAINST, "quantity"), ("difference",), "quantity"),
    "dev_comparisons": Source("DevGap", (*AGAINST, "quantity"), ("difference",), "quantity"),
    "prm_quality": Source("Prm", ("prm", "dataset", "measure"), ("value",), "measure"),
    "generalization": Source(
        "Transfer", ("trained_on", "dataset", "router", "variant"), ("delta_ibc", "home_delta_ibc", "difference")
    ),
    "ablations": Source("Ablation", ("ablation", "prm", *AGAINST, "measure"), ("difference",), "measure"),
    "prm_routing": Source("Routing", ("prm", "router", "variant"), ("auc", "delta_ibc", "cpt50", "cpt80", "cpt95")),
    "power": Source("Power", (*AGAINST, "measure", "benchmark"), ("difference",), "measure", ("asked", "difference")),
    "sampling": Source("Sampling", (*AGAINST, "wanted_share", "sampling"), ("problems_factor",)),
    "metric_check": Source("Check", ("source", "dataset", "router", "measure"), ("published", "recomputed"), "measure"),
    "table1": Source("Paper", ("dataset", "router"), MEASURES),
    "table2": Source("PaperTransfer", ("dataset", "router"), MEASURES),
    "anchors": Source("Anchor", ("source", "dataset"), ("weak_model", "strong_model", "problems", "strong_tokens")),
}
"""Tables by the stem of their file."""

VERDICTS = {"same": get_args(SameVerdict), "analogue": get_args(Verdict)}


def macros_of(source: Source, table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield the macros of a table: of the first training run, where there are several."""
    for name in ("seed", "other_seed"):
        if name in table:
            table = table[table[name] == 0]
    if source.only:
        table = table[table[source.only[0]] == source.only[1]]
    keys = [name for name in source.keys if name in table]
    for row in table.to_dict("records"):
        name = source.prefix + macro_name(
            *(row[key] for key in keys if row[key] not in SILENT and row[key] == row[key])
        )
        for column in source.values:
            if column in row:
                yield from _value_macros(name, row, column, source.measure)


def _value_macros(name: str, row: Mapping[str, Any], column: str, measure: str) -> Iterator[tuple[str, str]]:
    value = row[column]
    head = name if measure and column in ("value", "difference") else name + macro_name(column)
    if isinstance(value, str):
        yield head, escape(value)
        return
    form = form_of(str(row[measure]) if measure else column)
    ends = _ends(row, column)
    if column == "difference" and ends:
        unit = POINTS.unit if form == PERCENT else form.unit
        form = Form(form.scale, form.digits, unit, signed=True)
        yield f"{head}Verdict", direction(*ends)
        for p in ("p_value", "p_corrected"):
            if p in row:
                yield head + macro_name(p), write_p(row[p])
    yield head, form.estimate(value, ends)
    yield f"{head}Point", form.estimate(value)


def _ends(row: Mapping[str, Any], column: str) -> tuple[float, ...]:
    """Return the ends of the interval of an estimate; none where the table has none."""
    names = ("lo", "hi") if column == "ours" else (f"{column}_lo", f"{column}_hi")
    return tuple(float(row[name]) for name in names if name in row)


# --- what no single row holds -----------------------------------------------------------


def end_points(curves: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield accuracy and tokens of both models alone, and how many problems there are."""
    for row in curves[curves["router"].isin(["weak-only", "strong-only"])].to_dict("records"):
        name = macro_name("end", row["dataset"], str(row["router"]).removesuffix("-only"))
        for column in ("accuracy", "strong_tokens"):
            yield from _value_macros(name, row, column, "")
        yield macro_name("end", row["dataset"], "problems"), COUNT.estimate(row["n_problems"])


def tallies(comparisons: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Count the query-level baselines that a router beats, and is beaten by, in delta IBC."""
    rows = comparisons[comparisons["quantity"].eq("delta IBC") & comparisons["other_router"].isin(routers_of("query"))]
    for key, part in rows[rows["seed"] == 0].groupby(["dataset", "trained_on", "router", "variant"]):
        name = "Tally" + macro_name(*(word for word in key if word not in SILENT))
        yield f"{name}Above", str(int((part["difference_lo"] > 0).sum()))
        yield f"{name}Below", str(int((part["difference_hi"] < 0).sum()))
        yield f"{name}All", str(len(part))


def verdicts(claims: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield what the ledger says of the headline claims, and count the claims of each verdict."""
    for row in claims[claims["headline"].notna()].to_dict("records"):
        name = "Headline" + macro_name(row["headline"])
        yield f"{name}Verdict", escape(row["verdict"])
        yield from ((f"{name}{macro_name(column)}", _claimed(row, column)) for column in ("paper_value", "ours"))
    for scope, possible in VERDICTS.items():
        given = claims.loc[claims["scope"] == scope, "verdict"]
        yield macro_name("claims", scope), str(len(given))
        for verdict in possible:
            yield macro_name("claims", scope, verdict), str(int((given == verdict).sum()))


def _claimed(row: Mapping[str, Any], column: str) -> str:
    return form_of(str(row["measure"])).estimate(row[column], _ends(row, column))


DERIVED = {"curves": end_points, "comparisons": tallies, "claims": verdicts}
READ = tuple(dict.fromkeys([*SOURCES, *DERIVED]))
"""Stems of all tables that macros come from."""


def settings_macros(settings: Mapping[str, Any], *path: str) -> Iterator[tuple[str, str]]:
    """Yield the values of a config, named by their path; shares also as percentages, with `Percent` behind."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from settings_macros(value, *path, str(key))
            continue
        name = macro_name(*path, key)
        many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        yield name, ", ".join(escape(f"{item:g}" if isinstance(item, float) else item) for item in many)
        if isinstance(value, float) and 0 < value < 1:
            yield f"{name}Percent", rf"{100 * value:g}\,\%"


def all_macros(
    tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Any], origin: Mapping[str, Any]
) -> dict[str, str]:
    """Return every macro that an experiment can give.

    Parameters
    ----------
    tables
        By the stem of their file, as far as the experiment has them.
    settings
        The config with all defaults: `Config...`.
    origin
        Provenance of the tables: `Origin...`.

    Raises
    ------
    ValueError
        Two values have the same name.
    """
    found: dict[str, str] = {}
    parts: Iterable[Iterator[tuple[str, str]]] = [
        *(macros_of(SOURCES[stem], table) for stem, table in tables.items() if stem in SOURCES),
        *(DERIVED[stem](table) for stem, table in tables.items() if stem in DERIVED),
        settings_macros(settings, "config"),
        settings_macros(origin, "origin"),
    ]
    for part in parts:
        for name, text in part:
            if found.setdefault(name, text) != text:
                raise ValueError(rf"two numbers are called \{name}: {found[name]!r} and {text!r}")
    return found


# --- what a manuscript uses -------------------------------------------------------------

PREFIXES = ("Config", "Origin", "End", "Tally", "Claims", "Headline", *(source.prefix for source in SOURCES.values()))
MACRO = re.compile(rf"\\((?:{'|'.join(sorted(PREFIXES, key=len, reverse=True))})[A-Z][A-Za-z]*)")


def used_macros(text: str) -> list[str]:
    """Names of the numbers that a LaTeX text uses, sorted."""
    return sorted(set(MACRO.findall(re.sub(r"(?<!\\)%.*", "", text))))


def choose_macros(
    used: Sequence[str], macros: Mapping[str, str], known: Iterable[str]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the macros that a manuscript uses, the names among them that this experiment lacks, and the wrong ones.

    What another experiment would have is a dash, visible to everybody. A name with a word that no table has is a
    mistake: it is left undefined, so that LaTeX stops at it.

    Parameters
    ----------
    known
        Further words of names: routers, datasets and settings that this experiment has not.
    """
    words = {word for name in (*macros, *known) for word in split_name(name)}
    begun = {name[:1] for name in map(split_name, macros)}
    chosen, lacking, wrong = {}, [], []
    for name in used:
        parts = split_name(name)
        if name in macros:
            chosen[name] = macros[name]
        elif parts[:1] not in begun or words.issuperset(parts):
            chosen[name] = ABSENT
            lacking.append(name)
        else:
            wrong.append(name)
    return chosen, lacking, wrong


def split_name(name: str) -> tuple[str, ...]:
    """Words of a name."""
    return tuple(re.findall(r"[A-Z][a-z]*", name))


def known_words(default: Mapping[str, Any]) -> list[str]:
    """Names that some experiment may have: those of the default config, of routers, ablations and columns."""
    from trim.evaluation.ablations import ACROSS_PRMS, contrasts, within_prm

    asked = (*contrasts(), *within_prm(), *ACROSS_PRMS)
    settings = [name for name, _ in settings_macros(default, "config")]
    routers = [macro_name(*key) for key in names()] + [macro_name(name) for name in routers_of("query")]
    columns = [macro_name(name) for source in SOURCES.values() for name in source.values]
    ablations = [macro_name(contrast.ablation, *contrast.measures) for contrast in asked]
    return [
        *settings,
        *routers,
        *columns,
        *ablations,
        *(macro_name(name) for name in ("point", "verdict", "p_value", "p_corrected")),
    ]


def render(macros: Mapping[str, str], title: str) -> str:
    """Return LaTeX that defines the macros."""
    lines = [rf"\newcommand{{\{name}}}{{{text}}}" for name, text in sorted(macros.items())]
    return "\n".join([f"% {title}", *lines]) + "\n"
