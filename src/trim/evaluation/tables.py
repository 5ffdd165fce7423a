"""The tables of an experiment: curves, headline metrics and paired comparisons, each with intervals.

All routers of a dataset are resampled with the same problems, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import resampled_mean
from trim.evaluation.curves import envelope_samples, paper_samples
from trim.evaluation.format import escape, interval_cell, named, percent, tabular
from trim.evaluation.study import (
    MEASURED,
    SWEEP,
    Array,
    Measured,
    Reading,
    Resampled,
    Study,
    correct_for_multiplicity,
    measure,
    study,
)
from trim.names import THR, routers_of

if TYPE_CHECKING:
    import pandas as pd

ESTIMATES = (
    "accuracy",
    "strong_tokens",
    "strong_share",
    "weak_tokens",
    "discarded_tokens",
    "prm_tokens",
    "strong_prefill_tokens",
    "strong_calls",
)
READINGS = {"envelope": envelope_samples, "paper": paper_samples}
FAMILY = ["dataset", *SWEEP, "quantity"]
"""One family of p-values: one router against all others, in one quantity on one dataset."""


def make_tables(
    episodes: pd.DataFrame, pair: str, settings: Bootstrap, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return curves, main metrics and paired comparisons of all datasets (columns as in the design).

    Parameters
    ----------
    episodes
        A row an episode, of all routers and datasets.
    pair
        Name of the model pair.
    settings
        Resamples, level, and the strong shares at which routers are compared.
    seed
        What resamples are drawn from.
    """
    import pandas as pd

    curves, main, comparisons = [], [], []
    for dataset, part in episodes.groupby("dataset", sort=True):
        data = study(measure(part), settings, f"{seed}/{dataset}")
        head = {"pair": pair, "dataset": dataset}
        tail = {"n_problems": data.problems, "n_replicates": int(part["replicate"].nunique())}
        curves += [{**head, **row} for row in _curve_rows(data, settings.level, tail)]
        main += [{**head, **row} for row in _main_rows(data, settings.level)]
        comparisons += [{**head, **row} for row in _comparison_rows(data, settings)]
    compared = correct_for_multiplicity(pd.DataFrame(comparisons), FAMILY)
    return pd.DataFrame(curves), pd.DataFrame(main), compared


def _quantities(sweep: Measured, data: Resampled) -> dict[str, Array]:
    """All estimates of a sweep's points on every resample, each of shape (resamples, points)."""
    means = {name: resampled_mean(sweep.values[name], data.counts) for name in MEASURED}
    means["accuracy"] = means.pop("correct")
    means["strong_share"] = data.curve(sweep)[0]
    return means


def _curve_rows(data: Study, level: float, tail: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for sweep in data.exact.sweeps:
        estimates, samples = _quantities(sweep, data.exact), _quantities(sweep, data.drawn)
        for i, setting in enumerate(sweep.settings):
            row: dict[str, Any] = {**sweep.head, "operating_point": setting, **tail}
            for name in ESTIMATES:
                row |= Reading(float(estimates[name][0, i]), samples[name][:, i]).columns(name, level)
            yield row


def _main_rows(data: Study, level: float) -> Iterator[dict[str, Any]]:
    weak, strong = data.drawn.weak, data.drawn.strong
    is_better = data.exact.strong[0] > data.exact.weak[0]
    for sweep in data.exact.rows():
        for reading, read in READINGS.items():
            row: dict[str, Any] = {**sweep.head, "reading": reading}
            row |= Reading(float(data.exact.weak[0]), weak).columns("weak_accuracy", level)
            row |= Reading(float(data.exact.strong[0]), strong).columns("strong_accuracy", level)
            for name, metric in data.metrics(sweep, read).items():
                row |= metric.columns(name, level)
            row["reason"] = "" if is_better else "strong is not better than weak"
            row["undefined_resamples"] = float(np.mean(strong <= weak))
            yield row


def _comparison_rows(data: Study, settings: Bootstrap) -> Iterator[dict[str, Any]]:
    """Compare every TRIM router with every other router: PGR at equal strong share, and delta IBC."""
    shares = settings.compared_shares
    names = [f"PGR at {share:.0%}" for share in shares]
    readings = {
        sweep.key: {
            **dict(zip(names, data.pgr(sweep, shares), strict=True)),
            "delta IBC": data.metrics(sweep)["delta_ibc"],
        }
        for sweep in data.exact.rows()
    }
    for reference in data.exact.rows():
        is_control = reference.router == THR and reference.variant != "default"
        if is_control or reference.router not in routers_of("trim"):
            continue
        for other in data.exact.rows():
            comparable = other.trained_on in ("untrained", reference.trained_on)
            if other.key == reference.key or other.router in routers_of("oracle") or not comparable:
                continue
            theirs = readings[other.key]
            for quantity, ours in readings[reference.key].items():
                compared = ours.against(theirs[quantity], settings.level)
                yield {**reference.head, **other.as_other, "quantity": quantity, **compared}


def strong_calls(episodes: pd.DataFrame) -> pd.DataFrame:
    """Count, for every operating point and step position, the episodes that get there and those where strong wrote."""
    import pandas as pd

    keys = ["dataset", *SWEEP, "operating_point"]
    rows = []
    for key, solutions in episodes.groupby(keys, sort=True)["authors"]:
        for position in range(int(solutions.str.len().max())):
            reached = [authors[position] for authors in solutions if len(authors) > position]
            counts = {"position": position, "episodes": len(reached), "strong": reached.count("s")}
            rows.append(dict(zip(keys, key, strict=True)) | counts)
    return pd.DataFrame(rows, columns=[*keys, "position", "episodes", "strong"])


def latex_main(main: pd.DataFrame) -> str:
    """Return the main table (envelope reading) for a two-column paper, shares in percent."""
    body = []
    for row in main[main["reading"] == "envelope"].to_dict("records"):
        router = named(row["router"], row["variant"])
        if row["trained_on"] not in ("untrained", row["dataset"]):
            router += f", from {row['trained_on']}"
        cpts = [percent(row, name) for name in ("cpt50", "cpt80", "cpt95")]
        body.append([escape(row["dataset"]), escape(router), *cpts, interval_cell(row, "delta_ibc", 1, 2)])
    return tabular("llrrrr", ["Dataset", "Router", "CPT50", "CPT80", "CPT95", r"$\Delta$IBC"], body)


def latex_comparisons(comparisons: pd.DataFrame) -> str:
    """Return the paired differences of delta IBC for a two-column paper."""
    body = []
    for row in comparisons[comparisons["quantity"] == "delta IBC"].to_dict("records"):
        names = [named(row["router"], row["variant"]), named(row["other_router"], row["other_variant"])]
        cells = map(escape, (row["dataset"], row["trained_on"], *names))
        body.append([*cells, interval_cell(row, "difference", 1, 2)])
    header = ["Dataset", "Trained on", "Router", "Against", r"Difference of $\Delta$IBC"]
    return tabular("llllr", header, body)
