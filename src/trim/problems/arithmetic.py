r"""Multi-step arithmetic with an exact checker: the problems of the embedded experiment.

A program starts from a number and applies one instruction a step, modulo 100::

    problem   "97 a*3 b+7! c-74?"
    solution  "a:97*3=91\n\n"  "now work out the next one b:91+7=98\n\n"  "c:98-74=24\n\n"  "\boxed{24}"

Each step needs the value that the step before it wrote, so an error carries on to the
answer. Letters are labels that tell where one is. An instruction with "!" asks for a
spelled-out step, which costs about twice the tokens and is no harder.

A problem that ends in "??" asks for all results: no two errors can cancel there::

    answer    "\boxed{a91b98c24}"

A step may first restate the last result, which puts right what the step before got wrong::

    solution  "a:97*3=81\n\n"  "91! now work out the next one b:91+7=98\n\n"  ...
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from string import ascii_lowercase
from typing import Literal

from trim.config.datasets import ArithmeticFamily
from trim.problems.problem import Problem, fingerprint

MODULUS = 100
MULTIPLIERS = (3, 4, 6, 7, 8, 9)
AWKWARD_MULTIPLIER = 7  # the least
SPELLED_OUT = "now work out the next one "
ALL_ASKED = "??"
TENS_SLIPS = 0.9
WORD_OF = {"+": " add ", "-": " take ", "*": " times "}
SIGN_OF = {word: sign for sign, word in WORD_OF.items()}

_NUMBER = "(0|[1-9][0-9]*)"
_RESTATED = re.compile(rf"{_NUMBER}! ")
_STEP = re.compile(rf"({SPELLED_OUT})?([a-z]):{_NUMBER}([-+*]){_NUMBER}={_NUMBER}\n\n")
_BOXED = re.compile(r"\\boxed\{(\w+)\}(\n\n)?")
_INSTRUCTION = re.compile(r"([a-z])([-+*]| add | take | times )(\d+)(!?)")
_START = re.compile(r"(?:From )?(\d+)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation on the running value."""

    label: str
    sign: str
    operand: int
    spelled_out: bool

    @property
    def operation(self) -> str:
        """What decides how hard the step is: the sign, and whether the operand has two digits."""
        return self.sign + ("dd" if self.operand > 9 else "d")

    def apply(self, value: int) -> int:
        """Return the new running value."""
        if self.sign == "+":
            return (value + self.operand) % MODULUS
        if self.sign == "-":
            return (value - self.operand) % MODULUS
        return (value * self.operand) % MODULUS


@dataclass(frozen=True, slots=True)
class Program:
    """A start value and the instructions that change it."""

    start: int
    instructions: tuple[Instruction, ...]
    asks_for: Literal["last", "all"] = "last"

    def render(self, wording: str) -> str:
        """Return the problem text, in symbols or in words."""
        end = ALL_ASKED if self.asks_for == "all" else "?"
        marks = ["!" if i.spelled_out else "" for i in self.instructions]
        if wording == "symbols":
            parts = [f"{i.label}{i.sign}{i.operand}{m}" for i, m in zip(self.instructions, marks, strict=True)]
            return f"{self.start} {' '.join(parts)}{end}"
        parts = [f"{i.label}{WORD_OF[i.sign]}{i.operand}{m}" for i, m in zip(self.instructions, marks, strict=True)]
        return f"From {self.start}: {', '.join(parts)}{end}"

    def steps(self) -> list[str]:
        """Return the steps of the right solution, each with the separator that ends it."""
        value, steps = self.start, []
        for instruction in self.instructions:
            lead = SPELLED_OUT if instruction.spelled_out else ""
            result = instruction.apply(value)
            steps.append(f"{lead}{instruction.label}:{value}{instruction.sign}{instruction.operand}={result}\n\n")
            value = result
        return [*steps, f"\\boxed{{{self.answer()}}}"]

    def results(self) -> list[int]:
        """Return the right result of every instruction."""
        return list(accumulate(self.instructions, lambda value, i: i.apply(value), initial=self.start))[1:]

    def answer(self) -> str:
        """Return what stands in the box."""
        return str(self.boxed(self.results()))

    def boxed(self, results: Sequence[int | None]) -> str | None:
        """Return what is to be boxed after these results: the last of them, or each behind its label."""
        if self.asks_for == "last":
            return None if results[-1] is None else str(results[-1])
        if None in results:
            return None
        return "".join(f"{i.label}{result}" for i, result in zip(self.instructions, results, strict=True))

    def fingerprint(self) -> str:
        """Digest of the computation alone, whatever its labels and wording."""
        return fingerprint(f"{self.start} " + " ".join(f"{i.sign}{i.operand}" for i in self.instructions))


def draw_program(family: ArithmeticFamily, rng: random.Random) -> Program:
    """Draw one program of a family.

    Difficulty differs between problems: one uniform draw scales how many steps multiply
    and how many operands have two digits, around the family's means. With `p_awkward`, another one scales how
    many operands are awkward: that makes the same operation harder, which no count of operations shows.
    """
    length = rng.randint(family.min_steps, family.max_steps)
    tilt = 2 * rng.random()
    p_multiply = min(1.0, tilt * family.p_multiply)
    p_two_digits = min(1.0, tilt * family.p_two_digits)
    # A third of the programs starts at "a", the others anywhere: what a label is called must not matter.
    first = 0 if rng.random() < 1 / 3 else rng.randint(0, len(ascii_lowercase) - length)
    instructions = []
    for position in range(length):
        if rng.random() < p_multiply:
            sign, operand = "*", rng.choice(MULTIPLIERS)
        else:
            sign = "-" if rng.random() < family.p_subtract else "+"
            operand = rng.randint(10, 99) if rng.random() < p_two_digits else rng.randint(1, 9)
        spelled_out = rng.random() < family.p_spelled_out
        instructions.append(Instruction(ascii_lowercase[first + position], sign, operand, spelled_out))
    program = Program(rng.randint(0, MODULUS - 1), tuple(instructions), family.answer)
    if family.p_awkward is None:
        return program
    return _with_awkward(program, min(1.0, 2 * rng.random() * family.p_awkward), rng)


def _with_awkward(program: Program, share: float, rng: random.Random) -> Program:
    """Change multipliers, and units of other operands, so that this share of them is awkward, as far as they can be."""
    value, instructions = program.start, []
    for instruction in program.instructions:
        wanted = rng.random() < share
        if instruction.sign == "*":
            operands: Sequence[int] = MULTIPLIERS
        else:
            tens = instruction.operand // 10 * 10
            operands = range(max(1, tens), tens + 10)
        suited = [operand for operand in operands if is_awkward(value, instruction.sign, operand) == wanted]
        instructions.append(replace(instruction, operand=rng.choice(suited)) if suited else instruction)
        value = instructions[-1].apply(value)
    return replace(program, instructions=tuple(instructions))


def is_awkward(value: int, sign: str, operand: int) -> bool:
    """Tell whether an operand makes its operation harder: a sum or difference carries, a multiplier is large."""
    if sign == "*":
        return operand >= AWKWARD_MULTIPLIER
    return value % 10 + operand % 10 > 9 if sign == "+" else operand % 10 > value % 10


def slipped(program: Program, share: float, rng: random.Random) -> list[tuple[str, bool]]:
    """Solve a program with this share of wrong results, each restated rightly by the next step.

    Returns
    -------
    Pieces of the solution's text, and whether each is right; the wrong ones are results that were slipped in.
    """
    *steps, last = program.steps()
    pieces: list[tuple[str, bool]] = []
    restated = ""
    for step, result in zip(steps, program.results(), strict=True):
        wrong = rng.random() < share
        written = (result + _slip(rng)) % MODULUS if wrong else result
        pieces += [(f"{restated}{step.partition('=')[0]}=", True), (str(written), not wrong), ("\n\n", True)]
        restated = f"{result}! " if wrong else ""
    return [*pieces, (restated + last, True)]


def _slip(rng: random.Random) -> int:
    """Draw by how much a result is wrong: as models err, mostly in the tens digit."""
    return 10 * rng.randint(1, 9) if rng.random() < TENS_SLIPS else rng.randint(1, MODULUS - 1)


def draw_problems(name: str, family: ArithmeticFamily, rng: random.Random) -> Iterator[Problem]:
    """Yield problems of a family without end; the caller stops, and filters by split."""
    index = 0
    while True:
        program = draw_program(family, rng)
        yield Problem(
            id=f"{name}-{index}",
            dataset=name,
            text=program.render(family.wording),
            answer=program.answer(),
            fingerprint=program.fingerprint(),
        )
        index += 1


@lru_cache(maxsize=65536)
def parse_program(text: str) -> Program:
    """Read a problem text back into its program.

    Raises
    ------
    ValueError
        When the text is not one of this module's.
    """
    start = _START.match(text)
    found = _INSTRUCTION.findall(text)
    if start is None or not found:
        raise ValueError(f"not an arithmetic problem: {text!r}")
    return Program(
        int(start[1]),
        tuple(
            Instruction(label, SIGN_OF.get(sign, sign), int(operand), mark == "!")
            for label, sign, operand, mark in found
        ),
        "all" if text.endswith(ALL_ASKED) else "last",
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where the text of a solution stands.

    Attributes
    ----------
    results
        Those that count: as written, or as the next step restated them; None where there is nothing to read.
    ought
        What the last result should have been, given the text before it.
    right
        Whether nothing is wrong but what was put right.
    reparable
        Whether the last step alone is wrong, so that the next one may put it right.
    """

    results: tuple[int | None, ...] = ()
    ought: int | None = None
    right: bool = True
    reparable: bool = False

    def after(self, program: Program, step: str) -> tuple[_Standing, bool]:
        """Return where the text stands after one more step, and whether that is right."""
        restated, rest = _split_restated(step)
        mends = restated is not None and restated == self.ought
        results = self.results if restated is None else (*self.results[:-1], restated)[: len(self.results)]
        result, ought, right = _judge(program, results, rest)
        right = right and (restated is None or mends)
        sound = (self.reparable and mends) or (self.right and (restated is None or mends))
        return _Standing((*results, result), ought, sound and right, sound and not right), right


def _judge(program: Program, results: tuple[int | None, ...], step: str) -> tuple[int | None, int | None, bool]:
    """Return the result that a step writes after others, what it should be, and whether the step is right."""
    position, value = len(results), results[-1] if results else program.start
    if position >= len(program.instructions):
        boxed = _BOXED.fullmatch(step) if position == len(program.instructions) else None
        return None, None, boxed is not None and boxed[1] == program.boxed(results)
    instruction = program.instructions[position]
    ought = None if value is None else instruction.apply(value)
    match = _STEP.fullmatch(step)
    if match is None:
        return None, ought, False
    # Whether it is spelled out is a matter of form: a step is right or wrong by what it computes.
    _, label, left, sign, operand, result = match.groups()
    asked = (label, sign, int(operand)) == (instruction.label, instruction.sign, instruction.operand)
    return int(result), ought, asked and int(left) == value and int(result) == ought


def _split_restated(step: str) -> tuple[int | None, str]:
    match = _RESTATED.match(step)
    return (int(match[1]), step[match.end() :]) if match else (None, step)


@lru_cache(maxsize=1 << 16)
def _standing(text: str, prefix: tuple[str, ...]) -> _Standing:
    """Return where a solution stands; what it grew from is known already, as a rule."""
    if not prefix:
        return _Standing()
    return _standing(text, prefix[:-1]).after(parse_program(text), prefix[-1])[0]


def step_is_valid(text: str, prefix: Sequence[str], step: str) -> bool:
    """Tell whether a step is right given the text before it, be that right or wrong.

    It goes on from the last result as it is written. Where it restates that first, it must say what should have been
    written there, and goes on from what it says.
    """
    return _standing(text, tuple(prefix)).after(parse_program(text), step)[1]


def step_labels(text: str, steps: Sequence[str]) -> list[bool]:
    """Tell of each step whether it is right given the text before it."""
    return [step_is_valid(text, steps[:i], step) for i, step in enumerate(steps)]


def prefix_is_right(text: str, steps: Sequence[str]) -> bool:
    """Tell whether nothing is wrong in the steps but what the next one put right."""
    return _standing(text, tuple(steps)).right


def operation_at(text: str, position: int) -> str:
    """Name the operation of the step at a position: "+d", "-dd", "*d", or "answer" after the last."""
    instructions = parse_program(text).instructions
    return instructions[position].operation if position < len(instructions) else "answer"
