"""Whatever a router decides by: the engine, the vectorised rollout and the explorer's traces agree on its episodes.

They share the code of histories and costs, so an episode's steps also tell, without that code, what its router saw
and what it cost.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trim.arrays import Booleans
from trim.explorer.traces import trace
from trim.models.protocols import ModelPair, Prefix, Step, StepModel
from trim.problems.problem import Problem
from trim.rollout.costs import COSTS, Costs
from trim.rollout.engine import Episode, Run, solve_all
from trim.rollout.history import Observed, Reads, Router
from trim.rollout.trees import ENDS, KEEP, REGENERATE, RolloutTrees
from trim.rollout.vectorised import Rollout, roll_out_all
from trim.routers.controls import StrongOnly, WeakOnly


@dataclass(frozen=True)
class AnyRouter:
    """Decides by a hash of all that it may look at: one that sees anything else decides otherwise."""

    seed: int
    share: float
    reads: Reads
    wanted: tuple[bool, bool]  # whether drafts are wanted after the weak model's steps, and after the strong one's

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        return np.array(self.wanted)[after_strong.astype(int)]

    def decide(self, observed: Observed) -> Booleans:
        rows = enumerate(observed.places.prefixes())
        return np.array([self.regenerates(self._sight(observed, row, *place)) for row, place in rows])

    def regenerates(self, sight: list) -> bool:
        return random.Random(f"{self.seed} {sight}").random() < self.share

    def _sight(self, observed: Observed, row: int, prefix: Prefix, replicate: int) -> list:
        """Write down what may be seen of one history; columns after `position` mean nothing."""
        position = int(observed.position[row])
        seen = [prefix.digest, replicate, position, bool(observed.final[row]), int(observed.draft_tokens[row])]
        columns = [observed.tokens, observed.strong, observed.ending]
        if self.reads is not Reads.NOTHING:
            seen.append(float(observed.score[row]))
            columns.append(observed.draft_scores)
        if self.reads is Reads.HISTORY:
            seen += [float(observed.minimum[row]), float(observed.product[row])]
            columns.append(observed.scores)
        return [*seen, *(column[row, : position + 1].tolist() for column in columns)]


def sight_of(episode: Episode, position: int, reads: Reads, max_steps: int) -> list:
    """Write down, from the steps of an episode, what its router may have seen before it decided on one of them."""
    past, now = episode.kept[:position], episode.kept[position]
    digest = Prefix.of(episode.problem.text, *(kept.step.text for kept in past)).digest
    final = now.draft.is_final or position + 1 == max_steps
    seen = [digest, episode.replicate, position, final, now.draft.tokens]
    columns = [
        [*(kept.step.tokens for kept in past), now.draft.tokens],
        [*(kept.by_strong for kept in past), False],
        [*[False] * position, final],
    ]
    if reads is not Reads.NOTHING:
        seen.append(now.draft_score.value)
        columns.append([kept.draft_score.value if kept.draft else math.nan for kept in (*past, now)])
    if reads is Reads.HISTORY:
        scores = [kept.score for kept in past]
        seen += [min(scores, default=1.0), math.prod(scores, start=1.0)]
        columns.append([*scores, now.draft_score.value])
    return [*seen, *columns]


def check_decisions(episode: Episode, router: AnyRouter, max_steps: int) -> None:
    """Decide again: whether a draft was wanted, and whether it was kept."""
    by_strong = False
    for position, kept in enumerate(episode.kept):
        assert (kept.draft is not None) == router.wanted[by_strong]
        by_strong = kept.by_strong
        if kept.draft:
            assert by_strong == router.regenerates(sight_of(episode, position, router.reads, max_steps))
        else:
            assert by_strong


def counted(episode: Episode) -> Costs:
    """Count the costs of an episode step by step."""
    strong = [kept.step for kept in episode.kept if kept.by_strong]
    drafts = [kept.draft for kept in episode.kept if kept.draft]
    scores = [kept.draft_score for kept in episode.kept if kept.draft_score]
    discarded = [kept.draft for kept in episode.kept if kept.draft and kept.by_strong]
    return Costs(
        strong_tokens=sum(step.tokens for step in strong),
        weak_tokens=sum(step.tokens for step in drafts) - sum(step.tokens for step in discarded),
        discarded_tokens=sum(step.tokens for step in discarded),
        prm_tokens=sum(score.prompt_tokens for score in scores),
        strong_prefill_tokens=sum(step.prompt_tokens for step in strong),
        strong_calls=len(strong),
        weak_calls=len(drafts),
        prm_calls=len(scores),
        **read(episode),
    )


def read(episode: Episode) -> dict[str, int]:
    """Count what models read, and of it what they know, step by step."""
    known = {"strong": 0, "weak": 0, "prm": 0}
    found = dict.fromkeys(list(Costs.__dataclass_fields__)[8:], 0)

    def call(who: str, tokens: int, left: int, starts: bool = True) -> None:
        cached = min(known[who], tokens)
        known[who] = max(known[who], left)
        if starts:
            if who != "prm":
                found[f"{who}_input_tokens"] += tokens
            found[f"{who}_cached_tokens"] += cached
            if who == "strong" and cached >= 1024:
                found["strong_cached_1024_tokens"] += cached

    before = None
    for kept in episode.kept:
        if (draft := kept.draft) is not None:
            goes_on = before is not None and not before.by_strong and before.draft_score is None
            call("weak", draft.prompt_tokens, draft.prompt_tokens + (not kept.by_strong) * draft.tokens, not goes_on)
        if (score := kept.draft_score) is not None and draft is not None:
            call("prm", score.prompt_tokens, score.prompt_tokens - kept.by_strong * draft.tokens)
        if kept.by_strong:
            goes_on = before is not None and before.by_strong and draft is None
            call("strong", kept.step.prompt_tokens, kept.step.prompt_tokens + kept.step.tokens, not goes_on)
        before = kept
    return found


@dataclass(frozen=True)
class Agreeing:
    """Writes now and then what another model writes, in more tokens; its prompts are longer, too."""

    own: StepModel
    other: StepModel
    identity: str = "agreeing"

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        step = await (self.own if prefix.digest[0] % 3 else self.other).step(prefix, replicate)
        return replace(step, token_ids=(*step.token_ids, 0), prompt_tokens=2 * step.prompt_tokens)


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return answer == problem.answer, answer is not None


@dataclass(frozen=True)
class Solved:
    """What is compared of an episode; `authors` is a letter a step, scores are None where nobody asked for them."""

    texts: list[str]
    authors: str
    answer: str | None
    verdict: tuple[bool, bool]
    scores: list[float | None]
    costs: dict[str, int]


def of_engine(episode: Episode) -> Solved:
    return Solved(
        [kept.step.text for kept in episode.kept],
        "".join("ws"[kept.by_strong] for kept in episode.kept),
        episode.answer,
        judge(episode.answer, episode.problem),
        [kept.score for kept in episode.kept],
        asdict(episode.costs),
    )


def of_rollout(trees: RolloutTrees, rollout: Rollout, tree: int, reads: Reads) -> Solved:
    """Read an episode off its tree, along what the rollout says of who wrote the steps."""
    node, texts, scores = int(trees.roots()[tree]), [], []
    strong = rollout.strong[tree, : rollout.steps[tree]].tolist()
    for action in map(int, strong):
        last, score = (node, action), float(trees.nodes["score"][node, action])
        unread = reads is Reads.NOTHING or (action == REGENERATE and (reads is Reads.DRAFT or np.isnan(score)))
        scores.append(None if unread else score)
        texts.append(trees.text(node, action))
        node = int(trees.nodes["child"][node, action])
    assert (node, last) == (ENDS, (rollout.last[tree], rollout.action[tree]))
    return Solved(
        texts,
        "".join("ws"[by_strong] for by_strong in strong),
        trees.answer(*last),
        (trees.nodes["correct_strict"][last], trees.nodes["correct"][last]),
        scores,
        {name: int(getattr(rollout, name)[tree]) for name in COSTS},
    )


def check_traces(trees: RolloutTrees, routers: Sequence[Router], solved: Sequence[Sequence[Solved]]) -> None:
    """Compare traces with the episodes of each router, in rollout trees that are known wherever one of them goes.

    The explorer follows routers that want every draft, and both models alone: the first two of the routers here.
    """
    always = [i for i, router in enumerate(routers) if router.wants_drafts(np.array([False, True])).all()]
    trees.pair = None
    traces = trace(trees, np.arange(len(trees.roots())), [routers[i] for i in always])
    for column, router in enumerate([*always, 0, 1]):
        alone = column >= len(always)
        for tree, episode in enumerate(solved[router]):
            state, texts, authors = tree, [], ""
            while state >= 0:
                assert alone or traces.drafted[state]
                action = (KEEP, REGENERATE)[router] if alone else int(traces.decisions[state, column])
                texts.append(trees.text(int(traces.node[state]), action))
                authors += "ws"[action]
                state = int(traces.child[state, action])
            assert (state, texts, authors) == (ENDS, episode.texts, episode.authors)
            assert traces.correct[tree, column] == episode.verdict[1]


ROUTERS = st.builds(
    AnyRouter,
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.5, 0.2, 0.8]),
    reads=st.sampled_from([Reads.HISTORY, Reads.DRAFT, Reads.NOTHING]),
    wanted=st.sampled_from([(True, True), (True, False), (False, True), (False, False)]),
)


@settings(max_examples=100)
@given(
    drawn=st.lists(ROUTERS, min_size=1, max_size=3),
    replicates=st.integers(1, 3),
    max_steps=st.sampled_from(range(8, 0, -1)),
    first_problem=st.integers(0, 20),
    episodes_at_a_time=st.sampled_from([1 << 16, 8, 1]),
)
def test_engine_rollouts_and_traces_agree_on_every_episode(
    scripted_pair, make_problems, drawn, replicates, max_steps, first_problem, episodes_at_a_time
) -> None:
    pair = scripted_pair()
    pair = ModelPair(pair.weak, Agreeing(pair.strong, pair.weak), pair.prm)
    problems = make_problems(first_problem + 6)[first_problem:]
    trees = RolloutTrees(problems, replicates, max_steps, judge, pair)
    routers, solved = [WeakOnly(), StrongOnly(), *drawn], []
    with patch("trim.rollout.vectorised.EPISODES_AT_A_TIME", episodes_at_a_time):
        rollouts = roll_out_all(trees, routers)
    for router, rollout in zip(routers, rollouts, strict=True):
        models = replace(pair, prm=None) if router.reads is Reads.NOTHING else pair  # nobody reads: none is needed
        runs = [Run(problem, router, replicate) for problem in problems for replicate in range(replicates)]
        episodes = solve_all(runs, models, max_steps)
        solved.append([of_engine(episode) for episode in episodes])
        assert [of_rollout(trees, rollout, tree, router.reads) for tree in range(len(runs))] == solved[-1]
        assert [counted(episode) for episode in episodes] == [episode.costs for episode in episodes]
        for episode in episodes if router in drawn else ():
            check_decisions(episode, router, max_steps)
    check_traces(trees, routers, solved)
