"""What holds for the verdict on any numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trim.evaluation.bootstrap import Resampled, bounds
from trim.evaluation.claims.verdicts import greatest, judge, smallest

value = st.one_of(st.integers(-20, 20).map(float), st.just(np.nan), st.just(np.inf), st.just(-np.inf))
number = st.lists(value, min_size=3, max_size=12).map(np.array)
numbers = st.lists(number, min_size=1, max_size=4).map(lambda found: {str(i): x for i, x in enumerate(found)})
levels = st.sampled_from([0.5, 0.8, 0.95])
bars = st.integers(-20, 20)


@given(number, levels, bars)
def test_a_claim_and_its_contrary_never_both_hold(x: Resampled, level: float, bar: int) -> None:
    claim, contrary = judge(bounds(x, level), bar), judge(bounds(-x, level), -bar)
    assert {claim, contrary} in ({"holds", "fails"}, {"undecided"})


@given(numbers, levels, bars)
def test_what_holds_of_all_holds_of_each(found: dict[str, Resampled], level: float, bar: int) -> None:
    each = {judge(bounds(x, level), bar) for x in found.values()}
    if judge(smallest(found, level), bar) == "holds":
        assert each == {"holds"}
    if judge(smallest(found, level), bar) == "fails":
        assert "fails" in each
    if judge(greatest(found, level), bar) == "fails":
        assert each == {"fails"}
    if judge(greatest(found, level), bar) == "holds":
        assert "holds" in each


@given(numbers, levels)
def test_the_joint_interval_is_wider_but_never_crossed(found: dict[str, Resampled], level: float) -> None:
    joint = smallest(found, level)
    if not np.isnan(joint.lo):
        assert joint.lo <= joint.hi
        assert joint.lo == min(bounds(x, level).lo for x in found.values())
        assert joint.hi >= min(bounds(x, level).hi for x in found.values())
