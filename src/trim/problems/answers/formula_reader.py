r"""The reader of formulas: plain LaTeX to a tree.

It knows numbers, letters with their subscripts, the four operations, powers, roots, fractions, factorials, binomials,
absolute values and the elementary functions. Integrals, sums, limits and words are beyond it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from trim.problems.answers.notation import FUNCTIONS, compact, group_end

LONGEST, DEEPEST = 2000, 40
MOST_DIGITS = 6000

_NUMBER = re.compile(r"(?P<mantissa>\d+(?:\.\d*)?|\.\d+)(?:[eE](?P<exponent>[-+]?\d{1,5})(?![\d.]))?")
_REPEATING = re.compile(r"(?P<fixed>\d*\.\d*)\s*\\(?:overline|bar|dot|overbrace)\s*\{?\s*(?P<repeated>\d+)\s*\}?")
_MIXED = re.compile(r"\s*(?:\\frac\s*(?:\{\s*(\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))|(?<=\s)(\d+)/(\d+)(?![\d.]))")
_COMMAND = re.compile(r"\\([a-zA-Z]+|[^a-zA-Z])")
_WORD = re.compile(r"[a-zA-Z]{4,}")
_DERIVATIVE = re.compile(
    r"\\frac\s*\{\s*(?:d|\\partial)(?![a-z]{2})[^{}=]*(?:\{[^{}]*\}[^{}=]*)*\}\s*\{\s*(?:d|\\partial)\s*[\\a-zA-Z][^{}=]*(?:\{[^{}]*\}[^{}=]*)*\}"
)
_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron rho sigma tau upsilon phi chi "
    "psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega hbar ell partial nabla Pi".split()
)
_ACCENTS = frozenset(
    "dot ddot hat widehat bar vec tilde widetilde overline overrightarrow mathcal mathbb mathscr mathfrak".split()
)
_UNKNOWN_FUNCTIONS = frozenset("fghFGH")
_CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|"}
_ROUNDED = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil"), "|": ("|", "abs")}


class Unreadable(Exception):
    """The text is no formula, or none that this reader knows."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a formula: an operation with its arguments, a number, a constant or a name."""

    op: str
    args: tuple[Node, ...] = ()
    value: Fraction | str | None = None
    digits: int | None = None

    def names(self) -> Iterator[str]:
        """Yield the names below."""
        if self.op == "name":
            yield str(self.value)
        for arg in self.args:
            yield from arg.names()

    def has(self, op: str) -> bool:
        """Tell whether an operation is somewhere below."""
        return self.op == op or any(arg.has(op) for arg in self.args)


def read_tree(text: str, *, tight: bool) -> Node:
    """Read a plain text.

    Parameters
    ----------
    tight
        Whether "1/2x" is 1/(2x), or else (1/2)x.

    Raises
    ------
    Unreadable
        When the text is no formula.
    """
    if len(text) > LONGEST or not text.strip():
        raise Unreadable
    reader = _Reader(text, tight)
    tree = reader.sum()
    if reader.rest():
        raise Unreadable
    return tree


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str, tight: bool) -> None:
        self.text, self.tight = text, tight
        self.at = self.depth = 0
        self.in_function = self.in_bars = 0

    def rest(self) -> str:
        """Return what is not read yet, without leading space."""
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1
        return self.text[self.at :]

    def takes(self, *signs: str) -> str | None:
        """Pass over the first of some signs that comes next, and return it."""
        rest = self.rest()
        for sign in signs:
            if rest.startswith(sign) and not (sign[-1:].isalpha() and rest[len(sign) :][:1].isalpha()):
                self.at += len(sign)
                return sign
        return None

    # --- operations, the weakest first --------------------------------------------------

    def sum(self) -> Node:
        """Read terms up to where no sign follows."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable
        terms = [self.term(self.takes("+", "-"))]
        while sign := self.takes("+", "-"):
            terms.append(self.term(sign))
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Node("+", tuple(terms))

    def term(self, sign: str | None) -> Node:
        """Read factors and divisors."""
        while second := self.takes("+", "-"):  # as in "--3"
            sign = "-" if (second == "-") != (sign == "-") else "+"
        value = self.product()
        while operation := self.takes("\\cdot", "/"):
            negative = self.takes("-")
            factor = self.product() if self.tight or operation != "/" else self.power()
            factor = Node("-", (factor,)) if negative else factor
            value = Node("/", (value, factor)) if operation == "/" else _times(value, factor)
            while not self.tight and self.begins_factor():
                value = _times(value, self.power())
        return Node("-", (value,)) if sign == "-" else value

    def product(self) -> Node:
        """Read factors that stand side by side."""
        value = self.power()
        while self.begins_factor():
            value = _times(value, self.power())
        return value

    def begins_factor(self) -> bool:
        rest = self.rest()
        if not rest or rest[0] in "+-/)]}=<>,;:&!^_'." or (rest[0] == "|" and self.in_bars):
            return False
        if rest[0].isdigit() and self.text[: self.at].rstrip()[-1:].isdigit():
            raise Unreadable  # two numbers side by side
        command = _COMMAND.match(rest)
        return command is None or command[1] not in ("cdot", "rfloor", "rceil", "pm", "mp", "degree", "%")

    def power(self) -> Node:
        """Read an operand with what follows it: factorials, degrees, powers."""
        value = self.operand()
        while True:
            if self.rest().startswith("!!"):
                raise Unreadable
            if self.takes("!"):
                value = Node("!", (value,))
            elif self.takes("\\degree"):
                value = _times(value, _DEGREE) if self.in_function else value
            elif self.takes("^"):
                value = Node("^", (value, self.exponent()))
            else:
                return value

    def exponent(self) -> Node:
        rest = self.rest()
        if rest[:1] == "{":
            return self.group("{")
        negative = self.takes("-", "+") == "-"
        number = re.match(r"\d+(?:\.\d+)?", self.rest())  # "10^21" of models is no LaTeX, but clear
        if number:
            self.at += number.end()
            value = Node("number", value=Fraction(number[0]))
        else:
            value = self.operand()
        return Node("-", (value,)) if negative else value

    # --- operands -----------------------------------------------------------------------

    def operand(self) -> Node:
        rest = self.rest()
        if rest[:1].isdigit() or re.match(r"\.\s*\d|\.\s*\\(?:overline|bar)", rest):
            return self.number()
        if rest[:1] in ("(", "[", "{"):
            return self.group(rest[0])
        if rest[:1] == "|":
            return self.rounded("|")
        if rest[:1].isalpha():
            if _WORD.match(rest):
                raise Unreadable
            return self.name(rest[0])
        if rest[:1] == "\\":
            return self.command()
        raise Unreadable

    def number(self) -> Node:
        if repeating := _REPEATING.match(self.text, self.at):
            self.at = repeating.end()
            return Node("number", value=_repeating(repeating["fixed"], repeating["repeated"]))
        number = _NUMBER.match(self.text, self.at)
        if number is None or len(number[0]) > MOST_DIGITS:
            raise Unreadable
        self.at = number.end()
        decimal = "." in number["mantissa"].rstrip(".") or number["exponent"] is not None
        mixed = None if decimal else _MIXED.match(self.text, self.at)
        if mixed:
            above, below = (int(part) for part in mixed.groups() if part is not None)
            if 0 < above < below and len(number[0]) < MOST_DIGITS // 2:
                self.at = mixed.end()
                return Node("number", value=Fraction(Decimal(number[0])) + Fraction(above, below))
        digits = len(number["mantissa"].replace(".", "").lstrip("0")) if decimal else None
        return Node("number", value=Fraction(Decimal(number[0])), digits=digits or (1 if decimal else None))

    def group(self, opening: str) -> Node:
        self.at += 1
        bars, self.in_bars = self.in_bars, 0
        value = self.sum()
        self.in_bars = bars
        if not self.takes(_CLOSING[opening]):
            raise Unreadable
        return value

    def rounded(self, opening: str) -> Node:
        """Read an absolute value, or what is rounded down or up."""
        closing, operation = _ROUNDED[opening]
        self.takes(opening if opening == "|" else "\\" + opening)
        self.in_bars += opening == "|"
        value = self.sum()
        self.in_bars -= opening == "|"
        if not self.takes(closing if closing == "|" else "\\" + closing):
            raise Unreadable
        return Node(operation, (value,))

    def argument(self) -> Node:
        """Read the argument of a command: a group, a command, or a single sign."""
        rest = self.rest()
        if rest[:1] in ("{", "("):
            return self.group(rest[0])
        if rest[:1].isdigit():
            self.at += 1
            return Node("number", value=Fraction(rest[0]))
        return self.operand()

    def command(self) -> Node:
        rest = self.rest()
        found = _COMMAND.match(rest)
        name = found[1] if found else ""
        if derivative := _DERIVATIVE.match(rest):
            self.at += derivative.end()
            return Node("name", value=compact(derivative[0]))
        if name in _GREEK or name in _ACCENTS or name == "text":
            return self.name("\\" + name)
        if name == "pi":
            self.at += 3
            return _subscripted(self, Node("constant", value="pi"), "\\pi")
        if name in _ROUNDED:
            return self.rounded(name)
        if found is None or name not in ("frac", "binom", "dbinom", "tbinom", *FUNCTIONS):
            raise Unreadable
        self.at += found.end()
        if name == "frac":
            return Node("/", (self.argument(), self.argument()))
        if name.endswith("binom"):
            return Node("binom", (self.argument(), self.argument()))
        return self.root() if name == "sqrt" else self.function(name)

    def root(self) -> Node:
        degree = (self.group("["),) if self.rest()[:1] == "[" else ()
        return Node("sqrt", (self.argument(), *degree))

    def function(self, name: str) -> Node:
        """Read a function, its power or base, and its argument, which may go without parentheses."""
        base = self.subscript_value() if name == "log" and self.takes("_") else None
        power = self.exponent() if self.takes("^") else None
        self.in_function += 1
        if self.rest()[:1] in ("(", "[", "{"):
            argument = self.group(self.rest()[0])
        else:
            negative = self.takes("-")
            argument = self.power()
            while self.begins_factor() and not _begins_function(self.rest()) and self.rest()[0] not in "([":
                argument = _times(argument, self.power())
            argument = Node("-", (argument,)) if negative else argument
        self.in_function -= 1
        if power is not None and power == Node("-", (Node("number", value=Fraction(1)),)):
            name, power = "arc" + name, None
            if name not in FUNCTIONS:
                raise Unreadable
        value = Node(name, (argument,) if base is None else (argument, base))
        return value if power is None else Node("^", (value, power))

    def subscript_value(self) -> Node:
        number = re.match(r"\d+", self.rest())
        if number:
            self.at += 1
            return Node("number", value=Fraction(number[0][0]))
        return self.argument()

    def name(self, start: str) -> Node:
        """Read a letter with its accents, subscripts and primes, as one name; e and i are the constants."""
        rest = self.rest()
        self.at += len(start)
        if start[1:] in _ACCENTS or start == "\\text":
            content = self.raw_argument()
            start = content if start == "\\text" else f"{start}{{{content}}}"
            if start.isalpha() and len(start) > 1 and rest.startswith("\\text"):
                raise Unreadable  # a word
        if start in ("e", "i"):
            return _subscripted(self, Node("constant", value=start), start)
        node = _subscripted(self, None, start)
        if start in _UNKNOWN_FUNCTIONS and self.text[self.at : self.at + 1] == "(":
            return Node("unknown", (self.group("("),), node.value)
        return node

    def raw_argument(self) -> str:
        """Pass over the argument of an accent or subscript, and return it without what only the eye sees."""
        rest = self.rest()
        end = group_end(self.text, self.at) if rest[:1] == "{" else -1
        if end < 0:
            token = re.match(r"\\[a-zA-Z]+|\w|\*", rest)
            if token is None:
                raise Unreadable
            end = self.at + token.end()
        content, self.at = self.text[self.at : end], end
        return compact(content.removeprefix("{").removesuffix("}") if content[:1] == "{" else content).lstrip("\\")


_DEGREE = Node("/", (Node("constant", value="pi"), Node("number", value=Fraction(180))))


def _subscripted(reader: _Reader, alone: Node | None, name: str) -> Node:
    """Read subscripts and primes behind a letter; without any it is `alone`, or just the letter."""
    bare = name
    while reader.text[reader.at : reader.at + 1] in ("_", "'"):
        sign = reader.text[reader.at]
        reader.at += 1
        name += sign + (reader.raw_argument() if sign == "_" else "")
    return alone if alone is not None and name == bare else Node("name", value=name)


def _times(one: Node, other: Node) -> Node:
    return Node("*", (*one.args, other) if one.op == "*" else (one, other))


def _begins_function(rest: str) -> bool:
    command = _COMMAND.match(rest)
    return command is not None and command[1] in FUNCTIONS and command[1] != "sqrt"


def _repeating(fixed: str, repeated: str) -> Fraction:
    """Return the value of a decimal whose last digits repeat for ever."""
    shift = 10 ** len(fixed.partition(".")[2])
    return Fraction(Decimal("0" + fixed + "0")) + Fraction(int(repeated), shift * (10 ** len(repeated) - 1))
