"""What decides a fit that the step store keeps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from trim.config.routers import Routers
from trim.files import write_parquet
from trim.models.kept import FITS, Kept
from trim.routers.kept_fits import LOGS, fit_facts
from trim.routers.registry import step_router

ROWS = pd.DataFrame({"problem_id": ["a", "b"], "score": [0.25, 0.5]})
FIT = ("gsm8k-train", "conditioned", 0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_parquet(ROWS, tmp_path / "trees.parquet", {"code": "one"})
    return tmp_path / "trees.parquet"


def test_rows_decide_and_not_where_a_table_comes_from(table: Path) -> None:
    def facts() -> dict:
        return fit_facts(step_router("trim-agg", Routers()), {"kappa": [0.1]}, FIT, 7, [table, table])

    first = facts()
    write_parquet(ROWS, table, {"code": "two"})
    assert facts() == first
    write_parquet(ROWS.assign(score=[0.25, 0.50001]), table, {"code": "one"})
    assert facts()["tables"] != first["tables"]


def test_a_fit_is_kept_without_what_only_people_read(table: Path, tmp_path: Path) -> None:
    kept, facts = Kept(tmp_path / "store"), fit_facts(step_router("trim-seq", Routers()), {}, FIT, 7, [table])
    fit = tmp_path / "fit"
    (fit / LOGS / "kappa-1").mkdir(parents=True)
    (fit / LOGS / "kappa-1" / "events").write_text("long")
    (fit / "policies.npz").write_bytes(b"weights")
    kept.keep(FITS, facts, fit, without=LOGS)
    assert kept.restore(FITS, facts, tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["policies.npz"]
    assert not kept.restore(FITS, facts | {"seed": 8}, tmp_path / "other")


def test_a_fit_from_before_a_setting_was_there_stays_valid() -> None:
    before = Routers.model_validate({"agg": {"ppo": {"imitation": 60}}}).agg
    today = Routers().agg
    names = {"critic_weight", "imitation_flipped", "imitation_learning_rate"}
    assert not names & before.ppo.model_dump().keys()
    assert names < today.ppo.model_dump().keys()
    assert type(today).model_validate(before.model_dump()) == before
    assert (before.ppo.critic_weight, before.ppo.imitation_learning_rate) == (0.5, 0.002)
    assert before.ppo.imitation_flipped == 0.1
