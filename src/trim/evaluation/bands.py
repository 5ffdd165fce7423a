"""Where along the gap a difference of delta IBC lies: the parts of it, by band of PGR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from trim.evaluation.ablations import HULL, looking_ahead, pairs
from trim.evaluation.bootstrap import compared
from trim.evaluation.curves import BANDS
from trim.evaluation.study import PAIR, Study, correct_for_multiplicity
from trim.names import THRESHOLD

if TYPE_CHECKING:
    import pandas as pd

NAMES = tuple(f"{low}-{high}%" for low, high in BANDS)
FAMILY = ["dataset", "trained_on", *PAIR]
COLUMNS = [
    *("dataset", "trained_on", *PAIR, "band", "value", "other_value"),
    *("difference", "difference_lo", "difference_hi", "p_value", "p_at_floor"),
]


def bands(main: Mapping[str, Study], level: float) -> pd.DataFrame:
    """Split the lead of every router that looks ahead, over TRIM-Thr and over its hull, into bands of PGR.

    The parts of a router add up to its delta IBC, and the differences to the difference; p-values are corrected over
    the bands of a pair.

    Parameters
    ----------
    main
        Studies by dataset.
    level
        Of the intervals.
    """
    import pandas as pd

    rows = [row for dataset, data in main.items() for row in _rows(dataset, data, level)]
    return correct_for_multiplicity(pd.DataFrame(rows, columns=COLUMNS), FAMILY)


def _rows(dataset: str, data: Study, level: float) -> Iterator[dict[str, Any]]:
    references = (THRESHOLD, HULL)
    parts = {s.key: data.bands(s) for key in (*looking_ahead(), *references) for s in data.find(*key)}
    for key in looking_ahead():
        for reference in references:
            for sweep, other in pairs(data.find(*key), data.find(*reference)):
                head = {"dataset": dataset, **sweep.head, **other.as_other}
                for name, ours, theirs in zip(NAMES, parts[sweep.key], parts[other.key], strict=True):
                    yield head | {"band": name} | compared(ours, theirs, level)
