"""A deployed router: its manifest, its model names, and one problem under it, step by step."""

import asyncio
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from deployed import BrokenScorer, manifest, opened
from rich.console import Console
from typer.testing import CliRunner

from trim.cli import app
from trim.config.models import PretrainedModel
from trim.deploy import opening
from trim.deploy.answering import Answering, Capped, Reason, ToldStep, as_problem
from trim.deploy.inspecting import inspect
from trim.deploy.manifest import (
    MANIFEST,
    Deployed,
    Point,
    Review,
    folder_sha256,
    read_manifest,
    relative,
    write_manifest,
)
from trim.deploy.opening import model_names, operating_point
from trim.deploy.solving import show
from trim.errors import BackendError, ConfigError, InputError, TrimError
from trim.models.protocols import ModelPair
from trim.models.store import StepStore, StoredStepModel
from trim.problems.problem import Problem
from trim.rollout.engine import solve
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.threshold import FittedThresholds, OneStepTakeover, Threshold
from trim.serve.app import create_app

MakePair = Callable[[], ModelPair]
MakeProblems = Callable[[int], list[Problem]]


def steps_of(answering: Answering) -> list[ToldStep]:
    async def collect() -> list[ToldStep]:
        return [step async for step in answering.steps()]

    return asyncio.run(collect())


# --- the manifest -----------------------------------------------------------------------


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    deployed = Deployed(manifest(), tmp_path)
    write_manifest(deployed)
    assert read_manifest(tmp_path) == read_manifest(tmp_path / MANIFEST) == deployed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pints": {}}, "unknown key 'pints'"),
        ({"weak": None}, "weak"),
        ({"points": {}}, "names no operating point"),
        ({"format": 2}, "format"),
    ],
)
def test_a_manifest_with_a_wrong_key_is_refused(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    content = manifest().model_dump(mode="json") | change
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=sentence):
        read_manifest(tmp_path)


def test_a_manifest_that_was_changed_after_it_was_written_is_refused(tmp_path: Path) -> None:
    write_manifest(Deployed(manifest(), tmp_path))
    path = tmp_path / MANIFEST
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(InputError, match="changed after it was written"):
        read_manifest(tmp_path)


def test_where_there_is_no_manifest_one_is_told_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trim calibrate"):
        read_manifest(tmp_path)


def test_a_review_is_of_the_content_that_was_looked_at() -> None:
    found = manifest()
    reviewed = found.model_copy(update={"review": Review(by="A", date="2026-01-01", content=found.content_hash)})
    assert reviewed.is_reviewed and not found.is_reviewed
    assert not reviewed.model_copy(update={"max_steps": 7}).is_reviewed


def test_another_policy_than_the_calibrated_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "policies" / "default.0"
    FittedThresholds("trim-thr", "default", [0.25, 0.5]).save(folder, {})
    point = Point(
        router="trim-thr", setting=0.5, policy=relative(folder, tmp_path), policy_sha256=folder_sha256(folder)
    )
    deployed = Deployed(manifest(points={"mine": point}), tmp_path)
    deployed.check()
    assert operating_point(deployed, "mine").policy == Threshold(0.5)
    (folder / "more").write_text("x")
    with pytest.raises(InputError, match="not what was calibrated"):
        deployed.check()


def test_what_was_fitted_is_read_once(scripted_pair: MakePair, tmp_path: Path) -> None:
    FittedThresholds("trim-thr", "default", [0.25, 0.5]).save(tmp_path / "default.0", {})
    points = {"mine": Point(router="trim-thr", setting=0.5, policy="./default.0")}
    ready = opened(scripted_pair(), tmp_path, points=points)
    first = ready.at("mine")
    assert first.policy == Threshold(0.5) and ready.at("mine") is first
    assert ready.at("trim-thr-0.4") is not ready.at("trim-thr-0.4")  # there are as many as clients make up


def test_a_server_has_read_all_its_points_before_the_first_request(
    scripted_pair: MakePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FittedThresholds("trim-thr", "default", [0.25, 0.5]).save(tmp_path / "default.0", {})
    read: list[Path] = []

    def load(folder: Path) -> Any:
        read.append(folder)
        return known.load(folder)

    known = opening.step_router("trim-thr", manifest().routers)
    monkeypatch.setattr(opening, "step_router", lambda *_: SimpleNamespace(load=load))
    points = {
        name: Point(router="trim-thr", setting=setting, policy="./default.0")
        for name, setting in (("a", 0.25), ("b", 0.5))
    }
    ready = opened(scripted_pair(), tmp_path, points=points)
    create_app(ready)
    assert set(ready.loaded) == {"a", "b"} and len(read) == 1
    faulty = opened(
        scripted_pair(), tmp_path, points={"c": Point(router="trim-thr", setting=0.7, policy="./default.0")}
    )
    with pytest.raises(InputError, match="points.c: trim-thr has no operating point 0.7"):
        create_app(faulty)


# --- model names ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("trim-thr-0.5", Threshold(0.5)),
        ("trim-thr-0.85", Threshold(0.85)),
        ("weak-only", WeakOnly()),
        ("strong-only", StrongOnly()),
    ],
)
def test_a_model_name_says_what_decides(name: str, policy: object) -> None:
    assert operating_point(Deployed(manifest(), Path()), name).policy == policy


def test_an_unknown_model_name_lists_those_that_there_are() -> None:
    deployed = Deployed(manifest(), Path())
    with pytest.raises(InputError, match="there is no model 'gpt'; there are trim-thr-0.5, weak-only"):
        operating_point(deployed, "gpt")
    assert model_names(Deployed(manifest(prm=None), Path())) == ["trim-thr-0.5", "weak-only", "strong-only"]


@pytest.mark.parametrize(
    ("point", "sentence"),
    [
        (Point(router="trim-pomdp", setting=0.4), "is a fitted one"),
        (Point(router="rsd", setting=0.4), "has no operating point 0.4; there are"),
        (Point(router="x", setting=1), "there is no router 'x'; there are .*trim-pomdp"),
    ],
)
def test_a_point_without_what_it_needs_is_refused(point: Point, sentence: str) -> None:
    with pytest.raises(TrimError, match=f"points.mine: .*{sentence}"):
        operating_point(Deployed(manifest(points={"mine": point}), Path()), "mine")


def test_a_point_that_reads_scores_needs_a_prm() -> None:
    deployed = Deployed(manifest(prm=None), Path())
    with pytest.raises(ConfigError, match=r"points.trim-thr-0.5: trim-thr reads the scores of a PRM: name one"):
        operating_point(deployed, "trim-thr-0.5")
    assert operating_point(deployed, "weak-only").policy == WeakOnly()


# --- one problem ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trim-thr-0.5", "weak-only", "strong-only"])
def test_the_steps_are_those_of_the_engine(scripted_pair: MakePair, make_problems: MakeProblems, name: str) -> None:
    ready = opened(scripted_pair())
    for problem in make_problems(5):
        answering = Answering(ready, ready.at(name), problem, seed=3)
        told = steps_of(answering)
        expected = asyncio.run(solve(problem, ready.at(name).policy, scripted_pair(), 3, 30))
        assert answering.episode == expected
        assert [step.text for step in told] == [kept.step.text for kept in expected.kept]
        wanted = {"weak-only": {Reason.KEPT}, "strong-only": {Reason.UNDRAFTED}}
        assert {step.reason for step in told} <= wanted.get(name, {Reason.KEPT, Reason.ROUTER})


def test_a_threshold_says_on_which_side_the_score_is(scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    ready = opened(scripted_pair())
    told = [s for p in make_problems(5) for s in steps_of(Answering(ready, ready.at("trim-thr-0.5"), p, 0))]
    assert {step.reason for step in told} == {Reason.KEPT, Reason.ROUTER}
    for step in told:
        assert step.score is not None
        assert (step.reason is Reason.ROUTER) == (step.author == "strong") == (step.score < 0.5)
        assert f"score {step.score:.3f} is {'below' if step.author == 'strong' else 'not below'} 0.5" == step.why


@pytest.mark.parametrize("budget", [0, 40, 64, 100])
@pytest.mark.parametrize("policy", [StrongOnly(), Threshold(0.5), OneStepTakeover(0.5)])
def test_the_strong_model_stays_within_its_budget(
    scripted_pair: MakePair, make_problems: MakeProblems, budget: int, policy: object
) -> None:
    ready = opened(scripted_pair())
    reasons = set()
    for problem in make_problems(10):
        point = replace(ready.at("trim-thr-0.5"), policy=policy)
        answering = Answering(ready, point, problem, 0, max_strong_tokens=budget)
        reasons |= {step.reason for step in steps_of(answering)}
        assert answering.costs.strong_tokens <= budget
    assert Reason.BUDGET in reasons or budget > 40
    assert (Reason.ROUTER in reasons) == (budget >= 32)


def test_a_budget_that_is_never_spent_changes_no_decision(scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    for policy in (Threshold(0.5), OneStepTakeover(0.5)):
        for problem in make_problems(10):
            plain = asyncio.run(solve(problem, policy, scripted_pair(), 0, 30))
            capped = asyncio.run(solve(problem, Capped(policy, 10**6, 32), scripted_pair(), 0, 30))
            assert [kept.by_strong for kept in plain.kept] == [kept.by_strong for kept in capped.kept]


@pytest.mark.parametrize("answers", [0, 2])
def test_where_the_prm_fails_the_strong_model_goes_on(
    scripted_pair: MakePair, make_problems: MakeProblems, answers: int
) -> None:
    pair = scripted_pair()
    broken = BrokenScorer(pair.prm, answers)
    ready = opened(replace(pair, prm=broken))
    answering = Answering(ready, ready.at("trim-thr-0.5"), make_problems(1)[0], 0, falls_back=True)
    told = steps_of(answering)
    assert all(step.reason in (Reason.KEPT, Reason.ROUTER) for step in told[:answers])
    assert {(step.author, step.reason) for step in told[answers:]} == {("strong", Reason.PRM_DOWN)}
    assert broken.asked == answers + 1 and len(told) > answers + 1
    assert answering.costs.prm_calls == answers


def test_without_a_fallback_a_prm_that_fails_is_an_error(scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    pair = scripted_pair()
    ready = opened(replace(pair, prm=BrokenScorer(pair.prm, 1)))
    with pytest.raises(BackendError, match="the PRM is down"):
        steps_of(Answering(ready, ready.at("trim-thr-0.5"), make_problems(1)[0], 0))


def test_a_problem_is_shown_step_by_step_with_its_costs(scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    ready, page = opened(scripted_pair()), io.StringIO()
    answering = Answering(ready, ready.at("trim-thr-0.5"), make_problems(1)[0], 5)
    show(answering, Console(file=page, width=120), drafts=True)
    text = page.getvalue()
    for step in answering.told:
        assert step.text.strip() in text and step.why in text
        assert step.author == "weak" or (step.draft and step.draft.strip() in text)
    assert f"answer: {answering.episode.answer or 'none'}" in text and "seed 5" in text
    assert f"{answering.costs.strong_tokens}" in text and "prices.api" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name one problem"),
        (["  "], "the problem is empty"),
        (["1 + 1", "--file", "x"], "name one problem"),
        (["--file", "nowhere"], "nowhere: cannot be read"),
        (["1 + 1"], "weak: .* does not exist"),
    ],
)
def test_solve_says_in_one_sentence_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_manifest(Deployed(manifest(weak=PretrainedModel(name="./gone")), tmp_path))
    done = CliRunner().invoke(app, ["solve", *arguments, "--deployed", "."])
    assert done.exit_code == 1 and "Traceback" not in done.output
    assert re.search(sentence, done.output)


def test_a_step_store_is_looked_into(tmp_path: Path, scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    pair, store = scripted_pair(), StepStore(tmp_path, "mine.test")
    stored = ModelPair(StoredStepModel(pair.weak, store), StoredStepModel(pair.strong, store), None)
    steps_of(Answering(opened(stored), opened(stored).at("weak-only"), make_problems(1)[0], 0))
    store.flush()
    page = io.StringIO()
    for said in inspect(tmp_path):
        Console(file=page, width=120).print(said)
    row = next(line for line in page.getvalue().splitlines() if "weak" in line)
    assert "mine.test" in row and f" {len(pair.weak.calls)} " in row


def test_a_text_is_the_same_problem_each_time() -> None:
    assert as_problem("1 + 1") == as_problem("1 + 1") != as_problem("1 + 2")
    assert np.isfinite(len(as_problem("x").id))
