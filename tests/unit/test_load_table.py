"""The table of what `trim serve` bears: the page shows what was measured, and nothing typed by hand."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark, as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("load_benchmark", ROOT / "benchmarks" / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "load_benchmark", module)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_what_was_measured(load: Any) -> None:
    page = load.PAGE.read_text(encoding="utf-8")
    shown = page.partition(load.BEGIN)[2].partition(load.END)[0].strip().splitlines()
    assert shown == load.lay_out(pd.read_csv(load.MEASURED))


def test_a_run_replaces_the_one_of_its_name(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "RESULTS", tmp_path / "benchmarks" / "load.csv")
    for name, lost in (("a", 1), ("b", 2), ("a", 3)):
        load.keep(name, {"lost": lost})
    assert pd.read_csv(load.RESULTS).values.tolist() == [["b", 2], ["a", 3]]
