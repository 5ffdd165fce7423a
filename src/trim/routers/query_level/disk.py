"""Fitted query-level baselines on disk: one folder for all that were fitted to one dataset.

`policies.json` says which there are and where their thresholds lie, `policies.safetensors` holds their
arrays, and below `classifiers` stands a Hugging Face folder for each fine-tuned encoder, or the heads on a frozen one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from trim.arrays import Floats
from trim.errors import InputError
from trim.files import read_json, read_tensors, write_json, write_tensors
from trim.routers.query_level.described import ExpectedTokens
from trim.routers.query_level.evidence import QueryRouter
from trim.routers.query_level.heads import load_classifier
from trim.routers.query_level.per_token import PerToken
from trim.routers.query_level.registry import baseline

DESCRIPTION, ARRAYS, CLASSIFIERS = "policies.json", "policies.safetensors", "classifiers"
WEIGHED = "per_token."
"""Before the names of what weighs a baseline per token."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A fitted baseline and its operating points."""

    router: str
    variant: str
    fitted: QueryRouter
    thresholds: Sequence[float]


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Where embeddings are compared: each coordinate standardised; both of shape (width,)."""

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, vectors: Floats) -> Space:
        """Measure some vectors, shape (n, width)."""
        return cls(vectors.mean(axis=0), np.maximum(vectors.std(axis=0), 1e-9))

    def standardise(self, vectors: Floats) -> Floats:
        """Map vectors of shape (n, width)."""
        return np.asarray((vectors - self.mean) / self.scale)


def save_policies(folder: Path, policies: Sequence[Policy], space: Space, origin: Mapping[str, Any]) -> None:
    """Write all baselines that were fitted to a dataset, and the space of the embeddings they read."""
    arrays = {"space.mean": space.mean, "space.scale": space.scale}
    described = []
    for policy in policies:
        settings = {}
        for name, value in _parts(policy.fitted):
            if isinstance(value, np.ndarray):
                arrays[f"{policy.router}.{policy.variant}.{name}"] = value
            elif name == "classifier":
                value.save(folder / CLASSIFIERS / policy.router)
            else:
                settings[name] = value
        described.append(
            {
                "router": policy.router,
                "variant": policy.variant,
                "settings": settings,
                "thresholds": list(policy.thresholds),
            }
        )
    write_tensors(arrays, folder / ARRAYS)
    write_json({"policies": described, "provenance": dict(origin)}, folder / DESCRIPTION)


def _parts(fitted: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a baseline; beside those of one that is weighed per token, what weighs it."""
    if isinstance(fitted, PerToken):
        yield from _parts(fitted.base)
        yield f"{WEIGHED}calibration", fitted.calibration
        fitted, prefix = fitted.tokens, WEIGHED
    yield from ((f"{prefix}{field.name}", getattr(fitted, field.name)) for field in fields(fitted))


def load_policies(folder: Path, device: str = "cpu") -> tuple[list[Policy], Space]:
    """Read what `save_policies` wrote.

    Raises
    ------
    InputError
        When the folder holds something else.
    """
    try:
        described = read_json(folder / DESCRIPTION, whole=folder)["policies"]
        arrays = read_tensors(folder / ARRAYS, whole=folder)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("a weight is no finite number")
        policies = [_load(folder, item, arrays, device) for item in described]
        return policies, Space(arrays["space.mean"], arrays["space.scale"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: not a folder of query-level routers ({error}); delete it and run again") from None


def _load(folder: Path, item: Mapping[str, Any], arrays: Mapping[str, Floats], device: str) -> Policy:
    router, variant, parts = item["router"], item["variant"], dict(item["settings"])
    prefix = f"{router}.{variant}."
    parts |= {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    if (folder / CLASSIFIERS / router).is_dir():
        parts["classifier"] = load_classifier(folder / CLASSIFIERS / router, device)
    weighed = {name.removeprefix(WEIGHED): parts.pop(name) for name in list(parts) if name.startswith(WEIGHED)}
    fitted = baseline(router).kind(**parts)
    if weighed:
        fitted = PerToken(fitted, weighed.pop("calibration"), ExpectedTokens(**weighed))
    return Policy(router, variant, fitted, tuple(map(float, item["thresholds"])))
