r"""How often right answers are refused and wrong ones accepted, on whole benchmark files, and what grading costs.

    python benchmarks/grading.py [--data FOLDER ...] [--rows] [--write]

Every reference answer of every file is graded in a box as it stands, in the renditions that models write, and against
answers that are wrong by construction. The files are looked for in $TRIM_TEST_DATA and in tests/data/grading, which
holds references of our own in the layouts of the datasets that are not at hand. `--write` puts the table into
docs/grading.md, `--rows` names every row that is not graded as it should be.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from renditions import RIGHT, WRONG

from trim.config.datasets import FileDataset
from trim.problems.adapters import load_dataset
from trim.problems.answers.boxes import extract_answer
from trim.problems.grading import Grader, text_only
from trim.problems.problem import Problem

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "grading.md"
BEGIN, END = "<!-- table: benchmarks/grading.py --write -->", "<!-- end of table -->"
LAYOUTS = {"gsm8k": "gsm8k", "aime": "aime", "olympiadbench": "olympiadbench"}  # else math


@dataclass
class Count:
    """What one dataset's references gave."""

    references: int = 0
    text_only: int = 0
    lost: list[str] = field(default_factory=list)
    right: int = 0
    refused: list[str] = field(default_factory=list)
    wrong: int = 0
    accepted: list[str] = field(default_factory=list)
    seconds: float = 0.0


def measure(problems: list[Problem], grader: Grader) -> Count:
    """Grade every rendition of every reference."""
    count, unread = Count(), text_only(problem.answer for problem in problems)
    for reference in dict.fromkeys(problem.answer for problem in problems):
        same = sum(problem.answer == reference for problem in problems)
        count.references += same
        count.text_only += same * (reference in unread)
        right = {rendition(reference): rendition.__name__.strip("_") for rendition in RIGHT}
        wrong = {
            answer: kind.__name__.strip("_") for kind in WRONG for answer in kind(reference) if answer not in right
        }
        started = time.perf_counter()
        if not accepts(grader, reference, reference):
            count.lost.append(reference)
        for answer, how in right.items():
            if answer is not None:
                count.right += 1
                if not accepts(grader, answer, reference):
                    count.refused.append(f"{how}: {answer} | {reference}")
        for answer, how in wrong.items():
            count.wrong += 1
            if accepts(grader, answer, reference):
                count.accepted.append(f"{how}: {answer} | {reference}")
        count.seconds += time.perf_counter() - started
    return count


def accepts(grader: Grader, answer: str, reference: str) -> bool:
    """Tell whether an answer counts, in the box in which a model writes it."""
    return grader.grade(extract_answer(f"So the answer is $\\boxed{{{answer}}}$."), reference).symbolic


def find_files(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the benchmark files there are, each with its layout."""
    for folder in folders:
        for path in sorted(folder.rglob("*.jsonl")):
            known = path.stem if folder.name == "grading" else path.parent.name
            yield LAYOUTS.get(known.split("-")[0], "math"), path


def table(counts: dict[str, Count]) -> list[str]:
    """Lay the counts out in Markdown."""
    rows = [
        "| references of | references | as text only | refused in a box | right renditions | refused | wrong answers "
        "| accepted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, c in counts.items():
        rows.append(
            f"| {name} | {c.references} | {c.text_only} | {len(c.lost)} | {c.right} | {len(c.refused)} "
            f"({len(c.refused) / max(c.right, 1):.2%}) | {c.wrong} | {len(c.accepted)} |"
        )
    return rows


def named_rows(counts: dict[str, Count]) -> list[str]:
    """Name the rows that are not graded as they should be."""
    return [
        f"- {name}, {what}: `{row}`"
        for name, c in counts.items()
        for what, rows in (
            ("refused in a box", c.lost),
            ("refused, but right", c.refused),
            ("accepted, but wrong", c.accepted),
        )
        for row in rows
    ]


def write(lines: list[str]) -> None:
    """Put lines between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END]) + after, encoding="utf-8")


def main() -> None:
    """Print the table, and the rows behind it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", help="folders with benchmark files")
    parser.add_argument("--rows", action="store_true", help="name the rows that are not graded as they should be")
    parser.add_argument("--write", action="store_true", help="put the table into docs/grading.md")
    options = parser.parse_args()
    at_hand = Path(os.environ.get("TRIM_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    counts: dict[str, Count] = {}
    with Grader() as grader:
        for layout, path in find_files(options.data or [at_hand, REPOSITORY / "tests" / "data" / "grading"]):
            spec = FileDataset.model_validate(
                {"source": "jsonl", "layout": layout, "path": str(path), "repeated": "drop"}
            )
            name = path.stem if path.parent.name == "grading" else f"{path.parent.name}/{path.stem}"
            counts[name] = measure(load_dataset("file", spec), grader)
        said = grader.summary()
    lines = table(counts)
    print("\n".join(lines))
    kinds = Counter(row.split(":")[0] for c in counts.values() for row in c.refused + c.accepted)
    seconds, answers = sum(c.seconds for c in counts.values()), sum(c.right + c.wrong for c in counts.values())
    print(f"{said}; {1000 * seconds / answers:.2f} ms an answer; {dict(kinds)}")
    if options.rows:
        print("\n".join(named_rows(counts)))
    if options.write:
        write([*lines, "", *named_rows(counts)])


if __name__ == "__main__":
    main()
