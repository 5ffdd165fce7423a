r"""Right and wrong answers, by the kind of what they say."""

from collections.abc import Iterator

import pytest
from grading_kinds import EXPRESSIONS, INTERVALS, ODD, SEVERAL, TINY, VECTORS
from grading_numbers import BASES, E_NOTATION, NUMBERS, PERCENT, THOUSANDS, TYPOGRAPHY, UNICODE, UNITS

from trim.problems.answers.boxes import extract_answer
from trim.problems.grading import Grader

TABLES = {
    "numbers": NUMBERS,
    "e-notation": E_NOTATION,
    "thousands": THOUSANDS,
    "percent": PERCENT,
    "unicode": UNICODE,
    "units": UNITS,
    "typography": TYPOGRAPHY,
    "bases": BASES,
    "several": SEVERAL,
    "intervals": INTERVALS,
    "vectors": VECTORS,
    "odd": ODD,
    "expressions": EXPRESSIONS,
    "tiny": TINY,
}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(timeout=30) as grader:
        yield grader
        assert (grader.timeouts, grader.crashes) == (0, 0)


def is_right(grader: Grader, answer: str, reference: str) -> bool:
    return grader.grade(extract_answer(f"The answer is $\\boxed{{{answer}}}$."), reference).symbolic


@pytest.mark.parametrize("kind", TABLES)
def test_right_answers_count(kind: str, grader: Grader) -> None:
    rows = [(reference, answer) for reference, right, _ in TABLES[kind] for answer in [reference, *right]]
    assert [row for row in rows if not is_right(grader, row[1], row[0])] == []


@pytest.mark.parametrize("kind", TABLES)
def test_wrong_answers_do_not_count(kind: str, grader: Grader) -> None:
    rows = [(reference, answer) for reference, _, wrong in TABLES[kind] for answer in wrong]
    assert [row for row in rows if is_right(grader, row[1], row[0])] == []


def test_there_are_pairs_enough() -> None:
    assert sum(len(right) + len(wrong) for rows in TABLES.values() for _, right, wrong in rows) >= 300
