"""What a stored step or score depends on, but prefix and replicate: the names of the step store's partitions."""

from __future__ import annotations

import json
from typing import Any

from trim.config.models import ApiModel, GgufModel, PretrainedModel, Sampling, ServedModel, ServedPRM
from trim.models.fingerprint import fingerprint_model
from trim.models.gguf import CONVERTER_VERSION

# Raised when a change in this library changes the steps or scores that a model gives.
BACKEND_VERSION = 2
RAGGED_VERSION = 1
ANY_DEVICE = "cpu"
"""What stands for the device of a model whose steps the store defines: a GPU goes on where a CPU began."""
REMOTE_VERSION = 2


def identify(name: str, revision: str | None, batch_size: int, device: str, **more: Any) -> str:
    """Say all that a stored step or score depends on, but the prefix and the replicate."""
    return _identify(fingerprint_model(name, revision), batch_size, device, **more)


def _identify(model: str, batch_size: int, device: str, **more: Any) -> str:
    facts = {"model": model, "rows": batch_size, "device": device, "backend": f"transformers/{BACKEND_VERSION}"}
    return json.dumps({**facts, **more}, sort_keys=True)


def identify_local(spec: PretrainedModel | GgufModel, batch_size: int, device: str, sampling: Sampling) -> str:
    """Say all that a step of a language model in process depends on, but the prefix and the replicate."""
    more: dict[str, Any] = {"sampling": sampling.model_dump(mode="json")}
    if spec.system is not None:
        more["system"] = spec.system
    if spec.dtype != "float32":
        more["dtype"] = spec.dtype
    if is_ragged(spec):  # its steps depend on their whole company: the number of rows says too little
        more |= {"backend": f"ragged/{RAGGED_VERSION}", "rows": None}
        device = ANY_DEVICE
    return _identify(identify_weights(spec), batch_size, device, **more)


def identify_weights(spec: PretrainedModel | GgufModel) -> str:
    """Say what a model is, wherever it lies."""
    if isinstance(spec, GgufModel):
        return f"gguf/{CONVERTER_VERSION}:{spec.sha256}"
    return fingerprint_model(spec.name, spec.revision)


def identify_remote(spec: ServedModel | ServedPRM | ApiModel, **more: Any) -> str:
    """Say all that a step or score from behind HTTP depends on; versions of servers are noted beside what is stored."""
    facts = spec.model_dump(mode="json", exclude={"kind", "name", "revision", "golden"})
    model = spec.name if isinstance(spec, ApiModel) else fingerprint_model(spec.name, spec.revision)
    return json.dumps({**facts, "model": model, "backend": f"{spec.kind}/{REMOTE_VERSION}", **more}, sort_keys=True)


def is_ragged(spec: PretrainedModel | GgufModel) -> bool:
    """Tell whether the reader of real models runs a model."""
    return spec.dtype == "bfloat16"
