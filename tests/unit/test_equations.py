"""Which equations are found in a text, and which of them hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trim.problems.equations import equations


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 + 4 = 7", [True]),
        ("3 + 4 = 8", [False]),
        (r"\[ \frac{30}{60} = 0.5 \text{ hours} \]", [True]),
        (r"\frac{1}{10} \times 40 = 4", [True]),
        (r"20 / 60 = 0.3333", [True]),
        (r"20 / 60 \approx 0.35", [False]),
        (r"\$1,200 \div 4 = \$300 = 3 \cdot 100 = 301", [True, True, False]),
        ("2 apples + 3 apples = 5 apples", [True]),
        ("25% * 80 = 20", [True]),
        ("12 - (3 + 4) * 2 = -2.", [True]),
        ("x = 3, and 4 = 4", []),
        ("1 / 0 = 0; 2 + = 2; ** 3 = 4; 2 ** 3 = 8", []),
        ("no numbers at all", []),
        ("07 + 1 = 8", []),
    ],
)
def test_equations_between_numbers_are_judged(text: str, found: list[bool]) -> None:
    assert equations(text) == found


def test_endless_expressions_are_left_out() -> None:
    assert equations("1 + " * 5000 + "1 = 5001") == []
    assert equations("(" * 150 + "1" + ")" * 150 + " + 1 = 2") == []


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(-3, 3))
def test_sums_and_products_are_judged_exactly(one: int, other: int, off: int) -> None:
    assert equations(f"{one} + {other} = {one + other + off}") == [off == 0]
    assert equations(f"{one} * {other} = {abs(one * other + off)}") == [abs(one * other + off) == one * other]


@given(st.text(alphabet="0123456789+-*/=(). \\{}frac$%,x", max_size=80))
def test_nothing_breaks_it(text: str) -> None:
    assert all(isinstance(verdict, bool) for verdict in equations(text))
