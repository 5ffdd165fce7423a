"""TRIM-Agg and TRIM-Seq as PPO sees them: the network to train, and the policy that is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from trim.arrays import Singles
from trim.rollout.history import Router
from trim.routers.learned.disk import build_agg, build_seq
from trim.routers.learned.features import AggregateEncoder, SequenceEncoder
from trim.routers.learned.seq import SequenceNetwork

Tensors = Mapping[str, Singles]


class Learner(Protocol):
    """A kind of network: how stable-baselines3 builds it, and how a policy is made of it."""

    @property
    def encoder(self) -> AggregateEncoder | SequenceEncoder:
        """What the network sees."""
        ...

    @property
    def shape(self) -> Mapping[str, Any]:
        """What the network is built with."""
        ...

    def policy_kwargs(self) -> dict[str, Any]:
        """Shape of the network, as stable-baselines3 takes it."""
        ...

    def tensors(self, policy: ActorCriticPolicy) -> Tensors:
        """Return what decides, without the critic."""
        ...

    def build(self, network: Tensors, kappa: float) -> Router:
        """Make the policy that decides with these tensors at one kappa."""
        ...


@dataclass(frozen=True, slots=True)
class AggLearner:
    """TRIM-Agg of the paper: two hidden layers with tanh, actor and critic apart."""

    encoder: AggregateEncoder
    hidden: tuple[int, ...]

    @property
    def shape(self) -> Mapping[str, Any]:
        """What the network is built with."""
        return {"activation": "tanh"}

    def policy_kwargs(self) -> dict[str, Any]:
        """Shape of the network, as stable-baselines3 takes it."""
        return {"net_arch": {"pi": list(self.hidden), "vf": list(self.hidden)}, "activation_fn": nn.Tanh}

    def tensors(self, policy: ActorCriticPolicy) -> Tensors:
        """Return the layers of the actor."""
        return _layers([*policy.mlp_extractor.policy_net, policy.action_net])

    def build(self, network: Tensors, kappa: float) -> Router:
        """Make the policy that decides with these tensors at one kappa."""
        return build_agg(self.encoder, self.shape, network, kappa)


class ReleasedTrunk(BaseFeaturesExtractor):
    """The layers that actor and critic share in the released code: two, each with layer norm and dropout."""

    def __init__(self, space: gymnasium.spaces.Box, width: int) -> None:
        super().__init__(space, width)
        sizes = int(space.shape[0]), width, width
        self.layers = nn.Sequential(
            *(
                module
                for inputs, outputs in zip(sizes, sizes[1:], strict=False)
                for module in (nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU(), nn.Dropout(0.1))
            )
        )

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Map (n, size) to (n, width)."""
        out: torch.Tensor = self.layers(observations)
        return out


@dataclass(frozen=True, slots=True)
class ReleasedAggLearner:
    """TRIM-Agg of the released code, which differs from the paper: shared trunk, layer norm, dropout."""

    encoder: AggregateEncoder
    width: int = 64

    @property
    def shape(self) -> Mapping[str, Any]:
        """What the network is built with."""
        return {"activation": "relu"}

    def policy_kwargs(self) -> dict[str, Any]:
        """Shape of the network, as stable-baselines3 takes it."""
        return {
            "features_extractor_class": ReleasedTrunk,
            "features_extractor_kwargs": {"width": self.width},
            "net_arch": {"pi": [self.width], "vf": [self.width]},
            "activation_fn": nn.ReLU,
        }

    def tensors(self, policy: ActorCriticPolicy) -> Tensors:
        """Return the layers of trunk and actor."""
        trunk = policy.features_extractor
        assert isinstance(trunk, ReleasedTrunk)
        return _layers([*trunk.layers, *policy.mlp_extractor.policy_net, policy.action_net])

    def build(self, network: Tensors, kappa: float) -> Router:
        """Make the policy that decides with these tensors at one kappa."""
        return build_agg(self.encoder, self.shape, network, kappa)


class SequenceExtractor(BaseFeaturesExtractor):
    """The transformer that actor and critic of TRIM-Seq share."""

    def __init__(self, space: gymnasium.spaces.Box, features: int, max_steps: int, shape: Mapping[str, int]) -> None:
        super().__init__(space, shape["width"])
        self.network = SequenceNetwork(features, max_steps, **shape)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Map (n, size) to (n, width)."""
        state: torch.Tensor = self.network(observations)
        return state


@dataclass(frozen=True, slots=True)
class SeqLearner:
    """TRIM-Seq: actor and critic read the transformer's state at the draft."""

    encoder: SequenceEncoder
    width: int
    layers: int
    heads: int

    @property
    def shape(self) -> Mapping[str, Any]:
        """What the network is built with."""
        return {"width": self.width, "layers": self.layers, "heads": self.heads}

    def policy_kwargs(self) -> dict[str, Any]:
        """Shape of the network, as stable-baselines3 takes it."""
        return {
            "features_extractor_class": SequenceExtractor,
            "features_extractor_kwargs": {
                "features": len(self.encoder.features),
                "max_steps": self.encoder.max_steps,
                "shape": self.shape,
            },
            "net_arch": [],
        }

    def tensors(self, policy: ActorCriticPolicy) -> Tensors:
        """Return transformer and actor."""
        extractor = policy.features_extractor
        assert isinstance(extractor, SequenceExtractor)
        modules = {"network": extractor.network, "actor": policy.action_net}
        return {f"{name}.{key}": value for name, module in modules.items() for key, value in _arrays(module).items()}

    def build(self, network: Tensors, kappa: float) -> Router:
        """Make the policy that decides with these tensors at one kappa."""
        return build_seq(self.encoder, self.shape, network, kappa)


def _layers(modules: list[nn.Module]) -> Tensors:
    """Name the tensors of linear layers, and of the layer norms behind them, layer.part."""
    tensors: dict[str, Singles] = {}
    layer = -1
    for module in modules:
        if isinstance(module, nn.Linear):
            layer += 1
        parts = {"weight": "gain", "bias": "shift"} if isinstance(module, nn.LayerNorm) else {}
        tensors |= {f"{layer}.{parts.get(name, name)}": value for name, value in _arrays(module).items()}
    return tensors


def _arrays(module: nn.Module) -> dict[str, Singles]:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}
