r"""Whether an answer is right: strictly, and symbolically through math-verify.

Symbolic comparison may hang or crash, so it runs in a worker process that is killed when
it takes too long. The worker is this module run as a program, not a `multiprocessing`
child: those import the parent's main script again, which Snakemake scripts do not bear.
"""

from __future__ import annotations

import logging
import os
import pkgutil
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection, Pipe
from string import whitespace

from trim.errors import BackendError
from trim.problems.problem import Problem

START_LIMIT = 120.0  # seconds for the worker to import sympy, on a busy node or a slow disk
EDGES = whitespace + "$"

# Doubled backslashes are what models write that learned from escaped strings.
_TOKEN = re.compile(r"(?P<box>\\+boxed\s*\{)|\\.|(?P<open>\{)|(?P<close>\})", re.DOTALL)
_UNSEEN = re.compile(r"\\(?:left|right)(?![a-zA-Z])|\\!\s*")
_FRACTION = re.compile(r"\\[dt]frac(?![a-zA-Z])")
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_SPACE = re.compile(r"\s+(?![0-9])|(?<![0-9])\s+")  # but "1 2" is not 12
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_ALTERNATIVES = re.compile(r"[-+0-9.]+( or [-+0-9.]+)+")

Judge = Callable[[str | None, Problem], tuple[bool, bool]]
"""Strict verdict on an answer, and the one that counts."""


def extract_answer(text: str) -> str | None:
    r"""Return what the last complete \boxed{} of a text holds, or None."""
    if "\\boxed" not in text:
        return None
    opened: list[tuple[bool, int]] = []
    last, answer = -1, None
    for token in _TOKEN.finditer(text):
        if token["box"] or token["open"]:
            opened.append((bool(token["box"]), token.end()))
        elif token["close"] and opened:
            is_box, start = opened.pop()
            if is_box and start > last:
                last, answer = start, text[start : token.start()]
    return answer


def solution_answer(steps: Sequence[str]) -> str | None:
    """Return the boxed answer of a solution, or None. It may straddle the last two steps, all else is too early."""
    return extract_answer("".join(steps[-2:]))


def has_boxed_answer(text: str) -> bool:
    r"""Tell whether a text holds a complete \boxed{}."""
    return extract_answer(text) is not None


def normalise(answer: str) -> str:
    """Return an answer without what only the eye sees: spacing, dollars, a full stop, thousands commas."""
    text = answer.lstrip(EDGES).rstrip(EDGES + ".").replace("{,}", ",")
    text = _FRACTION.sub(r"\\frac", _UNSEEN.sub("", text))
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    return _SPACE.sub("", text)


def equivalent(answer: str, reference: str) -> bool:
    """Compare two answers with math-verify, without a time limit."""
    from math_verify import parse, verify

    found, expected = (parse(f"\\boxed{{{text}}}", parsing_timeout=None) for text in (answer, reference))
    return bool(verify(expected, found, timeout_seconds=None))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the two graders say.

    Attributes
    ----------
    strict
        The answer is the reference, up to typography.
    symbolic
        The answer is strictly right, the same number, or equal by math-verify.
    """

    strict: bool
    symbolic: bool


class Grader:
    """Grades answers; to be closed, or used as a context manager. One thread only.

    A comparison that hangs or crashes is a wrong answer, and is counted.

    Parameters
    ----------
    timeout
        Seconds that one symbolic comparison may take.
    compare
        "module:function" of the symbolic comparison, imported by the worker.

    Attributes
    ----------
    timeouts, crashes
        Symbolic comparisons that took too long, or killed the worker.
    """

    def __init__(self, timeout: float = 5.0, compare: str = "trim.problems.grading:equivalent") -> None:
        self.timeouts = 0
        self.crashes = 0
        self._timeout = timeout
        self._compare = compare
        self._worker: _Worker | None = None
        self._verdicts: dict[tuple[str, str], Verdict] = {}

    def __enter__(self) -> Grader:
        """Return itself; the worker starts when it is needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker."""
        self.close()

    def close(self) -> None:
        """End the worker, if there is one; it starts again when it is needed."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def grade(self, answer: str | None, reference: str) -> Verdict:
        """Compare an answer with the reference; None is wrong.

        A reference of several numbers, as in "80 or 81", accepts each of them.

        Raises
        ------
        BackendError
            When the worker cannot be started.
        """
        if answer is None:
            return Verdict(strict=False, symbolic=False)
        key = answer, reference
        if key not in self._verdicts:
            accepted = reference.split(" or ") if _ALTERNATIVES.fullmatch(reference) else [reference]
            verdicts = [self._judge(answer, one) for one in accepted]
            self._verdicts[key] = Verdict(any(v.strict for v in verdicts), any(v.symbolic for v in verdicts))
        return self._verdicts[key]

    def _judge(self, answer: str, reference: str) -> Verdict:
        found, expected = normalise(answer), normalise(reference)
        if found == expected:
            return Verdict(strict=True, symbolic=True)
        if not found:
            return Verdict(strict=False, symbolic=False)
        if _NUMBER.fullmatch(found) and _NUMBER.fullmatch(expected):
            return Verdict(strict=False, symbolic=Decimal(found) == Decimal(expected))
        return Verdict(strict=False, symbolic=self._ask(answer, reference))

    def _ask(self, answer: str, reference: str) -> bool:
        if self._worker is not None and not self._worker.is_alive():  # killed from outside, between two questions
            self.close()
        if self._worker is None:
            self._worker = _Worker(self._compare, self._timeout)
        try:
            return self._worker.ask(answer, reference)
        except TimeoutError:
            self.timeouts += 1
        except (EOFError, OSError):
            self.crashes += 1
        except BaseException:  # an interrupt: its late answer must not be taken for the next question's
            self.close()
            raise
        self.close()
        return False


def judge(grader: Grader, *, exact: bool) -> Judge:
    """Return the function that gives the strict verdict on an answer, and the one that counts.

    Parameters
    ----------
    exact
        Whether an answer must be the reference itself (arithmetic, where "91+7" is no answer);
        else the symbolic verdict counts.
    """

    def verdict(answer: str | None, problem: Problem) -> tuple[bool, bool]:
        if exact:
            return (answer == problem.answer,) * 2
        graded = grader.grade(answer, problem.answer)
        return graded.strict, graded.symbolic

    return verdict


class _Worker:
    """A process that compares answers, one after another."""

    def __init__(self, compare: str, timeout: float) -> None:
        self._timeout = timeout
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), compare, str(timeout)]
        with theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        try:
            self._receive(START_LIMIT)
        except (EOFError, OSError) as error:
            self.kill()
            raise BackendError(
                f"the grading worker ({compare}) did not start; its own message is above. Is math-verify installed?"
            ) from error

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, answer: str, reference: str) -> bool:
        self._pipe.send((answer, reference))
        return self._receive(self._timeout)

    def kill(self) -> None:
        self._pipe.close()
        self.process.kill()
        self.process.wait()

    def _receive(self, limit: float) -> bool:
        if not self._pipe.poll(limit):
            raise TimeoutError
        return bool(self._pipe.recv())


def _serve(pipe: Connection, compare: Callable[[str, str], bool], timeout: float) -> None:
    import math_verify  # noqa: F401 - before the first question, whose time is limited

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that nobody limits its time; we do
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with suppress(EOFError, ConnectionError):  # the parent has gone
        pipe.send(True)
        while True:
            question = pipe.recv()
            # Should the parent die during a comparison that hangs, the alarm ends this process.
            signal.setitimer(signal.ITIMER_REAL, 2 * timeout + 1)
            verdict = compare(*question)
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send(verdict)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])), pkgutil.resolve_name(sys.argv[2]), float(sys.argv[3]))
