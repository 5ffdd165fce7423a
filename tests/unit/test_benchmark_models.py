"""What benchmarks open of a finished experiment: routers where they were fitted, models where they were trained."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import latency, one_go, sweep  # noqa: E402
from benchmarks.common import Options  # noqa: E402
from trim.config.experiment import Experiment  # noqa: E402
from trim.config.models import PretrainedModel  # noqa: E402
from trim.config.reading import read_experiment  # noqa: E402
from trim.models.protocols import ModelPair  # noqa: E402
from trim.models.reading import StateMemory  # noqa: E402
from trim.problems.problem import Problem  # noqa: E402
from trim.rollout.tables import OperatingPoint  # noqa: E402
from trim.routers.controls import ALONE  # noqa: E402


class Asked(Exception):
    """Ends a benchmark as soon as it has asked for what a test is about."""


def test_a_sweep_reads_the_routers_of_the_dataset_that_they_were_fitted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def load(folder: Path) -> list[Any]:
        folders.append(folder)
        return []

    def stop(*_: Any) -> None:
        raise Asked

    monkeypatch.setattr(sweep, "step_router", lambda *_: SimpleNamespace(load=load))
    monkeypatch.setattr(sweep, "open_pair", lambda *_: ModelPair(None, None, None))  # type: ignore[arg-type]
    monkeypatch.setattr(sweep, "RolloutTrees", lambda *_: None)
    monkeypatch.setattr(sweep, "read_problems", lambda _: [])
    monkeypatch.setattr(sweep, "roll_out_all", stop)
    experiment = read_experiment(ROOT, [ROOT / "config/qwen_gsm8k.yaml"])
    with pytest.raises(Asked):
        sweep.count_in_store(experiment, Options(results=tmp_path, dataset="gsm8k"), tmp_path)
    assert folders == [tmp_path / f"routers/{name}/gsm8k-train/default.0" for name in ("trim-thr", "trim-pomdp")]


def test_a_solution_in_one_go_is_of_the_model_that_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(spec: Any, *_: Any) -> None:
        assert spec == PretrainedModel(name=str(tmp_path / "results/embedded/models/strong"))
        raise Asked

    monkeypatch.setattr(one_go, "build_writer", build)
    with pytest.raises(Asked):
        one_go.in_one_go(Experiment(), [], 9, tmp_path)


def test_latency_is_of_passes_of_as_many_rows_as_problems_are_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    monkeypatch.setattr(latency, "prm_wish", lambda _: None)
    monkeypatch.setattr(latency, "build_writer", lambda spec, store, live, device: rows.append(live))
    monkeypatch.setattr(latency, "load_prm", lambda folder, device, batch_size: rows.append(batch_size))
    latency.open_models(Experiment(), tmp_path, 8)
    assert rows == [8, 8, 8]


def test_several_problems_share_the_passes_of_a_model_in_process(
    tmp_path: Path, model_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "prm_wish", lambda _: None)
    monkeypatch.setattr(latency, "load_prm", lambda *_, **__: SimpleNamespace(memory=StateMemory(0)))
    own = {role: PretrainedModel(name=str(folder), dtype="float32") for role, folder in model_folders.items()}
    usual = Experiment()
    experiment = usual.model_copy(update={"pair": usual.pair.model_copy(update=own), "max_steps": 3})
    problems = [Problem(f"p{i}", "p", f"What is {i} plus {i}?", "1", f"{i:08x}") for i in range(4)]
    points = [*ALONE, OperatingPoint(latency.ONE_GO, "default", 1.0, ALONE[1].policy)]
    passes = {}
    for live in (1, 4):
        models = latency.open_models(experiment, tmp_path, live)
        asked = SimpleNamespace(clock="wall", limit=20)
        timed = latency.time_all(points, problems, models, live, 1 << 20, asked)
        assert [len(one.episodes) for one in timed] == [4, 4, 4]
        passes[live] = len([event for events in timed[1].events for event in events])
        assert models.readers["strong"]._pass_rows == live
    assert passes[4] < passes[1]
