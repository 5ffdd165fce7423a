"""What holds for every arithmetic program."""

import re
from string import ascii_lowercase

from hypothesis import given
from hypothesis import strategies as st

from trim.problems.arithmetic import MULTIPLIERS, Instruction, Program, operation_at, parse_program, step_labels
from trim.problems.grading import extract_answer
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
    return Program(draw(st.integers(0, 99)), instructions)


def rewritten(program: Program, steps: list[str], at: int, result: int) -> list[str]:
    """Write another result at one step, and go on from it without a further error."""
    changed = re.sub(r"=\d+", f"={result}", steps[at])
    rest = Program(result, program.instructions[at + 1 :]).steps()
    return [*steps[:at], changed, *rest]


@given(programs(), WORDINGS)
def test_text_is_read_back(program: Program, wording: str) -> None:
    assert parse_program(program.render(wording)) == program


@given(programs(), WORDINGS)
def test_right_solutions_are_valid_and_end_in_the_answer(program: Program, wording: str) -> None:
    steps = program.steps()
    assert step_labels(program.render(wording), steps) == [True] * (len(program.instructions) + 1)
    assert extract_answer("".join(steps)) == str(program.answer())
    assert all(step.endswith("\n\n") for step in steps[:-1])
    assert 0 <= program.answer() < 100


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

    # Going on from the right value instead is a second error, in the step that does so.
    ignored = [*continued[: at + 1], *steps[at + 1 :]]
    assert step_labels(text, ignored) == [i not in (at, at + 1) for i in range(len(steps))]


@given(programs(), st.data())
def test_a_wrong_box_is_the_only_invalid_step(program: Program, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, 99).filter(lambda value: value != program.answer()))
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


@given(st.text())
def test_no_text_whatever_breaks_the_checker(step: str) -> None:
    assert step_labels("5 a+3?", [step, step]) in ([False, False], [True, False])
