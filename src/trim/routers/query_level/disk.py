"""Fitted query-level baselines on disk: one folder for all that were fitted to one dataset.

`policies.json` says which there are and where their thresholds lie, `policies.safetensors` holds their
arrays, and below `classifiers` stands a Hugging Face folder for each fine-tuned encoder, or the heads on a frozen one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from trim.errors import InputError
from trim.files import read_json, read_tensors, write_json, write_tensors
from trim.routers.query_level.evidence import Floats, QueryRouter
from trim.routers.query_level.heads import load_classifier
from trim.routers.query_level.registry import baseline

DESCRIPTION, ARRAYS, CLASSIFIERS = "policies.json", "policies.safetensors", "classifiers"


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
        for name, value in ((field.name, getattr(policy.fitted, field.name)) for field in fields(policy.fitted)):  # type: ignore[arg-type]  # all are
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
    return Policy(router, variant, baseline(router).kind(**parts), tuple(map(float, item["thresholds"])))
