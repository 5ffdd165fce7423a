"""The claims ledger: what the paper says, what we found, and whether that is the same.

Two scopes. `same`: a number of Tables 1, 2, 7, 8 or of the abstract, compared with ours only where models and dataset
are the paper's. `analogue`: a claim as a statement about another experiment (see `statements`), which holds, fails or
stays undecided at the level of the bootstrap.
Verdicts are about this experiment: `conditions` says what they depend on besides problems, and no interval covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from trim.errors import InputError
from trim.evaluation.bootstrap import Bounds, bounds
from trim.evaluation.claims.published import MEASURES, PAPER_MODELS, Paper, printed_tables
from trim.evaluation.claims.statements import CLAIMS
from trim.evaluation.claims.verdicts import Verdict, greatest, judge, judge_same, smallest
from trim.evaluation.claims.world import Case, World
from trim.evaluation.format import PERCENT, escape, form_of, tabular
from trim.names import label_of, routers_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "key",
    "title",
    "claim",
    "scope",
    "headline",
    "source",
    "dataset",
    "method",
    "measure",
    "bar",
    "bar_from",
    "paper_value",
    "ours",
    "lo",
    "hi",
    "factor",
    "factor_lo",
    "factor_hi",
    "paper_factor",
    "verdict",
    "conditions",
    "failed_training",
    "why",
)
OURS = "our control"
"""Source of what is no claim of the paper."""

TRAINED_ON = {"math500": "math", "aime": "aime-train", "olympiadbench": "aime-train", "minerva": "aime-train"}
"""Where the paper's routers were trained, by the dataset they are evaluated on, as our configs name both."""
NOISY_TABLE = 8
NAMED_NUMBERS = 3


def ledger(world: World, main: pd.DataFrame, models: Mapping[str, str], folder: Path, level: float) -> pd.DataFrame:
    """Return the ledger, COLUMNS; analogue claims first, in the order of `claims.csv`.

    Parameters
    ----------
    world
        What the analogue claims are read from.
    main
        Rows of `tables/main.csv`.
    models
        Names of the models: `weak`, `strong` and `prm`.
    folder
        Where `data/published/` is.
    level
        Confidence level of the verdicts.
    """
    import pandas as pd

    rows = [*analogue_rows(world, folder, level), *same_rows(main, models, folder)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


# --- analogue -------------------------------------------------------------------------


def analogue_rows(world: World, folder: Path, level: float) -> Iterator[dict[str, Any]]:
    """Yield a row a statement.

    Raises
    ------
    InputError
        If `claims.csv` names one that `CLAIMS` has not.
    """
    import pandas as pd

    path = folder / "claims.csv"
    for described in pd.read_csv(path).to_dict("records"):
        if described["key"] not in CLAIMS:
            raise InputError(f"{path}: no statement is called {described['key']!r}; there are {', '.join(CLAIMS)}")
        for case in CLAIMS[described["key"]](world):
            row = _analogue_row(described, case, level)
            yield row | {
                "conditions": world.conditions(case),
                "failed_training": "; ".join(world.failed_training(case)),
            }


def _analogue_row(described: Mapping[str, Any], case: Case, level: float) -> dict[str, Any]:
    bar, measure = float(described["bar"]), described["measure"]
    row = {name: described[name] for name in ("key", "title", "source", "measure", "bar", "bar_from")}
    row |= {"scope": "analogue", "headline": case.headline, "dataset": case.dataset, "method": case.method}
    row |= {"claim": described["statement"].format(method=case.method, dataset=case.dataset), "paper_value": case.paper}
    row |= {"paper_factor": case.paper_factor}
    if not case.numbers:
        return row | {"verdict": "not tested", "why": f"Not tested: {case.missing}."}
    extreme = greatest if case.any_of else smallest
    found = extreme(case.numbers, level)
    row |= zip(("ours", "lo", "hi"), (_finite(value) for value in found), strict=True)
    if case.factors:
        ends = (_finite(value) for value in extreme(case.factors, level))
        row |= zip(("factor", "factor_lo", "factor_hi"), ends, strict=True)
    return row | {"verdict": judge(found, bar), "why": _why(case, found, bar, measure, level)}


def _why(case: Case, found: Bounds, bar: float, measure: str, level: float) -> str:
    """Say it in a sentence: where the interval lies, and which numbers it is of."""
    if np.isnan(found.lo):
        return f"Undecided: {case.undefined} in most resamples."
    form = form_of(measure)
    there = form.text(bar) if is_percent(measure) else f"{bar:g}"
    where = {"holds": "lies above", "fails": "lies below", "undecided": "reaches across"}[judge(found, bar)]
    ordered = sorted(case.numbers, key=lambda name: float(case.numbers[name][0]), reverse=case.any_of)
    shown = {name: bounds(case.numbers[name], level) for name in ordered[:NAMED_NUMBERS]}
    named = "; ".join(f"{name} {form.text(found.value, found[1:])}" for name, found in shown.items())
    if len(ordered) == 1:
        why = f"The {level:.0%} interval {where} {there}: {named}."
    else:
        which = "greatest" if case.any_of else "least"
        of = f"the {which} of {len(ordered)}" if len(ordered) > NAMED_NUMBERS else f"from the {which}"
        joint = form.text(found.value, found[1:])
        why = f"The joint {level:.0%} interval of the {which}, {joint}, {where} {there}; {of}: {named}."
    return f"{why} {case.note}".strip()


TOGETHER = ("holds", "holds in part", "mixed", "fails in part", "fails", "undecided", "not tested")
"""What can be said of a claim as a whole: in part, where other statements of it are undecided; mixed, where some hold
and some fail."""


def by_claim(claims: pd.DataFrame) -> dict[str, str]:
    """Return one verdict of `TOGETHER` for each claim of the paper.

    A claim makes a statement for each dataset and router that it is about, so that counts of statements would weigh
    claims by these. Statements that were not tested do not count; our own controls are no claims.
    """
    rows = claims[claims["scope"].eq("analogue") & claims["source"].ne(OURS)]
    found = {}
    for key, verdicts in rows.groupby("key", sort=False)["verdict"]:
        decided = {"holds", "fails"} & set(verdicts)
        in_part = " in part" if "undecided" in set(verdicts) else ""
        if len(decided) == 2:
            found[str(key)] = "mixed"
        elif decided:
            found[str(key)] = next(iter(decided)) + in_part
        else:
            found[str(key)] = "undecided" if in_part else "not tested"
    return found


def is_percent(measure: str) -> bool:
    """Whether a measure is shown in percent."""
    return form_of(measure) == PERCENT


# --- same -------------------------------------------------------------------------------


def same_rows(main: pd.DataFrame, models: Mapping[str, str], folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a row a number: of the printed tables, and of the abstract's multiples of the best baseline."""
    other_pair = _other_pair(models)
    for printed in printed_tables(folder).to_dict("records"):
        dataset, router, table = printed["dataset"], printed["router"], int(printed["table"])
        ours, missing = _main_row(main, dataset, router)
        missing = other_pair or missing
        if table == NOISY_TABLE:
            missing = "the paper's noisy scores come from a mistake in padding that is not repeated here"
        for measure in MEASURES:
            row = {"key": f"table{table}", "scope": "same", "source": f"Table {table}", "headline": ""}
            row |= {"dataset": dataset, "method": router, "measure": measure, "paper_value": printed[measure]}
            row |= {"claim": f"{_named(router)} on {dataset}: {measure.replace('_percent', ' in %')}"}
            yield row | (_untested(missing) if missing else _compared(_printed_bounds(ours, measure), printed[measure]))
    yield from _of_abstract(main, other_pair, folder)


def _named(router: str) -> str:
    return label_of(router) if router in routers_of("trim") else router


def _of_abstract(main: pd.DataFrame, other_pair: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the abstract makes of Table 1: multiples of the best query-level baseline, and strong tokens saved.

    Multiples carry no interval, because `main.csv` has none of ratios: the deviation alone decides.
    """
    paper = Paper(folder)
    head: dict[str, Any] = {"key": "abstract", "scope": "same", "source": "abstract, Table 1", "headline": ""}
    for dataset, router in (("math500", "trim-thr"), ("aime", "trim-agg"), ("aime", "trim-pomdp")):
        value = paper.main[dataset][router] / paper.best_baseline(dataset)
        row = head | {"dataset": dataset, "method": router, "measure": "ratio of delta IBC", "paper_value": value}
        row |= {"claim": f"{label_of(router)} on {dataset}: delta IBC as a multiple of the best baseline's"}
        baselines = [name for name in paper.main[dataset] if name not in routers_of("trim")]
        (ours, missing), *theirs = (_main_row(main, dataset, name) for name in (router, *baselines))
        missing = other_pair or missing or next((why for _, why in theirs if why), "")
        if missing:
            yield row | _untested(missing)
            continue
        best = max(found["delta_ibc"] for found, _ in theirs)
        yield row | _compared(Bounds(ours["delta_ibc"] / best if best > 0 else np.inf, np.nan, np.nan), value)
    printed = printed_tables(folder).query("table == 1 and dataset == 'math500'").set_index("router")["cpt95_percent"]
    for router in ("trim-agg", "trim-pomdp"):
        row = head | {"dataset": "math500", "method": router, "measure": "strong tokens saved at 95% of the gap (%)"}
        row |= {
            "claim": f"{label_of(router)} on math500: strong tokens saved at 95% of the gap",
            "paper_value": 100 - printed[router],
        }
        ours, missing = _main_row(main, "math500", router)
        if missing := other_pair or missing:
            yield row | _untested(missing)
            continue
        cpt = _printed_bounds(ours, "cpt95_percent")
        yield row | _compared(Bounds(100 - cpt.value, 100 - cpt.hi, 100 - cpt.lo), 100 - printed[router])


def _other_pair(models: Mapping[str, str]) -> str:
    """Say which model is not the paper's; nothing where all are. Publishers and dates in a name are ignored."""
    for role, theirs in PAPER_MODELS.items():
        if _plain(theirs) not in _plain(models[role]):
            return f"the {role} model is {models[role]}, that of the paper {theirs}"
    return ""


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _main_row(main: pd.DataFrame, dataset: str, router: str) -> tuple[dict[str, Any], str]:
    """Return a router's row in the `paper` reading, that of its first training run, and why there is none."""
    rows = main[(main["dataset"] == dataset) & (main["reading"] == "paper")]
    if rows.empty:
        return {}, f"{dataset} was not evaluated"
    rows = rows[(rows["router"] == router) & (rows["trained_on"] == TRAINED_ON[dataset])]
    for variant in ("default", "conditioned"):  # the paper trains a policy for each trade-off
        found = rows[rows["variant"] == variant]
        if not found.empty:
            return dict(found.sort_values("seed").iloc[0]), ""
    return {}, f"{router} was not fitted on {TRAINED_ON[dataset]}"


def _untested(reason: str) -> dict[str, Any]:
    return {"verdict": "not tested", "why": f"Not tested: {reason}."}


def _printed_bounds(ours: Mapping[str, Any], measure: str) -> Bounds:
    """Return a measure of a row of `main.csv` as the paper prints it; an empty upper end of a CPT is infinite."""
    name = measure.removesuffix("_percent")
    scale = 1 if name == measure else 100
    found = Bounds(*(scale * ours[column] for column in (name, f"{name}_lo", f"{name}_hi")))
    return found._replace(hi=np.inf) if scale == 100 and np.isnan(found.hi) else found


def _compared(found: Bounds, published: float) -> dict[str, Any]:
    row = dict(zip(("ours", "lo", "hi"), (_finite(value) for value in found), strict=True))
    if np.isnan(found.value):
        return row | {"verdict": "not", "why": "Our curve does not reach that level."}
    inside = "inside" if found.lo <= published <= found.hi else "outside"
    interval = "there is no interval" if np.isnan(found.lo) else f"the paper's {published:g} is {inside} our interval"
    why = f"Ours deviates by {(found.value - published) / abs(published):+.0%}; {interval}."
    return row | {"verdict": judge_same(found, published), "why": why}


def _finite(value: float) -> float:
    return value if np.isfinite(value) else np.nan


# --- for the paper ----------------------------------------------------------------------


def latex_claims(claims: pd.DataFrame) -> str:
    """Return a line a claim: whose bar it is held against, and how many of its statements hold; headlines in bold."""
    analogue = claims[claims["scope"] == "analogue"]
    counted, body = by_claim(claims), []
    for key, rows in analogue.groupby("key", sort=False):
        title = escape(str(rows["title"].iloc[0]).replace("delta IBC", "\N{GREEK CAPITAL LETTER DELTA}IBC"))
        title = title.replace("\N{GREEK CAPITAL LETTER DELTA}", r"$\Delta$")
        title = rf"\textbf{{{title}}}" if rows["headline"].fillna("").ne("").any() else title
        bar = form_of(rows["measure"].iloc[0]).latex(rows["bar"].iloc[0])
        counts = [str(int(rows["verdict"].eq(verdict).sum())) for verdict in get_args(Verdict)]
        body.append([title, bar, rows["bar_from"].iloc[0], *counts, counted.get(str(key), OURS)])
    header = ["Claim", "Bar", "Bar by", *(verdict.capitalize() for verdict in get_args(Verdict)), "Together"]
    return tabular("lrlrrrrl", header, body)


def read_auc(quality: pd.DataFrame, measure: str) -> dict[tuple[str, str], float]:
    """Return a measure of PRM quality by PRM and dataset, from the rows of `tables/prm_quality.csv`."""
    rows = quality[quality["measure"] == measure]
    return {(row["prm"], row["dataset"]): float(row["value"]) for row in rows.to_dict("records")}
