"""A deployed router on scripted models, for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trim.config.models import PretrainedModel
from trim.deploy.manifest import Deployed, FolderPRM, Manifest, Point
from trim.deploy.opening import Opened
from trim.errors import BackendError
from trim.models.protocols import ModelPair, Prefix, Score


def manifest(**changes: Any) -> Manifest:
    """A manifest of models that are never opened."""
    content: dict[str, Any] = {
        "weak": PretrainedModel(name="weak"),
        "strong": PretrainedModel(name="strong"),
        "prm": FolderPRM(name="prm"),
        "points": {"trim-thr-0.5": Point(router="trim-thr", setting=0.5)},
    }
    return Manifest(**(content | changes))


def opened(pair: ModelPair, folder: Path = Path(), **changes: Any) -> Opened:
    """A deployed router whose models are given."""
    return Opened(Deployed(manifest(**changes), folder), pair)


class BrokenScorer:
    """A PRM that answers some requests, and fails from then on."""

    identity = "broken"

    def __init__(self, scorer: Any, answers: int) -> None:
        self.scorer, self.left, self.asked = scorer, answers, 0

    async def score(self, prefix: Prefix, step: str) -> Score:
        self.asked += 1
        if self.left <= 0:
            raise BackendError("the PRM is down")
        self.left -= 1
        score: Score = await self.scorer.score(prefix, step)
        return score
