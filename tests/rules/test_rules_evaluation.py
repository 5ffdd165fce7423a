"""Rules of evaluation, each alone: what it leaves, and that it is what the whole run left."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from rule_outputs import COSTS, ROUTERS, SIZES, assert_same, origin, read_json
from run_rule import run_rule
from smoke import RESULTS

from trim.names import routers_of

ORACLES = ("first-error-oracle", "perfect-information")
SCORED = ("trim-thr", "trim-agg", "trim-seq", "trim-pomdp", "fitted-q", "one-step-takeover", "rsd")


def test_evaluate_routers(smoke_copy: Path, smoke_run: Path) -> None:
    """With nothing in the store: what the rollouts put there changes no step."""
    shutil.rmtree(smoke_copy / "step_store")
    apart = (*ORACLES, *routers_of("query"))
    walking = {name: source for name, source in ROUTERS.items() if name not in apart}
    targets = [RESULTS / f"episodes/{name}/{source}/arith.parquet" for name, source in walking.items()]
    trees = RESULTS / "trees/arith.test.parquet"
    run_rule("evaluate_routers", smoke_copy, *targets, trees)
    assert_same(smoke_copy, smoke_run, *targets, trees)
    assert pd.read_parquet(smoke_copy / trees)["problem_id"].nunique() == SIZES["test"]


def test_evaluate_oracles(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / f"episodes/{name}/untrained/arith.parquet" for name in ORACLES]
    run_rule("evaluate_oracles", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)


@pytest.mark.parametrize("prm", ["noisy", "classifier"])
def test_route_by_prm(prm: str, smoke_copy: Path, smoke_run: Path) -> None:
    target = RESULTS / f"episodes/by_prm/{prm}.parquet"
    run_rule("route_by_prm", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    episodes = pd.read_parquet(smoke_copy / target)
    assert set(episodes["prm"]) == {prm} and set(episodes["trained_on"]) == {"arith"}
    refitted = {"trim-thr": {"default", "hull"}, "trim-agg": {"conditioned"}, "trim-seq": {"conditioned"}}
    refitted["trim-pomdp"] = {"default"}
    routers = {"weak-only", "strong-only", *refitted}
    assert set(episodes["router"]) == routers
    for router, expected in refitted.items():
        assert set(episodes.loc[episodes["router"] == router, "variant"]) <= expected
    assert (episodes.groupby(["router", "variant", "operating_point"]).size() == SIZES["test"]).all()
    alone = pd.read_parquet(smoke_copy / RESULTS / "episodes/strong-only/untrained/arith.parquet")
    strong = episodes[episodes["router"] == "strong-only"]
    assert strong["strong_tokens"].tolist() == alone["strong_tokens"].tolist()  # the PRM changes no step


@pytest.mark.parametrize("router", ROUTERS)
def test_episodes_add_up(router: str, smoke_run: Path) -> None:
    path = smoke_run / RESULTS / f"episodes/{router}/{ROUTERS[router]}/arith.parquet"
    episodes = pd.read_parquet(path)
    routers = smoke_run / RESULTS / "routers"
    thresholds = {
        path.parent.name.partition(".")[0]: read_json(path)["thresholds"]
        for path in (routers / "trim-thr/arith").glob("*/thresholds.json")
    }
    learned, swept = ("trim-agg", "trim-seq"), len(episodes[["variant", "operating_point"]].drop_duplicates())
    points = {
        **{name: len(read_json(routers / f"{name}/arith/conditioned.0/policy.json")["points"]) for name in learned},
        "perfect-information": 18,
        "oracle-query": 20,
        **dict.fromkeys(("trim-pomdp", "fitted-q", *routers_of("query")), swept),
        "random-step": 2,
        "trim-thr": sum(map(len, thresholds.values())),
        "one-step-takeover": len(thresholds["default"]),
    }.get(router, 1)
    keys = ["variant", "operating_point", "problem_id", "replicate"]
    assert not episodes.duplicated(keys).any()
    assert len(episodes) == points * SIZES["test"]
    assert (episodes[COSTS] >= 0).all(axis=None)
    assert (episodes["authors"].str.len() == episodes["steps"]).all()
    assert (episodes["authors"].str.count("s") == episodes["strong_calls"]).all()
    assert ((episodes["strong_calls"] == 0) == (episodes["strong_tokens"] == 0)).all()
    assert (episodes["correct"] <= episodes["answer"].notna()).all()
    discarded = episodes["weak_calls"] - episodes["authors"].str.count("w")
    assert ((discarded == 0) == (episodes["discarded_tokens"] == 0)).all()
    match router:
        case "weak-only":
            assert (episodes["strong_tokens"] == 0).all()
        case "strong-only":
            assert (episodes[["weak_tokens", "discarded_tokens"]] == 0).all(axis=None)
        case "trim-thr" | "trim-agg" | "trim-seq" | "trim-pomdp" | "fitted-q":
            assert (episodes["prm_calls"] == episodes["weak_calls"]).all()
            dev = pd.concat([pd.read_parquet(file) for file in (routers / router).rglob("*.dev.parquet")])
            dev = dev[dev["router"] == router]
            chosen = set(zip(dev["variant"], dev["operating_point"], strict=True))
            assert set(zip(episodes["variant"], episodes["operating_point"], strict=True)) == chosen
        case "one-step-takeover":
            assert episodes["authors"].str.fullmatch("w*s*").all()
    if router not in (*SCORED, "automix-prm", "frugal", "features", "best-route"):
        assert (episodes["prm_tokens"] == 0).all()
    assert origin(path)["config_hash"]


def test_rollouts_and_episodes_of_the_models_alone_are_the_same_solutions(smoke_run: Path) -> None:
    steps = pd.read_parquet(smoke_run / RESULTS / "rollouts/arith.test.parquet")
    for router, tokens in {"weak-only": "weak_tokens", "strong-only": "strong_tokens"}.items():
        episodes = pd.read_parquet(smoke_run / RESULTS / f"episodes/{router}/untrained/arith.parquet")
        alone = steps[steps["behaviour"] == router].groupby("problem_id")["tokens"].sum()
        assert alone.to_dict() == episodes.set_index("problem_id")[tokens].to_dict()


def test_evaluate_query_routers(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [
        RESULTS / f"episodes/{baseline}/arith/{dataset}.parquet"
        for baseline in routers_of("query")
        for dataset in ("arith", "arith-words")
    ]
    run_rule("evaluate_query_routers", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    models = pd.read_parquet(smoke_run / RESULTS / "episodes/weak-only/untrained/arith.parquet")
    for target in targets:
        episodes = pd.read_parquet(smoke_copy / target)
        assert set(episodes["router"]) == {target.parts[-3]}
        assert set(episodes["dataset"]) == {target.stem}
        assert set(episodes["trained_on"]) == {"arith"}
        assert not episodes.duplicated(["variant", "operating_point", "problem_id", "replicate"]).any()
        assert set(episodes) == set(models)
        assert ((episodes["authors"].str.count("s") > 0) == (episodes["strong_tokens"] > 0)).all()
        paid = episodes[["discarded_tokens", "prm_tokens"]].sum() > 0
        verified = {"automix": (True, False), **dict.fromkeys(("automix-prm", "frugal", "features"), (True, True))}
        if target.parts[-3] in verified:
            assert tuple(paid) == verified[target.parts[-3]]
        elif target.parts[-3] != "best-route":
            assert not paid.any()
