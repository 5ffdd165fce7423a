"""Small Qwen2 models as weights and shape alone, to read and write with.

Most jobs of the embedded experiment compute for seconds; importing the model classes of transformers takes as long.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn.functional import linear

LARGEST = 10_000_000
"""Parameters of a model that counts as small; its weights may be held a second time."""
WEIGHTS_FILE, CONFIG_FILE, GENERATION_FILE = "model.safetensors", "config.json", "generation_config.json"
BODY, HEAD = "model.", "lm_head.weight"


def is_plain(config: Any) -> bool:
    """Tell whether a model is a Qwen2 whose layers attend to all tokens, with plain rotary embeddings."""
    attends_to_all = set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
    rotary = getattr(config, "rope_parameters", None) or {}
    return bool(config.model_type == "qwen2" and attends_to_all and rotary.get("rope_type") == "default")


@dataclass(frozen=True, slots=True)
class SmallModel:
    """What readers and writers ask of a model of transformers, without one.

    Attributes
    ----------
    config, generation_config
        The fields of the folder's files.
    weights
        Of the body, under the names that they have in it.
    head
        Matrix that makes logits of hidden states, shape (vocabulary, hidden size).
    """

    config: Any
    generation_config: Any
    weights: dict[str, torch.Tensor]
    head: torch.Tensor
    device = torch.device("cpu")
    dtype = torch.float32

    @classmethod
    def find(cls, folder: Path, *, head: bool = True) -> SmallModel | None:
        """Load the model of a folder, if it holds a small one in single precision; without a head it only reads."""
        from safetensors.torch import load_file

        file = folder / WEIGHTS_FILE
        if not file.is_file() or file.stat().st_size > 4 * LARGEST + 1_000_000:
            return None
        config, generation = _fields(folder / CONFIG_FILE), _fields(folder / GENERATION_FILE)
        # Where a folder says less than it should, transformers knows what to take in its place.
        said = hasattr(config, "model_type") and (hasattr(generation, "eos_token_id") or not head)
        if not said or not is_plain(config):
            return None
        held = load_file(file)
        weights = {name.removeprefix(BODY): tensor for name, tensor in held.items() if name.startswith(BODY)}
        if {tensor.dtype for tensor in weights.values()} != {torch.float32}:
            return None
        return cls(config, generation, weights, held.get(HEAD, weights["embed_tokens.weight"]))

    def eval(self) -> SmallModel:
        """Return the model, which is never trained."""
        return self

    def get_output_embeddings(self) -> Any:
        """Return what makes logits of hidden states."""
        return partial(linear, weight=self.head)


def _fields(file: Path) -> SimpleNamespace:
    return SimpleNamespace(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else SimpleNamespace()
