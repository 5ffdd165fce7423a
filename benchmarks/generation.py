"""How many tokens a CPU second writes: our step backend at several batch sizes, and transformers' `generate`.

    python benchmarks/generation.py [--models results/embedded/models] [--problems 256]

Trains nothing: without trained models it takes random weights of the same shape and says so. Both ways solve the same
problems with the same sampling on one thread. Our steps do not depend on what else is in their batch; `generate`'s do.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers

from trim.config.experiment import Experiment
from trim.config.models import TrainedModel
from trim.models.batching import BatchedStepModel, BatchLoop
from trim.models.fixed_writing import FixedShapeWriter
from trim.models.generator import StepGenerator
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import ModelPair
from trim.models.tiny import build_config, build_tokenizer
from trim.models.transformers_backend import load_model
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import WeakOnly

BATCH_SIZES = (1, 16, 64, 256)
EXPERIMENT = Experiment()
SAMPLING, MAX_STEPS = EXPERIMENT.sampling, EXPERIMENT.max_steps


def folders(models: Path, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and folder of both language models."""
    for role in ("weak", "strong"):
        if (models / role / "model.safetensors").is_file():
            yield role, models / role
            continue
        print(f"no trained model in {models / role}: random weights, whose solutions end anywhere")
        spec: TrainedModel = getattr(EXPERIMENT.pair, role)
        tokenizer = build_tokenizer()
        torch.manual_seed(0)
        transformers.Qwen2ForCausalLM(build_config(spec.architecture, tokenizer)).save_pretrained(scratch / role)
        tokenizer.save_pretrained(scratch / role)
        yield f"{role} (random)", scratch / role


def by_steps(model: Any, tokenizer: Any, problems: list[Problem], batch_size: int) -> int:
    """Solve the problems step by step, as the workflow does, and return the number of tokens."""
    writer = FixedShapeWriter(model, PrefixTokenizer(tokenizer), rows=batch_size)
    generator = StepGenerator(writer, "benchmark", SAMPLING)
    batched = BatchedStepModel(generator, "benchmark", BatchLoop())
    runs = [Run(problem, WeakOnly(), 0) for problem in problems]
    return sum(e.costs.weak_tokens for e in solve_all(runs, ModelPair(batched, batched, None), MAX_STEPS))


def by_generate(model: Any, tokenizer: Any, problems: list[Problem], batch_size: int) -> int:
    """Solve the problems with `generate`, in fixed batches, and return the number of tokens up to each end."""
    options: dict[str, Any] = {name: getattr(SAMPLING, name) for name in ("temperature", "top_p", "top_k")}
    options |= {"max_new_tokens": MAX_STEPS * SAMPLING.max_step_tokens, "do_sample": True}
    count = 0
    for start in range(0, len(problems), batch_size):
        chats = [[{"role": "user", "content": problem.text}] for problem in problems[start : start + batch_size]]
        rendered = [tokenizer.apply_chat_template(c, add_generation_prompt=True, tokenize=False) for c in chats]
        inputs = tokenizer(rendered, return_tensors="pt", padding=True, padding_side="left")
        written = model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]
        count += int((written != tokenizer.pad_token_id).sum())
    return count


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("results/embedded/models"), help="folder of both models")
    parser.add_argument("--problems", type=int, default=256, help="how many problems of arith to solve")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    stream = draw_problems("arith", EXPERIMENT.datasets["arith"], random.Random(0))
    problems = [next(stream) for _ in range(options.problems)]
    ways: dict[str, Callable[[Any, Any, list[Problem], int], int]] = {"steps": by_steps, "generate": by_generate}
    with TemporaryDirectory() as scratch:
        for name, folder in folders(options.models, Path(scratch)):
            loaded = load_model(folder)
            by_steps(*loaded, problems[:1], 1)  # loads what is imported late
            print(f"{'model':16} {'way':9} {'batch':>5} {'tokens':>8} {'CPU s':>7} {'tokens per CPU s':>17}")
            for way, solve in ways.items():
                for batch_size in BATCH_SIZES:
                    torch.manual_seed(0)
                    started = time.process_time()
                    tokens = solve(*loaded, problems, batch_size)
                    spent = time.process_time() - started
                    print(f"{name:16} {way:9} {batch_size:5} {tokens:8,} {spent:7.2f} {tokens / spent:17,.0f}")


if __name__ == "__main__":
    main()
