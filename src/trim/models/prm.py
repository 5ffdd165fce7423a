"""Process reward models: the probability that a step is right given the text before it.

Three heads. `likelihood` reads how likely each token of the step is under the PRM's own
language-model head (minimum and mean log-probability) beside the hidden state at the
step's end; `classifier` is a plain token classifier at a step tag, in the layout of
Qwen2ForProcessRewardModel (Qwen2.5-Math-PRM-7B), which vLLM serves as it is; a token classifier
of transformers has one layer in its place (TRL's PRMTrainer).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from trim.config.models import PretrainedPRM, TokenClassifierPRM
from trim.errors import InputError
from trim.models.batching import WholeBatches
from trim.models.prompts import PrefixTokenizer, SeparatedTokenizer
from trim.models.protocols import Prefix, Score
from trim.models.tiny import STEP_TAG
from trim.models.transformers_backend import FixedShapeReader, load_model, load_to_read

HEAD_FILE = "prm_head.safetensors"
SHARD_INDEX = "model.safetensors.index.json"


class Head(Protocol):
    """Turns what a model knows at the end of steps into probabilities that they are right."""

    def judge(self, hidden: torch.Tensor, likelihood: torch.Tensor) -> torch.Tensor:
        """Return probabilities, shape (rows,), of hidden states (rows, hidden) and minimum and mean log-probability."""
        ...


class LikelihoodHead(nn.Module):
    """Logit that a step is right, from its end's hidden state and its tokens' log-probabilities."""

    def __init__(self, hidden_size: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(hidden_size + 2, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, hidden: torch.Tensor, minimum: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (rows,), of hidden states (rows, hidden) and log-probabilities (rows,)."""
        # Log-probabilities reach far below zero: the square root keeps a surprise from drowning all else.
        features = torch.stack([-(-minimum).clamp(min=0).sqrt(), -(-mean).clamp(min=0).sqrt()], -1)
        logits: torch.Tensor = self.layers(torch.cat([hidden, features], -1))
        return logits[:, 0]

    def judge(self, hidden: torch.Tensor, likelihood: torch.Tensor) -> torch.Tensor:
        """Return probabilities, shape (rows,)."""
        minimum, mean = likelihood.unbind(1)
        return torch.sigmoid(self(hidden, minimum, mean).double())


class ClassifierHead(nn.Module):
    """Two-class logits at a step tag, under the names that Qwen2ForProcessRewardModel gives its weights."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.score: nn.Module = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 2))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits (wrong, right), shape (rows, 2)."""
        logits: torch.Tensor = self.score(hidden)
        return logits

    def judge(self, hidden: torch.Tensor, likelihood: torch.Tensor) -> torch.Tensor:
        """Return probabilities, shape (rows,)."""
        return torch.softmax(self(hidden).double(), -1)[:, 1]


class TokenClassifierHead(ClassifierHead):
    """The same of one layer, under the names that token classifiers of transformers give its weights."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size)
        self.score = nn.Linear(hidden_size, 2)


class StepJudge(WholeBatches):
    """Scores steps; a `BatchBackend` whose requests are prefixes that end with the step to judge."""

    def __init__(self, reader: FixedShapeReader, head: Head) -> None:
        self.reader = reader
        self.head = head
        self.batch_size = reader.batch_size

    def bucket(self, request: Prefix) -> Hashable:
        """Group requests whose last block has the same shape."""
        return self.reader.bucket(request)

    @torch.inference_mode()
    def run(self, requests: Sequence[Prefix]) -> list[Score]:
        """Judge the last step of each prefix."""
        states = self.reader.read(requests)
        idle = self.batch_size - len(states)  # a fixed number of rows: scores must not depend on the batch
        hidden, likelihood = (
            torch.nn.functional.pad(torch.stack(parts).float(), (0, 0, 0, idle))
            for parts in ([state.hidden for state in states], [state.likelihood for state in states])
        )
        probabilities = self.head.judge(hidden, likelihood)[: len(states)].tolist()
        return [Score(p, state.length) for p, state in zip(probabilities, states, strict=True)]


def load_likelihood(folder: Path, device: str = "cpu", **reader: Any) -> StepJudge:
    """Load a PRM of kind `likelihood`; `reader` are options of `FixedShapeReader`."""
    from safetensors.torch import load_file

    model, tokenizer = load_to_read(folder, device=device)
    head = LikelihoodHead(model.config.hidden_size)
    head.load_state_dict(load_file(folder / HEAD_FILE))
    prompts = PrefixTokenizer(tokenizer)
    return StepJudge(FixedShapeReader(model, prompts, outputs="likelihood", **reader), head.to(device).eval())


def load_classifier(
    name: str | Path,
    *,
    revision: str | None = None,
    step_tag: str = STEP_TAG,
    system: str | None = None,
    keeps_separator: bool = True,
    device: str = "cpu",
    **reader: Any,
) -> StepJudge:
    """Load a PRM in the layout of Qwen2ForProcessRewardModel, from a folder or the hub."""
    model, tokenizer = load_to_read(name, revision=revision, device=device, offline=Path(name).is_dir(), head=False)
    head = _filled(ClassifierHead(model.config.hidden_size), str(name), revision)
    tag = tokenizer.convert_tokens_to_ids(step_tag)
    prompts = PrefixTokenizer(tokenizer, step_tag_id=tag, system=system, keeps_separator=keeps_separator)
    return StepJudge(FixedShapeReader(model, prompts, outputs="hidden", **reader), head.to(device).eval())


def load_given(spec: PretrainedPRM | TokenClassifierPRM, device: str = "cpu", **reader: Any) -> StepJudge:
    """Load a PRM that nobody trained here, from a folder or the hub."""
    if isinstance(spec, PretrainedPRM):
        said = spec.model_dump(exclude={"kind", "name"})
        return load_classifier(spec.name, device=device, **said, **reader)
    model, tokenizer = load_model(
        spec.name, revision=spec.revision, device=device, offline=Path(spec.name).is_dir(), head=False
    )
    head = _filled(TokenClassifierHead(model.config.hidden_size), spec.name, spec.revision)
    prompts = SeparatedTokenizer(tokenizer, spec.separator)
    return StepJudge(FixedShapeReader(model, prompts, outputs="hidden", **reader), head.to(device).eval())


def _filled(head: ClassifierHead, name: str, revision: str | None) -> ClassifierHead:
    """Give a head its weights.

    Raises
    ------
    InputError
        If the model has a head of another layout.
    """
    found, wanted = _head_weights(name, revision), head.state_dict()
    shapes = {key: tuple(weight.shape) for key, weight in found.items()}
    if shapes != {key: tuple(weight.shape) for key, weight in wanted.items()}:
        held = ", ".join(f"{key} {shape}" for key, shape in sorted(shapes.items())) or "nothing called score"
        raise InputError(
            f"{name}: its head holds {held}; a PRM of two classes is of kind served or pretrained with two layers "
            "(Qwen2ForProcessRewardModel), and of kind token-classifier with one (AutoModelForTokenClassification)"
        )
    head.load_state_dict(found)
    return head


def _head_weights(name: str, revision: str | None) -> dict[str, torch.Tensor]:
    """Read the weights of a classifier's head, from whichever files the checkpoint holds them in."""
    from safetensors import safe_open

    found = _file_of(name, SHARD_INDEX, revision)
    shards = json.loads(Path(found).read_text(encoding="utf-8"))["weight_map"] if found else {}
    files = {file for key, file in shards.items() if key.startswith("score.")} or {"model.safetensors"}
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        path = _file_of(name, file, revision)
        if path is None:
            raise InputError(f"{name}: holds no {file}; a PRM must have its weights there, with those of its head")
        with safe_open(path, "pt") as opened:
            weights |= {key: opened.get_tensor(key).float() for key in opened.keys() if key.startswith("score.")}
    return weights


def _file_of(name: str, file: str, revision: str | None) -> str | None:
    """Return where a file of a checkpoint lies, if there is one: in its folder, or in the cache of the hub."""
    if Path(name).is_dir():
        return str(Path(name, file)) if Path(name, file).is_file() else None
    from transformers.utils.hub import cached_file

    found: str | None = cached_file(name, file, revision=revision, _raise_exceptions_for_missing_entries=False)
    return found
