"""The workflow with a router, a control, a baseline, a PRM and a figure of another package: those under examples/."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from packages import EXAMPLE, installed
from smoke import RESULTS, planned_rules, snakemake

from trim.files import read_json

TABLES, FIGURE = RESULTS / "tables", RESULTS / "figures/steepness_arith"
UNTOUCHED = {"train_language_model", "collect_rollouts", "grow_trees", "collect_solutions"}


@pytest.mark.slow
def test_parts_of_another_package_stand_in_models_tables_and_figures(smoke_copy: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, smoke_copy / "examples/own_parts")
    overlay = yaml.safe_load((EXAMPLE / "config/own_parts.yaml").read_text(encoding="utf-8"))
    overlay["evaluated_on"] = ["arith"]  # one dataset is enough here
    packages = installed(tmp_path / "packages")
    said = snakemake(
        smoke_copy,
        targets=(
            *(TABLES / f"{name}.csv" for name in ("curves", "main", "prm_quality")),
            *(f"{FIGURE}.{kind}" for kind in ("pdf", "png")),
            RESULTS / "problems/riddles/manifest.json",
        ),
        changes=overlay,
        packages=packages,
        cores=2,
    )
    planned = planned_rules(said)
    assert not UNTOUCHED & set(planned)
    assert {rule: planned[rule] for rule in ("fit_router", "train_prm", "plot_figure")} == {
        "fit_router": 1,
        "train_prm": 1,
        "plot_figure": 1,
    }

    curves = pd.read_csv(smoke_copy / TABLES / "curves.csv").set_index("router")
    fitted, turns, query = curves.loc["by-position"], curves.loc["take-turns"], curves.loc[["by-length"]]
    assert fitted["operating_point"].tolist() == [0.1, 0.3]
    assert fitted["trained_on"].tolist() == ["arith", "arith"]
    assert fitted["strong_tokens"].is_monotonic_increasing and (fitted["prm_tokens"] > 0).all()
    assert turns["trained_on"] == "untrained" and 0 < turns["strong_share"] < 1
    assert turns["discarded_tokens"] == turns["prm_tokens"] == 0  # it throws nothing away, and asks nobody
    assert query["discarded_tokens"].eq(0).all()
    main = pd.read_csv(smoke_copy / TABLES / "main.csv")
    assert {"by-position", "take-turns", "by-length"} < set(main["router"])

    kind = json.loads((smoke_copy / RESULTS / "models/prm-length/prm.json").read_text(encoding="utf-8"))
    assert kind == {"kind": "step-length", "bins": 4}
    quality = pd.read_csv(smoke_copy / TABLES / "prm_quality.csv")
    assert quality.loc[quality["prm"] == "length", "count"].max() > 100
    assert (smoke_copy / f"{FIGURE}.pdf").read_bytes().startswith(b"%PDF")
    assert (smoke_copy / f"{FIGURE}.png").stat().st_size > 10_000
    manifest = read_json(smoke_copy / RESULTS / "problems/riddles/manifest.json")
    assert manifest["splits"]["test"]["problems"] == 3

    snakemake(smoke_copy, "--report", "report.html", targets=("figures",), changes=overlay, packages=packages)
    assert "gain per strong token" in (smoke_copy / "report.html").read_text(encoding="utf-8")
