"""How good decisions at labelled prefixes are: anyone's, by the table alone, and those of an experiment's routers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Booleans, Floats
from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.bootstrap import Resampled, columns, resample_counts, resampled_sum
from trim.layouts import CONTINUATIONS

if TYPE_CHECKING:
    import pandas as pd


KAPPAS = (0.1, 0.3, 1.0, 3.0)
"""Right answers that all tokens of a strong solution are worth."""

SCORED = ("continuation", "kappa", "prefixes", "regenerated", "gain", "gain_of_all", "gain_in_hindsight")
GAINS = ("regenerated", "gain", "over_threshold")


@dataclass(frozen=True, eq=False)
class Decided:
    """Labelled prefixes, and what the operating points of one router decide there, shape (points, prefixes)."""

    table: pd.DataFrame
    settings: tuple[float, ...]
    regenerate: Booleans


def score_decisions(table: pd.DataFrame, decisions: pd.DataFrame, kappas: Sequence[float]) -> pd.DataFrame:
    """Tell what decisions gain over keeping every draft, in right answers per decision, at each kappa.

    Parameters
    ----------
    table
        Labelled prefixes.
    decisions
        Columns `prefix`, `regenerate` (0 or 1): a row for every prefix of the table.
    kappas
        Right answers that all tokens of a strong solution are worth.

    Returns
    -------
    A row a continuation and kappa: the share that is `regenerated`, the `gain`, and those of regenerating everything
    and of whoever knew how both end. Prefixes count by their weight.

    Raises
    ------
    InputError
        If a prefix lacks a decision, has two, or is not in the table.
    """
    import pandas as pd

    regenerate = _matched(table, decisions)
    weight = table["weight"].to_numpy() / table["weight"].sum()
    rows = []
    for who in CONTINUATIONS:
        for kappa in kappas:
            gain = _gains(table, who, kappa)
            gains = (float((weight * gain * chosen).sum()) for chosen in (regenerate, 1, gain > 0))
            rows.append((who, kappa, len(table), float((weight * regenerate).sum()), *gains))
    return pd.DataFrame(rows, columns=list(SCORED))


def score_routers(
    dev: Mapping[tuple[str, str], Decided], test: Mapping[tuple[str, str], Decided], settings: Bootstrap, seed: str
) -> pd.DataFrame:
    """Tell what routers gain at labelled prefixes of test problems, at operating points that were chosen on dev's.

    Parameters
    ----------
    dev, test
        Decisions by router and variant, all of one split at the same prefixes.

    Returns
    -------
    A row a router, variant, continuation and kappa: the operating point with the largest gain on dev, the first of
    equals; what it regenerates and gains on test, and what that is more than the default TRIM-Thr's, with intervals
    over problems; and the gains of regenerating everything and of hindsight.
    """
    import pandas as pd

    table = next(iter(test.values())).table
    problems, owner = np.unique(table["problem_id"], return_inverse=True)
    counts = resample_counts(len(problems), settings.resamples, seed)

    def mean(values: Floats) -> Resampled:
        """Weighted mean over prefixes, on every resample of problems."""
        weight = table["weight"].to_numpy()
        sums = (np.bincount(owner, weights=w, minlength=len(problems)) for w in (weight * values, weight))
        gained, weighed = (resampled_sum(each, counts) for each in sums)
        return np.asarray(gained / weighed)

    rows = []
    for who in CONTINUATIONS:
        for kappa in KAPPAS:
            worth = _gains(table, who, kappa)
            best = {key: _best(decided, who, kappa) for key, decided in dev.items()}
            chosen = {key: test[key].regenerate[point].astype(float) for key, point in best.items()}
            gains = {key: mean(worth * regenerate) for key, regenerate in chosen.items()}
            bar = gains.get(("trim-thr", "default"), np.full(len(counts), np.nan))
            for (router, variant), point in best.items():
                key = router, variant
                numbers = zip(GAINS, (mean(chosen[key]), gains[key], gains[key] - bar), strict=True)
                row = {"router": router, "variant": variant, "continuation": who, "kappa": kappa}
                row |= {"operating_point": dev[key].settings[point], "prefixes": len(table), "problems": len(problems)}
                for name, number in numbers:
                    row |= columns(name, number, settings.level)
                row |= {"gain_of_all": mean(worth)[0], "gain_in_hindsight": mean(worth.clip(min=0))[0]}
                rows.append(row)
    return pd.DataFrame(rows)


def _best(decided: Decided, who: str, kappa: float) -> int:
    """Return the index of the operating point with the largest gain."""
    worth = decided.table["weight"].to_numpy() * _gains(decided.table, who, kappa)
    return int(np.argmax(decided.regenerate @ worth))


def _gains(table: pd.DataFrame, who: str, kappa: float) -> Floats:
    """Return what regenerating each draft brings over keeping it, shape (prefixes,)."""
    right, tokens = (table[f"regenerate_{who}_{what}"] - table[f"keep_{who}_{what}"] for what in ("right", "tokens"))
    return np.asarray(right - kappa * tokens / table["solution_tokens"], dtype=np.float64)


def _matched(table: pd.DataFrame, decisions: pd.DataFrame) -> pd.Series:
    """Return the decisions in the order of the table."""
    if lacking := [name for name in ("prefix", "regenerate") if name not in decisions]:
        raise InputError(f"decisions: there is no column {lacking[0]!r}; they have a row a prefix: prefix,regenerate")
    if not decisions["regenerate"].isin([0, 1]).all():
        raise InputError("decisions: the column 'regenerate' must hold 0 or 1 in every row")
    known, given = set(table["prefix"]), decisions["prefix"]
    if given.isna().any():
        raise InputError("decisions: a row has no prefix; name one of the table in each row")
    if (again := given[given.duplicated()]).size:
        raise InputError(f"decisions: prefix {again.iloc[0]!r} has two rows; leave one")
    if odd := sorted(set(given) - known):
        raise InputError(f"decisions: prefix {odd[0]!r} is not in the table; decide on the prefixes of this one")
    if missing := sorted(known - set(given)):
        raise InputError(f"decisions: prefix {missing[0]!r} has no row; every prefix of the table needs one")
    return decisions.set_index("prefix")["regenerate"].astype(float).reindex(table["prefix"]).reset_index(drop=True)
