"""Models that are pure functions of the prefix, and one tiny language model with random weights."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from trim.models.protocols import FinishReason, ModelPair, Prefix, Score, Step
from trim.problems.problem import Problem

# Torch is not imported yet: tests that compare bits need a fixed number of threads.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# An example that takes long says that the machine is busy, not that something is wrong.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is slow first, so that no worker ends long after the others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def draw(*parts: object) -> int:
    """Number that is a pure function of the parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "little")


@dataclass
class ScriptedModel:
    """Writes steps of one to nine tokens; solutions end after three to six steps, in one of three ways."""

    identity: str
    calls: list[tuple[bytes, int]] = field(default_factory=list)

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        self.calls.append((prefix.digest, replicate))
        await asyncio.sleep(0)
        number = draw(self.identity, prefix.digest, replicate)
        ids = tuple(range(1 + number % 9))
        text, finish = f"{self.identity} {number}\n\n", FinishReason.SEPARATOR
        if prefix.depth >= 2 + draw(prefix.problem_text) % 4:
            text, finish = [
                (f"\\boxed{{{number % 2}}}", FinishReason.END_OF_SEQUENCE),
                (f"\\boxed{{{number % 2}}}\n\n", FinishReason.SEPARATOR),
                (f"{number} and so", FinishReason.LENGTH),
            ][number % 3]
        return Step(text, ids, 10 + len(prefix.problem_text) + 7 * prefix.depth, finish)


@dataclass
class ScriptedScorer:
    """Scores steps evenly over [0, 1]."""

    identity: str
    calls: list[tuple[bytes, str, Score]] = field(default_factory=list)

    async def score(self, prefix: Prefix, step: str) -> Score:
        await asyncio.sleep(0)
        value = draw(self.identity, prefix.digest, step) % 1001 / 1000
        score = Score(value, 5 + 3 * prefix.depth + len(step))
        self.calls.append((prefix.digest, step, score))
        return score


@pytest.fixture(scope="session")
def scripted_pair() -> Callable[[], ModelPair]:
    """Build a pair of scripted models and a scripted scorer that remember how they were called."""
    return lambda: ModelPair(ScriptedModel("weak"), ScriptedModel("strong"), ScriptedScorer("prm"))


@pytest.fixture(scope="session")
def make_problems() -> Callable[[int], list[Problem]]:
    """Build problems that only scripted models understand."""

    def make(count: int) -> list[Problem]:
        return [Problem(f"p-{i}", "scripted", f"problem {i}", str(i % 2), f"{i:08x}") for i in range(count)]

    return make


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    from trim.models.tiny import build_tokenizer

    return build_tokenizer()


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> dict[str, Path]:
    """Save a weak and a strong language model, of different shape and with wild random weights."""
    import torch
    from transformers import Qwen2ForCausalLM

    from trim.config.models import Architecture
    from trim.models.tiny import build_config

    folders = {}
    for seed, (role, layers) in enumerate({"weak": 1, "strong": 2}.items()):
        shape = Architecture(hidden_size=32, layers=layers, heads=2, intermediate_size=48)
        model = Qwen2ForCausalLM(build_config(shape, tokenizer))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:  # far from the usual start: what is written must depend on what was read
                    parameter.normal_(0, 0.4, generator=generator)
        folders[role] = tmp_path_factory.mktemp("models") / role
        model.save_pretrained(folders[role])
        tokenizer.save_pretrained(folders[role])
    return folders


@pytest.fixture(scope="session")
def classifier_folder(model_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a PRM with wild random weights in the layout of Qwen2ForProcessRewardModel."""
    import torch

    from trim.models.prm import ClassifierHead
    from trim.models.prm_kinds import DESCRIPTION_FILE
    from trim.models.prm_training import _save_classifier
    from trim.models.transformers_backend import load_model

    folder = tmp_path_factory.mktemp("models") / "prm"
    shutil.copytree(model_folders["strong"], folder)
    model, _ = load_model(folder, head=False)
    torch.manual_seed(5)
    _save_classifier(model, ClassifierHead(model.config.hidden_size), folder)
    (folder / DESCRIPTION_FILE).write_text('{"kind": "classifier"}', encoding="utf-8")
    return folder


@pytest.fixture
def no_open_figures() -> Iterator[None]:
    """Close the figures that a test has drawn."""
    from matplotlib import pyplot as plt

    yield
    plt.close("all")
