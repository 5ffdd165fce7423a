"""The latency calculator: its page holds mean tokens of every operating point, whole and safe."""

import json
import re

import pandas as pd
import pytest

from trim.config.prices import SecondsPrice, default_prices
from trim.evaluation.prices import PRICED_COLUMNS
from trim.explorer.calculator import TOKENS, count_tokens, render_calculator
from trim.explorer.html import script_safe

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
RATES = {"weak": {"read": 1e-3, "written": 2e-2}, "strong": {"read": 3e-3, "written": 7e-2}, "prm": {"read": 4e-3}}


def episodes() -> pd.DataFrame:
    """Two problems, 10 tokens apart, under a few routers."""
    rows = []
    for router, variant, home, seed, point, strong in (
        ("weak-only", "default", "untrained", 0, 0.0, 0),
        ("strong-only", "default", "untrained", 0, 1.0, 100),
        ("trim-thr", "hull", "home", 0, 0.3, 11),
        ("trim-thr", "default", "home", 0, 0.6, 40),
        ("trim-thr", "default", "home", 0, 0.3, 20),
        ("trim-thr", "default", "home", 1, 0.3, 99),
        ("trim-thr", "default", "elsewhere", 0, 0.3, 98),
        ("bert", "default", "home", 0, 0.3, 30),
    ):
        head = {"dataset": "arith", "trained_on": home, "router": router, "variant": variant, "seed": seed}
        for problem in range(2):
            costs = dict.fromkeys(TOKENS, 10 * problem) | {"strong_tokens": strong + 10 * problem}
            rest = {"operating_point": point, "problem_id": str(problem), "replicate": 0, "correct": problem == 0}
            rows.append(dict.fromkeys(PRICED_COLUMNS, 0) | head | rest | costs)
    return pd.DataFrame(rows)


def test_points_are_means_of_the_first_run_of_each_routers_first_variant() -> None:
    (shown,) = count_tokens(episodes(), {"arith": "home"})
    assert shown["name"] == "arith"
    assert [router["id"] for router in shown["routers"]] == ["weak-only", "strong-only", "trim-thr"]
    points = shown["routers"][2]["points"]
    assert [point["strong_tokens"] for point in points] == [25, 45]  # by rising cost
    assert points[0] == {"correct": 0.5, **dict.fromkeys(TOKENS, 5.0), "strong_tokens": 25.0}


def test_the_page_holds_the_data_and_asks_for_nothing() -> None:
    datasets = count_tokens(episodes(), {"arith": "home"})
    prices = default_prices() | {"mine": SecondsPrice(conditions="a <core>", **RATES)}  # type: ignore[arg-type]
    page = render_calculator(datasets, "a <b>", prices)
    held = json.loads(DATA.search(page)[1])  # type: ignore[index]
    assert (held["experiment"], held["datasets"]) == ("a <b>", datasets)
    assert held["measured"] == {"mine": {"kind": "seconds", "conditions": "a <core>", "cached": True, **RATES}}
    assert page.count("</script>") == page.count("<script") == 2
    assert not re.search(r"https?:|src=|@import|url\(|innerHTML|eval\(", page.replace(script_safe(held), ""))
    assert all(f"point.{name}" in page or f'"{name}"' in page for name in TOKENS if "cached" not in name)


@pytest.mark.parametrize("mark", ["weak", "prm", "strong"])
def test_the_page_asks_for_the_rates_of_every_model(mark: str) -> None:
    assert f'id="{mark}-read"' in render_calculator([], "x", {})
