"""The tables of an experiment: curves, headline metrics and paired comparisons, each with intervals.

All routers of a dataset are resampled with the same problems, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trim.config import Bootstrap
from trim.evaluation.bootstrap import Sweep, difference, interval, resample_counts, resampled_curve, resampled_mean
from trim.evaluation.curves import envelope_samples, paper_samples, pgr_at

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

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
MEASURED = ("correct", *(name for name in ESTIMATES if name not in ("accuracy", "strong_share")))
SWEEP = ["trained_on", "router", "variant", "seed"]
END_POINTS = ("weak-only", "strong-only")
ORACLES = ("first-error-oracle", "perfect-information", "oracle-query")
COMPARED = ("trim-thr", "trim-agg", "trim-seq", "trim-pomdp")
RANDOM_QUERY_SHARES = tuple(round(0.1 * i, 1) for i in range(1, 11))
READINGS = {"envelope": envelope_samples, "paper": paper_samples}
METRICS = ("cpt50", "cpt80", "cpt95", "delta_ibc", "apgr")


@dataclass(frozen=True)
class Measured:
    """A sweep on one dataset: every measured quantity, shape (points, problems), means over replicates."""

    trained_on: str
    router: str
    variant: str
    seed: int
    settings: tuple[float, ...]
    values: Mapping[str, Array]

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells sweeps apart."""
        return self.trained_on, self.router, self.variant, self.seed

    def as_sweep(self) -> Sweep:
        """Return what the metrics read."""
        return Sweep(correct=self.values["correct"], strong_tokens=self.values["strong_tokens"])


def measure(episodes: pd.DataFrame) -> list[Measured]:
    """Arrange the episodes of one dataset by sweep, and add query-level random mixing.

    Raises
    ------
    ValueError
        When a sweep lacks a problem that another one has.
    """
    sweeps = []
    problems = sorted(episodes["problem_id"].unique())
    for (trained_on, router, variant, seed), part in episodes.groupby(SWEEP, sort=True):
        means = part.groupby(["operating_point", "problem_id"])[list(MEASURED)].mean()
        settings = tuple(float(s) for s in sorted(part["operating_point"].unique()))
        grid = means.unstack("problem_id").reindex(index=list(settings))
        values = {name: grid[name].reindex(columns=problems).to_numpy(float) for name in MEASURED}
        if any(np.isnan(array).any() for array in values.values()):
            raise ValueError(f"{router} ({variant}) was not evaluated on every problem")
        sweeps.append(Measured(str(trained_on), str(router), str(variant), int(seed), settings, values))
    return [*sweeps, _random_query(sweeps, len(problems))]


def _random_query(sweeps: Sequence[Measured], count: int) -> Measured:
    """Send each problem whole to the strong model with a fixed probability: the exact expectation, no sampling."""
    weak, strong = (_end_point(sweeps, name).values for name in END_POINTS)
    share = np.array(RANDOM_QUERY_SHARES)[:, None]
    values = {name: (1 - share) * weak[name] + share * strong[name] for name in MEASURED}
    return Measured("untrained", "random-query", "default", 0, RANDOM_QUERY_SHARES, values)


def _end_point(sweeps: Sequence[Measured], router: str) -> Measured:
    return next(sweep for sweep in sweeps if sweep.router == router)


@dataclass(frozen=True)
class Resampled:
    """Sweeps of one dataset under the same resamples.

    Attributes
    ----------
    counts
        How often each problem is drawn, shape (resamples, problems).
    weak, strong
        Accuracies of the models alone on each resample, shape (resamples,).
    strong_tokens
        Tokens of the strong model alone, by problem.
    """

    sweeps: Sequence[Measured]
    counts: Array
    weak: Array
    strong: Array
    strong_tokens: Array

    def curve(self, sweep: Measured) -> tuple[Array, Array]:
        """Shares and accuracies on every resample, each of shape (resamples, points)."""
        return resampled_curve(sweep.as_sweep(), self.counts, self.strong_tokens)

    def rows(self) -> Iterator[Measured]:
        """Yield the sweeps that have a curve: all but the end points."""
        yield from (sweep for sweep in self.sweeps if sweep.router not in END_POINTS)


def resample(sweeps: Sequence[Measured], counts: Array) -> Resampled:
    """Put sweeps under resamples; with one row of ones in `counts` these are the estimates themselves."""
    weak, strong = (_end_point(sweeps, name).values for name in END_POINTS)
    return Resampled(
        sweeps,
        counts,
        resampled_mean(weak["correct"][0], counts),
        resampled_mean(strong["correct"][0], counts),
        strong["strong_tokens"][0],
    )


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
        sweeps = measure(part)
        problems = sweeps[0].values["correct"].shape[1]
        counts = resample_counts(problems, settings.resamples, f"{seed}/{dataset}")
        exact, drawn = resample(sweeps, np.ones((1, problems))), resample(sweeps, counts)
        replicates = int(part["replicate"].nunique())
        head = {"pair": pair, "dataset": dataset}
        tail = {"n_problems": problems, "n_replicates": replicates}
        curves += [{**head, **row} for row in _curve_rows(exact, drawn, settings.level, tail)]
        main += [{**head, **row} for row in _main_rows(exact, drawn, settings.level)]
        comparisons += [{**head, **row} for row in _comparison_rows(exact, drawn, settings)]
    return pd.DataFrame(curves), pd.DataFrame(main), pd.DataFrame(comparisons)


def _with_interval(name: str, estimate: float, samples: Array, level: float) -> dict[str, Any]:
    low, high, _ = interval(samples, level)
    return {name: estimate, f"{name}_lo": low, f"{name}_hi": high}


def _cpt_with_interval(name: str, estimate: float, samples: Array, defined: NDArray[np.bool_], level: float) -> Any:
    """Return a CPT and its interval; on a resample where the level is not reached, the share is infinite.

    So an empty upper end says that the level is not reached reliably.
    """
    shares = np.where(np.isnan(samples), np.inf, samples)[defined]
    low, high = np.nan, np.nan
    if shares.size:
        low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], method="higher")
    low, high = (np.nan if np.isinf(end) else float(end) for end in (low, high))
    return {name: estimate, f"{name}_lo": low, f"{name}_hi": high}


def _quantities(sweep: Measured, data: Resampled) -> dict[str, Array]:
    """All estimates of a sweep's points on every resample, each of shape (resamples, points)."""
    means = {name: resampled_mean(sweep.values[name], data.counts) for name in MEASURED}
    means["accuracy"] = means.pop("correct")
    means["strong_share"] = data.curve(sweep)[0]
    return means


def _curve_rows(exact: Resampled, drawn: Resampled, level: float, tail: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for sweep in exact.sweeps:
        estimates, samples = _quantities(sweep, exact), _quantities(sweep, drawn)
        for i, setting in enumerate(sweep.settings):
            row: dict[str, Any] = dict(zip(SWEEP, sweep.key, strict=True))
            row |= {"operating_point": setting, **tail}
            for name in ESTIMATES:
                row |= _with_interval(name, float(estimates[name][0, i]), samples[name][:, i], level)
            yield row


def _main_rows(exact: Resampled, drawn: Resampled, level: float) -> Iterator[dict[str, Any]]:
    for sweep in exact.rows():
        for reading, metrics_of in READINGS.items():
            estimates = metrics_of(*exact.curve(sweep), exact.weak, exact.strong)
            samples = metrics_of(*drawn.curve(sweep), drawn.weak, drawn.strong)
            row: dict[str, Any] = dict(zip(SWEEP, sweep.key, strict=True)) | {"reading": reading}
            row |= _with_interval("weak_accuracy", float(exact.weak[0]), drawn.weak, level)
            row |= _with_interval("strong_accuracy", float(exact.strong[0]), drawn.strong, level)
            for name in METRICS:
                estimate, sample = float(getattr(estimates, name)[0]), getattr(samples, name)
                if name.startswith("cpt"):
                    row |= _cpt_with_interval(name, estimate, sample, drawn.strong > drawn.weak, level)
                else:
                    row |= _with_interval(name, estimate, sample, level)
            row["reason"] = "" if exact.strong[0] > exact.weak[0] else "strong is not better than weak"
            row["undefined_resamples"] = float(np.mean(drawn.strong <= drawn.weak))
            yield row


def _comparison_rows(exact: Resampled, drawn: Resampled, settings: Bootstrap) -> Iterator[dict[str, Any]]:
    """Compare every TRIM router with every other router: PGR at equal strong share, and delta IBC."""
    shares = list(settings.compared_shares)

    def readings(sweep: Measured, data: Resampled) -> dict[str, Array]:
        curve = data.curve(sweep)
        pgr = pgr_at(*curve, data.weak, data.strong, shares)
        ibc = envelope_samples(*curve, data.weak, data.strong).delta_ibc
        return {f"PGR at {share:.0%}": pgr[:, i] for i, share in enumerate(shares)} | {"delta IBC": ibc}

    measured = {sweep.key: (readings(sweep, exact), readings(sweep, drawn)) for sweep in exact.rows()}
    for reference in exact.rows():
        if reference.router not in COMPARED or (reference.router == "trim-thr" and reference.variant != "default"):
            continue
        ours, ours_drawn = measured[reference.key]
        for other in exact.rows():
            comparable = other.trained_on in ("untrained", reference.trained_on)
            if other.key == reference.key or other.router in ORACLES or not comparable:
                continue
            theirs, theirs_drawn = measured[other.key]
            for quantity in ours:
                low, high, p = difference(ours_drawn[quantity], theirs_drawn[quantity], settings.level)
                yield {
                    **dict(zip(SWEEP, reference.key, strict=True)),
                    "other_router": other.router,
                    "other_variant": other.variant,
                    "other_seed": other.seed,
                    "quantity": quantity,
                    "value": float(ours[quantity][0]),
                    "other_value": float(theirs[quantity][0]),
                    "difference": float(ours[quantity][0] - theirs[quantity][0]),
                    "difference_lo": low,
                    "difference_hi": high,
                    "p_value": p,
                }


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
    rows = main[main["reading"] == "envelope"]
    lines = [
        r"\begin{tabular}{llrrrr}",
        r"\toprule",
        r"Dataset & Router & CPT50 & CPT80 & CPT95 & $\Delta$IBC \\",
        r"\midrule",
    ]
    for row in rows.to_dict("records"):
        router = _named(row["router"], row["variant"])
        if row["trained_on"] not in ("untrained", row["dataset"]):
            router += f", from {row['trained_on']}"
        cells = [_percent(row, name) for name in ("cpt50", "cpt80", "cpt95")]
        cells.append(_interval_cell(row, "delta_ibc", 1, 2))
        lines.append(f"{row['dataset']} & {router} & {' & '.join(cells)} \\\\".replace("_", r"\_"))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def latex_comparisons(comparisons: pd.DataFrame) -> str:
    """Return the paired differences of delta IBC for a two-column paper."""
    lines = [
        r"\begin{tabular}{llllr}",
        r"\toprule",
        r"Dataset & Trained on & Router & Against & Difference of $\Delta$IBC \\",
        r"\midrule",
    ]
    for row in comparisons[comparisons["quantity"] == "delta IBC"].to_dict("records"):
        names = [_named(row["router"], row["variant"]), _named(row["other_router"], row["other_variant"])]
        cells = [row["dataset"], row["trained_on"], *names, _interval_cell(row, "difference", 1, 2)]
        lines.append(f"{' & '.join(cells)} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _named(router: str, variant: str) -> str:
    return router if variant == "default" else f"{router} ({variant})"


def _percent(row: Mapping[str, Any], name: str) -> str:
    return _interval_cell(row, name, 100, 1)


def _interval_cell(row: Mapping[str, Any], name: str, scale: float, digits: int) -> str:
    value, low, high = (row[key] * scale for key in (name, f"{name}_lo", f"{name}_hi"))
    if np.isnan(value):
        return "--"
    ends = ", ".join("--" if np.isnan(end) else f"${end:.{digits}f}$" for end in (low, high))
    return f"${value:.{digits}f}$ [{ends}]"
