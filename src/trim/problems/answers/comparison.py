"""Whether an answer is the reference: what each kind of value is compared with, and how.

A value is right if any way to read it agrees with any way to read the reference. Kinds are told apart as
mathematicians do: a set is no pair, an interval has its ends, a list is not a part of it; a name, a unit, a base and
a box of brackets around one value may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from trim.problems.answers import formulas
from trim.problems.answers.formulas import Formula
from trim.problems.answers.kinds import (
    Based,
    Grid,
    Group,
    Labelled,
    Leaf,
    Range,
    Readings,
    Relation,
    Sequence,
    Union,
    Value,
    Words,
)
from trim.problems.answers.notation import compact
from trim.problems.answers.reading import read, words_of

LONGEST = 4000
# What a number may be written with that the reader of formulas does not know; math-verify passes over what it does not.
_HIGHER = re.compile(r"\\(?:int|iint|oint|sum|prod|lim|gcd|lcm|max|min|det|begin|operatorname|bmod)(?![a-z])")

Algebra = Callable[[str, str], bool]
"""Tells whether two plain texts that the reader of formulas cannot read are the same."""

Tolerances = tuple[Fraction, ...]


def read_tolerance(text: str) -> Tolerances | None:
    """Read how far off a number may be, or each of several: "1e-1", "1e-2,1e-3"; None where that is not said so."""
    try:
        sizes = tuple(Fraction(Decimal(size.strip())) for size in text.split(","))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return sizes if all(size >= 0 for size in sizes) else None


def same(answer: str, reference: str, tolerance: str, algebra: Algebra) -> bool:
    """Tell whether an answer is the reference.

    Parameters
    ----------
    tolerance
        As of `Problem.tolerance`; "" for none.
    algebra
        Asked about what cannot be decided here.
    """
    if max(len(answer), len(reference)) > LONGEST:
        return False
    tolerances = (read_tolerance(tolerance) or ()) if tolerance else ()
    return _Comparison(algebra).any(read(answer), read(reference, reference=True), tolerances)


class _Comparison:
    """Compares values, and asks the algebra about leaves."""

    def __init__(self, algebra: Algebra) -> None:
        self.algebra = algebra

    def any(self, found: Readings, expected: Readings, tolerances: Tolerances) -> bool:
        """Tell whether some reading is some reading of the reference; what can be decided here comes first."""
        pairs = [(one, other) for one in found for other in expected]
        pairs.sort(key=lambda pair: isinstance(pair[0], Leaf) and pair[0].formula is None)
        return any(self.values(one, other, tolerances) for one, other in pairs)

    def values(self, found: Value, expected: Value, tolerances: Tolerances = ()) -> bool:
        """Compare two values of whatever kinds."""
        if isinstance(found, Labelled) or isinstance(expected, Labelled):
            return self.labelled(found, expected, tolerances)
        if isinstance(found, Group) or isinstance(expected, Group):
            return self.groups(found, expected, tolerances)
        match found, expected:
            case (Leaf(), Leaf()):
                return self.leaves(found, expected, tolerances)
            case (Words(), Words()):
                return found.text == expected.text
            case (Words(), Leaf()):
                return self.words(found, expected)
            case (Leaf(), Words()):
                return self.words(expected, found)
            case (Based(), Based()):
                return found == expected
            case (Leaf(), Based()):
                return compact(found.text).lstrip("0") == expected.digits
            case (Based(), Leaf()):
                value = expected.formula.exact if expected.formula else None
                return found.base == 10 and value == Fraction(found.digits)
            case (Sequence(), Sequence()):
                return _alike(found, expected) and self.in_order(found.members, expected.members, tolerances)
            case (Grid(), Grid()):
                return len(found.rows) == len(expected.rows) and all(
                    self.in_order(row, other, tolerances) for row, other in zip(found.rows, expected.rows, strict=True)
                )
            case (Range(), Range()):
                return self.ranges(found, expected)
            case (Union(), Union()):
                return self.in_any_order(found.parts, expected.parts, ())
            case (Relation(), Relation()):
                return self.relations(found, expected)
        return False

    def leaves(self, found: Leaf, expected: Leaf, tolerances: Tolerances) -> bool:
        """Compare numbers and formulas, with their units."""
        if found.unit and expected.unit and found.unit != expected.unit:
            return False
        if compact(found.text) == compact(expected.text) and found.percent == expected.percent:
            return True
        one, other = found.formula, expected.formula
        if one is None or other is None:
            readable = one or other
            if readable is not None and not readable.names and not all(map(_HIGHER.search, _unread(found, expected))):
                return False
            return self.algebra(found.text, expected.text)
        if found.percent == expected.percent:
            return self.numbers(one, other, tolerances)
        hundredth = Fraction(1, 100)
        if found.percent:
            return self.numbers(one, other, tolerances) or self.numbers(one.times(hundredth), other, tolerances)
        return self.numbers(one, other, tolerances) or self.numbers(one, other.times(hundredth), ())

    def numbers(self, found: Formula, expected: Formula, tolerances: Tolerances) -> bool:
        """Compare formulas: within a tolerance, if there is one and they are numbers."""
        if tolerances and (near := formulas.within(found, expected, tolerances[0])) is not None:
            return near
        return bool(formulas.equal(found, expected))

    def words(self, words: Words, leaf: Leaf) -> bool:
        """Compare text with a formula: the letters of "ab" may be a product."""
        if words_of(leaf.text) == words.text:
            return True
        return False if leaf.formula is not None and not leaf.formula.names else self.algebra(words.text, leaf.text)

    def in_order(self, found: tuple[Readings, ...], expected: tuple[Readings, ...], tolerances: Tolerances) -> bool:
        """Compare members one by one."""
        return len(found) == len(expected) and all(
            self.any(one, other, _of_member(tolerances, i, len(expected)))
            for i, (one, other) in enumerate(zip(found, expected, strict=True))
        )

    def in_any_order(self, found: tuple[Readings, ...], expected: tuple[Readings, ...], tolerances: Tolerances) -> bool:
        """Find for each member another one that is the same."""
        if len(found) != len(expected):
            return False
        left = list(found)
        for i, member in enumerate(expected):
            own = _of_member(tolerances, i, len(expected))
            match = next((j for j, one in enumerate(left) if self.any(one, member, own)), None)
            if match is None:
                return False
            del left[match]
        return True

    def groups(self, found: Value, expected: Value, tolerances: Tolerances) -> bool:
        """Compare several values with several, a set of one with its member, named values with a pair."""
        if isinstance(found, Group) and isinstance(expected, Group):
            members = [group.members for group in (found, expected)]
            if found.is_set or expected.is_set:
                members = [self.once(group.members) if group.is_set else group.members for group in (found, expected)]
            return self.in_any_order(members[0], members[1], tolerances)
        if isinstance(expected, Group):
            beside = _beside(expected, found)
            return beside is not None and self.in_order(beside, expected.members, tolerances)
        assert isinstance(found, Group)
        beside = _beside(found, expected)
        return beside is not None and self.in_order(found.members, beside, tolerances)

    def once(self, members: tuple[Readings, ...]) -> tuple[Readings, ...]:
        """Drop the members of a set that are there already."""
        kept: list[Readings] = []
        for member in members:
            if not any(self.any(member, other, ()) for other in kept):
                kept.append(member)
        return tuple(kept)

    def ranges(self, found: Range, expected: Range) -> bool:
        """Compare intervals: ends, whether they belong to it, and names where both have one."""
        if found.name and expected.name and found.name != expected.name:
            return False
        ends = [
            (found.low, expected.low, found.low_closed, expected.low_closed),
            (found.high, expected.high, found.high_closed, expected.high_closed),
        ]
        for one, other, one_closed, other_closed in ends:
            if (one is None) != (other is None) or (one is not None and one_closed != other_closed):
                return False
        return all(one is None or other is None or self.any(one, other, ()) for one, other, _, _ in ends)

    def labelled(self, found: Value, expected: Value, tolerances: Tolerances) -> bool:
        """Compare values that have names: a name may be missing, but two must not differ."""
        if isinstance(found, Labelled) and isinstance(expected, Labelled):
            if _compatible(found.label, expected.label):
                return self.any(found.value, expected.value, tolerances)
            return self.related(found, expected)
        if isinstance(found, Relation) or isinstance(expected, Relation):
            return self.related(found, expected)
        one = found.value if isinstance(found, Labelled) else (found,)
        other = expected.value if isinstance(expected, Labelled) else (expected,)
        return self.any(one, other, tolerances)

    def related(self, found: Value, expected: Value) -> bool:
        """Compare equations, of which some are solved for a letter."""
        sides = [_as_relation(value) for value in (found, expected)]
        return sides[0] is not None and sides[1] is not None and self.relations(sides[0], sides[1])

    def relations(self, found: Relation, expected: Relation) -> bool:
        """Compare equations and inequalities: the same up to a factor."""
        if found.sign != expected.sign:
            return False
        if all(
            compact(one.text) == compact(other.text)
            for one, other in ((found.left, expected.left), (found.right, expected.right))
        ):
            return True
        differences = [_difference(relation) for relation in (found, expected)]
        if differences[0] is None or differences[1] is None:
            texts = [f"{relation.left.text} {relation.sign} {relation.right.text}" for relation in (found, expected)]
            return self.algebra(*texts)
        return bool(formulas.proportional(differences[0], differences[1], positive=found.sign != "="))


def _of_member(tolerances: Tolerances, index: int, count: int) -> Tolerances:
    return (tolerances[index],) if len(tolerances) == count else tolerances


def _beside(group: Value, other: Value) -> tuple[Readings, ...] | None:
    """Return what a group's members are compared with: named values with a pair's, one value in many ways with it."""
    assert isinstance(group, Group)
    if isinstance(other, Sequence) and other.style == "round" and all(map(_is_named, group.members)):
        return other.members
    return ((other,),) * len(group.members) if isinstance(other, Leaf | Words) else None


def _alike(found: Sequence, expected: Sequence) -> bool:
    styles = {found.style, expected.style}
    return len(styles) == 1 or not (
        styles == {"row", "column"} or (styles == {"round", "square"} and len(expected.members) == 2)
    )


def _is_named(member: Readings) -> bool:
    return len(member) == 1 and isinstance(member[0], Labelled)


def _unread(*leaves: Leaf) -> list[str]:
    return [leaf.text for leaf in leaves if leaf.formula is None]


def _compatible(one: str, other: str) -> bool:
    """Tell whether two names may mean the same: not two letters, nor two functions, that differ."""
    if "_" not in one or "_" not in other:
        one, other = one.partition("_")[0], other.partition("_")[0]
    if one.casefold() == other.casefold() and one != other:
        return False
    kinds = [("(" in name, len(name.partition("_")[0].lstrip("\\")) == 1) for name in (one, other)]
    return one == other or kinds[0] != kinds[1] or not (kinds[0][0] or kinds[0][1])


def _as_relation(value: Value) -> Relation | None:
    if isinstance(value, Labelled) and len(value.value) == 1 and isinstance(value.value[0], Leaf):
        return Relation(Leaf(value.label, formulas.read_formula(value.label)), "=", value.value[0])
    return value if isinstance(value, Relation) else None


def _difference(relation: Relation) -> Formula | None:
    left, right = relation.left.formula, relation.right.formula
    return None if left is None or right is None else left.minus(right)
