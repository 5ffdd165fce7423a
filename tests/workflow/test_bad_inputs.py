"""What a user sees who gave the workflow something wrong: one sentence, and all else is left alone."""

import json
import shutil
from pathlib import Path

import pytest
from smoke import RESULTS, checkout, contents, planned_rules, snakemake

RECORD = json.dumps({"problem": "What is 1+1?", "answer": "2"})


def sentence(output: str, rule: str) -> str:
    """What a failed job says; there is no traceback, and nobody says more than one sentence."""
    assert "Traceback" not in output
    (line,) = {line for line in output.splitlines() if line.startswith(f"{rule}: ")}
    return line


def jsonl(path: str, **more: object) -> dict[str, object]:
    return {"source": "jsonl", "layout": "math", "path": path, **more}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return checkout(tmp_path / "checkout")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rooters": {"thresholds": 3}}, "unknown key 'rooters'"),
        ({"pair": {"weak": {"training_step": 3}}}, "unknown key 'pair.weak.training_step'"),
        ({"datasets": {"arith": {"min_steps": 9, "max_steps": 3}}}, "datasets.arith: min_steps is greater"),
        ({"evaluated_on": ["arithmetic"]}, "evaluated_on names 'arithmetic'"),
        ({"pair": {"prm": "oracle"}}, "PRM 'oracle' is not under prms"),
        ({"seed": "lucky"}, "seed: "),
        ({"pair": {"home": "arith"}}, "key 'pair.home' is now called 'main_dataset'; rename it"),
        ({"manuscript": "paper/gone.tex"}, "manuscript: no such file as paper/gone.tex, neither from "),
        ({"routers": {"others": {"mine": {}}}}, "routers.others.mine: no installed package registers a router of that"),
    ],
)
def test_a_wrong_config_stops_before_any_job(tree: Path, changes: dict[str, object], expected: str) -> None:
    output = snakemake(tree, changes=changes, status=1)
    (line,) = [line for line in output.splitlines() if line.startswith("config: ")]
    assert expected in line
    assert "Traceback" not in output
    assert "Building DAG" not in output
    assert not (tree / "results").exists()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([RECORD, '{"problem": '], "in.jsonl:2: not valid JSON"),
        (['{"problem": "What is 1+1?"}'], "in.jsonl:1: no reference answer"),
        ([RECORD, RECORD], "in.jsonl:2: the same problem as in.jsonl:1"),
        (None, "in.jsonl: no such file"),
    ],
)
def test_a_malformed_dataset_is_named_with_its_line(tree: Path, lines: list[str] | None, expected: str) -> None:
    if lines is not None:
        (tree / "in.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    changes = {"datasets": {"mine": jsonl("in.jsonl")}}
    target = RESULTS / "problems/mine/manifest.json"
    assert expected in sentence(snakemake(tree, targets=(target,), changes=changes, status=1), "prepare_dataset")
    assert not contents(tree / RESULTS / "problems")


def test_parts_for_training_and_for_evaluation_that_overlap_are_refused(tree: Path) -> None:
    for name in ("train", "test"):
        (tree / f"{name}.jsonl").write_text(RECORD + "\n", encoding="utf-8")
    changes = {
        "datasets": {"mine": jsonl("test.jsonl"), "mine-train": jsonl("train.jsonl", splits={"router_train": 1})}
    }
    target = RESULTS / "problems/disjoint.json"
    output = snakemake(tree, targets=(target,), changes=changes, status=1)
    said = sentence(output, "check_splits")
    assert "share 1 of their problems" in said
    assert "mine-0" in said
    assert "mine-train-0" in said
    assert not (tree / target).exists()


def test_no_table_is_made_before_the_parts_were_compared(smoke_copy: Path) -> None:
    (smoke_copy / RESULTS / "problems/disjoint.json").unlink()
    planned = planned_rules(snakemake(smoke_copy, "--dry-run", "--force", targets=(RESULTS / "tables/main.csv",)))
    assert "check_splits" in planned


def of_other_jobs(tree: Path) -> dict[str, bytes]:
    """Episodes that the job that evaluates all routers on arith does not write."""
    episodes = contents(tree / RESULTS / "episodes")
    found = {name: held for name, held in episodes.items() if name.endswith("arith-words.parquet") or "by_prm" in name}
    assert found
    return found


def test_a_damaged_segment_of_the_store_is_named_and_nothing_else_is_touched(smoke_copy: Path) -> None:
    partitions = [
        path.parent for path in (smoke_copy / "step_store").glob("*/identity.json") if "sampling" in path.read_text()
    ]
    segment = next(partitions[0].glob("arith.test/*.parquet"))
    segment.write_bytes(segment.read_bytes()[:-20])
    target = RESULTS / "episodes/trim-thr/arith/arith.parquet"
    (smoke_copy / target).unlink()
    before = {room: contents(smoke_copy / RESULTS / room) for room in ("tables", "rollouts", "models")}
    episodes = of_other_jobs(smoke_copy)
    store = contents(smoke_copy / "step_store")
    said = sentence(snakemake(smoke_copy, targets=(target,), status=1), "evaluate_routers")
    assert str(segment.relative_to(smoke_copy)) in said
    assert "delete it" in said
    assert before == {room: contents(smoke_copy / RESULTS / room) for room in before}
    assert of_other_jobs(smoke_copy) == episodes
    assert contents(smoke_copy / "step_store") == store
    segment.unlink()  # as the sentence says
    snakemake(smoke_copy, targets=(target,))
    assert (smoke_copy / target).is_file()


def test_offline_without_the_store_counts_what_is_missing(smoke_copy: Path) -> None:
    target = RESULTS / "episodes/weak-only/untrained/arith.parquet"
    (smoke_copy / target).unlink()
    shutil.rmtree(smoke_copy / "step_store")
    before = of_other_jobs(smoke_copy)
    output = snakemake(smoke_copy, targets=(target,), changes={"offline": True}, status=1)
    assert "offline: 24 of 24 prefixes that routers reach next need steps" in sentence(output, "evaluate_routers")
    assert of_other_jobs(smoke_copy) == before
    assert not (smoke_copy / "step_store").exists()
