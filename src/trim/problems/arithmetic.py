r"""Multi-step arithmetic with an exact checker: the problems of the embedded experiment.

A program starts from a number and applies one instruction a step, modulo 100::

    problem   "97 a*3 b+7! c-74?"
    solution  "a:97*3=91\n\n"  "now work out the next one b:91+7=98\n\n"  "c:98-74=24\n\n"  "\boxed{24}"

Each step needs the value that the step before it wrote, so an error carries on to the
answer. Letters are labels that tell where one is. An instruction with "!" asks for a
spelled-out step, which costs about twice the tokens and is no harder.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_lowercase

from trim.config.experiment import ArithmeticFamily
from trim.problems.problem import Problem, fingerprint

MODULUS = 100
MULTIPLIERS = (3, 4, 6, 7, 8, 9)
SPELLED_OUT = "now work out the next one "
WORD_OF = {"+": " add ", "-": " take ", "*": " times "}
SIGN_OF = {word: sign for sign, word in WORD_OF.items()}

_NUMBER = "(0|[1-9][0-9]*)"
_STEP = re.compile(rf"({SPELLED_OUT})?([a-z]):{_NUMBER}([-+*]){_NUMBER}={_NUMBER}\n\n")
_BOXED = re.compile(rf"\\boxed\{{{_NUMBER}\}}(\n\n)?")
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

    def render(self, wording: str) -> str:
        """Return the problem text, in symbols or in words."""
        marks = ["!" if i.spelled_out else "" for i in self.instructions]
        if wording == "symbols":
            parts = [f"{i.label}{i.sign}{i.operand}{m}" for i, m in zip(self.instructions, marks, strict=True)]
            return f"{self.start} {' '.join(parts)}?"
        parts = [f"{i.label}{WORD_OF[i.sign]}{i.operand}{m}" for i, m in zip(self.instructions, marks, strict=True)]
        return f"From {self.start}: {', '.join(parts)}?"

    def steps(self) -> list[str]:
        """Return the steps of the right solution, each with the separator that ends it."""
        value, steps = self.start, []
        for instruction in self.instructions:
            lead = SPELLED_OUT if instruction.spelled_out else ""
            result = instruction.apply(value)
            steps.append(f"{lead}{instruction.label}:{value}{instruction.sign}{instruction.operand}={result}\n\n")
            value = result
        return [*steps, f"\\boxed{{{value}}}"]

    def answer(self) -> int:
        """Return the final value."""
        value = self.start
        for instruction in self.instructions:
            value = instruction.apply(value)
        return value

    def fingerprint(self) -> str:
        """Digest of the computation alone, whatever its labels and wording."""
        return fingerprint(f"{self.start} " + " ".join(f"{i.sign}{i.operand}" for i in self.instructions))


def draw_program(family: ArithmeticFamily, rng: random.Random) -> Program:
    """Draw one program of a family.

    Difficulty differs between problems: one uniform draw scales how many steps multiply
    and how many operands have two digits, around the family's means.
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
    return Program(rng.randint(0, MODULUS - 1), tuple(instructions))


def draw_problems(name: str, family: ArithmeticFamily, rng: random.Random) -> Iterator[Problem]:
    """Yield problems of a family without end; the caller stops, and filters by split."""
    index = 0
    while True:
        program = draw_program(family, rng)
        yield Problem(
            id=f"{name}-{index}",
            dataset=name,
            text=program.render(family.wording),
            answer=str(program.answer()),
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
    )


@lru_cache(maxsize=1 << 20)
def _step_is_valid(text: str, position: int, before: str | None, step: str) -> bool:
    """Check one step against the instruction at its position and the step written before it."""
    program = parse_program(text)
    value = program.start if before is None else _written_result(before)
    if value is None or position > len(program.instructions):
        return False
    if position == len(program.instructions):
        boxed = _BOXED.fullmatch(step)
        return boxed is not None and int(boxed[1]) == value
    instruction = program.instructions[position]
    match = _STEP.fullmatch(step)
    if match is None:
        return False
    # Whether it is spelled out is a matter of form: a step is right or wrong by what it computes.
    _, label, left, sign, operand, result = match.groups()
    return (
        (label, sign, int(operand)) == (instruction.label, instruction.sign, instruction.operand)
        and int(left) == value
        and int(result) == instruction.apply(value)
    )


def _written_result(step: str) -> int | None:
    match = _STEP.fullmatch(step)
    return int(match[6]) if match else None


def step_is_valid(text: str, prefix: Sequence[str], step: str) -> bool:
    """Tell whether a step is right given the text before it, be that right or wrong."""
    return _step_is_valid(text, len(prefix), prefix[-1] if prefix else None, step)


def step_labels(text: str, steps: Sequence[str]) -> list[bool]:
    """Tell of each step whether it is right given the text before it."""
    return [step_is_valid(text, steps[:i], step) for i, step in enumerate(steps)]


def operation_at(text: str, position: int) -> str:
    """Name the operation of the step at a position: "+d", "-dd", "*d", or "answer" after the last."""
    instructions = parse_program(text).instructions
    return instructions[position].operation if position < len(instructions) else "answer"
