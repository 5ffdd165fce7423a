"""Whether the training of a learned router is shown to have worked: without that, a difference may be of training.

PPO may leave a policy as it began, let several trade-offs end at one strong share, or fall short of a threshold that
the policy could represent. A contrast with such a run says nothing about what it was to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.evaluation.bootstrap import Resampled, bounds
from trim.evaluation.study import SWEEP, Study, Sweep, SweepKey
from trim.files import read_csv
from trim.names import THR

if TYPE_CHECKING:
    import pandas as pd

WIDEST_HOLE = 0.1
"""Strong share that may lie between neighbouring operating points, from none to the dearest."""

SAME_SHARE = 0.0005
"""Operating points whose strong shares differ by less decide alike."""

KAPPAS = tuple(float(kappa) for kappa in np.geomspace(0.1, 4, 8))
"""Trade-offs, in right answers per solution of the strong model, at which a sweep is held against the thresholds."""

COLUMNS = [*SWEEP, "policies", "left_as_begun", "points", "distinct_points", "widest_hole", "below_thresholds"]


def training(dev: Mapping[str, Study], looks: Mapping[SweepKey, pd.DataFrame], level: float) -> pd.DataFrame:
    """Say of every training run whether it is shown to have worked, and if not, why.

    Parameters
    ----------
    dev
        Studies of the dev splits, on which snapshots and operating points were chosen, by dataset.
    looks
        By run, its looks at dev as `learning.csv` has them: columns kappa (empty for a policy that serves all),
        timesteps and dev_return.

    Returns
    -------
    A row a run: `policies`, and how many of them are `left_as_begun`, the first look being the best; `points` and how
    many of these have a strong share of their own; the widest hole between their shares; `below_thresholds`, at how
    many of KAPPAS the best of its points is worth less than the best threshold, which it could represent; `trained`,
    `why`.
    """
    import pandas as pd

    rows = []
    for key, table in sorted(looks.items()):
        data = dev[key[0]]
        sweep = next(found for found in data.curves() if found.key == key)
        row = dict(zip(SWEEP, key, strict=True)) | _begun(table) | _spread(data, sweep)
        row |= {"below_thresholds": sum(_falls_short(data, sweep, level))}
        why = "; ".join(_failures(row))
        rows.append(row | {"trained": "no" if why else "yes", "why": why})
    return pd.DataFrame(rows, columns=[*COLUMNS, "trained", "why"])


def _begun(looks: pd.DataFrame) -> dict[str, Any]:
    """Count the policies of a run, and those whose best snapshot is the first one."""
    best = [part["dev_return"].to_numpy().argmax() for _, part in looks.groupby("kappa", dropna=False)]
    return {"policies": len(best), "left_as_begun": sum(at == 0 for at in best)}


def _spread(data: Study, sweep: Sweep) -> dict[str, Any]:
    shares = np.sort(data.curve(sweep)[0][0])
    steps = np.diff(shares, prepend=0)
    return {
        "points": len(shares),
        "distinct_points": 1 + int((steps[1:] >= SAME_SHARE).sum()),
        "widest_hole": float(steps.max()),
    }


def _falls_short(data: Study, sweep: Sweep, level: float) -> Iterator[bool]:
    """Say of each kappa whether the best point is worth less than the best threshold, corrected for their number.

    Both are the best of their sweep on every resample, so that a sweep of many points has no advantage by its best one.
    """
    corrected = 1 - (1 - level) / len(KAPPAS)
    for kappa in KAPPAS:
        for threshold in data.find(THR, "default", sweep.trained_on):
            apart = _worth(data, sweep, kappa) - _worth(data, threshold, kappa)
            yield bounds(apart, corrected).hi < 0


def _worth(data: Study, sweep: Sweep, kappa: float) -> Resampled:
    """Return right answers minus kappa times the strong share, of the best point of a sweep."""
    shares, accuracies = data.curve(sweep)
    return np.asarray((accuracies - kappa * shares).max(axis=1))


def _failures(row: Mapping[str, Any]) -> Iterator[str]:
    if row["left_as_begun"]:
        yield f"{row['left_as_begun']} of {row['policies']} policies are as they began"
    if row["distinct_points"] < row["points"]:
        yield f"{row['points']} operating points have {row['distinct_points']} strong shares"
    if row["widest_hole"] > WIDEST_HOLE:
        yield f"a hole of {row['widest_hole']:.0%} in strong share"
    if row["below_thresholds"]:
        yield f"below the best threshold at {row['below_thresholds']} of {len(KAPPAS)} trade-offs"


def failures(table: pd.DataFrame) -> dict[SweepKey, str]:
    """Return of every run why its training is not shown to have worked; nothing where it is."""
    rows = table.fillna({"why": ""}).to_dict("records")
    return {(row["trained_on"], row["router"], row["variant"], int(row["seed"])): row["why"] for row in rows}


def read_looks(folders: Iterable[Path]) -> dict[SweepKey, pd.DataFrame]:
    """Read the looks at dev of training runs, from their folders `{router}/{trained_on}/{variant}.{run}`."""
    looks = {}
    for folder in folders:
        variant, _, run = folder.name.rpartition(".")
        key = (folder.parent.name, folder.parent.parent.name, variant, int(run))
        looks[key] = read_csv(folder / "learning.csv", whole=folder)
    return looks
