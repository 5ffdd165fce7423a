"""Run all comparisons in a fixed order, and lay them out as a table.

    python -m benchmarks [--quick] [--only sweep engine] [--results results/embedded] [--write]

Each writes `results/benchmarks/NAME.csv`. With `--write`, what all of them say goes into docs/measured/performance.csv,
as a table into docs/performance.md, and in short into README.md.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.common import COLUMNS, add_options, as_options, print_rows, write_rows

ROOT = Path(__file__).parents[1]
PAGE, TABLE = ROOT / "docs" / "performance.md", ROOT / "docs" / "measured" / "performance.csv"
README = ROOT / "README.md"
BEGIN, END = "<!-- table: python -m benchmarks --write -->", "<!-- end of table -->"

COMPARISONS = ("sweep", "engine", "serving", "training", "decisions", "planning", "growth", "stages")
COUNTED = ("store_embedded", "store_real")
"""What `python -m benchmarks.sweep --store` counts, where it is told to write it to results/benchmarks."""

Cells = dict[str, str]


def read_rows(folder: Path) -> list[Cells]:
    """Read what every comparison wrote, in order."""
    rows: list[Cells] = []
    for name in (*COMPARISONS[:1], *COUNTED, *COMPARISONS[1:]):
        if (path := folder / f"{name}.csv").is_file():
            with path.open(encoding="utf-8", newline="") as file:
                rows += csv.DictReader(file)
    return rows


def number(text: str) -> str:
    """Write a number as people read it."""
    if not text:
        return "-"
    value = float(text)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(row: Cells) -> str:
    """Write a ratio with its range; several repetitions have one."""
    if not row["ratio"]:
        return "-"
    spread = "" if row["repetitions"] == "1" else f" ({number(row['ratio_lo'])} to {number(row['ratio_hi'])})"
    return number(row["ratio"]) + spread


def table(rows: Sequence[Cells]) -> list[str]:
    """Lay rows out in Markdown; what they were measured on stands below, numbered."""
    notes = list(dict.fromkeys(row["how"] for row in rows))
    lines = ["| what | unit | ours | straightforward | times better | aim | met | note |", "|---" * 8 + "|"]
    for row in rows:
        values = [row["what"], row["unit"], number(row["ours"]), number(row["straightforward"]), ratio(row)]
        values += [row["aim"] or "-", row["met"] or "-", str(notes.index(row["how"]) + 1)]
        lines.append(f"| {' | '.join(values)} |")
    return [*lines, "", *(f"{i}. {note[:1].upper()}{note[1:]}." for i, note in enumerate(notes, 1))]


def block(rows: Sequence[Cells]) -> list[str]:
    """Lay out the first row of every comparison but growth and stages, and every aim that was missed."""
    first: dict[str, Cells] = {}
    for row in rows:
        if row["benchmark"] in COMPARISONS[:-2]:
            first.setdefault(row["benchmark"], row)
    shown = [row for row in rows if row in first.values() or (row["aim"] and row["met"] != "yes")]
    lines = ["| against the straightforward way | ratio | aim | met |", "|---|---|---|---|"]
    return lines + [f"| {row['what']} | {ratio(row)} | {row['aim'] or '-'} | {row['met'] or '-'} |" for row in shown]


def write_page(rows: Sequence[Cells]) -> None:
    """Put the rows into the repository."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for page, lines in ((PAGE, table(rows)), (README, block(rows))):
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text("\n".join([before + BEGIN, "", *lines, "", END]) + after, encoding="utf-8")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument(
        "--only", nargs="*", choices=COMPARISONS, default=COMPARISONS, help="some of them; none: no run"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "benchmarks", help="where their tables go")
    parser.add_argument("--write", action="store_true", help="put all tables there are into docs/")
    asked = parser.parse_args()
    for name in asked.only:
        rows = import_module(f"benchmarks.{name}").measure(as_options(asked))
        write_rows(rows, asked.out / f"{name}.csv")
        print(f"== {name}\n")
        print_rows(rows)
    if asked.write:
        write_page(read_rows(asked.out))


if __name__ == "__main__":
    main()
