"""The paper's claims as statements about an experiment, each a number (or several) that must exceed a bar.

What is claimed, and where the bar lies, is in `data/published/claims.csv`; here is what is read for each claim.
`CLAIMS` has all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from trim.evaluation.bootstrap import Resampled
from trim.evaluation.claims.verdicts import ratio
from trim.evaluation.claims.world import (
    NO_GAP,
    NO_ROUTER,
    Case,
    World,
    baselines,
    best_baseline,
    cpt95,
    delta_ibc,
    metric,
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
BELOW_ORACLE = ("math500", "minerva")
"""Datasets on which the paper's thresholds stay below the oracle over whole problems too (Figure 2)."""
MINIMUM_AUC = "AUC of the minimum score, weak-only"
"""Quality of a PRM as the paper's Appendix H measures it."""


def efficiency(world: World) -> Iterator[Case]:
    """Stepwise against query-level, delta IBC, every baseline at once."""
    for name, found in world.evidence.items():
        source = world.fitted_on(name)
        numbers = minus(delta_ibc(found, THR, source), baselines(found, source))
        paper = world.paper.over(world.paper.ahead_of_baselines(THR), world.beside(name))
        yield Case("efficiency", name, "TRIM-Thr", numbers, paper=paper)


def five_fold(world: World) -> Iterator[Case]:
    """Multiples of the delta IBC of the baseline that is best on each resample."""
    yield _multiple(world, "five-fold", "arxiv-v1", "")


def reviewed_fold(world: World) -> Iterator[Case]:
    """Likewise against the multiple that the abstract on OpenReview names."""
    yield _multiple(world, "reviewed-fold", "openreview", "efficiency")


def _multiple(world: World, claim: str, version: str, headline: str) -> Case:
    found, source = world.evidence[world.main], world.fitted_on(world.main)
    ours, against = delta_ibc(found, THR, source), best_baseline(found, source)
    numbers, factors = {}, {}
    if ours is not None and against is not None:
        name, theirs = f"TRIM-Thr over {against[0]}", against[1]
        numbers, factors = {name: ratio(ours, theirs)}, {name: ratio(1 + ours, 1 + theirs)}
    return Case(
        claim,
        world.main,
        "TRIM-Thr",
        numbers,
        paper=world.paper.multiple(version, "math500"),
        headline=headline,
        factors=factors,
        paper_factor=(1 + world.paper.main["math500"][THR]) / (1 + world.paper.best_baseline("math500")),
    )


def six_fold(world: World) -> Iterator[Case]:
    """Best TRIM router, in multiples of the baseline that is best on each resample, where weak is weakest."""
    weak = {name: float(found.weak[0]) for name, found in world.evidence.items()}
    hardest = min(weak, key=weak.__getitem__)
    best = max(world.paper.main["aime"][router] for router in routers_of("trim") if router in world.paper.main["aime"])
    paper = world.paper.multiple("arxiv-v1", "aime")
    if hardest == world.main:
        missing = "no harder dataset was evaluated"
        yield Case("six-fold", "dataset", "One TRIM router", {}, paper=paper, missing=missing)
        return
    found, source = world.evidence[hardest], world.fitted_on(hardest)
    against = best_baseline(found, source)
    ours = present((router, delta_ibc(found, router, source)) for router in routers_of("trim"))
    numbers, factors = {}, {}
    if against:
        numbers = {router: ratio(number, against[1]) for router, number in ours.items()}
        factors = {router: ratio(1 + number, 1 + against[1]) for router, number in ours.items()}
    paper_factor = (1 + best) / (1 + world.paper.best_baseline("aime"))
    method = "One TRIM router"
    yield Case(
        "six-fold", hardest, method, numbers, any_of=True, paper=paper, factors=factors, paper_factor=paper_factor
    )


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
    alone: Mapping[str, Resampled]
    ahead: Mapping[str, Resampled]


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
    paper, missing = world.paper.over(world.paper.ahead_of_baselines("trim-agg"), "away"), _why_no_transfer(world)
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
    """TRIM-Thr, its thresholds chosen on one dataset, against baselines fitted there."""
    paper = world.paper.over(world.paper.ahead_of_baselines(THR), "away")
    method = f"TRIM-Thr, from {world.trained_on[0]},"
    for t in _transfers(world, [THR]):
        yield Case("transfer-threshold", t.dataset, method, t.ahead, paper=paper, missing=_why_no_transfer(world))


def takeover(world: World) -> Iterator[Case]:
    """Stepwise against the strong model writing all the rest, at the same thresholds."""
    for name, found in world.evidence.items():
        source, is_main = world.fitted_on(name), name == world.main
        theirs = {"one-step-takeover": delta_ibc(found, "one-step-takeover", source)}
        numbers = minus(delta_ibc(found, THR, source), theirs)
        paper, headline = world.paper.over(world.paper.takeover, world.beside(name)), "takeover" if is_main else ""
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
        numbers = _ahead_of_threshold(found, source, variant)
        papers = {
            router: world.paper.over(world.paper.ahead(router), world.beside(name)) if is_paper else np.nan
            for router in look_ahead()
        }
        if is_main and is_paper:
            paper, method = float(np.nanmin([*papers.values()])), "Every look-ahead router"
            yield Case(claim, name, method, numbers, paper=paper, headline="learned")
        for router in look_ahead():
            yield Case(claim, name, label_of(router), only(numbers, router), paper=papers[router])


def _ahead_of_threshold(found: Study, source: str, variant: str = "default") -> dict[str, Resampled]:
    """Delta IBC of each router that looks ahead minus that of the threshold."""
    reference = delta_ibc(found, THR, source, variant)
    ours = present((router, delta_ibc(found, router, source)) for router in look_ahead())
    return {router: number - reference for router, number in ours.items() if reference is not None}


def learned_prm(world: World) -> Iterator[Case]:
    """Ask the headline of `learned` with every other PRM, from the weakest to the best: what its verdict depends on."""
    source = world.fitted_on(world.main)
    ahead = {prm: _ahead_of_threshold(found, source) for prm, found in world.by_prm.items()}
    quality = {prm: world.auc.get((prm, world.main), np.nan) for prm in ahead if ahead[prm]}
    for prm in sorted(quality, key=lambda prm: (quality[prm], prm)):
        numbers = ahead[prm]
        where, method = f"{world.main} with PRM {prm}", "Every look-ahead router"
        yield Case("learned-prm", where, method, numbers, prm=world.routing(prm, world.main))
    if not quality:
        missing = "no other PRM was evaluated"
        yield Case("learned-prm", f"{world.main} with another PRM", "Every look-ahead router", {}, missing=missing)


def learned_cpt80(world: World) -> Iterator[Case]:
    """Strong share at which TRIM-Thr recovers 80 % of the gap, minus that of each router that looks ahead."""
    yield from _cheaper(world, "learned-cpt80", "cpt80")


def learned_cpt95(world: World) -> Iterator[Case]:
    """Likewise at 95 % of the gap."""
    yield from _cheaper(world, "learned-cpt95", "cpt95")


def _cheaper(world: World, claim: str, cpt: str) -> Iterator[Case]:
    undefined = f"neither side reaches the level, or {NO_GAP},"
    for name, found in world.evidence.items():
        source = world.fitted_on(name)
        reference = metric(found, cpt, THR, source, "default")
        for router in look_ahead():
            numbers = minus(reference, {router: metric(found, cpt, router, source)})
            paper = world.paper.over(world.paper.cheaper(router, cpt), world.beside(name))
            yield Case(claim, name, label_of(router), numbers, paper=paper, undefined=undefined)


def learned_budget(world: World) -> Iterator[Case]:
    """Accuracy of each router that looks ahead minus that of TRIM-Thr, at every share at which routers are compared."""
    found, source = world.evidence[world.main], world.fitted_on(world.main)
    for router in look_ahead():
        for share in world.shares:
            ahead = minus(pgr(found, router, source, share), {router: pgr(found, THR, source, share)})
            numbers = {name: number * (found.strong - found.weak) for name, number in ahead.items()}
            paper = (world.paper.pgr(router, share) - world.paper.pgr(THR, share)) * world.paper.gap
            yield Case("learned-budget", world.main, f"{label_of(router)} at {share:.0%}", numbers, paper=paper)


def noisy_prm(world: World) -> Iterator[Case]:
    """Routers fitted to a noisy PRM, against TRIM-Thr on its scores."""
    found = world.by_prm.get(world.noisy)
    for router in look_ahead():
        numbers, source = {}, world.fitted_on(world.main)
        if found is not None:
            numbers = minus(delta_ibc(found, router, source), {router: delta_ibc(found, THR, source)})
        missing, paper = NO_ROUTER if found else "no noisy PRM was evaluated", world.paper.noisy(router)
        prm = f"PRM {world.noisy}" if found else ""
        yield Case("noisy-prm", world.main, label_of(router), numbers, paper=paper, missing=missing, prm=prm)


def low_budget(world: World) -> Iterator[Case]:
    """Planning against learning at a low strong share."""
    yield _at_budget(world, "low-budget", "trim-pomdp", "trim-agg", LOW_BUDGET)


def high_budget(world: World) -> Iterator[Case]:
    """Learning against planning at a high strong share."""
    yield _at_budget(world, "high-budget", "trim-agg", "trim-pomdp", HIGH_BUDGET)


def _at_budget(world: World, claim: str, router: str, other: str, share: float) -> Case:
    found, source = world.evidence[world.main], world.fitted_on(world.main)
    apart = minus(pgr(found, router, source, share), {router: pgr(found, other, source, share)})
    numbers = {f"{router} minus {other}": number for number in apart.values()}
    paper = world.paper.pgr(router, share) - world.paper.pgr(other, share)
    return Case(claim, world.main, label_of(router), numbers, paper=paper)


def no_refit(world: World) -> Iterator[Case]:
    """Variant `transferred`, with the main dataset's observation model, against all of it fitted on the dataset.

    The paper keeps the observation model for another pair of models; here the pair stays, and the dataset changes.
    """
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
        if name in BELOW_ORACLE:
            continue  # nothing the paper says is at stake there
        source = world.fitted_on(name)
        theirs = {"oracle-query": delta_ibc(found, "oracle-query", source, "cheapest-first")}
        yield Case("oracle", name, "TRIM-Thr", minus(delta_ibc(found, THR, source), theirs))


def weak_prm(world: World) -> Iterator[Case]:
    """TRIM-POMDP in multiples of TRIM-Thr, with the weakest PRM minus with the strongest, on the main dataset.

    PRMs are ranked by how well they tell right steps. Datasets are not compared, nor answers: where these come out
    right by luck, the AUC for answers is low with as good a PRM.
    """
    source, paper = world.fitted_on(world.main), world.paper.planning("aime") - world.paper.planning("math500")
    gains = {}
    for prm, found in {**world.by_prm, world.prm: world.evidence[world.main]}.items():
        planned, simple = delta_ibc(found, "trim-pomdp", source), delta_ibc(found, THR, source)
        if planned is not None and simple is not None and prm in world.step_auc:
            gains[prm] = world.step_auc[prm], ratio(planned, simple)
    if len(gains) < 2:
        missing = "step AUC and both routers are known with fewer than two PRMs"
        where = f"{world.main} with one PRM than with another"
        yield Case("weak-prm", where, "TRIM-POMDP", {}, paper=paper, missing=missing)
        return
    weak, strong = (end(gains, key=lambda prm: gains[prm][0]) for end in (min, max))
    (weak_auc, weak_gain), (strong_auc, strong_gain) = gains[weak], gains[strong]
    note = (
        f"{weak_gain[0]:.2f} times TRIM-Thr where the step AUC is {weak_auc:.2f}, "
        f"{strong_gain[0]:.2f} times where it is {strong_auc:.2f}."
    )
    numbers = {"trim-pomdp": weak_gain - strong_gain}
    where, both = f"{world.main} with PRM {weak} than with PRM {strong}", f"PRMs {weak} and {strong}"
    yield Case("weak-prm", where, "TRIM-POMDP", numbers, paper=paper, note=note, prm=both)


CLAIMS: Mapping[str, Callable[[World], Iterator[Case]]] = {
    "efficiency": efficiency,
    "reviewed-fold": reviewed_fold,
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
    "learned-prm": learned_prm,
    "learned-cpt80": learned_cpt80,
    "learned-cpt95": learned_cpt95,
    "learned-budget": learned_budget,
    "noisy-prm": noisy_prm,
    "low-budget": low_budget,
    "high-budget": high_budget,
    "no-refit": no_refit,
    "oracle": oracle,
    "weak-prm": weak_prm,
}
