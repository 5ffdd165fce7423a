"""Open the models of an experiment behind the step store; nothing is loaded before a step is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

from trim.config import LanguageModel, PretrainedModel, Sampling
from trim.models.batching import BatchBackend, BatchedStepModel, BatchedStepScorer, BatchLoop
from trim.rollout.engine import ModelPair
from trim.rollout.store import StepStore, StoredStepModel, StoredStepScorer


class LazyBackend:
    """A `BatchBackend` that is built when the first request arrives."""

    def __init__(self, build: Callable[[], BatchBackend], batch_size: int) -> None:
        self.batch_size = batch_size
        self._build = build
        self._backend: BatchBackend | None = None

    def _built(self) -> BatchBackend:
        if self._backend is None:
            self._backend = self._build()
        return self._backend

    def bucket(self, request: Any) -> Hashable:
        """Name the shape class of a request."""
        return self._built().bucket(request)

    def run(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests of one bucket."""
        return self._built().run(requests)


def open_pair(
    weak: LanguageModel,
    strong: LanguageModel,
    folders: dict[str, Path],
    sampling: Sampling,
    store: StepStore,
    batch_size: int,
    device: str = "cpu",
) -> ModelPair:
    """Open weak model, strong model and PRM, each behind the store.

    Parameters
    ----------
    folders
        Folders of `weak`, `strong` and `prm`, where this pipeline trained them.
    """
    loop = BatchLoop()

    def language_model(role: str, spec: LanguageModel) -> StoredStepModel:
        name, revision = (spec.name, spec.revision) if isinstance(spec, PretrainedModel) else (str(folders[role]), None)
        identity = identify(name, revision, batch_size, device, sampling=sampling.model_dump(mode="json"))

        def build() -> BatchBackend:
            from trim.models.transformers_backend import StepGenerator, load_model

            loaded = load_model(name, revision=revision, device=device, offline=Path(name).is_dir())
            return StepGenerator(*loaded, identity, sampling, batch_size=batch_size)

        return StoredStepModel(BatchedStepModel(LazyBackend(build, batch_size), identity, loop), store)

    return ModelPair(
        language_model("weak", weak),
        language_model("strong", strong),
        open_scorer(folders["prm"], store, batch_size, loop, device) if "prm" in folders else None,
    )


def open_scorer(
    folder: Path, store: StepStore, batch_size: int, loop: BatchLoop, device: str = "cpu"
) -> StoredStepScorer:
    """Open a PRM behind the store."""

    def build() -> BatchBackend:
        from trim.models.prm import load_judge

        return load_judge(folder, device=device, batch_size=batch_size)

    identity = identify(str(folder), None, batch_size, device, role="prm")
    return StoredStepScorer(BatchedStepScorer(LazyBackend(build, batch_size), identity, loop), store)


# Raised when a change in this library changes the steps or scores that a model gives.
BACKEND_VERSION = 1
FINGERPRINTED = ("*.safetensors", "*.bin", "*.model", "*.json", "*.jinja")


def identify(name: str, revision: str | None, batch_size: int, device: str, **more: Any) -> str:
    """Say all that a stored step or score depends on, but the prefix and the replicate."""
    facts = {"model": fingerprint_model(name, revision), "rows": batch_size, "device": device}
    return json.dumps({**facts, "backend": f"transformers/{BACKEND_VERSION}", **more}, sort_keys=True)


def fingerprint_model(name: str, revision: str | None) -> str:
    """Identify a model by the content of its folder, or by its hub name and revision."""
    folder = Path(name)
    if not folder.is_dir():
        return f"{name}@{revision or 'main'}"
    digest = hashlib.sha256()
    for path in sorted({path for pattern in FINGERPRINTED for path in folder.glob(pattern)}):
        if path.name != "metrics.json":  # says how it was made, not what it is
            with path.open("rb") as file:
                digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
