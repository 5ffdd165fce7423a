"""Verdicts over several runs of the whole pipeline that differ in their seed: in how many of them a statement holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trim.errors import InputError
from trim.evaluation.claims.verdicts import Verdict
from trim.files import read_csv, read_json

if TYPE_CHECKING:
    import pandas as pd

STATEMENT = ["key", "dataset", "method"]
"""What tells the statements of a ledger apart."""

SAID = ("title", "claim", "headline", "measure", "bar", "paper_value")
"""What a ledger says of a statement, whatever the run."""


def read_ledgers(folders: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Read the ledgers of several results folders, by the folders' names.

    Raises
    ------
    InputError
        If a folder has no ledger, two have one name, or two are of the same seed: their runs are one.
    """
    found: dict[str, pd.DataFrame] = {}
    owner: dict[int, Path] = {}
    for folder in folders:
        ledger, origin = folder / "tables" / "claims.csv", folder / "tables" / "provenance.json"
        for path in (ledger, origin):
            if not path.is_file():
                raise InputError(f"{path}: no such file; run the experiment of {folder.name} to its end first")
        seed = read_json(origin)["seed"]
        if (twin := owner.setdefault(seed, folder)) is not folder:
            raise InputError(f"{twin} and {folder} are both of seed {seed}: name runs that differ in it")
        if folder.name in found:
            raise InputError(f"{folder}: another run is called {folder.name} too; rename one of the folders")
        table = read_csv(ledger)
        if "failed_training" not in table:
            raise InputError(f"{ledger}: an older version's, without `failed_training`; make it again with this one")
        found[folder.name] = analogues(table)
    return found


def off_target(folder: Path) -> list[str]:
    """Say which language models of a run were trained, and did not reach the accuracy that the config aims for."""
    said = []
    for metrics in sorted(folder.glob("models/*/metrics.json")):
        found = read_json(metrics)
        if not found.get("in_band", True):
            reached, (low, high) = found["picked"]["accuracy"], found["accuracy_band"]
            said.append(
                f"{folder.name}: the {metrics.parent.name} model solves {reached:.0%} of the dev problems, and was to "
                f"solve {low:.0%} to {high:.0%}: its verdicts are of another pair than intended"
            )
    return said


def analogues(ledger: pd.DataFrame) -> pd.DataFrame:
    """Return the statements of a ledger about the experiment."""
    return ledger[ledger["scope"] == "analogue"]


def count_verdicts(ledgers: Mapping[str, pd.DataFrame], beside: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a statement: in how many runs it holds, its estimate and how far runs lie apart.

    Some statements name what a run finds, as the hardest dataset: these are only of the runs that found the same.

    Parameters
    ----------
    ledgers
        Statements of each run, by its name.
    beside
        Statements of another experiment, whose verdict stands beside.
    """
    import pandas as pd

    other = {} if beside is None else {statement(row): row for row in beside.to_dict("records")}
    together = pd.concat(list(ledgers.values()), ignore_index=True)
    rows = []
    for _, runs in together.groupby(STATEMENT, sort=False):
        first = runs.iloc[0].to_dict()
        row = {name: first[name] for name in (*STATEMENT, *SAID)} | _count(runs)
        if beside is not None:
            theirs = other.get(statement(first), {})
            row |= {"beside": theirs.get("verdict", ""), "beside_ours": theirs.get("ours")}
        rows.append(row)
    return pd.DataFrame(rows)


def statement(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tells the statement of a row from others, an empty cell as what it is read as."""
    return tuple(str(row[name]) for name in STATEMENT)


def _count(runs: pd.DataFrame) -> dict[str, Any]:
    """Count verdicts; the estimate is the mean of those that the runs have, the spread their standard deviation."""
    counts = {verdict: int(runs["verdict"].eq(verdict).sum()) for verdict in get_args(Verdict)}
    tested, ours = len(runs) - counts["not tested"], runs["ours"].dropna()
    return {
        "verdict": f"{counts['holds']} of {tested}" if tested else "not tested",
        "runs": tested,
        **{verdict: counts[verdict] for verdict in ("holds", "fails", "undecided")},
        "failed_training": int((runs["failed_training"].notna() & runs["verdict"].ne("not tested")).sum()),
        "estimates": len(ours),
        "estimate": ours.mean(),
        "spread": ours.std(),
        "lowest": ours.min(),
        "highest": ours.max(),
    }
