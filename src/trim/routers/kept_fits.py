"""Fits that the step store keeps: of routers that are trained by gradients from a seed, on trees that are bounded.

There the store holds the steps that the routers' own decisions led to. Training magnifies the last bits, in which
processors differ: a policy that is trained again elsewhere decides otherwise here and there, and asks for steps that
nobody has. So a replay takes it from the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trim.files import USE_THREADS
from trim.routers.router import StepRouter

LOGS = "tensorboard"
"""Folder in a fit that only people read; it is not kept."""


def fit_facts(
    router: StepRouter, decisive: Mapping[str, Any], fit: tuple[str, str, int], seed: int, tables: Sequence[Path]
) -> dict[str, Any]:
    """Return all that decides a fit, as JSON has it.

    Parameters
    ----------
    decisive
        The settings that `StepRouter.decisive` names.
    fit
        Dataset, variant and training run.
    seed
        The experiment's.
    tables
        Parquet files of what it learns from: trees to train and to choose on; solutions with labels if it needs any.
    """
    import pandas as pd

    def content(path: Path) -> str:
        table = pd.read_parquet(path, use_threads=USE_THREADS)
        rows = pd.util.hash_pandas_object(table, index=False)  # not the file's metadata: versions, dates
        return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()

    trained_on, variant, run = fit
    return {
        "router": router.id,
        "version": router.version,
        "settings": dict(decisive),
        "trained_on": trained_on,
        "variant": variant,
        "run": run,
        "seed": seed,
        "tables": [content(path) for path in tables],
    }
