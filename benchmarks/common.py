"""The frame of all comparisons: our way and the straightforward one, in one run, as a ratio with its spread."""

from __future__ import annotations

import argparse
import csv
import gc
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import TypeVar

Measured = TypeVar("Measured")

COLUMNS = [
    *("benchmark", "what", "unit", "ours", "straightforward", "ratio", "ratio_lo", "ratio_hi", "repetitions"),
    *("aim", "met", "how"),
]


@dataclass(frozen=True, slots=True)
class Options:
    """What a run of the comparisons is asked for.

    Attributes
    ----------
    quick
        Whether everything is small: to see that it runs, not to quote it.
    results
        Folder of a finished experiment, whose models, trees and routers are used; a simulated pair where it has none.
    dataset
        Which of its datasets.
    repetitions
        How often both ways are measured.
    share
        Of what a whole run measures: less of it on a machine that is busy. Rows say how much it was.
    most_problems, most_entries
        Problems of the largest evaluation, and steps of the largest store.
    """

    quick: bool = False
    results: Path = Path("results/embedded")
    dataset: str = "arith"
    repetitions: int = 3
    share: float = 1.0
    most_problems: int = 100_000
    most_entries: int = 10_000_000

    def size(self, whole: int, quick: int) -> int:
        """Return how many of something a run takes."""
        return quick if self.quick else max(quick, round(whole * self.share))


@dataclass(frozen=True, slots=True)
class Row:
    """A quantity that was measured both ways.

    Attributes
    ----------
    ours, straightforward
        One value a repetition, measured in turn; without the latter, ours stands alone.
    least
        What the ratio is to be at least.
    most
        What our own value is to be at most, where that is the aim.
    more
        Whether more of it is better; else less is.
    how
        On which models, and what was extrapolated.
    """

    benchmark: str
    what: str
    unit: str
    ours: Sequence[float]
    straightforward: Sequence[float] = ()
    least: float | None = None
    most: float | None = None
    more: bool = False
    how: str = ""

    @property
    def ratios(self) -> list[float]:
        """How many times better our way is, by repetition."""
        pairs = zip(self.ours, self.straightforward, strict=True) if self.straightforward else ()
        return [ours / other if self.more else other / ours for ours, other in pairs]

    @property
    def aim(self) -> str:
        """The aim in words, if there is one."""
        if self.least is not None:
            return f"ratio >= {self.least:g}"
        return "" if self.most is None else f"<= {self.most:g} {self.unit}"

    @property
    def met(self) -> str:
        """Whether every repetition meets the aim, none, or some."""
        if self.least is not None:
            kept = [ratio >= self.least for ratio in self.ratios]
        elif self.most is not None:
            kept = [value <= self.most for value in self.ours]
        else:
            return ""
        return "yes" if all(kept) else "in part" if any(kept) else "no"

    def cells(self) -> dict[str, object]:
        """Lay the row out; of several repetitions, the median and the range of the ratio."""
        ratios, other = self.ratios, self.straightforward
        values = median(self.ours), median(other) if other else None
        spread = (median(ratios), min(ratios), max(ratios)) if ratios else (None, None, None)
        numbers = ["" if number is None else f"{number:.4g}" for number in (*values, *spread)]
        own = [self.benchmark, self.what, self.unit, *numbers, len(self.ours), self.aim, self.met, self.how]
        return dict(zip(COLUMNS, own, strict=True))


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write rows as a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(row.cells() for row in rows)


def cpu_seconds(work: Callable[[], Measured]) -> tuple[Measured, float]:
    """Do some work, and return what came of it and the CPU seconds of this process, all threads together."""
    gc.collect()
    started = time.process_time()
    done = work()
    return done, time.process_time() - started


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all comparisons share."""
    usual = Options()
    parser.add_argument("--quick", action="store_true", help="everything small: to see that it runs, not to quote it")
    parser.add_argument("--results", type=Path, default=usual.results, help="a finished experiment")
    parser.add_argument("--dataset", default=usual.dataset, help="one of its datasets")
    parser.add_argument("--repetitions", type=int, default=usual.repetitions)
    parser.add_argument("--share", type=float, default=usual.share, help="of what a whole run measures")
    parser.add_argument("--most_problems", type=int, default=usual.most_problems, help="of the largest evaluation")
    parser.add_argument("--most_entries", type=int, default=usual.most_entries, help="steps of the largest store")


def as_options(asked: argparse.Namespace) -> Options:
    """Return the options that were asked for."""
    return Options(**{field.name: getattr(asked, field.name) for field in fields(Options)})


def run_alone(measure: Callable[[Options], list[Row]], described: str) -> None:
    """Run one comparison from the command line, and print its rows."""
    parser = argparse.ArgumentParser(description=described.splitlines()[0])
    add_options(parser)
    print_rows(measure(as_options(parser.parse_args())))


def print_rows(rows: Iterable[Row]) -> None:
    """Print rows, a cell a line."""
    for row in rows:
        print("\n".join(f"{name:16}{value}" for name, value in row.cells().items() if value != ""), end="\n\n")


def most_memory() -> float:
    """GB that this process took at most: on Linux not by `getrusage`, which counts what its parent took before."""
    status = Path("/proc/self/status")
    if status.is_file():
        told = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(told["VmHWM"].split()[0]) * 1024 / 1e9
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e9 if sys.platform == "darwin" else most * 1024 / 1e9
