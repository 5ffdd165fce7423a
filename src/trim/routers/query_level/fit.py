"""Fit the query-level baselines of a dataset, and lay their operating points on dev."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trim.config.routers import QueryRouters
from trim.problems.problem import Problem
from trim.routers.query_level.automix import fit_automix
from trim.routers.query_level.bert import fit_bert
from trim.routers.query_level.best_route import fit_best_route
from trim.routers.query_level.disk import Policy, Space
from trim.routers.query_level.evidence import Evidence, Floats, QueryRouter, lay_doubt_thresholds
from trim.routers.query_level.frugal import fit_frugal
from trim.routers.query_level.hybrid_llm import VARIANTS, HybridLLM, fit_hybrid_llm
from trim.routers.query_level.mf import fit_mf
from trim.routers.query_level.smoothie import fit_smoothie
from trim.routers.query_level.sw import fit_sw

if TYPE_CHECKING:
    import pandas as pd

    from trim.models.encoder import Encoder

logger = logging.getLogger(__name__)

GENERATORS = ("weak-only", "strong-only", "mixed")
"""Behaviours in the rollouts that are Smoothie's three generators."""


def embed_solutions(rollouts: pd.DataFrame, problems: Sequence[Problem], encoder: Encoder) -> Floats:
    """Return the embedded solutions of the training problems, standardised, shape (3, P, R, width)."""
    solutions = rollouts.groupby(["behaviour", "problem_id", "replicate"])["text"].agg("".join)
    replicates = sorted(rollouts["replicate"].unique())
    texts = [solutions[name, problem.id, r] for name in GENERATORS for problem in problems for r in replicates]
    vectors = encoder.embed(texts).astype(np.float64)
    return Space.of(vectors).standardise(vectors).reshape(len(GENERATORS), len(problems), len(replicates), -1)


def fit_policies(
    train: Evidence,
    dev: Evidence,
    solutions: Floats,
    new_encoder: Callable[[], Encoder],
    settings: QueryRouters,
    points: int,
    seed: str,
) -> list[Policy]:
    """Fit every baseline that the settings name.

    Parameters
    ----------
    train, dev
        Solutions of the training split, and of the split on which epochs are picked and thresholds laid.
    solutions
        Shape (3, P, R, width); embedded training solutions, as `fit_smoothie` takes them.
    new_encoder
        Loads the encoder that fine-tuning starts from.
    points
        Operating points of each, at most.
    seed
        What initial weights and samples are drawn from.
    """
    policies = []
    for router in settings.baselines:
        for variant, fitted in _fit(router, train, dev, solutions, new_encoder, settings, seed):
            thresholds = lay_doubt_thresholds(fitted.doubts(dev), points)
            logger.info("%s (%s): %d operating points", router, variant, len(thresholds))
            policies.append(Policy(router, variant, fitted, thresholds))
    return policies


def _fit(
    router: str,
    train: Evidence,
    dev: Evidence,
    solutions: Floats,
    new_encoder: Callable[[], Encoder],
    settings: QueryRouters,
    seed: str,
) -> Iterator[tuple[str, QueryRouter]]:
    """Yield the variants of one baseline."""
    match router:
        case "bert":
            yield "default", fit_bert(train, dev, new_encoder(), settings.tuning, seed)
        case "mf":
            yield "default", fit_mf(train, dev, seed)
        case "sw":
            yield "default", fit_sw(train)
        case "smoothie":
            yield "default", fit_smoothie(train, solutions, settings.neighbours)
        case "automix":
            yield "default", fit_automix(train, "agreement", settings.bins)
        case "automix-prm":
            yield "default", fit_automix(train, "product", settings.bins)
        case "frugal":
            yield "default", fit_frugal(train)
        case "hybrid-llm":
            classifier = fit_hybrid_llm(train, dev, new_encoder(), settings.tuning, seed)
            yield from ((variant, HybridLLM(classifier, variant)) for variant in VARIANTS)
        case "best-route":
            yield "default", fit_best_route(train, dev, settings.samples + 1, new_encoder(), settings.tuning, seed)
