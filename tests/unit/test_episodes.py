"""Episodes and scored steps as tables."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from trim.files import write_parquet
from trim.models.protocols import FinishReason, ModelPair, Prefix, Score, Step
from trim.problems.grading import Grader, judge
from trim.problems.problem import Problem
from trim.rollout.costs import Costs
from trim.rollout.engine import Episode, KeptStep
from trim.rollout.tables import OperatingPoint, episode_table, run_points, score_steps, score_table, step_table
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.threshold import Threshold

MakePair = Callable[[], ModelPair]
MakeProblems = Callable[[int], list[Problem]]
POINTS = [
    OperatingPoint("weak-only", "default", 0.0, WeakOnly()),
    OperatingPoint("trim-thr", "default", 0.4, Threshold(0.4)),
    OperatingPoint("trim-thr", "hull", 0.7, Threshold(0.7)),
    OperatingPoint("strong-only", "default", 1.0, StrongOnly()),
]


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


W, S = False, True
DISCARDED = Step("no\n\n", tuple(range(7)), 0, FinishReason.SEPARATOR)


def episode(answer: str, *written: tuple[str, bool], text: str = "5 a+1 b*3?") -> Episode:
    """Build an episode from texts and from whether the strong model wrote them; the last one ends it."""
    kept = []
    for i, (step_text, by_strong) in enumerate(written):
        finish = FinishReason.END_OF_SEQUENCE if i == len(written) - 1 else FinishReason.SEPARATOR
        step = Step(step_text, tuple(range(3 + i)), 10 + i, finish)
        kept.append(KeptStep(step, by_strong, 0.5, DISCARDED if by_strong else step, Score(0.5, 100 + i)))
    return Episode(Problem("p-7", "arith", text, answer, "00000000"), 1, tuple(kept))


def test_every_problem_is_solved_at_every_point_in_every_replicate(
    scripted_pair: MakePair, make_problems: MakeProblems
) -> None:
    problems = make_problems(5)
    results = run_points(POINTS, problems, scripted_pair(), 2, 30)
    found = [(point, e.problem, e.replicate) for point, e in results]
    assert found == [(point, p, r) for p in problems for r in (0, 1) for point in POINTS]
    assert all(not k.by_strong for point, e in results if point is POINTS[0] for k in e.kept)
    assert all(k.by_strong for point, e in results if point is POINTS[3] for k in e.kept)


def test_a_row_an_episode(grader: Grader) -> None:
    right = episode("18", ("a:5+1=6\n\n", W), ("b:6*3=18\n\n", S), ("\\boxed{18}", W))
    wrong = episode("18", ("a:5+1=6\n\n", W), ("\\boxed{6}", W))
    none = episode("18", ("a:5+1=6\n\n", S))
    table = episode_table([(POINTS[2], right), (POINTS[0], wrong), (POINTS[0], none)], grader, exact=True)
    assert table.loc[0].to_dict() == {
        "dataset": "arith",
        "router": "trim-thr",
        "variant": "hull",
        "seed": 0,
        "operating_point": 0.7,
        "problem_id": "p-7",
        "replicate": 1,
        "correct": True,
        "correct_strict": True,
        "answer": "18",
        "steps": 3,
        "authors": "wsw",
        **asdict(right.costs),
    }
    assert right.costs == Costs(
        strong_tokens=4,
        weak_tokens=3 + 5,
        discarded_tokens=7,
        prm_tokens=100 + 101 + 102,
        strong_prefill_tokens=11,
        strong_calls=1,
        weak_calls=3,
        prm_calls=3,
        strong_input_tokens=11,
        weak_input_tokens=10 + 0 + 12,
        weak_cached_tokens=12,  # never more than what is read
        prm_cached_tokens=100 + 100,
    )
    assert table["correct"].tolist() == [True, False, False]
    assert table["authors"].tolist() == ["wsw", "ww", "s"]
    assert [table["answer"][1], table["answer"].isna()[2]] == ["6", True]


def test_arithmetic_wants_the_reference_itself(grader: Grader) -> None:
    sloppy = episode("18", ("\\boxed{10+8}", W))
    assert judge(grader, exact=True)(sloppy.answer, sloppy.problem) == (False, False)
    assert judge(grader, exact=False)(sloppy.answer, sloppy.problem) == (False, True)  # symbolically it is 18
    assert judge(grader, exact=True)("18", sloppy.problem) == (True, True)
    assert judge(grader, exact=False)("19", sloppy.problem) == (False, False)


def test_a_row_a_step_with_exact_labels(grader: Grader) -> None:
    # The second step is wrong; the third is right given it.
    solution = episode("18", ("a:5+1=6\n\n", W), ("b:6*3=19\n\n", S), ("\\boxed{19}", W))
    table = step_table([(POINTS[1], solution)], grader, labelled=True)
    assert table["position"].tolist() == [0, 1, 2]
    assert table["author"].tolist() == ["weak", "strong", "weak"]
    assert table["operation"].tolist() == ["+d", "*d", "answer"]
    assert table["valid"].tolist() == [True, False, True]
    assert table["correct"].tolist() == [False] * 3
    assert table["tokens"].tolist() == [3, 4, 5]
    assert table["finish"].tolist() == ["separator", "separator", "end_of_sequence"]
    assert set(table["behaviour"]) == {"trim-thr"}
    assert (table["problem_id"].unique().tolist(), table["replicate"].unique().tolist()) == (["p-7"], [1])


def test_without_labels_nothing_is_made_up(grader: Grader) -> None:
    solution = episode("1/2", ("so\n\n", W), ("\\boxed{0.5}", S), text="What is half of one?")
    table = step_table([(POINTS[1], solution)], grader, labelled=False)
    assert table["valid"].isna().all() and table["operation"].isna().all()
    assert table["correct"].tolist() == [True, True]


def test_scores_stand_beside_their_steps_in_order(
    scripted_pair: MakePair, make_problems: MakeProblems, grader: Grader
) -> None:
    problems = make_problems(6)
    results = run_points(POINTS, problems, scripted_pair(), 2, 30)
    rollouts = step_table(results, grader, labelled=False)
    # Both thresholds are called trim-thr here: tell them apart, as behaviours are in rollouts.
    rollouts["behaviour"] = [f"{p.router} {p.setting}" for p, e in results for _ in e.kept]
    prm, seen = scripted_pair().prm, []
    scored = score_table(
        rollouts, {p.id: p.text for p in problems}, prm, lambda done, total: seen.append((done, total))
    )
    assert scored.drop(columns="score").equals(rollouts)
    assert seen == [(i + 1, 48) for i in range(48)]
    known = {(digest, step): score.value for digest, step, score in prm.calls}
    expected = []
    for _, solved in results:
        prefix = Prefix.of(solved.problem.text)
        for kept in solved.kept:
            expected.append(known[prefix.digest, kept.step.text])
            prefix = prefix.extend(kept.step.text)
    assert scored["score"].tolist() == expected


def test_a_step_is_scored_given_the_text_before_it(scripted_pair: MakePair) -> None:
    import asyncio

    prm = scripted_pair().prm
    scores = asyncio.run(score_steps("problem", ["a\n\n", "b\n\n"], prm))
    assert [(digest, step) for digest, step, _ in prm.calls] == [
        (Prefix.of("problem").digest, "a\n\n"),
        (Prefix.of("problem", "a\n\n").digest, "b\n\n"),
    ]
    assert scores == [score.value for *_, score in prm.calls]


def test_a_table_on_disk_says_where_it_comes_from(tmp_path: Path, grader: Grader) -> None:
    import json

    import pandas as pd
    import pyarrow.parquet as pq

    table = step_table([(POINTS[1], episode("6", ("a:5+1=6\n\n", W), ("\\boxed{6}", S)))], grader, labelled=True)
    write_parquet(table, tmp_path / "deep" / "steps.parquet", {"seed": 3})
    assert pd.read_parquet(tmp_path / "deep" / "steps.parquet").equals(table)
    metadata = pq.read_schema(tmp_path / "deep" / "steps.parquet").metadata
    assert json.loads(metadata[b"trim"]) == {"seed": 3}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["steps.parquet"]
