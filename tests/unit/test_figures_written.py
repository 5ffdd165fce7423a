"""Every figure as it is written: print is large enough, and the same numbers give the same bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from figure_inputs import (
    ablation_table,
    budget_table,
    call_table,
    claims_table,
    curve_table,
    generalization_table,
    intervention_table,
    joint_observation_model,
    learning_table,
    linear_policy,
    main_table,
    outcome_tables,
    price_tables,
    prm_routing_table,
    prm_tables,
    query_curves,
    scored_rollouts,
    solved_pomdp,
)
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text

from trim.figures import (
    ablations,
    accuracy_vs_cost,
    budgeted,
    claims,
    controls,
    decision_map,
    generalization_matrix,
    interventions,
    joint_observation,
    learning_curves,
    observation_model,
    oracle_region,
    pomdp_policy,
    prices,
    prm_outcomes,
    prm_quality_routing,
    prm_reliability,
    stepwise_vs_query,
    strong_calls,
    transfer_curves,
)
from trim.figures.style import PAGE_INCHES, SMALL, save

pytestmark = pytest.mark.usefixtures("no_open_figures")

ORIGIN = {"config_hash": "0123456789ab", "code": "0.1+abc"}
DRAWINGS: dict[str, Callable[[], Figure]] = {
    "accuracy_vs_cost": lambda: accuracy_vs_cost.draw(curve_table(), "arith", "arith"),
    "controls": lambda: controls.draw(curve_table(), "arith", "arith"),
    "strong_calls": lambda: strong_calls.draw(call_table(), curve_table(), "arith", "arith"),
    "claims": lambda: claims.draw(claims_table()),
    "prm_reliability": lambda: prm_reliability.draw(*prm_tables()),
    "prices": lambda: prices.draw(*price_tables(), "arith", "arith"),
    "prm_outcomes": lambda: prm_outcomes.draw(*outcome_tables(), "arith", "arith"),
    "observation_model": lambda: observation_model.draw(solved_pomdp().model.observation, "arith"),
    "joint_observation": lambda: joint_observation.draw(joint_observation_model(), "arith"),
    "pomdp_policy": lambda: pomdp_policy.draw(solved_pomdp(), "arith"),
    "learning_curves": lambda: learning_curves.draw(learning_table(), "arith"),
    "stepwise_vs_query": lambda: stepwise_vs_query.draw(query_curves(), main_table(), "arith", "arith"),
    "oracle_region": lambda: oracle_region.draw(query_curves(), ["arith", "other"], "arith"),
    "transfer_curves": lambda: transfer_curves.draw(curve_table(), ["arith", "other"], ["arith"]),
    "generalization_matrix": lambda: generalization_matrix.draw(generalization_table()),
    "prm_quality_routing": lambda: prm_quality_routing.draw(prm_routing_table(), "arith"),
    "ablations": lambda: ablations.draw(ablation_table()),
    "budgeted": lambda: budgeted.draw(budget_table(), ["arith", "other"], "arith"),
    "interventions": lambda: interventions.draw(intervention_table(), ["arith"], "arith"),
    "decision_map": lambda: decision_map.draw([linear_policy(k) for k in (0.01, 0.1)], scored_rollouts(), "arith"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_print_is_large_enough_to_read(name: str) -> None:
    figure = DRAWINGS[name]()
    figure.canvas.draw()
    assert figure.get_figwidth() <= PAGE_INCHES
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and artist.get_text())
    assert min(text.get_fontsize() for text in texts) >= SMALL


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    written = []
    for attempt in ("first", "second"):
        paths = [tmp_path / attempt / f"{name}.{kind}" for kind in ("pdf", "png")]
        save(DRAWINGS[name](), paths, ORIGIN)
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    pdf, png = written[0]
    assert (pdf[:5], png[:8]) == (b"%PDF-", b"\x89PNG\r\n\x1a\n")
    assert b"config 0123456789ab, code 0.1+abc" in png
    assert b"CreationDate" not in pdf
    assert plt.get_fignums() == []
    assert {path.name for path in (tmp_path / "first").iterdir()} == {f"{name}.pdf", f"{name}.png"}
