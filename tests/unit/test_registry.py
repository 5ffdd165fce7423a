"""The one table of routers: no name without a router, no router without a name, and what is fitted comes back whole."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from made_episodes import ends, made_episodes

import trim.plugins
from trim import names
from trim.arrays import Booleans
from trim.config.routers import AggRouter, FittedQRouter, KappaRange, PomdpRouter, Ppo, Routers, SeqRouter
from trim.config.section import Section
from trim.errors import ConfigError, InputError
from trim.evaluation.study import CURVE, measure
from trim.models.protocols import ModelPair
from trim.names import RANDOM_QUERY, Look, Name, label_of, look_of, routers_of, variants
from trim.problems.grading import Grader
from trim.problems.problem import Problem
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.rollout.tables import OperatingPoint, roll_out_points, run_points, score_table, step_table
from trim.rollout.trees import RolloutTrees
from trim.routers.controls import ALONE, WeakOnly
from trim.routers.registry import control_points, controls, fitted_routers, refit, step_router
from trim.routers.router import StepRouter, TrainingData

MakeProblems = Callable[[int], list[Problem]]
MakePair = Callable[[], ModelPair]
MAX_STEPS = 8
PPO = Ppo(n_envs=16, n_steps=4, batch_size=32, total_timesteps=256, evaluate_every=1)
EVERYTHING = Routers(
    trained_on=("arith", "arith-hard"),
    seeds=2,
    operating_points=4,
    kappa=KappaRange(lowest=0.1, highest=2, count=5),
    agg=AggRouter(variants=variants("trim-agg"), hidden=(8,), kappas=(0.5, 0.1), ppo=PPO),
    seq=SeqRouter(variants=variants("trim-seq"), width=8, heads=2, kappas=(0.5,), ppo=PPO),
    pomdp=PomdpRouter(variants=variants("trim-pomdp"), bins=6),
    fitted_q=FittedQRouter(hinges=8, rounds=2),
)
"""All that the config can ask for, trained in a moment."""

FITTED = [(router, variant) for router in fitted_routers(EVERYTHING) for variant in variants(router)]


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


# --- names and routers ------------------------------------------------------------------


def test_every_name_is_run_or_computed_and_all_that_is_run_has_a_name() -> None:
    fitted = {
        (name, variant)
        for name, router in fitted_routers(EVERYTHING).items()
        for dataset in EVERYTHING.trained_on
        for variant, _ in router.runs(EVERYTHING, dataset, "arith")
    }
    run = {(p.router, p.variant) for name in controls(EVERYTHING) for p in control_points(name, EVERYTHING)}
    alone = {(point.router, point.variant) for point in ALONE}
    computed = {(sweep.router, sweep.variant) for sweep in measure(made_episodes(ends()), CURVE)} - alone
    assert computed == {(RANDOM_QUERY, "default")}
    named = {key for key, name in names.names().items() if name.family in ("end", "trim", "own", "control")}
    assert fitted | run | computed == named
    assert not fitted & run


def test_the_config_takes_the_variants_that_have_names() -> None:
    sections = (Routers, AggRouter, SeqRouter, PomdpRouter, FittedQRouter)
    for router, section in zip(routers_of("trim", "own"), sections, strict=True):
        (variant, _) = get_args(section.model_fields["variants"].annotation)
        assert set(get_args(variant)) == set(variants(router))


def test_a_router_is_found_by_its_name() -> None:
    settings = Routers()
    for name, router in fitted_routers(settings).items():
        assert (router.id, step_router(name, settings)) == (name, router)
        assert set(router.refitted) | set(router.donors) | set(router.donors.values()) <= set(variants(name))
    assert controls(settings) == ("weak-only", "strong-only", "rsd", "random-step")
    for name in controls(settings):
        assert {point.router for point in control_points(name, settings)} == {name}


@pytest.mark.parametrize(
    ("find", "sentence"),
    [
        (lambda: step_router("trim-best", Routers()), "there is no fitted router 'trim-best'; there are trim-thr, .*"),
        (lambda: step_router("rsd", Routers()), "there is no fitted router 'rsd'; .*fitted-q"),
        (lambda: control_points("trim-thr", Routers()), "there is no router 'trim-thr' without a fit; .*random-step.*"),
        (lambda: control_points(RANDOM_QUERY, Routers()), "there is no router 'random-query' without a fit; .*"),
        (
            lambda: fitted_routers(Routers(others={"mine": {}})),
            r"config: routers\.others\.mine: no installed package .*",
        ),
        (lambda: controls(Routers(others={"mine": {}})), r"config: routers\.others\.mine: no installed package .*"),
    ],
)
def test_an_unknown_router_is_one_sentence(find: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        find()


def test_an_unknown_name_is_one_sentence() -> None:
    for find in (variants, label_of, lambda router: look_of(router, "default")):
        with pytest.raises(InputError, match="^(there is no router 'trim-best'; there are weak-only, .*best-route.*)$"):
            find("trim-best")
    with pytest.raises(InputError, match="^router 'trim-thr' has no variant 'hulk'; it has default, hull, per-token.*"):
        look_of("trim-thr", "hulk")


# --- what is fitted where ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("router", "main", "other"),
    [
        ("trim-thr", [("default", 0), ("hull", 0), ("per-token", 0)], [("default", 0), ("hull", 0), ("per-token", 0)]),
        ("one-step-takeover", [("default", 0)], [("default", 0)]),
        (
            "trim-agg",
            [(variant, run) for variant in ("conditioned", "default", "released") for run in (0, 1)],
            [("conditioned", 0), ("conditioned", 1)],
        ),
        (
            "trim-seq",
            [(variant, run) for variant in ("conditioned", "default") for run in (0, 1)],
            [("conditioned", 0), ("conditioned", 1)],
        ),
        (
            "trim-pomdp",
            [("default", 0), ("memoryless", 0), ("released", 0)],
            [("default", 0), ("memoryless", 0), ("transferred", 0), ("released", 0)],
        ),
        ("fitted-q", [("default", 0)], [("default", 0)]),
    ],
)
def test_runs_on_the_main_dataset_and_on_others(
    router: str, main: list[tuple[str, int]], other: list[tuple[str, int]]
) -> None:
    assert sorted(step_router(router, EVERYTHING).runs(EVERYTHING, "arith", "arith")) == sorted(main)
    assert sorted(step_router(router, EVERYTHING).runs(EVERYTHING, "arith-hard", "arith")) == sorted(other)


def test_nothing_is_taken_over_from_what_is_not_fitted() -> None:
    pomdp = step_router("trim-pomdp", EVERYTHING)
    away = EVERYTHING.model_copy(update={"trained_on": ("arith-hard",)})
    assert "transferred" not in dict(pomdp.runs(away, "arith-hard", "arith"))
    alone = EVERYTHING.model_copy(update={"pomdp": PomdpRouter(variants=("transferred",))})
    assert pomdp.runs(alone, "arith-hard", "arith") == []


def test_what_a_config_leaves_out_is_not_fitted() -> None:
    none = Routers(
        agg=AggRouter(variants=()),
        seq=SeqRouter(variants=("default",)),
        pomdp=PomdpRouter(variants=()),
        fitted_q=FittedQRouter(variants=()),
    )
    runs = {name: router.runs(none, "arith", "arith") for name, router in fitted_routers(none).items()}
    left_out = ("trim-agg", "trim-pomdp", "fitted-q")
    assert runs["trim-seq"] == [("default", 0)] and not any(runs[name] for name in left_out)


OTHER_BLOCKS: Mapping[str, Mapping[str, Any]] = {
    "trim-thr": {"agg": {"hidden": [4]}, "seq": {"width": 64}, "pomdp": {"bins": 3}},
    "trim-agg": {"seq": {"width": 64}, "pomdp": {"bins": 3}, "variants": ["default"]},
    "trim-seq": {"agg": {"hidden": [4]}, "pomdp": {"bins": 3}, "variants": ["default"]},
    "trim-pomdp": {"agg": {"hidden": [4]}, "seq": {"width": 64}, "variants": ["default"]},
    "fitted-q": {"agg": {"hidden": [4]}, "pomdp": {"bins": 3}, "variants": ["default"]},
}
OWN_BLOCKS: Mapping[str, Mapping[str, Any]] = {
    "trim-agg": {"agg": {"hidden": [4]}},
    "trim-seq": {"seq": {"features": ["scores"]}},
    "trim-pomdp": {"pomdp": {"bins": 3}},
    "fitted-q": {"fitted_q": {"hinges": 3}},
}


def changed(settings: Routers, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the workflow hands them on, a few of them changed."""
    content = settings.model_dump(mode="json")
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    return Routers.model_validate(content).model_dump(mode="json")


@pytest.mark.parametrize(("router", "variant"), [key for key in FITTED if key[0] in OTHER_BLOCKS])
def test_what_decides_a_fit_leaves_out_what_decides_nothing(router: str, variant: str) -> None:
    known, settings = step_router(router, EVERYTHING), EVERYTHING.model_dump(mode="json")
    decisive = known.decisive(settings, variant)
    elsewhere = {
        "trained_on": ["arith"],
        "seeds": 1,
        "random_shares": [0.5],
        "largest_tree": 3,
        "tree_budget": 9,
        "query": {"bins": 3},
    }
    fewer = {key: {"variants": settings[key]["variants"][:1]} for key in ("agg", "seq", "pomdp")}
    for changes in (elsewhere, OTHER_BLOCKS[router], fewer):
        assert known.decisive(changed(EVERYTHING, changes), variant) == decisive
    kappas = {"agg": {"kappas": [1.0]}, "seq": {"kappas": [1.0]}}  # of variants with a policy each
    same = known.decisive(changed(EVERYTHING, kappas), variant) == decisive
    assert same == (variant == "conditioned" or router in ("trim-thr", "trim-pomdp", "fitted-q"))
    for changes in ({"operating_points": 9}, *([OWN_BLOCKS[router]] if router in OWN_BLOCKS else [])):
        assert known.decisive(changed(EVERYTHING, changes), variant) != decisive


# --- fitted, kept and loaded ------------------------------------------------------------


@pytest.fixture(scope="module")
def data(make_problems: MakeProblems, scripted_pair: MakePair) -> TrainingData:
    """Explored trees of two splits, and scored solutions every other step of which is called wrong."""
    trees = []
    for problems in (make_problems(14)[:8], make_problems(14)[8:]):
        trees.append(RolloutTrees(problems, 1, MAX_STEPS, judge, scripted_pair()))
        trees[-1].grow_fully(10_000)
    problems, point = make_problems(40), OperatingPoint("weak-only", "default", 0.0, WeakOnly())
    with Grader() as grader:
        steps = step_table(run_points([point], problems, scripted_pair(), 1, MAX_STEPS), grader, labelled=False)
    prm = scripted_pair().prm
    assert prm is not None
    solutions = score_table(steps, {problem.id: problem.text for problem in problems}, prm)
    solutions["valid"] = solutions["score"] > 0.4
    return TrainingData(*trees, EVERYTHING, labelled=False, solutions=solutions)


def given(data: TrainingData, router: str, variant: str, folder: Path) -> TrainingData:
    """What the workflow gives to a fit: the decisive settings, logs, and what is taken over."""
    known = step_router(router, data.settings)
    settings = Routers.model_validate(known.decisive(data.settings.model_dump(mode="json"), variant))
    donor = folder / "donor" / f"{known.donors[variant]}.0" if variant in known.donors else None
    if donor:
        known.fit(known.donors[variant], data, 0).save(donor, {})
    return TrainingData(data.trees, data.dev, settings, False, data.solutions, donor, folder / "logs")


@pytest.mark.parametrize(("router", "variant"), FITTED)
def test_what_was_saved_has_the_operating_points_of_what_was_fitted(
    router: str, variant: str, data: TrainingData, tmp_path: Path
) -> None:
    known, folder = step_router(router, data.settings), tmp_path / f"{variant}.0"
    fitted = known.fit(variant, given(data, router, variant, tmp_path), 3)
    fitted.save(folder, {"code": "x"})
    ours, loaded = fitted.points(), known.load(folder)
    assert [(p.router, p.variant, p.setting, p.seed) for p in loaded] == [(router, variant, p.setting, 0) for p in ours]
    assert len({p.setting for p in ours}) == len(ours) >= 1
    pd.testing.assert_frame_equal(roll_out_points(loaded, data.dev), roll_out_points(ours, data.dev), check_exact=True)
    assert any('"code": "x"' in path.read_text() for path in folder.glob("*.json")) or router == "trim-pomdp"
    with pytest.raises(InputError, match=r"nowhere.*again"):
        known.load(tmp_path / "nowhere.0")


@pytest.mark.parametrize("router", ["trim-agg", "trim-seq"])
def test_training_runs_are_told_apart_by_their_folder(router: str, data: TrainingData, tmp_path: Path) -> None:
    known, folder = step_router(router, data.settings), tmp_path / "conditioned.7"
    known.fit("conditioned", given(data, router, "conditioned", tmp_path), 3).save(folder, {})
    assert {point.seed for point in known.load(folder)} == {7}


def test_a_takeover_happens_at_the_thresholds_of_trim_thr(data: TrainingData, tmp_path: Path) -> None:
    thresholds, takeover = (step_router(name, data.settings) for name in ("trim-thr", "one-step-takeover"))
    assert takeover.fitted_as == ("trim-thr", "default")
    thresholds.fit("default", data, 0).save(tmp_path / "default.0", {})
    points = [router.load(tmp_path / "default.0") for router in (thresholds, takeover)]
    assert [p.setting for p in points[0]] == [p.setting for p in points[1]]
    assert [p.setting for p in points[1]] == [p.setting for p in takeover.fit("default", data, 0).points()]


def test_a_refit_holds_the_variants_that_are_compared_by_prm(data: TrainingData) -> None:
    points = refit(data, 3)
    found = {(point.router, point.variant) for point in points}
    expected = {(n, variant) for n, router in fitted_routers(data.settings).items() for variant in router.refitted}
    assert found == expected
    assert {"trim-thr", "trim-agg", "trim-seq", "trim-pomdp"} == {router for router, _ in found}
    alone = step_router("trim-agg", data.settings).fit("conditioned", data, 3).points()
    ours = [point for point in points if point.router == "trim-agg"]
    pd.testing.assert_frame_equal(roll_out_points(ours, data.dev), roll_out_points(alone, data.dev), check_exact=True)


def test_a_variant_that_nobody_named_is_not_fitted(data: TrainingData) -> None:
    for router in fitted_routers(data.settings).values():  # TRIM-Agg would take any for one policy a kappa
        with pytest.raises(InputError, match=f"^router '{router.id}' has no variant 'hulk'; it has "):
            router.fit("hulk", data, 0)


def test_without_labels_a_pomdp_infers_the_states_of_steps(data: TrainingData) -> None:
    lacking = TrainingData(data.trees, data.dev, data.settings, labelled=False)
    points = step_router("trim-pomdp", data.settings).fit("default", lacking, 0).points()
    assert points and {point.router for point in points} == {"trim-pomdp"}


# --- routers of other packages ----------------------------------------------------------


@dataclass(frozen=True)
class Impatient(WantsEveryDraft):
    """Regenerates the first steps, whatever they are."""

    steps: int
    reads = Reads.NOTHING

    def decide(self, observed: Observed) -> Booleans:
        return np.asarray(observed.position < self.steps)


def impatient_points(settings: Routers) -> list[OperatingPoint]:
    steps = settings.others["impatient"].get("steps", [1])
    return [OperatingPoint("impatient", "default", float(n), Impatient(n)) for n in steps]


class Patience(Section):
    """Settings of a router of another package."""

    depth: int = 1


PATIENT = StepRouter("patient", "somewhere.patient", settings=Patience)
LOOK = Look("impatient", 0, "o", "-")
NAMES = (Name("impatient", "default", "control", LOOK), Name("patient", "default", "trim", LOOK))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that adds a router with nothing to fit, one with a fit, and their names."""
    found = {
        "trim.routers": {"impatient": impatient_points, "patient": PATIENT},
        "trim.names": {"theirs": NAMES},
    }

    def entry_points(group: str) -> list[Any]:
        entries = found.get(group, {})
        return [SimpleNamespace(name=k, value=k, load=lambda v=v: v) for k, v in entries.items()]

    def forget() -> None:
        trim.plugins.added.cache_clear()
        names.names.cache_clear()

    forget()
    monkeypatch.setattr(trim.plugins, "entry_points", entry_points)
    yield
    forget()


@pytest.mark.usefixtures("installed")
def test_a_router_of_another_package_is_run_where_the_config_names_it() -> None:
    assert look_of("impatient", "default") == LOOK
    plain, asked = Routers(), Routers(others={"impatient": {"steps": [2, 3]}, "patient": {"depth": 1}})
    assert "impatient" not in controls(plain) and "patient" not in {*fitted_routers(plain), *controls(plain)}
    assert controls(asked) == (*controls(plain), "impatient")
    assert [point.policy for point in control_points("impatient", asked)] == [Impatient(2), Impatient(3)]
    assert step_router("patient", asked) is PATIENT
    with pytest.raises(ConfigError, match="no fitted router 'patient'"):
        step_router("patient", plain)
    with pytest.raises(ConfigError, match="no router 'impatient' without a fit"):
        control_points("impatient", plain)


@pytest.mark.usefixtures("installed")
def test_its_settings_are_checked_as_all_others_are() -> None:
    for content, sentence in (
        ({"dept": 2}, "unknown key 'routers.others.patient.dept'; remove it"),
        ({"depth": "deep"}, "routers.others.patient.depth: .*integer"),
    ):
        with pytest.raises(ConfigError, match=f"^config: {sentence}"):
            step_router("patient", Routers(others={"patient": content}))


@pytest.mark.usefixtures("installed")
def test_its_own_settings_decide_its_fit_and_no_others() -> None:
    others = {"impatient": {"steps": [2]}, "patient": {"depth": 1}}
    settings = Routers(others=others).model_dump(mode="json")
    decisive = PATIENT.decisive(settings, "default")
    assert decisive["others"] == {"patient": {"depth": 1}}
    assert PATIENT.decisive(settings | {"others": {**others, "impatient": {"steps": [5]}}}, "default") == decisive
    assert PATIENT.decisive(settings | {"others": {**others, "patient": {"depth": 2}}}, "default") != decisive
    assert PATIENT.runs(Routers(others=others), "arith", "arith") == [("default", 0)]


def test_two_packages_with_one_name_and_one_that_cannot_be_loaded_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for entries, sentence in (
        ([EntryPoint("a", "math:pi", "trim.prms"), EntryPoint("a", "math:e", "trim.prms")], "two installed packages"),
        ([EntryPoint("a", "math:tau_squared", "trim.prms")], r"trim\.prms: a \(math:tau_squared\) cannot be loaded"),
    ):
        monkeypatch.setattr(trim.plugins, "entry_points", lambda group, entries=entries: entries)
        trim.plugins.added.cache_clear()
        with pytest.raises(ConfigError, match=sentence):
            trim.plugins.added("trim.prms")
    trim.plugins.added.cache_clear()
