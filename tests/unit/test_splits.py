"""Splits of the arithmetic families, and the manifest."""

import hashlib
import json
import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from trim.config.datasets import ArithmeticFamily, FileDataset
from trim.errors import InputError
from trim.problems import splits
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem, fingerprint, write_problems
from trim.problems.splits import SPLIT_RANGES, check_disjoint, divide, draw_split, leave_out, manifest, split_of

FAMILY = ArithmeticFamily()


def problem(id: str, text: str) -> Problem:
    return Problem(id, "mine", text, "1", fingerprint(text))


def in_bucket(bucket: int) -> str:
    return f"{bucket:08x}" + "0" * 56


def test_the_ranges_partition_the_hundred_buckets() -> None:
    assert sorted(bucket for buckets in SPLIT_RANGES.values() for bucket in buckets) == list(range(100))


@pytest.mark.parametrize(
    ("bucket", "split"),
    [
        (0, "lm_train"),
        (69, "lm_train"),
        (70, "prm_train"),
        (79, "prm_train"),
        (80, "router_train"),
        (86, "router_train"),
    ]
    + [(87, "dev"), (89, "dev"), (90, "test"), (99, "test"), (100, "lm_train"), (1090, "test")],
)
def test_split_of_a_bucket(bucket: int, split: str) -> None:
    assert split_of(in_bucket(bucket)) == split


def test_programs_spread_over_the_splits_by_their_shares() -> None:
    drawn = Counter(split_of(p.fingerprint) for p in islice(draw_problems("a", FAMILY, random.Random(0)), 3000))
    for split, buckets in SPLIT_RANGES.items():
        assert drawn[split] / 3000 == pytest.approx(len(buckets) / 100, abs=0.03)


def test_draws_distinct_problems_of_the_split_and_numbers_them() -> None:
    problems = draw_split("arith", FAMILY, "dev", 40, seed=1)
    assert [p.id for p in problems] == [f"arith-dev-{i}" for i in range(40)]
    assert {split_of(p.fingerprint) for p in problems} == {"dev"}
    assert len({p.fingerprint for p in problems}) == 40


def test_the_same_seed_gives_the_same_problems_and_more_of_them_begin_alike() -> None:
    problems = draw_split("arith", FAMILY, "test", 30, seed=1)
    assert draw_split("arith", FAMILY, "test", 30, seed=1) == problems
    assert draw_split("arith", FAMILY, "test", 50, seed=1)[:30] == problems
    assert draw_split("arith", FAMILY, "test", 30, seed=2) != problems
    assert [p.text for p in draw_split("other", FAMILY, "test", 30, seed=1)] != [p.text for p in problems]


def test_families_that_share_programs_keep_them_in_the_same_split() -> None:
    """One-step programs are few, so that wordings meet: never in two splits."""
    small = ArithmeticFamily(min_steps=1, max_steps=1)
    words = small.model_copy(update={"wording": "words"})
    tests = {p.fingerprint for p in draw_split("symbols", small, "test", 200, seed=1)}
    trained = {p.fingerprint for p in draw_split("words", words, "prm_train", 200, seed=1)}
    again = {p.fingerprint for p in draw_split("words", words, "test", 200, seed=1)}
    assert tests & again
    assert not tests & trained


def test_a_family_too_small_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "FRUITLESS_DRAWS", 2000)
    tiny = ArithmeticFamily(min_steps=1, max_steps=1, p_multiply=0, p_two_digits=0)
    with pytest.raises(InputError, match=r"datasets\.tiny: only \d+ distinct.*'dev', 10000 wanted; lower sizes\.dev"):
        draw_split("tiny", tiny, "dev", 10_000, seed=1)


def test_nothing_wanted_is_nothing_drawn() -> None:
    assert draw_split("arith", FAMILY, "dev", 0, seed=1) == []


def test_all_splits_of_a_family_are_disjoint() -> None:
    check_disjoint({split: draw_split("arith", FAMILY, split, 30, seed=1) for split in SPLIT_RANGES})


SOME = [problem(f"m-{i}", f"question {i}") for i in range(2000)]


def test_splits_get_their_shares_and_nobody_is_lost() -> None:
    parts = divide(SOME, {"router_train": 0.7, "dev": 0.1, "prm_train": 0.2})
    assert sorted(p.id for part in parts.values() for p in part) == sorted(p.id for p in SOME)
    for split, share in {"router_train": 0.7, "dev": 0.1, "prm_train": 0.2}.items():
        assert len(parts[split]) / len(SOME) == pytest.approx(share, abs=0.03)


def test_where_a_problem_goes_hangs_on_itself_alone() -> None:
    shares = {"router_train": 0.5, "dev": 0.5}
    few, all_of_them = divide(SOME[::-2], shares), divide(SOME, shares)
    assert {p.id for p in few["dev"]} <= {p.id for p in all_of_them["dev"]}
    assert few["router_train"]


def test_shares_below_one_leave_problems_unused_and_a_share_of_zero_gets_none() -> None:
    parts = divide(SOME, {"dev": 0.0, "test": 0.25})
    assert parts["dev"] == []
    assert len(parts["test"]) / len(SOME) == pytest.approx(0.25, abs=0.03)


def test_what_others_test_and_repetitions_are_left_out_and_counted() -> None:
    mine = [problem("m-0", "one"), problem("m-1", "two"), problem("m-2", "TWO"), problem("m-3", "three")]
    kept, dropped = leave_out(mine, {"exam": [problem("e-0", " ONE ")], "quiz": [problem("q-0", "four")]})
    assert [p.id for p in kept] == ["m-1", "m-3"]
    assert dropped == {"exam": 1, "mine": 1}
    check_disjoint({"router_train": kept, "test": [problem("e-0", "one")]})


def test_an_overlap_names_splits_and_problems() -> None:
    parts = {
        "router_train": [problem("r-0", "one"), problem("r-1", "two")],
        "dev": [problem("d-0", "three")],
        "test": [problem("t-0", "four"), problem("t-1", "TWO "), problem("t-2", "one")],
    }
    with pytest.raises(InputError, match="'router_train' and 'test' share 2 .* r-1 and t-1; remove"):
        check_disjoint(parts)


def test_a_repetition_inside_one_split_is_no_overlap() -> None:
    check_disjoint({"dev": [problem("d-0", "one"), problem("d-1", "one")], "test": [problem("t-0", "two")]})


def test_manifest_of_a_generated_dataset(tmp_path: Path) -> None:
    parts = {split: draw_split("arith", FAMILY, split, size, seed=1) for split, size in (("dev", 3), ("test", 5))}
    files = {split: tmp_path / f"{split}.jsonl" for split in parts}
    for split, path in files.items():
        write_problems(parts[split], path)
    content = manifest("arith", FAMILY, parts, files)
    assert json.loads(json.dumps(content)) == content
    assert content["dataset"] == "arith"
    assert content["source"]["source"] == "arithmetic"
    assert content["splits"]["test"] == {
        "file": "test.jsonl",
        "problems": 5,
        "sha256": hashlib.sha256(files["test"].read_bytes()).hexdigest(),
        "hash_percent": [90, 99],
    }
    assert content["splits"]["dev"]["hash_percent"] == [87, 89]
    assert content["lm_train"]["hash_percent"] == [0, 69]


def test_manifest_of_a_file_dataset(tmp_path: Path) -> None:
    spec = FileDataset(source="hub", layout="gsm8k", path="some/where", revision="abc", licence="MIT")
    write_problems([problem("t-0", "one")], tmp_path / "test.jsonl")
    files = {"test": tmp_path / "test.jsonl"}
    content = manifest("mine", spec, {"test": [problem("t-0", "one")]}, files, source_sha256="0f", left_out={"exam": 1})
    assert (content["source_sha256"], content["left_out"]) == ("0f", {"exam": 1})
    assert (content["licence"], content["source"]["path"], content["source"]["revision"]) == (
        "MIT",
        "some/where",
        "abc",
    )
    assert set(content["splits"]["test"]) == {"file", "problems", "sha256"}
    assert "lm_train" not in content
