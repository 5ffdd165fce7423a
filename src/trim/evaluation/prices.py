"""Routers under prices other than the paper's: a cost is a linear function of what an episode counts.

Every curve is read against its cost share, (cost - weak-only) / (strong-only - weak-only) with means over problems:
what a router spends beyond the weak model alone, in units of what the strong model alone spends beyond it. Mixing both
models at random lies on the diagonal at any prices, so that delta IBC keeps its zero. At the paper's prices the weak
model costs nothing, and the share is the strong share. A router that is cheaper than the weak model counts as free.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Floats
from trim.config.experiment import Bootstrap
from trim.config.prices import ApiPrice, FlopsPrice, Parameters, PriceVector, SecondsPrice
from trim.evaluation.bootstrap import columns, resample_counts
from trim.evaluation.study import EPISODE, HEADLINE_METRICS, Study, measure
from trim.layouts import READ

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

QUANTITIES = ("strong_tokens", "weak_tokens", "discarded_tokens", "prm_tokens", *READ)
"""What prices are of: columns of an episode."""

INPUT = {"strong": "strong_input_tokens", "weak": "weak_input_tokens", "prm": "prm_tokens"}
OUTPUT = {"strong": ("strong_tokens",), "weak": ("weak_tokens", "discarded_tokens")}
"""What models read and write, by role; of what they read, `{role}_cached_tokens` they knew before."""

PRICED_COLUMNS = [*EPISODE, "correct", *QUANTITIES]

Vector = Mapping[str, float]
"""The price of each quantity that has one."""


def cost(quantities: Floats, prices: Floats) -> Floats:
    """Return what episodes cost, shape (n, K): quantities (n, Q) times prices of K kinds (Q, K)."""
    return np.asarray(quantities @ prices)


def vector(price: PriceVector, parameters: Parameters) -> Vector | None:
    """Return a price as numbers to multiply the quantities of an episode by.

    Parameters
    ----------
    parameters
        Sizes of the models that are trained here, where the config names none.

    Returns
    -------
    Tokens, dollars, seconds or floating-point operations for each token; None where the size of a model is not known.
    """
    if isinstance(price, ApiPrice):
        return _dollars(price)
    if isinstance(price, FlopsPrice):
        sizes = {
            role: getattr(price.parameters, role) or getattr(parameters, role) for role in ("weak", "strong", "prm")
        }
        operations = {role: 2 * size for role, size in sizes.items() if size is not None}
        return _by_token(operations, operations, price.cached) if len(operations) == len(sizes) else None
    if isinstance(price, SecondsPrice):
        read = {role: getattr(price, role).read for role in ("weak", "strong", "prm")}
        return _by_token(read, {role: getattr(price, role).written for role in ("weak", "strong")}, price.cached)
    return {"strong_tokens": 1.0}


def in_dollars(prices: Mapping[str, PriceVector]) -> dict[str, Vector]:
    """Return the prices in dollars as numbers to multiply the quantities of an episode by."""
    return {name: _dollars(price) for name, price in prices.items() if isinstance(price, ApiPrice)}


def _dollars(price: ApiPrice) -> Vector:
    strong, found = price.strong, {}
    found["strong_tokens"], found["strong_input_tokens"] = strong.output, strong.input
    if strong.cached_input is not None:
        column = (
            "strong_cached_tokens" if strong.minimal_prefix == 1 else f"strong_cached_{strong.minimal_prefix}_tokens"
        )
        found[column] = strong.cached_input - strong.input
    found |= {"weak_tokens": price.weak.output, "discarded_tokens": price.weak.output}
    found |= {"weak_input_tokens": price.weak.input, "prm_tokens": price.prm.input}
    return {name: dollars / 1e6 for name, dollars in found.items()}


def _by_token(read: Mapping[str, float], written: Mapping[str, float], cached: bool) -> Vector:
    """Return what tokens cost that models read and write, by role; what is cached costs nothing to read."""
    found = {name: read[role] for role, name in INPUT.items()}
    found |= {name: written[role] for role, names in OUTPUT.items() for name in names}
    return found | ({f"{role}_cached_tokens": -read[role] for role in INPUT} if cached else {})


def vectors(prices: Mapping[str, PriceVector], parameters: Parameters) -> dict[str, Vector]:
    """Return all prices as numbers, but those that depend on sizes which nobody knows."""
    found = {name: vector(price, parameters) for name, price in prices.items()}
    for name, numbers in found.items():
        if numbers is None:
            logger.warning("prices.%s is left out: say under its `parameters` how large the models are", name)
    return {name: numbers for name, numbers in found.items() if numbers is not None}


def spent(episodes: pd.DataFrame, prices: Collection[Vector]) -> Floats:
    """Return what episodes cost at each of some prices, shape (episodes, prices)."""
    table = np.array([[numbers.get(name, 0.0) for numbers in prices] for name in QUANTITIES])
    return cost(episodes[list(QUANTITIES)].to_numpy(float), table)


def priced(episodes: pd.DataFrame, prices: Mapping[str, Vector]) -> pd.DataFrame:
    """Return episodes with what they cost at each of some prices, columns `cost_of`, in place of the quantities."""
    costs = dict(zip(map(cost_of, prices), spent(episodes, prices.values()).T, strict=True))
    return episodes[[*EPISODE, "correct"]].assign(**costs)


def cost_of(price: str) -> str:
    """Return the column of what an episode costs at a price."""
    return f"cost at {price}"


def price_studies(
    episodes: pd.DataFrame, prices: Sequence[str], settings: Bootstrap, seed: int
) -> dict[str, dict[str, Study]]:
    """Study every dataset at every price, by price and dataset, on the resamples of all other tables.

    A dataset is left out at a price at which the strong model alone is no dearer than the weak one on some resample.
    """
    found: dict[str, dict[str, Study]] = {price: {} for price in prices}
    for dataset, part in episodes.groupby("dataset", sort=True):
        sweeps = measure(part, ("correct", *map(cost_of, prices)))
        counts = resample_counts(part["problem_id"].nunique(), settings.resamples, f"{seed}/{dataset}")
        for price in prices:
            study = Study(sweeps, counts, cost_of(price))
            if (study.span > 0).all():
                found[price][str(dataset)] = study
            else:
                logger.warning(
                    "at prices %s, the strong model alone costs no more than the weak one on %s", price, dataset
                )
    return found


def price_table(studies: Mapping[str, Mapping[str, Study]], level: float) -> pd.DataFrame:
    """Return CPTs and delta IBC of every router at every price, with intervals: a row each."""
    import pandas as pd

    rows = []
    for price, by_dataset in studies.items():
        for dataset, study in by_dataset.items():
            for sweep in study.curves():
                row: dict[str, Any] = {"price": price, "dataset": dataset, **sweep.head}
                for name in HEADLINE_METRICS:
                    row |= columns(name, study.metrics[sweep.key][name], level)
                rows.append(row)
    return pd.DataFrame(rows)


def price_curves(studies: Mapping[str, Mapping[str, Study]], level: float) -> pd.DataFrame:
    """Return cost, cost share and accuracy of every operating point at every price: a row each."""
    import pandas as pd

    return pd.DataFrame(
        row
        for price, by_dataset in studies.items()
        for name in by_dataset
        for row in _points(price, name, by_dataset[name], level)
    )


def _points(price: str, dataset: str, study: Study, level: float) -> Iterator[dict[str, Any]]:
    for sweep in study.sweeps:
        shares, accuracies = study.curve(sweep)
        spent = study.mean(sweep.values[study.cost])
        for i, setting in enumerate(sweep.settings):
            row = {"price": price, "dataset": dataset, **sweep.head, "operating_point": setting}
            yield row | {"cost": spent[0, i], "cost_share": shares[0, i]} | columns("accuracy", accuracies[:, i], level)
