"""What holds for every arithmetic program."""

import random
import re
from string import ascii_lowercase

from hypothesis import given
from hypothesis import strategies as st

from trim.problems.answers.boxes import extract_answer
from trim.problems.arithmetic import (
    MULTIPLIERS,
    Instruction,
    Program,
    operation_at,
    parse_program,
    prefix_is_right,
    slipped,
    step_labels,
)
from trim.problems.splits import SPLIT_RANGES, split_of

WORDINGS = st.sampled_from(["symbols", "words"])


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Any program that a family could draw."""
    length = draw(st.integers(1, 24))
    first = draw(st.integers(0, 26 - length))
    operations = st.one_of(
        st.tuples(st.just("*"), st.sampled_from(MULTIPLIERS)), st.tuples(st.sampled_from("+-"), st.integers(1, 99))
    )
    instructions = tuple(
        Instruction(ascii_lowercase[first + i], *draw(operations), spelled_out=draw(st.booleans()))
        for i in range(length)
    )
    return Program(draw(st.integers(0, 99)), instructions, draw(st.sampled_from(["last", "all"])))


def rewritten(program: Program, steps: list[str], at: int, result: int) -> list[str]:
    """Write another result at one step, and go on from it without a further error."""
    changed = re.sub(r"=\d+", f"={result}", steps[at])
    left = program.instructions[at + 1 :]
    rest = Program(result, left).steps()[:-1] if left else []
    results = [*program.results()[:at], result, *Program(result, left).results()]
    return [*steps[:at], changed, *rest, f"\\boxed{{{program.boxed(results)}}}"]


@given(programs(), WORDINGS)
def test_text_is_read_back(program: Program, wording: str) -> None:
    assert parse_program(program.render(wording)) == program


@given(programs(), WORDINGS)
def test_right_solutions_are_valid_and_end_in_the_answer(program: Program, wording: str) -> None:
    steps = program.steps()
    assert step_labels(program.render(wording), steps) == [True] * (len(program.instructions) + 1)
    assert extract_answer("".join(steps)) == program.answer()
    assert all(step.endswith("\n\n") for step in steps[:-1])
    assert all(0 <= result < 100 for result in program.results())


@given(programs(), WORDINGS, st.data())
def test_one_changed_digit_makes_just_that_step_invalid(program: Program, wording: str, data: st.DataObject) -> None:
    steps = program.steps()
    at = data.draw(st.integers(0, len(program.instructions) - 1))
    result = steps[at].split("=")[1].strip()
    place = data.draw(st.integers(0, len(result) - 1))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda d: d != result[place]))
    written = int(result[:place] + digit + result[place + 1 :])
    text = program.render(wording)

    continued = rewritten(program, steps, at, written)
    assert step_labels(text, continued) == [i != at for i in range(len(steps))]

    # Where all results are asked for, the answer tells.
    if program.asks_for == "all":
        assert extract_answer(continued[-1]) != program.answer()

    # Going on from the right value instead is a second error, in the step that does so, unless it says so.
    ignored = [*continued[: at + 1], *steps[at + 1 :]]
    told = {at, at + 1} | ({len(steps) - 1} if program.asks_for == "all" else set())
    assert step_labels(text, ignored) == [i not in told for i in range(len(steps))]
    repaired = [*ignored[: at + 1], f"{program.results()[at]}! {ignored[at + 1]}", *ignored[at + 2 :]]
    assert step_labels(text, repaired) == [i != at for i in range(len(steps))]
    assert prefix_is_right(text, repaired)
    assert not prefix_is_right(text, continued)


@given(programs(), WORDINGS, st.floats(0, 1), st.randoms())
def test_slips_are_always_repaired(program: Program, wording: str, share: float, rng: random.Random) -> None:
    pieces = slipped(program, share, rng)
    steps = re.split(r"(?<=\n\n)", "".join(text for text, _ in pieces))
    wrong = [not right for text, right in pieces if text.isdigit()]
    assert step_labels(program.render(wording), steps) == [*(not slip for slip in wrong), True]
    assert prefix_is_right(program.render(wording), steps)


@given(programs(), st.data())
def test_a_wrong_box_is_the_only_invalid_step(program: Program, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, 99).map(str).filter(lambda value: value != program.answer()))
    steps = [*program.steps()[:-1], f"\\boxed{{{wrong}}}"]
    assert step_labels(program.render("symbols"), steps) == [True] * len(program.instructions) + [False]


@given(programs(), programs())
def test_the_fingerprint_tells_computations_apart_and_nothing_else(one: Program, other: Program) -> None:
    def computation(program: Program) -> tuple[int, list[tuple[str, int]]]:
        return program.start, [(i.sign, i.operand) for i in program.instructions]

    assert (one.fingerprint() == other.fingerprint()) == (computation(one) == computation(other))


@given(programs(), st.data())
def test_the_fingerprint_ignores_wording_labels_and_spelling_out(program: Program, data: st.DataObject) -> None:
    labels = data.draw(st.permutations(ascii_lowercase))
    relabelled = Program(
        program.start,
        tuple(
            Instruction(label, i.sign, i.operand, not i.spelled_out)
            for label, i in zip(labels, program.instructions, strict=False)
        ),
    )
    for wording in ("symbols", "words"):
        assert parse_program(relabelled.render(wording)).fingerprint() == program.fingerprint()
    assert split_of(program.fingerprint()) in SPLIT_RANGES


@given(programs(), WORDINGS)
def test_operations_name_each_step(program: Program, wording: str) -> None:
    text = program.render(wording)
    names = [operation_at(text, i) for i in range(len(program.instructions) + 1)]
    assert names == [*(i.operation for i in program.instructions), "answer"]


@given(st.text(), st.sampled_from(["", "8! "]), st.sampled_from(["?", "??"]))
def test_no_text_whatever_breaks_the_checker(step: str, restated: str, end: str) -> None:
    assert step_labels(f"5 a+3{end}", [step, restated + step]) in ([False, False], [True, False])
