"""Training of the weak and the strong language model of the embedded experiment."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from trim.config.datasets import ArithmeticFamily
from trim.config.models import Sampling, TrainedModel
from trim.models.fixed_writing import FixedShapeWriter
from trim.models.generator import StepGenerator
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.tiny import build_config, build_tokenizer
from trim.models.training import Optimiser, SolutionStream, seed_torch, solution_loss, stream_batches
from trim.problems.answers.boxes import extract_answer
from trim.problems.problem import Problem
from trim.progress import Progress

logger = logging.getLogger(__name__)

MOST_STEPS = 30
"""Steps after which a solution counts as wrong when a snapshot is evaluated."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An evaluation of a model in training: its accuracy alone on dev problems.

    Steps are sampled as in the experiment, but solutions end at `MOST_STEPS` whatever the experiment's `max_steps` is.
    """

    training_step: int
    accuracy: float


def train_language_model(
    spec: TrainedModel,
    families: Mapping[str, ArithmeticFamily],
    mix: Mapping[str, float],
    dev: Sequence[Problem],
    sampling: Sampling,
    seed: str,
    folder: Path,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a model from scratch and save the snapshot whose dev accuracy is nearest to the aim.

    Parameters
    ----------
    spec
        Shape, schedule and aim.
    families, mix
        Families of problems, and the share of each in training.
    dev
        Problems on which snapshots are compared.
    sampling
        How steps are sampled, as in the experiment.
    seed
        What weights and problems are drawn from.
    folder
        Where the Hugging Face folder is written.

    Returns
    -------
    Metrics of the training: every snapshot, the one that was picked, and whether its
    accuracy lies in the band that the config asks for.
    """
    from transformers import Qwen2ForCausalLM

    seed_torch(seed)
    tokenizer = build_tokenizer()
    config = build_config(spec.architecture, tokenizer)
    model = Qwen2ForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    optimiser = Optimiser(model, spec.training_steps, spec.learning_rate, spec.matrix_learning_rate, spec.decay_share)
    stream = SolutionStream(tokenizer, families, mix, spec.batch_problems, seed)
    snapshots: list[Snapshot] = []
    best: dict[str, torch.Tensor] = {}
    tokens = 0
    batches = stream_batches(stream, math.ceil(spec.training_steps * spec.warm_up_short))
    for done, (position, end) in enumerate(schedule(spec, snapshots), 1):
        batch = next(batches)
        loss = solution_loss(model, batch)
        loss.backward()
        optimiser.step(position)
        tokens += sum(example.length for example in batch)
        if on_progress is not None:
            on_progress(done, end)
        if done == end or (done % spec.check_every == 0 and done >= spec.check_from * spec.training_steps):
            snapshot = Snapshot(done, accuracy_alone(model, tokenizer, dev[: spec.check_problems], sampling))
            logger.info("step %d: loss %.4f, dev accuracy %.3f", done, loss.item(), snapshot.accuracy)
            snapshots.append(snapshot)
            if snapshot == _nearest(snapshots, spec.stop_at):
                best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            if snapshot.accuracy >= spec.stop_at:
                break
    model.load_state_dict(best)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"parameters": model.num_parameters(), "training_tokens": tokens, **_report(snapshots, spec)}


def schedule(spec: TrainedModel, snapshots: Sequence[Snapshot]) -> Iterator[tuple[int, int]]:
    """Yield the position in the schedule of each optimiser step, and after how many steps its round ends.

    Another round, the second half of the schedule, follows while none of the snapshots up to then lies in the band.
    """
    start, end = 0, spec.training_steps
    for _ in range(1 + spec.further_rounds):
        yield from ((position, end) for position in range(start, spec.training_steps))
        if any(_in_band(snapshot, spec) for snapshot in snapshots):
            return
        start = spec.training_steps // 2
        end += spec.training_steps - start


def _in_band(snapshot: Snapshot, spec: TrainedModel) -> bool:
    low, high = spec.accuracy_band
    return low <= snapshot.accuracy <= high


def _report(snapshots: Sequence[Snapshot], spec: TrainedModel) -> dict[str, Any]:
    """Say which snapshot was picked, and whether it lies in the band that the config asks for."""
    picked, (low, high) = _nearest(snapshots, spec.stop_at), spec.accuracy_band
    if not _in_band(picked, spec):
        logger.warning("dev accuracy %.3f lies outside the band %.2f to %.2f", picked.accuracy, low, high)
    return {
        "snapshots": [asdict(snapshot) for snapshot in snapshots],
        "picked": asdict(picked),
        "accuracy_band": [low, high],
        "in_band": _in_band(picked, spec),
    }


def _nearest(snapshots: Sequence[Snapshot], aim: float) -> Snapshot:
    """Return the snapshot whose accuracy is nearest to the aim; of equals, the later one."""
    return min(snapshots, key=lambda s: (abs(s.accuracy - aim), -s.training_step))


def accuracy_alone(model: Any, tokenizer: Any, problems: Sequence[Problem], sampling: Sampling) -> float:
    """Share of problems that a model solves without help."""
    training, attention = model.training, model.config._attn_implementation
    model.set_attn_implementation("eager")
    generator = StepGenerator(FixedShapeWriter(model, PrefixTokenizer(tokenizer)), "snapshot", sampling)
    live = [(problem, Prefix.of(problem.text)) for problem in problems]
    right = 0
    for _ in range(MOST_STEPS):
        steps = generator.run([(prefix, 0) for _, prefix in live])
        taken = list(zip(live, steps, strict=True))
        right += sum(step.is_final and extract_answer(step.text) == problem.answer for (problem, _), step in taken)
        live = [(problem, prefix.extend(step.text)) for (problem, prefix), step in taken if not step.is_final]
    model.train(training)
    model.set_attn_implementation(attention)
    return right / len(problems)
