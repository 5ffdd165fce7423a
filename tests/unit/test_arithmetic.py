"""The arithmetic problems, by hand-checked examples."""

import random
from itertools import islice
from statistics import mean, variance

import pytest

from trim.config.datasets import ArithmeticFamily
from trim.problems.answers.boxes import extract_answer, has_boxed_answer
from trim.problems.arithmetic import (
    Instruction,
    Program,
    draw_problems,
    draw_program,
    is_awkward,
    operation_at,
    parse_program,
    prefix_is_right,
    slipped,
    step_is_valid,
    step_labels,
)

TEXT = "97 a*3 b+7! c-74?"
STEPS = ["a:97*3=91\n\n", "now work out the next one b:91+7=98\n\n", "c:98-74=24\n\n", "\\boxed{24}"]


def programs(family: ArithmeticFamily, count: int) -> list[Program]:
    rng = random.Random(0)
    return [draw_program(family, rng) for _ in range(count)]


def test_the_example_of_the_module() -> None:
    program = parse_program(TEXT)
    assert program.steps() == STEPS
    assert program.answer() == "24"
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
        assert problem.answer == program.answer()
        assert problem.fingerprint == program.fingerprint()


def test_the_fingerprint_is_of_the_computation() -> None:
    one = Program(5, (Instruction("a", "+", 3, False), Instruction("b", "*", 4, False)))
    relabelled = Program(5, (Instruction("q", "+", 3, True), Instruction("r", "*", 4, False)))
    swapped = Program(5, (Instruction("a", "*", 4, False), Instruction("b", "+", 3, False)))
    assert one.fingerprint() == relabelled.fingerprint()
    assert one.fingerprint() != swapped.fingerprint()


# --- all results asked for ----------------------------------------------------------------


def test_an_answer_of_all_results() -> None:
    text = f"{TEXT}?"
    program, steps = parse_program(text), [*STEPS[:3], "\\boxed{a91b98c24}"]
    assert (program.asks_for, program.answer(), program.steps()) == ("all", "a91b98c24", steps)
    assert program.render("words") == "From 97: a times 3, b add 7!, c take 74??"
    assert step_labels(text, steps) == [True] * 4
    assert extract_answer("".join(steps)) == program.answer()
    assert program.fingerprint() == parse_program(TEXT).fingerprint()
    for box in ("\\boxed{24}", "\\boxed{a91b98}", "\\boxed{a81b98c24}", "\\boxed{a91,b98,c24}"):
        assert not step_is_valid(text, STEPS[:3], box)
    assert not step_is_valid(text, ["garbage\n\n", *STEPS[1:3]], steps[3])


def test_two_errors_cancel_in_the_last_result_and_not_in_all() -> None:
    lucky = ["a:5+3=18\n\n", "b:18+4=12\n\n"]
    for text, box in (("5 a+3 b+4?", "\\boxed{12}"), ("5 a+3 b+4??", "\\boxed{a18b12}")):
        assert step_labels(text, [*lucky, box]) == [False, False, True]
        assert (extract_answer(box) == parse_program(text).answer()) == (not text.endswith("??"))


# --- repairs ------------------------------------------------------------------------------

WRONG = "a:97*3=81\n\n"


@pytest.mark.parametrize(
    ("prefix", "step", "valid"),
    [
        ([WRONG], "91! now work out the next one b:91+7=98\n\n", True),
        ([WRONG], "91! b:91+7=98\n\n", True),
        ([WRONG], "91! b:81+7=88\n\n", False),  # put right, and not used
        ([WRONG], "81! b:81+7=88\n\n", False),  # restated as it is wrong
        ([WRONG], "71! b:71+7=78\n\n", False),  # restated wrongly
        (STEPS[:1], "91! b:91+7=98\n\n", True),  # nothing to repair: right all the same
        (STEPS[:1], "81! b:81+7=88\n\n", False),
        (["a:96*3=88\n\n"], "91! b:91+7=98\n\n", True),  # a value that was misread
        (["garbage\n\n"], "91! b:91+7=98\n\n", True),
        ([], "97! a:97*3=91\n\n", False),  # no step before
        ([WRONG, "b:81+7=88\n\n"], "98! c:98-74=24\n\n", False),  # one step late: 81 + 7 is 88
        ([WRONG, "b:81+7=98\n\n"], "88! c:88-74=14\n\n", True),
        ([WRONG, "91! b:91+7=88\n\n"], "98! c:98-74=24\n\n", True),
        ([*STEPS[:2], "c:98-74=34\n\n"], "24! \\boxed{24}", True),
        ([*STEPS[:2], "c:98-74=34\n\n"], "24! \\boxed{34}", False),
    ],
)
def test_a_step_may_restate_the_last_result(prefix: list[str], step: str, valid: bool) -> None:
    assert step_is_valid(TEXT, prefix, step) is valid


def test_a_prefix_is_right_again_once_its_error_is_repaired() -> None:
    repaired = [WRONG, "91! b:91+7=98\n\n", "c:98-74=24\n\n", "\\boxed{24}"]
    assert step_labels(TEXT, repaired) == [False, True, True, True]
    assert [prefix_is_right(TEXT, repaired[:i]) for i in range(5)] == [True, False, True, True, True]
    carried_on = [WRONG, "b:81+7=88\n\n", "88! c:88-74=14\n\n"]
    assert [prefix_is_right(TEXT, carried_on[:i]) for i in range(4)] == [True, False, False, False]
    twice = [WRONG, "91! b:91+7=88\n\n", "98! c:98-74=24\n\n"]
    assert [prefix_is_right(TEXT, twice[:i]) for i in range(4)] == [True, False, False, True]
    wrongly = [WRONG, "71! b:71+7=78\n\n", "78! c:78-74=4\n\n"]
    assert [prefix_is_right(TEXT, wrongly[:i]) for i in range(4)] == [True, False, False, False]
    listed = [*repaired[:3], "\\boxed{a91b98c24}"]
    assert step_labels(f"{TEXT}?", listed) == [False, True, True, True]


def test_slips_are_repaired_by_the_step_after_them() -> None:
    rng, slips = random.Random(0), []
    for program in programs(ArithmeticFamily(answer="all"), 300):
        pieces = slipped(program, 0.3, rng)
        *steps, last = "".join(text for text, _ in pieces).split("\n\n")
        solution = [*(f"{step}\n\n" for step in steps), last]
        wrong = [not right for text, right in pieces if text.isdigit()]
        assert step_labels(program.render("symbols"), solution) == [*(not slip for slip in wrong), True]
        assert prefix_is_right(program.render("symbols"), solution)
        assert extract_answer(last) == program.answer()
        slips += wrong
    assert sum(slips) / len(slips) == pytest.approx(0.3, abs=0.05)


# --- a trait of problems that their operations do not show ---------------------------------


def awkward(program: Program) -> float:
    values = [program.start, *program.results()]
    found = [is_awkward(value, i.sign, i.operand) for value, i in zip(values, program.instructions, strict=False)]
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("value", "sign", "operand", "expected"),
    [(37, "+", 2, False), (37, "+", 53, True), (37, "-", 7, False), (37, "-", 8, True)]
    + [(37, "*", 6, False), (30, "*", 7, True)],
)
def test_what_is_awkward(value: int, sign: str, operand: int, expected: bool) -> None:
    assert is_awkward(value, sign, operand) is expected


def test_awkward_operands_vary_by_problem_and_operations_do_not() -> None:
    plain, tilted = (
        [draw_program(ArithmeticFamily(min_steps=8, p_awkward=p), random.Random(seed)) for seed in range(600)]
        for p in (None, 0.5)
    )
    for one, other in zip(plain, tilted, strict=True):
        assert [i.operation for i in one.instructions] == [i.operation for i in other.instructions]
    assert variance(map(awkward, tilted)) > 2 * variance(map(awkward, plain))


@pytest.mark.parametrize(("p_awkward", "least", "most"), [(0.0, 0, 0.1), (0.5, 0.4, 0.6), (1.0, 0.6, 0.8)])
def test_the_share_of_awkward_operands(p_awkward: float, least: float, most: float) -> None:
    assert least <= mean(map(awkward, programs(ArithmeticFamily(p_awkward=p_awkward), 400))) <= most
