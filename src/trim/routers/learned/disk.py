"""Trained policies on disk: safetensors and JSON, which a fresh process loads without running anything they hold.

A folder holds all policies of one training run. `policy.json` says what they see and which
network decides at which kappa; `policy.safetensors` holds the networks, the tensors of the
i-th under names that begin with "i.".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from trim.arrays import Singles
from trim.config.section import Section
from trim.errors import InputError
from trim.files import read_json, read_tensors, write_json, write_tensors
from trim.rollout.history import Observed
from trim.routers.learned.agg import AggPolicy, Layer
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder

if TYPE_CHECKING:
    from trim.routers.learned.seq import SeqPolicy

Tensors = Mapping[str, Singles]

DESCRIPTION, WEIGHTS = "policy.json", "policy.safetensors"

Size = Annotated[int, Field(ge=1, le=1 << 14)]


class _Scale(Section, strict=True):
    mean: dict[str, float]
    deviation: dict[str, Annotated[float, Field(gt=0)]]


class _Encoder(Section, strict=True):
    scale: _Scale
    conditioned: bool
    features: list[str]
    max_steps: Size | None = None

    def built(self) -> AggregateEncoder | SequenceEncoder:
        """Return the encoder of TRIM-Seq where it has a number of steps, else that of TRIM-Agg."""
        for name in self.features:
            if name.startswith("_") or not hasattr(Observed, name):
                raise ValueError(f"there is no feature {name!r}")
        scale = Scale(self.scale.mean, self.scale.deviation)
        if self.max_steps is None:
            return AggregateEncoder(scale, self.conditioned, tuple(self.features))
        return SequenceEncoder(scale, self.conditioned, self.max_steps, tuple(self.features))


class _AggShape(Section, strict=True):
    activation: Literal["tanh", "relu"]


class _SeqShape(Section, strict=True):
    width: Size
    layers: Annotated[int, Field(ge=1, le=100)]
    heads: Size


class _Point(Section, strict=True):
    kappa: Annotated[float, Field(gt=0)]
    network: Annotated[int, Field(ge=0)]


class _Description(Section, strict=True):
    """What stands in `policy.json`."""

    router: Literal["trim-agg", "trim-seq"]
    encoder: _Encoder
    shape: _AggShape | _SeqShape
    points: list[_Point]
    provenance: dict[str, Any]


def save_policies(
    folder: Path,
    router: str,
    encoder: AggregateEncoder | SequenceEncoder,
    shape: Mapping[str, Any],
    networks: Sequence[Tensors],
    points: Sequence[tuple[float, int]],
    origin: Mapping[str, Any],
) -> None:
    """Write the policies of a training run.

    Parameters
    ----------
    shape
        What the networks are built with, beside their tensors.
    points
        (kappa, index of the network that decides there), one for each operating point.
    """
    description = {
        "router": router,
        "encoder": asdict(encoder),
        "shape": dict(shape),
        "points": [{"kappa": kappa, "network": network} for kappa, network in points],
        "provenance": dict(origin),
    }
    write_json(description, folder / DESCRIPTION)
    write_tensors(
        {f"{i}.{name}": v for i, network in enumerate(networks) for name, v in network.items()}, folder / WEIGHTS
    )


def load_policies(folder: Path) -> list[AggPolicy | SeqPolicy]:
    """Load the policies of a training run, one for each operating point.

    Raises
    ------
    InputError
        When the folder does not hold what `save_policies` writes.
    """
    try:
        description = _Description.model_validate(read_json(folder / DESCRIPTION, whole=folder))
        tensors = read_tensors(folder / WEIGHTS, whole=folder)
        encoder, shape = description.encoder.built(), description.shape.model_dump()
        points = [(point.kappa, point.network) for point in description.points]
        networks = {network: _with_prefix(tensors, f"{network}.") for _, network in points}
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError("a weight is no finite number")
        build = build_agg if description.router == "trim-agg" else build_seq
        return [build(encoder, shape, networks[network], kappa) for kappa, network in points]
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder}: not a folder of trained policies ({error}); delete it and run again") from None


def build_agg(encoder: Any, shape: Mapping[str, Any], network: Tensors, kappa: float) -> AggPolicy:
    """Build a policy of TRIM-Agg from tensors named layer.part."""
    count = 1 + max(int(name.partition(".")[0]) for name in network)
    layers = tuple(Layer(**_with_prefix(network, f"{i}.")) for i in range(count))
    sizes = [encoder.size, *(len(layer.weight) for layer in layers)]
    for i, layer in enumerate(layers):
        rest = [part.shape for part in (layer.bias, layer.gain, layer.shift) if part is not None]
        if layer.weight.shape != (sizes[i + 1], sizes[i]) or set(rest) != {(sizes[i + 1],)} or sizes[-1] != 2:
            raise ValueError(f"layer {i} has weights of shape {layer.weight.shape}, which do not fit the others")
    return AggPolicy(encoder, layers, shape["activation"], kappa)


def build_seq(encoder: Any, shape: Mapping[str, Any], network: Tensors, kappa: float) -> SeqPolicy:
    """Build a policy of TRIM-Seq from the tensors of its modules."""
    import torch
    from torch import nn

    from trim.routers.learned.seq import SeqPolicy, SequenceNetwork

    known = network["network.positions"].shape, len(_with_prefix(network, "network.blocks."))
    if known[0] != (encoder.max_steps, shape["width"]) or known[1] % shape["layers"]:
        raise ValueError(f"the weights are not those of {shape}, {encoder.max_steps} steps")
    reader = SequenceNetwork(len(encoder.features), encoder.max_steps, **shape)
    actor = nn.Linear(shape["width"], 2)
    for name, module in (("network", reader), ("actor", actor)):
        state = {key: torch.from_numpy(value.copy()) for key, value in _with_prefix(network, f"{name}.").items()}
        module.load_state_dict(state)
        module.eval()
    return SeqPolicy(encoder, reader, actor, kappa)


def _with_prefix(tensors: Tensors, prefix: str) -> dict[str, Singles]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
