"""The experiment on real models, redrawn from the archive that lies in the repository."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from smoke import ROOT, checkout, environment

from trim.files import read_csv

RESULTS = Path("results/qwen_gsm8k")
TABLES = RESULTS / "tables"
FIGURES = ("accuracy_vs_cost_gsm8k", "prm_outcomes_math500", "prices_gsm8k", "claims")
"""Others are drawn from the smoke experiment (tests/rules)."""


@pytest.mark.slow
def test_the_real_pair_is_redrawn_without_a_model(tmp_path: Path) -> None:
    tree = checkout(tmp_path / "checkout")
    given = ["--replay", "data/replay/qwen_gsm8k", "--configfile", "config/qwen_gsm8k.yaml", "--cores", "2"]
    told = tmp_path / "output.txt"
    with told.open("w") as output:
        targets = ["tables", RESULTS / "paper/numbers.tex", *(RESULTS / f"figures/{name}.pdf" for name in FIGURES)]
        command = [sys.executable, "-m", "trim.reproduce", *given, "--", *map(str, targets)]
        ended = subprocess.run(command, cwd=tree, env=environment(tree), stdout=output, stderr=output)
    assert ended.returncode == 0, told.read_text(encoding="utf-8")[-3000:]
    main = read_csv(tree / TABLES / "main.csv")
    routers = {"trim-thr", "trim-agg", "trim-seq", "trim-pomdp", "fitted-q", "one-step-takeover", "random-step", "rsd"}
    assert routers <= set(main["router"])
    assert (main["delta_ibc_lo"] <= main["delta_ibc_hi"]).any()
    ledger, kept = read_csv(tree / TABLES / "claims.csv"), read_csv(ROOT / "docs/results/qwen_gsm8k.claims.csv")
    pd.testing.assert_frame_equal(ledger, kept, rtol=1e-4)
    said = (tree / RESULTS / "logs/write_numbers.log").read_text(encoding="utf-8")
    assert "numbers in the text" in said
    assert "is a dash" not in said  # the experiment has every number of its manuscript
    assert "left undefined" not in said
