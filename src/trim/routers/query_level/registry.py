"""The one table of query-level baselines: how each is fitted, what is kept of it, and what it chooses from.

A baseline of another package stands in the entry point group `trim.query_level`, as a `Baseline` under its identifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trim.arrays import Floats
from trim.config.routers import QueryRouters
from trim.errors import ConfigError
from trim.names import names
from trim.plugins import added
from trim.routers.query_level.automix import AutoMix, fit_automix
from trim.routers.query_level.bert import Bert, fit_bert
from trim.routers.query_level.best_route import BestRoute, fit_best_route, largest_set
from trim.routers.query_level.evidence import Evidence, QueryRouter
from trim.routers.query_level.features import Features, fit_features
from trim.routers.query_level.frugal import Frugal, fit_frugal
from trim.routers.query_level.heads import LinearHeads, fit_heads
from trim.routers.query_level.hybrid_llm import HybridLLM, fit_hybrid_llm
from trim.routers.query_level.mf import MatrixFactorisation, fit_mf
from trim.routers.query_level.per_token import VARIANT as PER_TOKEN
from trim.routers.query_level.per_token import fit_per_token
from trim.routers.query_level.smoothie import Smoothie, fit_smoothie
from trim.routers.query_level.sw import SimilarityWeighted, fit_sw

if TYPE_CHECKING:
    from trim.models.encoder import Encoder, TextClassifier

Choice = Literal["weak or strong", "read cascade", "sampled cascade", "best of n"]
"""What a baseline chooses from, and so what it pays: see `Options.of`."""


@dataclass(frozen=True, slots=True)
class QueryTraining:
    """What query-level baselines are fitted to.

    Attributes
    ----------
    train, dev
        Solutions of the training split, and of the split on which epochs are picked and thresholds chosen.
    solutions
        Embeds the training solutions, as `fit_smoothie` takes them: shape (3, P, R, width).
    new_encoder
        Loads the encoder that fine-tuning starts from.
    settings
        Of all baselines.
    seed
        What initial weights and samples are drawn from.
    """

    train: Evidence
    dev: Evidence
    solutions: Callable[[], Floats]
    new_encoder: Callable[[], Encoder]
    settings: QueryRouters
    seed: str

    def learn(self, name: str, train: Floats, dev: Floats) -> TextClassifier | LinearHeads:
        """Learn soft labels, shape (P, heads, classes): by fine-tuning, or by heads where the encoder stays frozen."""
        if self.settings.tuning is None:
            return fit_heads((self.train.embeddings, train), (self.dev.embeddings, dev))
        from trim.models.encoder import fine_tune

        splits = (self.train.texts, train), (self.dev.texts, dev)
        return fine_tune(self.new_encoder(), *splits, self.settings.tuning, f"{self.seed}/{name}")


@dataclass(frozen=True, slots=True)
class Baseline:
    """A query-level baseline.

    Attributes
    ----------
    kind
        The dataclass of a fitted one; its fields are what is kept on disk: arrays, settings, and a `classifier`.
    fit
        Returns what is fitted, by variant.
    choice
        What it chooses from.
    """

    kind: type[Any]
    fit: Callable[[QueryTraining], Mapping[str, QueryRouter]]
    choice: Choice = "weak or strong"


def _best_route(data: QueryTraining) -> Mapping[str, QueryRouter]:
    return {"default": fit_best_route(data.train, data.dev, largest_set(data.settings.samples), data.learn, data.seed)}


_BUILT_IN = {
    "bert": Baseline(Bert, lambda data: {"default": fit_bert(data.train, data.dev, data.learn)}),
    "mf": Baseline(MatrixFactorisation, lambda data: {"default": fit_mf(data.train, data.dev, data.seed)}),
    "sw": Baseline(SimilarityWeighted, lambda data: {"default": fit_sw(data.train)}),
    "smoothie": Baseline(
        Smoothie, lambda data: {"default": fit_smoothie(data.train, data.solutions(), data.settings.neighbours)}
    ),
    "automix": Baseline(
        AutoMix,
        lambda data: {"default": fit_automix(data.train, "agreement", data.settings.bins)},
        "sampled cascade",
    ),
    "automix-prm": Baseline(
        AutoMix, lambda data: {"default": fit_automix(data.train, "product", data.settings.bins)}, "read cascade"
    ),
    "frugal": Baseline(Frugal, lambda data: {"default": fit_frugal(data.train)}, "read cascade"),
    "hybrid-llm": Baseline(HybridLLM, lambda data: fit_hybrid_llm(data.train, data.dev, data.learn)),
    "best-route": Baseline(BestRoute, _best_route, "best of n"),
    "features": Baseline(Features, lambda data: {"default": fit_features(data.train, data.dev)}, "read cascade"),
}


def baseline(name: str) -> Baseline:
    """Return a baseline by its identifier.

    Raises
    ------
    ConfigError
        If there is none.
    """
    known: dict[str, Baseline] = {**_BUILT_IN, **added("trim.query_level")}
    if name not in known:
        raise ConfigError(f"there is no query-level baseline {name!r}; there are {', '.join(known)}")
    return known[name]


def fit_baselines(data: QueryTraining) -> Iterator[tuple[str, str, QueryRouter]]:
    """Fit every baseline that the settings name, and yield (router, variant, what was fitted).

    The first variant of one whose names have a variant `per-token` is fitted that way, too.
    """
    for name in data.settings.baselines:
        found = baseline(name)
        fitted = found.fit(data)
        for variant, policy in fitted.items():
            yield name, variant, policy
        if (name, PER_TOKEN) in names():
            first, reads_answer = next(iter(fitted.values())), "cascade" in found.choice
            yield name, PER_TOKEN, fit_per_token(first, data.train, data.dev, reads_answer)
