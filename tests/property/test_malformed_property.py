"""Whatever comes from outside is read as what it says, or is one sentence that names the place: never a traceback."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inputs import INPUTS, VALUES, at, changed, damaged, places, with_value

from trim.archive.parts import read_manifest
from trim.config.datasets import FileDataset
from trim.config.models import ServedPRM
from trim.config.parsing import parse_config
from trim.config.reading import read_overlay
from trim.config.serving import Price
from trim.errors import BackendError, ConfigError, InputError, StoreError, TrimError
from trim.files import write_json
from trim.models.entries import SCORES, STEPS
from trim.models.protocols import FinishReason
from trim.models.served.api import parse_chat
from trim.models.served.golden import golden_solutions
from trim.models.served.spending import Ledger
from trim.models.served.vllm import parse_completion, parse_pooling
from trim.models.store import Partition
from trim.problems.adapters import load_dataset
from trim.problems.solutions import load_solutions

many = settings(
    max_examples=INPUTS,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def one_sentence(error: TrimError, *named: str) -> None:
    said = str(error)
    assert len(said.splitlines()) == 1
    assert len(said) < 3000
    assert not named or any(name in said for name in named), said
    said.encode()


# --- problems ---------------------------------------------------------------------------

RECORDS: dict[str, dict[str, Any]] = {
    "math": {"problem": "Halve one.", "solution": r"It is $\boxed{\frac12}$.", "answer": "0.5", "unique_id": "a/1"},
    "aime": {"ID": "2001-I-1", "problem": "How many legs have 10 cats?", "solution": "40"},
    "gsm8k": {"question": "Ann has 2 hats and buys 3. How many?", "answer": "2+3=5.\n#### 5"},
    "olympiadbench": {"question": "Solve $x$.", "context": "Let.", "final_answer": ["$1$"], "error": "1e-2"},
    "processbench": {
        **{"id": "p-1", "generator": "scribe", "problem": "How?"},
        **{"steps": ["So", "x"], "label": 1, "final_answer_correct": False},
    },
}


def lines(record: dict[str, Any]) -> st.SearchStrategy[bytes]:
    whole = json.dumps(record).encode() + b"\n"
    return st.one_of(changed(record).map(lambda value: json.dumps(value).encode() + b"\n"), damaged(whole))


@pytest.mark.parametrize("layout", RECORDS)
def test_problem_files(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    splits = {"splits": {"router_train": 1}} if layout == "processbench" else {}
    spec = FileDataset.model_validate({"source": "jsonl", "layout": layout, "path": str(path), **splits})
    load = load_solutions if layout == "processbench" else lambda spec: load_dataset("mine", spec)

    @many
    @given(lines(RECORDS[layout]))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            (read,) = load(spec)
        except InputError as error:
            one_sentence(error, "in.jsonl")
            return
        except ValueError as error:  # two records, as the damage broke the line in two
            assert "too many values" in str(error) and content.count(b"\n") > 1
            return
        record = json.loads(content.decode("utf-8-sig").strip())  # lines of space alone are none
        if layout == "processbench":
            assert list(read.steps) == record["steps"]
            assert read.first_error == (None if record["label"] == -1 else record["label"])
            assert read.correct is record["final_answer_correct"]
        else:
            assert read.text and read.answer
            (read.text + read.answer + read.tolerance).encode()

    check()


# --- configs ----------------------------------------------------------------------------

BASE = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf-8"))
PLACES = [place for place in places(BASE) if place]


def same(found: Any, said: Any) -> bool:
    """Tell whether a setting is what the file said; a whole number may get a point, and no truth value is a number."""
    if isinstance(said, dict):
        return isinstance(found, dict) and all(same(found.get(key), part) for key, part in said.items())
    if isinstance(said, list):
        return isinstance(found, list) and len(found) == len(said) and all(map(same, found, said))
    if isinstance(found, bool) and isinstance(said, str):
        return said.lower() == str(found).lower()  # as Snakemake's command line leaves it
    if isinstance(said, bool) or isinstance(found, bool):
        return found is said
    return bool(found == said)


@many
@given(st.sampled_from(PLACES), VALUES)
def test_configs(place: tuple[Any, ...], value: Any) -> None:
    try:
        experiment = parse_config(with_value(BASE, place, value))
    except ConfigError as error:
        one_sentence(error, "config: ")
        return
    if value is not None and not isinstance(at(BASE, place), dict):  # what is left out of a block has its default
        shown = experiment.model_dump(mode="json")
        if place in set(places(shown)):
            assert same(at(shown, place), value)
        else:
            assert not value  # what says nothing is not shown


def test_config_files(tmp_path: Path) -> None:
    path = tmp_path / "over.yaml"
    whole = (Path(__file__).parents[2] / "config/smoke.yaml").read_bytes()

    @many
    @given(damaged(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            parse_config(BASE | read_overlay(path))
        except ConfigError as error:
            one_sentence(error, "over.yaml", "config: ")

    check()


# --- archives, golden scores, ledgers ---------------------------------------------------

PIECE = {"name": "a/b", "size": 3, "sha256": "0" * 64}
MANIFEST = {
    **{"format": 1, "experiment": "mini", "made_by": "x", "provenance": {}, "config": {}, "licences": {"a": "MIT"}},
    "held": [{"model": "pair.weak", "identity": "w", "kind": "steps", "part": "p", "entries": 3}],
    **{"parts": [PIECE | {"name": "part-000"}], "files": [PIECE]},
}


def test_manifests(tmp_path: Path) -> None:
    @many
    @given(changed(MANIFEST))
    def check(content: Any) -> None:
        if not isinstance(content, dict):
            return
        try:
            write_json(content, tmp_path / "manifest.json")
        except UnicodeEncodeError:
            return
        try:
            manifest = read_manifest(tmp_path)
        except InputError as error:
            one_sentence(error, "manifest.json")
        else:
            assert all(not piece.name.startswith(("/", ".")) and ".." not in piece.name for piece in manifest.files)
            assert all(type(piece.size) is int and piece.size >= 0 for piece in manifest.files)

    check()


GOLDEN = {"model": "prm", "revision": None, "solutions": [{"problem": "1+1", "steps": ["2\n\n"], "scores": [0.75]}]}


def test_golden_scores(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    spec = ServedPRM(name="prm", golden=str(path))
    whole = json.dumps(GOLDEN).encode()

    @many
    @given(st.one_of(changed(GOLDEN).map(lambda value: json.dumps(value).encode()), damaged(whole)))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            solutions = golden_solutions(spec, path)
        except InputError as error:
            one_sentence(error, "golden.json")
        else:
            for solution in solutions:
                assert len(solution.steps) == len(solution.scores)
                assert all(0 <= score <= 1 for score in solution.scores)

    check()


def test_ledgers(tmp_path: Path) -> None:
    price = Price(input_per_million=1, output_per_million=1, max_cost=1e6, max_tokens=10**9)

    @many
    @given(st.one_of(VALUES.map(lambda value: json.dumps(value).encode()), damaged(b"[100, 20]\n[7, 8]")))
    def check(content: bytes) -> None:
        (tmp_path / "a.jsonl").write_bytes(content + b"\n")
        try:
            paid = Ledger(tmp_path, price)._look()
        except InputError as error:
            one_sentence(error, "a.jsonl")
        else:
            entries = [json.loads(line) for line in content.split(b"\n")]
            assert paid == (sum(entry[0] for entry in entries), sum(entry[1] for entry in entries))

    check()


# --- answers of servers -----------------------------------------------------------------

USAGE = {"prompt_tokens": 5, "completion_tokens": 2}
COMPLETION = {
    "choices": [{"text": "ab\n\n", "token_ids": [3, 4], "finish_reason": "stop", "stop_reason": "\n\n"}],
    "usage": USAGE,
}
CHAT = {"choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}], "usage": USAGE}
POOLING = {"data": [{"data": [[0.25, 0.75], [0.5, 0.5]]}], "usage": {"prompt_tokens": 5}}


@many
@given(changed(COMPLETION))
def test_completions(answer: Any) -> None:
    try:
        text, ids, finish = parse_completion(answer, 5, 8)
    except BackendError as error:
        one_sentence(error)
        return
    text.encode()
    assert 1 <= len(ids) <= 8
    assert all(type(token) is int and 0 <= token < 2**31 for token in ids)
    assert finish in FinishReason


@many
@given(changed(CHAT))
def test_chat_answers(answer: Any) -> None:
    try:
        step = parse_chat(answer, 8)
    except BackendError as error:
        one_sentence(error)
        return
    step.text.encode()
    assert type(step.prompt_tokens) is int and step.prompt_tokens >= 0
    assert 1 <= step.tokens <= 8


@many
@given(changed(POOLING))
def test_pooling_answers(answer: Any) -> None:
    try:
        scores = parse_pooling(answer, 2, 5)
    except BackendError as error:
        one_sentence(error)
        return
    assert len(scores) == 2
    assert all(type(score) is float and 0 <= score <= 1 for score in scores)


# --- segments of the step store ---------------------------------------------------------

COLUMNS = {
    "key": st.binary(min_size=16, max_size=16),
    "text": st.one_of(st.none(), st.text(max_size=5)),
    "token_ids": st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(-3, 9)), max_size=4)),
    "prompt_tokens": st.one_of(st.none(), st.integers(-2, 9)),
    "finish": st.one_of(st.none(), st.sampled_from([*FinishReason, "odd", ""])),
    "value": st.one_of(st.none(), st.floats(-0.5, 1.5), st.just(math.nan)),
}


@pytest.mark.parametrize("codec", [STEPS, SCORES], ids=["steps", "scores"])
def test_segments(codec: Any, tmp_path: Path) -> None:
    row = st.fixed_dictionaries({name: COLUMNS[name] for name in codec.schema.names})

    @many
    @given(st.lists(row, min_size=1, max_size=3))
    def check(rows: list[dict[str, Any]]) -> None:
        table = pa.Table.from_pylist(rows, schema=codec.schema)
        pq.write_table(table, tmp_path / "a.parquet", write_page_checksum=True)  # without a checksum: an earlier one
        try:
            partition = Partition(tmp_path, codec, "whichever")
            entries = [partition.get(row["key"]) for row in rows]
        except StoreError as error:
            one_sentence(error, "a.parquet")
            return
        for row, entry in zip(rows, entries, strict=True):
            assert entry is not None and entry.prompt_tokens == row["prompt_tokens"] >= 0
            if codec is SCORES:
                assert 0 <= entry.value <= 1
            else:
                assert (entry.text, list(entry.token_ids), entry.finish) == (
                    row["text"],
                    row["token_ids"],
                    row["finish"],
                )

    check()
