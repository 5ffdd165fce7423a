"""A small server that speaks vLLM's dialect, faults included; in a thread, or by itself like `vllm serve`.

What it answers is what vLLM 0.32 was seen to answer: how a stop string, an end of sequence
and a token limit show; that a step tag which the pooler does not know gives status 200 and no
data; that usage counts the stop tokens. Steps and scores come from a tiny model, or are scripted.
"""

import argparse
import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from trim.models.prm import load_classifier
from trim.models.sampling import sample
from trim.models.transformers_backend import load_model

VLLM_STEP_TAG = 151651  # of Qwen2.5-Math-PRM, used whatever the model
VERSION = "0.32.0"
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Model:
    """Answers completions and pooling requests as vLLM does."""

    def __init__(self, folder: Path, max_model_len: int = 2048, step_tag_id: int = VLLM_STEP_TAG) -> None:
        self.name = str(folder)
        self.max_model_len = max_model_len
        self._step_tag_id = step_tag_id
        self._lock = threading.Lock()
        pooling = "Process" in json.loads((folder / "config.json").read_text())["architectures"][0]
        self._judge = load_classifier(folder, batch_size=1) if pooling else None
        self._model, self._tokenizer = load_model(folder, head=not pooling)

    def completions(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt, tokenizer = body["prompt"], self._tokenizer
        if not prompt or len(prompt) >= self.max_model_len:
            raise ValueError("the prompt is empty or too long")
        ids, generator = list[int](), torch.Generator().manual_seed(body["seed"])
        for _ in range(min(body["max_tokens"], self.max_model_len - len(prompt))):
            with self._lock, torch.inference_mode():
                logits = self._model(torch.tensor([prompt + ids])).logits[:, -1]
            draw = torch.rand(1, generator=generator, dtype=torch.float64)
            ids.append(int(sample(logits, draw, _Sampling(body))))
            text = tokenizer.decode(ids, skip_special_tokens=True)
            if ids[-1] == tokenizer.eos_token_id or body["stop"][0] in text:
                break
        return completion(tokenizer, ids, body)

    def pooling(self, body: dict[str, Any]) -> dict[str, Any]:
        ids = body["input"]
        if len(ids) > self.max_model_len:
            raise ValueError("the prompt is too long")
        assert self._judge is not None
        with self._lock, torch.inference_mode():
            hidden = self._model(torch.tensor([ids])).last_hidden_state[0]
            rows = torch.softmax(self._judge.head(hidden), -1).tolist()
        return pooled([row for row, i in zip(rows, ids, strict=True) if i == self._step_tag_id], ids)


class Script:
    """Answers the same requests by pure functions of the prompt: solutions of two to four steps."""

    def __init__(self, name: str, tokenizer: Any, step_tag_id: int | None = None) -> None:
        self.name = name
        self.max_model_len = 2048
        self._tokenizer = tokenizer
        self._step_tag_id = step_tag_id

    def completions(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        number = _draw(self.name, prompt, body["seed"])
        depth = prompt.count(self._tokenizer.encode("\n\n")[0])
        end = "\n\n" if depth < 1 + number % 3 else self._tokenizer.eos_token
        ids = self._tokenizer.encode(f"{number % 97} + 1 = {number % 89}{end}")
        return completion(self._tokenizer, ids[: body["max_tokens"]], body)

    def pooling(self, body: dict[str, Any]) -> dict[str, Any]:
        ids = body["input"]
        ends = [i + 1 for i, token in enumerate(ids) if token == self._step_tag_id]
        scores = [_draw(self.name, ids[:end]) % 1001 / 1000 for end in ends]
        return pooled([[1 - score, score] for score in scores], ids)


def completion(tokenizer: Any, ids: list[int], body: dict[str, Any]) -> dict[str, Any]:
    """Lay decoded tokens out as vLLM does."""
    text = tokenizer.decode(ids, skip_special_tokens=True)
    choice: dict[str, Any] = {"index": 0, "finish_reason": "length", "stop_reason": None, "token_ids": ids}
    if ids[-1] == tokenizer.eos_token_id:
        choice |= {"finish_reason": "stop"}
    elif (stop := body["stop"][0]) in text:
        text = text[: text.index(stop) + len(stop)]
        choice |= {"finish_reason": "stop", "stop_reason": stop}
    usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": len(ids)}
    return {"object": "text_completion", "choices": [{**choice, "text": text}], "usage": usage}


def pooled(rows: list[list[float]], ids: list[int]) -> dict[str, Any]:
    """Lay class probabilities out as vLLM does."""
    usage = {"prompt_tokens": len(ids), "total_tokens": len(ids), "completion_tokens": 0}
    return {"object": "list", "data": [{"index": 0, "object": "pooling", "data": rows}], "usage": usage}


def _draw(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "little")


class _Sampling:
    def __init__(self, body: dict[str, Any]) -> None:
        self.temperature, self.top_p, self.top_k = body["temperature"], body["top_p"], max(body["top_k"], 0)


def halved(answer: dict[str, Any]) -> dict[str, Any]:
    """Lose the second half of a batch."""
    if "choices" in answer:
        return {**answer, "choices": answer["choices"][: len(answer["choices"]) // 2]}
    rows = answer["data"][0]["data"]
    return {**answer, "data": [{**answer["data"][0], "data": rows[: len(rows) // 2]}]}


class FakeServer(ThreadingHTTPServer):
    """The server; `faults` are taken one a request, from the front.

    A fault is a status, "garbage", "half", "empty", "drop" (the connection), "die" (the
    process), a number of seconds to wait, or what to send; None is no fault.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, answers: dict[str, Answer], port: int = 0, max_model_len: int = 2048) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers = answers
        self.models = {"data": [{"id": name, "max_model_len": max_model_len}]}
        self.faults: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.seconds = 0.0
        """That every answer takes."""
        self.most_at_once = self._at_once = 0
        self._sockets: set[Any] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> "FakeServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self.server_close()

    def kill(self) -> None:
        """End as a killed process does: nobody listens any more, and what is under way breaks off."""
        self.__exit__()
        for connection in list(self._sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke off."""

    def note(self, body: dict[str, Any], headers: dict[str, str]) -> Any:
        """Remember a request and return its fault."""
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self.faults.pop(0) if self.faults else None

    def leave(self) -> None:
        with self._lock:
            self._at_once -= 1


def fake_vllm(model: Model | Script, port: int = 0) -> FakeServer:
    answers = {"/v1/completions": model.completions, "/pooling": model.pooling}
    return FakeServer(model.name, answers, port, model.max_model_len)


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: in two, each waits for an acknowledgement

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        pages = {"/health": {}, "/version": {"version": VERSION}, "/v1/models": self.server.models}
        self._send(200 if self.path in pages else 404, json.dumps(pages.get(self.path, {})))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.server.note(body, dict(self.headers))
        try:
            self._answer(body, fault)
        finally:
            self.server.leave()

    def _answer(self, body: dict[str, Any], fault: Any) -> None:
        if fault == "die":
            os._exit(3)
        if fault == "drop":
            self.connection.close()
            return
        if fault == "garbage":
            return self._send(200, "<html>busy</html>")
        if isinstance(fault, dict):
            return self._send(**fault)
        if isinstance(fault, int):
            return self._send(fault, '{"error": {"message": "as told"}}', {"Retry-After": "0"})
        time.sleep(fault if isinstance(fault, float) else self.server.seconds)
        try:
            answer = self.server.answers[self.path](body)
        except ValueError as error:
            return self._send(400, json.dumps({"error": {"message": str(error)}}))
        if fault == "half":
            answer = halved(answer)
        if fault == "empty":
            answer = {**answer, "data": [], "choices": []}
        self._send(200, json.dumps(answer))

    def _send(self, status: int = 200, text: str = "{}", headers: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serve one model, as `vllm serve` would; FAKE_FAULTS holds the faults of the first requests."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--pooler-config", type=json.loads, default={})
    options, others = parser.parse_known_args()
    print("arguments:", *others, flush=True)
    if os.environ.get("FAKE_START") == "fail":
        sys.exit("no GPU here")
    if os.environ.get("FAKE_START") == "hang":
        time.sleep(600)
    torch.set_num_threads(1)
    model = Model(options.model, options.max_model_len, options.pooler_config.get("step_tag_id", VLLM_STEP_TAG))
    server = fake_vllm(model, options.port)
    server.faults = json.loads(os.environ.get("FAKE_FAULTS", "[]"))
    server.serve_forever()


if __name__ == "__main__":
    main()
