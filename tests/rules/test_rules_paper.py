"""Rules of the paper, each alone: what it leaves, and that it is what the whole run left."""

import os
import shutil
from pathlib import Path

import pytest
from rule_outputs import assert_same
from run_rule import run_rule
from smoke import RESULTS, snakemake

PAPER_ALONE = ("--notemp", "--allowed-rules", "write_numbers", "build_paper", "paper")


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
