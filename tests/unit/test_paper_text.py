"""The manuscript's text: no number is typed in it, and what it names exists."""

import re
from pathlib import Path

import pytest

from trim.paper.manuscript import included
from trim.paper.numbers import used_keys

ROOT = Path(__file__).parents[2]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "paper").glob("*.tex"))}
MANUSCRIPT = TEXTS["main.tex"]

# Where a digit may be typed: it is no result, nor a setting of the experiment.
LAYOUT = [
    r"(?<!\\)%.*",  # comments
    r"\\(?:documentclass|usepackage)(?:\[[^\]]*\])?\{[^}]*\}",
    r"\\(?:citep|citet|cite|label|ref|resulttable|bibliography)\{[^}]*\}",
    r"\\num\{[^}]*\}",  # keys of numbers
    r"\\resultfigure(?:\[[\d.]*\\linewidth\])?\{[\w-]+\}",
    r"\\setcounter\{\w+\}\{\d\}",
    r"\\renewcommand\{\\\w+fraction\}\{0\.\d+\}",
    r"\\newcommand\{\\\w+\}\[\d\](?:\[\\linewidth\])?",
    r"#\d",  # arguments of macros
    r"\\@startsection\{paragraph\}\{4\}",
    r"\\pdfsuppressptexinfo=-1",
    r"(?<![\w.])-?\d*\.?\d+(?:pt|em|ex|in)\b",  # lengths
    r"(?<![\w.])0\.\d+\\(?:linewidth|textwidth|textheight)",
    r"\\CPT\{(?:50|80|95)\}",  # names of metrics
]
NAMES = ["MATH-500", "Qwen2.5-Math-PRM", "Qwen2 architecture", "GSM8K", "bfloat16"]
NAMES += [f"Qwen2.5-Coder-{size}-Instruct" for size in ("0.5B", "1.5B")]


def typed_digits(text: str) -> list[str]:
    """Lines of a LaTeX source with digits that are neither layout nor a name."""
    for pattern in [*LAYOUT, *map(re.escape, NAMES)]:
        text = re.sub(pattern, "", text)
    return [line.strip() for line in text.splitlines() if re.search(r"\d", line)]


@pytest.mark.parametrize("name", TEXTS)
def test_no_number_in_a_text_is_typed(name: str) -> None:
    assert typed_digits(TEXTS[name]) == []


@pytest.mark.parametrize(
    "typed",
    [
        "TRIM-Thr has 2.35.",
        r"recovers 14\,\% of the gap",
        r"$p = 0.003$",
        "on 3 datasets",
        r"\dIBC{} of $+1.3$ [$0.9$, $1.7$]",
        r"\newcommand{\result}{2.35}",
        "see Table 4",
        r"\CPT{50} of 12",
        "In 2026,",
        r"MATH-5000",
        "a share of 0.2",
        r"over 2000 resamples % \label{x1}",
    ],
)
def test_a_typed_number_is_found(typed: str) -> None:
    begun, rest = MANUSCRIPT.split(r"\section{Results}")
    assert typed_digits(rf"{begun}{typed}\section{{Results}}{rest}") != []


def test_the_text_uses_numbers_and_includes_what_others_draw() -> None:
    assert len(used_keys(MANUSCRIPT)) > 80
    found = included(MANUSCRIPT)
    assert {"accuracy_vs_cost_arith", "pomdp_policy_arith"} <= set(found["figure"])
    assert {"routers", "end_points", "claims"} <= set(found["table"])
    assert "includegraphics" not in MANUSCRIPT.split(r"\begin{document}")[1]
    assert included(r"\resultfigure[0.5\linewidth]{a_b-c} % \resulttable{no}") == {"figure": ["a_b-c"], "table": []}


def test_every_citation_has_an_entry_and_every_entry_a_citation() -> None:
    entries = re.findall(r"^@\w+\{(\w+),", (ROOT / "paper/references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    together = "".join(TEXTS.values())
    cited = {key for keys in re.findall(r"\\cite[pt]?\{([^}]*)\}", together) for key in keys.split(",")}
    assert sorted(entries) == sorted(cited)
