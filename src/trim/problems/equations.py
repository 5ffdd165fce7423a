"""The arithmetic that stands in a text: each `a op b = c` between numbers, and whether it is true."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

LONGEST = 200
"""Characters of an expression; longer ones are no arithmetic that anybody writes out."""

REWRITTEN = (
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{[^{}]*\}"), " "),
    (re.compile(r"\\(?:times|cdot)|×"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile(r"\\approx|≈"), "="),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\?%"), "/100 "),
    (re.compile(r"[^-+*/().\d\s=,;:]+"), " "),  # words, units, currencies, marks of LaTeX
)
EXPRESSIONS = re.compile(r"[-+*/().\d =]+")
OPERATION = re.compile(r"[\d)] *[-+*/] *[(\d]")
DECIMALS = re.compile(r"-?\d*\.(\d+)")

OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def equations(text: str) -> list[bool]:
    r"""Return of each equation between numbers whether it is true; a result with decimals may be rounded.

    Equations that cannot be read are left out.

    Examples
    --------
    >>> equations("He pays 3 * $4 = $12, and \frac{10}{4} = 2.5; then 12 + 2.5 = 15.")
    [True, True, False]
    """
    return [verdict for line in text.splitlines() for verdict in _in_line(line)]


def _in_line(line: str) -> Iterator[bool]:
    for pattern, replacement in REWRITTEN:
        line = pattern.sub(replacement, line)
    for found in EXPRESSIONS.findall(line):
        sides = [side.strip() for side in found.rstrip(" .").split("=")]
        for left, right in zip(sides, sides[1:], strict=False):
            if OPERATION.search(left) or OPERATION.search(right):
                ours, theirs = _value(left), _value(right)
                if ours is not None and theirs is not None:
                    yield _agree(ours, theirs, right)


def _agree(left: Fraction, right: Fraction, written: str) -> bool:
    decimals = DECIMALS.fullmatch(written)
    return abs(left - right) <= (Fraction(1, 10 ** len(decimals[1])) if decimals else 0)


def _value(expression: str) -> Fraction | None:
    """Return the value of numbers and the four operations; None for anything else."""
    if len(expression) > LONGEST:
        return None
    try:
        return _of(ast.parse(expression, mode="eval").body, expression)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _of(node: ast.expr, expression: str) -> Fraction:
    if isinstance(node, ast.Constant):
        return Fraction(ast.get_source_segment(expression, node) or "")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_of(node.operand, expression)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_of(node.left, expression), _of(node.right, expression))
    raise ValueError(f"no arithmetic: {expression}")
