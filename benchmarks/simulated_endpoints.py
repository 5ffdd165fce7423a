"""A model server that answers as vLLM does, after the time that a model would take; for `benchmarks/load.py`.

    python benchmarks/simulated_endpoints.py NAME PORT SECONDS [--step-tag ID]

A step takes SECONDS, give or take a third; one in six ends the solution. With a step tag it is a PRM: it scores every
place where the tag stands. What it answers is a function of the request alone, so that a replay gets the same.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

VERSION = "0.32.0"
CONTEXT = 2048
KEEP_ALIVE = 3600
"""Seconds for which an idle connection stays: one that is closed as a request comes is a fault of its own."""
Messages = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def draw(*parts: object) -> int:
    """Return a number that is a function of the parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "little")


def step(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Write a step; its tokens are counted, nobody reads them."""
    number = draw(name, body["prompt"], body["seed"])
    ends = number % 6 == 0
    text = f"\\boxed{{{number % 19}}}" if ends else f"{number % 89} + 1 = {number % 89 + 1}\n\n"
    choice = {"index": 0, "text": text, "token_ids": [7] * min(12, body["max_tokens"]), "finish_reason": "stop"}
    usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": len(choice["token_ids"])}
    return {"choices": [{**choice, "stop_reason": None if ends else "\n\n"}], "usage": usage}


def scores(name: str, body: dict[str, Any], tag: int) -> dict[str, Any]:
    """Score the steps of a prompt, evenly over [0, 1]."""
    ends = [place + 1 for place, token in enumerate(body["input"]) if token == tag]
    values = [draw(name, body["input"][:end]) % 1001 / 1000 for end in ends]
    rows = [[1 - value, value] for value in values]
    return {"data": [{"index": 0, "data": rows}], "usage": {"prompt_tokens": len(body["input"])}}


def app_of(name: str, seconds: float, tag: int | None) -> Callable[..., Awaitable[None]]:
    """Return the server."""
    pages = {
        "/health": {},
        "/version": {"version": VERSION},
        "/v1/models": {"data": [{"id": name, "max_model_len": CONTEXT}]},
    }

    async def app(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        if scope["type"] != "http":
            return
        content = pages.get(scope["path"])
        if content is None:
            data, more = b"", True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                data, more = data + message.get("body", b""), message.get("more_body", False)
            body = json.loads(data)
            content = step(name, body) if tag is None else scores(name, body, tag)
            await asyncio.sleep(seconds * (2 / 3 + draw(data) % 1000 / 1500))
        answer = json.dumps(content).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--step-tag", type=int)
    asked = parser.parse_args()
    app = app_of(asked.name, asked.seconds, asked.step_tag)
    uvicorn.run(app, port=asked.port, log_level="warning", lifespan="off", timeout_keep_alive=KEEP_ALIVE)


if __name__ == "__main__":
    main()
