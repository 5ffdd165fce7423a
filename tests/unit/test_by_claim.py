"""What is said of a claim as a whole."""

import pandas as pd
import pytest

from trim.evaluation.claims.ledger import by_claim


@pytest.mark.parametrize(
    ("given", "together"),
    [
        ("holds holds", "holds"),
        ("holds undecided", "holds in part"),
        ("holds fails undecided", "mixed"),
        ("fails undecided", "fails in part"),
        ("fails", "fails"),
        ("undecided", "undecided"),
        ("", "not tested"),
    ],
)
def test_a_claim_as_a_whole_says_what_its_tested_statements_say(given: str, together: str) -> None:
    verdicts = ["not tested", *given.split()]
    rows = pd.DataFrame({"verdict": verdicts}).assign(key="k", scope="analogue", source="Table 1")
    assert by_claim(rows) == {"k": together}
