"""What the paper's claims are held against: an experiment, and the numbers that statements read of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trim.evaluation.bootstrap import Resampled
from trim.evaluation.claims.published import Paper, Place
from trim.evaluation.format import named
from trim.evaluation.study import Study, SweepKey
from trim.names import routers_of, variants

NO_ROUTER = "a router that it needs was not evaluated"
NO_GAP = "strong is no better than weak"


@dataclass(frozen=True)
class World:
    """An experiment as far as claims are about it.

    Attributes
    ----------
    evidence
        By dataset, read from test episodes.
    by_prm
        The same on the main dataset, with routers fitted to other PRMs than the experiment's own.
    main
        The main dataset, which stands for the paper's MATH-500; the first of those evaluated where it is none of them.
    trained_on
        Datasets that routers were fitted on; the first is where they are transferred from.
    prm, auc
        The PRM that routes, and by PRM and dataset how well the lowest score of every measured one tells right answers.
    noisy
        Which of `by_prm` is noisy; empty for none.
    shares
        Strong shares at which routers are compared.
    step_auc
        How well the PRMs of `by_prm` tell right steps on the main dataset, where steps have labels.
    failures
        Of every learned run, why its training is not shown to have worked (empty where it is).
    """

    evidence: Mapping[str, Study]
    by_prm: Mapping[str, Study]
    main: str
    trained_on: Sequence[str]
    prm: str
    auc: Mapping[tuple[str, str], float]
    paper: Paper
    noisy: str = ""
    shares: Sequence[float] = ()
    step_auc: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[SweepKey, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let the first dataset stand for a main one that was not evaluated."""
        if self.main not in self.evidence:
            object.__setattr__(self, "main", next(iter(self.evidence)))

    @property
    def others(self) -> dict[str, Study]:
        """All datasets but the main one."""
        return {name: found for name, found in self.evidence.items() if name != self.main}

    def fitted_on(self, dataset: str) -> str:
        """Where the routers of a dataset come from: itself, or else the first that any were fitted on."""
        return dataset if dataset in self.trained_on else self.trained_on[0]

    def beside(self, dataset: str) -> Place:
        """Return what the dataset is to the routers: which benchmarks of the paper stand beside it."""
        if dataset == self.main:
            return "main"
        return "home" if dataset in self.trained_on else "away"

    def routing(self, prm: str, dataset: str) -> str:
        """Name a PRM, and its quality on a dataset, else on the main one, where that is known."""
        quality = self.auc.get((prm, dataset), self.auc.get((prm, self.main), np.nan))
        return f"PRM {prm}" if np.isnan(quality) else f"PRM {prm} (AUC of the lowest score {quality:.2f})"

    def conditions(self, case: Case) -> str:
        """Say what the numbers of a statement depend on, beside the problems that its interval is about."""
        there = self.evidence.get(case.dataset, self.evidence[self.main])
        runs = 1 + max((sweep.seed for sweep in there.curves()), default=0)
        said = [case.prm or self.routing(self.prm, case.dataset), "one seed of problems, language models and PRMs"]
        said.append("one training run of each router" if runs == 1 else f"{runs} training runs of each learned router")
        if case.prm:
            return "; ".join([*said, "not known whether training with this PRM worked"])
        return "; ".join([*said, *self.failed_training(case)])

    def failed_training(self, case: Case) -> list[str]:
        """Say of which policies behind a statement training is not shown to have worked, and why."""
        if case.prm:
            return []  # not known
        about = {word for name in case.numbers for word in name.split()}  # both sides of "trim-pomdp minus trim-agg"
        moved = case.claim.startswith("transfer") or case.dataset not in self.trained_on
        trained_on = self.trained_on[0] if moved else case.dataset
        return [
            f"{named(router, variant, seed)}, from {source}, as trained: {why}"
            for (source, router, variant, seed), why in self.failures.items()
            if why and router in about and source == trained_on and variant == self._main_variant(source, router)
        ]

    def _main_variant(self, source: str, router: str) -> str:
        """Return the first variant that a router was trained in: the one that statements are about."""
        trained = {variant for where, name, variant, _ in self.failures if (where, name) == (source, router)}
        return next(variant for variant in variants(router) if variant in trained)


@dataclass(frozen=True)
class Case:
    """One statement: all of some numbers, or one of them, exceed the bar of a claim.

    Attributes
    ----------
    claim
        Key in `data/published/claims.csv`.
    dataset, method
        What the statement is about, as it is named in it.
    numbers
        None where the experiment does not have what is needed.
    any_of
        Whether one of the numbers is enough.
    paper
        The paper's value of the same quantity, NaN where it has none.
    headline
        Names the statement that a headline claim of the paper is judged by.
    note
        A sentence that helps to read the numbers.
    missing
        Why there are no numbers.
    undefined
        When numbers that are there have no value.
    factors, paper_factor
        The same as multiples of accuracy per strong token, 1 + delta IBC, which are steady where delta IBC is near 0.
    prm
        The PRM that routes, where it is not the experiment's own.
    """

    claim: str
    dataset: str
    method: str
    numbers: Mapping[str, Resampled]
    any_of: bool = False
    paper: float = np.nan
    headline: str = ""
    note: str = ""
    missing: str = NO_ROUTER
    undefined: str = NO_GAP
    factors: Mapping[str, Resampled] = field(default_factory=dict)
    paper_factor: float = np.nan
    prm: str = ""


# --- numbers: a router counts as the mean over its training runs, None where it was not evaluated --------------------


def metric(data: Study, name: str, router: str, trained_on: str, variant: str = "") -> Resampled | None:
    """Return a metric of a router, by its leading variant or the one that is named."""
    return _mean(data.metrics[sweep.key][name] for sweep in data.find(router, variant, trained_on))


def delta_ibc(data: Study, router: str, trained_on: str, variant: str = "") -> Resampled | None:
    """Return the delta IBC of a router, by its leading variant or the one that is named."""
    return metric(data, "delta_ibc", router, trained_on, variant)


def pgr(data: Study, router: str, trained_on: str, share: float) -> Resampled | None:
    """Return the PGR of a router at a strong share."""
    return _mean(data.pgr(sweep, [share])[0] for sweep in data.find(router, trained_on=trained_on))


def _mean(runs: Iterable[Resampled]) -> Resampled | None:
    found = list(runs)
    return np.mean(found, axis=0) if found else None


def cpt95(data: Study, router: str, trained_on: str) -> str:
    """Say at which strong share the first training run of a router recovers 95 % of the gap."""
    share = data.metrics[data.find(router, trained_on=trained_on)[0].key]["cpt95"][0]
    return f"at {share:.1%}" if np.isfinite(share) else "never"


def baselines(data: Study, trained_on: str) -> dict[str, Resampled]:
    """Return the delta IBC of every query-level baseline."""
    return {
        named(sweep.router, sweep.variant): data.metrics[sweep.key]["delta_ibc"]
        for sweep in data.curves()
        if sweep.router in routers_of("query") and sweep.trained_on == trained_on
    }


def best_baseline(data: Study, trained_on: str) -> tuple[str, Resampled] | None:
    """Return the delta IBC of the baseline that is best on each resample, and which is best on all problems."""
    found = baselines(data, trained_on)
    if not found:
        return None
    return max(found, key=lambda name: found[name][0]), np.max([*found.values()], axis=0)


def minus(ours: Resampled | None, theirs: Mapping[str, Resampled | None]) -> dict[str, Resampled]:
    """Return a number minus each of several, as far as both are there."""
    with np.errstate(invalid="ignore"):  # two levels that are not reached: no difference
        return {name: ours - number for name, number in theirs.items() if ours is not None and number is not None}


def present(numbers: Iterable[tuple[str, Resampled | None]]) -> dict[str, Resampled]:
    """Return the numbers that are there."""
    return {name: number for name, number in numbers if number is not None}


def only(numbers: Mapping[str, Resampled], name: str) -> dict[str, Resampled]:
    """Return one of several numbers, if it is there."""
    return {name: numbers[name]} if name in numbers else {}
