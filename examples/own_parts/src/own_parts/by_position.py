"""A router that is fitted: regenerate a draft that scores among the worst of its position.

TRIM-Thr holds every draft against the same threshold. This router has a threshold for each position in a solution, so
that the same share of the weak model's drafts is regenerated everywhere. It is no better; it is short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from trim.arrays import Booleans
from trim.config.section import Section, Share
from trim.files import read_json, write_json
from trim.names import Look, Name
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.rollout.tables import OperatingPoint
from trim.routers.router import StepRouter, TrainingData
from trim.routers.threshold import weak_only_nodes

NAMES = (Name("by-position", "default", "control", Look("by position", 6, "o", "-")),)
FILE = "thresholds.json"


class Settings(Section):
    """What may stand in the config under `routers.others.by-position`: unknown keys are errors, before any job."""

    shares: tuple[Share, ...] = Field((0.1, 0.2, 0.4), description="shares of the drafts to regenerate, a point each")


ROUTER = StepRouter("by-position", room="own_parts.by_position", settings=Settings)


@dataclass(frozen=True, slots=True)
class ByPosition(WantsEveryDraft):
    """Decides on n drafts at once, each the last step of a history; further on than any training draft, as at the last.

    Attributes
    ----------
    thresholds
        By position.
    """

    thresholds: tuple[float, ...]
    reads = Reads.DRAFT

    def decide(self, observed: Observed) -> Booleans:
        """Return True where the strong model is to write the step, shape (n,)."""
        positions = np.minimum(observed.position, len(self.thresholds) - 1)
        return np.asarray(observed.score < np.array(self.thresholds)[positions])


@dataclass(frozen=True, slots=True)
class Fitted:
    """Thresholds by position, for each share: all that is kept on disk."""

    thresholds: Mapping[float, tuple[float, ...]]

    def points(self) -> list[OperatingPoint]:
        """Return one operating point a share."""
        return [
            OperatingPoint("by-position", "default", share, ByPosition(values))
            for share, values in self.thresholds.items()
        ]

    def save(self, folder: Path, origin: Mapping[str, Any]) -> None:
        """Write the thresholds, and where they come from."""
        write_json({"thresholds": list(self.thresholds.items()), "provenance": dict(origin)}, folder / FILE)


def fit(router: str, variant: str, data: TrainingData, seed: int) -> Fitted:
    """Read the scores of the weak model's own drafts off the training trees, and take quantiles at each position."""
    settings = Settings.model_validate(data.settings.others[router])
    drafts = data.trees.drafts(weak_only_nodes(data.trees))
    scores = [drafts.score[drafts.position == position] for position in range(drafts.position.max() + 1)]
    return Fitted({share: tuple(float(np.quantile(part, share)) for part in scores) for share in settings.shares})


def load(router: str, folder: Path) -> list[OperatingPoint]:
    """Return the operating points of what `Fitted.save` wrote."""
    return Fitted({share: tuple(values) for share, values in read_json(folder / FILE)["thresholds"]}).points()
