"""What others published, beside what we measure: `data/published/README.md` names the sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trim.arrays import Floats
from trim.evaluation.curves import CPTS, pgr_at, read_as_paper, read_envelope
from trim.names import THR, routers_of

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["paper", "log"]
Place = Literal["main", "home", "away"]
BENCHMARKS: Mapping[Place, Sequence[str]] = {
    "main": ("math500",),
    "home": ("aime",),
    "away": ("olympiadbench", "minerva"),
}
"""Benchmarks of the paper that stand beside our main dataset, beside another one that routers were fitted on, and
beside one that they were not: its routers were trained for MATH-500 and for AIME, and for neither of the last two."""
TABLES = (1, 2, 7, 8)
PAPER_MODELS = {"weak": "Qwen2.5-3B-Instruct", "strong": "Claude 3.7 Sonnet", "prm": "Qwen2.5-Math-PRM-7B"}
MEASURES = (*(f"{name}_percent" for name in CPTS), "delta_ibc")
"""Metrics as the paper prints them: CPT in percent of the strong model alone."""


def published_points(folder: Path, source: Source, dataset: str) -> pd.DataFrame:
    """Read the operating points of a dataset: columns router, strong_tokens (per problem), accuracy.

    Parameters
    ----------
    folder
        Where `data/published/` is.
    source
        `paper`: its Figure 6, digitised; `log`: what the official code logged, without the strong model alone.
    dataset
        Where nothing was published for it, there are no points.
    """
    import pandas as pd

    columns = ["router", "strong_tokens", "accuracy"]
    if source == "paper":
        points, anchors = pd.read_csv(folder / "figure6.csv"), pd.read_csv(folder / "anchors.csv")
        sizes = anchors[anchors["source"] == source].set_index("dataset")["problems"]
        points = points[points["dataset"] == dataset]
        return points.assign(accuracy=points["correct"] / sizes.get(dataset, 1))[columns]
    # Both were logged on the same dataset, or neither: threshold 1 is the strong model alone.
    logs = {"trim-thr": folder / f"log_{dataset}_thr.csv", "trim-pomdp": folder / f"log_{dataset}_pomdp.csv"}
    found = [pd.read_csv(path).assign(router=router) for router, path in logs.items() if path.is_file()]
    if not found:
        return pd.DataFrame(columns=columns)
    points = pd.concat(found, ignore_index=True)
    return points.loc[points["threshold"] != 1.0, columns]


def anchor(folder: Path, source: Source, dataset: str) -> pd.Series:
    """Read what was published of the two models alone on a dataset."""
    import pandas as pd

    anchors = pd.read_csv(folder / "anchors.csv")
    return anchors[(anchors["source"] == source) & (anchors["dataset"] == dataset)].iloc[0]


def printed_tables(folder: Path) -> pd.DataFrame:
    """Read Tables 1, 2, 7 and 8 of the paper: columns table, dataset, router and MEASURES."""
    import pandas as pd

    tables = [pd.read_csv(folder / f"table{number}.csv").assign(table=number) for number in TABLES]
    return pd.concat(tables, ignore_index=True)[["table", "dataset", "router", *MEASURES]]


def published_curve(folder: Path, source: Source, dataset: str, router: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Return strong shares and accuracies of a router, (1, K), and the accuracies of both models alone, (1,)."""
    points, alone = published_points(folder, source, dataset), anchor(folder, source, dataset)
    points = points[points["router"] == router]
    shares, accuracies = points["strong_tokens"].to_numpy() / alone["strong_tokens"], points["accuracy"].to_numpy()
    weak, strong = (np.array([alone[f"{who}_correct"] / alone["problems"]]) for who in ("weak", "strong"))
    return shares[None], accuracies[None], weak, strong


LOG_PROMPT = 120
"""Tokens of a problem with its instruction, which the logs do not hold; 80 to 200 move CPT50 by 2 points."""

INPUT_PRICES = {"": 0.0, ", input tokens at 1/10": 0.1, ", input tokens at 1/5": 0.2}
"""Price of an input token, where one of output costs 1: behind the paper's strong model it is a fifth."""


def priced_log(folder: Path, input_price: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the curve of TRIM-Thr in the log on MATH-500 as `published_curve` does, calls paying for their input.

    The log counts calls, not what they read. A step that is written again is taken to stand half-way through the
    solution, and nothing to be cached: prefixes of this length are not. Alone, the strong model is called once.
    """
    import pandas as pd

    log = pd.read_csv(folder / "log_math500_thr.csv")
    length = log["strong_tokens"] + log["weak_tokens"]
    costs = log["strong_tokens"] + input_price * log["strong_calls"] * (LOG_PROMPT + length / 2)
    alone, routed = (log["threshold"] == 1).to_numpy(), (log["threshold"] != 1).to_numpy()
    whole = float(log["strong_tokens"][alone].iloc[0]) + input_price * LOG_PROMPT
    accuracies = log["accuracy"].to_numpy(float)
    weak, strong = accuracies[(log["threshold"] == 0).to_numpy()], accuracies[alone]
    return (costs[routed].to_numpy(float) / whole)[None], accuracies[routed][None], weak, strong


def metric_check(folder: Path) -> pd.DataFrame:
    """Read the published curves with our metrics (`paper` reading), beside what the paper prints of them.

    And TRIM-Thr of the logs as an envelope, at several prices of what the strong model reads.

    Returns
    -------
    pandas.DataFrame
        Columns source, dataset, router, measure, published (empty for the logs: no table is of that pair),
        recomputed, difference. What is left of a difference in Figure 6 is the digitising, good to a token.
    """
    import pandas as pd

    printed = printed_tables(folder).query("table == 1").set_index(["dataset", "router"])
    rows: list[dict[str, Any]] = []
    curves: list[tuple[str, Source, str]] = [
        ("Figure 6", "paper", "math500"),
        ("Figure 6", "paper", "aime"),
        ("released log", "log", "math500"),
    ]
    for source, kind, dataset in curves:
        for router in published_points(folder, kind, dataset)["router"].unique():
            metrics = read_as_paper(*published_curve(folder, kind, dataset, router))
            for measure in MEASURES:
                name = measure.removesuffix("_percent")
                recomputed = metrics[name][0] if name == measure else 100 * metrics[name][0]
                published = printed.loc[(dataset, router), measure] if kind == "paper" else None
                row = {"source": source, "dataset": dataset, "router": router, "measure": measure}
                rows.append({**row, "published": published, "recomputed": recomputed})
    for label, price in INPUT_PRICES.items():
        metrics = read_envelope(*priced_log(folder, price))
        row = {"source": f"released log as envelope{label}", "dataset": "math500", "router": THR, "published": None}
        for name, scale in zip(MEASURES, (100, 100, 100, 1), strict=True):
            rows.append({**row, "measure": name, "recomputed": scale * metrics[name.removesuffix("_percent")][0]})
    table = pd.DataFrame(rows).replace(np.inf, np.nan)
    return table.assign(difference=table["recomputed"] - table["published"])


@dataclass(frozen=True)
class Paper:
    """What the paper prints, in the quantities of our statements; NaN where it prints nothing.

    Beside the main dataset stands MATH-500, beside another one that routers were fitted on AIME, and beside the others
    the least value of the benchmarks that the paper's routers were not trained for.
    """

    folder: Path

    @cached_property
    def _delta_ibc(self) -> Mapping[int, Mapping[str, Mapping[str, float]]]:
        tables: dict[int, dict[str, dict[str, float]]] = {}
        for row in printed_tables(self.folder).to_dict("records"):
            tables.setdefault(row["table"], {}).setdefault(row["dataset"], {})[row["router"]] = row["delta_ibc"]
        return tables

    @cached_property
    def main(self) -> Mapping[str, Mapping[str, float]]:
        """Delta IBC by dataset and router: Table 1, and Table 2 for datasets that no router was trained for."""
        return {**self._delta_ibc[2], **self._delta_ibc[1]}

    def best_baseline(self, dataset: str) -> float:
        """Return the delta IBC of the best query-level baseline on a dataset."""
        return max(value for router, value in self.main[dataset].items() if router not in routers_of("trim"))

    def over(self, quantity: Callable[[str], float], place: Place) -> float:
        """Return the least value of a quantity on the benchmarks of a place."""
        found = [value for value in map(quantity, BENCHMARKS[place]) if not np.isnan(value)]
        return min(found, default=np.nan)

    def multiple(self, version: str, dataset: str) -> float:
        """Return the multiple of the best baseline's delta IBC that a version of the abstract names for a dataset."""
        import pandas as pd

        rows = pd.read_csv(self.folder / "abstracts.csv").set_index(["version", "dataset"])
        return float(rows.loc[(version, dataset), "multiple"])

    def cheaper(self, router: str, cpt: str) -> Callable[[str], float]:
        """Strong share by which a router reaches a level before TRIM-Thr does, by dataset."""
        column = f"{cpt}_percent"

        def quantity(dataset: str) -> float:
            rows = printed_tables(self.folder).query("table in (1, 2)").set_index(["dataset", "router"])[column]
            if (dataset, router) not in rows.index:
                return np.nan
            return float(rows[dataset, THR] - rows[dataset, router]) / 100

        return quantity

    def ahead(self, router: str) -> Callable[[str], float]:
        """Delta IBC of a router minus that of TRIM-Thr, by dataset."""
        return lambda name: self.main[name].get(router, np.nan) - self.main[name][THR]

    def ahead_of_baselines(self, router: str) -> Callable[[str], float]:
        """Delta IBC of a router minus that of the best baseline, by dataset."""
        return lambda name: self.main[name].get(router, np.nan) - self.best_baseline(name)

    def takeover(self, dataset: str) -> float:
        """Delta IBC of TRIM-Thr minus that of one-step takeover (Table 7)."""
        return self._delta_ibc[7][dataset][THR] - self._delta_ibc[7][dataset]["one-step-takeover"]

    def noisy(self, router: str) -> float:
        """Delta IBC of a router minus that of TRIM-Thr, with the noisy PRM (Table 8)."""
        return self._delta_ibc[8]["olympiadbench"].get(router, np.nan) - self._delta_ibc[8]["olympiadbench"][THR]

    def planning(self, dataset: str) -> float:
        """Delta IBC of TRIM-POMDP in multiples of that of TRIM-Thr."""
        return self.main[dataset]["trim-pomdp"] / self.main[dataset][THR]

    def pgr(self, router: str, share: float) -> float:
        """PGR at a strong share on MATH-500, from Figure 6."""
        shares, accuracies, weak, strong = published_curve(self.folder, "paper", "math500", router)
        return float(pgr_at(shares, accuracies, weak, strong, [share])[0, 0]) if shares.size else np.nan

    @property
    def gap(self) -> float:
        """Accuracy of the strong model minus that of the weak one, on MATH-500."""
        alone = anchor(self.folder, "paper", "math500")
        return float((alone["strong_correct"] - alone["weak_correct"]) / alone["problems"])
