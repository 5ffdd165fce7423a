"""The algorithm of the paper on scripted models: who writes what, and what it costs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from trim.arrays import Booleans
from trim.errors import BackendError
from trim.models.protocols import CutSteps, FinishReason, ModelPair, Prefix, Score, Step
from trim.problems.problem import Problem
from trim.rollout.costs import COSTS, Costs, costs_of
from trim.rollout.engine import Episode, KeptStep, Run, path_of, solve, solve_all
from trim.rollout.engine import steps as steps_of
from trim.rollout.history import Observed, Reads, Router, WantsEveryDraft
from trim.routers.controls import RandomStep, StrongOnly, WeakOnly
from trim.routers.threshold import OneStepTakeover, Threshold

MakePair = Callable[[], ModelPair]
MakeProblems = Callable[[int], list[Problem]]
PROBLEM = Problem("p", "toy", "add", "7", "00000000")


@dataclass
class Script:
    """A model that writes given steps by position."""

    identity: str
    steps: list[Step]

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        return replace(self.steps[prefix.depth], prompt_tokens=100 * (prefix.depth + 1))


@dataclass
class Judge:
    """A scorer that knows a score for each text."""

    scores: dict[str, float]
    identity: str = "judge"

    async def score(self, prefix: Prefix, step: str) -> Score:
        return Score(self.scores[step], 1000 * (prefix.depth + 1))


def step(text: str, tokens: int, finish: FinishReason | None = None) -> Step:
    ended = FinishReason.SEPARATOR if text.endswith("\n\n") else FinishReason.END_OF_SEQUENCE
    return Step(text, tuple(range(tokens)), 0, finish or ended)


@dataclass(frozen=True)
class HistoryThreshold(WantsEveryDraft):
    """A threshold on the lowest score of the history and the draft."""

    threshold: float
    reads = Reads.HISTORY

    def decide(self, observed: Observed) -> Booleans:
        return np.minimum(observed.minimum, observed.score) < self.threshold


def toy_pair() -> ModelPair:
    weak = Script("weak", [step("w0\n\n", 3), step("w1\n\n", 5), step("\\boxed{7}", 4)])
    strong = Script("strong", [step("s0\n\n", 11), step("s1\n\n", 13), step("\\boxed{8}", 17)])
    scores = {"w0\n\n": 0.9, "w1\n\n": 0.2, "\\boxed{7}": 0.6, "s0\n\n": 0.3, "s1\n\n": 0.95}
    return ModelPair(weak, strong, Judge(scores))


def run(router, pair: ModelPair, max_steps: int = 30) -> Episode:
    return asyncio.run(solve(PROBLEM, router, pair, 0, max_steps))


def authors(episode: Episode) -> str:
    return "".join("ws"[kept.by_strong] for kept in episode.kept)


def test_a_draft_below_the_threshold_is_discarded_and_written_again() -> None:
    episode = run(Threshold(0.5), toy_pair())
    assert [kept.step.text for kept in episode.kept] == ["w0\n\n", "s1\n\n", "\\boxed{7}"]
    assert authors(episode) == "wsw"
    assert [kept.draft.text for kept in episode.kept if kept.draft] == ["w0\n\n", "w1\n\n", "\\boxed{7}"]
    assert [kept.draft_score.value for kept in episode.kept] == [0.9, 0.2, 0.6]
    assert [kept.score for kept in episode.kept] == [0.9, None, 0.6]  # nobody asked for the strong step's
    assert episode.answer == "7"
    assert episode.costs == Costs(
        strong_tokens=13,
        weak_tokens=3 + 4,
        discarded_tokens=5,
        prm_tokens=1000 + 2000 + 3000,
        strong_prefill_tokens=200,
        strong_calls=1,
        weak_calls=3,
        prm_calls=3,
        strong_input_tokens=200,
        weak_input_tokens=100 + 200 + 300,
        weak_cached_tokens=103 + 200,  # its kept draft, but not the discarded one
        prm_cached_tokens=1000 + 1995,
    )


def test_the_threshold_itself_is_kept() -> None:
    assert authors(run(Threshold(0.6), toy_pair())) == "wsw"
    assert authors(run(Threshold(0.6000001), toy_pair())) == "wss"


def test_a_router_of_the_history_sees_the_strong_steps_score_with_the_next_call() -> None:
    # s1 scores 0.95, so w0's 0.9 stays the lowest of the kept steps.
    episode = run(HistoryThreshold(0.5), toy_pair())
    assert authors(episode) == "wsw"
    assert [kept.score for kept in episode.kept] == [0.9, 0.95, 0.6]
    assert episode.costs.prm_tokens == 1000 + 2000 + 3000  # one call a draft, which returns both scores
    assert episode.costs.prm_calls == 3
    # s0 scores 0.3: from there on the history is below any higher threshold.
    episode = run(HistoryThreshold(0.95), toy_pair())
    assert authors(episode) == "sss"
    assert [kept.score for kept in episode.kept] == [0.3, 0.95, None]  # nobody decides after the last step
    assert episode.costs.prm_calls == 3


@pytest.mark.parametrize(("scored", "expected"), [(0, "sss"), (1, "wss"), (2, "wss"), (3, "wsw")])
def test_where_the_prm_fails_another_router_goes_on(scored: int, expected: str) -> None:
    class Failing:
        identity, left = "failing", scored

        async def score(self, prefix: Prefix, step: str) -> Score:
            self.left -= 1
            if self.left < 0:
                raise BackendError("the PRM is down")
            return await judge.score(prefix, step)

    pair = toy_pair()
    judge = pair.prm
    assert judge is not None
    episode = asyncio.run(_collected(replace(pair, prm=Failing()), StrongOnly()))
    assert authors(episode) == expected
    assert sum(kept.draft_score is not None for kept in episode.kept) == scored
    if scored < 3:
        with pytest.raises(BackendError, match="the PRM is down"):
            asyncio.run(_collected(replace(pair, prm=Failing()), None))


async def _collected(pair: ModelPair, without_prm: Router | None) -> Episode:
    kept = [step async for step in steps_of(PROBLEM, Threshold(0.5), pair, 0, 30, without_prm)]
    return Episode(PROBLEM, 0, tuple(kept))


def test_after_a_takeover_nothing_is_drafted_or_scored() -> None:
    episode = run(OneStepTakeover(0.5), toy_pair())
    assert authors(episode) == "wss"
    assert [kept.draft is None for kept in episode.kept] == [False, False, True]
    assert episode.answer == "8"
    assert episode.costs == Costs(
        strong_tokens=13 + 17,
        weak_tokens=3,
        discarded_tokens=5,
        prm_tokens=1000 + 2000,
        strong_prefill_tokens=200 + 300,
        strong_calls=2,
        weak_calls=2,
        prm_calls=2,
        strong_input_tokens=200,  # with nothing asked in between, both steps are one generation
        weak_input_tokens=100 + 200,
        weak_cached_tokens=103,
        prm_cached_tokens=1000,
    )


def test_what_a_model_reads_again_is_what_it_has_read_or_written() -> None:
    costs = run(Threshold(1.0), toy_pair()).costs  # sss, with a draft before each step
    assert costs.strong_input_tokens == costs.strong_prefill_tokens == 600
    assert (costs.strong_cached_tokens, costs.strong_cached_1024_tokens) == (111 + 213, 0)
    alone = run(StrongOnly(), toy_pair()).costs
    assert (alone.strong_prefill_tokens, alone.strong_input_tokens, alone.strong_cached_tokens) == (600, 100, 0)
    alone = run(WeakOnly(), toy_pair()).costs
    assert (alone.weak_input_tokens, alone.weak_cached_tokens) == (100, 0)


def test_prefixes_of_less_than_1024_tokens_are_not_cached_by_apis() -> None:
    steps = [step("s\n\n", tokens) for tokens in (823, 900, 1)]
    path = path_of(
        [KeptStep(replace(it, prompt_tokens=200 + 900 * i), True, 0.5, it, Score(0.5, 1)) for i, it in enumerate(steps)]
    )
    costs = costs_of(path)
    assert costs["strong_cached_tokens"] == 1023 + 2000
    assert costs["strong_cached_1024_tokens"] == 2000


@pytest.mark.parametrize(
    ("text", "finish", "is_final"),
    [
        ("w0\n\n", FinishReason.SEPARATOR, False),
        ("w0", FinishReason.END_OF_SEQUENCE, True),
        ("w0", FinishReason.LENGTH, True),
        ("\\boxed{7}\n\n", FinishReason.SEPARATOR, True),
        ("\\boxed{7\n\n", FinishReason.SEPARATOR, False),
    ],
)
def test_an_episode_ends_with_a_final_step(text: str, finish: FinishReason, is_final: bool) -> None:
    pair = toy_pair()
    pair.weak.steps[0] = step(text, 2, finish)
    episode = run(WeakOnly(), pair)
    assert len(episode.kept) == (1 if is_final else 3)
    assert episode.kept[0].step.is_final is is_final


def test_a_final_draft_that_is_discarded_ends_nothing() -> None:
    pair = toy_pair()
    pair.weak.steps[1] = step("\\boxed{3}", 6)
    pair.prm.scores["\\boxed{3}"] = 0.1
    episode = run(Threshold(0.5), pair)
    assert authors(episode) == "wsw"
    assert episode.answer == "7"


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_an_episode_ends_at_max_steps(limit: int) -> None:
    episode = run(WeakOnly(), toy_pair(), max_steps=limit)
    assert len(episode.kept) == limit
    assert episode.costs.weak_tokens == sum([3, 5, 4][:limit])
    assert episode.answer == ("7" if limit == 3 else None)


def test_a_router_that_reads_scores_needs_a_prm() -> None:
    pair = replace(toy_pair(), prm=None)
    assert authors(run(WeakOnly(), pair)) == "www"
    with pytest.raises(BackendError, match="no PRM"):
        run(Threshold(0.5), pair)


# --- many episodes of scripted models ---------------------------------------------------

ROUTERS = [
    WeakOnly(),
    StrongOnly(),
    RandomStep(0.4),
    OneStepTakeover(0.3),
    Threshold(0.3),
    Threshold(0.7),
    HistoryThreshold(0.3),
]


@pytest.mark.parametrize("router", ROUTERS, ids=lambda router: type(router).__name__)
def test_every_token_and_call_is_counted(router, scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    total = dict.fromkeys(COSTS, 0)
    pair = scripted_pair()
    for episode in solve_all([Run(p, router, r) for p in make_problems(20) for r in range(2)], pair, 5):
        kept = episode.kept
        weak, strong = ([k for k in kept if k.by_strong is by_strong] for by_strong in (False, True))
        assert all(k.step is k.draft and k.score == (k.draft_score and k.draft_score.value) for k in weak)
        audit = {
            "strong_tokens": sum(len(k.step.token_ids) for k in strong),
            "weak_tokens": sum(len(k.step.token_ids) for k in weak),
            "discarded_tokens": sum(len(k.draft.token_ids) for k in strong if k.draft),
            "strong_prefill_tokens": sum(k.step.prompt_tokens for k in strong),
            "strong_calls": len(strong),
            "weak_calls": sum(k.draft is not None for k in kept),
        }
        for name, value in audit.items():
            assert getattr(episode.costs, name) == value
        # The history is what the models were shown.
        prefix = Prefix.of(episode.problem.text)
        for k in kept:
            assert k.step.prompt_tokens == 10 + len(episode.problem.text) + 7 * prefix.depth
            prefix = prefix.extend(k.step.text)
        assert len(kept) == 5 or kept[-1].step.is_final
        assert not any(k.step.is_final for k in kept[:-1])
        for name in total:
            total[name] += getattr(episode.costs, name)
    assert total["weak_calls"] == len(pair.weak.calls)
    assert total["strong_calls"] == len(pair.strong.calls)
    # The score of a strong step comes with the next draft's, in one call.
    paid = [score for _, text, score in pair.prm.calls if not text.startswith("strong")]
    assert total["prm_calls"] == len(paid)
    assert total["prm_tokens"] == sum(score.prompt_tokens for score in paid)
    assert (total["prm_calls"] > 0) == (router.reads is not Reads.NOTHING)


@pytest.mark.parametrize(("threshold", "equal"), [(0.0, WeakOnly()), (1.000001, StrongOnly())])
def test_extreme_thresholds_are_the_models_alone(
    threshold: float, equal, scripted_pair: MakePair, make_problems: MakeProblems
) -> None:
    problems = make_problems(30)
    ours, alone = (
        [[k.step for k in e.kept] for e in solve_all([Run(p, router, 0) for p in problems], scripted_pair(), 30)]
        for router in (Threshold(threshold), equal)
    )
    assert ours == alone
    assert len({len(steps) for steps in alone}) > 2


def test_routers_that_reach_the_same_prefix_see_the_same_draft(
    scripted_pair: MakePair, make_problems: MakeProblems
) -> None:
    runs = [Run(p, Threshold(k), 0) for p in make_problems(30) for k in (0.2, 0.6)]
    episodes = solve_all(runs, scripted_pair(), 30)
    for low, high in zip(episodes[::2], episodes[1::2], strict=True):
        parted = next((i for i, (a, b) in enumerate(zip(authors(low), authors(high), strict=False)) if a != b), 99)
        shared = slice(0, parted + 1)
        assert [k.draft for k in low.kept[shared]] == [k.draft for k in high.kept[shared]]
    assert any(authors(a) != authors(b) for a, b in zip(episodes[::2], episodes[1::2], strict=True))


def test_episodes_come_back_in_the_order_of_the_runs_with_progress(
    scripted_pair: MakePair, make_problems: MakeProblems
) -> None:
    seen: list[tuple[int, int]] = []
    runs = [Run(p, WeakOnly(), r) for p in make_problems(15) for r in (0, 1)]
    episodes = solve_all(runs, scripted_pair(), 30, lambda done, total: seen.append((done, total)))
    assert [(e.problem, e.replicate) for e in episodes] == [(run.problem, run.replicate) for run in runs]
    assert seen == [(i + 1, 30) for i in range(30)]


def test_more_runs_than_places_are_all_solved(
    monkeypatch: pytest.MonkeyPatch, scripted_pair: MakePair, make_problems: MakeProblems
) -> None:
    runs = [Run(p, Threshold(0.5), 0) for p in make_problems(25)]
    free = solve_all(runs, scripted_pair(), 30)
    monkeypatch.setattr("trim.rollout.engine.CONCURRENT_EPISODES", 3)
    assert solve_all(runs, scripted_pair(), 30) == free


def test_an_error_of_a_model_is_reported_as_it_is(scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    class Failing:
        identity = "failing"

        async def step(self, prefix: Prefix, replicate: int) -> Step:
            raise BackendError("the server is gone")

    pair = replace(scripted_pair(), strong=Failing())
    with pytest.raises(BackendError, match="the server is gone"):
        solve_all([Run(p, Threshold(0.5), 0) for p in make_problems(10)], pair, 30)


def test_an_error_of_one_episode_takes_no_step_from_the_others(
    scripted_pair: MakePair, make_problems: MakeProblems
) -> None:
    problems = make_problems(10)

    class Strong:
        identity = "strong"
        written = 0

        async def step(self, prefix: Prefix, replicate: int) -> Step:
            if prefix.problem_text == problems[3].text:
                raise BackendError("a chat answer ended in an unknown way")
            await asyncio.sleep(0.01)  # under way when the error comes
            self.written += 1
            return step("\\boxed{1}", 3)

    strong = Strong()
    with pytest.raises(BackendError, match="ended in an unknown way"):
        solve_all([Run(problem, StrongOnly(), 0) for problem in problems], replace(scripted_pair(), strong=strong), 30)
    assert strong.written == 9


def test_a_step_that_is_cut_at_its_limit_does_not_end_the_solution() -> None:
    class Endless:
        identity = "endless"

        async def step(self, prefix: Prefix, replicate: int) -> Step:
            last = prefix.depth == 3
            return Step("\\boxed{1}" if last else "and so ", (1, 2), 5, FinishReason.LENGTH)

    problem = Problem("p", "d", "endless", "1", "00000000")
    for wrap, steps, answer in ((CutSteps, 4, "1"), (lambda model: model, 1, None)):
        pair = ModelPair(wrap(Endless()), Endless(), None)
        episode = solve_all([Run(problem, WeakOnly(), 0)], pair, 6)[0]
        assert (len(episode.kept), episode.answer) == (steps, answer)
