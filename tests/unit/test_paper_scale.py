"""The estimate of what paper scale takes, and that the documentation shows it."""

from pathlib import Path

import pandas as pd
import pytest
from overlays import OVERLAYS, overlay

from trim.documents.paper_scale import DECODED_PER_SECOND, READ_PER_SECOND, Part, estimate, parts, render

ROOT = Path(__file__).parents[2]
LOG = pd.DataFrame(
    {
        "strong_tokens": [0.0, 100.0, 200.0, 400.0],
        "weak_tokens": [300.0, 200.0, 100.0, 0.0],
        "discarded_tokens": [0.0, 20.0, 40.0, 0.0],
        "strong_calls": [0.0, 1.0, 3.0, 8.0],
    }
)


def test_one_problem_at_one_operating_point() -> None:
    need = estimate([Part(10**6, 1.0, points=1)], LOG)
    assert (need.weak, need.strong) == (180, 150)
    assert need.strong_prefill == 2 * 200
    assert need.prm == 8 * 200


def test_the_rollouts_of_one_problem() -> None:
    need = estimate([Part(10**6, 1.0, rollouts=1)], LOG)
    assert (need.weak, need.strong) == pytest.approx((300 * 1.7, 400 * 1.3))
    assert need.prm == 3 * 8 * 200


def test_longer_solutions_take_more_and_read_more_at_each_of_more_steps() -> None:
    short, long = (estimate([Part(5, length, 1, 2)], LOG) for length in (1.0, 2.0))
    assert long.strong == pytest.approx(2 * short.strong)
    assert long.prm == pytest.approx(4 * short.prm)


def test_hours_leave_out_a_strong_model_that_is_elsewhere() -> None:
    need = estimate([Part(100, 1.0, 1, 1)], LOG)
    spared = need.gpu_hours(strong_is_ours=True) - need.gpu_hours(strong_is_ours=False)
    assert spared == pytest.approx(need.strong * 1e6 / DECODED_PER_SECOND / 3600)
    assert need.gpu_hours(strong_is_ours=False) > need.prm * 1e6 / READ_PER_SECOND / 3600


def test_every_experiment_at_paper_scale_has_an_estimate() -> None:
    weak = {name.removesuffix(".yaml"): overlay(name).get("pair", {}).get("weak", {}) for name in OVERLAYS}
    assert weak["qwen_gsm8k"]["kind"] == "gguf"  # a pair on a CPU, of which the logs on GPUs say nothing
    assert set(parts(ROOT / "data" / "published")) == {name for name in weak if weak[name].get("kind") == "served"}


def test_the_documentation_shows_the_estimate() -> None:
    page = (ROOT / "docs" / "paper_scale.md").read_text(encoding="utf-8")
    assert render(ROOT / "data" / "published") in page
