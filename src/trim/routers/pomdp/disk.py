"""A solved POMDP on disk: one .npz for all kappas, with a header in JSON; an operating point is (file, kappa)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trim.errors import InputError
from trim.files import written_aside
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import ObservationModel
from trim.routers.pomdp.transition import TransitionModel

Array = NDArray[np.float64]

FORMAT = 1
FILE = "solved.npz"


@dataclass(frozen=True, slots=True, eq=False)
class SolvedPomdp:
    """What a policy needs to decide at any of its operating points.

    Attributes
    ----------
    kappas, costs
        Shape (L,); operating points, and the cost of a token at each, in units of the reward.
    values
        Shape (L, S + 1, N + 1); upper bounds of V.
    gap
        Shape (L, S + 1); their certified distance from the lower bounds.
    origin
        Where it comes from: whatever the caller wrote into the header.
    """

    model: PomdpModel
    kappas: Array
    costs: Array
    values: Array
    gap: Array
    origin: Mapping[str, Any]

    def at(self, kappa: float) -> tuple[PomdpModel, Array, float]:
        """Return model, values and cost of one operating point: the arguments of a policy.

        Raises
        ------
        InputError
            If the kappa is not among the solved ones.
        """
        found = np.flatnonzero(np.isclose(self.kappas, kappa, rtol=1e-9, atol=0))
        if not len(found):
            raise InputError(f"POMDP policy: kappa {kappa} was not solved; there are {self.kappas.tolist()}")
        return self.model, self.values[found[0]], float(self.costs[found[0]])


def save_solved(folder: Path, solved: SolvedPomdp) -> None:
    """Write a solved model into a folder."""
    model = solved.model
    header = {
        "format": FORMAT,
        "reward": model.reward,
        "strong_if_right": model.transition.strong_if_right,
        "strong_if_wrong": model.transition.strong_if_wrong,
        "origin": dict(solved.origin),
    }
    with written_aside(folder / FILE) as aside, aside.open("wb") as file:
        np.savez_compressed(
            file,
            header=np.array(json.dumps(header)),
            edges=model.observation.edges,
            draft=model.observation.draft,
            strong=model.observation.strong,
            weak_accuracy=model.transition.weak_accuracy,
            hazard=model.transition.hazard,
            tokens=model.transition.tokens,
            token_weights=model.transition.token_weights,
            kappas=solved.kappas,
            costs=solved.costs,
            values=solved.values,
            gap=solved.gap,
        )


def load_solved(folder: str | Path) -> SolvedPomdp:
    """Read a solved model from its folder.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of another format.
    """
    path = Path(folder) / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays["header"]))
        if header["format"] != FORMAT:
            raise InputError(f"{path}: format {header['format']} of a solved POMDP, but this version reads {FORMAT}")
        strong = {name: header[name] for name in ("strong_if_right", "strong_if_wrong")}
        names = ("weak_accuracy", "hazard", "tokens", "token_weights")
        model = PomdpModel(
            ObservationModel(*(arrays[name] for name in ("edges", "draft", "strong"))),
            TransitionModel(**{name: arrays[name] for name in names}, **strong),
            header["reward"],
        )
        points = {name: arrays[name] for name in ("kappas", "costs", "values", "gap")}
        return SolvedPomdp(model, **points, origin=header["origin"])
    except (OSError, KeyError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise InputError(f"{path}: not a solved POMDP ({error}); solve it again") from error
