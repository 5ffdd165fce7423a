"""Every rule, alone and on one core: what it leaves, and that it is what the whole run on four cores left."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from run_rule import run_rule
from smoke import RESULTS, ROOT, contents, planned_figures, snakemake

from trim.config.routers import Routers
from trim.names import routers_of, variants
from trim.problems.arithmetic import parse_program, step_labels
from trim.problems.problem import Problem, fingerprint, read_problems, write_problems
from trim.problems.splits import SPLIT_RANGES, split_of
from trim.routers.pomdp.disk import load_solved
from trim.routers.registry import step_router
from trim.routers.threshold import quantile_thresholds

SIZES = {"prm_train": 24, "router_train": 12, "dev": 12, "test": 24}
SHARDS = ("--set-scatter", "shard=3")
SECOND = "2-of-3"
KEYS = ["problem_id", "replicate", "behaviour", "position"]
COSTS = [
    "strong_tokens",
    "weak_tokens",
    "discarded_tokens",
    "prm_tokens",
    "strong_prefill_tokens",
    "strong_calls",
    "weak_calls",
    "prm_calls",
]
ROUTERS = {
    "weak-only": "untrained",
    "strong-only": "untrained",
    "random-step": "untrained",
    "first-error-oracle": "untrained",
    "perfect-information": "untrained",
    "trim-thr": "arith",
    "one-step-takeover": "arith",
    "trim-agg": "arith",
    "trim-seq": "arith",
    "trim-pomdp": "arith",
    "rsd": "untrained",
    "oracle-query": "untrained",
    **dict.fromkeys(routers_of("query"), "arith"),
}
PAPER_ALONE = ("--notemp", "--allowed-rules", "write_numbers", "build_paper", "paper")
ORACLES = ("first-error-oracle", "perfect-information")
SCORED = ("trim-thr", "trim-agg", "trim-seq", "trim-pomdp", "one-step-takeover", "rsd")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def origin(path: Path) -> dict[str, Any]:
    """Provenance that a Parquet file carries."""
    return json.loads(pq.read_schema(path).metadata[b"trim"])


def assert_same(tree: Path, smoke_run: Path, *paths: Path) -> None:
    for path in paths:
        if (smoke_run / path).is_dir():
            assert contents(tree / path) == contents(smoke_run / path)
        else:
            assert (tree / path).read_bytes() == (smoke_run / path).read_bytes()


def part_of(problems: Path, scatteritem: str) -> set[str]:
    """Ids of the problems of one part."""
    index, _, count = scatteritem.partition("-of-")
    return {problem.id for problem in read_problems(problems)[int(index) - 1 :: int(count)]}


def rows_of(table: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    return table[table["problem_id"].isin(ids)].sort_values(KEYS, ignore_index=True)


def test_prepare_dataset(smoke_copy: Path, smoke_run: Path) -> None:
    folder = RESULTS / "problems/arith"
    run_rule("prepare_dataset", smoke_copy, *(folder / f"{split}.jsonl" for split in SIZES), folder / "manifest.json")
    assert_same(smoke_copy, smoke_run, folder)
    manifest = read_json(smoke_copy / folder / "manifest.json")
    seen: set[str] = set()
    for split, size in SIZES.items():
        path = smoke_copy / folder / f"{split}.jsonl"
        problems = read_problems(path)
        entry = manifest["splits"][split]
        assert (entry["problems"], entry["file"]) == (size, path.name) == (len(problems), path.name)
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert {split_of(problem.fingerprint) for problem in problems} == {split}
        assert len({problem.id for problem in problems}) == size
        fingerprints = {problem.fingerprint for problem in problems}
        assert len(fingerprints) == size
        assert not fingerprints & seen
        seen |= fingerprints
        for problem in problems:
            assert problem.answer == str(parse_program(problem.text).answer())
    assert manifest["lm_train"]["hash_percent"] == [SPLIT_RANGES["lm_train"][0], SPLIT_RANGES["lm_train"][-1]]
    assert manifest["licence"]


def test_check_splits(smoke_copy: Path, smoke_run: Path) -> None:
    target = RESULTS / "problems/disjoint.json"
    run_rule("check_splits", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    assert read_json(smoke_copy / target)["problems"] == {**SIZES, "test": 24 + 8 + 16}


def test_read_solutions(smoke_copy: Path) -> None:
    record = {"problem": "How?", "generator": "scribe", "steps": ["So", "x"], "label": 1, "final_answer_correct": False}
    (smoke_copy / "solved.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    problems = smoke_copy / RESULTS / "problems/solved/router_train.jsonl"
    problems.parent.mkdir()
    write_problems([Problem("solved-0", "solved", "How?", "", fingerprint("How?"))], problems)
    dataset = {"source": "jsonl", "layout": "processbench", "path": "solved.jsonl", "splits": {"router_train": 1}}
    target = RESULTS / "rollouts/solved.router_train.parquet"
    run_rule("read_solutions", smoke_copy, target, changes={"datasets": {"solved": dataset}})
    steps = pd.read_parquet(smoke_copy / target)
    assert steps["text"].tolist() == ["So\n\n", "x"]
    assert steps["valid"].tolist() == [True, False]
    ours = pd.read_parquet(smoke_copy / RESULTS / "rollouts/arith.test.parquet")
    assert list(steps) == list(ours)


def test_train_language_model(smoke_copy: Path, smoke_run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = RESULTS / "models/weak"
    run_rule("train_language_model", smoke_copy, folder)
    assert_same(smoke_copy, smoke_run, folder / "model.safetensors", folder / "tokenizer.json", folder / "metrics.json")
    model = AutoModelForCausalLM.from_pretrained(smoke_copy / folder, local_files_only=True)
    assert type(model).__name__ == "Qwen2ForCausalLM"
    assert model.config.hidden_size == 32
    assert AutoTokenizer.from_pretrained(smoke_copy / folder, local_files_only=True).chat_template
    metrics = read_json(smoke_copy / folder / "metrics.json")
    assert metrics["parameters"] == sum(weights.numel() for weights in model.parameters())
    assert metrics["picked"] in metrics["snapshots"]
    low, high = metrics["accuracy_band"]
    assert metrics["in_band"] == (low <= metrics["picked"]["accuracy"] <= high)
    assert not [name for name in contents(smoke_copy / folder) if Path(name).suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize("name", ["verifier", "classifier", "sharp"])
def test_train_prm(name: str, smoke_copy: Path, smoke_run: Path) -> None:
    from trim.models.prm_kinds import load_prm

    folder = RESULTS / f"models/prm-{name}"
    run_rule("train_prm", smoke_copy, folder)
    if (smoke_run / folder).is_dir():  # sharp is not among the PRMs that the smoke config reports on
        assert_same(smoke_copy, smoke_run, folder)
    described = read_json(smoke_copy / folder / "prm.json")
    assert described["kind"] == ("classifier" if name == "classifier" else "likelihood")
    assert described["backbone"] == ("strong" if name == "sharp" else "weak")
    architecture = read_json(smoke_copy / folder / "config.json")["architectures"]
    assert architecture == ["Qwen2ForProcessRewardModel" if name == "classifier" else "Qwen2ForCausalLM"]
    rollouts = pd.read_parquet(smoke_copy / RESULTS / "rollouts/arith.prm_train.parquet")
    assert read_json(smoke_copy / folder / "metrics.json")["traces"] == len(rollouts.groupby(KEYS[:3]))
    assert load_prm(smoke_copy / folder, batch_size=4)


def test_collect_rollouts(smoke_copy: Path) -> None:
    """A part by itself, with nothing in the store, is that part of the whole."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / f"rollouts/shards/arith.test.{SECOND}.parquet"
    run_rule("collect_rollouts", smoke_copy, target, options=SHARDS)
    whole = pd.read_parquet(smoke_copy / RESULTS / "rollouts/arith.test.parquet")
    problems = smoke_copy / RESULTS / "problems/arith/test.jsonl"
    ids = part_of(problems, SECOND)
    steps = pd.read_parquet(smoke_copy / target)
    assert set(steps["problem_id"]) == ids
    pd.testing.assert_frame_equal(rows_of(steps, ids), rows_of(whole, ids))

    texts = {problem.id: problem.text for problem in read_problems(problems)}
    solutions = steps.groupby(["problem_id", "replicate", "behaviour"])
    assert len(solutions) == len(ids) * 3
    for (problem, _, behaviour), solution in solutions:
        assert list(solution["position"]) == list(range(len(solution)))
        assert list(solution["valid"]) == step_labels(texts[problem], list(solution["text"]))
        authors = {"weak-only": {"weak"}, "strong-only": {"strong"}, "mixed": {"weak", "strong"}}[behaviour]
        assert set(solution["author"]) <= authors
        assert len(solution) <= 6
        assert all(text.endswith("\n\n") for text in solution["text"][:-1])
        assert solution["tokens"].between(1, 16).all()
    assert {"weak", "strong"} == set(steps.loc[steps["behaviour"] == "mixed", "author"])
    assert origin(smoke_copy / target)["packages"]["torch"]


def test_score_rollouts(smoke_copy: Path) -> None:
    """A part by itself, with nothing in the store, is that part of the whole, to the last bit of every score."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / f"scores/shards/verifier/arith.test.{SECOND}.parquet"
    run_rule("score_rollouts", smoke_copy, target, options=SHARDS)
    whole = pd.read_parquet(smoke_copy / RESULTS / "scores/verifier/arith.test.parquet")
    ids = part_of(smoke_copy / RESULTS / "problems/arith/test.jsonl", SECOND)
    scores = pd.read_parquet(smoke_copy / target)
    assert set(scores["problem_id"]) == ids
    pd.testing.assert_frame_equal(rows_of(scores, ids), rows_of(whole, ids), check_exact=True)
    assert scores["score"].between(0, 1).all()
    assert scores["score"].nunique() > 10


@pytest.mark.parametrize(("rule", "room"), [("gather_rollouts", "rollouts"), ("gather_scores", "scores/verifier")])
def test_gather(rule: str, room: str, smoke_copy: Path, smoke_run: Path) -> None:
    target = RESULTS / room / "arith.test.parquet"
    table = pq.read_table(smoke_copy / target)
    shuffled = np.random.default_rng(0).permutation(table.num_rows)
    head, _, tail = room.partition("/")
    shards = smoke_copy / RESULTS / head / "shards" / tail
    shards.mkdir(parents=True, exist_ok=True)
    for index in range(3):
        pq.write_table(table.take(shuffled[index::3]), shards / f"arith.test.{index + 1}-of-3.parquet")
    run_rule(rule, smoke_copy, target, options=SHARDS)
    assert_same(smoke_copy, smoke_run, target)
    steps = pd.read_parquet(smoke_copy / target)
    assert not steps.duplicated(KEYS).any()
    assert steps[KEYS].equals(steps[KEYS].sort_values(KEYS, ignore_index=True))


@pytest.mark.parametrize("split", ["router_train", "dev"])
def test_grow_trees(split: str, smoke_copy: Path, smoke_run: Path) -> None:
    """With nothing in the store, the trees are the same, and whole."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / f"trees/arith.{split}.parquet"
    run_rule("grow_trees", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    nodes = pd.read_parquet(smoke_copy / target)
    roots = nodes[nodes["parent"] < 0]
    assert len(roots) == 2 * SIZES[split] == len(roots.drop_duplicates(["problem_id", "replicate"]))
    for who in ("draft", "strong"):
        assert (nodes[f"child_{who}"] != -1).all()
        assert ((nodes[f"child_{who}"] == -2) == nodes[f"final_{who}"]).all()
        assert (nodes[f"tokens_{who}"] > 0).all()
    assert nodes["score_draft"].between(0, 1).all()


@pytest.mark.parametrize(
    ("router", "variant"),
    [
        ("trim-thr", "default"),
        ("trim-thr", "hull"),
        ("trim-agg", "conditioned"),
        ("trim-seq", "conditioned"),
        ("trim-pomdp", "default"),
        ("trim-pomdp", "released"),
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
    assert {(point.router, point.variant, point.seed) for point in points} == {(router, variant, 0)}
    episodes = pd.read_parquet(smoke_copy / dev)
    swept = episodes[episodes["router"] == router]
    assert set(episodes["router"]) == {"weak-only", "strong-only", router}
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


def test_compare_on_dev(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / "tables/dev.csv", RESULTS / "tables/dev_comparisons.csv"]
    run_rule("compare_on_dev", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    main = pd.read_csv(smoke_copy / targets[0])
    assert set(main["router"]) == {*routers_of("trim", "query"), "random-query"}
    assert set(main.loc[main["router"] != "random-query", "trained_on"]) == {"arith"} == set(main["dataset"])


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
    learned = ("trim-agg", "trim-seq")
    points = {
        **{name: len(read_json(routers / f"{name}/arith/conditioned.0/policy.json")["points"]) for name in learned},
        "trim-pomdp": episodes[["variant", "operating_point"]].drop_duplicates().shape[0],
        "perfect-information": 18,
        "oracle-query": 20,
        **dict.fromkeys(routers_of("query"), episodes[["variant", "operating_point"]].drop_duplicates().shape[0]),
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
        case "trim-thr" | "trim-agg" | "trim-seq" | "trim-pomdp":
            assert (episodes["prm_calls"] == episodes["weak_calls"]).all()
            dev = pd.concat([pd.read_parquet(file) for file in (routers / router).rglob("*.dev.parquet")])
            dev = dev[dev["router"] == router]
            chosen = set(zip(dev["variant"], dev["operating_point"], strict=True))
            assert set(zip(episodes["variant"], episodes["operating_point"], strict=True)) == chosen
        case "one-step-takeover":
            assert episodes["authors"].str.fullmatch("w*s*").all()
    if router not in (*SCORED, "automix-prm", "frugal", "best-route"):
        assert (episodes["prm_tokens"] == 0).all()
    assert origin(path)["config_hash"]


def test_rollouts_and_episodes_of_the_models_alone_are_the_same_solutions(smoke_run: Path) -> None:
    steps = pd.read_parquet(smoke_run / RESULTS / "rollouts/arith.test.parquet")
    for router, tokens in {"weak-only": "weak_tokens", "strong-only": "strong_tokens"}.items():
        episodes = pd.read_parquet(smoke_run / RESULTS / f"episodes/{router}/untrained/arith.parquet")
        alone = steps[steps["behaviour"] == router].groupby("problem_id")["tokens"].sum()
        assert alone.to_dict() == episodes.set_index("problem_id")[tokens].to_dict()


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
        verified = {"automix": (True, False), "automix-prm": (True, True), "frugal": (True, True)}
        if target.parts[-3] in verified:
            assert tuple(paid) == verified[target.parts[-3]]
        elif target.parts[-3] != "best-route":
            assert not paid.any()


def test_compute_metrics(smoke_copy: Path, smoke_run: Path) -> None:
    names = ("curves.csv", "main.csv", "main.tex", "comparisons.csv", "comparisons.tex", "strong_calls.csv")
    targets = [RESULTS / "tables" / name for name in names]
    run_rule("compute_metrics", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    curves = pd.read_csv(smoke_copy / targets[0])
    head = ["pair", "dataset", "trained_on", "router", "variant", "seed", "operating_point"]
    assert list(curves)[:9] == [*head, "n_problems", "n_replicates"]
    estimates = ["accuracy", "strong_share", *COSTS[:4], "strong_calls"]
    for name in estimates:
        assert (curves[f"{name}_lo"] <= curves[name] + 1e-9).all(), name
        assert (curves[name] <= curves[f"{name}_hi"] + 1e-9).all(), name
    assert not curves.duplicated(head).any()
    for dataset, size in {"arith": 24, "arith-words": 16}.items():
        rows = curves[curves["dataset"] == dataset]
        assert set(rows["router"]) == {*ROUTERS, "random-query"}
        assert (rows["n_problems"] == size).all()
        assert (rows["n_replicates"] == 1).all()
        strong = rows[rows["router"] == "strong-only"].iloc[0]
        assert strong["strong_share"] == 1
        for router, trained_on in ROUTERS.items():
            episodes = pd.read_parquet(smoke_copy / RESULTS / f"episodes/{router}/{trained_on}/{dataset}.parquet")
            means = episodes.groupby(["variant", "operating_point"])["strong_tokens"].mean()
            found = rows[rows["router"] == router].set_index(["variant", "operating_point"])["strong_tokens"]
            assert len(found) == len(means)
            np.testing.assert_allclose(found.sort_index(), means.sort_index(), rtol=1e-5)
    main = pd.read_csv(smoke_copy / targets[1])
    columns = [*head[:6], "reading", "weak_accuracy", "strong_accuracy", "cpt50", "cpt80", "cpt95", "delta_ibc", "apgr"]
    assert [name for name in main if not re.search("_(lo|hi)$", name)][: len(columns)] == columns
    assert set(main["reading"]) == {"envelope", "paper"}
    undefined = main["strong_accuracy"] <= main["weak_accuracy"]
    assert main.loc[undefined, ["cpt50", "delta_ibc", "apgr"]].isna().all(axis=None)
    assert main.loc[undefined, "reason"].notna().all()


def test_compute_ablations(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / f"tables/{name}.csv" for name in ("ablations", "sampling", "power", "prm_routing")]
    run_rule("compute_ablations", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    ablations, sampling, power, routing = (pd.read_csv(smoke_copy / target) for target in targets)
    assert {"takeover", "look-ahead", "filter", "memory", "budget"} <= set(ablations["ablation"])
    assert set(ablations["dataset"]) == {"arith", "arith-words"}
    assert {"p_value", "p_corrected"} <= set(ablations)
    assert set(sampling["dataset"]) <= {"arith"}
    assert set(power["trained_on"]) <= {"arith"}
    assert {"trim-thr", "trim-agg", "trim-seq", "trim-pomdp"} <= set(routing["router"])
    assert "verifier" in set(routing["prm"])


def test_compute_generalization(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / "tables" / name for name in ("generalization.csv", "generalization.tex", "transfer.csv")]
    run_rule("compute_generalization", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    matrix, moved = (pd.read_csv(smoke_copy / targets[i]) for i in (0, 2))
    assert set(matrix["router"]) == {router for router, trained_on in ROUTERS.items() if trained_on == "arith"}
    assert set(matrix["dataset"]) == {"arith", "arith-words"}
    assert matrix["difference"].isna().all()  # fitted on one dataset only
    assert ((moved["dev_strong_share"] - moved["wanted_share"]).abs() <= 0.05).all()


def test_compute_budgets(smoke_copy: Path, smoke_run: Path) -> None:
    names = ("budgeted.csv", "budgeted.tex", "interventions.csv", "interventions.tex")
    targets = [RESULTS / "tables" / name for name in names]
    run_rule("compute_budgets", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    budgets, rescues = (pd.read_csv(smoke_copy / targets[i]) for i in (0, 2))
    assert set(budgets["strong_share"]) == {0.1, 0.15, 0.2, 0.25, 0.3}
    assert set(budgets["router"]) == {*ROUTERS, "random-query"} - {"weak-only", "strong-only"}
    assert set(rescues["strong_calls"]) <= {"1", "2", "3", ">3"}


def test_measure_prm(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / f"tables/prm_{name}.csv" for name in ("quality", "reliability", "histogram")]
    run_rule("measure_prm", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    quality, reliability, histogram = (pd.read_csv(smoke_copy / target) for target in targets)
    for table in (quality, reliability, histogram):
        pairs = set(table[["prm", "dataset"]].itertuples(index=False, name=None))
        home = {(prm, "arith") for prm in ("verifier", "noisy", "classifier")}
        assert pairs == home | {("verifier", "arith-words")}
    steps = pd.read_parquet(smoke_copy / RESULTS / "scores/verifier/arith.test.parquet")
    mine = histogram[(histogram["prm"] == "verifier") & (histogram["dataset"] == "arith")]
    assert mine["right"].sum() == steps["valid"].sum()
    assert mine["wrong"].sum() == (~steps["valid"].astype(bool)).sum()


def test_check_claims(smoke_copy: Path, smoke_run: Path) -> None:
    for room in ("models", "rollouts", "scores", "trees", "routers"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    targets = [RESULTS / "tables" / name for name in ("claims.csv", "claims.tex", "metric_check.csv")]
    run_rule("check_claims", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    claims, _, check = (pd.read_csv(smoke_copy / target) if target.suffix == ".csv" else None for target in targets)
    needed = ["claim", "scope", "source", "paper_value", "ours", "lo", "hi", "verdict", "why"]
    assert set(needed) <= set(claims)
    described = pd.read_csv(smoke_copy / "data/published/claims.csv")
    statements = claims[claims["scope"] == "analogue"]
    assert list(statements["key"].unique()) == described["key"].tolist()
    assert statements["headline"].dropna().tolist() == ["efficiency", "tokens", "generalization", "takeover", "learned"]
    assert set(claims.loc[claims["scope"] == "same", "verdict"]) == {"not tested"}  # models of our own
    assert claims[["claim", "verdict", "why"]].notna().all(axis=None)
    assert set(check["source"]) == {"Figure 6", "released log"}


@pytest.mark.parametrize(
    ("figure", "needed"),
    [
        ("accuracy_vs_cost_arith-words", {"tables"}),
        ("controls_arith", {"tables"}),
        ("strong_calls_arith", {"tables"}),
        ("prm_reliability", {"tables"}),
        ("claims", {"tables"}),
        ("learning_curves_arith", {"routers"}),
        ("decision_map_arith", {"routers", "scores"}),
        ("observation_model_arith", {"routers"}),
        ("joint_observation_arith", {"routers"}),
        ("pomdp_policy_arith", {"routers"}),
        ("stepwise_vs_query_arith-words", {"tables"}),
        ("oracle_region", {"tables"}),
        ("transfer_curves", {"tables"}),
        ("generalization_matrix", {"tables"}),
        ("prm_quality_routing", {"tables"}),
        ("ablations", {"tables"}),
        ("budgeted", {"tables"}),
        ("interventions", {"tables"}),
    ],
)
def test_plot_figure(figure: str, needed: set[str], smoke_copy: Path, smoke_run: Path) -> None:
    rooms = {"models", "rollouts", "scores", "trees", "routers", "episodes", "problems", "tables"}
    for room in rooms - needed:
        shutil.rmtree(smoke_copy / RESULTS / room)
    targets = [RESULTS / f"figures/{figure}.{kind}" for kind in ("pdf", "png")]
    run_rule("plot_figure", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)


def test_build_explorer(smoke_copy: Path, smoke_run: Path) -> None:
    """Without models and without the step store; what is followed is what was evaluated."""
    shutil.rmtree(smoke_copy / "step_store")
    for room in ("models", "rollouts", "scores", "episodes"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    target = RESULTS / "explorer.html"
    run_rule("build_explorer", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    page = (smoke_copy / target).read_text(encoding="utf-8")
    held = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert {data["name"]: len(data["problems"]) for data in held["datasets"]} == {"arith": 24, "arith-words": 16}
    for data in held["datasets"]:
        assert [router["id"] for router in data["routers"]] == ["trim-thr", "trim-agg", "trim-seq", "trim-pomdp"]
        assert (data["trained_on"], data["labelled"]) == ("arith", True)
        for column in range(4 * len(held["shares"])):
            router, point = divmod(column, len(held["shares"]))
            right = 0
            for problem in data["problems"]:
                at = 0
                while at >= 0:  # neither the end (-2) nor what nobody explored (-1)
                    state = problem["states"][at]
                    action = int(state["decisions"][column])
                    kept, at = state["steps"][action], state["next"][action]
                assert at == -2
                right += kept["correct"]
            accuracy = data["routers"][router]["points"][point]["accuracy"]
            assert right / len(data["problems"]) == pytest.approx(accuracy, abs=1e-4)


def test_no_figure_shows_what_the_config_does_not_train(smoke_run: Path) -> None:
    changes = {"routers": {"agg": {"variants": []}, "pomdp": {"variants": ["released"]}}}
    planned = planned_figures(snakemake(smoke_run, "--dry-run", "--forceall", targets=("figures",), changes=changes))
    assert {"learning_curves_arith", "joint_observation_arith"} <= planned  # of TRIM-Seq, and of `released`
    assert not {"decision_map_arith", "observation_model_arith", "pomdp_policy_arith"} & planned


def test_write_numbers(smoke_copy: Path, smoke_run: Path) -> None:
    narrow = [RESULTS / f"tables/{name}.tex" for name in ("end_points", "routers", "baselines", "prms")]
    targets = [RESULTS / "paper/numbers.tex", *narrow]
    run_rule("write_numbers", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    numbers = (smoke_copy / targets[0]).read_text(encoding="utf-8")
    assert r"\setnum{config/max_steps}{6}" in numbers
    assert r"\setnum{curves/arith/n_problems}{$24$}" in numbers
    absent = "main/arith-hard/arith/trim-thr/delta_ibc"  # nothing was evaluated on arith-hard
    assert rf"\setnum{{{absent}}}{{--}}" in numbers
    log = (smoke_copy / RESULTS / "logs/write_numbers.log").read_text(encoding="utf-8")
    assert f"{absent} is a dash: this experiment has no such row" in log
    assert "left undefined" not in log
    for path in narrow:
        assert (smoke_copy / path).read_text(encoding="utf-8").startswith(r"\begin{tabular}")


@pytest.mark.skipif(not shutil.which("latexmk"), reason="latexmk is not installed")
def test_build_paper(smoke_copy: Path) -> None:
    target = smoke_copy / RESULTS / "paper/main.pdf"
    for room in ("models", "rollouts", "scores", "trees", "routers", "episodes"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    built = []
    for _ in range(2):
        run_rule("build_paper", smoke_copy, RESULTS / "paper/main.pdf")
        built.append(target.read_bytes())
    assert built[0].startswith(b"%PDF")
    assert built[0] == built[1]
    assert {path.name for path in target.parent.iterdir()} == {"main.pdf", "numbers.tex"}
    source = smoke_copy / "paper/main.tex"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(r"\num{config/max_steps}", r"\num{config/max_stops}"), encoding="utf-8")
    said = snakemake(smoke_copy, *PAPER_ALONE, targets=("paper",), status=1)
    assert "There is no number config/max_stops" in said


def test_without_latex_paper_says_so_and_nothing_else_minds(
    smoke_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in folder.glob("*"):
            if program.name not in ("latexmk", "tectonic") and not (programs / program.name).is_symlink():
                (programs / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(programs))
    said = snakemake(smoke_copy, *PAPER_ALONE, targets=("paper",), status=1)
    assert "build_paper: there is no LaTeX here (neither latexmk nor tectonic is on the PATH): install it" in said
    assert "Traceback" not in said
    assert "Nothing to be done" in snakemake(smoke_copy, "--notemp", "--dry-run")


def test_every_rule_is_tested() -> None:
    files = (ROOT / "workflow/rules").glob("*.smk")
    rules = {name for path in files for name in re.findall(r"^rule (\w+):", path.read_text(encoding="utf-8"), re.M)}
    tests = Path(__file__).read_text(encoding="utf-8")
    assert {rule for rule in rules if f'"{rule}"' not in tests} == set()
