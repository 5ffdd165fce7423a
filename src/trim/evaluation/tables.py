"""The tables of an experiment: curves, headline metrics and paired comparisons, each with intervals.

All routers of a dataset are resampled with the same problems, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Floats
from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import columns, compared
from trim.evaluation.curves import CPTS, read_as_paper
from trim.evaluation.format import cell, escape, named, tabular
from trim.evaluation.study import MEASURED, SWEEP, Study, Sweep, correct_for_multiplicity, measure, study
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
COMPARED_METRICS = {"CPT80": "cpt80", "CPT95": "cpt95", "delta IBC": "delta_ibc"}
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


def _estimates(data: Study, sweep: Sweep) -> dict[str, Floats]:
    """Return all that a sweep costs and gives at each of its points, each of shape (1 + resamples, points)."""
    means = {name: data.mean(sweep.values[name]) for name in MEASURED}
    means["accuracy"] = means.pop("correct")
    means["strong_share"] = data.curve(sweep)[0]
    return means


def _curve_rows(data: Study, level: float, tail: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for sweep in data.sweeps:
        estimates = _estimates(data, sweep)
        for i, setting in enumerate(sweep.settings):
            row: dict[str, Any] = {**sweep.head, "operating_point": setting, **tail}
            for name in ESTIMATES:
                row |= columns(name, estimates[name][:, i], level)
            yield row


def _main_rows(data: Study, level: float) -> Iterator[dict[str, Any]]:
    ends = columns("weak_accuracy", data.weak, level) | columns("strong_accuracy", data.strong, level)
    is_better = data.strong > data.weak
    tail = {"reason": "" if is_better[0] else "strong is not better than weak"}
    for sweep in data.curves():
        readings = {"envelope": data.metrics[sweep.key], "paper": data.read(sweep, read_as_paper)}
        for name, metrics in readings.items():
            row: dict[str, Any] = {**sweep.head, "reading": name, **ends}
            for metric, number in metrics.items():
                row |= columns(metric, number, level)
            yield row | tail | {"undefined_resamples": float(np.mean(~is_better[1:]))}


def _comparison_rows(data: Study, settings: Bootstrap) -> Iterator[dict[str, Any]]:
    """Compare every TRIM router with every other router: PGR at equal strong share, CPT80 and CPT95, and delta IBC."""
    shares = settings.compared_shares
    names = [f"PGR at {share:.0%}" for share in shares]
    numbers = {
        sweep.key: {
            **dict(zip(names, data.pgr(sweep, shares), strict=True)),
            **{quantity: data.metrics[sweep.key][metric] for quantity, metric in COMPARED_METRICS.items()},
        }
        for sweep in data.curves()
    }
    for reference in data.curves():
        is_control = reference.router == THR and reference.variant != "default"
        if is_control or reference.router not in routers_of("trim"):
            continue
        for other in data.curves():
            comparable = other.trained_on in ("untrained", reference.trained_on)
            if other.key == reference.key or other.router in routers_of("oracle") or not comparable:
                continue
            for quantity, ours in numbers[reference.key].items():
                found = compared(ours, numbers[other.key][quantity], settings.level)
                yield {**reference.head, **other.as_other, "quantity": quantity, **found}


def strong_calls(episodes: pd.DataFrame) -> pd.DataFrame:
    """Count, for every operating point and step position, the episodes that get there and those where strong wrote."""
    import pandas as pd

    keys = ["dataset", *SWEEP, "operating_point"]
    rows = []
    for key, solutions in episodes.groupby(keys, sort=True)["authors"]:
        for position, reached in enumerate(zip_longest(*solutions)):
            episodes_there = len(reached) - reached.count(None)
            counts = {"position": position, "episodes": episodes_there, "strong": reached.count("s")}
            rows.append(dict(zip(keys, key, strict=True)) | counts)
    return pd.DataFrame(rows, columns=[*keys, "position", "episodes", "strong"])


def latex_main(main: pd.DataFrame) -> str:
    """Return the main table (envelope reading) for a two-column paper, shares in percent."""
    body = []
    for row in main[main["reading"] == "envelope"].to_dict("records"):
        router = named(row["router"], row["variant"])
        if row["trained_on"] not in ("untrained", row["dataset"]):
            router += f", from {row['trained_on']}"
        cpts = [cell(row, name) for name in CPTS]
        body.append([escape(row["dataset"]), escape(router), *cpts, cell(row, "delta_ibc")])
    return tabular("llrrrr", ["Dataset", "Router", "CPT50", "CPT80", "CPT95", r"$\Delta$IBC"], body)


def latex_comparisons(comparisons: pd.DataFrame) -> str:
    """Return the paired differences of delta IBC for a two-column paper."""
    body = []
    for row in comparisons[comparisons["quantity"] == "delta IBC"].to_dict("records"):
        names = [named(row["router"], row["variant"]), named(row["other_router"], row["other_variant"])]
        cells = map(escape, (row["dataset"], row["trained_on"], *names))
        body.append([*cells, cell(row, "difference")])
    header = ["Dataset", "Trained on", "Router", "Against", r"Difference of $\Delta$IBC"]
    return tabular("llllr", header, body)
