"""The forward pass of a small Qwen2 model in few operations: there, calling one costs more than what it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import embedding, linear, rms_norm, silu

from trim.models.reading import Cache
from trim.models.small import LARGEST, SmallModel, is_plain


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of a layer: those that multiply the same input are one matrix."""

    attention_norm: torch.Tensor
    query_key_value: torch.Tensor
    bias: torch.Tensor
    output: torch.Tensor
    mlp_norm: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor], number: int) -> _Layer:
        """Take the weights of a layer, under the names that transformers gives them."""

        def named(*names: str) -> torch.Tensor:
            found = [weights[f"layers.{number}.{name}"] for name in names]
            return torch.cat(found) if len(found) > 1 else found[0]

        projections = "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"
        return cls(
            named("input_layernorm.weight"),
            named(*(f"{projection}.weight" for projection in projections)),
            named(*(f"{projection}.bias" for projection in projections)),
            named("self_attn.o_proj.weight"),
            named("post_attention_layernorm.weight"),
            named("mlp.gate_proj.weight", "mlp.up_proj.weight"),
            named("mlp.down_proj.weight"),
        )


class FusedQwen2:
    """Computes what the base model of transformers does, but for rounding, with the weights that it has now."""

    def __init__(self, model: Any) -> None:
        config = model.config
        weights = model.weights if isinstance(model, SmallModel) else model.base_model.state_dict()
        self._heads, self._key_heads = config.num_attention_heads, config.num_key_value_heads
        self._size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._epsilon: float = config.rms_norm_eps
        self._embedding, self._norm = weights["embed_tokens.weight"], weights["norm.weight"]
        self._layers = [_Layer.of(weights, number) for number in range(config.num_hidden_layers)]
        turns = 1.0 / config.rope_parameters["rope_theta"] ** (torch.arange(0, self._size, 2).float() / self._size)
        angles = torch.arange(config.max_position_embeddings).float()[:, None] * turns
        # Of two halves (a, b), rotating gives (a cos - b sin, b cos + a sin): the sign stands in the table.
        self._cosine = torch.cat([angles, angles], -1).cos()
        self._sine = torch.cat([-angles.sin(), angles.sin()], -1)

    @staticmethod
    def fits(model: Any) -> bool:
        """Tell whether a model is of this kind."""
        if isinstance(model, SmallModel):
            return True
        if not is_plain(model.config) or (model.device.type, model.dtype) != ("cpu", torch.float32):
            return False
        return bool(sum(weight.numel() for weight in model.base_model.parameters()) <= LARGEST)

    def __call__(self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Return the last hidden states of tokens, shape (rows, width, size).

        Parameters
        ----------
        ids, positions
            Shape (rows, width).
        mask
            What is added to the attention of each token to each slot of the cache, shape (rows, width, slots).
        """
        rows, width = ids.shape
        parts = self._heads + 2 * self._key_heads
        group = self._heads // self._key_heads
        hidden = embedding(ids, self._embedding).view(rows * width, -1)
        cosine, sine = self._cosine[positions][:, None], self._sine[positions][:, None]
        mask = mask[:, None].repeat(1, 1, group, 1)
        for number, layer in enumerate(self._layers):
            normed = rms_norm(hidden, hidden.shape[1:], layer.attention_norm, self._epsilon)
            made = (
                linear(normed, layer.query_key_value, layer.bias).view(rows, width, parts, self._size).transpose(1, 2)
            )
            turning, values = made.split([self._heads + self._key_heads, self._key_heads], 1)
            turned = turning * cosine + turning.roll(self._size // 2, -1) * sine
            queries, keys = turned.split([self._heads, self._key_heads], 1)
            keys, values = cache.update(keys, values, number)
            # Query heads that share a key head stand behind one another, as if they were more tokens.
            grouped = queries.reshape(rows, self._key_heads, group * width, self._size) * self._size**-0.5
            weights = (grouped @ keys.transpose(2, 3) + mask).softmax(-1)
            attended = (weights @ values).view(rows, self._heads, width, self._size).transpose(1, 2)
            hidden = hidden + linear(attended.reshape(rows * width, -1), layer.output)
            normed = rms_norm(hidden, hidden.shape[1:], layer.mlp_norm, self._epsilon)
            gate, up = linear(normed, layer.gate_up).chunk(2, -1)
            hidden = hidden + linear(silu(gate) * up, layer.down)
        return rms_norm(hidden, hidden.shape[1:], self._norm, self._epsilon).view(rows, width, -1)
