"""Tables on pages that were typed from what a benchmark wrote say what it wrote."""

from __future__ import annotations

import re

import pandas as pd
from smoke import ROOT


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
