"""The fitted gains, as policies and on disk: `gains.json` says at which kappas, `gains.safetensors` holds numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trim.arrays import Booleans, Floats
from trim.errors import InputError
from trim.files import read_json, read_tensors, write_json, write_tensors
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.routers.fitted_q.features import Basis, describe

DESCRIPTION, NUMBERS = "gains.json", "gains.safetensors"
PARTS = tuple(Basis.__dataclass_fields__)

FITTED_AT = 24
"""Kappas at which gains are fitted; between them they are read off straight lines in log kappa."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedQPolicy(WantsEveryDraft):
    """Regenerate where it gains by the regression of one kappa.

    Attributes
    ----------
    weights
        Shape (M,); of the functions in the basis.
    """

    basis: Basis
    weights: Floats
    reads = Reads.HISTORY

    def decide(self, observed: Observed) -> Booleans:
        """Decide on n drafts: True where the strong model is to write the step, shape (n,)."""
        return np.asarray(self.basis.apply(describe(observed)) @ self.weights > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What regenerating gains over keeping, in right answers, at every kappa.

    Attributes
    ----------
    kappas
        Shape (K,), rising.
    weights
        Shape (M, K); of the functions in the basis.
    """

    basis: Basis
    kappas: Floats
    weights: Floats

    def policy(self, kappa: float) -> FittedQPolicy:
        """Return the policy of a kappa between the fitted ones."""
        place = float(np.interp(np.log(kappa), np.log(self.kappas), np.arange(len(self.kappas))))
        low = min(int(place), len(self.kappas) - 2)
        share = place - low
        return FittedQPolicy(self.basis, (1 - share) * self.weights[:, low] + share * self.weights[:, low + 1])


def save_gains(folder: Path, gains: Gains, kappas: Sequence[float], further: Mapping[str, Any]) -> None:
    """Write the gains, and at which kappas they are run."""
    basis = {name: getattr(gains.basis, name) for name in PARTS}
    write_json({"operating_points": list(kappas), **further}, folder / DESCRIPTION)
    write_tensors({**basis, "kappas": gains.kappas, "weights": gains.weights}, folder / NUMBERS)


def load_gains(folder: Path) -> tuple[Gains, list[float]]:
    """Read what `save_gains` wrote: the gains, and the kappas at which they are run.

    Raises
    ------
    InputError
        When the folder holds something else.
    """
    try:
        chosen = [float(kappa) for kappa in read_json(folder / DESCRIPTION, whole=folder)["operating_points"]]
        arrays = read_tensors(folder / NUMBERS, whole=folder)
        gains = Gains(Basis(*(arrays[name] for name in PARTS)), arrays["kappas"], arrays["weights"])
        _check(gains, chosen)
        return gains, chosen
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: not a folder of fitted gains ({error}); delete it and run again") from None


def _check(gains: Gains, chosen: Sequence[float]) -> None:
    basis, features = gains.basis, gains.basis.mean.shape
    hinges = basis.offsets.shape
    shapes = {
        "scale": (basis.scale, features),
        "directions": (basis.directions, (*features, *hinges)),
        "weights": (gains.weights, (basis.size, *gains.kappas.shape)),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{name} has shape {array.shape}, expected finite numbers of shape {shape}")
    if len(gains.kappas) < 2 or (np.diff(gains.kappas) <= 0).any() or min([*gains.kappas, *chosen]) <= 0:
        raise ValueError("kappas are not positive and rising")
