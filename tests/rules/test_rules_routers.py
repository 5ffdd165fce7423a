"""Rules of routers, each alone: what it leaves, and that it is what the whole run left."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from rule_outputs import SIZES, assert_same, read_json
from run_rule import run_rule
from smoke import RESULTS, contents, snakemake

from trim.config.routers import Routers
from trim.names import routers_of, variants
from trim.routers.pomdp.disk import load_solved
from trim.routers.registry import step_router
from trim.routers.threshold import quantile_thresholds


@pytest.mark.parametrize(
    ("router", "variant"),
    [
        ("trim-thr", "default"),
        ("trim-thr", "hull"),
        ("trim-agg", "conditioned"),
        ("trim-seq", "conditioned"),
        ("trim-pomdp", "default"),
        ("trim-pomdp", "released"),
        ("fitted-q", "default"),
    ],
)
def test_fit_router(router: str, variant: str, smoke_copy: Path, smoke_run: Path) -> None:
    """Fitted again from the explored trees: the very same, to the last byte, and nothing is asked of a model."""
    shutil.rmtree(smoke_copy / "step_store")
    folder = RESULTS / f"routers/{router}/arith/{variant}.0"
    dev = folder.with_name(f"{variant}.0.dev.parquet")
    run_rule("fit_router", smoke_copy, folder, dev)
    assert_same(smoke_copy, smoke_run, dev, *(folder / name for name in fitted_files(smoke_run / folder)))
    assert fitted_files(smoke_copy / folder) == fitted_files(smoke_run / folder)
    log = smoke_copy / RESULTS / f"logs/fit_router/{router}/arith/{variant}.0.log"
    assert "'misses': 0" in log.read_text(encoding="utf-8")
    points = step_router(router, Routers()).load(smoke_copy / folder)
    # Models that learn nothing may leave a hull of both ends alone.
    assert points or variant == "hull"
    assert {(point.router, point.variant, point.seed) for point in points} <= {(router, variant, 0)}
    episodes = pd.read_parquet(smoke_copy / dev)
    swept = episodes[episodes["router"] == router]
    assert set(episodes["router"]) == {"weak-only", "strong-only", *(point.router for point in points)}
    assert sorted(swept["operating_point"].unique()) == sorted(point.setting for point in points)
    assert len(swept) == len(points) * 2 * SIZES["dev"]


def fitted_files(folder: Path) -> list[str]:
    """Files of a fitted router, but for the logs of its training, which tell the time."""
    return [name for name in contents(folder) if not name.startswith("tensorboard")]


def test_thresholds_are_those_of_the_scored_rollouts(smoke_run: Path) -> None:
    folders = {variant: smoke_run / RESULTS / f"routers/trim-thr/arith/{variant}.0" for variant in variants("trim-thr")}
    thresholds = {variant: read_json(folder / "thresholds.json")["thresholds"] for variant, folder in folders.items()}
    scores = pd.read_parquet(smoke_run / RESULTS / "scores/verifier/arith.router_train.parquet")
    drafts = scores[scores["behaviour"] == "weak-only"]
    assert thresholds["default"] == quantile_thresholds(drafts["score"].tolist(), 4)
    doubts = (1 - drafts["score"]) / drafts["tokens"]
    assert thresholds["per-token"] == sorted(-value for value in quantile_thresholds((-doubts).tolist(), 4))
    assert set(thresholds["hull"]) <= set(thresholds["default"])
    regenerated = [(drafts["score"] < threshold).mean() for threshold in thresholds["default"]]
    assert regenerated == sorted(set(regenerated))
    assert 0 < regenerated[0] < regenerated[-1] < 1


@pytest.mark.parametrize("router", ["trim-agg", "trim-seq"])
def test_what_was_learned_is_logged(router: str, smoke_run: Path) -> None:
    folder = smoke_run / RESULTS / f"routers/{router}/arith/conditioned.0"
    assert read_json(folder / "metrics.json")["known_timesteps"] == 1
    assert list((folder / "tensorboard").iterdir())
    assert len(pd.read_csv(folder / "learning.csv")) > 1


@pytest.mark.parametrize("variant", ["default", "released", "memoryless"])
def test_a_pomdp_is_solved_with_certified_bounds(variant: str, smoke_run: Path) -> None:
    solved = load_solved(smoke_run / RESULTS / f"routers/trim-pomdp/arith/{variant}.0")
    assert set(solved.origin["operating_points"]) <= set(solved.kappas.tolist())
    assert (solved.gap >= 0).all() and solved.gap.max() < 0.01
    assert solved.origin["provenance"]["config_hash"]


def test_collect_solutions(smoke_copy: Path, smoke_run: Path) -> None:
    """With nothing in the store: each solution is what the models write alone."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / "solutions/arith.test.parquet"
    run_rule("collect_solutions", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    solved = pd.read_parquet(smoke_copy / target)
    assert solved.groupby("router")["replicate"].value_counts().to_dict() == {
        ("weak-only", 0): 24,
        ("weak-only", 1): 24,
        ("strong-only", 0): 24,
    }
    for router in ("weak-only", "strong-only"):
        episodes = pd.read_parquet(smoke_run / RESULTS / f"episodes/{router}/untrained/arith.parquet")
        first = solved[(solved["router"] == router) & (solved["replicate"] == 0)]
        names = ["problem_id", "answer", "correct", "authors", "strong_tokens", "weak_tokens", "discarded_tokens"]
        pd.testing.assert_frame_equal(
            first[names].sort_values("problem_id", ignore_index=True),
            episodes[names].sort_values("problem_id", ignore_index=True),
        )
    read = solved[(solved["router"] == "weak-only") & (solved["replicate"] == 0)]
    assert (read["prm_calls"] == read["steps"]).all()
    assert read[["minimum", "product", "last", "mean", "agreement"]].stack().between(0, 1).all()


def test_fit_query_router(smoke_copy: Path, smoke_run: Path) -> None:
    folder = RESULTS / "routers/query-level/arith"
    run_rule("fit_query_router", smoke_copy, folder / "policies", folder / "dev.parquet")
    assert_same(smoke_copy, smoke_run, folder)
    described = read_json(smoke_copy / folder / "policies/policies.json")
    assert {policy["router"] for policy in described["policies"]} == set(routers_of("query"))
    dev = pd.read_parquet(smoke_copy / folder / "dev.parquet")
    for policy in described["policies"]:
        assert 1 <= len(policy["thresholds"]) <= 4
        rows = dev[(dev["router"] == policy["router"]) & (dev["variant"] == policy["variant"])]
        assert sorted(rows["operating_point"].unique()) == policy["thresholds"]
        assert len(rows) == len(policy["thresholds"]) * 12 * 2
    assert not [
        name for name in contents(smoke_copy / folder) if Path(name).suffix in (".bin", ".pt", ".pkl", ".pickle")
    ]


def test_a_frozen_encoder_is_read_once_and_replays_need_it_no_more(smoke_copy: Path) -> None:
    folder, kept = RESULTS / "routers/query-level/arith", smoke_copy / "step_store/vectors"
    targets, frozen = (folder / "policies", folder / "dev.parquet"), {"routers": {"query": {"tuning": None}}}
    run_rule("fit_query_router", smoke_copy, *targets, changes=frozen)
    fitted, vectors = contents(smoke_copy / folder), contents(kept)
    for router in ("bert", "hybrid-llm", "best-route"):
        assert set(contents(smoke_copy / folder / f"policies/classifiers/{router}")) == {"heads.safetensors"}
    names = {Path(name).name for name in vectors}
    assert {"arith.router_train.npz", "arith.dev.npz", "identity.json"} <= names
    run_rule("fit_query_router", smoke_copy, *targets, changes=frozen | {"offline": True})
    assert contents(smoke_copy / folder) == fitted
    assert contents(kept) == vectors
    episodes = [RESULTS / f"episodes/{router}/arith/arith-words.parquet" for router in routers_of("query")]
    run_rule("evaluate_query_routers", smoke_copy, *episodes, changes=frozen)
    shutil.rmtree(kept)
    for episode in episodes:
        (smoke_copy / episode).unlink()
    options = ("--allowed-rules", "evaluate_query_routers")
    said = snakemake(smoke_copy, *options, targets=episodes, changes=frozen | {"offline": True}, status=1)
    assert "arith.test.npz: vectors of 24 texts are missing, and `offline: true` allows no encoder" in said
    assert not kept.exists()
