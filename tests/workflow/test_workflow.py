"""The smoke run of the whole DAG, and what Snakemake says about the workflow without running it."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from overlays import STACKS, completed
from smoke import CHECKOUT, RESULTS, ROOT, checkout, planned_figures, planned_rules, snakemake

from trim.documents import rulegraph
from trim.documents.readme import BLOCK, SUMMARY, fill_readme
from trim.figures.registry import figures
from trim.names import label_of

RULE = re.compile(r"^rule (\w+):\n((?:    .*\n|\n)*)", re.MULTILINE)
TARGETS = {"all", "tables", "figures", "paper"}
SECTIONS = ("output", "log", "benchmark", "conda", "message")
TABLES = (
    *("curves.csv", "main.csv", "main.tex", "comparisons.csv", "comparisons.tex"),
    *("prm_quality.csv", "prm_outcomes.csv", "planners.csv", "prefixes.csv"),
)
FIGURES = (
    "accuracy_vs_cost_arith",
    "accuracy_vs_cost_arith-words",
    "controls_arith",
    "stepwise_vs_query_arith",
    "oracle_region",
    "transfer_curves",
    "strong_calls_arith",
    "prm_reliability",
    "prm_outcomes_arith-words",
    "learning_curves_arith",
    "decision_map_arith",
    "observation_model_arith",
    "joint_observation_arith",
    "pomdp_policy_arith",
    "planners",
    "prefixes",
)


def rules() -> dict[str, str]:
    """Text of every rule of the workflow, by name."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    return {name: body for path in files for name, body in RULE.findall(path.read_text(encoding="utf-8"))}


def sections(body: str) -> dict[str, list[str]]:
    """Entries of each section of a rule; only those at the outermost level."""
    found: dict[str, list[str]] = {}
    for line in body.splitlines():
        if match := re.match(r"    (\w+):(.*)", line):
            found[match[1]] = [match[2].strip()] if match[2].strip() else []
        elif re.match(r"        [^\s)\]#]", line):
            found[list(found)[-1]].append(line.strip())
    return found


WORKING_RULES = {name: sections(body) for name, body in rules().items() if name not in TARGETS}


def test_every_table_and_figure_of_the_smoke_run_has_content(smoke_run: Path) -> None:
    for name in TABLES:
        path = smoke_run / RESULTS / "tables" / name
        rows = len(pd.read_csv(path)) if path.suffix == ".csv" else path.read_text().count(r"\\")
        assert rows > 1, name
    for name in FIGURES:
        assert (smoke_run / RESULTS / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (smoke_run / RESULTS / f"figures/{name}.png").stat().st_size > 10_000


def test_the_smoke_run_leaves_nothing_but_results_and_the_step_store(smoke_run: Path) -> None:
    known = {*CHECKOUT, "output.txt", ".snakemake", "results", "step_store"}
    assert {path.name for path in smoke_run.iterdir()} == known
    asides = [path for room in ("results", "step_store") for path in (smoke_run / room).rglob("*.tmp")]
    assert not asides
    assert not list((smoke_run / RESULTS).rglob("shards/*.parquet"))


def test_a_second_run_does_nothing(smoke_run: Path) -> None:
    assert "Nothing to be done" in snakemake(smoke_run)


def test_tables_and_figures_are_targets_that_need_no_model(smoke_copy: Path) -> None:
    shutil.rmtree(smoke_copy / RESULTS / "models")
    assert "Nothing to be done" in snakemake(smoke_copy, "--dry-run", targets=("tables", "figures"))
    planned = planned_rules(snakemake(smoke_copy, "--dry-run", targets=("tables", "figures", "paper")))
    assert set(planned) - TARGETS == {"build_paper"}


def test_lint_is_clean(smoke_run: Path) -> None:
    assert "good condition" in snakemake(smoke_run, "--lint")


def test_the_report_is_built(smoke_copy: Path) -> None:
    snakemake(smoke_copy, "--report", "report.html")
    report = (smoke_copy / "report.html").read_text(encoding="utf-8")
    captions = [re.search(r"[A-Za-z ,]{20,}", figure.caption)[0] for figure in figures().values()]
    for expected in ("accuracy_vs_cost_arith.png", "main.csv", "Diagnostics", *captions):
        assert expected in report


@pytest.mark.parametrize("names", [(), *STACKS], ids=" + ".join)
def test_every_config_gives_a_whole_plan(names: tuple[str, ...], tmp_path: Path) -> None:
    tree = checkout(tmp_path / "checkout")
    (tree / "config" / "smoke.yaml").write_text("{}")  # on top of the default experiment, not of the smoke one
    changes = completed(*names) if names else {}
    planned = planned_rules(snakemake(tree, "--dry-run", changes=changes))
    assert {"prepare_dataset", "collect_rollouts", "evaluate_routers", "compute_metrics"} <= set(planned)
    served = changes.get("pair", {}).get("prm") == "qwen"
    assert ("train_prm" in planned) == (not served)
    ready = "kind" in changes.get("pair", {}).get("weak", {})  # language models of others, with a PRM of our own or not
    assert ("train_language_model" in planned) == (not ready)
    assert planned.get("read_solutions", 0) == served  # of ProcessBench


def test_the_page_of_rules_shows_those_of_the_embedded_experiment(tmp_path: Path) -> None:
    tree = checkout(tmp_path / "checkout")
    (tree / "config" / "smoke.yaml").write_text("{}")
    drawn = snakemake(tree, "--rulegraph", "--forceall")
    assert rulegraph.render(drawn) == (ROOT / "docs/rules.md").read_text(encoding="utf-8"), "run `make rules`"


def test_there_are_rules() -> None:
    assert len(WORKING_RULES) >= 13
    assert TARGETS <= set(rules())


@pytest.mark.parametrize("name", WORKING_RULES)
def test_every_rule_says_what_it_needs_and_leaves(name: str) -> None:
    rule = WORKING_RULES[name]
    for section in SECTIONS:
        assert rule.get(section), section
    for section in ("input", "output"):
        for entry in rule.get(section, []):
            assert re.match(r"\w+=|\*\*|unpack\(", entry), f"{section} without a name: {entry}"
    if "resources" in rule:  # else the profile says what is enough for tables and figures
        assert {"mem_mb", "runtime"} <= {entry.split("=")[0] for entry in rule["resources"]}


@pytest.mark.parametrize("name", WORKING_RULES)
def test_every_rule_has_a_thin_script_and_an_environment(name: str) -> None:
    rule = WORKING_RULES[name]
    script, conda = (ROOT / "workflow/rules" / rule[key][0].strip('"') for key in ("script", "conda"))
    assert conda.resolve().is_file()
    assert len(script.read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("name", WORKING_RULES)
def test_a_rule_that_opens_the_pair_asks_for_its_gpus(name: str) -> None:
    rule = WORKING_RULES[name]
    opens = any("pair_inputs" in entry for entry in rule.get("input", []))
    asks = any(entry.startswith('gpu=gpus("weak", "strong", "prm")') for entry in rule.get("resources", []))
    assert (asks and rule["threads"]) or not opens  # threads decide the last bits of what models compute


def test_the_default_profile_says_what_is_enough_for_tables_and_figures() -> None:
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text(encoding="utf-8"))
    assert {"mem_mb", "runtime"} <= set(profile["default-resources"])


def test_the_slurm_profile_knows_every_rule_that_is_sent_to_the_cluster() -> None:
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    snakefile = (ROOT / "Snakefile").read_text(encoding="utf-8")
    local = set(re.findall(r"^    (\w+),$", snakefile.split("localrules:\n")[1].split("\n\n")[0], re.MULTILINE))
    assert TARGETS < local < set(rules())
    assert set(profile["set-resources"]) == set(rules()) - local
    for name in set(rules()) - local:
        asked = [re.fullmatch(r"runtime=(\d+),", entry) for entry in WORKING_RULES[name].get("resources", [])]
        given = profile["set-resources"][name].get("runtime", "attempt * inf")
        for found in filter(None, asked):  # a profile that gives less than a rule asks for kills its first attempt
            assert float(given.split("*")[1]) >= float(found[1]), name
    partitions = yaml.safe_load((ROOT / profile["slurm-partition-config"]).read_text(encoding="utf-8"))["partitions"]
    longest = max(int(rule["runtime"].split("*")[1]) for rule in profile["set-resources"].values() if "runtime" in rule)
    for limits in partitions.values():
        assert limits["max_runtime"] >= longest * (1 + profile["retries"])


def test_every_script_belongs_to_a_rule() -> None:
    used = {Path(rule["script"][0].strip('"')).name for rule in WORKING_RULES.values()}
    assert used == {path.name for path in (ROOT / "workflow/scripts").glob("*.py")}


def test_every_stage_version_is_used() -> None:
    params = (ROOT / "workflow/rules/params.smk").read_text(encoding="utf-8")
    stages = set(re.findall(r'"(\w+)": \d+', params.split("STAGE = {")[1].split("}")[0]))
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert stages == set(re.findall(r'STAGE\["(\w+)"\]', text))


CLAIMED = {"compute_prices": 1, "check_claims": 1}
ANALYSED = {"compute_ablations": 1, "compute_generalization": 1, "compute_budgets": 1, **CLAIMED}
EXPLORED = {"build_explorer": 1}
FITTED = {
    "fit_router": 3 + 1 + 1 + 3 + 1,  # variants of TRIM-Thr, -Agg, -Seq and -POMDP, and fitted Q
    "fit_query_router": 1,
    "evaluate_query_routers": 1,
}
EVALUATED = {"evaluate_routers": 2, "compute_misfit": 1, "build_calculator": 1}
# Figures, by what they are drawn from.
OF_ANALYSES = {"ablations", "generalization_matrix", "prm_quality_routing", "budgeted", "interventions", "claims"}
OF_CURVES = {"oracle_region", "transfer_curves"} | {
    f"{name}_{dataset}"
    for name in ("accuracy_vs_cost", "controls", "strong_calls", "stepwise_vs_query")
    for dataset in ("arith", "arith-words")
}
OF_PRICES = {"prices_arith", "prices_arith-words"}
OF_OUTCOMES = {"prm_outcomes_arith", "prm_outcomes_arith-words"}
OF_LEARNED = {"learning_curves_arith", "decision_map_arith"}
OF_POMDP = {"observation_model_arith", "joint_observation_arith", "pomdp_policy_arith", "planners"}
CHANGES = {
    "bootstrap": (
        {"bootstrap": {"resamples": 50}},
        {
            **{"compare_on_dev": 1, "compute_metrics": 1, "compute_end_points": 1, "compute_misfit": 1},
            **{"measure_prm": 1, "measure_outcomes": 1},
            **ANALYSED,
            "score_prefixes": 1,
            **EXPLORED,
        },
        {"prm_reliability"} | OF_ANALYSES | {"prefixes"} | OF_CURVES | OF_PRICES | OF_OUTCOMES,
    ),
    "the pair's name": (
        {"pair": {"name": "other"}},
        {"compare_on_dev": 1, "compute_metrics": 1, "check_claims": 1, **EXPLORED},
        {"claims", *OF_CURVES},
    ),
    "prices": ({"prices": {"api": {"date": "tomorrow"}}}, CLAIMED, {"claims", *OF_PRICES}),
    "random_shares": (
        {"routers": {"random_shares": [0.5]}},
        {**EVALUATED, "compute_metrics": 1, **ANALYSED, "score_prefixes": 1, **EXPLORED},
        OF_ANALYSES | {"prefixes"} | OF_CURVES | OF_PRICES,
    ),
    "operating_points": (
        {"routers": {"operating_points": 5}},
        {
            **FITTED,
            **EVALUATED,
            "route_by_prm": 3,
            "compare_planners": 1,
            "compare_on_dev": 1,
            "compute_metrics": 1,
            **ANALYSED,
            "score_prefixes": 1,
            **EXPLORED,
        },
        OF_ANALYSES | {"prefixes"} | OF_CURVES | OF_PRICES | OF_LEARNED | OF_POMDP,
    ),
    "the training of one router": (
        {"routers": {"agg": {"ppo": {"epochs": 3}}}},
        {
            "fit_router": 1,
            **EVALUATED,
            "route_by_prm": 3,  # with every other PRM that routes
            "compare_on_dev": 1,
            "compute_metrics": 1,
            **ANALYSED,
            "score_prefixes": 1,
            **EXPLORED,
        },
        OF_ANALYSES | {"prefixes"} | OF_CURVES | OF_PRICES | OF_LEARNED,
    ),
    "a further variant of one router": (
        {"routers": {"agg": {"variants": ["conditioned", "released"]}}},
        {
            "fit_router": 1,
            **EVALUATED,
            "compare_on_dev": 1,
            "compute_metrics": 1,
            **ANALYSED,
            "score_prefixes": 1,
            **EXPLORED,
        },
        OF_ANALYSES | {"prefixes"} | OF_CURVES | OF_PRICES | {"learning_curves_arith"},
    ),
    "the fit of our own router": (
        {"routers": {"fitted_q": {"hinges": 7}}},
        {
            "fit_router": 1,
            **EVALUATED,
            "compare_on_dev": 1,
            "compute_metrics": 1,
            **ANALYSED,
            "score_prefixes": 1,
            **EXPLORED,
        },
        OF_ANALYSES | {"prefixes"} | OF_CURVES | OF_PRICES,
    ),
    "how planners are compared": ({"planners": {"episodes": 4}}, {"compare_planners": 1}, {"planners"}),
    "kappas of a variant that is not there": ({"routers": {"agg": {"kappas": [0.5]}}}, {}, set()),
    "test problems of one dataset": (
        {"datasets": {"arith-words": {"sizes": {"test": 9}}}},
        {
            "prepare_dataset": 1,
            "check_splits": 1,
            "collect_rollouts": 1,
            "gather_rollouts": 1,
            "score_rollouts": 4,  # by every PRM in use
            "gather_scores": 4,
            "measure_prm": 1,
            "measure_outcomes": 1,
            "compute_end_points": 1,
            "evaluate_routers": 1,
            "build_calculator": 1,
            "evaluate_oracles": 1,
            "collect_solutions": 1,
            "evaluate_query_routers": 1,
            "compute_metrics": 1,
            **ANALYSED,
            **EXPLORED,
        },
        {"prm_reliability"} | OF_OUTCOMES | OF_ANALYSES | OF_CURVES | OF_PRICES,
    ),
    "where the store is": ({"step_store": "elsewhere", "offline": True}, {}, set()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_the_config_reruns_what_depends_on_it(what: str, smoke_run: Path) -> None:
    changes, expected, figures = CHANGES[what]
    if "step_store" not in changes:
        expected = {**expected, "write_numbers": 1}  # the text may state any setting
    if figures:
        expected = {**expected, "plot_figure": len(figures)}
    output = snakemake(smoke_run, "--dry-run", changes=changes)
    assert planned_rules(output) == expected
    assert planned_figures(output) == figures


def test_more_replicates_of_test_problems_train_nothing_again(smoke_run: Path) -> None:
    planned = planned_rules(snakemake(smoke_run, "--dry-run", changes={"replicates": {"test": 3}}))
    assert {"collect_rollouts", "evaluate_routers", "evaluate_oracles", "route_by_prm"} <= set(planned)
    assert not {"train_language_model", "train_prm", "grow_trees", "fit_router", "fit_query_router"} & set(planned)


def test_one_figure_is_redrawn_alone_and_all_by_their_rule(smoke_run: Path) -> None:
    picture = RESULTS / "figures/strong_calls_arith.png"
    assert planned_figures(snakemake(smoke_run, "--dry-run", "--force", targets=(picture,))) == {"strong_calls_arith"}
    output = snakemake(smoke_run, "--dry-run", "--forcerun", "plot_figure", targets=("figures",))
    assert planned_figures(output) == {path.stem for path in (smoke_run / RESULTS / "figures").glob("*.png")}


def test_an_unknown_figure_is_an_error_that_names_the_known_ones(smoke_run: Path) -> None:
    said = snakemake(smoke_run, "--dry-run", targets=(RESULTS / "figures/unheard_of.png",), status=1)
    assert "there is no figure 'unheard_of'; there are accuracy_vs_cost_arith, " in said


def test_a_new_check_of_the_splits_hides_no_missing_result(smoke_copy: Path) -> None:
    (smoke_copy / RESULTS / "problems/disjoint.json").unlink()
    (smoke_copy / RESULTS / "rollouts/arith.test.parquet").unlink()
    (smoke_copy / RESULTS / "episodes/trim-thr/arith/arith.parquet").unlink()
    (smoke_copy / RESULTS / "tables/main.csv").unlink()
    planned = planned_rules(snakemake(smoke_copy, "--dry-run"))
    assert {"check_splits", "collect_rollouts", "evaluate_routers", "compute_metrics"} <= set(planned)
    assert "train_language_model" not in planned


def test_the_readme_shows_the_results(smoke_copy: Path) -> None:
    original = (ROOT / "README.md").read_text(encoding="utf-8")
    for place in ("claims of ", "docs/figures/"):
        original = original.replace(f"{place}embedded", f"{place}smoke")
    original += "<!-- results of smoke: generated by `trim readme` -->\n<!-- end of results -->\n"
    (smoke_copy / "README.md").write_text(original, encoding="utf-8")
    assert fill_readme(smoke_copy) == ["smoke"]
    text = (smoke_copy / "README.md").read_text(encoding="utf-8")

    by_hand = [re.split("|".join(map(re.escape, SUMMARY)), BLOCK.sub("", page))[::2] for page in (text, original)]
    assert by_hand[0] == by_hand[1] and "| [smoke](docs/results/smoke.md) | " in text
    blocks = {(found["shows"], found["name"]): found[0] for found in BLOCK.finditer(text)}
    assert all(block in original for (_, name), block in blocks.items() if name != "smoke")
    claims = pd.read_csv(smoke_copy / RESULTS / "tables/claims.csv")
    for statement in claims.loc[claims["headline"].notna(), "claim"]:
        assert statement in blocks["results", "smoke"] and statement in blocks["claims", "smoke"]
    main = pd.read_csv(smoke_copy / RESULTS / "tables/main.csv")
    page = (smoke_copy / "docs/results/smoke.md").read_text(encoding="utf-8")
    shown = main.loc[main["dataset"] == "arith", "router"].unique()
    assert all(f"| {label_of(router)}" in page for router in shown)
    for router in ("TRIM-Thr", "TRIM-POMDP", "random step"):
        assert f"| {router} |" in blocks["results", "smoke"] and f"| {router} |" not in blocks["claims", "smoke"]
    pictures = re.findall(r"\]\((docs/figures/smoke/[^)]+)\)", text)
    assert pictures
    for picture in pictures:
        drawn = smoke_copy / RESULTS / "figures" / Path(picture).name
        assert (smoke_copy / picture).read_bytes() == drawn.read_bytes()
