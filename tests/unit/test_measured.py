"""Tables on pages that were typed from what a benchmark wrote say what it wrote."""

from __future__ import annotations

import re

import pandas as pd
from smoke import ROOT

from trim.documents.claims_page import marked_verdict


def test_the_page_shows_what_writing_in_steps_was_measured_to_cost() -> None:
    page = (ROOT / "docs/cpu_models.md").read_text(encoding="utf-8")
    section = page.split("### What writing in steps costs")[1].split("\n### ")[0]
    shown = dict(re.findall(r"^\| (in one go|in steps|difference) \| (.+) \|$", section, re.MULTILINE))
    measured = pd.read_csv(ROOT / "docs/measured/one_go.csv").set_index("way")

    def cell(way: str, name: str) -> str:
        numbers = [float(measured.at[way, f"{name}{end}"]) for end in ("", "_lo", "_hi")]
        texts = [f"{number:.0f}" if name == "tokens" else f"{number:.1%}" for number in numbers]
        return f"{texts[0]} [{texts[1]}, {texts[2]}]"

    assert shown == {
        way: " | ".join(cell(way, name) for name in ("correct", "tokens", "unanswered")) for way in measured.index
    }


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table behind a heading, without its head."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").split(heading)[1].split("\n|---")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()[1:]]


def test_the_page_shows_what_reading_and_writing_were_measured_to_take() -> None:
    measured = pd.read_csv(ROOT / "docs/measured/cpu_generation.csv")
    wanted = []
    for (model, way), of in measured.groupby(["model", "way"], sort=False):
        at = of.set_index("live")
        read = [at.at[48, name] for name in ("read_per_cpu_second", "read_per_second")]
        written = [at.at[n, f"written_per_{unit}"] for unit in ("cpu_second", "second") for n in (1, 8, 48)]
        wanted.append([f"{model[-4:]}, {way}", *(f"{rate:.0f}" for rate in (*read, *written))])
    assert rows("cpu_models.md", "**Speed.**") == wanted


def test_the_page_shows_what_the_embedded_pair_was_measured_to_take() -> None:
    measured = pd.read_csv(ROOT / "docs/measured/latency_embedded.csv")
    by = {key: found.reset_index(drop=True) for key, found in measured.groupby(["live", "cached"])}

    def ms(seconds: float) -> str:
        return f"{1000 * seconds:.1f}"

    wanted = [
        [
            f"{a.strong_share:.0%}",
            f"{ms(a.seconds)} [{ms(a.seconds_lo)}, {ms(a.seconds_hi)}]",
            *(
                ms(p) if ms(p) != "0.0" else "–"
                for p in (a.draft, a.prm, a.strong_prefill, a.strong_decode, a.router, a.hidden)
            ),
            *(ms(by[key]["seconds"][a.Index]) for key in ((1, False), (8, True), (8, False))),
        ]
        for a in by[1, True].itertuples()
    ]
    assert [row[1:] for row in rows("latency.md", "## The embedded pair")] == wanted


def test_the_page_shows_what_the_real_pair_was_measured_to_take() -> None:
    measured = pd.read_csv(ROOT / "docs/measured/latency_real.csv")
    asked = [(1, True), (1, False), (8, True)]
    by = {key: found.reset_index(drop=True) for key, found in measured.groupby(["live", "cached"])}
    one, uncached, eight = (by[key] for key in asked)
    assert one["method"].tolist() == uncached["method"].tolist() == eight["method"].tolist()
    wanted = [
        [
            f"{a.strong_share:.0%}",
            f"{a.seconds:.1f} [{a.seconds_lo:.1f}, {a.seconds_hi:.1f}]",
            *(f"{part:.1f}" if part else "–" for part in (a.draft, a.prm, a.strong_prefill, a.strong_decode, a.hidden)),
            f"{u.strong_share:.0%}",
            f"{u.seconds:.1f} [{u.seconds_lo:.1f}, {u.seconds_hi:.1f}]",
            f"{b.strong_share:.0%}",
            f"{b.seconds:.1f}",
        ]
        for a, u, b in zip(one.itertuples(), uncached.itertuples(), eight.itertuples(), strict=True)
    ]
    assert [row[1:] for row in rows("latency.md", "## The real pair")] == wanted
    without = uncached.set_index("method").drop(["weak-only", "strong-only", "strong-in-one-go"])
    assert set(without.index[without["speedup_lo"] > 1]) == {"random-step", "fitted-q"}
    assert set(without.index[without["speedup_hi"] < 1]) == {"rsd"}


def test_the_page_shows_what_a_run_in_the_other_world_came_to() -> None:
    kept = pd.read_csv(ROOT / "docs/measured/world_claims.csv")
    ledgers = (kept, pd.read_csv(ROOT / "docs/results/embedded.claims.csv"))
    keys = ("reviewed-fold", "match", "transfer", "takeover", "learned")

    def cells(ledger: pd.DataFrame) -> list[str]:
        rows = ledger[ledger["headline"].notna()].set_index("key").loc[list(keys)]
        texts = (f"{r.ours:.2f} [{r.lo:.2f}, {r.hi:.2f}] {marked_verdict(r._asdict())}" for r in rows.itertuples())
        return [text.replace("0.", ".") for text in texts]

    shown = rows("embedded.md", "## A world in which errors do not cancel")
    assert [row[1:] for row in shown] == [list(pair) for pair in zip(*map(cells, ledgers), strict=True)]
    page = (ROOT / "docs/embedded.md").read_text(encoding="utf-8")
    tested = [ledger[ledger["verdict"] != "not tested"]["verdict"].value_counts() for ledger in ledgers]
    assert len(kept) == tested[1].sum() and f"Of the {len(kept)} statements" in page
    assert f"{tested[0]['holds']} hold here and {tested[1]['holds']} there" in page
    assert f"{tested[0]['fails']} fail here and {tested[1]['fails']} there" in page


def test_the_page_shows_how_prices_change_verdicts_in_the_other_world_and_what_its_models_came_to() -> None:
    page = " ".join((ROOT / "docs/embedded.md").read_text(encoding="utf-8").split())
    at = {
        price: rows.set_index("key")
        for price, rows in pd.read_csv(ROOT / "docs/measured/world_prices.csv").groupby("price")
    }
    for price in ("api", "api-cached"):
        assert at[price]["verdict"].tolist() == ["fails", "fails", "holds", "holds", "holds"]
    assert at["flops"]["verdict"].value_counts().to_dict() == {"fails": 4, "undecided": 1}
    row = at["api"].loc["transfer"]
    assert f"({row.ours:.2f} [{row.lo:.2f}, {row.hi:.2f}])".replace("0.", ".") in page
    models = pd.read_csv(ROOT / "docs/measured/world_models.csv").set_index(["measure", "experiment", "split"])
    modelled, measured = (models.loc[f"{kind} weak-only accuracy"] for kind in ("modelled", "measured"))
    dev, test = (measured.loc["world", split] for split in ("dev", "test"))
    assert f"modelled at {modelled.loc[('world', 'dev'), 'value']:.0%}".replace("%", " %") in page
    assert f"{dev.value:.2f} [{dev.lo:.2f}, {dev.hi:.2f}]".replace("0.", "") + " % on dev" in page
    assert f"{test.value:.2f} [{test.lo:.2f}, {test.hi:.2f}]".replace("0.", "") + " % on test" in page
    auc = models.loc["step AUC up to the first error"]["value"].round(2)
    assert (
        f"(AUC {auc['world', 'test']:.2f}, in the default's world {auc['embedded', 'test']:.2f})".replace("0.", ".")
        in page
    )
    tokens = models.loc["measured strong-only tokens"]["value"]
    assert 1.15 < tokens["world", "test"] / tokens["embedded", "test"] < 1.25 and "a fifth longer" in page


def test_the_page_shows_what_other_training_runs_came_to() -> None:
    runs = pd.read_csv(ROOT / "docs/measured/training_runs.csv")

    def cell(router: str, dataset: str, code: str) -> str:
        there = runs[(runs["router"] == router) & (runs["dataset"] == dataset) & (runs["trained_on"] == dataset)]
        found = there[there["code"] == code].sort_values("seed")
        failed = found["trained"].map({"yes": "", "no": " †"})
        differences = found[["difference", "difference_lo", "difference_hi"]].to_numpy()
        texts = (f"{d:.2f} [{lo:.2f}, {hi:.2f}]{mark}" for (d, lo, hi), mark in zip(differences, failed, strict=True))
        return ", ".join(texts).replace("0.", ".")

    shown = rows("embedded.md", "## With other training runs")
    lines = [(router, code) for code in ("1f092c7", "bacf20b") for router in ("trim-agg", "trim-seq")]
    for line, (router, code) in zip(shown, lines, strict=True):
        assert line[1:] == [cell(router, dataset, code) for dataset in ("arith", "arith-hard")]
    at_home = runs[runs["dataset"] == runs["trained_on"]]
    ahead = (at_home["difference_lo"] > 0).groupby(at_home["code"]).sum()
    assert (ahead["1f092c7"], ahead["bacf20b"]) == (12, 10)
    hard = runs[(runs["dataset"] == "arith-hard") & (runs["trained_on"] == "arith-hard")]
    failed = (hard["trained"] == "no").groupby([hard["code"], hard["router"]]).sum()
    assert failed["1f092c7"].tolist() == [2, 0] and failed["bacf20b"].tolist() == [3, 2]
    page = " ".join((ROOT / "docs/embedded.md").read_text(encoding="utf-8").split())
    gain = (runs["dev_best"] - runs["dev_begin"]).groupby([runs["code"], runs["router"], runs["trained_on"]]).mean()
    now, before = (gain[code, "trim-seq"].map("{:.4f}".format).str[1:].tolist() for code in ("1f092c7", "bacf20b"))
    assert f"PPO now adds {now[0]} to its return on dev on arith on average and {now[1]} on arith-hard" in page
    assert f"(before: {before[0]} and {before[1]})" in page
    before = [cell("trim-seq", dataset, "e1dce57") for dataset in ("arith", "arith-hard")]
    assert f"ended with a lead of {before[0]}," in page and f"came to a lead of {before[1]}, bacf20b found" in page
    first = runs[(runs["router"] == "trim-seq") & (runs["trained_on"] == "arith") & (runs["seed"] == 0)]
    begin, best = (first.groupby("code")[name].first() for name in ("dev_begin", "dev_best"))
    assert begin["e1dce57"] == begin["bacf20b"] == best["e1dce57"]
    assert (
        f"to all digits (.{begin['bacf20b'] * 1e5:.0f})" in page
        and f"bacf20b found .{best['bacf20b'] * 1e5:.0f}" in page
    )


def test_the_page_says_where_looking_ahead_is_worse_on_the_problems_of_choice() -> None:
    rows_ = pd.read_csv(ROOT / "docs/measured/dev_comparisons.csv").set_index(["prm", "dataset", "router", "quantity"])
    asked = rows_[rows_.index.get_level_values("quantity") != "delta IBC"]
    costs = asked.index.get_level_values("quantity").str.startswith("CPT")
    worse = asked[(costs & asked["difference_lo"].gt(0)) | (~costs & asked["difference_hi"].lt(0))]
    by = {key: f"{-row.difference:.3f}"[1:] for key, row in worse.iterrows()}
    agg, planner, noisy, seq = by.values()
    assert list(by) == [
        ("verifier", "arith-hard", "trim-agg", "PGR at 60%"),
        ("verifier", "arith-hard", "trim-pomdp", "PGR at 60%"),
        ("noisy", "arith", "trim-pomdp", "PGR at 60%"),
        ("noisy", "arith", "trim-seq", "CPT95"),
    ]
    assert seq == "inf"
    page = " ".join((ROOT / "docs/embedded.md").read_text(encoding="utf-8").split())
    assert f"TRIM-Agg by {agg} and TRIM-POMDP by {planner} in PGR" in page and f"worse by {noisy} at 60 %" in page


def test_what_the_readme_begins_with_is_what_its_blocks_say() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "counted in operations, half of the gap costs TRIM-Thr more than the strong model alone, in both" in readme
    in_operations = re.findall(r"[\d.]+% \[([\d.]+)%, [\d.]+%\] at `flops(?:-cached)?`", readme)
    assert len(in_operations) == 4 and all(float(low) > 100 for low in in_operations)
    assert "On `arith` looking ahead is shown to pay at low budgets only" in readme
    ledger = pd.read_csv(ROOT / "docs/results/embedded.claims.csv").query("key == 'learned-budget'")
    shares = ledger["method"].str.extract(r"at (\d+)%")[0].astype(int)
    assert set(shares[ledger["verdict"] == "holds"]) == {10, 20} and not (ledger["verdict"] == "fails").any()
