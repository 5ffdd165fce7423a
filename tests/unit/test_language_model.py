"""How long the language models of the embedded experiment are trained."""

from trim.config.models import TrainedModel
from trim.models.language_model import Snapshot, schedule


def test_the_second_half_of_the_schedule_comes_again_until_a_snapshot_lies_in_the_band() -> None:
    spec = TrainedModel(training_steps=5, further_rounds=2, accuracy_band=(0.5, 0.7))
    snapshots = [Snapshot(5, 0.9)]
    steps = schedule(spec, snapshots)
    assert [next(steps) for _ in range(5)] == [(position, 5) for position in range(5)]
    assert [next(steps) for _ in range(3)] == [(2, 8), (3, 8), (4, 8)]
    snapshots.append(Snapshot(8, 0.6))
    assert list(steps) == []
    assert [end for _, end in schedule(spec, snapshots[:1])] == [5] * 5 + [8] * 3 + [11] * 3
    assert len(list(schedule(spec.model_copy(update={"further_rounds": 0}), []))) == 5
