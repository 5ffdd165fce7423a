"""The parameters that the authors released, as a model of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import ObservationModel, floored
from trim.routers.pomdp.transition import TransitionModel

TOKENS = 60.0
"""Tokens that the official code takes every step to have."""


REWARD = 100.0


PUBLISHED_FLOOR = 1e-9
"""Floor of the released likelihoods: some are zero."""


def published_model(folder: str | Path, alphabet: Literal["pairs", "scores"] = "pairs") -> PomdpModel:
    """Build the model of the released parameters (Qwen2.5-1.5B and 7B on MATH), its hazard put right.

    Parameters
    ----------
    folder
        `data/published`.
    alphabet
        `pairs` of lowest score before and score, as released; or `scores`, their marginal, for a filter.
    """
    import pandas as pd

    table = pd.read_csv(Path(folder) / "pomdp_observation.csv")
    hazard = pd.read_csv(Path(folder) / "pomdp_hazard.csv")["hazard"].to_numpy(dtype=float)
    accuracy = pd.read_csv(Path(folder) / "pomdp_accuracy.csv", index_col="role")["step_accuracy"]
    if alphabet == "scores":
        table = table.groupby("score", as_index=False)[["s0", "s1", "s2"]].sum()
    draft = floored(table[["s0", "s1", "s2"]].to_numpy(dtype=float), PUBLISHED_FLOOR)
    edges = np.linspace(0, 1, table["score"].nunique() + 1)
    strong = float(accuracy["strong"])
    return PomdpModel(
        ObservationModel(edges, draft, strong=np.ones((1, 3))),
        TransitionModel(
            np.full(len(hazard), accuracy["weak"]), strong, strong, hazard, np.array([TOKENS]), np.array([1.0])
        ),
        REWARD,
    )
