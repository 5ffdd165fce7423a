"""Run one rule of the workflow alone, on the inputs that lie in a copy of the smoke run."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smoke import planned_rules, snakemake


def run_rule(
    rule: str,
    tree: Path,
    *targets: Path,
    changes: Mapping[str, Any] | None = None,
    options: tuple[str, ...] = (),
    jobs: int = 1,
) -> str:
    """Remove the targets and have Snakemake make them again with this rule and no other, in so many jobs.

    `changes` are laid over the smoke config.
    """
    for target in targets:
        if (tree / target).is_dir():
            shutil.rmtree(tree / target)
        else:
            (tree / target).unlink(missing_ok=True)
    output = snakemake(tree, "--notemp", *options, "--allowed-rules", rule, targets=targets, changes=changes)
    assert planned_rules(output) == {rule: jobs}
    assert all((tree / target).exists() for target in targets)
    return output
