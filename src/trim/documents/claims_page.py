"""Write docs/claims.md: for each claim of the ledger what the paper says, how it is asked here, and what to expect."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trim.durations import stages
from trim.evaluation.claims.seeds import statement
from trim.evaluation.claims.verdicts import FAILED_TRAINING
from trim.evaluation.format import form_of
from trim.files import read_csv, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

PAGE = Path("docs/claims.md")
PUBLISHED = Path("data/published/claims.csv")
KEPT = Path("docs/results")
"""What the page is made of beside README.md: ledgers, and what the runs that they are from took."""
SEEDED, COUNTED = "embedded", Path("results/seeds")
"""The experiment that `make seeds` runs with other seeds, and where it counts in how many of them statements hold."""

BLOCK = re.compile(r"<!-- (?:results|claims) of (\w+): .*?-->\n(.*?)<!-- end of results -->", re.DOTALL)
ORIGIN = re.compile(r"^Code [^\[\n]*\S(?= \[|$)", re.MULTILINE)
ROW = re.compile(r"^\| (.+?) \| .+? \| .+? \| (.+?) \| \*\*(.+?)\*\* \|(?: [^|]* \|){0,2}$", re.MULTILINE)
HEAD = """\
# Claims

What the paper claims, asked of an experiment: a measure must exceed a bar, which is the paper's where it names one. A
verdict `holds` or `fails` where the whole 95 % interval lies on one side of the bar, else it is `undecided`; nothing
here is about the paper's models. `other seeds`: in how many runs of the whole pipeline with other seeds a statement
holds, of those in which it could be tested, and in how many of these a router's training failed. A † marks verdicts of
routers of which one's training failed; with other PRMs that is not known, and not marked. `trim claims` and
`trim readme` generate this page from `data/published/claims.csv` and from the results that README.md shows.

The commands run inside the environment. The first makes the ledger and all that it reads, and does nothing where that
is there; then each claim's lines are looked up by its key. The same code and config give the same numbers on CPUs of
one kind.
"""


class Expected(NamedTuple):
    """What a statement came to: our number with its interval, the verdict, and how often it holds with other seeds."""

    statement: str
    ours: str
    verdict: str
    other_seeds: str = ""


def keep_results(root: Path, name: str) -> None:
    """Keep the ledger of an experiment beside the pages, and what its run took as far as Snakemake measured it.

    Of the one that was run with other seeds too, keep in how many its statements hold.
    """
    results, kept = root / "results" / name, root / KEPT
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(results / "tables/claims.csv", kept / f"{name}.claims.csv")
    if name == SEEDED and (root / COUNTED / "seeds.csv").is_file():
        shutil.copyfile(root / COUNTED / "seeds.csv", kept / f"{name}.seeds.csv")
        (root / "docs/figures/seeds").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / COUNTED / "seeds.png", root / "docs/figures/seeds/seeds.png")
    ran = stages(results / "benchmarks")
    if ran:
        files = [path for path in results.rglob("*") if path.is_file()]
        took = {"jobs": sum(stage.jobs for stage in ran), "cpu_seconds": round(sum(stage.cpu for stage in ran))}
        write_json(took | {"megabytes": round(sum(path.stat().st_size for path in files) / 1e6)}, kept / f"{name}.json")


def held_over_seeds(root: Path, name: str) -> dict[tuple[str, ...], str]:
    """Return in how many runs with other seeds each statement of an experiment holds ("4 of 5"), where that is kept.

    And in how many of them a training behind it failed, if in any.
    """
    counted = root / KEPT / f"{name}.seeds.csv"
    rows = read_csv(counted).to_dict("records") if counted.is_file() else []
    failed = {
        statement(row): f" ({row['failed_training']} failed training)" for row in rows if row.get("failed_training")
    }
    return {statement(row): row["verdict"] + failed.get(statement(row), "") for row in rows}


def write_claims(root: Path) -> None:
    """Write the page."""
    (root / PAGE).write_text(render_claims(root), encoding="utf-8")


def render_claims(root: Path) -> str:
    """Return the page, from files that are in the repository alone."""
    published = read_csv(root / PUBLISHED)
    blocks = dict(BLOCK.findall((root / "README.md").read_text(encoding="utf-8")))
    expected = {name: _expected(root, name, block, published) for name, block in blocks.items()}
    parts = [HEAD, *(_experiment(root, name, block) for name, block in blocks.items())]
    for claim in published.to_dict("records"):
        parts.append(_claim(claim, {name: found.get(claim["key"], []) for name, found in expected.items()}))
    return "\n".join(parts)


def _expected(root: Path, name: str, block: str, published: pd.DataFrame) -> dict[str, list[Expected]]:
    """Return what the statements of each claim came to that were tested: all of the ledger's, or the README's."""
    found: dict[str, list[Expected]] = {}
    ledger = root / KEPT / f"{name}.claims.csv"
    if ledger.is_file():
        rows, seeds = read_csv(ledger), held_over_seeds(root, name)
        for row in rows[rows["verdict"] != "not tested"].to_dict("records"):
            ours = form_of(row["measure"]).text(row["ours"], (row["lo"], row["hi"]))
            found.setdefault(row["key"], []).append(
                Expected(row["claim"], ours, marked_verdict(row), seeds.get(statement(row), ""))
            )
        return found
    templates = {claim["key"]: _pattern(claim["statement"]) for claim in published.to_dict("records")}
    for row in ROW.findall(block):
        key = next((key for key, pattern in templates.items() if pattern.fullmatch(row[0])), "")
        found.setdefault(key, []).append(Expected(*row))
    return found


def marked_verdict(row: Mapping[str, Any]) -> str:
    """Return the verdict on a statement of a ledger, marked where the training of a router that it is about failed."""
    failed = isinstance(row.get("failed_training"), str)  # an empty cell is read as NaN
    return f"{row['verdict']} {FAILED_TRAINING}" if failed else row["verdict"]


def _pattern(statement: str) -> re.Pattern[str]:
    """Return what a statement looks like once it names a method and a dataset."""
    return re.compile(re.escape(statement).replace(r"\{method\}", ".+").replace(r"\{dataset\}", ".+"))


def _experiment(root: Path, name: str, block: str) -> str:
    """Say how the ledger of an experiment is made, what made the one quoted here, and what that took if measured."""
    lines = [f"## The experiment {name}", "", "```bash", *_commands(root, name), "```", ""]
    lines += [f"Quoted here: {code.lower()}\n" for code in ORIGIN.findall(block)]
    took = root / KEPT / f"{name}.json"
    if took.is_file():
        measured = read_json(took)
        # Snakemake looks at a job now and then: what it did since the last look is missing.
        minutes = f"at least {measured['cpu_seconds'] / 60:.0f} CPU minutes"
        lines.append(
            f"It took {measured['jobs']} jobs, {minutes} and {measured['megabytes']} MB in `results/{name}`.\n"
        )
    return "\n".join(lines)


def _commands(root: Path, name: str) -> Iterator[str]:
    """Yield the commands that make the ledger of an experiment: that of config.yaml, or of an overlay of its name."""
    overlay, archive = f"config/{name}.yaml", f"data/replay/{name}"
    options = f" --configfile {overlay}" if (root / overlay).is_file() else ""
    if (root / archive / "manifest.json").is_file():
        yield f"trim store import {archive}"
        options += " --config offline=true"
    yield f"snakemake results/{name}/tables/claims.csv --cores all{options}"


def _claim(claim: Mapping[str, Any], expected: Mapping[str, Sequence[Expected]]) -> str:
    whose = "of the paper" if claim["bar_from"] == "paper" else "of ours"
    source = "Our control" if claim["source"] == "our control" else f"The paper ({claim['source']})"
    said = [
        f"## {claim['key']}\n",
        f"{source}: {claim['paper']}\n",
        f"Asked here: {claim['measure']} above {claim['bar']:g}, a bar {whose}; {claim['title']}.\n",
        "```bash",
        *(f"grep '^{claim['key']},' results/{name}/tables/claims.csv" for name in expected),
        "```\n",
    ]
    rows = [(name, *found) for name, founds in expected.items() for found in founds]
    return "\n".join([*said, *(_table(rows) if rows else [_NO_HEADLINE]), ""])


_NO_HEADLINE = "Not tested, or no headline where no ledger is kept: no number of it is quoted here."


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| experiment | statement | here | verdict | other seeds |"
    yield "|---|---|---|---|---|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
