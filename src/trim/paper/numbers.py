r"""Every number of the manuscript by its key: `\num{main/arith-hard/arith/trim-thr/delta_ibc}`.

A key is a table, what tells its row from others, and the column, joined by slashes: above, delta IBC of TRIM-Thr,
fitted on arith and evaluated on arith-hard. Words that say nothing (the variant `default`, the reading `envelope`,
`untrained`) are left out, and so is the sign of percent. A number comes with its interval where the table has one, or
with `/point` behind its key alone; a difference has a `/verdict`, and its p-values, too. An ablation has a `/finding`:
the difference, or why nothing can be read in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from trim.evaluation.claims.ledger import TOGETHER, by_claim
from trim.evaluation.claims.published import MEASURES
from trim.evaluation.claims.verdicts import SameVerdict, Verdict
from trim.evaluation.curves import METRICS, READINGS
from trim.evaluation.format import ABSENT, COUNT, PERCENT, POINTS, ends_of, escape, form_of, write_p
from trim.names import END_POINTS, THR, names, routers_of

if TYPE_CHECKING:
    import pandas as pd

SILENT = ("default", "envelope", "untrained")
"""Words that are left out of a key."""

POINT, VERDICT, FINDING, P_VALUES = "point", "verdict", "finding", ("p_value", "p_corrected")
"""What may stand behind the key of a number."""


def join(*words: object) -> str:
    """Join words to a key."""
    said = (word for word in words if word == word and word not in SILENT)  # an empty cell is not itself
    return "/".join(str(word).replace("%", "") for word in said)


def direction(low: float, high: float) -> str:
    """Say what an interval of a difference shows, to stand before the thing compared with."""
    if low != low or high != high:
        return "not comparable with"
    return "above" if low > 0 else "below" if high < 0 else "not distinguishable from"


# --- tables -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """How the rows of a table become numbers.

    Attributes
    ----------
    keys
        Columns that tell rows apart, in this order; one that a table lacks is passed over.
    values
        Columns of the numbers, with their intervals.
    measure
        Column that says what the values of a row are of: it decides how they are written, and the columns `value` and
        `difference` are then no part of the key.
    only
        A column, and the value that it has in the rows to read.
    """

    keys: tuple[str, ...]
    values: tuple[str, ...]
    measure: str = ""
    only: tuple[str, str | int] | None = None

    def last_word(self, column: str) -> str:
        """Return the word that a column puts behind a key; empty for none."""
        return "" if self.measure and column in ("value", "difference") else column


AGAINST = ("dataset", "trained_on", "router", "variant", "other_router", "other_variant")
SOURCES: Mapping[str, Source] = {
    "main": Source(("reading", "dataset", "trained_on", "router", "variant"), METRICS),
    "comparisons": Source((*AGAINST, "quantity"), ("difference",), "quantity"),
    "dev_comparisons": Source((*AGAINST, "quantity"), ("difference",), "quantity"),
    "end_points": Source(("dataset", "behaviour"), ("accuracy", "accuracy_all_right", "lucky_share")),
    "prm_quality": Source(("prm", "dataset", "measure"), ("value",), "measure"),
    "prm_outcomes": Source(("prm", "dataset", "behaviour", "measure"), ("value",), "measure"),
    "generalization": Source(
        ("trained_on", "dataset", "router", "variant"), ("delta_ibc", "home_delta_ibc", "difference")
    ),
    "ablations": Source(("ablation", "prm", *AGAINST, "measure"), ("difference",), "measure"),
    "prm_routing": Source(("prm", "router", "variant"), ("auc", "delta_ibc", "cpt50", "cpt80", "cpt95")),
    "needed_prm": Source(("dataset", "prm", "scores", "deviation"), ("auc", "delta_ibc", "difference")),
    "prices": Source(("price", "dataset", "trained_on", "router", "variant"), METRICS),
    "pomdp_misfit": Source(
        ("dataset", "split", "quantity", "wanted_share"), ("modelled", "measured"), "quantity", ("shown", 1)
    ),
    "training": Source(("trained_on", "router", "variant"), ("trained", "why")),
    "bands": Source((*AGAINST, "band"), ("difference",), "band"),
    "power": Source((*AGAINST, "measure", "benchmark"), ("difference",), "measure", ("asked", "difference")),
    "sampling": Source((*AGAINST, "wanted_share", "sampling"), ("problems_factor",)),
    "metric_check": Source(("source", "dataset", "router", "measure"), ("published", "recomputed"), "measure"),
    "abstracts": Source(("version", "dataset"), ("multiple",)),
    "table1": Source(("dataset", "router"), MEASURES),
    "table2": Source(("dataset", "router"), MEASURES),
    "anchors": Source(("source", "dataset"), ("weak_model", "strong_model", "problems", "strong_tokens")),
}
"""Tables by the stem of their file."""

Numbers = Iterator[tuple[str, str]]
"""Keys, and what LaTeX writes for them."""


def numbers_of(stem: str, table: pd.DataFrame) -> Numbers:
    """Yield the numbers of a table of SOURCES: of the first training run, where there are several."""
    source = SOURCES[stem]
    for name in ("seed", "other_seed"):
        if name in table:
            table = table[table[name] == 0]
    if source.only:
        table = table[table[source.only[0]] == source.only[1]]
    keys = [name for name in source.keys if name in table]
    for row in table.to_dict("records"):
        for column in (name for name in source.values if name in row):
            words = [*(row[key] for key in keys), *filter(None, [source.last_word(column)])]
            yield from _written(join(stem, *words), row, column, str(row[source.measure]) if source.measure else column)


def _written(key: str, row: Mapping[str, Any], column: str, quantity: str) -> Numbers:
    value = row[column]
    if isinstance(value, str):
        yield key, escape(value)
        if column == "trained":
            yield join(key, FINDING), escape(f"{value} ({row['why']})" if isinstance(row["why"], str) else value)
        return
    form, ends = form_of(quantity), ends_of(row, column)
    if column == "difference" and ends:
        form = replace(POINTS if form == PERCENT else form, signed=True)
        failed = row.get("trained") == "no"
        yield join(key, VERDICT), "as trained not comparable with" if failed else direction(*ends)
        at_floor = row.get("p_at_floor") == 1
        yield from ((join(key, name), write_p(row[name], at_floor)) for name in P_VALUES if name in row)
        if "trained" in row:
            yield join(key, FINDING), f"no finding ({escape(row['why'])})" if failed else form.latex(value, ends)
    yield key, form.latex(value, ends)
    yield join(key, POINT), form.latex(value)


# --- what no single row holds -----------------------------------------------------------


def end_points(curves: pd.DataFrame) -> Numbers:
    """Yield accuracy and tokens of both models alone, and how many problems there are."""
    for row in curves[curves["router"].isin(END_POINTS)].to_dict("records"):
        for column in ("accuracy", "strong_tokens"):
            yield from _written(join("curves", row["dataset"], row["router"], column), row, column, column)
        yield join("curves", row["dataset"], "n_problems"), COUNT.latex(row["n_problems"])


def tallies(comparisons: pd.DataFrame) -> Numbers:
    """Count the query-level baselines that a router beats, and say at which shares it is ahead of TRIM-Thr."""
    yield from _leads(comparisons)
    rows = comparisons[comparisons["quantity"].eq("delta IBC") & comparisons["other_router"].isin(routers_of("query"))]
    for key, part in rows[rows["seed"] == 0].groupby(["dataset", "trained_on", "router", "variant"]):
        yield join("tally", *key, "above"), str(int((part["difference_lo"] > 0).sum()))
        yield join("tally", *key, "below"), str(int((part["difference_hi"] < 0).sum()))
        yield join("tally", *key, "all"), str(len(part))


def _leads(comparisons: pd.DataFrame) -> Numbers:
    """Yield at which of the compared shares the PGR of a router is shown to be above that of TRIM-Thr."""
    against = comparisons["other_router"].eq(THR) & comparisons["other_variant"].eq("default")
    rows = comparisons[against & comparisons["quantity"].str.startswith("PGR") & comparisons["seed"].eq(0)]
    for key, part in rows.groupby(["dataset", "trained_on", "router", "variant"]):
        ahead = part.loc[part["difference_lo"].gt(0), "quantity"].str.extract(r"(\d+)%")[0].astype(int)
        said = " and ".join(", ".join(map(str, sorted(ahead))).rsplit(", ", 1))
        yield join("lead", *key), rf"at {said}\,\%" if said else "at none of the compared shares"


VERDICTS = {"same": get_args(SameVerdict), "analogue": get_args(Verdict)}


def verdicts(claims: pd.DataFrame) -> Numbers:
    """Yield what the ledger says of the headline claims and of each statement, and count claims by verdict."""
    for row in claims[claims["headline"].notna()].to_dict("records"):
        yield join("headline", row["headline"], VERDICT), escape(row["verdict"])
        form = form_of(row["measure"])
        yield join("headline", row["headline"], "paper_value"), form.latex(row["paper_value"])
        yield join("headline", row["headline"], "ours"), form.latex(row["ours"], (row["lo"], row["hi"]))
        yield from _written(join("headline", row["headline"], "factor"), row, "factor", "factor")
        yield join("headline", row["headline"], "paper_factor"), form_of("factor").latex(row["paper_factor"])
    for row in claims[claims["scope"] == "analogue"].to_dict("records"):
        key, form = join("ledger", row["key"], row["dataset"], row["method"]), form_of(row["measure"])
        if str(row["measure"]).startswith("difference"):
            form = replace(POINTS if form == PERCENT else form, signed=True)
        yield key, form.latex(row["ours"], (row["lo"], row["hi"]))
        yield join(key, VERDICT), escape(row["verdict"])
    for row in claims[claims["scope"] == "price"].to_dict("records"):
        yield join("ledger", row["key"], "why"), escape(str(row["why"]))
    for scope, possible in VERDICTS.items():
        given = claims.loc[claims["scope"] == scope, "verdict"]
        yield join("claims", scope), str(len(given))
        yield from ((join("claims", scope, verdict), str(int((given == verdict).sum()))) for verdict in possible)
    together = by_claim(claims)
    yield join("claims", "of the paper"), str(len(together))
    for verdict in TOGETHER:
        yield join("claims", "of the paper", verdict), str(sum(given == verdict for given in together.values()))
    bars = claims[claims["key"].isin(together)].drop_duplicates("key")["bar_from"]
    yield from ((join("claims", "bar", whose), str(int((bars == whose).sum()))) for whose in ("paper", "ours"))


DERIVED = {"curves": end_points, "comparisons": tallies, "claims": verdicts}
READ = tuple(dict.fromkeys([*SOURCES, *DERIVED]))
"""Stems of all tables that numbers come from."""

FIRST_WORDS = (*SOURCES, "curves", "tally", "lead", "claims", "ledger", "headline", "config", "origin")


def settings_of(settings: Mapping[str, Any], *path: str) -> Numbers:
    """Yield the values of a config by their path; shares also as percentages, with `percent` behind."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from settings_of(value, *path, str(name))
            continue
        many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        key = "/".join((*path, name))
        yield key, ", ".join(escape(f"{item:g}" if isinstance(item, float) else item) for item in many)
        if isinstance(value, float) and 0 < value < 1:
            yield f"{key}/percent", rf"{100 * value:g}\,\%"


def all_numbers(
    tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Any], origin: Mapping[str, Any]
) -> dict[str, str]:
    """Return every number that an experiment can give, by its key.

    Parameters
    ----------
    tables
        By the stem of their file, as far as the experiment has them.
    settings
        The config with all defaults: `config/...`.
    origin
        Provenance of the tables: `origin/...`.

    Raises
    ------
    ValueError
        Two values have the same key.
    """
    found: dict[str, str] = {}
    parts: Iterable[Numbers] = [
        *(numbers_of(stem, table) for stem, table in tables.items() if stem in SOURCES),
        *(DERIVED[stem](table) for stem, table in tables.items() if stem in DERIVED),
        settings_of(settings, "config"),
        settings_of(origin, "origin"),
    ]
    for part in parts:
        for key, text in part:
            if found.setdefault(key, text) != text:
                raise ValueError(f"two numbers are called {key}: {found[key]!r} and {text!r}")
    return found


# --- what a manuscript uses -------------------------------------------------------------


def used_keys(text: str) -> list[str]:
    """Return the keys of the numbers that a LaTeX text uses, sorted."""
    found = re.findall(r"\\num\{([^}]*)\}", re.sub(r"(?<!\\)%.*", "", text))
    return sorted({re.sub(r"\s+", " ", key) for key in found})


def choose(
    used: Sequence[str], numbers: Mapping[str, str], known: Iterable[str]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the numbers that a manuscript uses, the keys among them that this experiment lacks, and the wrong ones.

    What another experiment would have is a dash, visible to everybody. A key of a table or column that there is not, or
    with a word that nothing is called, is a mistake: it is left undefined, so that LaTeX stops at it.

    Parameters
    ----------
    known
        Further words of keys: routers, datasets and settings that this experiment has not.
    """
    words = {word for key in (*numbers, *known) for word in key.split("/")}
    there = {key.split("/")[0] for key in numbers}
    chosen, lacking, wrong = {}, [], []
    for key in used:
        first, *others = key.split("/")
        if key in numbers:
            chosen[key] = numbers[key]
        elif first in FIRST_WORDS and _has_column(first, others) and (first not in there or words.issuperset(others)):
            chosen[key] = ABSENT
            lacking.append(key)
        else:
            wrong.append(key)
    return chosen, lacking, wrong


def _has_column(table: str, words: Sequence[str]) -> bool:
    """Whether a key ends in a column of its table, for those tables whose keys do."""
    columns = [*filter(None, map(SOURCES[table].last_word, SOURCES[table].values))] if table in SOURCES else []
    last = next((word for word in reversed(words) if word not in (POINT, VERDICT, FINDING, *P_VALUES)), "")
    return not columns or last in columns


def known_words(default: Mapping[str, Any]) -> list[str]:
    """Words that some experiment may have in its keys: of the default config, names, columns and what tables ask."""
    from trim.evaluation import ablations, bands, misfit, power, sampling

    asked = [*ablations.contrasts(), *ablations.within_prm(), *ablations.ACROSS_PRMS]
    return [
        *(key for key, _ in settings_of(default)),
        *(join(*name) for name in names()),
        *(column for source in SOURCES.values() for column in source.values),
        *(join(contrast.ablation, *contrast.measures) for contrast in asked),
        *(join(f"PGR at {share:.0%}") for share in default["bootstrap"]["compared_shares"]),
        *map(join, (*bands.NAMES, *misfit.SHOWN_SHARES, misfit.WEAK, misfit.STRONG, misfit.TOKENS, misfit.NET)),
        *("dev", "test"),
        *(f"{default['evaluated_on'][0]} with PRM {prm}" for prm in default["reported_prms"]),
        *map(join, (*power.BENCHMARKS, *power.DIFFERENCES)),
        *map(join, (*sampling.SHARES, sampling.SAME, sampling.OTHER, sampling.UNPAIRED)),
        *(*READINGS, POINT, VERDICT, FINDING, *P_VALUES),
    ]


HEAD = r"""\newcommand{\num}[1]{%
  \ifcsname num/#1\endcsname\csname num/#1\endcsname\else\errmessage{There is no number #1}\fi}
\newcommand{\setnum}[2]{\expandafter\gdef\csname num/#1\endcsname{#2}}"""


def render(numbers: Mapping[str, str], title: str) -> str:
    r"""Return LaTeX that defines `\num` for these keys; with any other one LaTeX stops."""
    lines = [rf"\setnum{{{key}}}{{{text}}}" for key, text in sorted(numbers.items())]
    return "\n".join([f"% {title}", HEAD, *lines]) + "\n"
