"""The paper's claims as statements about an experiment, each a number (or several) that must exceed a bar.

What is claimed, and where the bar lies, is in `data/published/claims.csv`; here is what is read for each claim.
`CLAIMS` has all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from trim.evaluation.bootstrap import Number
from trim.evaluation.claims.verdicts import ratio
from trim.evaluation.claims.world import (
    NO_ROUTER,
    Case,
    World,
    baselines,
    best_baseline,
    cpt95,
    delta_ibc,
    minus,
    only,
    pgr,
    present,
)
from trim.evaluation.study import Study
from trim.names import THR, label_of, look_ahead, routers_of

FEWER_TOKENS = 0.2
"""Strong share of the claim that 80 % of the strong tokens can be saved."""

LOW_BUDGET, HIGH_BUDGET = 0.05, 0.3
"""Strong shares at which budgets are called low and high: the paper names none. At 10 % its own budgeted accuracies
have TRIM-Agg ahead of TRIM-POMDP already."""

ORACLE = "first-error-oracle"
MINIMUM_AUC = "AUC of the minimum score, weak-only"
"""Quality of a PRM as the paper's Appendix H measures it."""


def efficiency(world: World) -> Iterator[Case]:
    """Stepwise against query-level, delta IBC, every baseline at once."""
    for name, found in world.evidence.items():
        source = world.fitted_on(name)
        numbers = minus(delta_ibc(found, THR, source), baselines(found, source))
        paper = world.paper.over(world.paper.ahead_of_baselines(THR), name == world.main)
        yield Case("efficiency", name, "TRIM-Thr", numbers, paper=paper)


def five_fold(world: World) -> Iterator[Case]:
    """Multiples of the delta IBC of the baseline that is best on each resample."""
    found, source = world.evidence[world.main], world.fitted_on(world.main)
    ours, against = delta_ibc(found, THR, source), best_baseline(found, source)
    theirs, best = world.paper.main["math500"][THR], world.paper.best_baseline("math500")
    numbers, note = {}, ""
    if ours is not None and against is not None:
        name, number = against
        numbers = {f"TRIM-Thr over {name}": ratio(ours, number)}
        note = (
            f"In accuracy per strong token (1 + delta IBC) that is a factor of {(1 + ours[0]) / (1 + number[0]):.1f}, "
            f"in the paper {(1 + theirs) / (1 + best):.1f}."
        )
    yield Case("five-fold", world.main, "TRIM-Thr", numbers, paper=theirs / best, headline="efficiency", note=note)


def six_fold(world: World) -> Iterator[Case]:
    """Best TRIM router, in multiples of the baseline that is best on each resample, where weak is weakest."""
    weak = {name: float(found.weak[0]) for name, found in world.evidence.items()}
    hardest = min(weak, key=weak.__getitem__)
    best = max(world.paper.main["aime"][router] for router in routers_of("trim") if router in world.paper.main["aime"])
    paper = best / world.paper.best_baseline("aime")
    if hardest == world.main:
        missing = "no harder dataset was evaluated"
        yield Case("six-fold", "dataset", "One TRIM router", {}, paper=paper, missing=missing)
        return
    found, source = world.evidence[hardest], world.fitted_on(hardest)
    against = best_baseline(found, source)
    ours = present((router, delta_ibc(found, router, source)) for router in routers_of("trim"))
    numbers = {router: ratio(number, against[1]) for router, number in ours.items()} if against else {}
    yield Case("six-fold", hardest, "One TRIM router", numbers, any_of=True, paper=paper)


def match(world: World) -> Iterator[Case]:
    """PGR at the strong share that is left, router by router; the headline asks for one of them."""
    found, source, claim = world.evidence[world.main], world.fitted_on(world.main), "match"
    numbers = present((router, pgr(found, router, source, FEWER_TOKENS)) for router in look_ahead())
    papers = {router: world.paper.pgr(router, FEWER_TOKENS) for router in look_ahead()}
    method, paper = "One look-ahead router", float(np.nanmax([*papers.values()]))
    reached = [f"{router} recovers 95% {cpt95(found, router, source)}" for router in numbers]
    if found.find(ORACLE, trained_on=source):
        reached.append(f"the first-error oracle {cpt95(found, ORACLE, source)}")
    note = "; ".join(reached) + " of the strong tokens."
    yield Case(claim, world.main, method, numbers, any_of=True, paper=paper, headline="tokens", note=note)
    for router in look_ahead():
        yield Case(claim, world.main, label_of(router), only(numbers, router), paper=papers[router])


def match_accuracy(world: World) -> Iterator[Case]:
    """Accuracy at that share minus the strong model's own."""
    found, source = world.evidence[world.main], world.fitted_on(world.main)
    for router in look_ahead():
        at_share = pgr(found, router, source, FEWER_TOKENS)
        numbers = {} if at_share is None else {router: (at_share - 1) * (found.strong - found.weak)}
        paper = (world.paper.pgr(router, FEWER_TOKENS) - 1) * world.paper.gap
        yield Case("match-accuracy", world.main, label_of(router), numbers, paper=paper)


@dataclass(frozen=True)
class Transfer:
    """Routers of the first dataset on another one: their delta IBC, and it minus that of each baseline from there."""

    dataset: str
    alone: Mapping[str, Number]
    ahead: Mapping[str, Number]


def _transfers(world: World, routers: Iterable[str]) -> list[Transfer]:
    source, names, transfers = world.trained_on[0], list(routers), []
    for name, found in world.others.items():
        ours = present((router, delta_ibc(found, router, source)) for router in names)
        theirs = baselines(found, source).items()
        ahead = {f"{r} minus {b}": number - other for r, number in ours.items() for b, other in theirs}
        transfers.append(Transfer(name, ours, ahead))
    return transfers or [Transfer("another dataset", {}, {})]


def _why_no_transfer(world: World) -> str:
    return NO_ROUTER if world.others else "no other dataset was evaluated"


def transfer(world: World) -> Iterator[Case]:
    """Routers fitted on one dataset against baselines fitted there, on each other one; the headline: on all of them."""
    claim, method = "transfer", f"Every look-ahead router, from {world.trained_on[0]},"
    paper, missing = (
        world.paper.over(world.paper.ahead_of_baselines("trim-agg"), on_math500=False),
        _why_no_transfer(world),
    )
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
    paper = world.paper.over(world.paper.ahead_of_baselines(THR), on_math500=False)
    method = f"TRIM-Thr, from {world.trained_on[0]},"
    for t in _transfers(world, [THR]):
        yield Case("transfer-threshold", t.dataset, method, t.ahead, paper=paper, missing=_why_no_transfer(world))


def takeover(world: World) -> Iterator[Case]:
    """Stepwise against the strong model writing all the rest, at the same thresholds."""
    for name, found in world.evidence.items():
        source, is_main = world.fitted_on(name), name == world.main
        theirs = {"one-step-takeover": delta_ibc(found, "one-step-takeover", source)}
        numbers = minus(delta_ibc(found, THR, source), theirs)
        paper, headline = world.paper.over(world.paper.takeover, is_main), "takeover" if is_main else ""
        yield Case("takeover", name, "TRIM-Thr", numbers, paper=paper, headline=headline)


def learned(world: World) -> Iterator[Case]:
    """Each router that looks ahead against TRIM-Thr; the headline: all of them, on the main dataset."""
    yield from _learned(world, "learned", "default")


def learned_hull(world: World) -> Iterator[Case]:
    """Likewise against the threshold on its hull, which the paper does not have."""
    yield from _learned(world, "learned-hull", "hull")


def _learned(world: World, claim: str, variant: str) -> Iterator[Case]:
    is_paper = variant == "default"
    for name, found in world.evidence.items():
        source, is_main = world.fitted_on(name), name == world.main
        reference = delta_ibc(found, THR, source, variant)
        ours = present((router, delta_ibc(found, router, source)) for router in look_ahead())
        numbers = {router: number - reference for router, number in ours.items() if reference is not None}
        papers = {
            router: world.paper.over(world.paper.ahead(router), is_main) if is_paper else np.nan
            for router in look_ahead()
        }
        if is_main and is_paper:
            paper, method = float(np.nanmin([*papers.values()])), "Every look-ahead router"
            yield Case(claim, name, method, numbers, paper=paper, headline="learned")
        for router in look_ahead():
            yield Case(claim, name, label_of(router), only(numbers, router), paper=papers[router])


def noisy_prm(world: World) -> Iterator[Case]:
    """Routers fitted to a noisy PRM, against TRIM-Thr on its scores."""
    found = world.by_prm.get(world.noisy)
    for router in look_ahead():
        numbers, source = {}, world.fitted_on(world.main)
        if found is not None:
            numbers = minus(delta_ibc(found, router, source), {router: delta_ibc(found, THR, source)})
        missing = NO_ROUTER if found else "no noisy PRM was evaluated"
        yield Case("noisy-prm", world.main, label_of(router), numbers, paper=world.paper.noisy(router), missing=missing)


def low_budget(world: World) -> Iterator[Case]:
    """Planning against learning at a low strong share."""
    yield _at_budget(world, "low-budget", "trim-pomdp", "trim-agg", LOW_BUDGET)


def high_budget(world: World) -> Iterator[Case]:
    """Learning against planning at a high strong share."""
    yield _at_budget(world, "high-budget", "trim-agg", "trim-pomdp", HIGH_BUDGET)


def _at_budget(world: World, claim: str, router: str, other: str, share: float) -> Case:
    found, source = world.evidence[world.main], world.fitted_on(world.main)
    numbers = minus(pgr(found, router, source, share), {router: pgr(found, other, source, share)})
    paper = world.paper.pgr(router, share) - world.paper.pgr(other, share)
    return Case(claim, world.main, label_of(router), numbers, paper=paper)


def no_refit(world: World) -> Iterator[Case]:
    """Variant `transferred`, with the main dataset's observation model, against all of it fitted on the dataset."""
    seen = False
    for name, found in world.others.items():
        if (ours := delta_ibc(found, "trim-pomdp", name, "transferred")) is not None:
            whole = delta_ibc(found, "trim-pomdp", name)
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
        theirs = {"oracle-query": delta_ibc(found, "oracle-query", source, "cheapest-first")}
        yield Case("oracle", name, "TRIM-Thr", minus(delta_ibc(found, THR, source), theirs))


def weak_prm(world: World) -> Iterator[Case]:
    """TRIM-POMDP in multiples of TRIM-Thr, where the PRM is weakest minus where it is strongest; by PRM likewise."""
    paper = world.paper.planning("aime") - world.paper.planning("math500")
    datasets = {name: (world.prm, name, found) for name, found in world.evidence.items()}
    yield _weakest_against_strongest(world, datasets, "{} than on {}", paper)
    if world.by_prm:
        prms = {prm: (prm, world.main, found) for prm, found in world.by_prm.items()}
        prms[world.prm] = (world.prm, world.main, world.evidence[world.main])
        yield _weakest_against_strongest(world, prms, f"{world.main} with PRM {{}} than with PRM {{}}", np.nan)


def _weakest_against_strongest(
    world: World, places: Mapping[str, tuple[str, str, Study]], between: str, paper: float
) -> Case:
    gains = {}
    for label, (prm, dataset, found) in places.items():
        source = world.fitted_on(dataset)
        planned, simple = delta_ibc(found, "trim-pomdp", source), delta_ibc(found, THR, source)
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
