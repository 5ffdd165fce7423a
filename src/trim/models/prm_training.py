"""Training of process reward models on step-labelled rollouts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import and_
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from trim.config.models import ClassifierPRM, LikelihoodPRM, StepLabels
from trim.models.prm import HEAD_FILE, ClassifierHead, LikelihoodHead
from trim.models.prm_kinds import PrmTraining, Trace
from trim.models.tiny import STEP_TAG
from trim.models.training import (
    Optimiser,
    SolutionStream,
    batched,
    encode,
    encode_problem,
    pad,
    seed_torch,
    solution_loss,
)
from trim.progress import Progress

TRACES_IN_BATCH = 24
SOLUTIONS_IN_BATCH = 16
HEAD_STEPS = 200
HELD_OUT_SHARE = 0.4
LABEL_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Tokens of a trace, and the token range of each step."""

    ids: list[int]
    spans: list[tuple[int, int]]
    labels: tuple[bool, ...]


def _encode(tokenizer: Any, trace: Trace, step_tag: int | None, labels: StepLabels) -> _Encoded:
    ids, spans = encode_problem(tokenizer, trace.problem), []
    for step in trace.steps:
        block = encode(tokenizer, step) or [tokenizer.eos_token_id]
        block = block if step_tag is None else [*block, step_tag]
        spans.append((len(ids), len(ids) + len(block)))
        ids = ids + block
    return _Encoded(ids, spans, step_labels(trace, labels))


def step_labels(trace: Trace, kind: StepLabels) -> tuple[bool, ...]:
    """Return what each step of a trace counts as: global labels call all behind the first wrong step wrong."""
    return trace.labels if kind == "local" else tuple(accumulate(trace.labels, and_))


def train_likelihood_prm(
    spec: LikelihoodPRM, training: PrmTraining, folder: Path, on_progress: Progress | None = None
) -> None:
    """Tune a language model jointly on right solutions and on step labels, then fit a new head.

    The skill to verify comes from the solutions, through the likelihood; labels mostly
    calibrate. `spec.tuning_steps` is the quality dial.
    """
    from safetensors.torch import save_file

    from trim.models.transformers_backend import load_model

    traces, seed = training.traces, training.seed
    assert training.backbone is not None
    seed_torch(seed)
    model, tokenizer = load_model(training.backbone)
    head = LikelihoodHead(model.config.hidden_size)
    stream = SolutionStream(tokenizer, training.families, training.mix, SOLUTIONS_IN_BATCH, seed)
    rng = random.Random(seed)
    # The last head is fitted on traces that the model was not tuned on: it could not be calibrated on others.
    problems = sorted({trace.problem for trace in traces})
    held_out = set(rng.sample(problems, round(HELD_OUT_SHARE * len(problems))))
    encoded = [_encode(tokenizer, trace, None, spec.labels) for trace in traces if trace.problem not in held_out]
    unseen = [_encode(tokenizer, trace, None, spec.labels) for trace in traces if trace.problem in held_out]
    model.train()
    optimiser = Optimiser(
        model, max(spec.tuning_steps, 1), spec.learning_rate, spec.matrix_learning_rate, 0.5, list(head.parameters())
    )
    solutions: list[Any] = []
    for position in range(spec.tuning_steps):
        solutions = solutions or stream.batches()
        logits, labels = _judge(model, head, rng.sample(encoded, min(TRACES_IN_BATCH, len(encoded))))
        loss = solution_loss(model, solutions.pop())
        loss = loss + LABEL_WEIGHT * binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        optimiser.step(position)
        if on_progress is not None:
            on_progress(position + 1, spec.tuning_steps)
    model.eval()
    head = LikelihoodHead(model.config.hidden_size)
    _fit_head(model, head, unseen)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(head.state_dict(), folder / HEAD_FILE)


def _features(model: Any, batch: Sequence[_Encoded]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden state at the end, minimum and mean log-probability of every step of a batch, and the labels."""
    ids = pad([trace.ids for trace in batch])
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    logprobs = -cross_entropy(model.lm_head(hidden[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
    ends, minima, means, labels = [], [], [], []
    for row, trace in enumerate(batch):
        for (start, end), label in zip(trace.spans, trace.labels, strict=True):
            own = logprobs[row, start - 1 : end - 1]
            ends.append(hidden[row, end - 1])
            minima.append(own.min())
            means.append(own.mean())
            labels.append(float(label))
    return torch.stack(ends), torch.stack(minima), torch.stack(means), torch.tensor(labels)


def _judge(model: Any, head: LikelihoodHead, batch: Sequence[_Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    *features, labels = _features(model, batch)
    return head(*features), labels


def _fit_head(model: Any, head: LikelihoodHead, encoded: Sequence[_Encoded]) -> None:
    """Fit a head for the model as it is now; weight decay keeps it from learning the traces by heart."""
    by_length = sorted(encoded, key=lambda trace: len(trace.ids))
    with torch.no_grad():
        parts = [_features(model, batch) for batch in batched(by_length, 4 * TRACES_IN_BATCH)]
    *features, labels = (torch.cat(column) for column in zip(*parts, strict=True))
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, HEAD_STEPS)
    for _ in range(HEAD_STEPS):
        loss = binary_cross_entropy_with_logits(head(*features), labels)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()


def train_classifier_prm(
    spec: ClassifierPRM, training: PrmTraining, folder: Path, on_progress: Progress | None = None
) -> None:
    """Train a token classifier on step labels, and save it in the layout of Qwen2ForProcessRewardModel."""
    from trim.models.transformers_backend import load_model

    traces, seed = training.traces, training.seed
    assert training.backbone is not None
    seed_torch(seed)
    model, tokenizer = load_model(training.backbone, head=False)
    head = ClassifierHead(model.config.hidden_size)
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    encoded = [_encode(tokenizer, trace, tag, spec.labels) for trace in traces]
    rng = random.Random(seed)
    model.train()
    optimiser = Optimiser(
        model, max(spec.tuning_steps, 1), spec.learning_rate, spec.matrix_learning_rate, 0.5, list(head.parameters())
    )
    for position in range(spec.tuning_steps):
        batch = rng.sample(encoded, min(2 * TRACES_IN_BATCH, len(encoded)))
        hidden = model(input_ids=pad([trace.ids for trace in batch]), use_cache=False).last_hidden_state
        ends = [(row, end - 1) for row, trace in enumerate(batch) for _, end in trace.spans]
        rows, columns = (torch.tensor(part) for part in zip(*ends, strict=True))
        labels = torch.tensor([int(label) for trace in batch for label in trace.labels])
        cross_entropy(head(hidden[rows, columns]), labels).backward()
        optimiser.step(position)
        if on_progress is not None:
            on_progress(position + 1, spec.tuning_steps)
    _save_classifier(model, head, folder)
    tokenizer.save_pretrained(folder)


def _save_classifier(model: Any, head: ClassifierHead, folder: Path) -> None:
    from safetensors.torch import save_file

    model.config.architectures = ["Qwen2ForProcessRewardModel"]
    model.config.num_labels = 2
    model.config.save_pretrained(folder)
    weights = {f"model.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file({**weights, **head.state_dict()}, folder / "model.safetensors", metadata={"format": "pt"})
