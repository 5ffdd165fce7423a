"""Routers at other prices than the paper's, on episodes whose costs are known."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from trim.config.experiment import Bootstrap, Experiment
from trim.config.prices import Parameters, PriceVector, default_prices
from trim.evaluation.claims.prices import price_row, price_verdicts
from trim.evaluation.claims.published import Paper, metric_check
from trim.evaluation.claims.world import World
from trim.evaluation.prices import (
    QUANTITIES,
    cost,
    cost_of,
    price_curves,
    price_studies,
    price_table,
    priced,
    vector,
    vectors,
)
from trim.evaluation.study import HEADLINE_METRICS, studies
from trim.rollout.costs import COSTS

PUBLISHED = Path(__file__).parents[2] / "data" / "published"
SETTINGS, PROBLEMS = Bootstrap(resamples=50), 40
SIZES = Parameters(weak=1, strong=10, prm=2)
ROUTERS = {("trim-thr", "arith"): 0.06, ("trim-agg", "arith"): 0.05, ("bert", "arith"): 0.5}


def episodes(reads: int = 0) -> pd.DataFrame:
    """Strong solves all, weak a part; routers go on between, each strong call of theirs reads so many tokens."""
    rng, parts = np.random.default_rng(0), []
    lengths = rng.integers(60, 100, PROBLEMS)

    def add(router: str, trained_on: str, point: float, share: float, solved: float) -> None:
        head = {"dataset": "arith", "trained_on": trained_on, "router": router, "seed": 0, "operating_point": point}
        head |= {"variant": "conditioned" if router == "trim-agg" else "default", "replicate": 0}
        part = pd.DataFrame({"problem_id": [f"{p:02}" for p in range(PROBLEMS)], **dict.fromkeys(QUANTITIES, 0)})
        strong = (share * lengths).round().astype(int)
        part = part.assign(**head, correct=np.arange(PROBLEMS) < solved * PROBLEMS, strong_tokens=strong)
        part["weak_tokens"] = lengths - strong
        part["weak_input_tokens"] = 20 if share < 1 else 0
        part["strong_input_tokens"] = 20 if share == 1 else round(reads * share)
        part["prm_tokens"] = 300 if router.startswith("trim") else 0
        parts.append(part)

    add("weak-only", "untrained", 0.0, 0.0, 0.3)
    add("strong-only", "untrained", 1.0, 1.0, 1.0)
    for (router, trained_on), share in ROUTERS.items():
        add(router, trained_on, 0.3, share / 2, 0.6)
        add(router, trained_on, 0.6, share, 0.9)
    return pd.concat(parts, ignore_index=True)


def studied(data: pd.DataFrame, prices: dict[str, PriceVector]):
    numbers = vectors(prices, SIZES)
    return price_studies(priced(data, numbers), list(numbers), SETTINGS, 7)


def test_every_priced_quantity_is_counted() -> None:
    assert set(QUANTITIES) < set(COSTS)
    for price in default_prices().values():
        assert set(vector(price, SIZES) or {}) <= set(QUANTITIES)


def test_a_cost_is_linear_in_what_an_episode_counts() -> None:
    quantities, prices = np.array([[10.0, 3], [0, 7]]), np.array([[1.0, 2], [0, -1]])
    np.testing.assert_array_equal(cost(quantities, prices), [[10, 17], [0, -7]])


def test_at_the_papers_prices_everything_is_what_it_was() -> None:
    data = episodes(reads=500)
    expected, found = studies(data, SETTINGS, 7)["arith"], studied(data, default_prices())["decoded"]["arith"]
    for sweep, same in zip(expected.curves(), found.curves(), strict=True):
        for ours, theirs in zip(found.curve(same), expected.curve(sweep), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for name in HEADLINE_METRICS:
            np.testing.assert_array_equal(found.metrics[same.key][name], expected.metrics[sweep.key][name])
    shares = price_curves({"decoded": {"arith": found}}, 0.95).set_index(["router", "operating_point"])["cost_share"]
    assert shares["strong-only", 1.0] == 1 and shares["weak-only", 0.0] == 0


@pytest.mark.parametrize("price", default_prices())
def test_random_mixing_gains_nothing_at_any_price(price: str) -> None:
    table = price_table(studied(episodes(reads=500), default_prices()), 0.95)
    row = table[(table["router"] == "random-query") & (table["price"] == price)].iloc[0]
    assert row["delta_ibc"] == pytest.approx(0, abs=1e-6)
    assert row["cpt80"] == pytest.approx(0.8, abs=1e-6)


def test_dollars_are_for_what_is_read_and_what_is_written() -> None:
    api, cached = (vector(default_prices()[name], SIZES) for name in ("api", "api-cached"))
    assert api is not None and cached is not None
    # Reading 1,000 tokens in two calls and writing 100: 3 and 15 dollars a million.
    assert 1000 * api["strong_input_tokens"] + 100 * api["strong_tokens"] == pytest.approx(0.0045)
    # Where 800 of these are in the cache, they cost a tenth; short prefixes are not cached.
    assert 800 * cached["strong_cached_1024_tokens"] == pytest.approx(-800 * 2.7e-6)
    assert "strong_cached_tokens" not in cached
    any_prefix = default_prices()["api-cached"].model_dump() | {"strong": {"input": 3, "cached_input": 0.3}}
    any_prefix["strong"]["minimal_prefix"] = 1
    found = vector(TypeAdapter(PriceVector).validate_python(any_prefix), SIZES)
    assert found is not None and found["strong_cached_tokens"] == pytest.approx(-2.7e-6)
    with pytest.raises(ValidationError):
        any_prefix["strong"]["minimal_prefix"] = 500
        TypeAdapter(PriceVector).validate_python(any_prefix)


def test_operations_count_all_three_models_and_once_what_is_cached() -> None:
    whole, cached = (vector(default_prices()[name], SIZES) for name in ("flops", "flops-cached"))
    assert whole is not None and cached is not None
    assert (whole["strong_tokens"], whole["weak_tokens"], whole["discarded_tokens"], whole["prm_tokens"]) == (
        20,
        2,
        2,
        4,
    )
    assert {name for name in cached if cached[name] < 0} == {
        f"{role}_cached_tokens" for role in ("strong", "weak", "prm")
    }
    assert cached["prm_cached_tokens"] == -whole["prm_tokens"]


def test_a_price_that_hangs_on_an_unknown_size_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert list(vectors(default_prices(), Parameters(weak=1, strong=10))) == ["decoded", "api", "api-cached"]
    assert "prices.flops is left out" in caplog.text
    own = default_prices()["flops"].model_copy(update={"parameters": Parameters(prm=5)})
    assert vector(own, Parameters(weak=1, strong=10))["prm_tokens"] == 10  # type: ignore[index]


def test_reading_makes_stepwise_routing_dearer_than_strong_tokens_say() -> None:
    table = price_table(studied(episodes(reads=500), default_prices()), 0.95)
    cpt = table[table["router"] == "trim-thr"].set_index("price")["cpt80"]
    assert cpt["api"] > 1.5 * cpt["decoded"]
    assert cpt["api-cached"] == cpt["api"]  # no prefix is as long as what APIs cache


def test_what_is_cheaper_than_the_weak_model_counts_as_free() -> None:
    data = episodes()
    bert = (data["router"] == "bert") & (data["operating_point"] == 0.3)
    data.loc[bert, ["weak_tokens", "strong_tokens", "weak_input_tokens"]] = 0
    study = studied(data, default_prices())["flops"]["arith"]
    assert (study.curve(study.find("bert")[0])[0][:, 0] == 0).all()


def test_a_dataset_where_strong_is_no_dearer_has_no_shares(caplog: pytest.LogCaptureFixture) -> None:
    equal = vectors(default_prices(), Parameters(weak=1, strong=1, prm=1))
    found = price_studies(priced(episodes(), equal), list(equal), SETTINGS, 7)
    assert found["flops"] == {} and set(found["decoded"]) == {"arith"}
    assert "costs no more than the weak one on arith" in caplog.text


def world_of(study) -> World:
    return World({"arith": study}, {}, "arith", ["arith"], "verifier", {}, Paper(PUBLISHED))


def test_the_ledger_says_which_headline_verdicts_hang_on_prices() -> None:
    found = studied(episodes(reads=2000), default_prices())
    verdicts = price_verdicts({price: world_of(data["arith"]) for price, data in found.items()}, PUBLISHED, 0.95)
    assert set(verdicts["headline"]) == {"efficiency", "tokens", "generalization", "takeover", "learned"}
    assert len(verdicts) == 5 * len(default_prices())
    assert not verdicts.loc[verdicts["price"] == "decoded", "changes"].any()
    assert verdicts.set_index(["price", "headline"])["verdict"]["decoded", "efficiency"] == "holds"
    row = price_row(verdicts)
    assert (row["verdict"], row["scope"]) == ("fails", "price") and row["ours"] >= 1
    assert "tokens fails at api" in row["why"]
    alone = verdicts[verdicts["price"] == "decoded"]
    assert price_row(alone)["verdict"] == "not tested"
    same = pd.concat([alone, alone.assign(price="api")])
    assert (price_row(same)["verdict"], price_row(same)["ours"]) == ("holds", 0)


def test_the_released_log_where_the_strong_model_is_paid_for_what_it_reads() -> None:
    table = metric_check(PUBLISHED).set_index(["source", "router", "measure"])["recomputed"]
    measures = ["cpt50_percent", "cpt80_percent", "cpt95_percent"]
    free = [table["released log as envelope", "trim-thr", name] for name in measures]
    fifth = [table["released log as envelope, input tokens at 1/5", "trim-thr", name] for name in measures]
    assert free == pytest.approx([19.7, 27.8, 43.4], abs=0.05)
    assert fifth == pytest.approx([37.3, 52.5, 81.6], abs=0.05)
    assert [dear / cheap for dear, cheap in zip(fifth, free, strict=True)] == pytest.approx([1.9] * 3, abs=0.03)


def test_an_experiment_may_name_prices_of_its_own() -> None:
    own = {"mine": {"kind": "api", "source": "a page", "date": "2026-01", "strong": {"input": 1, "output": 4}}}
    assert vector(Experiment(prices=own).prices["mine"], SIZES) == pytest.approx(  # type: ignore[arg-type]
        {**dict.fromkeys(("weak_tokens", "discarded_tokens", "weak_input_tokens", "prm_tokens"), 0)}
        | {"strong_tokens": 4e-6, "strong_input_tokens": 1e-6}
    )
    price = TypeAdapter(PriceVector).validate_python(own["mine"] | {"date": date(2026, 1, 31)})  # as YAML reads a day
    assert price.date == "2026-01-31"
    with pytest.raises(ValidationError, match="date"):
        TypeAdapter(PriceVector).validate_python(own["mine"] | {"date": []})
    del own["mine"]["date"]
    with pytest.raises(ValidationError, match="date"):
        Experiment(prices=own)  # type: ignore[arg-type]
    assert cost_of("mine") == "cost at mine"


def test_seconds_are_for_what_each_model_reads_and_writes() -> None:
    rates = {"weak": {"read": 1e-3, "written": 2e-2}, "strong": {"read": 3e-3, "written": 7e-2}, "prm": {"read": 4e-3}}
    own = {"mine": {"kind": "seconds", "conditions": "one core", "cached": False, **rates}}
    spent = {"strong_tokens": 10, "weak_tokens": 20, "discarded_tokens": 5, "strong_input_tokens": 100}
    spent |= {"weak_input_tokens": 200, "prm_tokens": 300}
    known = {"strong_cached_tokens": 40, "weak_cached_tokens": 50, "prm_cached_tokens": 60}
    episode = pd.DataFrame([{**dict.fromkeys(QUANTITIES, 0), **spent, **known}])

    def seconds(cached: bool) -> float:
        prices = Experiment(prices={"mine": own["mine"] | {"cached": cached}}).prices  # type: ignore[arg-type]
        data = episode.assign(**dict.fromkeys(("dataset", "trained_on", "router", "variant"), ""), seed=0, replicate=0)
        data = data.assign(operating_point=0.0, problem_id="0", correct=True)
        return float(priced(data, vectors(prices, Parameters()))[cost_of("mine")].iloc[0])

    assert seconds(False) == pytest.approx(0.7 + 0.5 + 0.3 + 0.2 + 1.2)
    assert seconds(False) - seconds(True) == pytest.approx(0.12 + 0.05 + 0.24)
    del own["mine"]["conditions"]
    with pytest.raises(ValidationError, match="conditions"):
        Experiment(prices=own)  # type: ignore[arg-type]
