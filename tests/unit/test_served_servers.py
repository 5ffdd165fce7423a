"""Servers of a job: started when a step is missing, and gone when the job is, however it ends."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from trim.config.models import Sampling, ServedModel, ServedPRM
from trim.config.serving import ServerOptions, Serving
from trim.errors import BackendError
from trim.models.opening import open_pair
from trim.models.protocols import Prefix
from trim.models.served.servers import Servers
from trim.models.served.vllm import server_arguments
from trim.models.store import StepStore
from trim.models.tiny import STEP_TAG

FAKE = Path(__file__).parents[1] / "fake_server.py"
SAMPLING = Sampling(temperature=0.0, max_step_tokens=8)
PREFIX = Prefix.of("work out 1 + 1")


def serving(**changes: Any) -> Serving:
    return Serving(**{"command": (sys.executable, str(FAKE)), "retry_for": 20.0, **changes})


def served(folder: Path) -> ServedModel:
    return ServedModel(name=str(folder), max_model_len=512)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the processes that are started as servers."""
    pids: list[int] = []
    popen = subprocess.Popen

    def note(*arguments: Any, **options: Any) -> Any:
        process = popen(*arguments, **options)
        pids.append(process.pid)
        return process

    monkeypatch.setattr("trim.models.served.servers.subprocess.Popen", note)
    return pids


def test_servers_start_with_the_first_missing_step_and_stop_with_the_job(
    model_folders: dict[str, Path], classifier_folder: Path, tmp_path: Path, started: list[int]
) -> None:
    store = StepStore(tmp_path / "store", "p")
    weak, prm = (
        served(model_folders["weak"]),
        ServedPRM(name=str(classifier_folder), step_tag=STEP_TAG, max_model_len=512),
    )
    with closing(Servers(serving(), tmp_path / "logs")) as servers:
        pair = open_pair(weak, weak, {}, SAMPLING, store, 1, prm=prm, servers=servers)
        assert not started
        step = asyncio.run(pair.weak.step(PREFIX, 0))
        assert pair.prm is not None
        asyncio.run(pair.prm.score(PREFIX, step.text))  # the golden scores agree, so the step tag arrived
        assert len(started) == 3
        assert not any(map(is_gone, started))
        store.flush()
    assert all(map(is_gone, started))
    assert "--max-model-len" not in (tmp_path / "logs" / "server-weak.log").read_text()  # understood, not left over
    noted = [json.loads(pq.read_schema(path).metadata[b"trim"]) for path in tmp_path.rglob("*.parquet")]
    assert {"weak": "vLLM 0.32.0", "prm": "vLLM 0.32.0"} in noted
    with closing(Servers(serving(command=("no-such-command",)), tmp_path)) as servers:
        again = open_pair(weak, weak, {}, SAMPLING, StepStore(tmp_path / "store", "p"), 1, prm=prm, servers=servers)
        assert asyncio.run(again.weak.step(PREFIX, 0)) == step  # nothing is missing, nothing is started


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"environment": {"FAKE_START": "fail"}},
            r"ended with status 1; the end of .*server-weak.log: .*no GPU here",
        ),
        (
            {"environment": {"FAKE_START": "hang"}, "start_timeout": 12.0},
            r"not ready after 12 s .*the end of .*server-weak.log: arguments: --served-model-name",
        ),
        ({"command": ("no-such-command",)}, r"cannot start a server by 'no-such-command' .*install vLLM, set serving"),
    ],
    ids=["fails", "hangs", "missing"],
)
def test_a_server_that_does_not_start_says_why(
    model_folders: dict[str, Path], tmp_path: Path, started: list[int], changes: dict[str, Any], sentence: str
) -> None:
    with closing(Servers(serving(**changes), tmp_path)) as servers:
        servers.serve("weak", served(model_folders["weak"]))
        with pytest.raises(BackendError, match=sentence):
            servers.client("weak")
    assert all(map(is_gone, started))


def test_a_server_that_dies_in_between_is_one_error_and_a_rerun_finishes(
    model_folders: dict[str, Path], tmp_path: Path, started: list[int]
) -> None:
    weak = served(model_folders["weak"])

    def steps(faults: list[Any], folder: str) -> list[Any]:
        store = StepStore(tmp_path / folder, "p")
        environment = {"FAKE_FAULTS": json.dumps(faults)}
        with closing(Servers(serving(environment=environment), tmp_path)) as servers:
            pair = open_pair(weak, weak, {}, SAMPLING, store, 1, servers=servers)
            try:
                return [asyncio.run(pair.weak.step(PREFIX, replicate)) for replicate in range(4)]
            finally:
                store.flush()

    with pytest.raises(BackendError, match=r"the weak server ended with status 3; the end of .*server-weak.log"):
        steps([None, None, "die"], "killed")
    assert steps([], "killed") == steps([], "whole")
    assert all(map(is_gone, started))


JOB = """
import asyncio, sys
from contextlib import closing
from pathlib import Path
from trim.config.models import ServedModel
from trim.config.serving import Serving
from trim.models.served.servers import Servers

folder, fake, logs = sys.argv[1:]
with closing(Servers(Serving(command=(sys.executable, fake)), Path(logs))) as servers:
    servers.serve("weak", ServedModel(name=folder, max_model_len=512))
    servers.client("weak")
    print(next(iter(servers._running.values())).process.pid, flush=True)
    {then}
"""


@pytest.mark.parametrize(
    ("then", "end"),
    [
        ("asyncio.run(asyncio.sleep(60))", lambda job: job.send_signal(signal.SIGTERM)),
        ("asyncio.run(asyncio.sleep(60))", lambda job: job.send_signal(signal.SIGINT)),
        ("raise RuntimeError('as told')", lambda job: None),
    ],
    ids=["SIGTERM", "SIGINT", "exception"],
)
def test_servers_go_when_a_job_is_ended(
    model_folders: dict[str, Path], tmp_path: Path, then: str, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    command = [sys.executable, "-c", JOB.format(then=then), str(model_folders["weak"]), str(FAKE), str(tmp_path)]
    job = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # ignored in what a shell put in the background
    assert job.stdout is not None
    pid = int(job.stdout.readline())
    if "sleep" in then:
        assert not is_gone(pid)
        time.sleep(0.2)
    end(job)
    assert job.wait(60) != 0
    assert is_gone(pid)
    job.stdout.close()


def test_what_a_server_is_told() -> None:
    options = ServerOptions(tensor_parallel=2, memory_fraction=0.55, arguments=("--enforce-eager",))
    told = server_arguments(ServedModel(name="a/b", revision="abc", max_model_len=8192), options, 8001)
    assert told[:5] == ["a/b", "--served-model-name", "a/b", "--host", "127.0.0.1"]
    behind = dict(itertools.pairwise(told))
    assert behind["--port"] == "8001"
    assert behind["--revision"] == "abc"
    assert behind["--max-model-len"] == "8192"
    assert behind["--tensor-parallel-size"] == "2"
    assert behind["--gpu-memory-utilization"] == "0.55"
    assert told[-1] == "--enforce-eager"
    told = server_arguments(ServedPRM(name="p"), ServerOptions(), 8001, step_tag_id=7)
    assert "--max-num-batched-tokens" not in told
    assert told[told.index("--runner") + 1] == "pooling"
    pooler = json.loads(told[told.index("--pooler-config") + 1])
    assert "--max-num-batched-tokens" not in told  # scores are drawn from no seed
    assert pooler == {"pooling_type": "STEP", "step_tag_id": 7, "returned_token_ids": [0, 1]}


@pytest.mark.parametrize(("longest", "batched"), [(512, "16384"), (16_384, "16384"), (40_960, "40960")])
def test_prompts_are_read_whole(longest: int, batched: str) -> None:
    told = server_arguments(ServedModel(name="a", max_model_len=longest), ServerOptions(), 8001)
    assert "--no-enable-chunked-prefill" in told
    assert told[told.index("--max-num-batched-tokens") + 1] == batched
    mine = ServerOptions(arguments=("--max-num-batched-tokens", "65536"))
    assert server_arguments(ServedModel(name="a"), mine, 8001)[-2:] == ["--max-num-batched-tokens", "65536"]  # wins
