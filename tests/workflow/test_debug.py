"""A rule's script without Snakemake around it: the same files, one sentence for a wrong call, a debugger on errors."""

import subprocess
import sys
from pathlib import Path

import pytest
from smoke import RESULTS, checkout, environment, snakemake

from trim.debug import main
from trim.files import write_text

SMOKE = ("--configfile", "config/smoke.yaml")
DISJOINT = RESULTS / "problems/disjoint.json"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkout in which the workflow has prepared and compared the datasets, and done no more."""
    tree = checkout(tmp_path_factory.mktemp("debug") / "check out")
    snakemake(tree, targets=(DISJOINT,))
    return tree


def debug(tree: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trim.debug", *arguments, *SMOKE]
    return subprocess.run(command, cwd=tree, env=environment(tree), input=typed, capture_output=True, text=True)


def test_the_script_leaves_what_it_leaves_in_the_workflow(prepared: Path) -> None:
    for target, arguments in {
        DISJOINT: ("check_splits",),
        RESULTS / "problems/arith/manifest.json": ("prepare_dataset", "--wildcards", "dataset=arith"),
    }.items():
        before = (prepared / target).read_bytes()
        (prepared / target).unlink()
        done = debug(prepared, *arguments)
        assert done.returncode == 0, done.stderr
        assert (prepared / target).read_bytes() == before


def test_a_debugger_opens_where_the_script_failed(prepared: Path) -> None:
    dev, test = (prepared / RESULTS / f"problems/arith/{split}.jsonl" for split in ("dev", "test"))
    kept = dev.read_bytes()
    write_text(test.read_text(encoding="utf-8"), dev)
    try:
        done = debug(prepared, "check_splits", typed="up\np sorted(splits)\n")
        quiet = debug(prepared, "check_splits", "--no-pdb", typed="p 1\n")
    finally:
        write_text(kept.decode(), dev)
    assert done.returncode == quiet.returncode == 1
    assert "['dev', 'prm_train', 'router_train', 'test']" in done.stdout
    assert "share 24 of their problems" in done.stderr
    assert "(Pdb)" not in quiet.stdout
    assert "share 24 of their problems" in quiet.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("check_split",), "no rule 'check_split' has a script; those that have one are "),
        (("prepare_dataset",), "rule prepare_dataset takes --wildcards dataset=...; given were: none"),
        (
            ("check_splits", "--wildcards", "dataset=arith"),
            "takes no --wildcards; given were: dataset",
        ),
        (("prepare_dataset", "--wildcards", "arith"), "--wildcards arith: write it as NAME=VALUE"),
        (("prepare_dataset", "--wildcards", "dataset=moon"), "dataset=moon is none of arith|arith-hard|arith-words"),
        (
            ("grow_trees", "--wildcards", "dataset=arith", "split=dev"),
            "results/smoke/models/weak, which rule grow_trees reads, is not there; make it first: "
            "snakemake --configfile config/smoke.yaml results/smoke/models/weak ",
        ),
        (("check_splits", "--configfile", "none.yaml"), "--configfile none.yaml: there is no such file"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    arguments: tuple[str, ...],
    expected: str,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(prepared)
    assert main([*arguments, *(() if "--configfile" in arguments else SMOKE)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_a_wrong_config_and_a_place_without_a_workflow_are_one_sentence(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("rooters: 3\n", encoding="utf-8")
    monkeypatch.chdir(prepared)
    assert main(["check_splits", "--configfile", str(tmp_path / "mine.yaml")]) == 2
    monkeypatch.chdir(tmp_path)
    assert main(["check_splits"]) == 2
    config, place = capsys.readouterr().err.splitlines()
    assert "unknown key 'rooters'" in config
    assert "there is no Snakefile in" in place
