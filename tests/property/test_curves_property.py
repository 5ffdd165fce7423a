"""What holds for the metrics of any curve, and a slow reference in exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_curve import read_one

from trim.evaluation.curves import METRICS, SMALLEST_SHARE, pgr_at, read_as_paper, read_envelope

Point = tuple[Fraction, Fraction]
READINGS = [read_envelope, read_as_paper]
Metrics = dict[str, float]
LEVELS = [Fraction(p, 100) for p in range(1, 101)]

share = st.integers(0, 30).map(lambda k: Fraction(k, 20))  # coarse, so that there are ties, and some above 1
accuracy = st.integers(0, 40).map(lambda k: Fraction(k, 40))
points = st.lists(st.tuples(share, accuracy), max_size=8)
gaps = st.tuples(accuracy, accuracy).filter(lambda gap: gap[0] < gap[1])


def read(reading, curve: list[Point], gap: Point) -> Metrics:
    shares, accuracies = [float(c) for c, _ in curve], [float(a) for _, a in curve]
    return read_one(reading, shares, accuracies, float(gap[0]), float(gap[1]))


def assert_same(ours: Metrics, expected: Metrics) -> None:
    assert ours == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)


def reference_line(curve: list[Point], weak: Fraction, strong: Fraction, *, envelope: bool) -> list[Point]:
    everything = {(c, (a - weak) / (strong - weak)) for c, a in [(Fraction(0), weak), *curve]}

    def counts(point: Point) -> bool:
        rivals = everything - {point}
        if envelope:
            return not any(c <= point[0] and y >= point[1] for c, y in rivals)
        return not any(c == point[0] and y > point[1] for c, y in rivals)

    return sorted(filter(counts, everything))


def reference_crossing(line: list[Point], level: Fraction, *, extrapolate: bool) -> Fraction | None:
    if line[0][1] >= level:
        return line[0][0]
    for (c0, y0), (c1, y1) in zip(line, line[1:], strict=False):
        if y1 >= level:
            return c0 + (c1 - c0) * (level - y0) / (y1 - y0)
    if extrapolate and len(line) > 1 and line[-1][1] > line[-2][1]:
        (c0, y0), (c1, y1) = line[-2:]
        return c0 + (c1 - c0) * (level - y0) / (y1 - y0)
    return None


def reference_height(line: list[Point], at: Fraction) -> Fraction:
    for (c0, y0), (c1, y1) in zip(line, line[1:], strict=False):
        if c0 <= at < c1:
            return y0 + (y1 - y0) * (at - c0) / (c1 - c0)
    return line[-1][1]


def reference_metrics(curve: list[Point], gap: Point, *, envelope: bool) -> Metrics:
    line = reference_line(curve, *gap, envelope=envelope)
    crossings = [reference_crossing(line, level, extrapolate=not envelope) for level in LEVELS]
    costs = [Fraction(1) if c is None or (envelope and c > 1) else c for c in crossings]
    worths = [p / max(c, Fraction(SMALLEST_SHARE)) - 1 for p, c in zip(LEVELS, costs, strict=True)]
    apgr = np.nan
    if envelope:
        full = reference_line([*curve, (Fraction(1), gap[1])], *gap, envelope=True)
        knots = sorted({Fraction(0), Fraction(1), *(c for c, _ in full if c < 1)})
        heights = [reference_height(full, c) for c in knots]
        areas = [(knots[i + 1] - knots[i]) * (heights[i] + heights[i + 1]) / 2 for i in range(len(knots) - 1)]
        apgr = float(sum(areas))
    cpts = (np.inf if c is None else float(c) for c in (crossings[49], crossings[79], crossings[94]))
    return dict(zip(METRICS, (*cpts, float(sum(worths) / 100), apgr), strict=True))


@given(points, gaps)
def test_the_metrics_are_those_of_the_reference(curve: list[Point], gap: Point) -> None:
    assert_same(read(read_envelope, curve, gap), reference_metrics(curve, gap, envelope=True))
    assert_same(read(read_as_paper, curve, gap), reference_metrics(curve, gap, envelope=False))


@given(points, gaps, st.lists(share, min_size=1, max_size=5))
def test_the_pgr_is_that_of_the_reference(curve: list[Point], gap: Point, at: list[Fraction]) -> None:
    line = reference_line(curve, *gap, envelope=True)
    shares, accuracies = np.array([[float(v) for v in p] for p in curve]).reshape(-1, 2).T[:, None]
    ours = pgr_at(shares, accuracies, *np.array([[float(v)] for v in gap]), [float(c) for c in at])
    np.testing.assert_allclose(ours[0], [float(reference_height(line, c)) for c in at], atol=1e-7)


@pytest.mark.parametrize("reading", READINGS)
@given(points.flatmap(lambda curve: st.tuples(st.just(curve), st.permutations(curve))), gaps)
def test_the_order_of_the_points_does_not_matter(reading, curves, gap: Point) -> None:
    curve, shuffled = curves
    in_order = read(reading, curve, gap)
    assert read(reading, shuffled, gap) == pytest.approx(in_order, rel=0, abs=0, nan_ok=True)


@given(points, gaps, st.data())
def test_a_dominated_point_changes_nothing(curve: list[Point], gap: Point, data: st.DataObject) -> None:
    better = data.draw(st.sampled_from([(Fraction(0), gap[0]), *curve]))
    worse = (better[0] + data.draw(share), better[1] - data.draw(accuracy))
    assert_same(read(read_envelope, [*curve, worse], gap), read(read_envelope, curve, gap))


@pytest.mark.parametrize("reading", READINGS)
@given(points, gaps)
def test_higher_levels_cost_no_less_and_are_reached_last(reading, curve: list[Point], gap: Point) -> None:
    metrics = read(reading, curve, gap)
    costs = [metrics[name] for name in ("cpt50", "cpt80", "cpt95")]
    assert costs == sorted(costs)


@given(gaps, st.lists(share.filter(lambda c: c < 1), max_size=6))
def test_mixing_the_models_at_random_is_worth_nothing(gap: Point, shares: list[Fraction]) -> None:
    weak, strong = gap
    diagonal = [(c, weak + c * (strong - weak)) for c in [*shares, Fraction(1)]]
    envelope, paper = read(read_envelope, diagonal, gap), read(read_as_paper, diagonal, gap)
    assert envelope["delta_ibc"] == pytest.approx(0, abs=1e-6)
    assert paper["delta_ibc"] == pytest.approx(0, abs=1e-6)
    assert envelope["apgr"] == pytest.approx(0.5)
    assert envelope["cpt80"] == pytest.approx(0.8)
