"""What the engine costs a model: tokens a CPU second through it, against the bare backend on the same prompts.

    python -m benchmarks.engine [--results results/embedded]

The bare backend gets all prompts of a depth in one batch, and nothing else is done with its steps but to append them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import Options, Row, cpu_seconds, run_alone
from benchmarks.generation import folders
from benchmarks.pairs import MAX_STEPS, SAMPLING, take_problems
from trim.models.batching import BatchedStepModel, BatchLoop
from trim.models.generator import StepGenerator
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import ModelPair, Prefix
from trim.models.ragged import RaggedReader
from trim.models.store import StepStore, StoredStepModel
from trim.models.transformers_backend import load_model
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import WeakOnly


def by_backend(generator: StepGenerator, problems: Sequence[Problem], replicate: int) -> int:
    """Solve problems depth by depth, and return the number of tokens."""
    live, tokens = [Prefix.of(problem.text) for problem in problems], 0
    for _ in range(MAX_STEPS):
        steps = generator.run([(prefix, replicate) for prefix in live])
        tokens += sum(step.tokens for step in steps)
        live = [p.extend(step.text) for p, step in zip(live, steps, strict=True) if not step.is_final]
        if not live:
            break
    return tokens


def by_engine(generator: StepGenerator, problems: Sequence[Problem], replicate: int, folder: Path) -> int:
    """Solve problems with the engine behind a step store on disk, and return the number of tokens."""
    store = StepStore(folder, "benchmark")
    model = StoredStepModel(BatchedStepModel(generator, "benchmark", BatchLoop()), store)
    runs = [Run(problem, WeakOnly(), replicate) for problem in problems]
    episodes = solve_all(runs, ModelPair(model, model, None), MAX_STEPS)
    store.flush()
    return sum(episode.costs.weak_tokens for episode in episodes)


def measure(options: Options) -> list[Row]:
    """Measure both ways, each model with a memory of its own."""
    import torch

    torch.set_num_threads(1)
    count = options.size(128, 8)
    problems = take_problems(options.results, options.dataset, count)
    rows = []
    with TemporaryDirectory() as scratch:
        for name, folder in folders(options.results / "models", Path(scratch)):
            ours, theirs = [], []
            for repetition in range(-1, options.repetitions):
                rates = []
                for way in (by_engine, by_backend):
                    reader = RaggedReader(*_loaded(folder), batch_size=count)
                    generator = StepGenerator(reader, name, SAMPLING)
                    asked = [generator, problems if repetition >= 0 else problems[:2], repetition]
                    if way is by_engine:
                        asked.append(Path(scratch) / f"{name}{repetition}")
                    tokens, spent = cpu_seconds(lambda way=way, asked=asked: way(*asked))
                    rates.append(tokens / spent)
                if repetition >= 0:  # the first one loads what is imported late
                    ours.append(rates[0])
                    theirs.append(rates[1])
            what = f"engine and step store around the {name} model, {count} problems in one batch"
            how = "embedded models of 2 and 3 layers: of a larger one, our own code is a smaller part"
            rows.append(Row("engine", what, "tokens/CPU s", ours, theirs, 0.9, more=True, how=how))
    return rows


def _loaded(folder: Path) -> tuple[object, PrefixTokenizer]:
    model, tokenizer = load_model(folder)
    return model, PrefixTokenizer(tokenizer)


if __name__ == "__main__":
    run_alone(measure, __doc__)
