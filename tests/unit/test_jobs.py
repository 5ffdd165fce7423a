"""What every script of the workflow shares: where results come from, parts of the work, progress and errors."""

import errno
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from snakemake.iocontainers import InputFiles, OutputFiles, Params, Wildcards

from trim import jobs
from trim.config.experiment import Experiment
from trim.errors import InputError
from trim.files import write_parquet
from trim.jobs import Job, open_job
from trim.problems.problem import Problem, write_problems
from trim.rollout.trees import RolloutTrees
from trim.rollout.vectorised import explore


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Leave the handlers of the root logger as they were: a job takes it for itself."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def given(
    folder: Path, config: Mapping[str, Any] | None = None, inputs: Mapping[str, Any] | None = None, **wildcards: str
) -> SimpleNamespace:
    """What Snakemake puts into the script of a rule."""
    return SimpleNamespace(
        rule="make_table",
        input=InputFiles(fromdict=dict(inputs or {})),
        output=OutputFiles(fromdict={"table": str(folder / "table.parquet")}),
        params=Params(fromdict={"version": 1}),
        wildcards=Wildcards(fromdict=wildcards),
        threads=1,
        log=[str(folder / "logs/make_table.log")],
        config=Experiment().model_dump(mode="json") | dict(config or {}),
    )


def said(folder: Path) -> str:
    return (folder / "logs/make_table.log").read_text(encoding="utf-8")


# --- where results come from ------------------------------------------------------------


def test_the_origin_is_computed_once_a_job_and_goes_with_every_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, asked, parse = [], [], jobs.parse_config
    monkeypatch.setattr(jobs, "parse_config", lambda config: parsed.append(1) or parse(config))
    monkeypatch.setattr(jobs, "_code_version", lambda: asked.append(1) or "1.2.3")
    with open_job(given(tmp_path, {"seed": 5})) as job:
        assert (len(parsed), len(asked)) == (0, 0)  # not before somebody wants to know
        for name in ("table", "other"):
            job.write_parquet(pd.DataFrame({"x": [1]}), tmp_path / f"{name}.parquet")
            job.write_json({"x": 1}, tmp_path / f"{name}.json")
    assert (len(parsed), len(asked)) == (1, 1)
    for name in ("table", "other"):
        kept = json.loads(pq.read_schema(tmp_path / f"{name}.parquet").metadata[b"trim"])
        assert kept == job.provenance == json.loads((tmp_path / f"{name}.json").read_text())["provenance"]
    assert (job.provenance["seed"], job.provenance["code"]) == (5, "1.2.3")
    assert set(job.provenance["packages"]) == set(jobs.RECORDED_PACKAGES)


def test_the_hash_is_of_what_decides_results(tmp_path: Path) -> None:
    def origin(**changes: Any) -> str:
        return str(Job(given(tmp_path, changes)).provenance["config_hash"])

    assert origin() == origin(offline=True) == origin(step_store="elsewhere") == origin(serving={"concurrency": 3})
    assert origin() == origin(pair={"cache_mb": 64}) != origin(pair={"name": "other"})
    assert origin() != origin(seed=1)


@pytest.mark.parametrize("budget", [None, 9])
def test_a_budget_closes_the_trees_that_are_learned_from_and_never_those_of_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_problems: Any, scripted_pair: Any, budget: int | None
) -> None:
    problems, inputs = make_problems(3), {}
    for split in ("router_train", "dev", "test"):
        trees = RolloutTrees(problems, 1, 8, lambda answer, problem: (False, False), scripted_pair())
        explore(trees, 9)
        inputs |= {f"{split}_{what}": str(tmp_path / f"{split}.{what}") for what in ("problems", "trees")}
        write_problems(problems, Path(inputs[f"{split}_problems"]))
        write_parquet(trees.table(), inputs[f"{split}_trees"], {})
    monkeypatch.setattr(Job, "_servers", lambda job: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(Job, "_pair_on", lambda job, servers, part: nullcontext(scripted_pair()))
    job = Job(given(tmp_path, inputs=inputs))
    job.params = Params(fromdict={"pair": {"max_steps": 8}, "replicates": {"train": 1, "test": 1}})
    if budget:
        job.params = Params(fromdict={**dict(job.params.items()), "tree_budget": budget})
    with job.trees("arith", "router_train", "dev", "test", labelled=False) as opened:
        assert [trees.closed for trees in opened] == [bool(budget), bool(budget), False]


def test_routers_may_be_compared_on_the_test_problems_of_another_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_problems: Any, scripted_pair: Any
) -> None:
    inputs, parts = {f"{split}_problems": str(tmp_path / split) for split in ("dev", "test")}, []
    for count, path in enumerate(inputs.values(), 1):
        write_problems(make_problems(count), Path(path))
    monkeypatch.setattr(Job, "_servers", lambda job: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(Job, "_pair_on", lambda job, servers, part: nullcontext(parts.append(part)))
    job = Job(given(tmp_path, inputs=inputs))
    job.params = Params(fromdict={"pair": {"max_steps": 8}, "replicates": {"train": 1, "test": 1}, "compared_on": "b"})
    with job.trees("a", "dev", "test", labelled=False) as opened:
        assert [len(trees.problems) for trees in opened] == [1, 2]
    assert parts == ["a.dev", "b.test"]


# --- parts, inputs, whole files ---------------------------------------------------------


def test_parts_are_disjoint_and_together_all(tmp_path: Path) -> None:
    items = list(range(11))
    parts = [Job(given(tmp_path, scatteritem=f"{i}-of-3")).shard(items) for i in (1, 2, 3)]
    assert sorted(sum(parts, [])) == items
    assert [len(part) for part in parts] == [4, 4, 3]
    assert Job(given(tmp_path, scatteritem="1-of-1")).shard(items) == items


def test_problems_are_those_of_the_named_input(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("problems", "dev_problems")}
    for name, path in files.items():
        write_problems([Problem(name, "arith", f"text of {name}", "1", "00000000")], path)
    job = Job(given(tmp_path, inputs={name: str(path) for name, path in files.items()}))
    assert [problem.id for problem in job.problems()] == ["problems"]
    assert [problem.id for problem in job.problems("dev_problems")] == ["dev_problems"]


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder/page.html"
    job = Job(given(tmp_path))
    job.write_text("whole", path)
    with pytest.raises(UnicodeEncodeError):
        job.write_text("cut \udc80", path)
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


# --- errors and progress ----------------------------------------------------------------


def test_an_error_that_a_user_can_mend_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, open_job(given(tmp_path)):
        raise InputError("in.jsonl:2: not valid JSON")
    assert stopped.value.code == 1
    assert capsys.readouterr() == ("", "make_table: in.jsonl:2: not valid JSON\n")
    assert said(tmp_path).endswith("ERROR trim.workflow.make_table: in.jsonl:2: not valid JSON\n")
    assert "Traceback" not in said(tmp_path)


def test_a_wrong_config_is_one_sentence_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), open_job(given(tmp_path, {"sede": 3})) as job:
        job.write_json({}, tmp_path / "out.json")
    assert capsys.readouterr().err.startswith("make_table: config: unknown key 'sede'")
    assert not (tmp_path / "out.json").exists()


def test_an_error_of_ours_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_job(given(tmp_path)):
        _ = 1 / 0
    assert "Traceback" in said(tmp_path) and "ZeroDivisionError" in said(tmp_path)


def test_a_job_that_ends_well_says_how_long_it_took(tmp_path: Path) -> None:
    for line in ("first", "second"):
        with open_job(given(tmp_path)) as job:
            job.log.info("%s", line)
    assert "second" in said(tmp_path) and "first" not in said(tmp_path)  # the log is of the last run
    assert "done in " in said(tmp_path)


def test_progress_is_told_every_few_seconds_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: clock[0])
    report = Job(given(tmp_path)).progress("training, steps")
    for clock[0], done in ((1.0, 10), (12.0, 500), (13.0, 510), (40.0, 2000)):
        report(done, 2000)
    assert capsys.readouterr().err.splitlines() == [
        "training, steps: 500 of 2,000 (25%), 12 s gone, 36 s left",
        "training, steps: 2,000 of 2,000 (100%), 40 s gone, 0 s left",
    ]
    quick = Job(given(tmp_path)).progress("reading")
    clock[0] += 2
    quick(5, 5)
    assert capsys.readouterr().err == ""


# --- the disk, and the GPU's memory -----------------------------------------------------


def test_a_gpu_without_memory_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), open_job(given(tmp_path)):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 23.90 GiB.")
    line = capsys.readouterr().err
    assert line.startswith("make_table: the memory of the GPU is full; lower pair.batch_size")
    assert line.count("\n") == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_error_of_the_disk_is_one_sentence(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), open_job(given(tmp_path)):
        raise OSError(number, os.strerror(number), str(tmp_path / "table.parquet"))
    line = capsys.readouterr().err
    assert line.startswith(f"make_table: {tmp_path}")
    assert line.count("\n") == 1
    assert "then start again" in said(tmp_path)


def test_a_log_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(SystemExit), open_job(given(tmp_path)):
        raise AssertionError("a job without a log does not begin")
    assert capsys.readouterr().err == (
        f"make_table: {tmp_path}: Permission denied; get the right to read and write there, then start again\n"
    )
