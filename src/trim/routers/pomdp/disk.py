"""A solved POMDP on disk: one .npz for all kappas, with a header in JSON; an operating point is (file, kappa)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trim.arrays import Floats
from trim.errors import InputError
from trim.files import read_arrays, write_arrays
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import ObservationModel
from trim.routers.pomdp.transition import TransitionModel

FORMAT = 1
FILE = "solved.npz"
POINTS = ("kappas", "costs", "values", "gap")


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
    kappas: Floats
    costs: Floats
    values: Floats
    gap: Floats
    origin: Mapping[str, Any]

    def at(self, kappa: float) -> tuple[PomdpModel, Floats, float]:
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

    def promises(self) -> list[dict[str, Any]]:
        """Return what the model expects, in right answers: of both models alone, and J of its policy at every kappa.

        What it expects of a policy is the upper bound, which lies above the lower one by no more than `gap`.
        """
        reward, transition = self.model.reward, self.model.transition
        (weak, _), (strong, tokens) = transition.alone(strong=False), transition.alone(strong=True)
        alone = {"weak-only accuracy": weak, "strong-only accuracy": strong, "strong-only tokens": tokens}
        rows: list[dict[str, Any]] = [{"quantity": name, "modelled": value} for name, value in alone.items()]
        points = zip(self.kappas.tolist(), self.costs.tolist(), self.values[:, 0, -1].tolist(), strict=True)
        return rows + [
            {"quantity": "J", "kappa": kappa, "cost": cost / reward, "modelled": value / reward}
            for kappa, cost, value in points
        ]


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
    arrays = {
        "header": np.array(json.dumps(header)),
        **{name: getattr(model.observation, name) for name in ("edges", "draft", "strong")},
        **{name: getattr(model.transition, name) for name in ("weak_accuracy", "hazard", "tokens", "token_weights")},
        **{name: getattr(solved, name) for name in POINTS},
    }
    write_arrays(arrays, folder / FILE)


def load_solved(folder: str | Path) -> SolvedPomdp:
    """Read a solved model from its folder.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of another format.
    """
    path = Path(folder) / FILE
    arrays: dict[str, Any] = read_arrays(path, whole=path.parent)
    try:
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
        points = {name: arrays[name] for name in POINTS}
        _check_points(**points, max_steps=model.max_steps)
        return SolvedPomdp(model, **points, origin=header["origin"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a solved POMDP ({error}); delete {path.parent} and run again") from None


def _check_points(kappas: Floats, costs: Floats, values: Floats, gap: Floats, max_steps: int) -> None:
    count = len(kappas)
    shapes = (count,), (count,), (count, max_steps + 1, values.shape[-1]), (count, max_steps + 1)
    for name, array, shape in zip(POINTS, (kappas, costs, values, gap), shapes, strict=True):
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{name} has shape {array.shape}, expected finite numbers of shape {shape}")
