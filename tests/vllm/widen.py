"""Write a tiny Qwen2 model in another layout that computes the same function.

vLLM's attention on CPUs has kernels for head sizes of 32, 64 and more, and vLLM takes a
head to be hidden size / heads; the heads of the embedded models have 16 and 24. Every
head is padded with zeros, and what depends on a size is scaled so that nothing changes:

* attention divides by the root of the head size: the query is multiplied by what is gained;
* RMSNorm divides by the root mean square over the hidden size: its weight and its epsilon
  shrink in proportion;
* rotary embedding turns pair i by theta^(-2i / head size): theta grows to the power of
  new size / old size, so that the first pairs turn as before, and the others hold zeros.
"""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def widen_heads(source: Path, target: Path, head_size: int = 32) -> None:
    """Copy a model folder (language model, or PRM classifier) with heads of another size."""
    shutil.copytree(source, target)
    config = json.loads((source / "config.json").read_text())
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    assert config["num_key_value_heads"] == heads
    old, new = hidden // heads, heads * head_size
    wide = {name: _widened(name, tensor, hidden, old, new, head_size) for name, tensor in _weights(source).items()}
    save_file(
        {name: tensor.contiguous() for name, tensor in wide.items()}, target / "model.safetensors", {"format": "pt"}
    )
    config["hidden_size"] = new
    config["rms_norm_eps"] *= hidden / new
    config["rope_parameters"]["rope_theta"] **= head_size / old
    (target / "config.json").write_text(json.dumps(config, indent=1))


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def _widened(name: str, tensor: torch.Tensor, hidden: int, old: int, new: int, size: int) -> torch.Tensor:
    kind = name.rsplit(".", 2)[-2]
    if kind.endswith("norm"):
        return _pad(tensor, 0, new) * math.sqrt(hidden / new)
    if kind in ("q_proj", "k_proj", "v_proj"):
        tensor = _pad_heads(tensor, 0, old, size)
        if kind == "q_proj":
            tensor = tensor * math.sqrt(size / old)
    if kind == "o_proj":
        tensor = _pad_heads(tensor, 1, old, size)
    reads_hidden = tensor.ndim == 2 and tensor.shape[1] == hidden and kind != "down_proj" and kind != "o_proj"
    if reads_hidden:
        tensor = _pad(tensor, 1, new)
    writes_hidden = kind in ("o_proj", "down_proj") or name.startswith("score.0.")
    return _pad(tensor, 0, new) if writes_hidden else tensor


def _pad(tensor: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    shape = list(tensor.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([tensor, tensor.new_zeros(shape)], dim)


def _pad_heads(tensor: torch.Tensor, dim: int, old: int, size: int) -> torch.Tensor:
    """Pad both halves of each head: the rotary embedding pairs the first half with the second."""
    halves = [_pad(half, dim, size // 2) for half in tensor.split(old // 2, dim)]
    return torch.cat(halves, dim)
