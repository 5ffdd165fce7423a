"""A served PRM is believed only where it gives the scores that it is known to give."""

import asyncio
import json
import shutil
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from trim.cli import app
from trim.config.models import ServedPRM
from trim.errors import BackendError, InputError
from trim.files import write_json
from trim.models.prm import SHARD_INDEX, load_classifier
from trim.models.protocols import Prefix
from trim.models.served.golden import check_scores, golden_solutions, write_golden
from trim.models.tiny import STEP_TAG

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def spec(classifier_folder: Path) -> ServedPRM:
    return ServedPRM(name=str(classifier_folder), step_tag=STEP_TAG, keeps_separator=True)


def test_golden_scores_are_those_of_the_transformers_backend(spec: ServedPRM, tmp_path: Path) -> None:
    computed = golden_solutions(spec, tmp_path / "cache.json")
    write_golden(spec, tmp_path / "golden.json")
    stored = spec.model_copy(update={"golden": str(tmp_path / "golden.json")})
    assert golden_solutions(stored, tmp_path / "never.json") == computed
    assert not (tmp_path / "never.json").exists()
    elsewhere = spec.model_copy(update={"name": "gone"})  # what was computed is not computed again
    assert golden_solutions(elsewhere, tmp_path / "cache.json") == computed
    judge = load_classifier(spec.name, batch_size=4)
    scores = [score for solution in computed for score in solution.scores]
    for solution in computed:
        prefix = Prefix.of(solution.problem, *solution.steps)
        assert judge.run([prefix])[0].value == pytest.approx(solution.scores[-1], abs=1e-6)
    assert len(scores) == 10
    assert max(scores) - min(scores) > 0.02  # or every PRM would pass


@pytest.mark.parametrize(("off", "refused"), [(0.009, False), (0.011, True)])
def test_a_score_that_is_off_is_refused(spec: ServedPRM, off: float, refused: bool, tmp_path: Path) -> None:
    golden = golden_solutions(spec, tmp_path / "golden.json")
    known = {solution.steps: list(solution.scores) for solution in golden}

    async def score_steps(prefix: Prefix) -> tuple[list[float], int]:
        scores = known[prefix.steps]
        return [*scores[:-1], scores[-1] + off], 10

    check = check_scores(score_steps, golden, "p")
    if refused:
        with pytest.raises(BackendError, match=r"PRM p: the server gives step 3 of the golden solution to 'work out"):
            asyncio.run(check)
    else:
        asyncio.run(check)


def scored(scores: Any) -> dict[str, Any]:
    return {"solutions": [{"problem": "p", "steps": ["a"], "scores": scores}]}


@pytest.mark.parametrize(
    "content",
    [{}, {"solutions": 5}, {"solutions": [], "more": 1}]
    + [scored(value) for value in ([2], [-0.5], [nan], [inf], ["0.5"], [True], [0.5, 0.5], [], 0.5)],
)
def test_golden_scores_that_can_be_none_are_named(spec: ServedPRM, tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "golden.json"
    write_json(content, path)
    with pytest.raises(InputError, match=r"golden.json: no golden scores; write it by `trim golden`"):
        golden_solutions(spec.model_copy(update={"golden": str(path)}), tmp_path / "never.json")


@pytest.mark.parametrize("content", [None, b"{", b"{}", b"[]", b"\xff\xfe{\0", b"[" * 5000])
def test_a_file_without_golden_scores_is_named(spec: ServedPRM, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "golden.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"golden.json: .*; write it by `trim golden`"):
        golden_solutions(spec.model_copy(update={"golden": str(path)}), tmp_path / "never.json")


def test_golden_scores_of_another_program_need_no_checksum(spec: ServedPRM, tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(scored([0.5])))
    (solution,) = golden_solutions(spec.model_copy(update={"golden": str(path)}), tmp_path / "never.json")
    assert list(solution.scores) == [0.5]


def test_a_checkpoint_in_shards_is_read(spec: ServedPRM, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "sharded"
    shutil.copytree(spec.name, folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {key: "b.safetensors" if key == "score.2.bias" else "a.safetensors" for key in weights}
    for file in sorted(set(names.values())):
        save_file({key: weights[key] for key in weights if names[key] == file}, folder / file, {"format": "pt"})
    (folder / SHARD_INDEX).write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": names}))
    prefix = Prefix.of("work out 1 + 1", "1 + 1 = 2\n\n")
    whole, sharded = (load_classifier(name, batch_size=1).run([prefix]) for name in (spec.name, folder))
    assert whole == sharded


def test_the_command_writes_a_file(spec: ServedPRM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    overlay, out = tmp_path / "overlay.yaml", tmp_path / "golden.json"
    changes: dict[str, Any] = {"prms": {"judge": spec.model_dump(mode="json")}}
    overlay.write_text(yaml.safe_dump(changes))
    done = CliRunner().invoke(app, ["golden", str(overlay), str(out), "--prm", "judge"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(out.read_text())["solutions"]) == 3
    done = CliRunner().invoke(app, ["golden", str(overlay), str(out)])
    assert done.exit_code == 1
    assert "prms.verifier is no served PRM" in done.output
