r"""Whether an answer is right: strictly, as it is written, and symbolically, by what it says.

Plain numbers are compared at once. Other comparisons may hang or crash, so they run in a worker process that is killed
when it takes too long. The worker is this module run as a program, not a `multiprocessing`
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
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from string import whitespace

from trim.errors import BackendError
from trim.problems.answers.algebra import is_mathematics, verified
from trim.problems.answers.comparison import LONGEST, same
from trim.problems.answers.kinds import Leaf
from trim.problems.answers.reading import read
from trim.problems.problem import Problem

START_LIMIT = 120.0  # seconds for the worker to import sympy, on a busy node or a slow disk
FAILED_SHARE, FEWEST_FAILED = 0.01, 10  # of the graded answers, and their number: beyond both, something is wrong
QUICK = 200  # letters of an answer that is read without a time limit
EDGES = whitespace + "$"

logger = logging.getLogger(__name__)

_UNSEEN = re.compile(r"\\(?:left|right)(?![a-zA-Z])|\\!\s*")
_FRACTION = re.compile(r"\\[dt]frac(?![a-zA-Z])")
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_ALTERNATIVES = re.compile(r"\d+( or \d+)+")
_SPACE = re.compile(r"\s+(?![0-9])|(?<![0-9])\s+")  # but "1 2" is not 12

Judge = Callable[[str | None, Problem], tuple[bool, bool]]
"""Strict verdict on an answer, and the one that counts."""


def normalise(answer: str) -> str:
    """Return an answer without what only the eye sees: spacing, dollars, a full stop, thousands commas."""
    text = answer.lstrip(EDGES).rstrip(EDGES + ".").replace("{,}", ",")
    text = _FRACTION.sub(r"\\frac", _UNSEEN.sub("", text))
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    return _SPACE.sub("", text)


def equivalent(answer: str, reference: str, tolerance: str = "") -> bool:
    """Compare two answers by what they say, without a time limit."""
    return same(answer, reference, tolerance, verified)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the two graders say.

    Attributes
    ----------
    strict
        The answer is the reference, up to typography.
    symbolic
        The answer is strictly right, or says the same: see `comparison`.
    """

    strict: bool
    symbolic: bool


class Grader:
    """Grades answers; to be closed, or used as a context manager. One thread only.

    A comparison that hangs or crashes is a wrong answer, and is counted; `close` reports the counts.

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
        self._verdicts: dict[tuple[str, str, str], Verdict] = {}
        self._failed: list[tuple[str, ...]] = []

    def __enter__(self) -> Grader:
        """Return itself; the worker starts when it is needed."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the worker, report what it could not compare, and raise if that was too much.

        Raises
        ------
        BackendError
            When more than `FAILED_SHARE` of the graded answers, and `FEWEST_FAILED`, could not be compared.
        """
        self.close()
        said = self.summary()
        failed = said["timeouts"] + said["crashes"]
        if failed:
            logger.warning(
                "%d of %d graded answers could not be compared (%d took too long, %d crashed) and count as wrong; "
                "the first of them: %s",
                *(failed, said["graded"], said["timeouts"], said["crashes"], self._failed[:3]),
            )
        if kind is None and failed > max(FEWEST_FAILED, FAILED_SHARE * said["graded"]):
            raise BackendError(
                f"{failed} of {said['graded']} graded answers could not be compared within {self._timeout:g} s, more "
                f"than {FAILED_SHARE:.0%}: their verdicts say nothing; see the log for the first of them, and run "
                "again on a less busy machine"
            )

    def close(self) -> None:
        """End the worker, if there is one; it starts again when it is needed."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def summary(self) -> dict[str, int]:
        """Count the distinct answers that were graded, and those that could not be compared: for a result's origin."""
        return {"graded": len(self._verdicts), "timeouts": self.timeouts, "crashes": self.crashes}

    def grade(self, answer: str | None, reference: str, tolerance: str = "") -> Verdict:
        """Compare an answer with the reference; None is wrong.

        A reference of several integers, as in "80 or 81", accepts each of them.

        Parameters
        ----------
        tolerance
            As of `Problem.tolerance`.

        Raises
        ------
        BackendError
            When the worker cannot be started.
        """
        if answer is None:
            return Verdict(strict=False, symbolic=False)
        key = answer, reference, tolerance
        if key not in self._verdicts:
            accepted = [*reference.split(" or "), reference] if _ALTERNATIVES.fullmatch(reference) else [reference]
            verdicts = [self._judge(answer, one, tolerance) for one in accepted]
            self._verdicts[key] = Verdict(any(v.strict for v in verdicts), any(v.symbolic for v in verdicts))
        return self._verdicts[key]

    def _judge(self, answer: str, reference: str, tolerance: str) -> Verdict:
        found, expected = normalise(answer), normalise(reference)
        if found == expected:
            return Verdict(strict=True, symbolic=True)
        if not found or max(len(answer), len(reference)) > LONGEST:
            return Verdict(strict=False, symbolic=False)
        question = (answer, reference, tolerance) if tolerance else (answer, reference)
        if _are_numbers(answer, reference):
            return Verdict(strict=False, symbolic=equivalent(*question))
        return Verdict(strict=False, symbolic=self.ask(*question))

    def ask(self, *question: str) -> bool:
        """Have the worker compare; what it cannot compare in time, or crashes on, is counted and said to differ."""
        if self._worker is not None and not self._worker.is_alive():  # killed from outside, between two questions
            self.close()
        if self._worker is None:
            self._worker = _Worker(self._compare, self._timeout)
        try:
            return self._worker.ask(*question)
        except TimeoutError:
            self.timeouts += 1
        except (EOFError, OSError):
            self.crashes += 1
        except BaseException:  # an interrupt: its late answer must not be taken for the next question's
            self.close()
            raise
        self.close()
        self._failed.append(tuple(text[:60] for text in question[:2]))
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
        graded = grader.grade(answer, problem.answer, problem.tolerance)
        return graded.strict, graded.symbolic

    return verdict


def text_only(references: Iterable[str]) -> set[str]:
    """Return the references that nobody here can read as mathematics: answers are compared with them as text only."""
    doubtful = [reference for reference in dict.fromkeys(references) if not _are_numbers(reference)]
    with Grader(compare=f"{is_mathematics.__module__}:{is_mathematics.__name__}") as grader:
        return {reference for reference in doubtful if not grader.ask(reference, "")}


def _are_numbers(*texts: str) -> bool:
    """Tell whether texts are short and numbers, in whatever way they are read: these can be compared at once."""
    if any(len(text) > QUICK for text in texts):
        return False
    values = [value for text in texts for value in read(text)]
    return all(isinstance(value, Leaf) and value.formula and value.formula.exact is not None for value in values)


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

    def ask(self, *question: str) -> bool:
        self._pipe.send(question)
        return self._receive(self._timeout)

    def kill(self) -> None:
        self._pipe.close()
        self.process.kill()
        self.process.wait()

    def _receive(self, limit: float) -> bool:
        if not self._pipe.poll(limit):
            raise TimeoutError
        return bool(self._pipe.recv())


def _serve(pipe: Connection, compare: Callable[..., bool], timeout: float) -> None:
    import math_verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that nobody limits its time; we do
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    math_verify.parse("\\boxed{x}", parsing_timeout=None)  # builds its parser, before a question whose time is limited
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
