"""Ablations: what one part of a router, or the PRM, is worth, as paired differences on the same problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.evaluation.bootstrap import Resampled, column_names, columns, compared
from trim.evaluation.curves import METRICS
from trim.evaluation.format import named
from trim.evaluation.study import HEADLINE_METRICS, PAIR, SWEEP, Study, Sweep, SweepKey, correct_for_multiplicity
from trim.names import END_POINTS, TAKEOVER, THR, THRESHOLD, Key, look_ahead, names, routers_of

if TYPE_CHECKING:
    import pandas as pd

HULL, PER_TOKEN = (THR, "hull"), (THR, "per-token")
POMDP = ("trim-pomdp", "default")
# One policy for each kappa, or one that sees kappa.
POLICIES = ("default", "conditioned")
LEARNED = ("trim-agg", "trim-seq")
AGG, SEQ = ([(router, policy) for policy in POLICIES] for router in LEARNED)

BUDGET_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4)
BUDGET_MEASURES = (*(f"PGR at {share:.0%}" for share in BUDGET_SHARES), "cpt50", "cpt80", "cpt95")


@dataclass(frozen=True, slots=True)
class Contrast:
    """A question, and the two routers whose difference answers it.

    Attributes
    ----------
    ablation
        Name of what is varied.
    question
        One sentence; what the difference `of` minus `against` measures.
    of, against
        Router and variant.
    measures
        Metrics, or "PGR at 10%" for a share of `BUDGET_SHARES`.
    """

    ablation: str
    question: str
    of: Key
    against: Key
    measures: tuple[str, ...] = METRICS


def looking_ahead() -> list[Key]:
    """Return the variants of the routers that look ahead which are no ablations themselves."""
    return [(router, policy) for router in look_ahead() for policy in POLICIES if (router, policy) in names()]


def contrasts() -> list[Contrast]:
    """Return all that is asked of the routers of one PRM."""
    beyond_hull = "What does looking ahead gain beyond interpolation between thresholds?"
    beyond_tokens = "What does looking ahead gain beyond awareness of a step's cost?"
    one_policy = "What does one policy that sees kappa gain over a policy for each kappa?"
    history = "What does the whole history gain over its summary?"
    planning = "Where is planning in a model better than learning?"
    ours = "What does our POMDP gain over the one of the released code, which also forgets?"
    refit = "What does it gain to fit the observation model again where the POMDP is used?"
    return [
        Contrast(
            "takeover", "What does it gain to return to the weak model after each strong step?", THRESHOLD, TAKEOVER
        ),
        *(Contrast("look-ahead", beyond_hull, router, HULL) for router in looking_ahead()),
        *(Contrast("look-ahead", beyond_tokens, router, PER_TOKEN) for router in looking_ahead()),
        Contrast(
            "filter", "What does it gain to filter the belief over the episode?", POMDP, ("trim-pomdp", "memoryless")
        ),
        Contrast("filter", ours, POMDP, ("trim-pomdp", "released")),
        Contrast("observation transfer", refit, POMDP, ("trim-pomdp", "transferred")),
        *(Contrast("conditioned", one_policy, one, each) for each, one in (AGG, SEQ)),
        *(Contrast("memory", history, seq, agg) for seq, agg in zip(SEQ, AGG, strict=True)),
        *(Contrast("budget", planning, POMDP, agg, BUDGET_MEASURES) for agg in AGG),
    ]


def within_prm() -> list[Contrast]:
    """Return what is asked of the routers that were fitted with one of several PRMs."""
    question = "What does looking ahead gain over thresholds when this PRM routes?"
    return [Contrast(PRM_QUALITY, question, router, THRESHOLD) for router in looking_ahead()]


PRM_QUALITY = "quality of the PRM"
ACROSS_PRMS = (
    Contrast(
        PRM_QUALITY,
        "What does this PRM change for thresholds, against the PRM that routes otherwise?",
        THRESHOLD,
        THRESHOLD,
    ),
)
FAMILY = ["ablation", "dataset", "trained_on", "prm", "seed"]
"""One family of p-values: all that an ablation asks about the routers fitted on one dataset, evaluated on one."""

COLUMNS = [
    "ablation",
    "question",
    "dataset",
    "trained_on",
    "prm",
    "measure",
    *PAIR,
    "value",
    "other_value",
    "difference",
    "difference_lo",
    "difference_hi",
    "p_value",
    "p_at_floor",
    "trained",
    "why",
    "p_corrected",
]


def pairs(ours: Sequence[Sweep], theirs: Sequence[Sweep]) -> Iterator[tuple[Sweep, Sweep]]:
    """Pair sweeps fitted on the same dataset: training runs of one number, or all with the only run of one side."""
    one_run = any(len({sweep.seed for sweep in side}) == 1 for side in (ours, theirs))
    for sweep in ours:
        for other in theirs:
            if sweep.trained_on == other.trained_on and (one_run or sweep.seed == other.seed):
                yield sweep, other


def contrast_rows(
    asked: Sequence[Contrast],
    ours: Study,
    theirs: Study,
    level: float,
    head: Mapping[str, Any],
    runs: Mapping[SweepKey, str] | None,
) -> Iterator[dict[str, Any]]:
    """Compare both sides of every contrast on the same resamples; one with an absent side is left out.

    Parameters
    ----------
    ours, theirs
        Where the first and the second side of a contrast are: one study, or two of the same problems.
    head
        Columns that all rows share.
    runs
        Why training is not shown to have worked, of every learned run (empty where it is); None where nobody knows.
    """
    first = _read(ours, {contrast.of for contrast in asked})
    second = _read(theirs, {contrast.against for contrast in asked})
    for contrast in asked:
        for sweep, other in pairs(ours.find(*contrast.of), theirs.find(*contrast.against)):
            for measure in contrast.measures:
                yield {
                    "ablation": contrast.ablation,
                    "question": contrast.question,
                    **head,
                    "measure": measure,
                    **sweep.head,
                    **other.as_other,
                    **compared(first[sweep.key][measure], second[other.key][measure], level),
                    **_as_trained((sweep, other), runs),
                }


def _as_trained(sides: Sequence[Sweep], runs: Mapping[SweepKey, str] | None) -> dict[str, str]:
    """Say whether the training of both sides is shown to have worked; nothing where neither is learned."""
    learned = {sweep.key: named(*sweep.key[1:]) for sweep in sides if sweep.router in LEARNED}
    if not learned:
        return {"trained": "", "why": ""}
    if runs is None or any(key not in runs for key in learned):
        return {"trained": "unknown", "why": "its looks at dev are not kept"}
    why = "; ".join(f"{name}: {runs[key]}" for key, name in learned.items() if runs[key])
    return {"trained": "no" if why else "yes", "why": why}


def _read(data: Study, variants: set[Key]) -> dict[SweepKey, dict[str, Resampled]]:
    """Read all measures of the variants that are there, by sweep."""
    at_shares = [f"PGR at {share:.0%}" for share in BUDGET_SHARES]
    return {
        sweep.key: {**data.metrics[sweep.key], **dict(zip(at_shares, data.pgr(sweep, BUDGET_SHARES), strict=True))}
        for variant in variants
        for sweep in data.find(*variant)
    }


def ablations(
    main: Mapping[str, Study],
    by_prm: Mapping[str, Study],
    compared_on: str,
    prm: str,
    level: float,
    runs: Mapping[SweepKey, str],
) -> pd.DataFrame:
    """Answer every question that the experiment holds both sides of: a row a measure, dataset and pair of routers.

    A CPT that is not reached is an infinite share, so that a difference and the ends of its interval may be infinite;
    where neither side reaches the level, there is no difference.
    P-values are corrected within `FAMILY`.

    Parameters
    ----------
    main
        Studies of the experiment, by dataset.
    by_prm
        Studies of one dataset with other PRMs, by PRM, of the same problems on the same resamples.
    compared_on
        That dataset: the main one where it is evaluated.
    prm
        The PRM of `main`.
    runs
        Why training is not shown to have worked, of every learned run in `main` (empty where it is): columns `trained`
        ("yes", "no", "unknown", empty where nothing learned) and `why`.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for dataset, data in main.items():
        rows += contrast_rows(contrasts(), data, data, level, {"dataset": dataset, "prm": prm}, runs)
    for name, data in sorted(by_prm.items()):
        head = {"dataset": compared_on, "prm": name}
        rows += contrast_rows(within_prm(), data, data, level, head, None)
        if compared_on in main:
            rows += contrast_rows(ACROSS_PRMS, data, main[compared_on], level, head, None)
    table = correct_for_multiplicity(pd.DataFrame(rows, columns=COLUMNS[:-1]), FAMILY)
    return table.sort_values(["ablation", "dataset", "trained_on", "prm"], kind="stable", ignore_index=True)


def aucs_on(dataset: str, quality: pd.DataFrame) -> dict[str, float]:
    """Return the AUC that stands for the quality of each PRM on a dataset.

    Parameters
    ----------
    quality
        Rows of `prm_quality.csv`: AUCs of steps up to the first error. Where steps have no labels, rows of
        `prm_outcomes.csv`: AUCs of the lowest score of the weak model's solutions against their final answers.
    """
    there = quality[quality["dataset"] == dataset]
    if "behaviour" in there:
        there = there[there["behaviour"] == END_POINTS[0]]
    there = there[there["measure"].isin(["step AUC up to the first error", "AUC of the minimum score"])]
    return dict(zip(there["prm"], there["value"], strict=True))


def prm_routing(
    main: Mapping[str, Study],
    by_prm: Mapping[str, Study],
    compared_on: str,
    prm: str,
    trained_on: str,
    aucs: Mapping[str, float],
    level: float,
) -> pd.DataFrame:
    """Show what a better PRM buys every router: the metrics of routers by PRM, in order of its AUC.

    Parameters
    ----------
    main, by_prm, compared_on, prm
        As of `ablations`. Of the routers in `main` those count that `by_prm` has; without `by_prm`, all of TRIM.
        Where `compared_on` is not evaluated, the PRM of `main` has no rows.
    trained_on
        The main dataset, on which the routers were fitted.
    aucs
        By PRM (`aucs_on`); one that is not in it has an empty AUC.
    """
    import pandas as pd

    data = dict(by_prm) | ({prm: main[compared_on]} if compared_on in main else {})
    fitted = {
        name: [
            sweep for sweep in part.curves() if sweep.router in routers_of("trim") and sweep.trained_on == trained_on
        ]
        for name, part in data.items()
    }
    wanted = {sweep.key for name in by_prm or data for sweep in fitted[name]}
    rows = []
    for name in sorted(data, key=lambda name: (aucs.get(name, np.inf), name)):
        for sweep in fitted[name]:
            if sweep.key in wanted:
                row = {"prm": name, "auc": aucs.get(name), **sweep.head}
                for metric in HEADLINE_METRICS:
                    row |= columns(metric, data[name].metrics[sweep.key][metric], level)
                rows.append(row)
    measured = [column for metric in HEADLINE_METRICS for column in column_names(metric)]
    return pd.DataFrame(rows, columns=["prm", "auc", *SWEEP[1:], *measured])
