"""Extraction and grading of answers."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from trim.errors import BackendError
from trim.problems import grading
from trim.problems.answers.boxes import extract_answer, has_boxed_answer
from trim.problems.grading import Grader, Verdict, normalise, text_only

WRONG = Verdict(strict=False, symbolic=False)
SYMBOLIC = Verdict(strict=False, symbolic=True)
RIGHT = Verdict(strict=True, symbolic=True)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{24}", "24"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{1} and then \boxed{2", "1"),
        (r"\boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed {7}", "7"),
        (r"\boxed{}", None),
        (r"\boxed{\boxed{5}}", "5"),
        (r"{ a stray brace \boxed{3}", "3"),
        (r"a stray brace } \boxed{3}", "3"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{a \\}", r"a \\"),
        (r"twice escaped: \\boxed{8}", "8"),
        (r"\boxed{", None),
        (r"\boxed{\frac{1}{2}", None),
        (r"\boxed 5", "5"),
        (r"\boxed 12. Done", "12"),
        (r"$\boxed -3$", "-3"),
        (r"$\boxed x$", "x"),
        (r"\boxed\frac12", r"\frac12"),
        (r"put it in \boxed and go on", None),
        (r"\fbox{6}", "6"),
        (r"\boxed{x = \boxed{5}}", "x = 5"),
        (r"\boxed{x \boxed{5}", "5"),
        (r"$\boxed{7}$ and $\boxed{-7}$", "7, -7"),
        (r"\boxed{7}, \boxed{8}, or \boxed{9}", "7, 8, 9"),
        (r"\boxed{7}\text{ and }\boxed{7}", "7"),
        (r"\boxed{7}. Or rather: \boxed{8}", "8"),
        (r"\boxed{1}, no: \boxed{2} and \boxed{3}", "2, 3"),
        (r"\boxed{4} \boxed{5}", "5"),
        (r"\boxed{ }", None),
        (r"\boxed{\;}", None),
        (r"\boxed{...}", None),
        (r"\boxed{?}", None),
        (r"\boxed{\text{}}", None),
        (r"\boxed{7} goes into \boxed{}", "7"),
        ("boxed{5}", None),
        ("24", None),
        ("", None),
    ],
)
def test_extracts_the_last_complete_box(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer
    assert has_boxed_answer(text) == (answer is not None)


def test_many_open_boxes_take_linear_time() -> None:
    started = time.perf_counter()
    assert extract_answer("\\boxed{" * 50_000) is None
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (" 24. ", "24"),
        ("$24$", "24"),
        ("$24$.", "24"),
        ("$24.$", "24"),
        (r"\left( 3, \dfrac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        (r"\tfrac12", r"\frac12"),
        ("1,450,000", "1450000"),
        (r"11,\! 111,\! 100", "11111100"),
        ("10{,}080.5", "10080.5"),
        ("x + 1", "x+1"),
    ],
)
def test_typography_does_not_matter(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("3, 500", "3500"), ("(1,234)", "(1234)"), ("1 2", "12"), (".5", "5"), (r"\rightarrow", "arrow"), ("080", "80")],
)
def test_what_means_something_else_stays_apart(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_plain_numbers_are_graded_without_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "_Worker", None)
    with Grader() as grader:
        assert grader.grade("24", "24") == RIGHT
        assert grader.grade("25", "24") == WRONG
        assert grader.grade("024", "24") == SYMBOLIC
        assert grader.grade("1.50", "1.5") == SYMBOLIC
        assert grader.grade("1,450", "1450") == RIGHT
        assert grader.grade("-3", "3") == WRONG
        assert grader.grade(None, "24") == WRONG
        assert grader.grade("", "24") == WRONG
        assert grader.grade("9" * 9000, "24") == WRONG  # more digits than int() reads


def test_a_reference_of_several_numbers_accepts_each() -> None:
    with Grader() as grader:
        verdicts = [grader.grade(answer, "80 or 81") for answer in ("80", "81", "80 or 81", "081", "82", "80, 82")]
    assert verdicts == [RIGHT, RIGHT, RIGHT, SYMBOLIC, WRONG, WRONG]


@pytest.mark.parametrize(
    ("answer", "reference", "tolerance", "right"),
    [
        ("6.3", "6.4", "1e-1", True),
        ("6.31", "6.4", "", False),
        ("6.29", "6.4", "1e-1", False),
        (r"6.45\%", "6.4", "1e-1", True),
        (r"\sqrt{41}", "6.4", "1e-1", True),
        ("3.02, 5", "3, 5", "1e-1", True),
        ("3.02, 5.02", "3, 5", "1e-1,1e-2", False),
        ("5, 3.02", "3, 5", "1e-1,1e-2", True),
        (r"4.2\times10^7", "4.25e7", "1e6", True),
        ("x", "6.4", "1e-1", False),
    ],
)
def test_a_dataset_may_allow_a_tolerance(answer: str, reference: str, tolerance: str, right: bool) -> None:
    with Grader() as grader:
        assert grader.grade(answer, reference, tolerance).symbolic == right


def test_what_math_verify_takes_for_the_same_is_not_believed_blindly() -> None:
    """Each of these it accepts: sizes below its rounding, capitals, sets for pairs, the digits of two bases."""
    with Grader(timeout=60) as grader:
        for answer, reference in [
            (r"\frac{1}{3^{60}}", r"\frac{1}{3^{59}}"),
            ("3r^2", "3R^2"),
            (r"\{2,5\}", "(2,5)"),
            ("213_4", "213_5"),
            (r"\int_0^1 r dx", r"\int_0^1 R dx"),
        ]:
            assert grader.grade(answer, reference) == WRONG, (answer, reference)


def test_hostile_answers_end_in_time() -> None:
    hostile = ["(" * 2000, "\\frac{" * 500, "9^{9^{9^9}}", "99999!" * 20, "1," * 1000, "\\pm" * 400, "x'" * 500]
    hostile += ["a" * 3000, "{" * 1500 + "}" * 1500, "\\text{" * 300, "|" * 999, "1e99999", "0." + "3" * 3000]
    for answer in hostile:
        for reference in ("5", r"\frac{x}{2}", "6, -6", "(2,5)"):
            started = time.process_time()
            assert not grading.equivalent(answer, reference)
            assert time.process_time() - started < 5, answer[:40]


def test_names_the_references_that_are_compared_as_text_only() -> None:
    references = ["7", r"\text{east}", r"\frac{1}{2}", "(1,2)", r"\int_0^1 x dx", r"\text{no solution}", "7", "2041_6"]
    assert text_only(references) == {r"\text{east}", r"\text{no solution}"}


def test_equal_by_math_verify() -> None:
    with Grader(timeout=60) as grader:
        assert grader.grade("0.5", r"\frac{1}{2}") == SYMBOLIC
        assert grader.grade("(x+1)^2", "x^2+2x+1") == SYMBOLIC
        assert grader.grade("-2,1", "1,-2") == SYMBOLIC
        assert grader.grade("Evelyn", r"\text{Evelyn}") == SYMBOLIC
        assert grader.grade(r"\text{odd}", r"\text{even}") == WRONG
        assert grader.grade(r"\frac{1}{3}", r"\frac{1}{2}") == WRONG
        assert grader.grade("no { maths ](", r"\frac{1}{2}") == WRONG
        assert grader.grade(r"\frac{5}{6} \begin{pmatrix} 1 \\ -2 \end{pmatrix}", "-4") == WRONG
        assert (grader.timeouts, grader.crashes) == (0, 0)


# --- a worker that misbehaves -----------------------------------------------------------


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a comparison that does what the answer says; right when it is "right"."""
    (tmp_path / "misbehaviour.py").write_text(
        textwrap.dedent("""
            import os, signal, time
            from pathlib import Path

            def compare(answer, reference):
                with (Path(__file__).parent / "asked.txt").open("a") as file:
                    file.write(answer + "\\n")
                if answer == "hang":
                    time.sleep(60)
                if answer == "leave": os._exit(1)
                if answer == "be killed": os.kill(os.getpid(), signal.SIGKILL)
                if answer == "raise": raise RuntimeError("a bug in a comparison")
                if answer == "chatter": os.write(1, b"noise on stdout")
                return answer in ("right", "chatter")
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "misbehaviour:compare"


def worker_pid(grader: Grader) -> int:
    assert grader._worker is not None
    return grader._worker.process.pid


def test_survives_a_comparison_that_hangs(misbehaving: str) -> None:
    with Grader(timeout=0.3, compare=misbehaving) as grader:
        assert grader.grade("right", "x") == SYMBOLIC
        hung = worker_pid(grader)
        assert grader.grade("hang", "x") == WRONG
        assert (grader.timeouts, grader.crashes) == (1, 0)
        with pytest.raises(ProcessLookupError):
            os.kill(hung, 0)
        assert grader.grade("right", "y") == SYMBOLIC
        assert grader.grade("wrong", "y") == WRONG
        assert worker_pid(grader) != hung


def test_survives_a_comparison_that_kills_the_worker(misbehaving: str) -> None:
    with Grader(timeout=30, compare=misbehaving) as grader:
        for count, answer in enumerate(["leave", "be killed", "raise"], start=1):
            assert grader.grade(answer, "x") == WRONG
            assert (grader.timeouts, grader.crashes) == (0, count)
        assert grader.grade("right", "x") == SYMBOLIC


def test_a_worker_killed_between_questions_costs_no_answer(misbehaving: str) -> None:
    with Grader(timeout=30, compare=misbehaving) as grader:
        assert grader.grade("wrong", "x") == WRONG
        assert grader._worker is not None
        os.kill(worker_pid(grader), signal.SIGKILL)
        grader._worker.process.wait()
        assert grader.grade("right", "x") == SYMBOLIC
        assert grader.crashes == 0


def test_one_worker_serves_all_and_nothing_is_asked_twice(misbehaving: str, tmp_path: Path) -> None:
    with Grader(timeout=30, compare=misbehaving) as grader:
        assert grader.grade("right", "x") == SYMBOLIC
        first = worker_pid(grader)
        assert grader.grade("chatter", "x") == SYMBOLIC
        assert grader.grade("right", "x") == SYMBOLIC
        assert worker_pid(grader) == first
    assert (tmp_path / "asked.txt").read_text().split() == ["right", "chatter"]
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_what_could_not_be_compared_is_reported(misbehaving: str, caplog: pytest.LogCaptureFixture) -> None:
    with Grader(timeout=30, compare=misbehaving) as grader:
        grader.grade("right", "x")
        grader.grade("leave", "x")
        assert grader.summary() == {"graded": 2, "timeouts": 0, "crashes": 1}
    assert "1 of 2 graded answers could not be compared (0 took too long, 1 crashed)" in caplog.text
    assert "('leave', 'x')" in caplog.text


def test_too_many_answers_that_could_not_be_compared_are_an_error(
    misbehaving: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "FEWEST_FAILED", 2)
    with (
        pytest.raises(BackendError, match="3 of 3 graded answers could not be compared.*more than 1%"),
        Grader(timeout=30, compare=misbehaving) as grader,
    ):
        for answer in ("leave", "be killed", "raise"):
            grader.grade(answer, "x")


def test_an_error_on_the_way_is_not_hidden_by_that_of_the_grader(
    misbehaving: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "FEWEST_FAILED", 0)
    with pytest.raises(KeyError, match="mine"), Grader(timeout=30, compare=misbehaving) as grader:
        grader.grade("leave", "x")
        raise KeyError("mine")


def test_an_interrupt_does_not_shift_the_answers(misbehaving: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(worker: object, limit: float) -> bool:
        raise KeyboardInterrupt

    with Grader(timeout=30, compare=misbehaving) as grader:
        assert grader.grade("wrong", "x") == WRONG
        with monkeypatch.context() as patch:
            patch.setattr(grading._Worker, "_receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                grader.grade("right", "x")
        assert grader.grade("wrong", "y") == WRONG
        assert grader.grade("right", "x") == SYMBOLIC


def test_a_worker_that_cannot_start_is_an_error_not_a_verdict() -> None:
    with (
        pytest.raises(BackendError, match="no_such_module:compare.*math-verify"),
        Grader(compare="no_such_module:compare") as g,
    ):
        g.grade("a", "b")


def test_works_in_a_script_without_main_guard_and_dies_with_it(misbehaving: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
            import os, threading
            from trim.problems.grading import Grader

            grader = Grader(timeout=1, compare={misbehaving!r})
            print(grader.grade("right", "x").symbolic, flush=True)
            grader._timeout = grader._worker._timeout = 100
            threading.Timer(0.3, os._exit, [9]).start()
            grader.grade("hang", "x")
        """)
    )
    # The worker shares the script's stderr, so run() returns only when it, too, has ended.
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert time.perf_counter() - started < 40
    assert (ended.returncode, ended.stdout) == (9, "True\n"), ended.stderr
