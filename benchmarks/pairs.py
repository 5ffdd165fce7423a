"""The models of the comparisons: the tiny pair that an experiment trained, or a simulated one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trim.config.experiment import Experiment
from trim.models.batching import BatchedStepModel, BatchedStepScorer, BatchLoop
from trim.models.protocols import FinishReason, ModelPair, Prefix, Score, Step
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem, read_problems

EXPERIMENT = Experiment()
SAMPLING, MAX_STEPS = EXPERIMENT.sampling, EXPERIMENT.max_steps


def draw(*parts: object) -> float:
    """Draw a number in [0, 1) that is a pure function of the parts."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little") / 2**64


@dataclass(frozen=True, slots=True)
class Simulated:
    """Writes steps and scores them as pure functions of the prefix; one step in two is the same of both models.

    Attributes
    ----------
    tokens
        Of the shortest and the longest step; lengths lie evenly in their logarithm.
    steps
        Of the shortest and the longest solution.
    """

    identity: str
    tokens: tuple[int, int] = (10, 10)
    steps: tuple[int, int] = (9, 9)

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the next step."""
        author = self.identity if draw(prefix.digest) < 0.5 else ""
        number = draw(author, prefix.digest, replicate)
        (least, most), (shortest, longest) = self.tokens, self.steps
        count = round(least * (most / least) ** number)
        last = shortest + int((longest - shortest + 1) * draw(prefix.problem_text)) - 1
        finish = FinishReason.SEPARATOR if prefix.depth < last else FinishReason.END_OF_SEQUENCE
        return Step(f"{author}{int(1e6 * number)}\n\n", tuple(range(count)), 10 * (1 + prefix.depth), finish)

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Score a step."""
        return Score(draw(self.identity, prefix.extend(step).digest), 10)


def simulated_pair(tokens: tuple[int, int] = (5, 60), steps: tuple[int, int] = (4, 12)) -> ModelPair:
    """Return models that cost next to nothing."""
    return ModelPair(*(Simulated(name, tokens, steps) for name in ("weak", "strong", "prm")))


def has_models(results: Path) -> bool:
    """Tell whether an experiment left its models behind."""
    return all((results / "models" / role / "model.safetensors").is_file() for role in ("weak", "strong"))


def open_models(results: Path, batch_size: int) -> ModelPair:
    """Open the models that an experiment trained, or simulate some; nothing stands before them."""
    if not has_models(results):
        return simulated_pair()
    import torch

    from trim.models.generator import StepGenerator

    torch.set_num_threads(1)
    loop = BatchLoop()
    models = []
    for role in ("weak", "strong"):
        backend = StepGenerator(_reader(results / "models" / role, batch_size, "logits"), role, SAMPLING)
        models.append(BatchedStepModel(backend, role, loop))
    prm = BatchedStepScorer(_judge(results / f"models/prm-{EXPERIMENT.pair.prm}", batch_size), "prm", loop)
    return ModelPair(*models, prm)


def _reader(folder: Path, batch_size: int, outputs: str):  # type: ignore[no-untyped-def] # torch is imported late
    """Load a model behind the reader that pads nothing: neither way is to pay for rows that hold no step."""
    from trim.models.prompts import PrefixTokenizer
    from trim.models.ragged import RaggedReader
    from trim.models.transformers_backend import load_model

    model, tokenizer = load_model(folder)
    return RaggedReader(model, PrefixTokenizer(tokenizer), batch_size=batch_size, outputs=outputs)  # type: ignore[arg-type]


def _judge(folder: Path, batch_size: int):  # type: ignore[no-untyped-def]
    from safetensors.torch import load_file

    from trim.models.prm import HEAD_FILE, LikelihoodHead, StepJudge

    class Unpadded(StepJudge):
        """Takes any prefixes together."""

        def bucket(self, request: Prefix) -> Hashable:
            return None

    reader = _reader(folder, batch_size, "likelihood")
    head = LikelihoodHead(reader.model.config.hidden_size)
    head.load_state_dict(load_file(folder / HEAD_FILE))
    return Unpadded(reader, head.eval())


def take_problems(results: Path, dataset: str, count: int, split: str = "test") -> list[Problem]:
    """Return the first problems of an experiment, or draw some of arith where it has none."""
    path = results / "problems" / dataset / f"{split}.jsonl"
    if path.is_file():
        return read_problems(path)[:count]
    stream = draw_problems("arith", EXPERIMENT.datasets["arith"], random.Random(0))
    return [next(stream) for _ in range(count)]


def says(results: Path) -> str:
    """Say which models these are."""
    return "tiny trained models" if has_models(results) else "simulated models"


def no_judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    """Grade nothing: what an answer is worth is not measured here."""
    return False, False


Problems = Sequence[Problem]
