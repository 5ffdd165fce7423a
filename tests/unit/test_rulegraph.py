"""The picture of the rules says what Snakemake says, without arrows beside which there is a longer way."""

import pytest

from trim.documents.rulegraph import direct, render
from trim.errors import InputError

DOT = """digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
        0[label = "all", color = "0.3 0.6 0.85", style="rounded"];
        1[label = "train", color = "0.1 0.6 0.85", style="rounded"];
        2[label = "prepare", color = "0.2 0.6 0.85", style="rounded"];
        1 -> 0
        2 -> 0
        2 -> 1
        2 -> 2
}
"""


def test_the_page_has_every_arrow_that_says_something() -> None:
    page = render(DOT)
    assert page.endswith("```mermaid\nflowchart LR\n    prepare --> train\n    train --> all\n```\n")


def test_what_is_reached_stays_reached() -> None:
    arrows = {("a", "b"), ("a", "c"), ("b", "c"), ("c", "d"), ("a", "d"), ("e", "d")}
    assert direct(arrows) == {("a", "b"), ("b", "c"), ("c", "d"), ("e", "d")}
    circle = {("a", "b"), ("b", "c"), ("c", "a")}
    assert direct(circle | {("a", "a")}) == circle


def test_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="no rule in what was read"):
        render("digraph snakemake_dag {\n}\n")
