"""docs/claims.md: in agreement with the README and the registry, and filled from results where they are."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from smoke import ROOT

from trim.documents.claims_page import KEPT, PAGE, PUBLISHED, ROW, SEEDED, keep_results, render_claims
from trim.evaluation.claims.statements import CLAIMS
from trim.files import write_csv, write_json

VERDICT = r"(?:holds|fails|undecided|not tested)(?: †)?"
ROWS = re.compile(rf"^\| (\w+) \| (.+) \| (.+) \| ({VERDICT}) \| ([^|]*) \|$", re.MULTILINE)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the page is made of, with one experiment in the README."""
    (tmp_path / PUBLISHED).parent.mkdir(parents=True)
    shutil.copyfile(ROOT / PUBLISHED, tmp_path / PUBLISHED)
    (tmp_path / "config").mkdir()
    row = "| Every look-ahead router is more cost-efficient than TRIM-Thr on mine | delta IBC | 1 | 2.5 | **holds** |"
    block = f"<!-- results of mine: generated -->\n\n{row}\n\nCode 1+abc, Python 3.\n\n<!-- end of results -->\n"
    (tmp_path / "README.md").write_text(block)
    return tmp_path


def test_the_page_is_that_of_the_readme_and_the_registry() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert page == render_claims(ROOT), "run `trim claims`"
    assert set(CLAIMS) <= set(re.findall(r"^## ([\w-]+)$", page, re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    headlines = ROW.findall(readme)
    tested = {row for row in headlines if row[2] != "not tested"}
    assert tested and tested <= {row[1:4] for row in ROWS.findall(page)}


def test_a_headline_stands_under_the_first_claim_that_says_it(clone: Path) -> None:
    page = render_claims(clone)
    learned = page.split("## learned\n")[1].split("\n## ")[0]
    statement = "Every look-ahead router is more cost-efficient than TRIM-Thr on mine"
    assert ROWS.findall(page) == [("mine", statement, "2.5", "holds", "")] == ROWS.findall(learned)
    assert "Quoted here: code 1+abc, python 3." in page and "It took" not in page


def test_commands_are_those_of_the_experiment(clone: Path) -> None:
    assert "\nsnakemake results/mine/tables/claims.csv --cores all\n" in render_claims(clone)
    (clone / "config/mine.yaml").write_text("experiment: mine\n")
    assert "claims.csv --cores all --configfile config/mine.yaml\n" in render_claims(clone)
    (clone / "data/replay/mine").mkdir(parents=True)
    (clone / "data/replay/mine/manifest.json").write_text("{}")
    commands = "trim store import data/replay/mine\nsnakemake results/mine/tables/claims.csv"
    assert f"{commands} --cores all --configfile config/mine.yaml --config offline=true\n" in render_claims(clone)


def test_kept_results_take_the_place_of_headlines(clone: Path) -> None:
    results = clone / "results/mine"
    numbers = {"dataset": "a", "method": None, "measure": "PGR at 20% share", "ours": 0.5, "lo": 0.25, "hi": 0.75}
    numbers["failed_training"] = None
    rows = [{"key": "match", "claim": "Something", "verdict": "fails"} | numbers]
    rows += [{"key": "match", "claim": "Untrained", "verdict": "fails"} | numbers | {"failed_training": "a hole"}]
    rows += [{"key": "table1", "claim": "A number", "verdict": "not tested"} | numbers]
    write_csv(pd.DataFrame(rows), results / "tables/claims.csv")
    (results / "benchmarks/fit").mkdir(parents=True)
    for job in "ab":
        (results / f"benchmarks/fit/{job}.tsv").write_text("s\tcpu_time\n9\t1800\n")
    keep_results(clone, "mine")
    page = render_claims(clone)
    assert ROWS.findall(page) == [
        ("mine", "Something", "50.0% [25.0%, 75.0%]", "fails", ""),
        ("mine", "Untrained", "50.0% [25.0%, 75.0%]", "fails †", ""),
    ]
    assert "It took 2 jobs, at least 60 CPU minutes and 0 MB in `results/mine`." in page
    write_json({"jobs": 1, "cpu_seconds": 7200, "megabytes": 12}, clone / KEPT / "mine.json")
    assert "1 jobs, at least 120 CPU minutes and 12 MB" in render_claims(clone)


def test_the_page_says_in_how_many_runs_with_other_seeds_statements_hold(clone: Path) -> None:
    readme = clone / "README.md"
    readme.write_text(readme.read_text().replace("of mine:", f"of {SEEDED}:"))
    numbers = {"measure": "PGR at 20% share", "ours": 0.5, "lo": 0.25, "hi": 0.75, "verdict": "fails"}
    numbers["failed_training"] = None
    rows = [{"key": "match", "dataset": name, "method": None, "claim": f"On {name}"} | numbers for name in "ab"]
    write_csv(pd.DataFrame(rows), clone / "results" / SEEDED / "tables/claims.csv")
    keep_results(clone, SEEDED)
    assert [row[4] for row in ROWS.findall(render_claims(clone))] == ["", ""]
    counted = pd.DataFrame([row | {"verdict": "2 of 5", "failed_training": k} for k, row in enumerate(rows)])
    write_csv(counted, clone / "results/seeds/seeds.csv")
    (clone / "results/seeds/seeds.png").write_bytes(b"a picture")
    keep_results(clone, SEEDED)
    assert [row[4] for row in ROWS.findall(render_claims(clone))] == ["2 of 5", "2 of 5 (1 failed training)"]
    assert (clone / "docs/figures/seeds/seeds.png").read_bytes() == b"a picture"
