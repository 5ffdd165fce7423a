r"""Formulas: read from plain LaTeX, valued exactly or at fifty digits, compared.

A number is compared exactly, a decimal by its own digits, everything else by its values at fifty digits: of formulas
with letters, at points drawn at random, where two that are not the same all but never agree (Schwartz 1980).
Letters stand for positive numbers, unless an absolute value tells them apart from negative ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial
from typing import Any

import mpmath

from trim.problems.answers.formula_reader import Node, Unreadable, read_tree

SIGNIFICANT = 6  # digits that a decimal needs before it may stand for a number that it only rounds
MOST_BITS = 40_000  # of an exact number
POINTS, NEEDED_POINTS = 6, 3
CLOSE = mpmath.mpf(10) ** -25
_MIXED = (-20, -4, -1, 1, 4, 20)
_TINY, _VANISHED = mpmath.mpf(10) ** -35, mpmath.mpf(10) ** -300
_LARGEST_EXPONENT = 10_000

_mp = mpmath.MPContext()
_mp.dps = 50
_finer = mpmath.MPContext()
_finer.dps = 400


@dataclass(frozen=True)
class Formula:
    """A formula that could be read.

    Attributes
    ----------
    trees
        Its readings: "1/2x" has two.
    exact
        Its value, if that is a fraction of integers that can be computed.
    digits
        Significant digits, if it is a decimal; None for an exact number.
    names
        Its letters.
    """

    trees: tuple[Node, ...]
    exact: Fraction | None
    digits: int | None
    names: frozenset[str]

    def times(self, factor: Fraction) -> Formula:
        """Return the formula multiplied by a number."""
        trees = tuple(Node("*", (tree, Node("number", value=factor))) for tree in self.trees)
        return Formula(trees, None if self.exact is None else self.exact * factor, self.digits, self.names)

    def minus(self, other: Formula) -> Formula:
        """Return the difference of two formulas."""
        tree = Node("+", (self.trees[0], Node("-", (other.trees[0],))))
        return Formula((tree,), None, None, self.names | other.names)


@lru_cache(maxsize=4096)
def read_formula(text: str) -> Formula | None:
    """Read a plain text as a formula; None where it is none, or one that is beyond this reader."""
    try:
        trees = tuple(
            dict.fromkeys(read_tree(text, tight=tight) for tight in ((False, True) if "/" in text else (False,)))
        )
        names = frozenset(name for tree in trees for name in tree.names())
        return Formula(trees, None if names else _exact(trees[0]), _digits(trees[0]), names)
    except (Unreadable, RecursionError):
        return None


def equal(found: Formula, expected: Formula) -> bool | None:
    """Tell whether two formulas are the same; None where their values cannot be computed."""
    if found.exact is not None and expected.exact is not None and len(found.trees) == len(expected.trees) == 1:
        return found.exact == expected.exact or _rounds(found.exact, found.digits, expected.exact, expected.digits)
    verdicts = [_same(Formula((one,), None, None, found.names), Formula((other,), None, None, expected.names))
                for one in found.trees for other in expected.trees]  # fmt: skip
    if True in verdicts:
        return True
    if not found.names and not expected.names and (found.digits or expected.digits):
        values = [_real(found), _real(expected)]
        if values[0] is not None and values[1] is not None:
            return _rounds(values[0], found.digits, values[1], expected.digits)
    return None if None in verdicts else False


def within(found: Formula, expected: Formula, tolerance: Fraction) -> bool | None:
    """Tell whether a number is no farther from another than a tolerance; None where they are no numbers."""
    one, other = _real(found), _real(expected)
    return None if one is None or other is None else abs(one - other) <= tolerance * (1 + Fraction(1, 10**12))


def proportional(found: Formula, expected: Formula, *, positive: bool) -> bool | None:
    """Tell whether one formula is the other, times a constant; None where their values cannot be computed."""
    ratios = []
    for point in _points(found, expected, mixed=True):
        values = [_value(formula.trees[0], point, _mp) for formula in (found, expected)]
        if values[0] is not None and values[1]:
            ratios.append(values[0] / values[1])
    if len(ratios) < NEEDED_POINTS:
        return None
    first = ratios[0]
    if positive and not (abs(_mp.im(first)) < CLOSE and _mp.re(first) > 0):
        return False
    return bool(abs(first) > CLOSE) and all(abs(ratio - first) <= CLOSE * abs(first) for ratio in ratios)


# --- numbers ----------------------------------------------------------------------------


def _rounds(found: Fraction, found_digits: int | None, expected: Fraction, expected_digits: int | None) -> bool:
    """Tell whether one number is the other, rounded to as many digits as it shows.

    A reference that is a decimal accepts what rounds to it, if it has digits enough; a decimal answer stands for a
    reference that is exact and no integer. An answer that shows less than a decimal reference is another number.
    """
    if expected_digits is not None:
        finer = found_digits is None or found_digits >= expected_digits
        return finer and expected_digits >= SIGNIFICANT and _is_near(found, expected, expected_digits)
    if found_digits is not None:
        return found_digits >= SIGNIFICANT and expected.denominator > 1 and _is_near(expected, found, found_digits)
    return False


def _is_near(value: Fraction, decimal: Fraction, digits: int) -> bool:
    return abs(value - decimal) <= Fraction(10) ** (_magnitude(decimal) + 1 - digits) / 2


def _magnitude(value: Fraction) -> int:
    """Return the exponent of ten of a number's first digit."""
    if not value:
        return 0
    bits = abs(value.numerator).bit_length() - value.denominator.bit_length()
    exponent = int(bits * 0.30103)  # log10(2): off by one at most
    while abs(value) >= Fraction(10) ** (exponent + 1):
        exponent += 1
    while abs(value) < Fraction(10) ** exponent:
        exponent -= 1
    return exponent


def _digits(tree: Node) -> int | None:
    """Return the significant digits of a decimal, or of one times a power of ten."""
    if tree.op == "number":
        return tree.digits
    if tree.op == "-":
        return _digits(tree.args[0])
    if tree.op == "*" and len(tree.args) == 2 and tree.args[1].op == "^":
        base = tree.args[1].args[0]
        return _digits(tree.args[0]) if (base.op, base.value) == ("number", Fraction(10)) else None
    return None


def _exact(tree: Node) -> Fraction | None:
    """Return the value of a tree if it is a fraction of integers, and no giant."""
    if tree.op == "number":
        assert isinstance(tree.value, Fraction)
        return tree.value
    values = [_exact(arg) for arg in tree.args]
    if not values or any(value is None for value in values):
        return None
    try:
        value = _EXACT[tree.op](*values) if tree.op in _EXACT else None
    except (ArithmeticError, ValueError):
        return None
    small = value is not None and max(value.numerator.bit_length(), value.denominator.bit_length()) <= MOST_BITS
    return value if small else None


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if exponent.denominator > 1 or size * abs(exponent) > MOST_BITS or (not base and exponent <= 0):
        return None
    return base ** int(exponent)


def _factorial(value: Fraction) -> Fraction | None:
    return Fraction(factorial(int(value))) if value.denominator == 1 and 0 <= value <= 2000 else None


def _binomial(above: Fraction, below: Fraction) -> Fraction | None:
    whole = above.denominator == below.denominator == 1 and 0 <= below <= above <= 5000
    return Fraction(comb(int(above), int(below))) if whole else None


def _sum(*terms: Any) -> Any:
    return sum(terms[1:], terms[0])


def _product(*factors: Any) -> Any:
    value = factors[0]
    for factor in factors[1:]:
        value = value * factor
    return value


_OF_MPMATH = "sin cos tan cot sec csc sinh cosh tanh coth exp ln floor ceil".split()
_INVERTED = "sin cos tan cot sec csc".split()

_EXACT: Mapping[str, Callable[..., Fraction | None]] = {
    "+": _sum,
    "*": _product,
    "-": lambda x: -x,
    "/": lambda x, y: x / y,
    "^": _power,
    "!": _factorial,
    "binom": _binomial,
    "abs": abs,
    "floor": lambda x: Fraction(x.numerator // x.denominator),
    "ceil": lambda x: Fraction(-(-x.numerator // x.denominator)),
}


def _real(formula: Formula) -> Fraction | None:
    """Return the value of a formula without letters, if it is a real number."""
    if formula.exact is not None:
        return formula.exact
    value = None if formula.names else _value(formula.trees[0], {}, _mp)
    if value is None or abs(_mp.im(value)) > CLOSE * abs(value):
        return None
    sign, mantissa, exponent, _ = _mp.mpf(_mp.re(value))._mpf_
    whole = Fraction(int(mantissa)) * (Fraction(2) ** exponent if abs(exponent) < MOST_BITS else 0)
    return -whole if sign else whole


# --- values at fifty digits -------------------------------------------------------------


def _same(found: Formula, expected: Formula) -> bool | None:
    mixed = any(formula.trees[0].has("abs") for formula in (found, expected))
    agreed = 0
    for point in _points(found, expected, mixed=mixed):
        verdict = _same_at(found.trees[0], expected.trees[0], point)
        if verdict is False:
            return False
        agreed += verdict is True
    return True if agreed >= (NEEDED_POINTS if found.names or expected.names else 1) else None


def _points(found: Formula, expected: Formula, *, mixed: bool) -> list[dict[str, Fraction]]:
    """Draw values for the letters: the same ones every time, positive ones, or ones of both signs."""
    names = sorted(found.names | expected.names)
    points = []
    for index in range(POINTS if names else 1):
        draws = {name: random.Random(f"{name}/{index}") for name in names}
        points.append(
            {
                name: Fraction(draw.randint(300_000, 3_000_000), 999_983) * (draw.choice(_MIXED) if mixed else 1)
                for name, draw in draws.items()
            }
        )
    return points


def _same_at(found: Node, expected: Node, point: Mapping[str, Fraction]) -> bool | None:
    for context in (_mp, _finer):
        one, other = _value(found, point, context), _value(expected, point, context)
        if one is None or other is None:
            return None
        size = max(abs(one), abs(other))
        if size > _TINY:
            return bool(abs(one - other) <= CLOSE * size)
    return bool(size < _VANISHED or abs(one - other) <= CLOSE * size)


def _value(tree: Node, point: Mapping[str, Fraction], mp: Any) -> Any:
    """Return the value of a tree at a point as an mpmath number; None where it has none, or a giant one."""
    try:
        value = _evaluated(tree, point, mp)
        return value if mp.isfinite(value) else None
    except (ArithmeticError, ValueError, KeyError, mpmath.libmp.NoConvergence):
        return None


def _evaluated(tree: Node, point: Mapping[str, Fraction], mp: Any) -> Any:
    if tree.op == "number":
        assert isinstance(tree.value, Fraction)
        return mp.mpf(tree.value.numerator) / tree.value.denominator
    if tree.op == "name":
        value = point[str(tree.value)]
        return mp.mpf(value.numerator) / value.denominator
    if tree.op == "constant":
        return {"pi": mp.pi, "e": mp.e, "i": mp.mpc(0, 1)}[str(tree.value)] * 1
    values = [_evaluated(arg, point, mp) for arg in tree.args]
    if tree.op == "unknown":  # a function that nobody has defined: any that tells its arguments apart
        seed = mp.mpf(random.Random(str(tree.value)).randint(10**6, 10**7)) / 10**6
        return mp.cos(_sum(*(value * (seed + i) for i, value in enumerate(values)))) + seed
    if tree.op == "^":
        _check_size(values[1] * mp.log(values[0]) if values[0] else 0)
    elif tree.op in ("exp", "sinh", "cosh", "!", "binom"):
        _check_size(values[0])
    return _NUMERIC[tree.op](mp, *values)


def _check_size(exponent: Any) -> None:
    if abs(exponent) > _LARGEST_EXPONENT:
        raise OverflowError


def _root(mp: Any, value: Any, degree: Any = 2) -> Any:
    if mp.im(value) == 0 and mp.re(value) < 0 and int(mp.re(degree)) == degree and int(mp.re(degree)) % 2:
        return -mp.root(-value, int(mp.re(degree)))
    return mp.sqrt(value) if degree == 2 else value ** (1 / degree)


_NUMERIC: Mapping[str, Callable[..., Any]] = {
    **{name: lambda mp, x, name=name: getattr(mp, name)(x) for name in _OF_MPMATH},
    "+": lambda mp, *terms: _sum(*terms),
    "*": lambda mp, *factors: _product(*factors),
    "-": lambda mp, x: -x,
    "/": lambda mp, x, y: x / y,
    "^": lambda mp, x, y: x**y,
    "!": lambda mp, x: mp.factorial(x),
    "binom": lambda mp, n, k: mp.binomial(n, k),
    "abs": lambda mp, x: abs(x),
    "sqrt": _root,
    "log": lambda mp, x, base=10: mp.log(x) / mp.log(base),
    **{f"arc{name}": lambda mp, x, name=name: getattr(mp, f"a{name}")(x) for name in _INVERTED},
}
