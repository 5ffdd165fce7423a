"""Trained policies on disk: safetensors and JSON, which a fresh process loads without running anything they hold.

A folder holds all policies of one training run. `policy.json` says what they see and which
network decides at which kappa; `policy.safetensors` holds the networks, the tensors of the
i-th under names that begin with "i.".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from trim.errors import InputError
from trim.routers.learned.agg import AggPolicy, Layer
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder

if TYPE_CHECKING:
    from trim.routers.learned.seq import SeqPolicy

Tensors = Mapping[str, NDArray[np.float32]]

DESCRIPTION, WEIGHTS = "policy.json", "policy.safetensors"
ENCODERS = {"trim-agg": AggregateEncoder, "trim-seq": SequenceEncoder}


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
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "router": router,
        "encoder": asdict(encoder),
        "shape": dict(shape),
        "points": [{"kappa": kappa, "network": network} for kappa, network in points],
        "provenance": dict(origin),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    tensors = {f"{i}.{name}": np.ascontiguousarray(v) for i, net in enumerate(networks) for name, v in net.items()}
    save_file(tensors, folder / WEIGHTS)


def load_policies(folder: Path) -> list[AggPolicy | SeqPolicy]:
    """Load the policies of a training run, one for each operating point.

    Raises
    ------
    InputError
        When the folder does not hold what `save_policies` writes.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
        router, shape = description["router"], description["shape"]
        encoder = ENCODERS[router](**{**description["encoder"], "scale": Scale(**description["encoder"]["scale"])})
        points = [(float(point["kappa"]), int(point["network"])) for point in description["points"]]
        networks = {network: _with_prefix(tensors, f"{network}.") for _, network in points}
        build = build_agg if router == "trim-agg" else build_seq
        return [build(encoder, shape, networks[network], kappa) for kappa, network in points]
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: not a folder of trained policies ({error}); train them again") from error


def build_agg(encoder: Any, shape: Mapping[str, Any], network: Tensors, kappa: float) -> AggPolicy:
    """Build a policy of TRIM-Agg from tensors named layer.part."""
    count = 1 + max(int(name.partition(".")[0]) for name in network)
    layers = tuple(Layer(**_with_prefix(network, f"{i}.")) for i in range(count))
    return AggPolicy(encoder, layers, shape["activation"], kappa)


def build_seq(encoder: Any, shape: Mapping[str, Any], network: Tensors, kappa: float) -> SeqPolicy:
    """Build a policy of TRIM-Seq from the tensors of its modules."""
    import torch
    from torch import nn

    from trim.routers.learned.seq import SeqPolicy, SequenceNetwork

    reader = SequenceNetwork(len(encoder.features), encoder.max_steps, **shape)
    actor = nn.Linear(shape["width"], 2)
    for name, module in (("network", reader), ("actor", actor)):
        state = {key: torch.from_numpy(value.copy()) for key, value in _with_prefix(network, f"{name}.").items()}
        module.load_state_dict(state)
        module.eval()
    return SeqPolicy(encoder, reader, actor, kappa)


def _with_prefix(tensors: Tensors, prefix: str) -> dict[str, NDArray[np.float32]]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
