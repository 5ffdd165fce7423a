"""Endpoints die and come back while requests are under way: each request ends, in an answer or in one clear error."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from deployed import on_endpoints
from fake_server import FakeServer, Script, fake_vllm
from live import live

from trim.deploy.opening import open_deployed
from trim.models.store import StepStore
from trim.models.tiny import STEP_TAG
from trim.serve.app import Patience, create_app
from trim.serve.front import Limits

CLIENTS = 20
LONG = 300.0
"""Seconds after which something hangs, on however slow a machine."""


class Mortal:
    """An endpoint that can be killed, and started again at the same address."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._server = fake_vllm(script)
        self.url = self._server.url
        self._run(self._server)

    def _run(self, server: FakeServer) -> None:
        server.seconds = 0.02
        self._server = server.__enter__()

    def kill(self) -> None:
        self._server.kill()

    def restart(self) -> None:
        self._run(fake_vllm(self._script, port=int(self.url.rsplit(":", 1)[1])))


@dataclass
class Seen:
    """What the clients saw: outcomes, answers since the last change, and steps for want of a score."""

    outcomes: Counter[str] = field(default_factory=Counter)
    down_steps: int = 0
    changed: Counter[str] = field(default_factory=Counter)

    def note(self, outcome: str, steps: list[dict[str, Any]]) -> None:
        self.outcomes[outcome] += 1
        down = sum(step["reason"] == "prm_down" for step in steps)
        self.down_steps += down
        self.changed[outcome] += 1
        self.changed["down" if down else "scored"] += bool(steps)


@pytest.fixture
def endpoints(model_folders: dict[str, Path], tokenizer: Any) -> Iterator[dict[str, Mortal]]:
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    names = {"weak": model_folders["weak"], "strong": model_folders["strong"], "prm": model_folders["weak"]}
    found = {role: Mortal(Script(str(name), tokenizer, tag)) for role, name in names.items()}
    yield found
    for endpoint in found.values():
        endpoint.kill()


async def ask(client: openai.AsyncOpenAI, number: int) -> tuple[str, list[dict[str, Any]]]:
    """Ask once; return how it ended, and the steps of an answer. Anything but an answer or one API error is raised."""
    body: dict[str, Any] = {"model": "trim-thr-0.5", "seed": number}
    body["messages"] = [{"role": "user", "content": f"{number % 97} i+5?"}]
    try:
        if number % 2:
            answer = await client.chat.completions.create(**body)
            return "answered", answer.model_extra["trim"]["steps"]
        pieces = [piece async for piece in await client.chat.completions.create(**body, stream=True)]
        assert pieces[-1].choices[0].finish_reason in ("stop", "length"), "a stream broke off"
        return "answered", pieces[-1].model_extra["trim"]["steps"]
    except openai.APIStatusError as error:
        assert error.status_code == 502 and error.body["code"] == "model_failed", error.body
    except openai.APIError as error:  # an event of a stream that had begun
        assert isinstance(error.body, dict) and error.body["code"] == "model_failed", error
    return "refused 502", []


async def until(seen: Seen, what: str, count: int) -> None:
    """Wait until the clients saw something so often since the last change."""
    give_up = time.monotonic() + LONG
    while seen.changed[what] < count:
        assert time.monotonic() < give_up, f"{what}: {seen}"
        await asyncio.sleep(0.02)
    seen.changed.clear()


async def load(url: str, scene: Callable[[Seen], Any]) -> Seen:
    """Have clients ask until a scene has ended, and let them finish."""
    seen, ended = Seen(), asyncio.Event()

    async def work(first: int) -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=LONG) as client:
            for number in range(first, 1_000_000, CLIENTS):
                if ended.is_set():
                    return
                seen.note(*await ask(client, number))

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(work(number))
        await scene(seen)
        ended.set()
    return seen


def value(page: str, name: str) -> float:
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


@pytest.mark.slow
def test_endpoints_that_die_under_load_end_no_request_in_silence(
    endpoints: dict[str, Mortal], model_folders: dict[str, Path], tmp_path: Path
) -> None:
    async def scene(seen: Seen) -> None:
        await until(seen, "down", 5)  # the PRM is not there yet, and the strong model answers
        endpoints["prm"].restart()
        await until(seen, "scored", 5)
        for role, shows in (("weak", "refused 502"), ("strong", "refused 502"), ("prm", "down")):
            endpoints[role].kill()
            await until(seen, shows, 5)
            endpoints[role].restart()
            await until(seen, "scored", 2 * CLIENTS)

    endpoints["prm"].kill()
    deployed = on_endpoints({role: one.url for role, one in endpoints.items()}, model_folders, tmp_path)
    store = StepStore(tmp_path / "none", "x", keeps=False)
    with open_deployed(deployed, store, tmp_path) as opened:
        with live(create_app(opened, Limits(concurrent=CLIENTS), patience=Patience(5, 0.2))) as url:
            seen = asyncio.run(load(url, scene))
            page = httpx.get(f"{url}/metrics", timeout=LONG).text
            assert httpx.get(f"{url}/health", timeout=LONG).json() == {"status": "ok", "prm": "up"}
    counted = {o: value(page, f'trim_requests_total{{model="trim-thr-0.5",outcome="{o}"}}') for o in seen.outcomes}
    assert counted == dict(seen.outcomes) and value(page, "trim_requests_total{") == seen.outcomes.total()
    assert value(page, "trim_requests_under_way") == value(page, "trim_requests_waiting") == 0
    assert value(page, "trim_prm_down_steps_total") >= seen.down_steps > 0  # more: of streams that ended in errors
