"""The arithmetic problems, by hand-checked examples."""

import random
from itertools import islice

import pytest

from trim.config.experiment import ArithmeticFamily
from trim.problems.arithmetic import (
    Instruction,
    Program,
    draw_problems,
    draw_program,
    operation_at,
    parse_program,
    step_is_valid,
    step_labels,
)
from trim.problems.grading import extract_answer, has_boxed_answer

TEXT = "97 a*3 b+7! c-74?"
STEPS = ["a:97*3=91\n\n", "now work out the next one b:91+7=98\n\n", "c:98-74=24\n\n", "\\boxed{24}"]


def programs(family: ArithmeticFamily, count: int) -> list[Program]:
    rng = random.Random(0)
    return [draw_program(family, rng) for _ in range(count)]


def test_the_example_of_the_module() -> None:
    program = parse_program(TEXT)
    assert program.steps() == STEPS
    assert program.answer() == 24
    assert program.render("symbols") == TEXT
    assert program.render("words") == "From 97: a times 3, b add 7!, c take 74?"
    assert step_labels(TEXT, STEPS) == [True] * 4
    assert [operation_at(TEXT, i) for i in range(4)] == ["*d", "+d", "-dd", "answer"]
    assert [has_boxed_answer(step) for step in STEPS] == [False, False, False, True]
    assert extract_answer("".join(STEPS)) == "24"


def test_an_error_carries_on_and_steps_after_it_are_judged_by_what_was_written() -> None:
    wrong = ["a:97*3=81\n\n", "now work out the next one b:81+7=88\n\n", "c:88-74=14\n\n", "\\boxed{14}"]
    assert step_labels(TEXT, wrong) == [False, True, True, True]
    recovered = [wrong[0], *STEPS[1:]]
    assert step_labels(TEXT, recovered) == [False, False, True, True]


def test_subtraction_wraps_around() -> None:
    assert step_labels("3 k-5?", ["k:3-5=98\n\n", "\\boxed{98}"]) == [True, True]


@pytest.mark.parametrize(
    "step",
    [
        "a:97*3=291\n\n",  # not modulo 100
        "b:97*3=91\n\n",  # another label
        "a:97+3=0\n\n",  # another sign
        "a:97*4=88\n\n",  # another operand
        "a:96*3=88\n\n",  # another value to start from
        "a:96*3=91\n\n",  # the right result, from a value misread
        "a:97*3=91",  # cut off
        "a:97*3=91\n\n\n\n",
        "",
        "\\boxed{91}",  # too early
    ],
)
def test_what_is_no_valid_first_step(step: str) -> None:
    assert not step_is_valid(TEXT, [], step)


@pytest.mark.parametrize(
    ("prefix", "step", "valid"),
    [
        ([], "now work out the next one a:97*3=91\n\n", True),  # spelled out without being asked
        (STEPS[:1], "b:91+7=98\n\n", True),  # not spelled out though asked: right all the same
        (["garbage\n\n"], STEPS[1], False),  # no written value to go on from
        (STEPS[:3], "\\boxed{24}", True),
        (STEPS[:3], "\\boxed{24}\n\n", True),
        (STEPS[:3], "\\boxed{25}", False),
        (STEPS[:3], "\\boxed{24", False),
        (STEPS[:3], STEPS[2], False),  # one step too many
        (STEPS, "\\boxed{24}", False),  # after the end
    ],
)
def test_later_steps(prefix: list[str], step: str, valid: bool) -> None:
    assert step_is_valid(TEXT, prefix, step) is valid


@pytest.mark.parametrize("text", ["", "What is 2 plus 2?", "97", "a*3 b+7"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an arithmetic problem"):
        parse_program(text)


def test_families_draw_what_they_say() -> None:
    drawn = programs(ArithmeticFamily(min_steps=5, max_steps=8), 2000)
    assert {len(p.instructions) for p in drawn} == {5, 6, 7, 8}
    instructions = [i for p in drawn for i in p.instructions]
    others = [i for i in instructions if i.sign != "*"]
    assert sum(i.sign == "*" for i in instructions) / len(instructions) == pytest.approx(0.3, abs=0.02)
    assert sum(i.sign == "-" for i in others) / len(others) == pytest.approx(0.36, abs=0.02)
    assert sum(i.operand > 9 for i in others) / len(others) == pytest.approx(0.4 * 0.87, abs=0.05)  # hard ones multiply
    assert sum(i.spelled_out for i in instructions) / len(instructions) == pytest.approx(0.2, abs=0.02)
    assert all(0 < i.operand < 100 for i in instructions)


def test_problems_differ_in_difficulty() -> None:
    shares = [sum(i.sign == "*" for i in p.instructions) / 8 for p in programs(ArithmeticFamily(min_steps=8), 500)]
    assert min(shares) == 0
    assert max(shares) > 0.7


@pytest.mark.parametrize(
    ("changes", "operations"),
    [
        ({"p_multiply": 0, "p_subtract": 0, "p_two_digits": 0}, {"+d"}),
        ({"p_multiply": 0, "p_subtract": 1, "p_two_digits": 0}, {"-d"}),
        ({"p_subtract": 0, "p_two_digits": 0}, {"+d", "*d"}),
    ],
)
def test_the_dials_at_their_ends(changes: dict[str, float], operations: set[str]) -> None:
    drawn = programs(ArithmeticFamily.model_validate(changes), 100)
    assert {i.operation for p in drawn for i in p.instructions} == operations


def test_labels_never_run_past_z() -> None:
    longest = programs(ArithmeticFamily(min_steps=24, max_steps=24), 200)
    for program in longest:
        labels = [i.label for i in program.instructions]
        assert labels == [chr(ord(labels[0]) + i) for i in range(24)]
        assert labels[-1] <= "z"


def test_drawn_problems_hold_text_answer_and_fingerprint() -> None:
    family = ArithmeticFamily(wording="words")
    for index, problem in enumerate(islice(draw_problems("arith-words", family, random.Random(3)), 20)):
        program = parse_program(problem.text)
        assert (problem.id, problem.dataset) == (f"arith-words-{index}", "arith-words")
        assert problem.text == program.render("words")
        assert problem.answer == str(program.answer())
        assert problem.fingerprint == program.fingerprint()


def test_the_fingerprint_is_of_the_computation() -> None:
    one = Program(5, (Instruction("a", "+", 3, False), Instruction("b", "*", 4, False)))
    relabelled = Program(5, (Instruction("q", "+", 3, True), Instruction("r", "*", 4, False)))
    swapped = Program(5, (Instruction("a", "*", 4, False), Instruction("b", "+", 3, False)))
    assert one.fingerprint() == relabelled.fingerprint()
    assert one.fingerprint() != swapped.fingerprint()
