"""The paper's claims as statements about an experiment, each a number (or several) that must exceed a bar.

What is claimed, and where the bar lies, is in `data/published/claims.csv`; here is what is read for each claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trim.evaluation.bootstrap import resample_counts
from trim.evaluation.claims.published import anchor, printed_tables, published_points
from trim.evaluation.claims.verdicts import Array, ratio
from trim.evaluation.curves import MetricSamples, envelope_samples, pgr_at
from trim.evaluation.format import named
from trim.evaluation.study import CURVE, Measured, Resampled, measure, resample
from trim.names import label_of, look_ahead, routers_of

if TYPE_CHECKING:
    import pandas as pd

MAIN_VARIANTS = ("conditioned", "default")
"""The variant by which a router is judged: the first of these that there is."""

FEWER_TOKENS = 0.2
"""Strong share of the claim that 80 % of the strong tokens can be saved."""

LOW_BUDGET, HIGH_BUDGET = 0.05, 0.3
"""Strong shares at which budgets are called low and high: the paper names none. At 10 % its own budgeted accuracies
have TRIM-Agg ahead of TRIM-POMDP already."""

ORACLE = "first-error-oracle"
MINIMUM_AUC = "AUC of the minimum score, weak-only"
"""Quality of a PRM as the paper's Appendix H measures it."""

NO_ROUTER = "a router that it needs was not evaluated"


@dataclass(frozen=True)
class Evidence:
    """What was measured on one dataset: estimates first, then resamples, the same ones for all routers."""

    data: Resampled

    @classmethod
    def of(cls, episodes: pd.DataFrame, resamples: int, seed: str) -> Evidence:
        """Read the episodes of one dataset."""
        sweeps = measure(episodes, CURVE)
        problems = sweeps[0].values["correct"].shape[1]
        return cls(resample(sweeps, np.vstack([np.ones(problems), resample_counts(problems, resamples, seed)])))

    @property
    def gap(self) -> Array:
        """Accuracy of the strong model minus that of the weak one."""
        return self.data.strong - self.data.weak

    @cached_property
    def _metrics(self) -> Mapping[tuple[str, str, str, int], MetricSamples]:
        return {
            sweep.key: envelope_samples(*self.data.curve(sweep), self.data.weak, self.data.strong)
            for sweep in self.data.rows()
        }

    def runs(self, router: str, trained_on: str, variant: str | None = None) -> list[Measured]:
        """Return the training runs of a router's main variant, or of the one that is named."""
        there = [s for s in self.data.rows() if s.router == router and s.trained_on in ("untrained", trained_on)]
        for wanted in [variant] if variant else MAIN_VARIANTS:
            if runs := [sweep for sweep in there if sweep.variant == wanted]:
                return runs
        return []

    def delta_ibc(self, router: str, trained_on: str, variant: str | None = None) -> Array | None:
        """Return the delta IBC of a router, as the mean over its training runs; None where it was not evaluated."""
        runs = self.runs(router, trained_on, variant)
        return np.mean([self._metrics[sweep.key].delta_ibc for sweep in runs], axis=0) if runs else None

    def cpt95(self, router: str, trained_on: str) -> str:
        """Say at which strong share the first training run of a router recovers 95 % of the gap."""
        share = self._metrics[self.runs(router, trained_on)[0].key].cpt95[0]
        return "never" if np.isnan(share) else f"at {share:.1%}"

    def pgr(self, router: str, trained_on: str, share: float) -> Array | None:
        """Return the PGR of a router at a strong share, as the mean over its training runs."""
        found = [
            pgr_at(*self.data.curve(sweep), self.data.weak, self.data.strong, [share])[:, 0]
            for sweep in self.runs(router, trained_on)
        ]
        return np.mean(found, axis=0) if found else None

    def baselines(self, trained_on: str) -> dict[str, Array]:
        """Return the delta IBC of every query-level baseline."""
        return {
            named(sweep.router, sweep.variant): number
            for sweep in self.data.rows()
            if sweep.router in routers_of("query") and sweep.trained_on == trained_on
            for number in [self._metrics[sweep.key].delta_ibc]
        }


@dataclass(frozen=True)
class Paper:
    """What the paper prints, in the quantities of our statements; NaN where it prints nothing.

    Beside the home dataset stands MATH-500, beside other datasets the least value of the other benchmarks.
    """

    folder: Path

    @cached_property
    def _delta_ibc(self) -> Mapping[int, Mapping[str, Mapping[str, float]]]:
        tables: dict[int, dict[str, dict[str, float]]] = {}
        for row in printed_tables(self.folder).to_dict("records"):
            tables.setdefault(row["table"], {}).setdefault(row["dataset"], {})[row["router"]] = row["delta_ibc"]
        return tables

    @cached_property
    def main(self) -> Mapping[str, Mapping[str, float]]:
        """Delta IBC by dataset and router: Table 1, and Table 2 for datasets that no router was trained for."""
        return {**self._delta_ibc[2], **self._delta_ibc[1]}

    def best_baseline(self, dataset: str) -> float:
        """Return the delta IBC of the best query-level baseline on a dataset."""
        return max(value for router, value in self.main[dataset].items() if router not in routers_of("trim"))

    def over(self, quantity: Callable[[str], float], home: bool) -> float:
        """Return a quantity on MATH-500, or its least value on the other benchmarks."""
        datasets = [name for name in self.main if (name == "math500") == home]
        found = [value for value in map(quantity, datasets) if not np.isnan(value)]
        return min(found, default=np.nan)

    def ahead(self, router: str) -> Callable[[str], float]:
        """Delta IBC of a router minus that of TRIM-Thr, by dataset."""
        return lambda name: self.main[name].get(router, np.nan) - self.main[name]["trim-thr"]

    def ahead_of_baselines(self, router: str) -> Callable[[str], float]:
        """Delta IBC of a router minus that of the best baseline, by dataset."""
        return lambda name: self.main[name].get(router, np.nan) - self.best_baseline(name)

    def takeover(self, dataset: str) -> float:
        """Delta IBC of TRIM-Thr minus that of one-step takeover (Table 7)."""
        return self._delta_ibc[7][dataset]["trim-thr"] - self._delta_ibc[7][dataset]["one-step-takeover"]

    def noisy(self, router: str) -> float:
        """Delta IBC of a router minus that of TRIM-Thr, with the noisy PRM (Table 8)."""
        return self._delta_ibc[8]["olympiadbench"].get(router, np.nan) - self._delta_ibc[8]["olympiadbench"]["trim-thr"]

    def planning(self, dataset: str) -> float:
        """Delta IBC of TRIM-POMDP in multiples of that of TRIM-Thr."""
        return self.main[dataset]["trim-pomdp"] / self.main[dataset]["trim-thr"]

    def pgr(self, router: str, share: float) -> float:
        """PGR at a strong share on MATH-500, from Figure 6."""
        points, alone = published_points(self.folder, "paper", "math500"), anchor(self.folder, "paper", "math500")
        points = points[points["router"] == router]
        if points.empty:
            return np.nan
        weak, strong = (np.array([alone[f"{who}_correct"] / alone["problems"]]) for who in ("weak", "strong"))
        shares = points["strong_tokens"].to_numpy()[None] / alone["strong_tokens"]
        return float(pgr_at(shares, points["accuracy"].to_numpy()[None], weak, strong, [share])[0, 0])

    @property
    def gap(self) -> float:
        """Accuracy of the strong model minus that of the weak one, on MATH-500."""
        alone = anchor(self.folder, "paper", "math500")
        return float((alone["strong_correct"] - alone["weak_correct"]) / alone["problems"])


@dataclass(frozen=True)
class World:
    """An experiment as far as claims are about it.

    Attributes
    ----------
    evidence
        By dataset, all of them test episodes.
    by_prm
        The same on the home dataset, with routers fitted to other PRMs than the experiment's own.
    home
        The dataset that stands for the paper's MATH-500; the first of those evaluated where it is none of them.
    trained_on
        Datasets that routers were fitted on; the first is where they are transferred from.
    prm, auc
        The PRM that routes, and the quality of every measured one by PRM and dataset.
    noisy
        Which of `by_prm` is noisy; empty for none.
    """

    evidence: Mapping[str, Evidence]
    by_prm: Mapping[str, Evidence]
    home: str
    trained_on: Sequence[str]
    prm: str
    auc: Mapping[tuple[str, str], float]
    paper: Paper
    noisy: str

    @classmethod
    def of(
        cls,
        episodes: pd.DataFrame,
        by_prm: Mapping[str, pd.DataFrame],
        datasets: Sequence[str],
        home: str,
        trained_on: Sequence[str],
        prm: str,
        auc: Mapping[tuple[str, str], float],
        published: Path,
        resamples: int,
        seed: int,
        noisy: str = "",
    ) -> World:
        """Read episodes, with the resamples of `main.csv`; `home` may be none of the `datasets` that were evaluated."""
        parts = {name: episodes[episodes["dataset"] == name] for name in datasets}
        home = home if home in parts else datasets[0]
        evidence = {name: Evidence.of(part, resamples, f"{seed}/{name}") for name, part in parts.items()}
        others = {name: Evidence.of(part, resamples, f"{seed}/{home}") for name, part in by_prm.items()}
        return cls(evidence, others, home, trained_on, prm, auc, Paper(published), noisy)

    @property
    def others(self) -> dict[str, Evidence]:
        """All datasets but home."""
        return {name: found for name, found in self.evidence.items() if name != self.home}

    def fitted_on(self, dataset: str) -> str:
        """Where the routers of a dataset come from: itself, or else the first that any were fitted on."""
        return dataset if dataset in self.trained_on else self.trained_on[0]


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
        Under a bootstrap, estimates first; none where the experiment does not have what is needed.
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
    """

    claim: str
    dataset: str
    method: str
    numbers: Mapping[str, Array]
    any_of: bool = False
    paper: float = np.nan
    headline: str = ""
    note: str = ""
    missing: str = NO_ROUTER


def minus(ours: Array | None, theirs: Mapping[str, Array | None]) -> dict[str, Array]:
    """Return a number minus each of several, as far as both are there."""
    return {name: ours - number for name, number in theirs.items() if ours is not None and number is not None}


def present(numbers: Iterable[tuple[str, Array | None]]) -> dict[str, Array]:
    """Return the numbers that are there."""
    return {name: number for name, number in numbers if number is not None}


def only(numbers: Mapping[str, Array], name: str) -> dict[str, Array]:
    """Return one of several numbers, if it is there."""
    return {name: numbers[name]} if name in numbers else {}


# --- the claims -------------------------------------------------------------------------


def efficiency(world: World) -> Iterator[Case]:
    """Stepwise against query-level, delta IBC, every baseline at once."""
    for name, found in world.evidence.items():
        source = world.fitted_on(name)
        numbers = minus(found.delta_ibc("trim-thr", source), found.baselines(source))
        paper = world.paper.over(world.paper.ahead_of_baselines("trim-thr"), name == world.home)
        yield Case("efficiency", name, "TRIM-Thr", numbers, paper=paper)


def five_fold(world: World) -> Iterator[Case]:
    """Multiples of the delta IBC of each baseline."""
    found, source = world.evidence[world.home], world.fitted_on(world.home)
    ours = found.delta_ibc("trim-thr", source)
    numbers = present((name, ratio(ours, it)) for name, it in found.baselines(source).items() if ours is not None)
    theirs, best = world.paper.main["math500"]["trim-thr"], world.paper.best_baseline("math500")
    note = ""
    if ours is not None and numbers:
        per_token = (1 + ours[0]) / (1 + max(it[0] for it in found.baselines(source).values()))
        note = (
            f"In accuracy per strong token (1 + delta IBC) that is a factor of {per_token:.1f}, "
            f"in the paper {(1 + theirs) / (1 + best):.1f}."
        )
    yield Case("five-fold", world.home, "TRIM-Thr", numbers, paper=theirs / best, headline="efficiency", note=note)


def six_fold(world: World) -> Iterator[Case]:
    """Best TRIM router, in multiples of the baseline that is best on each resample, where weak is weakest."""
    weak = {name: float(found.data.weak[0]) for name, found in world.evidence.items()}
    hardest = min(weak, key=weak.__getitem__)
    best = max(world.paper.main["aime"][router] for router in routers_of("trim") if router in world.paper.main["aime"])
    paper = best / world.paper.best_baseline("aime")
    if hardest == world.home:
        missing = "no harder dataset was evaluated"
        yield Case("six-fold", "dataset", "One TRIM router", {}, paper=paper, missing=missing)
        return
    found, source = world.evidence[hardest], world.fitted_on(hardest)
    baselines = found.baselines(source)
    ours = present((router, found.delta_ibc(router, source)) for router in routers_of("trim"))
    numbers = {}
    if baselines:
        best_baseline = np.max([*baselines.values()], axis=0)
        numbers = {router: ratio(number, best_baseline) for router, number in ours.items()}
    yield Case("six-fold", hardest, "One TRIM router", numbers, any_of=True, paper=paper)


def match(world: World) -> Iterator[Case]:
    """PGR at the strong share that is left, router by router; the headline asks for one of them."""
    found, source, claim = world.evidence[world.home], world.fitted_on(world.home), "match"
    numbers = present((router, found.pgr(router, source, FEWER_TOKENS)) for router in look_ahead())
    papers = {router: world.paper.pgr(router, FEWER_TOKENS) for router in look_ahead()}
    method, paper = "One look-ahead router", float(np.nanmax([*papers.values()]))
    reached = [f"{router} recovers 95% {found.cpt95(router, source)}" for router in numbers]
    if found.runs(ORACLE, source):
        reached.append(f"the first-error oracle {found.cpt95(ORACLE, source)}")
    note = "; ".join(reached) + " of the strong tokens."
    yield Case(claim, world.home, method, numbers, any_of=True, paper=paper, headline="tokens", note=note)
    for router in look_ahead():
        yield Case(claim, world.home, label_of(router), only(numbers, router), paper=papers[router])


def match_accuracy(world: World) -> Iterator[Case]:
    """Accuracy at that share minus the strong model's own."""
    found, source = world.evidence[world.home], world.fitted_on(world.home)
    for router in look_ahead():
        pgr = found.pgr(router, source, FEWER_TOKENS)
        numbers = {} if pgr is None else {router: (pgr - 1) * found.gap}
        paper = (world.paper.pgr(router, FEWER_TOKENS) - 1) * world.paper.gap
        yield Case("match-accuracy", world.home, label_of(router), numbers, paper=paper)


@dataclass(frozen=True)
class Transfer:
    """Routers of the first dataset on another one: their delta IBC, and it minus that of each baseline from there."""

    dataset: str
    alone: Mapping[str, Array]
    ahead: Mapping[str, Array]


def _transfers(world: World, routers: Iterable[str]) -> list[Transfer]:
    source, names, transfers = world.trained_on[0], list(routers), []
    for name, found in world.others.items():
        ours = present((router, found.delta_ibc(router, source)) for router in names)
        theirs = found.baselines(source).items()
        ahead = {f"{r} minus {b}": number - other for r, number in ours.items() for b, other in theirs}
        transfers.append(Transfer(name, ours, ahead))
    return transfers or [Transfer("another dataset", {}, {})]


def _why_no_transfer(world: World) -> str:
    return NO_ROUTER if world.others else "no other dataset was evaluated"


def transfer(world: World) -> Iterator[Case]:
    """Routers fitted on one dataset against baselines fitted there, on each other one; the headline: on all of them."""
    claim, method = "transfer", f"Every look-ahead router, from {world.trained_on[0]},"
    paper, missing = world.paper.over(world.paper.ahead_of_baselines("trim-agg"), home=False), _why_no_transfer(world)
    transfers = _transfers(world, look_ahead())
    everywhere = {f"{label} on {t.dataset}": number for t in transfers for label, number in t.ahead.items()}
    headline = "generalization"
    yield Case(claim, "every other dataset", method, everywhere, paper=paper, headline=headline, missing=missing)
    for t in transfers:
        yield Case(claim, t.dataset, method, t.ahead, paper=paper, missing=missing)


def transfer_random(world: World) -> Iterator[Case]:
    """Likewise against random mixing, whose delta IBC is 0."""
    paper = min(world.paper.main[name]["trim-agg"] for name in ("olympiadbench", "minerva"))
    method = f"Every look-ahead router, from {world.trained_on[0]},"
    for t in _transfers(world, look_ahead()):
        yield Case("transfer-random", t.dataset, method, t.alone, paper=paper, missing=_why_no_transfer(world))


def transfer_threshold(world: World) -> Iterator[Case]:
    """TRIM-Thr, its thresholds laid on one dataset, against baselines fitted there."""
    paper = world.paper.over(world.paper.ahead_of_baselines("trim-thr"), home=False)
    method = f"TRIM-Thr, from {world.trained_on[0]},"
    for t in _transfers(world, ["trim-thr"]):
        yield Case("transfer-threshold", t.dataset, method, t.ahead, paper=paper, missing=_why_no_transfer(world))


def takeover(world: World) -> Iterator[Case]:
    """Stepwise against the strong model writing all the rest, at the same thresholds."""
    for name, found in world.evidence.items():
        source, home = world.fitted_on(name), name == world.home
        theirs = {"one-step-takeover": found.delta_ibc("one-step-takeover", source)}
        numbers = minus(found.delta_ibc("trim-thr", source), theirs)
        paper, headline = world.paper.over(world.paper.takeover, home), "takeover" if home else ""
        yield Case("takeover", name, "TRIM-Thr", numbers, paper=paper, headline=headline)


def learned(world: World) -> Iterator[Case]:
    """Each router that looks ahead against TRIM-Thr; the headline: all of them, at home."""
    yield from _learned(world, "learned", "default")


def learned_hull(world: World) -> Iterator[Case]:
    """Likewise against the threshold on its hull, which the paper does not have."""
    yield from _learned(world, "learned-hull", "hull")


def _learned(world: World, claim: str, variant: str) -> Iterator[Case]:
    is_paper = variant == "default"
    for name, found in world.evidence.items():
        source, home = world.fitted_on(name), name == world.home
        reference = found.delta_ibc("trim-thr", source, variant)
        ours = present((router, found.delta_ibc(router, source)) for router in look_ahead())
        numbers = {router: number - reference for router, number in ours.items() if reference is not None}
        papers = {
            router: world.paper.over(world.paper.ahead(router), home) if is_paper else np.nan for router in look_ahead()
        }
        if home and is_paper:
            paper, method = float(np.nanmin([*papers.values()])), "Every look-ahead router"
            yield Case(claim, name, method, numbers, paper=paper, headline="learned")
        for router in look_ahead():
            yield Case(claim, name, label_of(router), only(numbers, router), paper=papers[router])


def noisy_prm(world: World) -> Iterator[Case]:
    """Routers fitted to a noisy PRM, against TRIM-Thr on its scores."""
    found = world.by_prm.get(world.noisy)
    for router in look_ahead():
        numbers, source = {}, world.fitted_on(world.home)
        if found is not None:
            numbers = minus(found.delta_ibc(router, source), {router: found.delta_ibc("trim-thr", source)})
        missing = NO_ROUTER if found else "no noisy PRM was evaluated"
        yield Case("noisy-prm", world.home, label_of(router), numbers, paper=world.paper.noisy(router), missing=missing)


def low_budget(world: World) -> Iterator[Case]:
    """Planning against learning at a low strong share."""
    yield _at_budget(world, "low-budget", "trim-pomdp", "trim-agg", LOW_BUDGET)


def high_budget(world: World) -> Iterator[Case]:
    """Learning against planning at a high strong share."""
    yield _at_budget(world, "high-budget", "trim-agg", "trim-pomdp", HIGH_BUDGET)


def _at_budget(world: World, claim: str, router: str, other: str, share: float) -> Case:
    found, source = world.evidence[world.home], world.fitted_on(world.home)
    numbers = minus(found.pgr(router, source, share), {router: found.pgr(other, source, share)})
    paper = world.paper.pgr(router, share) - world.paper.pgr(other, share)
    return Case(claim, world.home, label_of(router), numbers, paper=paper)


def no_refit(world: World) -> Iterator[Case]:
    """Variant `transferred`, which borrows the observation model of home, against all of it fitted on the dataset."""
    seen = False
    for name, found in world.others.items():
        if (ours := found.delta_ibc("trim-pomdp", name, "transferred")) is not None:
            whole = found.delta_ibc("trim-pomdp", name)
            numbers = {} if whole is None else {"trim-pomdp": ratio(ours, whole)}
            seen = True
            yield Case("no-refit", name, "TRIM-POMDP", numbers)
    if not seen:
        missing = "no TRIM-POMDP was fitted with the observation model of another dataset"
        yield Case("no-refit", "another dataset", "TRIM-POMDP", {}, missing=missing)


def oracle(world: World) -> Iterator[Case]:
    """TRIM-Thr against the upper edge of what knowing the outcome of whole problems can reach."""
    for name, found in world.evidence.items():
        source = world.fitted_on(name)
        theirs = {"oracle-query": found.delta_ibc("oracle-query", source, "cheapest-first")}
        yield Case("oracle", name, "TRIM-Thr", minus(found.delta_ibc("trim-thr", source), theirs))


def weak_prm(world: World) -> Iterator[Case]:
    """TRIM-POMDP in multiples of TRIM-Thr, where the PRM is weakest minus where it is strongest; by PRM likewise."""
    paper = world.paper.planning("aime") - world.paper.planning("math500")
    datasets = {name: (world.prm, name, found) for name, found in world.evidence.items()}
    yield _weakest_against_strongest(world, datasets, "{} than on {}", paper)
    if world.by_prm:
        prms = {prm: (prm, world.home, found) for prm, found in world.by_prm.items()}
        prms[world.prm] = (world.prm, world.home, world.evidence[world.home])
        yield _weakest_against_strongest(world, prms, f"{world.home} with PRM {{}} than with PRM {{}}", np.nan)


def _weakest_against_strongest(
    world: World, places: Mapping[str, tuple[str, str, Evidence]], between: str, paper: float
) -> Case:
    gains = {}
    for label, (prm, dataset, found) in places.items():
        source = world.fitted_on(dataset)
        planned, simple = found.delta_ibc("trim-pomdp", source), found.delta_ibc("trim-thr", source)
        if planned is not None and simple is not None and (prm, dataset) in world.auc:
            gains[label] = world.auc[prm, dataset], ratio(planned, simple)
    if len(gains) < 2:
        missing = "quality of the PRM and both routers are known at fewer than two places"
        return Case("weak-prm", between.format("one", "another"), "TRIM-POMDP", {}, paper=paper, missing=missing)
    (weak_auc, weak_gain), *_, (strong_auc, strong_gain) = ordered = sorted(gains.values(), key=lambda gain: gain[0])
    names = [next(label for label, gain in gains.items() if gain is it) for it in (ordered[0], ordered[-1])]
    note = (
        f"{weak_gain[0]:.2f} times TRIM-Thr where the AUC of the lowest score is {weak_auc:.2f}, "
        f"{strong_gain[0]:.2f} times where it is {strong_auc:.2f}."
    )
    numbers = {"trim-pomdp": weak_gain - strong_gain}
    return Case("weak-prm", between.format(*names), "TRIM-POMDP", numbers, paper=paper, note=note)


CLAIMS: Mapping[str, Callable[[World], Iterator[Case]]] = {
    "efficiency": efficiency,
    "five-fold": five_fold,
    "six-fold": six_fold,
    "match": match,
    "match-accuracy": match_accuracy,
    "transfer": transfer,
    "transfer-random": transfer_random,
    "transfer-threshold": transfer_threshold,
    "takeover": takeover,
    "learned": learned,
    "learned-hull": learned_hull,
    "noisy-prm": noisy_prm,
    "low-budget": low_budget,
    "high-budget": high_budget,
    "no-refit": no_refit,
    "oracle": oracle,
    "weak-prm": weak_prm,
}
