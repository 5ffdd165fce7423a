"""The server before three endpoints: steps are theirs, as the experiment would have them, and a PRM may go down."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from deployed import on_endpoints
from fake_server import FakeServer, Script, fake_vllm
from live import live
from stored import misses

from trim.deploy.answering import as_problem
from trim.deploy.manifest import Deployed
from trim.deploy.opening import open_deployed
from trim.models.store import StepStore
from trim.models.tiny import STEP_TAG
from trim.rollout.engine import solve
from trim.serve.app import Patience, create_app

PROBLEM = "7 i+5?"
ASKED = {"model": "trim-thr-0.5", "messages": [{"role": "user", "content": PROBLEM}], "seed": 3}


@pytest.fixture
def fakes(model_folders: dict[str, Path], tokenizer: Any) -> Iterator[dict[str, FakeServer]]:
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    names = {"weak": model_folders["weak"], "strong": model_folders["strong"], "prm": model_folders["weak"]}
    with ExitStack() as stack:
        yield {role: stack.enter_context(fake_vllm(Script(str(name), tokenizer, tag))) for role, name in names.items()}


@pytest.fixture
def deployed(fakes: dict[str, FakeServer], model_folders: dict[str, Path], tmp_path: Path) -> Deployed:
    return on_endpoints({role: fake.url for role, fake in fakes.items()}, model_folders, tmp_path)


def test_steps_are_those_of_the_endpoints_and_kept_ones_are_replayed_without(
    deployed: Deployed, fakes: dict[str, FakeServer], tmp_path: Path
) -> None:
    with open_deployed(deployed, StepStore(tmp_path / "none", "x", keeps=False), tmp_path) as opened:
        expected = asyncio.run(solve(as_problem(PROBLEM), opened.at("trim-thr-0.5").policy, opened.pair, 3, 30))
    answers = []
    for _ in range(2):
        store = StepStore(tmp_path / "store", "served")
        with open_deployed(deployed, store, tmp_path) as opened, live(create_app(opened)) as url:
            answers.append(httpx.post(f"{url}/v1/chat/completions", json=ASKED, timeout=120).json())
        asked = sum(len(fake.requests) for fake in fakes.values())
    assert answers[0]["choices"][0]["message"]["content"] == "".join(kept.step.text for kept in expected.kept)
    assert answers[1]["choices"] == answers[0]["choices"] and answers[1]["trim"] == answers[0]["trim"]
    assert misses(store) == 0 and asked == sum(len(fake.requests) for fake in fakes.values())


def test_a_prm_server_that_goes_down_costs_no_answer(
    deployed: Deployed, fakes: dict[str, FakeServer], tmp_path: Path
) -> None:
    store = StepStore(tmp_path / "none", "x", keeps=False)
    with open_deployed(deployed, store, tmp_path) as opened:
        with live(create_app(opened, patience=Patience(5, 3600))) as url:
            chat = f"{url}/v1/chat/completions"
            assert not httpx.post(chat, json=ASKED, timeout=120).json()["trim"]["prm_down"]
            fakes["prm"].faults = [503] * 100
            answer = httpx.post(chat, json=ASKED | {"seed": 4}, timeout=120).json()
            assert {step["reason"] for step in answer["trim"]["steps"]} == {"prm_down"}
            assert {step["author"] for step in answer["trim"]["steps"]} == {"strong"}
            assert httpx.get(f"{url}/health", timeout=30).json()["prm"] == "down"
