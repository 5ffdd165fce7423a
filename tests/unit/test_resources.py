"""GPUs and memory of jobs, from where the config says the models run."""

from pathlib import Path
from typing import Any

import pytest
from overlays import completed

from trim.config.experiment import Experiment
from trim.config.parsing import parse_config
from trim.config.reading import read_experiment
from trim.config.serving import Role
from trim.models.resources import GGUF_MB, JOB_MB, LOADED_MB, SERVER_MB, job_gpus, job_memory_mb

ALL: tuple[Role, ...] = ("weak", "strong", "prm")


def served(**serving: Any) -> Experiment:
    return parse_config(completed("qwen_math.yaml") | {"serving": serving})


def test_the_embedded_experiment_needs_no_gpu_unless_told() -> None:
    assert job_gpus(Experiment(), ALL) == 0
    assert job_memory_mb(Experiment(), ALL) == JOB_MB
    assert job_gpus(parse_config({"pair": {"device": "cuda"}}), ALL) == 1


def test_servers_share_the_gpus_they_are_placed_on() -> None:
    assert job_gpus(served(), ALL) == 1
    assert job_gpus(served(servers={"strong": {"tensor_parallel": 2}}), ALL) == 2
    assert job_gpus(served(servers={"weak": {"gpus": [0]}, "prm": {"gpus": [1]}, "strong": {"gpus": [2, 3]}}), ALL) == 4
    assert job_gpus(served(servers={"strong": {"tensor_parallel": 2}}), ["prm"]) == 1
    assert job_memory_mb(served(), ["weak", "prm"]) == JOB_MB + 2 * SERVER_MB


def test_a_noisy_prm_takes_what_the_one_under_it_takes() -> None:
    content = completed("qwen_math.yaml")
    noisy = content | {"prms": {"qwen": content["prms"]["qwen"], "worse": {"kind": "noisy", "of": "qwen"}}}
    worse = parse_config(noisy | {"pair": content["pair"] | {"prm": "worse"}})
    assert (job_gpus(worse, ["prm"]), job_memory_mb(worse, ["prm"])) == (1, JOB_MB + SERVER_MB)


def test_what_runs_elsewhere_takes_nothing() -> None:
    elsewhere = {role: {"url": "http://localhost:1"} for role in ALL}
    assert job_gpus(served(endpoints=elsewhere), ALL) == 0
    assert job_memory_mb(served(endpoints=elsewhere), ALL) == JOB_MB
    api = parse_config(completed("api_math.yaml"))
    assert (job_gpus(api, ["strong"]), job_gpus(api, ALL)) == (0, 1)


GGUF = {"kind": "gguf", "file": "m.gguf", "sha256": "0" * 64}


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("cuda", 1)])
@pytest.mark.parametrize(
    ("model", "megabytes"), [({"kind": "pretrained", "name": "a/model"}, LOADED_MB), (GGUF, GGUF_MB)]
)
def test_pretrained_models_are_loaded_in_the_job(device: str, gpus: int, model: dict[str, str], megabytes: int) -> None:
    pair = {"weak": model, "strong": model, "device": device}
    prms = {"verifier": {"kind": "served", "name": "a/prm"}}
    experiment = parse_config({"pair": pair, "prms": prms, "reported_prms": []})
    assert job_gpus(experiment, ["weak", "strong"]) == gpus
    assert job_memory_mb(experiment, ["weak", "strong"]) == JOB_MB + 2 * megabytes


def test_a_prm_that_reads_with_a_model_of_the_pair_takes_what_that_takes_once() -> None:
    root = Path(__file__).parents[2]
    gsm8k = read_experiment(root, [root / "config/qwen_gsm8k.yaml"])
    assert job_memory_mb(gsm8k, ["prm"]) == JOB_MB + GGUF_MB
    assert job_memory_mb(gsm8k, ALL) == JOB_MB + 2 * GGUF_MB
    assert job_memory_mb(gsm8k, ["prm"], "noisy") == JOB_MB + GGUF_MB
    on_gpu = gsm8k.model_copy(update={"pair": gsm8k.pair.model_copy(update={"device": "cuda"})})
    assert (job_gpus(gsm8k, ["prm"]), job_gpus(on_gpu, ["prm"])) == (0, 1)
