"""A deployed router on scripted models, for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trim.config.models import PretrainedModel, Sampling, ServedModel, ServedPRM
from trim.config.serving import Endpoint, Serving
from trim.deploy.manifest import Deployed, FolderPRM, Manifest, Point
from trim.deploy.opening import Opened
from trim.errors import BackendError
from trim.files import write_json
from trim.models.protocols import ModelPair, Prefix, Score
from trim.models.tiny import STEP_TAG


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


def on_endpoints(urls: dict[str, str], models: dict[str, Path], folder: Path, retry_for: float = 0.2) -> Deployed:
    """A deployed router before three endpoints; the PRM's has the tokenizer of the weak model, and no golden scores."""
    write_json({"solutions": []}, folder / "golden.json")
    weak, strong = (ServedModel(name=str(models[role]), max_model_len=1024) for role in ("weak", "strong"))
    prm = ServedPRM(name=weak.name, step_tag=STEP_TAG, keeps_separator=True, max_model_len=1024, golden="./golden.json")
    serving = Serving(endpoints={role: Endpoint(url=url) for role, url in urls.items()}, retry_for=retry_for)
    sections = {"weak": weak, "strong": strong, "prm": prm}
    return Deployed(manifest(**sections, serving=serving, sampling=Sampling(max_step_tokens=24)), folder)


class BrokenScorer:
    """A PRM that answers some requests, and fails from then on."""

    identity = "broken"

    def __init__(self, scorer: Any, answers: int, error: BackendError | None = None) -> None:
        self.scorer, self.left, self.asked = scorer, answers, 0
        self.error = error or BackendError("the PRM is down")

    async def score(self, prefix: Prefix, step: str) -> Score:
        self.asked += 1
        if self.left <= 0:
            raise self.error
        self.left -= 1
        score: Score = await self.scorer.score(prefix, step)
        return score
