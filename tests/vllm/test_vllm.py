"""TRIM-Thr end to end through real vLLM servers, against the transformers backend. Opt-in: `make test-vllm`.

The models are those of the embedded experiment where `results/embedded/models` holds them, else
random ones: then no problem is solved by either backend, and the comparison of accuracies says nothing.
"""

import asyncio
import json
import math
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from widen import widen_heads

from trim.config.datasets import ArithmeticFamily
from trim.config.models import PretrainedModel, Sampling, ServedModel, ServedPRM
from trim.config.serving import Role, ServerOptions, Serving
from trim.models.opening import open_pair
from trim.models.prm import ClassifierHead
from trim.models.prm_kinds import load_prm
from trim.models.prm_training import _save_classifier
from trim.models.protocols import ModelPair, Prefix
from trim.models.served.servers import Servers
from trim.models.store import StepStore
from trim.models.tiny import STEP_TAG
from trim.models.transformers_backend import load_model
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.threshold import Threshold

PYTHON = os.environ.get("TRIM_TEST_VLLM")
if PYTHON is None:
    pytest.skip("needs vLLM in an environment of its own: make test-vllm", allow_module_level=True)

ROLES: tuple[Role, ...] = ("weak", "strong", "prm")
TRAINED = Path(os.environ.get("TRIM_TEST_MODELS", "results/embedded/models"))
SAMPLING = Sampling()
GREEDY = Sampling(temperature=0.0)
PROBLEMS = 100
REPLICATES = {"transformers": 4, "vllm": 2}
Z = 2.576  # 99 %
ARGUMENTS = ("--enforce-eager", "--dtype", "float32")


def problems(count: int) -> list[Problem]:
    family = ArithmeticFamily(p_two_digits=0.3)
    drawn = draw_problems("vllm", family, random.Random(7))
    return [problem for problem, _ in zip(drawn, range(count), strict=False)]


@pytest.fixture(scope="session")
def plain(model_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of weak model, strong model and classifier PRM, as the pipeline leaves them."""
    trained = {"weak": TRAINED / "weak", "strong": TRAINED / "strong", "prm": TRAINED / "prm-classifier"}
    if all((folder / "model.safetensors").exists() for folder in trained.values()):
        print(f"models: {TRAINED}")
        return trained
    print(f"models: random weights, since {TRAINED} does not hold them all")
    folder = tmp_path_factory.mktemp("models") / "prm"
    shutil.copytree(model_folders["weak"], folder)
    model, _ = load_model(folder, head=False)
    _save_classifier(model, ClassifierHead(model.config.hidden_size), folder)
    (folder / "prm.json").write_text(json.dumps({"kind": "classifier"}))
    return {**model_folders, "prm": folder}


@pytest.fixture(scope="session")
def served(plain: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `open_pair` needs of three servers; they start with the first request and stop at the end."""
    folder = tmp_path_factory.mktemp("wide")
    for role in ROLES:
        widen_heads(plain[role], folder / role)
    serving = Serving(
        command=(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model"),
        environment={"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
        servers={role: ServerOptions(arguments=ARGUMENTS) for role in ROLES},
        concurrency=64,
    )
    weak, strong = (ServedModel(name=str(folder / role), max_model_len=1024) for role in ("weak", "strong"))
    prm = ServedPRM(name=str(folder / "prm"), step_tag=STEP_TAG, keeps_separator=True, max_model_len=1024)
    with closing(Servers(serving, folder / "logs")) as servers:
        yield {"weak": weak, "strong": strong, "prm": prm, "servers": servers}


def open_served(served: dict[str, Any], store: StepStore, sampling: Sampling = SAMPLING) -> ModelPair:
    return open_pair(
        served["weak"], served["strong"], {}, sampling, store, 1, prm=served["prm"], servers=served["servers"]
    )


def open_plain(plain: dict[str, Path], store: StepStore, sampling: Sampling = SAMPLING) -> ModelPair:
    weak, strong = (PretrainedModel(name=str(plain[role])) for role in ("weak", "strong"))
    return open_pair(weak, strong, {"prm": plain["prm"]}, sampling, store, batch_size=64)


def solved(pair: ModelPair, threshold: float, replicates: int) -> np.ndarray:
    """Whether each problem was solved, and its strong tokens, shape (2, problems, replicates)."""
    asked = problems(PROBLEMS)
    runs = [Run(problem, Threshold(threshold), replicate) for problem in asked for replicate in range(replicates)]
    episodes = solve_all(runs, pair, 30)
    right = [episode.answer == episode.problem.answer for episode in episodes]
    spent = [episode.costs.strong_tokens for episode in episodes]
    return np.array([right, spent], dtype=float).reshape(2, PROBLEMS, replicates)


def test_greedy_steps_are_those_of_the_transformers_backend(
    plain: dict[str, Path], served: dict[str, Any], tmp_path: Path
) -> None:
    runs = [Run(problem, router, 0) for problem in problems(20) for router in (WeakOnly(), StrongOnly())]
    ours = solve_all(runs, open_plain(plain, StepStore(tmp_path / "a", "p"), GREEDY), 12)
    theirs = solve_all(runs, open_served(served, StepStore(tmp_path / "b", "p"), GREEDY), 12)
    first = [(a.kept[0].step, b.kept[0].step) for a, b in zip(ours, theirs, strict=True)]
    assert sum(a == b for a, b in first) >= 0.9 * len(first)  # a tie of two logits may fall either way
    same = sum([k.step for k in a.kept] == [k.step for k in b.kept] for a, b in zip(ours, theirs, strict=True))
    print(f"greedy solutions that are the same: {same} of {len(runs)}")
    assert same >= 0.8 * len(runs)


def test_prm_scores_are_those_of_the_transformers_backend(
    plain: dict[str, Path], served: dict[str, Any], tmp_path: Path
) -> None:
    store = StepStore(tmp_path, "p")
    pair = open_served(served, store)
    episodes = solve_all([Run(problem, WeakOnly(), 0) for problem in problems(30)], pair, 30)
    prefixes = [
        Prefix.of(episode.problem.text, *(kept.step.text for kept in episode.kept[: i + 1]))
        for episode in episodes
        for i in range(len(episode.kept))
    ]

    async def score() -> list[float]:
        assert pair.prm is not None
        asked = (pair.prm.score(prefix.parent, prefix.text) for prefix in prefixes if prefix.parent is not None)
        return [score.value for score in await asyncio.gather(*asked)]

    judge = load_prm(plain["prm"], batch_size=4)
    expected = [judge.run([prefix])[0].value for prefix in prefixes]
    difference = float(np.abs(np.array(asyncio.run(score())) - expected).max())
    print(f"PRM scores: {len(prefixes)}, greatest difference {difference:.1e}")
    assert difference < 1e-2
    store.flush()
    noted = [json.loads(pq.read_schema(path).metadata[b"trim"]) for path in tmp_path.rglob("*.parquet")]
    assert noted and all(set(versions) == set(ROLES) for versions in noted[1:])
    assert "vLLM" in noted[-1]["weak"]


def test_trim_thr_is_as_accurate_as_on_the_transformers_backend(
    plain: dict[str, Path], served: dict[str, Any], tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    ours, ours_spent = solved(open_plain(plain, StepStore(tmp_path / "a", "p")), 0.8, REPLICATES["transformers"])
    theirs, their_spent = solved(open_served(served, StepStore(tmp_path / "b", "p")), 0.8, REPLICATES["vllm"])
    for what, a, b in (("accuracy", ours, theirs), ("strong tokens", ours_spent, their_spent)):
        difference = b.mean(1) - a.mean(1)  # paired by problem
        half = Z * difference.std(ddof=1) / math.sqrt(PROBLEMS)
        print(f"{what}: transformers {a.mean():.3f}, vLLM {b.mean():.3f}, {difference.mean():+.3f} ± {half:.3f}")
        assert abs(difference.mean()) <= half
